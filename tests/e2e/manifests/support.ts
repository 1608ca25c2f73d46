/**
 * Runs the tools that the manifest tests need and reads what they print. A tool that is missing is an error which says how to get
 * it, never a skipped test.
 */

import { parseAllDocuments, stringify } from "yaml";
import { attempt, type Ran, ROOT, type RunOptions } from "../../support/run.ts";

/** Any Kubernetes object. */
// deno-lint-ignore no-explicit-any -- manifests are walked freely in tests
export type Manifest = Record<string, any>;

const HOW: Readonly<Record<string, string>> = {
  kustomize: "it with go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1",
  "kubernetes-validate": "it with pip install -r .ci/requirements.txt",
  hadolint: "it with pip install -r .ci/requirements.txt",
  actionlint: "it with go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7",
  promtool: "the package prometheus",
};

/** Runs a tool to its end. @throws where it is not installed, with how to install it */
export function run(tool: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return attempt(tool, args, { cwd: ROOT, from: HOW[tool]!, ...options });
}

/** A kustomization written for one test, in a directory beside the repository's `k8s`, removed at the end. */
export async function build(
  files: Readonly<Record<string, string>>,
): Promise<{ text: string; objects: Manifest[] }> {
  const dir = await Deno.makeTempDir({ prefix: "kustomize-" });
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.mkdir(`${dir}/${name}`.replace(/\/[^/]+$/, ""), { recursive: true });
      await Deno.writeTextFile(`${dir}/${name}`, content.replaceAll("K8S", relative(dir, `${ROOT}/k8s`)));
    }
    const { code, out, err } = await run("kustomize", ["build", dir]);
    if (code !== 0) throw new Error(`kustomize build: ${err}`);
    return { text: out, objects: parseAllDocuments(out).map((doc) => doc.toJS() as Manifest) };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** kustomize takes relative paths only. */
function relative(from: string, to: string): string {
  return "../".repeat(from.split("/").length - 1) + to.slice(1);
}

/** The object of that kind, and name where given. @throws where there is none. */
export function find(objects: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = objects.find((object) =>
    object["kind"] === kind && (name === undefined || object["metadata"].name === name)
  );
  if (found === undefined) throw new Error(`No ${kind} ${name ?? ""} in the build`);
  return found;
}

/** A kustomization with alerts and dashboard. */
export const MONITORING = {
  "kustomization.yaml": "resources: [K8S/base]\ncomponents: [K8S/components/monitoring]\n",
};

/** The dashboard. */
export async function dashboard(): Promise<Manifest> {
  return JSON.parse(await Deno.readTextFile(`${ROOT}/k8s/components/monitoring/dashboard.json`));
}

/** The dashboard's panels, those in folded rows included. */
export async function panels(): Promise<Manifest[]> {
  return (await dashboard())["panels"].flatMap((panel: Manifest) => [panel, ...(panel["panels"] ?? [])]);
}

/** An expression with the dashboard's variables set to everything, as Grafana fills them in. */
export function filled(expr: string, intervalSeconds = 60): string {
  return expr.replaceAll("$__rate_interval", "5m")
    .replaceAll("$__interval_ms", String(intervalSeconds * 1000))
    .replaceAll("$__interval", `${intervalSeconds}s`)
    .replaceAll('"$namespace"', '".*"').replaceAll('"$pod"', '".*"').replaceAll("$workload", ".*");
}

/** Runs promtool on files in a directory of their own. @throws where it is not content. */
export async function promtool(args: string[], files: Readonly<Record<string, unknown>>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "promtool-" });
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(`${dir}/${name}`, stringify(content, { aliasDuplicateObjects: false }));
    }
    const { code, out, err } = await run("promtool", args, { cwd: dir });
    if (code !== 0) throw new Error(`promtool ${args.join(" ")}:\n${out}${err}`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

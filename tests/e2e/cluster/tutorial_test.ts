/**
 * docs/tutorial.md on a real cluster: each of its `sh` blocks is run, in order and in one shell, and what they print
 * must hold the lines of the `text` block that follows. Replaced are only the building and loading of images, and names
 * that two runs at a time would share.
 */

import assert from "node:assert/strict";
import { test } from "../../support/strict.ts";
import { attempt, ROOT, run } from "../../support/run.ts";
import { freePort } from "../../support/scene.ts";
import { PRODUCT_COMMAND } from "./images.ts";
import { DEMO_IMAGE, loadImages, PRODUCT_IMAGE } from "./support.ts";

interface Step {
  readonly script: string;
  /** Lines that the output must hold, in this order; `…` stands for anything. */
  readonly wanted: readonly string[];
}

/** The blocks of the tutorial. */
function readSteps(markdown: string): Step[] {
  const steps: { script: string; wanted: string[] }[] = [];
  for (const [, kind, text] of markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    if (kind === "sh") steps.push({ script: text!, wanted: [] });
    else if (kind === "text") steps.at(-1)!.wanted.push(...text!.trimEnd().split("\n"));
  }
  return steps;
}

/** A line of the tutorial as a pattern. */
function patternOf(line: string): RegExp {
  return new RegExp(
    `^${line.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`,
  );
}

/** The repository as the tutorial has it, but with the images of this test: the manifests alone. */
async function prepareManifests(dir: string): Promise<void> {
  await run("cp", ["-r", `${ROOT}/k8s`, dir]);
  const path = `${dir}/k8s/base/kustomization.yaml`;
  const image = (name: string, as: string) =>
    `  - { name: ${name}, newName: ${as.split(":")[0]}, newTag: ${as.split(":")[1]} }`;
  const text = await Deno.readTextFile(path);
  const images = `images:\n${image("config-reloader", PRODUCT_IMAGE)}\n${image("demo-app", DEMO_IMAGE)}\n`;
  await Deno.writeTextFile(path, text.replace(/^images:\n(?: {2}- .*\n)+/m, images));
}

function replaceNames(script: string, port: number): string {
  if (/^docker build/m.test(script)) return ":\n";
  return script
    .replace(/(namespace[ =])tutorial\b/g, `$1tutorial-${Deno.pid}`)
    .replaceAll("19091", String(port))
    .replaceAll(" /config-reloader ", ` ${PRODUCT_COMMAND.join(" ")} `);
}

test("the tutorial, command by command", async () => {
  const steps = readSteps(await Deno.readTextFile(`${ROOT}/docs/tutorial.md`));
  assert.ok(steps.length >= 8, "the tutorial has its blocks");
  await loadImages();
  const dir = await Deno.makeTempDir({ prefix: "tutorial-" });
  const kubeconfig = `${dir}/kubeconfig`;
  const port = freePort();
  try {
    await Deno.copyFile(Deno.env.get("KUBECONFIG")!, kubeconfig);
    await prepareManifests(dir);
    const script = steps.map((step, index) => `echo "@@@ ${index}"\n${replaceNames(step.script, port)}`).join(
      "",
    );
    // What runs in the background holds the pipe: it ends with the shell.
    const whole = `exec 2>&1\ntrap 'kill $(jobs -p) || true' EXIT\n${script}`;
    const args = ["-k", "5", "240", "bash", "-euo", "pipefail", "-c", whole];
    const { code, out, err } = await attempt("timeout", args, { cwd: dir, env: { KUBECONFIG: kubeconfig } });
    const output = out + err;
    assert.equal(code, 0, output);
    const outputs = output.split(/^@@@ \d+\n/m).slice(1).map((text) => text.trimEnd().split("\n"));
    steps.forEach((step, index) => assertHolds(outputs[index]!, step));
  } finally {
    await attempt("kubectl", [
      "delete",
      "namespace",
      `tutorial-${Deno.pid}`,
      "--ignore-not-found",
      "--wait=false",
    ]);
    await Deno.remove(dir, { recursive: true });
  }
});

/** Each wanted line stands in the output, after the one wanted before it. */
function assertHolds(output: readonly string[], { script, wanted }: Step): void {
  let from = 0;
  for (const line of wanted) {
    const at = output.findIndex((text, index) => index >= from && patternOf(line).test(text));
    assert.ok(
      at >= 0,
      `The tutorial promises the line\n  ${line}\nfor\n${script}\nbut there is\n${output.join("\n")}`,
    );
    from = at + 1;
  }
}

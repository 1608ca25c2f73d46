/**
 * Golden logs: what a person reads at three in the morning, whole and in order. A story drives the product through its
 * own command line; what differs from run to run is replaced by a word in capitals, and the rest is compared with
 * `tests/testdata/golden/NAME.txt`. `UPDATE_GOLDEN=1` writes those files instead: read the difference before you commit it.
 */

import assert from "node:assert/strict";
import { test } from "../../support/strict.ts";
import {
  createScene,
  type Scene,
  type Sidecar,
  type SidecarOptions,
  startSidecar,
} from "../../support/scene.ts";

/** Where the golden logs are. */
export const GOLDEN = new URL("../../testdata/golden/", import.meta.url).pathname;
const UPDATE = Deno.env.get("UPDATE_GOLDEN") === "1";

/** Long pauses between the tries: a story asks for the next one itself. */
const SETTINGS = [
  "--reload-on-start=never",
  "--retry-interval=10s",
  "--max-backoff=5m",
  "--reload-timeout=1m",
  "--poll-interval=100ms",
];

const flagOf = (arg: string) => arg.split("=", 1)[0];

/** What a story may use. */
export interface Stage {
  readonly scene: Scene;
  /** Starts the sidecar and waits until it has looked at the disk. */
  start(args?: readonly string[], options?: Partial<SidecarOptions>): Promise<Sidecar>;
  /** The same without the scene's file, app and short interval. */
  startBare(args: readonly string[], options?: Partial<SidecarOptions>): Promise<Sidecar>;
  /** A word for what differs from run to run, such as a PID: it stands in the golden log instead. */
  call(value: string | number, word: string): void;
}

/**
 * A test whose whole log is compared. The sidecar is ended with SIGTERM unless the story has done it.
 * `app` and `plain` are those of `createScene`.
 */
export function story(
  name: string,
  options: NonNullable<Parameters<typeof createScene>[0]> & {
    /** Two parts of the sidecar speak at the same time: their lines are compared in alphabetical order. */
    readonly sorted?: boolean;
  },
  tell: (stage: Stage) => Promise<void>,
): void {
  test(`golden log: ${name}`, async () => {
    const words: [string, string][] = [];
    const logs: Sidecar[] = [];
    await using scene = await createScene(options);
    words.push([`127.0.0.1:${scene.app.port}`, "APP"], [String(scene.app.pid), "APP_PID"]);
    const keep = (sidecar: Sidecar) => {
      logs.push(sidecar);
      words.push([String(sidecar.port), "PORT"]);
      return sidecar;
    };
    await tell({
      scene,
      start: async (args = [], more = {}) => {
        const unset = SETTINGS.filter((setting) => !args.some((arg) => flagOf(arg) === flagOf(setting)));
        return keep(await scene.start({ ...more, args: [...unset, ...args] }));
      },
      startBare: async (args, more = {}) => keep(await startSidecar({ ...more, args })),
      call: (value, word) => words.push([String(value), word]),
    });
    for (const sidecar of logs) await sidecar.stop();
    words.push([scene.dir, "DIR"]);
    const texts = logs.map((sidecar) => normalise(sidecar.log(), words));
    await compare(name, texts.map((text) => options.sorted ? sortLines(text) : text).join("---\n"));
  });
}

/** Compares a text with its golden file, or writes that. */
async function compare(name: string, text: string): Promise<void> {
  const path = `${GOLDEN}${name.replaceAll(" ", "_")}.txt`;
  if (UPDATE) return await Deno.writeTextFile(path, text);
  const golden = await Deno.readTextFile(path).catch(() => "");
  assert.equal(text, golden, `the log differs from ${path}; UPDATE_GOLDEN=1 accepts it`);
}

function sortLines(text: string): string {
  const lines = text.trimEnd().split("\n");
  return [lines[0], ...lines.slice(1).sort(), ""].join("\n");
}

/** Put before a program, for which `from` is mounted at `to`. */
export const mounting = (from: string, to: string) => [
  ...["unshare", "--mount", "sh", "-c", `mount --bind ${from} ${to} && exec "$@"`, "sh"],
];

/** Waits until the sidecar has taken what is on disk for what the app runs. */
export async function begun(sidecar: Sidecar): Promise<void> {
  await sidecar.logged("counts as applied");
}

/** Replaces what differs from run to run: times, durations that were measured, versions, and the given words. */
function normalise(log: string, words: readonly (readonly [string, string])[]): string {
  let text = log
    .replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/gm, "TIME")
    // On a busy machine some of the pause is over when it is told.
    .replace(/\bin ([\d.]+)s/g, (told, s) => {
      const pause = [5, 10, 20].find((pause) => pause >= Number(s) && pause < Number(s) + 3);
      return pause === undefined ? told : `in ${pause}s`;
    })
    .replace(/(n order again after |n order after |n sync again after |ended )\d[\dms.]*/g, "$1MS")
    .replace(/^(TIME +INFO +config-reloader )\S+ \([^)]*\)/gm, "$1VERSION (REVISION)")
    .replace(/(visible are )[^;\n]*/g, "$1PROCESSES")
    .replace(new RegExp(`\\b(user|runAsUser:) ${Deno.uid()}\\b`, "g"), "$1 UID");
  // A process that ends is a zombie, before it is gone, until its parent, the test, has asked for its end; and it may end
  // at the look.
  text = text
    .replace(
      /(signal PID \d+) \([^)]*\)(, named by [^:]+: )it has (?:just ended|ended and is a zombie); [^\n]*/g,
      "$1$2there is no such process now",
    )
    .replace(
      /(Target: Cannot signal PID \d+)(?:, named by [^:]+: there is no such process now|: it has just ended)$/gm,
      "$1: it is gone",
    );
  for (const [value, word] of words) {
    text = /^\d+$/.test(value)
      ? text.replace(new RegExp(`(?<![\\d.])${value}(?![\\d.])`, "g"), word)
      : text.replaceAll(value, word);
  }
  return text;
}

/** A status URL that answers as it is told. */
export interface Answers extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  say(body: string, status?: number): void;
  redirect(to: string): void;
  /** Takes requests and never answers. */
  hang(): void;
  /** Refuses connections from now on, until it is told to answer again. */
  down(): Promise<void>;
}

/** Starts a status URL; it answers `ok` at first. */
export function startAnswers(): Answers {
  let answer: () => Response | Promise<Response> = () => new Response("ok");
  const serve = (port: number) => {
    const end = new AbortController();
    const options = { hostname: "127.0.0.1", port, onListen() {}, signal: end.signal };
    const { addr, finished } = Deno.serve(options, () => answer());
    return { port: addr.port, end: () => (end.abort(), finished) };
  };
  let server: ReturnType<typeof serve> | null = serve(0);
  const { port } = server;
  const up = (next: typeof answer) => {
    answer = next;
    server ??= serve(port);
  };
  const down = async () => {
    const last = server;
    server = null;
    await last?.end();
  };
  return {
    port,
    url: `http://127.0.0.1:${port}/status`,
    say: (body, status = 200) => up(() => new Response(body, { status, headers: { connection: "close" } })),
    redirect: (to) => up(() => new Response(null, { status: 302, headers: { location: to } })),
    hang: () => up(() => new Promise(() => {})),
    down,
    [Symbol.asyncDispose]: down,
  };
}

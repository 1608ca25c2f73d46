/**
 * A program that plays whoever writes: somebody with a path into a watched directory, and the app, which shares the
 * output directory. It must run as a user of its own (it follows no links, but it makes them to everything), and it ends
 * at SIGTERM. On standard output it names each trick before it plays it.
 *
 *     deno run -A hostile_writer.ts SEED DIR
 *
 * DIR holds `input`, which is watched, `shared/out`, which is written to, and `secrets` and `elsewhere`, which are not
 * shared. Nothing is written through a path that may have become a link: each file comes by a rename.
 */

import { createRandom, type SeededRandom } from "./random.ts";

const NAMES = ["a.yaml", "b.json", "c.conf", "sub/d.yaml", "sub/deep/e.yaml"];
const ODD_NAMES = [
  "new\nline.yaml",
  "\u202egnp.yaml",
  "\u200e\u061c.yaml",
  "$(HOME).yaml",
  "<script>alert(1)</script>.yaml",
  "-rf.yaml",
  ".config-reloader-x.tmp",
  `${"x".repeat(200)}.yaml`,
];
/** Texts that take memory or time, or are wrong. */
export const TEXTS: readonly string[] = [
  "",
  "a: 1\n",
  "- ".repeat(30_000),
  "[".repeat(50_000),
  "a: *nope\n",
  "\0",
  "$(HOME)".repeat(2_000),
];

const quietly = (act: () => void) => {
  try {
    act();
  } catch {
    // The sidecar, or an earlier trick, was faster.
  }
};
const removeAll = (path: string) => quietly(() => Deno.removeSync(path, { recursive: true }));
const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
const linkTo = (target: string) => (path: string) => Deno.symlinkSync(target, path);

/** Puts something else in a path's place, in as few steps as possible. */
function replace(path: string, make: (path: string) => void): void {
  quietly(() => Deno.mkdirSync(parentOf(path), { recursive: true, mode: 0o777 }));
  quietly(() => make(`${path}.hostile`));
  quietly(() => Deno.renameSync(`${path}.hostile`, path));
  removeAll(`${path}.hostile`);
}

function makeFifo(path: string): void {
  new Deno.Command("mkfifo", { args: ["-m", "666", path], stderr: "null" }).outputSync();
}

const fileOf = (content: string | Uint8Array, mode = 0o644) => (path: string) => {
  Deno.writeFileSync(path, typeof content === "string" ? new TextEncoder().encode(content) : content, {
    createNew: true,
    mode,
  });
};

function namesIn(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map(({ name }) => name);
  } catch {
    return [];
  }
}

function createTricks(dir: string, random: SeededRandom): Record<string, () => void> {
  const [input, output, elsewhere, secrets] = ["input", "shared/out", "elsewhere", "secrets"].map((name) =>
    `${dir}/${name}`
  ) as [string, string, string, string];
  const nameIn = () => `${input}/${random.pick(NAMES)}`;
  const nameOut = () => `${output}/${random.pick(["app.yaml", ...NAMES])}`;
  const text = () => random.chance(0.5) ? `v: ${random.int(0, 1e6)}\n` : random.pick(TEXTS);
  const link = () =>
    linkTo(random.pick([
      `${secrets}/key`,
      `${elsewhere}/app.yaml`,
      elsewhere,
      secrets,
      "/proc/self/environ",
      "/proc/self",
      "/dev/zero",
      "/etc/passwd",
      ".",
      "nowhere",
    ]));
  /** Swaps the output directory for something else and back, as quickly as it goes. */
  const flip = (make: (path: string) => void, times: number) => {
    for (let i = 0; i < times; i++) {
      quietly(() => Deno.renameSync(output, `${output}.real`));
      quietly(() => make(output));
      for (let wait = random.int(0, 200); wait > 0; wait--) quietly(() => Deno.lstatSync(`${output}.real`));
      // What the sidecar wrote into another directory would stay there, and the test would find it.
      quietly(() => Deno.removeSync(output));
      quietly(() => Deno.renameSync(output, `${output}.written-${random.int(0, 1e9)}`));
      quietly(() => Deno.renameSync(`${output}.real`, output));
    }
  };
  /** One input and nothing in its way, long enough for it to be rendered. */
  const atPeace = (make: (path: string) => void) => {
    for (const dir of [input, output]) namesIn(dir).forEach((name) => removeAll(`${dir}/${name}`));
    replace(`${input}/a.yaml`, make);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
  };
  return {
    "an input": () => replace(nameIn(), fileOf(text(), random.pick([0o644, 0o000, 0o4755, 0o600]))),
    "an odd name": () => replace(`${input}/${random.pick(ODD_NAMES)}`, fileOf(text())),
    "many inputs": () => {
      for (let i = 0; i < 150; i++) replace(`${input}/many/${i}.yaml`, fileOf(`i: ${i}\n`));
    },
    "a large input": () =>
      replace(nameIn(), fileOf(new Uint8Array(random.pick([70_000, 900_000, 17_000_000])))),
    "fewer inputs": () => removeAll(random.chance(0.3) ? `${input}/many` : nameIn()),
    "no inputs": () => namesIn(input).forEach((name) => removeAll(`${input}/${name}`)),
    "an input that is a link": () => replace(nameIn(), link()),
    "an input that is a FIFO": () => replace(nameIn(), makeFifo),
    "an input that flickers": () => {
      const path = nameIn();
      for (let i = 0; i < 50; i++) {
        replace(path, link());
        replace(path, fileOf("a: 1\n"));
      }
    },
    "an output that is a link": () => replace(nameOut(), link()),
    "an output that is a FIFO": () => replace(nameOut(), makeFifo),
    "an output that is a directory": () => {
      const path = nameOut();
      removeAll(path);
      quietly(() => Deno.mkdirSync(path));
    },
    "an output of its own": () => replace(nameOut(), fileOf("mine\n")),
    "an output that flickers": () => {
      const path = nameOut();
      for (let i = 0; i < 50; i++) {
        replace(path, linkTo(`${secrets}/key`));
        removeAll(path);
      }
    },
    "no outputs": () => namesIn(output).forEach((name) => removeAll(`${output}/${name}`)),
    "links at each temporary name": () => {
      for (let i = 0; i < 300; i++) {
        for (const name of namesIn(output)) {
          if (name.startsWith(".config-reloader-")) replace(`${output}/${name}`, linkTo(`${secrets}/key`));
        }
      }
    },
    "a directory of outputs that is a link": () => {
      removeAll(`${output}/sub`);
      quietly(() => Deno.symlinkSync(random.pick([elsewhere, secrets, "."]), `${output}/sub`));
    },
    "the output directory is a link": () => flip(linkTo(elsewhere), 1),
    "the output directory flickers": () => flip(linkTo(elsewhere), 60),
    "the output directory is another": () =>
      flip((path) => {
        Deno.mkdirSync(path);
        Deno.chmodSync(path, 0o777);
      }, 20),
    "a moment of peace": () => atPeace(fileOf(`peace: ${random.int(0, 1e6)}\n`)),
    "a link to a secret, at peace": () =>
      atPeace(random.pick([linkTo(`${secrets}/key`), linkTo(secrets), link()])),
  };
}

if (import.meta.main) {
  const random = createRandom(Number(Deno.args[0]));
  const tricks = Object.entries(createTricks(Deno.args[1]!, random));
  for (;;) {
    const [name, trick] = random.pick(tricks);
    await Deno.stdout.write(new TextEncoder().encode(`${name}\n`));
    trick();
    await new Promise((resolve) => setTimeout(resolve, random.pick([0, 0, 2, 5, 20, 60, 200])));
  }
}

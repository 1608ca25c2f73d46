/**
 * Somebody hostile writes the content and shares the output directory, against the running program as UID 65532 in the
 * 50 MiB of the manifests (224 from source): hundreds of pieces of content come in seconds, and health is asked without a
 * pause. Each run has a seed, which its step's name shows; `HOSTILE_SEED=N` plays that one again, or another.
 */

import assert from "node:assert/strict";
import { createGroup } from "../../../bench/lab.ts";
import { TEXTS } from "../../support/hostile_writer.ts";
import { createKubeletVolume, type KubeletVolume } from "../../support/kubelet.ts";
import { readLines } from "../../support/lines.ts";
import { until } from "../../support/poll.ts";
import { createRandom } from "../../support/random.ts";
import {
  BINARY,
  get,
  gzipZeros,
  PRODUCT,
  ready,
  requireProgram,
  requireRoot,
  type Sidecar,
  startSidecar,
} from "../../support/scene.ts";
import { STRICT, test } from "../../support/strict.ts";

const MIB = 1048576;
const UID = 65532;
const WRITER_UID = 65533;
const PLAY_MS = 5_000;
/** So many tricks are played at least; on a busy machine that takes longer. */
const TRICKS_MIN = 10;
const PLAY_MS_MAX = 30_000;
const TOKEN = "only-the-sidecar-may-read-this";
const given = Deno.env.get("HOSTILE_SEED");
const SEEDS = given ? [Number(given)] : [1, 2, 3];

/** Everything about the files of a directory that must not change. */
function factsOf(dir: string) {
  const facts = [...Deno.readDirSync(dir)].map(({ name }) => {
    const { mode, ino, nlink, mtime, size, uid } = Deno.lstatSync(`${dir}/${name}`);
    return { name, mode, ino, nlink, mtime, size, uid, text: Deno.readTextFileSync(`${dir}/${name}`) };
  });
  return facts.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Files below `dir` that others may read and that hold the token; `originals` are only reached through a link, which keeps others out. */
function leaksIn(dir: string, originals: ReadonlySet<number | null>): string[] {
  const found: string[] = [];
  const look = (dir: string) => {
    let entries: Deno.DirEntry[] = [];
    try {
      entries = [...Deno.readDirSync(dir)];
    } catch {
      return; // moved on
    }
    for (const { name, isDirectory, isFile } of entries) {
      const path = `${dir}/${name}`;
      if (isDirectory) look(path);
      if (!isFile) continue;
      try {
        if (originals.has(Deno.lstatSync(path).ino)) continue;
        // A link to an original may have come to its name: what was opened is what counts.
        using file = Deno.openSync(path);
        const { mode, size, ino } = file.statSync();
        if (originals.has(ino) || ((mode ?? 0) & 0o004) === 0 || size >= MIB) continue;
        const bytes = new Uint8Array(size);
        file.readSync(bytes);
        if (new TextDecoder().decode(bytes).includes(TOKEN)) found.push(path);
      } catch {
        // gone meanwhile
      }
    }
  };
  look(dir);
  return found;
}

interface Stage {
  readonly dir: string;
  readonly volume: KubeletVolume;
  readonly output: string;
}

/** What is shared is everybody's; what is not holds the token, and files of the outputs' names. */
function createStage(dir: string): Stage {
  Deno.chmodSync(dir, 0o755);
  for (const name of ["input", "shared", "shared/out"]) {
    Deno.mkdirSync(`${dir}/${name}`);
    Deno.chmodSync(`${dir}/${name}`, 0o777);
  }
  for (const path of [`${dir}/secrets`, `${dir}/elsewhere`]) {
    // Only the directory keeps others out: a copy of what is in it would be readable to all.
    Deno.mkdirSync(path, { mode: 0o700 });
    for (const name of ["app.yaml", "a.yaml", "d.yaml", "key", ".config-reloader-1-1.tmp"]) {
      Deno.writeTextFileSync(`${path}/${name}`, `${TOKEN} ${name}\n`, { mode: 0o644 });
      Deno.chownSync(`${path}/${name}`, UID, UID);
    }
    Deno.chownSync(path, UID, UID);
  }
  const volume = createKubeletVolume(`${dir}/volume`, { "app.yaml": "good: 0\n" });
  return { dir, volume, output: `${dir}/shared/out` };
}

const asUser = (
  uid: number,
) => ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--no-new-privs"];

/** Starts the writer as another user, with a runtime and a program that this user can reach. */
async function startWriter(dir: string, seed: number) {
  for (const name of ["hostile_writer.ts", "random.ts"]) {
    await Deno.copyFile(new URL(`../../support/${name}`, import.meta.url), `${dir}/${name}`);
    await Deno.chmod(`${dir}/${name}`, 0o644);
  }
  await Deno.copyFile(Deno.execPath(), `${dir}/deno`);
  await Deno.chmod(`${dir}/deno`, 0o755);
  const [program, ...args] = [
    ...asUser(WRITER_UID),
    `${dir}/deno`,
    ...["run", "-A", "--no-config", "--no-lock", "--no-check", "--quiet"],
    ...[`${dir}/hostile_writer.ts`, `${seed}`, dir],
  ];
  const child = new Deno.Command(program!, {
    args,
    cwd: "/",
    env: { DENO_DIR: `${dir}/shared/cache`, HOME: "/nonexistent", PATH: "/usr/bin:/bin" },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const played: string[] = [];
  const reading = readLines(child.stdout, (line) => played.push(line));
  return {
    played,
    stop: async () => {
      try {
        child.kill("SIGTERM");
      } catch {
        // It ended by itself; the test sees that nothing was played.
      }
      await Promise.all([child.status, reading]);
    },
  };
}

/** The sidecar as UID 65532 in a control group; a copy of the program, which that user can reach. */
async function startConfined(stage: Stage, enter: readonly string[], reloadUrl: string): Promise<Sidecar> {
  requireProgram("setpriv", "the package util-linux");
  const program = `${stage.dir}/program`;
  await Deno.copyFile(BINARY ?? Deno.execPath(), program);
  await Deno.chmod(program, 0o755);
  return await startSidecar({
    prefix: [...enter, ...asUser(UID)],
    product: [program, ...PRODUCT.slice(1)],
    env: { HOME: "/nonexistent", SECRET: TOKEN },
    args: [
      `--config-file=${stage.volume.path("app.yaml")}`,
      `--watched-dir=${stage.dir}/input`,
      `--output-dir=${stage.output}`,
      "--validate=auto",
      "--interval=300ms",
      "--trigger=none",
      "--verify=http",
      `--reload-url=${reloadUrl}`,
      "--retry-interval=100ms",
      "--max-backoff=300ms",
      "--min-reload-interval=0s",
    ],
  });
}

/** Plays for a while, and looks all the time whether anything came of it. */
async function play(
  stage: Stage,
  sidecar: Sidecar,
  seed: number,
  tell: (played: string[]) => void,
): Promise<void> {
  const { dir, volume } = stage;
  const random = createRandom(seed);
  const bomb = await gzipZeros(40 * MIB);
  const before = [factsOf(`${dir}/secrets`), factsOf(`${dir}/elsewhere`)];
  const originals = new Set(before.flat().map(({ ino }) => ino));
  let playing = true;
  let problem = "";
  const asking = (async () => {
    while (playing) await sidecar.healthz();
  })().catch((error) => {
    problem = `/healthz: ${error}`;
    playing = false;
  });
  const writer = await startWriter(dir, seed);
  try {
    const begunMs = performance.now();
    const isOver = () =>
      performance.now() - begunMs > (writer.played.length > TRICKS_MIN ? PLAY_MS : PLAY_MS_MAX);
    while (playing && !isOver()) {
      // The author of the ConfigMap, whose volume only kubelet writes.
      volume.swap({
        "app.yaml": random.chance(0.2) ? bomb : random.pick([`v: ${random.int(0, 1e6)}\n`, ...TEXTS]),
      });
      assert.deepEqual([factsOf(`${dir}/secrets`), factsOf(`${dir}/elsewhere`)], before);
      assert.deepEqual(leaksIn(`${dir}/shared`, originals), []);
      await new Promise((resolve) => setTimeout(resolve, random.pick([0, 10, 50, 200])));
    }
  } finally {
    await writer.stop();
    tell(writer.played);
    playing = false;
    await asking;
  }
  assert.equal(problem, "");
  assert.ok(writer.played.length > TRICKS_MIN, `only ${writer.played.length} tricks`);
  assert.deepEqual([factsOf(`${dir}/secrets`), factsOf(`${dir}/elsewhere`)], before);
  assert.deepEqual(leaksIn(`${dir}/shared`, originals), []);
  const foreign = [...Deno.readDirSync(`${dir}/shared`)].filter(({ name }) => name.includes(".written-"));
  assert.deepEqual(foreign, [], "something was written to another directory in the output directory's place");
  for (const path of ["/status", "/", "/metrics"]) {
    const text = await get(`http://127.0.0.1:${sidecar.port}${path}`);
    assert.ok(!text.includes(TOKEN), `${path} shows the secret`);
  }
  assert.ok(!sidecar.log().includes(TOKEN), "the log shows the secret");
}

/** Once nobody is hostile any more, good content is rendered. */
async function recover({ dir, output, volume }: Stage, sidecar: Sidecar): Promise<void> {
  // The writer may have been ended in the middle of a swap.
  if ([...Deno.readDirSync(`${dir}/shared`)].some(({ name }) => name === "out.real")) {
    await Deno.rename(output, `${output}.swapped`).catch(() => {});
    await Deno.rename(`${output}.real`, output);
  }
  // The sidecar may be writing there at this moment.
  await until("empty directories", () => {
    for (const place of [`${dir}/input`, output]) {
      for (const { name } of [...Deno.readDirSync(place)]) {
        Deno.removeSync(`${place}/${name}`, { recursive: true });
      }
    }
    return true;
  });
  Deno.writeTextFileSync(`${dir}/input/end.yaml`, "the: end\n");
  volume.swap({ "app.yaml": "good: end\n" });
  await until("the good content", () => {
    const text = (name: string) => Deno.readTextFileSync(`${output}/${name}`);
    return text("app.yaml") === "good: end\n" && text("end.yaml") === "the: end\n";
  }, { everyMs: 50 });
  await sidecar.metricIs("config_reload_in_sync", 1);
}

test("a hostile writer changes nothing outside, learns nothing, and neither kills nor stalls the program", async (t) => {
  requireRoot("it makes a control group and changes users");
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response("ok"),
  );
  const url = `http://127.0.0.1:${server.addr.port}/`;
  for (const seed of SEEDS) {
    await t.step({
      ...STRICT,
      name: `HOSTILE_SEED=${seed}`,
      fn: async () => {
        using group = createGroup({ memoryBytes: (BINARY ? 50 : 224) * MIB });
        const dir = await Deno.makeTempDir({ prefix: "hostile-" });
        let sidecar: Sidecar | null = null;
        let played: string[] = [];
        try {
          const stage = createStage(dir);
          sidecar = await startConfined(stage, group.enter, url);
          await ready(sidecar);
          await until("the first output", () => Deno.statSync(`${stage.output}/app.yaml`).isFile);
          await play(stage, sidecar, seed, (all) => played = all);
          await recover(stage, sidecar);
          assert.equal(group.kills(), 0, "killed for its memory");
        } catch (error) {
          throw new Error(
            `HOSTILE_SEED=${seed}: ${(error as Error).message}\nkills: ${group.kills()}; played: ${
              played.join(", ")
            }\n` +
              `${sidecar?.log().slice(-5_000)}`,
            { cause: error },
          );
        } finally {
          await sidecar?.stop();
          await Deno.remove(dir, { recursive: true });
        }
      },
    });
  }
  await server.shutdown();
});

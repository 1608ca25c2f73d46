import assert from "node:assert/strict";
import { join } from "node:path";
import { createClock } from "../../src/clock.ts";
import type { Observation } from "../../src/model.ts";
import { createSnapshotReader } from "../../src/watch/snapshot.ts";
import { createTestConfig } from "../support/config.ts";
import { createKubeletVolume, type KubeletVolume } from "../support/kubelet.ts";
import { test } from "../support/strict.ts";

const signal = new AbortController().signal;

interface Bench {
  readonly volume: KubeletVolume;
  /** The payload file itself. */
  readonly payload: string;
  /** One quiet look, and how many files it opened. */
  look(): Promise<{ found: Observation; opened: number }>;
}

/** Looks at a volume with one file until nothing has to be opened for it. */
async function inVolume(body: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "still_" }));
  const volume = createKubeletVolume(join(dir, "volume"), { "a.yaml": "one" });
  const reader = createSnapshotReader(
    createTestConfig({ configFiles: [volume.path("a.yaml")] }),
    createClock(),
  );
  const { open } = Deno;
  let opened = 0;
  Deno.open = (...args) => (opened++, open(...args));
  const look = async () => {
    const before = opened;
    const found = await reader.look({ signal, quiet: true });
    return { found, opened: opened - before };
  };
  try {
    await look();
    const second = await look();
    const third = await look();
    assert.equal(third.opened, 0, "what is still needs no opening");
    assert.equal(third.found, second.found);
    await body({ volume, payload: Deno.realPathSync(volume.path("a.yaml")), look });
  } finally {
    Deno.open = open;
    reader.close();
    Deno.removeSync(dir, { recursive: true });
  }
}

function digestOf({ found }: { found: Observation }): string {
  assert.ok(found.kind === "content", JSON.stringify(found));
  return found.snapshot.digest;
}

test("a swap is found by a quiet look, and the next content is still again", () =>
  inVolume(async ({ volume, look }) => {
    const before = digestOf(await look());
    volume.swap({ "a.yaml": "two" });
    assert.notEqual(digestOf(await look()), before);
    await look();
    assert.equal((await look()).opened, 0);
  }));

test("other bytes of the same length under the same times are found: it is the content that is compared", () =>
  inVolume(async ({ payload, look }) => {
    const before = digestOf(await look());
    const { mtime } = Deno.statSync(payload);
    // The change time that Deno gives has whole seconds: within one, nothing but the bytes tells.
    const wait = 1000 - Date.now() % 1000;
    if (wait < 300) await createClock().sleep(wait);
    Deno.writeTextFileSync(payload, "eno");
    Deno.utimeSync(payload, mtime!, mtime!);
    assert.notEqual(digestOf(await look()), before);
  }));

test("a FIFO in the file's place and a volume that is gone are no still content", () =>
  inVolume(async ({ volume, payload, look }) => {
    Deno.removeSync(payload);
    await new Deno.Command("mkfifo", { args: [payload] }).output();
    assert.notEqual((await look()).found.kind, "content");
    Deno.removeSync(join(volume.dir, "..data"));
    assert.notEqual((await look()).found.kind, "content");
  }));

test("an ordinary look is made now and then, and whoever asks for one gets it", () =>
  inVolume(async ({ look }) => {
    let opened = 0;
    for (let i = 0; i < 24; i++) opened += (await look()).opened;
    assert.ok(opened >= 2 && opened <= 8, `${opened} files were opened in 24 looks`);
  }));

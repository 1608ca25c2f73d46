/** Links that lead to /proc, /sys and /dev: their content is the kernel's, or the environment of this process. */

import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { createSnapshotReader } from "../../src/watch/reader.ts";
import { createTestConfig } from "../support/config.ts";
import { testInDir } from "../support/in_dir.ts";

const FILES = { environ: "/proc/self/environ", sys: "/sys/kernel/uevent_seqnum", zero: "/dev/zero" };

testInDir(
  "links to /proc, /sys and /dev are left out of a watched directory, and an error of a named file",
  async (dir) => {
    const conf = `${dir}/conf`;
    Deno.mkdirSync(conf);
    Deno.writeTextFileSync(`${conf}/a`, "a");
    const look = async (watched: { configFiles: string[] } | { watchedDirs: string[] }) => {
      const config = createTestConfig({ configFiles: [], delayIntervalMs: 0, ...watched });
      return await createSnapshotReader(config, createClock())
        .look({ signal: new AbortController().signal });
    };
    for (const [name, target] of Object.entries(FILES)) {
      Deno.symlinkSync(target, `${conf}/${name}`);
      const named = await look({ configFiles: [`${conf}/${name}`] });
      const error = named.kind === "unreadable" ? named.files[0]!.error : named.kind;
      assert.match(
        error!,
        /^(a link that leads to \/\w+ is not followed|a device, not a regular file)$/,
        name,
      );
    }
    for (const tree of ["/proc/self", "/sys/kernel"]) {
      Deno.symlinkSync(tree, `${conf}/${tree.split("/")[1]}-tree`);
    }
    for (
      const config of [{ watchedDirs: [`${conf}/proc-tree`] }, { configFiles: [`${conf}/proc-tree/s*`] }]
    ) {
      const itself = await look(config);
      assert.ok(itself.kind === "unreadable", "a directory that is such a link itself");
      assert.deepEqual(itself.files.map(({ error }) => error), [
        "a link that leads to /proc is not followed",
      ]);
    }
    const found = await look({ watchedDirs: [conf] });
    assert.ok(found.kind === "content", JSON.stringify(found));
    assert.deepEqual(found.snapshot.files.map(({ path }) => path), [`${conf}/a`]);
  },
);

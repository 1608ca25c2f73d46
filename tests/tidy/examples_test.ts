/**
 * Each exported function and class of `src` has an example in its doc comment, which `deno task ok` runs, or stands here
 * with the reason why it has none.
 */

import assert from "node:assert/strict";
import { test } from "../support/strict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** No small example can show what these do; the tests that do are named where it is not the file of the same name. */
const WITHOUT: Readonly<Record<string, readonly string[]>> = {
  "the loop and an attempt drive every port there is (tests/loop/attempt_test.ts, tests/support/simulation.ts)":
    [
      "src/loop/attempt.ts: attemptReload",
      "src/loop/attempt_steps.ts: baselineOf",
      "src/loop/recorder.ts: createRecorder",
      "src/loop/signal_attempt.ts: attemptBySignal",
      "src/loop/start_check.ts: checkStart",
      "src/loop/target_watch.ts: createTargetWatch",
      "src/loop/verification.ts: verifyReload",
    ],
  "where it fails nothing ever ends": ["src/watch/open_watcher.ts: closeWatcher"],
  "puts values together: an example would repeat its code": [
    "src/loop/attempt_steps.ts: report",
    "src/loop/attempt_steps.ts: triggerTimes",
    "src/loop/attempt_steps.ts: unsent",
  ],
  "one step of a look at the disk, on what the steps before it have made: see `createSnapshotReader`": [
    "src/watch/compare.ts: areInVolumes",
    "src/watch/compare.ts: compareLook",
    "src/watch/compare.ts: isFresh",
    "src/watch/content.ts: countContent",
    "src/watch/content.ts: countErrors",
    "src/watch/entries.ts: closeLook",
    "src/watch/entries.ts: createMemory",
    "src/watch/entries.ts: differs",
    "src/watch/entries.ts: entriesToClose",
    "src/watch/entries.ts: hasMoved",
    "src/watch/entries.ts: takeEntries",
    "src/watch/listings.ts: createRecording",
    "src/watch/listings.ts: recallListing",
    "src/watch/look.ts: lookOnce",
    "src/watch/read_all.ts: hashAll",
    "src/watch/read_all.ts: statAll",
    "src/watch/still.ts: createStill",
    "src/watch/volumes.ts: createVolumeFinder",
    "src/watch/walk.ts: createWalker",
  ],
  "a whole command, or a part of `check` that looks at this machine": [
    "src/commands/run.ts: runSidecar",
    "src/commands/check.ts: runCheck",
    "src/commands/check/disk.ts: checkDisk",
    "src/commands/check/server.ts: checkServer",
    "src/commands/check/target.ts: checkTarget",
  ],
  "sockets and their deadlines: clients that are slow, many or hostile are what it is about": [
    "src/http/connect.ts: connect",
    "src/server/connection.ts: serve",
    "src/server/listener.ts: createServer",
    "src/server/pool.ts: createPool",
    "src/server/tls_rotation.ts: watchTlsFiles",
  ],
  "shows a whole `StatusView` (tests/server/page_test.ts)": [
    "src/server/page.ts: renderPage",
    "src/server/page_sections.ts: content",
    "src/server/page_sections.ts: target",
    "src/server/page_sections.ts: watcher",
    "src/server/page_sections.ts: timeline",
    "src/server/page_sections.ts: settings",
    "src/server/page_sections.ts: time",
  ],
  "wants a source for every metric: see `createMetrics`": ["src/observe/exposition.ts: createExposition"],
};

interface Export {
  /** `path: name`, as in `WITHOUT`. */
  readonly id: string;
  /** The doc comment before it. */
  readonly doc: string;
}

function listExports(dir: string): Export[] {
  return [...Deno.readDirSync(ROOT + dir)].flatMap((entry) => {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) return listExports(path);
    const found = Deno.readTextFileSync(ROOT + path).matchAll(
      /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?^export (?:async )?(?:function\*?|(?:abstract )?class) (\w+)/gm,
    );
    return [...found].map(([, doc = "", name]) => ({ id: `${path}: ${name}`, doc }));
  });
}

const EXPORTS = listExports("src");
const EXCUSED = Object.values(WITHOUT).flat();

/** An example without an assertion would pass whatever the code does. */
const hasExample = ({ doc }: Export) => /\n \* ```ts\n(?:(?!```)[\s\S])*assert/.test(doc);

test("each exported function and class has an example that asserts something, or a reason", () => {
  assert.ok(EXPORTS.length > 150);
  const missing = EXPORTS.filter((one) => !hasExample(one)).map(({ id }) => id);
  assert.deepEqual(missing.filter((id) => !EXCUSED.includes(id)), []);
});

test("no reason is given for what has an example or is gone", () => {
  const wanting = EXPORTS.filter((one) => !hasExample(one)).map(({ id }) => id);
  assert.deepEqual(EXCUSED.filter((id) => !wanting.includes(id)), []);
});

/**
 * Content that takes memory: a few bytes that stand for many, in the 50 MiB that the manifests give. From source, where
 * the program itself takes more, the limit is 160.
 */

import assert from "node:assert/strict";
import { createGroup, readMemory } from "../../../bench/lab.ts";
import { BINARY, createScene, gzipZeros, requireRoot } from "../../support/scene.ts";
import { STRICT, test } from "../../support/strict.ts";

const MIB = 1048576;

const rows = (row: string, sizeBytes: number) => row.repeat(Math.ceil(sizeBytes / row.length));

const TOO_LARGE = "too large to be validated as YAML";
const UNPACKED = "unpacked larger than 8388608 bytes";
const WITHIN = "just within the limit";

/** Content, the flag that looks at it, and how the log begins to say what is wrong with it; empty where nothing is. */
const CASES: readonly [string, () => Promise<Uint8Array> | string, string, string][] = [
  ["40 MB of zeros as gzip", () => gzipZeros(40e6), "--config-envsubst-file=OUT", UNPACKED],
  ["1 GB of zeros as gzip", () => gzipZeros(1e9), "--validate=json", UNPACKED],
  ["8 MiB as gzip, variables", () => gzipZeros(8 * MIB), "--config-envsubst-file=OUT", ""],
  ["as much as --max-file-size", () => rows("a", 16 * MIB), "--config-envsubst-file=OUT", ""],
  ["variables", () => rows("$(LONG)", 900_000), "--config-envsubst-file=OUT", ""],
  ["JSON lists", () => `[${rows("[],", 1_000_000)}`, "--validate=json", "no valid JSON"],
  ["YAML dashes", () => rows("- ", 800_000), "--validate=yaml", "Nested too deep"],
  ["YAML brackets", () => rows("[", 800_000), "--validate=yaml", "Nested too deep"],
  ["YAML items", () => rows("-\n", 800_000), "--validate=yaml", TOO_LARGE],
  [`YAML lists, ${WITHIN}`, () => `[${rows("[],", 14_900)}`, "--validate=yaml", "no valid YAML"],
  [`YAML commas, ${WITHIN}`, () => `[${rows(",", 14_900)}`, "--validate=yaml", "no valid YAML"],
  [`YAML items, ${WITHIN}`, () => `${rows("-\n", 29_000)}[`, "--validate=yaml", "no valid YAML"],
  [`YAML keys, ${WITHIN}`, () => `${rows("a:\n", 22_000)}[`, "--validate=yaml", "no valid YAML"],
  [`YAML documents, ${WITHIN}`, () => `${rows("---\n", 59_000)}[`, "--validate=yaml", "no valid YAML"],
  [`YAML empty lines, ${WITHIN}`, () => `${rows("\n", 70_000)}[`, "--validate=yaml", "no valid YAML"],
];

test("content that takes memory stays within 50 MiB (160 from source), and what comes after it is applied", async (t) => {
  requireRoot("it makes a control group");
  for (const [what, create, flag, reason] of CASES) {
    await t.step({
      ...STRICT,
      name: what,
      fn: async () => {
        using group = createGroup({ memoryBytes: (BINARY ? 50 : 160) * MIB });
        await using scene = await createScene();
        const sidecar = await scene.begin({
          prefix: group.enter,
          args: [flag.replace("OUT", `${scene.dir}/out.yaml`)],
          env: { LONG: "x".repeat(60) },
        });
        await scene.applied(await scene.swap('{"version": 1}\n'));
        const anonymous = () => readMemory([sidecar.pid]).anonymousBytes;
        const before = anonymous();
        let peak = before;
        const timer = setInterval(() => peak = Math.max(peak, anonymous()), 3);
        try {
          scene.volume.swap({ "config.yaml": await create() });
          if (reason === "") {
            await sidecar.metricIs("config_reload_successes_total", (value) => value >= 2);
          } else await sidecar.logged(reason);
        } finally {
          clearInterval(timer);
        }
        const limit = (BINARY ? 0 : 40) + (flag === "--validate=yaml" ? 26 : 24);
        const grown = (peak - before) / MIB;
        assert.ok(grown < limit, `${grown.toFixed(1)} MiB more at the peak, at most ${limit}`);
        await sidecar.healthz();
        await scene.applied(await scene.swap('{"version": 2}\n'));
        assert.equal(group.kills(), 0);
      },
    });
  }
});

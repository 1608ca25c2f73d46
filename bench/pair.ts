// deno-lint-ignore-file no-console -- a command's output
/**
 * `deno run -A bench/pair.ts [--swaps N] NAME=BINARY…`: swap → SIGHUP of several builds of this product in one run and in
 * turns, each in a pod of its own, so that a slow minute of the machine falls on all of them. Swaps come at random
 * moments; one build's are at least 1.25 s apart (its `--min-reload-interval`). Needs root and a C compiler.
 */

import { createBay } from "./bay.ts";
import { percentile } from "./cases.ts";
import { createMonotonicClock, makeWorkDir, path, run, sleep } from "./lab.ts";
import { productTool, type Toolbox } from "./tools.ts";

const args = [...Deno.args];
const swaps = args[0] === "--swaps" ? Number(args.splice(0, 2)[1]) : 150;
const builds = args.map((arg) => arg.split("=") as [string, string]);
if (builds.length === 0 || builds.some(([, binary]) => !binary)) {
  console.error("usage: deno run -A bench/pair.ts [--swaps N] NAME=BINARY…");
  Deno.exit(2);
}

const dir = makeWorkDir();
const app = path(dir, "app");
await run("cc", ["-O2", "-o", app, path(import.meta.dirname!, "app.c")]);
const pause = path(dir, "pause");
Deno.copyFileSync(app, pause);
const toolbox: Toolbox = { tools: [], app, pause, absent: [] };
const clock = createMonotonicClock();
const bays = [];
for (const [name, binary] of builds) {
  const tool = { ...productTool([binary], "", binary), name };
  bays.push(await createBay(tool, { dir, toolbox, clock }));
}
try {
  await sleep(2000);
  for (let round = 0; round <= swaps; round++) {
    const began = performance.now();
    const order = bays.map((bay) => ({ bay, key: Math.random() })).sort((a, b) => a.key - b.key);
    for (const { bay } of order) {
      bay.swap();
      await bay.triggered(500);
      await sleep(300 + Math.random() * 1000 / bays.length);
    }
    await sleep(Math.max(0, 1250 - (performance.now() - began)));
    // In another order the next round's swap may follow this one's at once.
    await sleep(700);
  }
  await sleep(1000);
  console.log("build          swaps missed    p25    p50    p75    p95    p99    max  first  cpu/change");
  for (const bay of bays) {
    const [first, ...delays] = bay.delays();
    const times = delays.flatMap((delay) => delay.ms ?? []);
    const ms = (value: number | null) => (value?.toFixed(2) ?? "-").padStart(6);
    const cells = [0.25, 0.5, 0.75, 0.95, 0.99, 1].map((share) => ms(percentile(times, share)));
    const missed = delays.filter((delay) => delay.ms === null).length;
    const cpu = (bay.group.cpuMs() - bay.ready!.cpuMs) / (swaps + 1);
    console.log(
      `${bay.tool.name.padEnd(14)} ${String(delays.length).padStart(5)} ${String(missed).padStart(6)} ${
        cells.join(" ")
      } ${ms(first!.ms)} ${ms(cpu)}`,
    );
  }
} finally {
  for (const bay of bays) await bay.remove();
  Deno.removeSync(dir, { recursive: true });
}

// deno-lint-ignore-file no-console -- what it prints is its output
/**
 * `deno task fuzz [--seed N] [--runs M] [--fleet]`: the simulation, or that of a fleet, over M seeds from N (by default 1,000
 * from a random one), or one seed with `--runs 1`. Prints each seed that breaks an invariant and ends with 1 if there was one.
 * `--trace` prints each step of the loop, for one seed.
 */

import { readFlags, wholeNumber } from "../scripts/command_line.ts";
import { simulateFleet } from "./support/fleet_simulation.ts";
import { simulate } from "./support/simulation.ts";

const USAGE = `usage: deno task fuzz [--seed N] [--runs M] [--trace | --fleet]
  --seed N   the first seed; random without it
  --runs M   how many seeds, 1000 without it
  --trace    print every step of the loop: [phase] event -> [phase] effect
  --fleet    pods that take turns through one Lease, instead of one sidecar`;
const { seed, runs: count, trace, fleet } = readFlags(USAGE, {
  seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
  runs: { type: "string", default: "1000" },
  trace: { type: "boolean", default: false },
  fleet: { type: "boolean", default: false },
});
const first = wholeNumber("seed", seed);
const runs = wholeNumber("runs", count);
console.log(`${runs} runs from seed ${first}`);
const totals: Record<string, number> = {};
const add = (name: string, value: number) => totals[name] = (totals[name] ?? 0) + value;
const startMs = performance.now();
let broken = 0;
for (let seed = first; seed < first + runs; seed++) {
  try {
    if (fleet) {
      const { lastMs: _, ...counts } = simulateFleet(seed);
      for (const [name, value] of Object.entries(counts)) add(name, value);
      continue;
    }
    const { attempts, signals, outcomes } = await simulate(
      seed,
      "now",
      trace ? (line) => console.log(line) : null,
    );
    for (const [name, value] of Object.entries({ attempts, signals, ...outcomes })) add(name, value);
  } catch (error) {
    broken++;
    // The first ones whole; of more, which seeds.
    const text = error instanceof Error ? error.message : String(error);
    console.error(broken <= 3 ? `\n${text}` : text.split("\n")[0]);
  }
}
console.log(JSON.stringify(totals));
console.log(
  `${runs - broken} passed, ${broken} failed (${Math.round((performance.now() - startMs) / 100) / 10} s)`,
);
Deno.exit(broken === 0 ? 0 : 1);

// deno-lint-ignore-file no-console -- what it prints is its output
/**
 * `deno task fuzz [--seed N] [--runs M]`: the simulation over M seeds from N (by default 1,000 from a random one), or one seed
 * with `--runs 1`. Prints each seed that breaks an invariant and ends with 1 if there was one.
 */

import { simulate } from "./support/simulation.ts";

/** The value of `--name N` or `--name=N`. @throws where it is no whole number. */
function option(name: string, otherwise: number): number {
  const index = Deno.args.findIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
  if (index < 0) return otherwise;
  const text = Deno.args[index]!.split("=")[1] ?? Deno.args[index + 1] ?? "";
  if (!/^\d+$/.test(text)) throw new Error(`--${name}: "${text}" is no whole number`);
  return Number(text);
}

const first = option("seed", Math.floor(Math.random() * 1e9));
const runs = option("runs", 1_000);
console.log(`${runs} runs from seed ${first}`);
const totals = { attempts: 0, signals: 0, success: 0, rejected: 0, failed: 0, timeout: 0, invalid: 0 };
const startMs = performance.now();
let broken = 0;
for (let seed = first; seed < first + runs; seed++) {
  try {
    const { attempts, signals, outcomes } = await simulate(seed);
    totals.attempts += attempts;
    totals.signals += signals;
    for (const [outcome, count] of Object.entries(outcomes)) {
      totals[outcome as keyof typeof outcomes] += count;
    }
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

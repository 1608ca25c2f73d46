/** The sidecar beside an app that a test has started, and what the sidecar's metrics have to come to. */

import assert from "node:assert/strict";
import { ready, type Sidecar, startSidecar } from "./scene.ts";

/** `never`, since a second is long for an app that was started only just now. */
export const ALWAYS: readonly string[] = ["--interval", "500ms", "--reload-on-start", "never"];
/** The same, with retries that do not keep a test waiting. */
export const QUICK: readonly string[] = [...ALWAYS, "--retry-interval", "300ms", "--max-backoff", "600ms"];

/** How long a change may take until it is proved, in milliseconds. */
const PROOF_MS = 60_000;

/** Starts the sidecar with `args` beside an app, runs `fn`, and stops it whatever happens. */
export async function beside(
  app: { log(): string },
  args: readonly string[],
  fn: (sidecar: Sidecar) => Promise<void>,
): Promise<void> {
  const sidecar = await startSidecar({ args });
  try {
    await ready(sidecar);
    await fn(sidecar);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n--- sidecar:\n${sidecar.log()}\n--- app:\n${app.log()}`, {
      cause: error,
    });
  } finally {
    await sidecar.stop();
  }
}

/** Waits until so many reloads are proved, no more, and the app runs what is on disk. */
export async function successes(sidecar: Sidecar, wanted: number): Promise<void> {
  await sidecar.metricIs("config_reload_successes_total", (value) => value >= wanted, PROOF_MS);
  assert.equal(await sidecar.metric("config_reload_successes_total"), wanted);
  assert.equal(await sidecar.metric("config_reload_in_sync"), 1);
}

/** Waits until a reload has ended like this, and the app does not run what is on disk. */
export async function ended(sidecar: Sidecar, outcome: string): Promise<void> {
  const name = `config_reload_outcomes_total{outcome="${outcome}"}`;
  await sidecar.metricIs(name, (value) => value >= 1, PROOF_MS);
  assert.equal(await sidecar.metric("config_reload_in_sync"), 0);
}

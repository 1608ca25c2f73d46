/** Whether the app lives on after its reload, with a good status: what `--rollout-soak` waits for. Changes nothing. */

import type { Config } from "../config.ts";
import type { Target } from "../model.ts";
import type { StatusProbe, TargetPort } from "../ports.ts";
import { hasFailed } from "../reload/start.ts";

/** How many reads of the status may fail in a row: one may meet the app at a bad moment. */
const ERRORS_MAX = 2;

/** Makes the check; it returns what is wrong, or null. `target` is the process that was signalled, where there was one. */
export function createAppCheck(
  { config, target: targets, probe }: {
    readonly config: Pick<Config, "verify">;
    readonly target: Pick<TargetPort, "isAlive">;
    readonly probe: StatusProbe;
  },
): (target: Target | null, signal: AbortSignal) => Promise<string | null> {
  let errors = 0;
  return async (target, signal) => {
    if (target !== null && !targets.isAlive(target)) {
      return `its app died soon after the reload (${target.name}, PID ${target.pid})`;
    }
    if (config.verify === "none") return null;
    const reading = await probe.read(signal);
    if (reading.kind === "error") {
      errors++;
      return errors > ERRORS_MAX ? `its app no longer answers after the reload: ${reading.reason}` : null;
    }
    errors = 0;
    return hasFailed(reading.status) ? "its app says after the reload that it failed" : null;
  };
}

/** What the sidecar that runs in this container says of itself by `/status`: its target, and whether it is in sync. */

import type { Config } from "../../config.ts";
import type { StatusView, Target } from "../../model.ts";
import type { ProcReader } from "../../proc/reader.ts";
import { shortHash } from "../../text.ts";
import { askOwn } from "../healthcheck.ts";
import { type Finding, findingsIn } from "./finding.ts";

const say = findingsIn("running");

/** Its status; null where it does not answer, or not without a password. */
export async function askRunning(config: Config): Promise<StatusView | null> {
  try {
    const view = JSON.parse(await askOwn(config, "/status") ?? "null");
    return typeof view?.inSync === "boolean" ? view : null;
  } catch {
    return null;
  }
}

/** Its target: a debug container would make it ambiguous for a newcomer, and does not for it. Null where it has none. */
export function knownTarget({ target }: StatusView, reader: ProcReader): Target | null {
  if (!target?.ok || target.pid === null) return null;
  const stat = reader.stat(target.pid);
  if (stat === null || stat === "hidden") return null;
  const { pid, startTicks, comm } = stat;
  const { name, uid, handled, message } = target;
  const reason = message.slice(message.indexOf("): ") + 3);
  return { pid, startTicks, comm, name: name!, uid: uid!, startedAtMs: 0, reason, handled: !!handled };
}

/** Whether it is in sync, and if not, what its last reload came to. */
export function checkRunning({ inSync, appliedDigest, reloads, fix }: StatusView): Finding {
  if (inSync) return say("ok", "in-sync", `It is in sync: the app runs hash ${shortHash(appliedDigest)}`);
  const [last] = reloads;
  const why = last === undefined
    ? "no reload was tried yet"
    : last.outcome === "in progress"
    ? "a reload is in progress"
    : `its last reload ended with ${last.outcome}: ${last.reason || "its log says more"}`;
  return say("warn", "not-in-sync", `It is not in sync: ${why}`, fix);
}

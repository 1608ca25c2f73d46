/**
 * Whether the chosen process would survive the signal and act on it. Pure on a table; the last check before a
 * process is a target. Must never call a process ready whose handler has not been seen.
 */

import { displayName, type ProcessStat } from "../proc/process.ts";
import { hasSignal } from "../linux.ts";
import type { Resolution, Target } from "../model.ts";
import { isDead, none } from "./rules.ts";
import { processText } from "../text.ts";
import { type ProcessTable, TICK_MS } from "./table.ts";

/** What the user says of the signal. */
export interface SignalOptions {
  readonly signal: Deno.Signal;
  readonly allowUnhandled: boolean;
}

/** An app younger than this without a handler has not finished starting (contract: choosing the target). */
export const STARTING_MS = 5000;

/** Makes the resolution of a chosen process. `nowMs` is that of the monotonic clock, for the time of its start. */
export function judgeHandler(
  table: ProcessTable,
  stat: ProcessStat,
  reason: string,
  nowMs: number,
  options: SignalOptions,
): Resolution {
  const { signal } = options;
  const uid = table.status(stat.pid)?.uid;
  if (uid === undefined) return gone(stat);
  const ageMs = table.ageMs(stat);
  const young = ageMs < STARTING_MS;
  const caught = hasSignal(stat.caught, signal);
  // A signalfd (systemd, s6) shows as blocked; a thread in sigwait shows as neither blocked nor caught, and cannot be told
  // from one that would die. A program also blocks signals between fork and exec: a young one gets no credit for it.
  const waitsFor = !caught && !young && hasSignal(stat.blocked, signal) && table.blocks(stat.pid, signal);
  const target: Target = {
    pid: stat.pid,
    startTicks: stat.startTicks,
    comm: stat.comm,
    name: displayName(stat, table.argv(stat.pid)),
    uid,
    // Never later than the truth: both the start and the uptime are cut to ticks of 10 ms.
    startedAtMs: Math.round(nowMs - ageMs - TICK_MS),
    reason,
    handled: caught || waitsFor,
  };
  const who = processText(target.pid, target.name, uid);
  if (young && (!target.handled || isPerhapsRuntime(table, stat, uid))) {
    // One that has begun to end since the table was read has lost its executable, too.
    const now = table.statNow(stat.pid);
    if (now === null || now.startTicks !== stat.startTicks || isDead(now)) return gone(stat);
    return {
      kind: "starting",
      target,
      message: `${who} has not finished starting: no handler for ${signal} yet`,
    };
  }
  if (target.handled || options.allowUnhandled) return { kind: "target", target };
  return unhandled(who, hasSignal(stat.ignored, signal), signal);
}

/**
 * The runtime's init under an unknown name: not dumpable, so that even its own user may not read its executable,
 * and its handlers are the runtime's own. Some applications (with file capabilities) look the same, but do not become
 * another program within their first seconds: so this counts only against a young process.
 */
function isPerhapsRuntime(table: ProcessTable, stat: ProcessStat, uid: number): boolean {
  if (table.argv(stat.pid).length === 0) return true;
  return uid === table.selfUid && table.exe(stat.pid) === null;
}

function gone({ pid }: ProcessStat): Resolution {
  return none("not-there", `Cannot signal PID ${pid}: it has just ended`, true);
}

function unhandled(who: string, ignored: boolean, signalName: string): Resolution {
  const ways = `let the application handle ${signalName}, choose another --signal, or use --trigger http`;
  const message = ignored
    ? `Cannot reload ${who} with ${signalName}: it ignores ${signalName}, so nothing would happen; ${ways}`
    : `Cannot send ${signalName} to ${who}: it has no handler for it and would die of it; ${ways} ` +
      "(--allow-unhandled-signal sends it all the same, for a program that takes it with sigwait)";
  return none("no-handler", message);
}

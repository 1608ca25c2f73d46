/**
 * Sends the signal: the only file that calls `Deno.kill` with a real signal. Whatever was known before, the number is
 * checked to be one process, and that process to be the one that was looked up, right before the call. Must never be
 * handed a bare PID.
 */

import type { ReloadCode } from "../codes.ts";
import type { Clock } from "../ports.ts";
import type { Target, TriggerResult } from "../model.ts";
import type { ProcReader } from "../proc/reader.ts";
import { hasSignal, isPid, PID_MAX } from "../linux.ts";
import type { SignalOptions } from "./handler.ts";
import { isDead } from "./rules.ts";
import { messageOf } from "../text.ts";

/** `Deno.kill`, or a fake; 0 only asks whether the signal would be permitted (kill(2)). */
export type Kill = (pid: number, signal: Deno.Signal | 0) => void;

/** The real thing. Deno takes the number 0, its types do not say so. */
export const denoKill: Kill = (pid, signal) => Deno.kill(pid, signal as Deno.Signal);

/** What sending needs of the world. */
export interface SendEffects {
  readonly reader: ProcReader;
  readonly clock: Clock;
  readonly kill: Kill;
}

/** Sends the signal to the target if it still is exactly that process; never throws. */
export function sendSignal(effects: SendEffects, target: Target, options: SignalOptions): TriggerResult {
  const { reader, clock, kill } = effects;
  const problem = identityProblem(reader, target, options);
  if (problem) return problem;
  const [atMs, wallMs] = [clock.nowMs(), clock.wallMs()];
  try {
    kill(target.pid, options.signal);
    return { kind: "sent", atMs, wallMs };
  } catch (error) {
    return killProblem(target, options.signal, error);
  }
}

/** Whether the user may signal the target, by signal 0; null where it is gone. */
export function maySignal(kill: Kill, target: Target): boolean | null {
  if (!isPid(target.pid) || target.pid === Deno.pid) return false;
  try {
    kill(target.pid, 0);
    return true;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? null : false;
  }
}

/** Why the target is no longer the process that was looked up; null where it is. The guards, in the order of their cost. */
export function identityProblem(
  reader: ProcReader,
  { pid, name, startTicks, comm }: Target,
  { signal, allowUnhandled }: SignalOptions,
): TriggerResult | null {
  const refuse = (code: ReloadCode, why: string) =>
    notSent(code, `Cannot signal PID ${pid} (${name}): ${why}`);
  if (!isPid(pid)) return refuse("bad-pid", `a PID is an integer from 1 to ${PID_MAX}`);
  if (pid === Deno.pid) return refuse("self", "it is config-reloader itself");
  const stat = reader.stat(pid);
  if (stat === null || stat === "hidden" || isDead(stat)) {
    return refuse("not-there", "it has ended since it was looked up");
  }
  if (stat.startTicks !== startTicks || stat.comm !== comm) {
    return refuse("changed", `it is another process now (${stat.comm}) than the one looked up (${comm})`);
  }
  // A handler is lost through exec, which keeps PID, start time and perhaps the name.
  return allowUnhandled || hasSignal(stat.caught | stat.blocked, signal)
    ? null
    : refuse("no-handler", `its handler for ${signal} is gone since it was looked up`);
}

function killProblem(target: Target, signal: Deno.Signal, error: unknown): TriggerResult {
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return notSent("permission", permissionText(target, signal));
  }
  const [code, why] = error instanceof Deno.errors.NotFound
    ? ["not-there", "it has ended since it was looked up"] as const
    : ["kill", messageOf(error)] as const;
  return notSent(code, `Cannot send ${signal} to PID ${target.pid} (${target.name}): ${why}`);
}

/** The text for EPERM: both users and the fix. */
export function permissionText(target: Target, signal: string): string {
  const own = Deno.uid() ?? -1;
  const start = `Cannot send ${signal} to PID ${target.pid} (${target.name}): operation not permitted, `;
  if (own === target.uid) {
    return start +
      `although both it and config-reloader run as user ${own}; a security module (AppArmor, SELinux, ` +
      "seccomp) or a user namespace forbids it: give both containers the same securityContext";
  }
  const both = own === 0
    ? `config-reloader runs as user 0 without the capability KILL`
    : `config-reloader runs as user ${own}`;
  return start +
    `since it runs as user ${target.uid} and ${both}; set securityContext.runAsUser to the same ` +
    `value in both containers, for example runAsUser: ${target.uid} for config-reloader`;
}

function notSent(code: ReloadCode, message: string): TriggerResult {
  return { kind: "not-sent", code, message };
}

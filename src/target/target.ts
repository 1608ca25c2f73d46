/**
 * The target port: puts together the table, the choice, the handler check, the identity check and the signal. It
 * remembers no process between two calls: the target of before is a value that goes in.
 */

import { wallMsAt } from "../clock.ts";
import type { Config } from "../config.ts";
import { localPort } from "../local_port.ts";
import type { Resolution, Target, TargetView } from "../model.ts";
import type { Clock, TargetPort } from "../ports.ts";
import { createProcReader, type ProcReader } from "../proc/reader.ts";
import { judgeHandler, STARTING_MS } from "./handler.ts";
import { describe, isDead, none, type Notes } from "./rules.ts";
import { select } from "./select.ts";
import { denoKill, identityProblem, maySignal, permissionText, sendSignal } from "./send.ts";
import { createAppMountsReader } from "./app_mounts.ts";
import { readTable } from "./table.ts";
import { messageOf, processText } from "../text.ts";
import { isWrapperName } from "./tree.ts";
import { createWanted, pidFileProblem, type Wanted } from "./wanted.ts";

/** A target port that also tells, for `check`, what it found out about each process: `PID 7 (amp, user 1000): matches`. */
export interface TargetFinder extends TargetPort {
  resolve(previous: Target | null, notes?: Notes): Resolution;
}

/** A PID file this much older than the process it names is about another process, in ms; clocks may be stepped. */
const PID_FILE_AGE_MS = 60_000;

/** Makes the port; nothing is read before its first use. */
export async function createTargetPort(
  config: Config,
  { clock, reader = createProcReader() }: { readonly clock: Clock; readonly reader?: ProcReader },
): Promise<TargetFinder> {
  const wantedNow = await createWanted(config);
  const port = localPort(config.reloadUrl, isOwnAddress);
  const options = { signal: config.signal, allowUnhandled: config.allowUnhandledSignal };
  // With --verify none nothing is asked of the status URL, so that it need not be there.
  const mustListen = port !== null && config.verify !== "none";

  /**
   * The target of before stays where it is the one that is named, or for `--pid auto` listened when it was chosen, whatever
   * has come since (contract: choosing the target). So no table is read on the way to the signal, which takes 0.5 ms.
   */
  const isKept = (previous: Target, wanted: Wanted): boolean =>
    (wanted.kind === "pid" ? wanted.pid === previous.pid : wanted.kind === "auto" && mustListen) &&
    previous.handled && !isWrapperName(previous.comm) &&
    clock.nowMs() - previous.startedAtMs > STARTING_MS &&
    identityProblem(reader, previous, options) === null;

  const resolve: TargetFinder["resolve"] = (previous, notes) => {
    try {
      const wanted = wantedNow();
      if (wanted.kind === "none") return wanted;
      if (previous !== null && !notes && isKept(previous, wanted)) {
        return { kind: "target", target: previous };
      }
      const table = readTable(reader, performance.now());
      const chosen = select(table, { wanted, signal: config.signal, port, mustListen, previous }, notes);
      for (const [pid, note] of notes ?? []) {
        notes!.set(pid, `${describe(table, table.processes.get(pid)!)}: ${note}`);
      }
      if (chosen.kind === "none") return chosen;
      // Just before the uptime is read: under a CPU limit a process may be stopped for long between two lines.
      const nowMs = clock.nowMs();
      const found = judgeHandler(table, chosen.stat, chosen.reason, nowMs, options);
      return found.kind !== "none" && isLeftOver(wanted, found.target, clock)
        ? pidFileProblem(
          config.pidFile!,
          `it is older than the process it names, PID ${found.target.pid} (${found.target.name})`,
        )
        : found;
    } catch (error) {
      // /proc unreadable or another namespace's: the texts of the table say which and what to do.
      return none("bad-proc", messageOf(error));
    }
  };

  return {
    resolve,
    isAlive: (target) => {
      const stat = reader.stat(target.pid);
      return stat !== null && stat !== "hidden" && stat.startTicks === target.startTicks && !isDead(stat);
    },
    send: (target) => sendSignal({ reader, clock, kill: denoKill }, target, options),
    staleMounts: createAppMountsReader(config, reader),
    preflight: (found) => viewOf(found, config),
  };
}

/** A PID file from before a restart of the pod names whatever has that number now. */
function isLeftOver(wanted: Wanted, { startedAtMs }: Target, clock: Clock): boolean {
  const writtenWallMs = wanted.kind === "pid" ? wanted.writtenWallMs : undefined;
  return writtenWallMs !== undefined && wallMsAt(clock, startedAtMs) - writtenWallMs > PID_FILE_AGE_MS;
}

/** Whether what was found may be signalled, asked with signal 0. */
function viewOf(found: Resolution, { signal }: Config): TargetView {
  const target = found.kind === "none" ? null : found.target;
  const permitted = target && maySignal(denoKill, target);
  if (target === null || permitted === null) {
    const { code, message, names } = found.kind === "none" ? found : endedSince(target!);
    const unknown = { pid: null, name: null, uid: null, handled: null, permitted: null };
    return { ok: false, code, message, ...unknown, ...(names && { names }) };
  }
  const { pid, name, uid, handled, reason } = target;
  const known = { pid, name, uid, handled, permitted };
  if (!permitted) return { ok: false, code: "permission", message: permissionText(target, signal), ...known };
  if (found.kind === "starting") return { ok: false, code: "starting", message: found.message, ...known };
  const warning = handled
    ? ""
    : `; it has no handler for ${signal} and is signalled all the same (--allow-unhandled-signal)`;
  const message = `${processText(pid, name, uid)}: ${reason}${warning}`;
  return { ok: true, code: "ready", message, ...known };
}

const endedSince = ({ pid, name }: Target) => none("not-there", `PID ${pid} (${name}) has just ended`);

const isOwnAddress = (address: string) => Deno.networkInterfaces().some((face) => face.address === address);

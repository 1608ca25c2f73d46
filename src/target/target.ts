/**
 * The target port: puts together the table, the choice, the handler check, the identity check and the signal. It
 * remembers no process between two calls: the target of before is a value that goes in.
 */

import { wallMsAt } from "../clock.ts";
import type { Config } from "../config.ts";
import type { TargetCode } from "../codes.ts";
import type { Resolution, Target, TargetView } from "../model.ts";
import type { Clock, TargetPort } from "../ports.ts";
import { createProcReader, type ProcReader } from "../proc/reader.ts";
import type { Trace, Wanted } from "./choice.ts";
import { type CmdlinePattern, createCmdlinePattern } from "./cmdline_pattern.ts";
import { judgeHandler, STARTING_MS } from "./handler.ts";
import { isWrapperName } from "./launchers.ts";
import { createPidFileReader, type PidFile } from "./pid_file.ts";
import { isDead } from "./rules.ts";
import { select } from "./select.ts";
import { denoKill, identityProblem, type Kill, maySignal, permissionText, sendSignal } from "./send.ts";
import { createAppMountsReader } from "./stale.ts";
import { readTable } from "./table.ts";
import { messageOf } from "../text.ts";

/** Replaced in tests only. */
export interface TargetDeps {
  readonly clock: Clock;
  readonly reader?: ProcReader;
  readonly kill?: Kill;
}

/** A target port that also reports, for `check`, what it found out about each process. */
export interface TargetFinder extends TargetPort {
  resolve(previous: Target | null, trace?: Trace): Resolution;
}

/** A PID file this much older than the process it names is about another process, in ms; clocks may be stepped. */
const PID_FILE_AGE_MS = 60_000;

/** Makes the port; nothing is read before its first use. */
export async function createTargetPort(config: Config, deps: TargetDeps): Promise<TargetFinder> {
  const { clock, kill = denoKill, reader = createProcReader() } = deps;
  const cmdline = config.processCmdline && await createCmdlinePattern(config.processCmdline);
  const pidFile = config.pidFile === null ? null : await createPidFileReader(config.pidFile);
  const port = localPort(config.reloadUrl);
  const options = { signal: config.signal, allowUnhandled: config.allowUnhandledSignal };
  // With --verify none nothing is asked of the status URL, so that it need not be there.
  const mustListen = port !== null && config.verify !== "none";

  /**
   * `--pid auto`: the target of before that listened when it was chosen stays, whatever has come since (contract: choosing the
   * target). So no table is read on the way to the signal, which takes 0.5 ms.
   */
  const isKept = (previous: Target): boolean =>
    mustListen && previous.handled && !isWrapperName(previous.comm) &&
    clock.nowMs() - previous.startedAtMs > STARTING_MS &&
    identityProblem(reader, previous, options) === null;

  const resolve = (previous: Target | null, trace?: Trace): Resolution => {
    try {
      const asked = wantedBy(config, pidFile?.() ?? null, cmdline);
      if (asked.kind === "problem") {
        return { kind: "none", code: asked.code, message: asked.message, again: true };
      }
      const { wanted } = asked;
      if (wanted.kind === "auto" && previous !== null && !trace && isKept(previous)) {
        return { kind: "target", target: previous };
      }
      const table = readTable(reader, performance.now(), wanted.kind === "pid" ? wanted.pid : undefined);
      const how = { wanted, signal: config.signal, port, mustListen, previous };
      const chosen = select(table, how, trace);
      if (chosen.kind === "none") return chosen;
      // Just before the uptime is read: under a CPU limit a process may be stopped for long between two lines.
      const nowMs = clock.nowMs();
      const found = judgeHandler(table, chosen.stat, chosen.reason, nowMs, options);
      return found.kind === "none" ? found : checkPidFile(found, config, asked.writtenWallMs, clock);
    } catch (error) {
      // /proc unreadable or another namespace's: the texts of the table say which and what to do.
      return {
        kind: "none",
        code: "bad-proc",
        message: messageOf(error),
      };
    }
  };

  const preflight = (found: Resolution): TargetView => {
    if (found.kind === "none") return problemView(found.code, found.message);
    return viewOf(found, maySignal(kill, found.target), config);
  };

  return {
    resolve,
    isAlive: (target) => {
      const stat = reader.stat(target.pid);
      return stat !== null && stat !== "hidden" && stat.startTicks === target.startTicks && !isDead(stat);
    },
    send: (target) => sendSignal({ reader, clock, kill }, target, options),
    staleMounts: createAppMountsReader(config, reader),
    preflight,
  };
}

/** How the settings name the target. */
function wantedBy(config: Config, file: PidFile | null, cmdline: CmdlinePattern | null):
  | { kind: "wanted"; wanted: Wanted; writtenWallMs: number | null }
  | { kind: "problem"; code: TargetCode; message: string } {
  const wanted = (value: Wanted, writtenWallMs: number | null = null) =>
    ({ kind: "wanted", wanted: value, writtenWallMs }) as const;
  if (file !== null) {
    if (file.kind === "problem") return file;
    return wanted({ kind: "pid", pid: file.pid, asked: `--pid-file ${config.pidFile}` }, file.writtenWallMs);
  }
  if (config.processName !== null || cmdline !== null) {
    return wanted({ kind: "match", name: config.processName, cmdline });
  }
  if (config.pid !== "auto") return wanted({ kind: "pid", pid: config.pid, asked: `--pid ${config.pid}` });
  return wanted({ kind: "auto" });
}

/** A PID file left over from before a restart of the pod names whatever has that number now. */
function checkPidFile(
  found: Resolution & { target: Target },
  config: Config,
  writtenWallMs: number | null,
  clock: Clock,
): Resolution {
  const { target } = found;
  const startedWallMs = wallMsAt(clock, target.startedAtMs);
  if (writtenWallMs === null || startedWallMs - writtenWallMs <= PID_FILE_AGE_MS) return found;
  return {
    kind: "none",
    code: "pid-file",
    message:
      `Cannot use PID file ${JSON.stringify(config.pidFile)}: it is older than the process it names, ` +
      `PID ${target.pid} (${target.name}); waiting for the application to write it`,
    again: true,
  };
}

function viewOf(
  found: Resolution & { target: Target },
  permitted: boolean | null,
  config: Config,
): TargetView {
  const { target } = found;
  const { pid, name, uid, handled } = target;
  const known = { pid, name, uid, handled, permitted };
  if (permitted === null) return problemView("not-there", `PID ${pid} (${name}) has just ended`);
  if (!permitted) {
    return { ok: false, code: "permission", message: permissionText(target, config.signal), ...known };
  }
  if (found.kind === "starting") return { ok: false, code: "starting", message: found.message, ...known };
  const warning = handled
    ? ""
    : `; it has no handler for ${config.signal} and is signalled all the same (--allow-unhandled-signal)`;
  return {
    ok: true,
    code: "ready",
    message: `PID ${pid} (${name}, user ${uid}): ${target.reason}${warning}`,
    ...known,
  };
}

function problemView(code: TargetCode, message: string): TargetView {
  return { ok: false, code, message, pid: null, name: null, uid: null, handled: null, permitted: null };
}

/** Port of a status URL on this machine; null for one elsewhere, whose port says nothing about processes here. */
function localPort(reloadUrl: string): number | null {
  if (!URL.canParse(reloadUrl)) return null;
  const { protocol, hostname, port } = new URL(reloadUrl);
  if (protocol !== "http:" && protocol !== "https:") return null;
  const host = hostname.replace(/^\[|\]$/g, "");
  const local = host === "localhost" || host === "::1" || host.startsWith("127.") || host === "0.0.0.0" ||
    (/^[0-9.]+$|:/.test(host) && Deno.networkInterfaces().some((face) => face.address === host));
  return local ? Number(port) || (protocol === "https:" ? 443 : 80) : null;
}

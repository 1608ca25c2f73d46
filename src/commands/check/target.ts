/**
 * Which process would get the signal and why, which others were there, whether it is permitted and handled, and whether that process
 * can see the content. Asks with signal 0 at most.
 */

import { parentOf } from "../../paths.ts";
import type { Config } from "../../config.ts";
import type { Resolution, Target, TargetView } from "../../model.ts";
import { mountOf, parseMountinfo, sameVolume, staleReason } from "../../proc/mountinfo.ts";
import { displayName, type ProcessStat } from "../../proc/process.ts";
import type { ProcReader } from "../../proc/reader.ts";
import { watchedMounts } from "../../target/stale.ts";
import type { TargetFinder } from "../../target/target.ts";
import { askOwn } from "../healthcheck.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { mountFix, RESTART, targetFix } from "./fixes.ts";

const say = findingsIn("target");

/** Programs whose runtime catches the signal whether or not the application does, by how much they catch. */
const CATCHES_ALL_MIN = 20;

/** All findings about the target; nothing where none is signalled. `known`: the target of the sidecar that runs. */
export function checkTarget(
  config: Config,
  finder: TargetFinder,
  reader: ProcReader,
  known: Target | null,
): Finding[] {
  if (config.trigger !== "signal") return [];
  const seen: { readonly stat: ProcessStat; readonly note: string }[] = [];
  const found = finder.resolve(known, (stat, note) => seen.push({ stat, note }));
  const chosenPid = found.kind === "none" ? null : found.target.pid;
  const details = seen.filter(({ stat }) => stat.pid !== chosenPid).map(({ stat, note }) =>
    `${describe(reader, stat)}: ${note}`
  );
  if (found.kind === "none") return [notFound(config, found, seen, details, reader)];
  const chosen = found.target;
  const { pid, name, uid, reason } = chosen;
  const view = finder.preflight(found);
  return [
    { ...say("ok", "target", `PID ${pid} (${name}, user ${uid}): ${reason}`), details },
    permission(config, chosen, view),
    handler(config, found, reader),
    ...mounts(config, chosen, reader),
  ];
}

/**
 * The target of the sidecar that runs, by its /status: a debug container would make it ambiguous for a newcomer, and does
 * not for it. Null where it has none, or does not answer without a password.
 */
export async function askKnownTarget(config: Config, reader: ProcReader): Promise<Target | null> {
  try {
    const { target } = JSON.parse(await askOwn(config, "/status") ?? "{}");
    const { pid, name, uid, handled, ok, message } = target as TargetView;
    const stat = ok && pid !== null ? reader.stat(pid) : null;
    if (stat === null || stat === "hidden") return null;
    const { startTicks, comm } = stat;
    const reason = message.slice(message.indexOf("): ") + 3);
    return {
      pid: stat.pid,
      startTicks,
      comm,
      name: name!,
      uid: uid!,
      startedWallMs: 0,
      reason,
      handled: !!handled,
    };
  } catch {
    return null;
  }
}

function describe(reader: ProcReader, stat: ProcessStat): string {
  const uid = reader.status(stat.pid)?.uid;
  return `PID ${stat.pid} (${displayName(stat, reader.argv(stat.pid))}${
    uid === undefined ? "" : `, user ${uid}`
  })`;
}

function notFound(
  config: Config,
  found: Resolution & { kind: "none" },
  seen: readonly { readonly stat: ProcessStat; readonly note: string }[],
  details: readonly string[],
  reader: ProcReader,
): Finding {
  const possible = seen.filter(({ note }) => /first process of a container|^started by|^matches$/.test(note));
  const names = [...new Set(possible.map(({ stat }) => displayName(stat, reader.argv(stat.pid))))];
  const uid = possible.length === 1 ? reader.status(possible[0]!.stat.pid)?.uid ?? null : null;
  const fix = targetFix(found.code, { signal: config.signal, uid, names, by: howNamed(config) });
  return { ...say("fault", found.code, found.message), details, ...(fix && { fix }) };
}

function howNamed(config: Config) {
  if (config.pidFile !== null) return "pid-file";
  if (config.processName !== null || config.processCmdline !== null) return "name";
  return config.pid === "auto" ? "auto" : "pid";
}

function permission(config: Config, target: Target, view: TargetView): Finding {
  if (view.permitted !== false) {
    return say("ok", "permitted", `User ${Deno.uid()} may send ${config.signal} to it`);
  }
  const fix = targetFix("permission", {
    signal: config.signal,
    uid: target.uid,
    names: [],
    by: howNamed(config),
  })!;
  return { ...say("fault", "permission", view.message), fix };
}

function handler(config: Config, found: Resolution & { target: Target }, reader: ProcReader): Finding {
  const { signal } = config;
  if (found.kind === "starting") return say("warn", "starting", found.message);
  if (!found.target.handled) {
    return say(
      "warn",
      "unhandled",
      `It has no handler for ${signal} and may die of it (--allow-unhandled-signal)`,
    );
  }
  let caught = 0;
  for (
    let mask = reader.status(found.target.pid)?.caught ?? 0;
    mask !== 0;
    mask = (mask & (mask - 1)) >>> 0
  ) caught++;
  const doubt = caught >= CATCHES_ALL_MIN
    ? "; so have all programs in Go, whether or not the application reloads on it"
    : "";
  return say("ok", "handled", `It has a handler for ${signal}${doubt}`);
}

/** The application's own mounts of the watched volumes. */
function mounts(config: Config, target: Target, reader: ProcReader): Finding[] {
  const own = parseMountinfo(reader.mountinfo(Deno.pid) ?? "");
  const app = parseMountinfo(reader.mountinfo(target.pid) ?? "");
  const findings: Finding[] = [];
  // The container's own root is no volume that two containers could share.
  for (const volume of watchedMounts(config, own).filter((mount) => mount !== mountOf(own, "/"))) {
    const theirs = app.filter((mount) => sameVolume(volume, mount));
    if (theirs.length === 0) {
      findings.push({
        ...say(
          "warn",
          "app-no-mount",
          `${target.name} has no mount of the volume at ${volume.mountPoint}; if it does not get the content otherwise, it never sees it`,
        ),
        fix: mountFix("mount it there, too", { process: target.name }, volume.mountPoint),
      });
    }
    const isBlind = theirs.every((mount) => staleReason(mount) !== null);
    for (const mount of theirs) {
      findings.push(appMount(target, mount.mountPoint, staleReason(mount), isBlind));
    }
  }
  return findings;
}

function appMount(
  target: Target,
  mountPoint: string,
  reason: "subpath" | "replaced" | null,
  isBlind: boolean,
): Finding {
  const level = isBlind ? "fault" : "warn";
  const { name } = target;
  if (reason === null) {
    return say("ok", "app-mount", `${name} sees updates of its mount ${mountPoint}`);
  }
  if (reason === "replaced") {
    const message =
      `${name} has at ${mountPoint} a volume that was taken down and made anew: it never sees new content`;
    return { ...say(level, "app-replaced", message), fix: RESTART };
  }
  const message = `${name} mounts ${mountPoint} with subPath: it never sees new content`;
  return {
    ...say(level, "app-subpath", message),
    fix: mountFix("mount the whole volume", { process: name }, parentOf(mountPoint)),
  };
}

/**
 * Which process would get the signal and why, which others were there, whether it is permitted and handled, and whether that process
 * can see the content. Asks with signal 0 at most.
 */

import { parentOf } from "../../paths.ts";
import type { Config } from "../../config.ts";
import type { Resolution, Target, TargetView } from "../../model.ts";
import { type Mount, mountOf, parseMountinfo, sameVolume, staleReason } from "../../proc/mountinfo.ts";
import { displayName, type ProcessStat } from "../../proc/process.ts";
import type { ProcReader } from "../../proc/reader.ts";
import { watchedMounts } from "../../target/stale.ts";
import type { TargetFinder } from "../../target/target.ts";
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
  return [
    say("ok", "target", `PID ${pid} (${name}, user ${uid}): ${reason}`, null, details),
    permission(config, chosen, finder.preflight(found)),
    handler(config, found, reader),
    ...mounts(config, chosen, reader),
  ];
}

function describe(reader: ProcReader, stat: ProcessStat): string {
  const uid = reader.status(stat.pid)?.uid;
  const user = uid === undefined ? "" : `, user ${uid}`;
  return `PID ${stat.pid} (${displayName(stat, reader.argv(stat.pid))}${user})`;
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
  return say("fault", found.code, found.message, targetFix(found.code, config, { uid, names }), details);
}

function permission(config: Config, { uid }: Target, view: TargetView): Finding {
  return view.permitted === false
    ? say("fault", "permission", view.message, targetFix("permission", config, { uid, names: [] }))
    : say("ok", "permitted", `User ${Deno.uid()} may send ${config.signal} to it`);
}

function handler({ signal }: Config, found: Resolution & { target: Target }, reader: ProcReader): Finding {
  if (found.kind === "starting") return say("warn", "starting", found.message);
  if (!found.target.handled) {
    const message = `It has no handler for ${signal} and may die of it (--allow-unhandled-signal)`;
    return say("warn", "unhandled", message);
  }
  const stat = reader.stat(found.target.pid);
  const caught = stat === null || stat === "hidden" ? 0 : stat.caught;
  const doubt = bitsOf(caught) >= CATCHES_ALL_MIN
    ? "; so have all programs in Go, whether or not the application reloads on it"
    : "";
  return say("ok", "handled", `It has a handler for ${signal}${doubt}`);
}

const bitsOf = (mask: number) => mask.toString(2).replaceAll("0", "").length;

/** The application's own mounts of the watched volumes. */
function mounts(config: Config, target: Target, reader: ProcReader): Finding[] {
  const own = parseMountinfo(reader.mountinfo(Deno.pid) ?? "");
  const app = parseMountinfo(reader.mountinfo(target.pid) ?? "");
  const findings: Finding[] = [];
  // The container's own root is no volume that two containers could share.
  for (const volume of watchedMounts(config, own).filter((mount) => mount !== mountOf(own, "/"))) {
    const theirs = app.filter((mount) => sameVolume(volume, mount));
    if (theirs.length === 0) {
      const message =
        `${target.name} has no mount of the volume at ${volume.mountPoint}; if it does not get the content otherwise, it never sees it`;
      const fix = mountFix("mount it there, too", { process: target.name }, volume.mountPoint);
      findings.push(say("warn", "app-no-mount", message, fix));
    }
    // One that it sees is enough.
    const level = theirs.every((mount) => staleReason(mount) !== null) ? "fault" : "warn";
    findings.push(...theirs.map((mount) => appMount(target, mount, level)));
  }
  return findings;
}

function appMount({ name }: Target, mount: Mount, level: "fault" | "warn"): Finding {
  const { mountPoint } = mount;
  switch (staleReason(mount)) {
    case null:
      return say("ok", "app-mount", `${name} sees updates of its mount ${mountPoint}`);
    case "replaced": {
      const message =
        `${name} has at ${mountPoint} a volume that was taken down and made anew: it never sees new content`;
      return say(level, "app-replaced", message, RESTART);
    }
    case "subpath": {
      const fix = mountFix("mount the whole volume", { process: name }, parentOf(mountPoint));
      return say(
        level,
        "app-subpath",
        `${name} mounts ${mountPoint} with subPath: it never sees new content`,
        fix,
      );
    }
  }
}

/**
 * Which process would get the signal and why, which others were there, whether it is permitted and handled, and whether that process
 * can see the content. Asks with signal 0 at most.
 */

import type { Config } from "../../config.ts";
import type { Resolution, Target } from "../../model.ts";
import { mountOf, parseMountinfo, sameVolume } from "../../proc/mountinfo.ts";
import type { ProcReader } from "../../proc/reader.ts";
import { judgeMounts, watchedMounts } from "../../target/app_mounts.ts";
import type { TargetFinder } from "../../target/target.ts";
import { processText } from "../../text.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { mountFix, staleFix, targetFix } from "./fixes.ts";

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
  const notes = new Map<number, string>();
  const found = finder.resolve(known, notes);
  const view = finder.preflight(found);
  if (view.pid !== null) notes.delete(view.pid);
  const others = [...notes.values()];
  if (found.kind === "none" || view.pid === null) {
    return [say.fault(view.code, view.message, targetFix(view, config), others)];
  }
  const { pid, name, uid, reason } = found.target;
  return [
    say.ok("target", `${processText(pid, name, uid)}: ${reason}`, others),
    view.permitted
      ? say.ok("permitted", `User ${Deno.uid()} may send ${config.signal} to it`)
      : say.fault("permission", view.message, targetFix(view, config)),
    handler(config, found, reader),
    ...mounts(config, found.target, reader),
  ];
}

function handler({ signal }: Config, found: Resolution & { target: Target }, reader: ProcReader): Finding {
  if (found.kind === "starting") return say.warn("starting", found.message);
  if (!found.target.handled) {
    const message = `It has no handler for ${signal} and may die of it (--allow-unhandled-signal)`;
    return say.warn("unhandled", message);
  }
  const stat = reader.stat(found.target.pid);
  const caught = stat === null || stat === "hidden" ? 0 : stat.caught;
  const doubt = bitsOf(caught) >= CATCHES_ALL_MIN
    ? "; so have all programs in Go, whether or not the application reloads on it"
    : "";
  return say.ok("handled", `It has a handler for ${signal}${doubt}`);
}

const bitsOf = (mask: number) => mask.toString(2).replaceAll("0", "").length;

/** The application's own mounts of the watched volumes. */
function mounts(config: Config, { pid, name }: Target, reader: ProcReader): Finding[] {
  const own = parseMountinfo(reader.mountinfo(Deno.pid) ?? "");
  const app = parseMountinfo(reader.mountinfo(pid) ?? "");
  const findings: Finding[] = [];
  // The container's own root is no volume that two containers could share.
  for (const volume of watchedMounts(config, own).filter((mount) => mount !== mountOf(own, "/"))) {
    const theirs = app.filter((mount) => sameVolume(volume, mount));
    if (theirs.length === 0) {
      const message =
        `${name} has no mount of the volume at ${volume.mountPoint}; if it does not get the content otherwise, it never sees it`;
      const fix = mountFix("mount it there, too", { process: name }, volume.mountPoint);
      findings.push(say.warn("app-no-mount", message, fix));
    }
    const { stale, blind } = judgeMounts([volume], theirs, name);
    for (const mount of stale) {
      // One that it sees is enough.
      const level = blind ? "fault" : "warn";
      findings.push(say[level](`app-${mount.reason}`, mount.message, staleFix(mount, name)));
    }
    for (const { mountPoint } of theirs) {
      if (stale.some((mount) => mount.mountPoint === mountPoint)) continue;
      findings.push(say.ok("app-mount", `${name} sees updates of its mount ${mountPoint}`));
    }
  }
  return findings;
}

/**
 * Whether this process may write to a directory or run a program, by modes and mounts: nothing is written or run.
 */

import { parentOf } from "../../paths.ts";
import { mountOf, parseMountinfo } from "../../proc/mountinfo.ts";
import { hasSignal } from "../../proc/signals.ts";

/** Why a directory cannot be written to; `user`: its owner could. */
export type NotWritable =
  | { readonly kind: "place"; readonly reason: string }
  | { readonly kind: "user"; readonly reason: string; readonly uid: number };

/** File systems of the kernel, in which no file can be made. */
const KERNEL_FILE_SYSTEMS = ["proc", "sysfs", "cgroup", "cgroup2", "devpts", "securityfs", "tracefs"];
/** Bits of CapEff, linux/capability.h: CAP_DAC_OVERRIDE is 1. */
const DAC_OVERRIDE = 1;

/** The path, or the nearest one above it where something is. */
export async function nearestThere(path: string): Promise<string> {
  const isThere = await Deno.lstat(path).then(
    () => true,
    (error) => !(error instanceof Deno.errors.NotFound),
  );
  return isThere || path === "/" ? path : await nearestThere(parentOf(path));
}

/** Null where the directory can be written to. */
export async function whyNotWritable(directory: string): Promise<NotWritable | null> {
  const info = await Deno.stat(directory).catch((error: Error) => error);
  if (info instanceof Deno.errors.NotFound) {
    return { kind: "place", reason: `"${directory}" is a link that leads to no directory` };
  }
  if (info instanceof Error) return { kind: "place", reason: `${info.message}` };
  if (!info.isDirectory) return { kind: "place", reason: `"${directory}" is not a directory` };
  const real = await Deno.realPath(directory);
  const mountinfo = await Deno.readTextFile("/proc/self/mountinfo").catch(() => "");
  const mount = mountOf(parseMountinfo(mountinfo), real);
  if (mount && KERNEL_FILE_SYSTEMS.includes(mount.fsType)) {
    return { kind: "place", reason: `"${directory}" is in a file system of the kernel (${mount.fsType})` };
  }
  if (mount?.isReadOnly) return { kind: "place", reason: `"${directory}" is on a read-only mount` };
  const { uid = 0, gid = 0, mode = 0 } = info as { uid: number; gid: number; mode: number };
  const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
  if (mayWrite(status, uid, gid, mode)) return null;
  const octal = (mode & 0o7777).toString(8).padStart(4, "0");
  const reason =
    `permission denied: mode ${octal}, owner ${uid}:${gid}, this process is ${Deno.uid()}:${Deno.gid()}`;
  return { kind: "user", reason, uid };
}

/** access(2) for writing and searching, from the text of /proc/self/status. */
function mayWrite(status: string, uid: number, gid: number, mode: number): boolean {
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1]?.trim() ?? "";
  if (hasSignal(parseInt(field("CapEff").slice(-8), 16) >>> 0, DAC_OVERRIDE + 1)) return true;
  const needs = (shift: number) => ((mode >> shift) & 0o3) === 0o3;
  if (uid === Deno.uid()) return needs(6);
  const groups = [`${Deno.gid()}`, ...field("Groups").split(/\s+/)];
  return groups.includes(`${gid}`) ? needs(3) : needs(0);
}

/** Where a program is, by its path or along `PATH`; or why it cannot be run. */
export async function findProgram(
  program: string,
  path: string | undefined,
): Promise<
  { readonly kind: "found"; readonly path: string } | { readonly kind: "missing"; readonly reason: string }
> {
  const places = program.includes("/")
    ? [program]
    : (path ?? "").split(":").filter(Boolean).map((directory) => `${directory}/${program}`);
  let reason = program.includes("/") ? "no such program" : `no such program in PATH (${path ?? "not set"})`;
  for (const place of places) {
    const info = await Deno.stat(place).catch(() => null);
    if (info === null) continue;
    if (info.isFile && ((info.mode ?? 0) & 0o111) !== 0) return { kind: "found", path: place };
    reason = `"${place}" is ${info.isFile ? "not executable" : "no file"}`;
  }
  return { kind: "missing", reason };
}

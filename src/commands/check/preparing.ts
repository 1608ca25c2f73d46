/**
 * What stands between the content and its trigger: whether it parses, what `$(VAR)` has no value, whether the check
 * command can be run and the output be written. Changes nothing, and runs the check command only where it is asked to.
 */

import { type CheckInput, type Config, rendersOutput } from "../../config.ts";
import type { Snapshot } from "../../model.ts";
import type { Logger } from "../../ports.ts";
import { parentOf } from "../../paths.ts";
import { messageOf } from "../../text.ts";
import { mountOf, parseMountinfo } from "../../proc/mountinfo.ts";
import { runCheckCommand } from "../../prepare/check_command.ts";
import { createConvert } from "../../prepare/convert.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { argsFix, envFix, mountFix, userFix } from "./fixes.ts";

const say = findingsIn("checking");

/** All findings about validation, rendering and the check command; nothing where none is asked for. */
export async function checkPreparing(
  config: Config,
  snapshot: Snapshot | null,
  environment: CheckInput["environment"],
  runChecks: boolean,
): Promise<Finding[]> {
  return [
    ...snapshot === null ? [] : await checkContent(config, snapshot, environment),
    ...await checkOutput(config),
    ...await checkCommand(config, environment, runChecks),
  ];
}

/** The content as the app would read it; the running sidecar logs the same texts. */
async function checkContent(
  config: Config,
  snapshot: Snapshot,
  environment: CheckInput["environment"],
): Promise<Finding[]> {
  const renders = rendersOutput(config);
  if (config.validate === "none" && !renders) return [];
  const findings: Finding[] = [];
  const warn: Logger["warn"] = (message, fields) => {
    const names = Array.isArray(fields?.variables) ? fields.variables as string[] : [];
    findings.push(say.warn("unset-variable", message, envFix(names)));
  };
  const convert = createConvert(config, { warn }, environment);
  for (const file of snapshot.files) {
    try {
      using _ = await convert(file, renders);
    } catch (error) {
      const fix = argsFix(
        "correct the content; where the application understands more than the parser, do not validate it",
        "--validate=none",
      );
      findings.push(say.fault("invalid", `Config is invalid: ${messageOf(error)}`, fix));
    }
  }
  if (findings.some(({ level }) => level === "fault")) return findings;
  const count = snapshot.files.length === 1 ? "The file" : `${snapshot.files.length} files`;
  const how = [config.validate !== "none" && `parsed (--validate ${config.validate})`, renders && "rendered"];
  return [...findings, say.ok("valid", `${count} can be ${how.filter(Boolean).join(" and ")}`)];
}

async function checkOutput(config: Config): Promise<Finding[]> {
  if (!rendersOutput(config)) return [];
  const directory = config.outputDir ?? parentOf(config.configEnvsubstFile!);
  const there = await nearestThere(directory);
  const why = await whyNotWritable(there);
  if (why === null) {
    const what = there === directory ? `write to ${directory}` : `make ${directory}, which is not there yet`;
    return [say.ok("output", `User ${Deno.uid()} may ${what}`)];
  }
  const fix = why.uid !== null
    ? userFix(why.uid)
    : mountFix("mount a volume that both containers share", "config-reloader", directory, "rendered");
  return [say.fault("output", `Cannot write to "${directory}": ${why.reason}`, fix)];
}

async function checkCommand(
  config: Config,
  environment: CheckInput["environment"],
  runChecks: boolean,
): Promise<Finding[]> {
  const [program, ...args] = config.checkCommand ?? [];
  if (program === undefined) return [];
  const found = await findProgram(program, environment["PATH"]);
  if ("reason" in found) {
    const fix = argsFix(
      "put the program into the sidecar's image, and give its path",
      `--check-command=${["/PATH/OF/THE/PROGRAM", ...args].join(" ")}`,
    );
    return [say.fault("check-command", `Cannot run check command "${program}": ${found.reason}`, fix)];
  }
  if (!runChecks) {
    const message = `Check command ${found.path}: there and executable, not run (--run-checks runs it)`;
    return [say.ok("check-command", message)];
  }
  const never = new AbortController().signal;
  const result = await runCheckCommand(config.checkCommand!, config.httpTimeoutMs, never, environment);
  if (result.kind === "ok") return [say.ok("check-command", `Check command ${found.path} passed`)];
  return [say.fault("check-failed", result.reason, {
    say: "correct what the command names; until it passes, nothing is sent to the application",
    command: "kubectl edit configmap NAME",
  })];
}

/** File systems of the kernel, in which no file can be made. */
const KERNEL_FILE_SYSTEMS = ["proc", "sysfs", "cgroup", "cgroup2", "devpts", "securityfs", "tracefs"];
/** CAP_DAC_OVERRIDE in the last digit of CapEff, linux/capability.h. */
const DAC_OVERRIDE = 1 << 1;

/** The path, or the nearest one above it where something is. */
async function nearestThere(path: string): Promise<string> {
  const isThere = await Deno.lstat(path).then(
    () => true,
    (error) => !(error instanceof Deno.errors.NotFound),
  );
  return isThere || path === "/" ? path : await nearestThere(parentOf(path));
}

/** Why the directory cannot be written to, and whose it is where another user could; null where it can. */
export async function whyNotWritable(
  directory: string,
): Promise<{ readonly reason: string; readonly uid: number | null } | null> {
  const place = (what: string) => ({ reason: `"${directory}" ${what}`, uid: null });
  const info = await Deno.stat(directory).catch((error: Error) => error);
  if (info instanceof Deno.errors.NotFound) return place("is a link that leads to no directory");
  if (info instanceof Error) return { reason: info.message, uid: null };
  if (!info.isDirectory) return place("is not a directory");
  const mountinfo = await Deno.readTextFile("/proc/self/mountinfo").catch(() => "");
  const mount = mountOf(parseMountinfo(mountinfo), await Deno.realPath(directory));
  if (mount && KERNEL_FILE_SYSTEMS.includes(mount.fsType)) {
    return place(`is in a file system of the kernel (${mount.fsType})`);
  }
  if (mount?.isReadOnly) return place("is on a read-only mount");
  const { uid = 0, gid = 0, mode = 0 } = info as { uid: number; gid: number; mode: number };
  const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
  if (mayWrite(status, uid, gid, mode)) return null;
  const octal = (mode & 0o7777).toString(8).padStart(4, "0");
  const reason =
    `permission denied: mode ${octal}, owner ${uid}:${gid}, this process is ${Deno.uid()}:${Deno.gid()}`;
  return { reason, uid };
}

/** access(2) for writing and searching, from the text of /proc/self/status. */
function mayWrite(status: string, uid: number, gid: number, mode: number): boolean {
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1]?.trim() ?? "";
  if (parseInt(field("CapEff").slice(-1), 16) & DAC_OVERRIDE) return true;
  const needs = (shift: number) => ((mode >> shift) & 0o3) === 0o3;
  if (uid === Deno.uid()) return needs(6);
  const groups = [`${Deno.gid()}`, ...field("Groups").split(/\s+/)];
  return groups.includes(`${gid}`) ? needs(3) : needs(0);
}

/** Where a program is, by its path or along `PATH`; or why it cannot be run. */
export async function findProgram(
  program: string,
  path: string | undefined,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const isPath = program.includes("/");
  const places = isPath
    ? [program]
    : (path ?? "").split(":").filter(Boolean).map((dir) => `${dir}/${program}`);
  let reason = isPath ? "no such program" : `no such program in PATH (${path ?? "not set"})`;
  for (const place of places) {
    const info = await Deno.stat(place).catch(() => null);
    if (info === null) continue;
    if (info.isFile && ((info.mode ?? 0) & 0o111) !== 0) return { path: place };
    reason = `"${place}" is ${info.isFile ? "not executable" : "no file"}`;
  }
  return { reason };
}

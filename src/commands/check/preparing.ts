/**
 * What stands between the content and its trigger: whether it parses, what `$(VAR)` has no value, whether the check
 * command can be run and the output be written. Changes nothing, and runs the check command only where it is asked to.
 */

import { type Config, rendersOutput } from "../../config.ts";
import type { Snapshot } from "../../model.ts";
import type { Logger } from "../../ports.ts";
import { parentOf } from "../../paths.ts";
import { runCheckCommand } from "../../prepare/check_command.ts";
import { createConverter, type Environment } from "../../prepare/convert.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { argsFix, envFix, mountFix, userFix } from "./fixes.ts";
import { findProgram, nearestThere, whyNotWritable } from "./access.ts";

const say = findingsIn("checking");

/** All findings about validation, rendering and the check command; nothing where none is asked for. */
export async function checkPreparing(
  config: Config,
  snapshot: Snapshot | null,
  environment: Environment,
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
  environment: Environment,
): Promise<Finding[]> {
  const renders = rendersOutput(config);
  if (config.validate === "none" && !renders) return [];
  const findings: Finding[] = [];
  const warn: Logger["warn"] = (message, fields) => {
    const names = Array.isArray(fields?.variables) ? fields.variables as string[] : [];
    findings.push(say("warn", "unset-variable", message, envFix(names)));
  };
  const none = () => {};
  const convert = createConverter(config, { debug: none, info: none, warn, error: none }, environment);
  for (const file of snapshot.files) {
    try {
      await convert(file, renders, () => Promise.resolve());
    } catch (error) {
      const fix = argsFix(
        "correct the content; where the application understands more than the parser, do not validate it",
        "--validate=none",
      );
      findings.push(say("fault", "invalid", `Config is invalid: ${(error as Error).message}`, fix));
    }
  }
  if (findings.some(({ level }) => level === "fault")) return findings;
  const count = snapshot.files.length === 1 ? "The file" : `${snapshot.files.length} files`;
  const how = [config.validate !== "none" && `parsed (--validate ${config.validate})`, renders && "rendered"];
  return [...findings, say("ok", "valid", `${count} can be ${how.filter(Boolean).join(" and ")}`)];
}

async function checkOutput(config: Config): Promise<Finding[]> {
  if (!rendersOutput(config)) return [];
  const directory = config.outputDir ?? parentOf(config.configEnvsubstFile!);
  const there = await nearestThere(directory);
  const why = await whyNotWritable(there);
  if (why === null) {
    const what = there === directory ? `write to ${directory}` : `make ${directory}, which is not there yet`;
    return [say("ok", "output", `User ${Deno.uid()} may ${what}`)];
  }
  const fix = why.kind === "user"
    ? userFix(why.uid)
    : mountFix("mount a volume that both containers share", "config-reloader", directory, "rendered");
  return [say("fault", "output", `Cannot write to "${directory}": ${why.reason}`, fix)];
}

async function checkCommand(
  config: Config,
  environment: Environment,
  runChecks: boolean,
): Promise<Finding[]> {
  const [program, ...args] = config.checkCommand ?? [];
  if (program === undefined) return [];
  const found = await findProgram(program, environment["PATH"]);
  if (found.kind === "missing") {
    const fix = argsFix(
      "put the program into the sidecar's image, and give its path",
      `--check-command=${["/PATH/OF/THE/PROGRAM", ...args].join(" ")}`,
    );
    return [say("fault", "check-command", `Cannot run check command "${program}": ${found.reason}`, fix)];
  }
  if (!runChecks) {
    const message = `Check command ${found.path}: there and executable, not run (--run-checks runs it)`;
    return [say("ok", "check-command", message)];
  }
  const never = new AbortController().signal;
  const result = await runCheckCommand(config.checkCommand!, config.httpTimeoutMs, never, environment);
  if (result.kind === "ok") return [say("ok", "check-command", `Check command ${found.path} passed`)];
  return [say("fault", "check-failed", result.reason, {
    say: "correct what the command names; until it passes, nothing is sent to the application",
  })];
}

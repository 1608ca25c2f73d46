/**
 * `config-reloader check`: reports what would work and what would not, before anything changes. Puts the parts of the
 * report together; it changes nothing and signals no process.
 */

import { createClock } from "../clock.ts";
import type { CheckInput } from "../config.ts";
import { sendRequest } from "../http/request.ts";
import type { WriteOut } from "../ports.ts";
import { createProcReader } from "../proc/reader.ts";
import { createTargetPort } from "../target/target.ts";
import { createStatusProbe } from "../verify/probe.ts";
import { createSnapshotReader } from "../watch/reader.ts";
import { checkApp } from "./check/app.ts";
import { checkDisk } from "./check/disk.ts";
import { checkPreparing } from "./check/preparing.ts";
import { type Finding, findingsIn, isOk, renderJson, renderText } from "./check/finding.ts";
import { checkKubernetes } from "./check/kubernetes.ts";
import { askRunning, checkRunning, checkServer, knownTarget } from "./check/server.ts";
import { checkTarget } from "./check/target.ts";

/**
 * Checks everything and writes one report, as text or (`--log-format json`) as JSON.
 * @returns the exit code: 0 nothing is ✗, 1 something is
 */
export async function runCheck(
  { config, warnings, taken, runChecks, environment }: CheckInput,
  write: WriteOut,
): Promise<number> {
  const clock = createClock();
  const proc = createProcReader();
  const running = taken && await askRunning(config);
  const disk = await checkDisk(config, createSnapshotReader(config, clock), clock);
  const findings: Finding[] = [
    ...warnings.map((message) => findingsIn("settings").warn("setting", message)),
    ...disk.findings,
    ...await checkPreparing(config, disk.snapshot, environment, runChecks),
    ...checkTarget(
      config,
      await createTargetPort(config, { clock }),
      proc,
      running && knownTarget(running, proc),
    ),
    ...await checkApp(config, createStatusProbe(config, sendRequest)),
    ...await checkServer(config),
    ...await checkKubernetes(config),
    ...(running ? [checkRunning(running)] : []),
  ];
  await write(
    config.logFormat === "json"
      ? renderJson(findings, taken)
      : renderText(findings, !Deno.noColor && Deno.stdout.isTerminal(), taken),
  );
  return isOk(findings) ? 0 : 1;
}

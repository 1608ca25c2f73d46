/**
 * `config-reloader check`: says what would work and what would not, before anything changes. Puts the parts of the
 * report together; it changes nothing and signals nobody.
 */

import { createClock } from "../clock.ts";
import type { Config } from "../config.ts";
import { forgetProxies } from "../http/proxies.ts";
import { sendRequest } from "../http/request.ts";
import type { Clock, SnapshotReader, StatusProbe, WriteOut } from "../ports.ts";
import { createProcReader, type ProcReader } from "../proc/reader.ts";
import { createTargetPort, type TargetFinder } from "../target/target.ts";
import { createStatusProbe } from "../verify/probe.ts";
import { VERSION } from "../version.ts";
import { createSnapshotReader } from "../watch/snapshot.ts";
import { checkApp } from "./check/app.ts";
import { checkDisk } from "./check/disk.ts";
import { type Finding, isOk, renderJson, renderText } from "./check/finding.ts";
import { checkServer } from "./check/server.ts";
import { checkTarget } from "./check/target.ts";

/** Replaced in tests only. */
export interface CheckDeps {
  readonly clock: Clock;
  readonly reader: SnapshotReader;
  readonly proc: ProcReader;
  readonly finder: TargetFinder;
  readonly probe: StatusProbe;
  readonly colour: boolean;
}

/**
 * Checks everything and writes one report, as text or (`--log-format json`) as JSON. `warnings` are those of the
 * command line.
 * @returns the exit code: 0 nothing is ✗, 1 something is
 */
export async function runCheck(
  config: Config,
  warnings: readonly string[],
  write: WriteOut,
  deps: Partial<CheckDeps> = {},
): Promise<number> {
  forgetProxies();
  const clock = deps.clock ?? createClock();
  const proc = deps.proc ?? createProcReader();
  const findings: Finding[] = [
    ...warnings.map((message): Finding => ({ area: "settings", level: "warn", code: "setting", message })),
    ...await checkDisk(config, deps.reader ?? createSnapshotReader(config, clock), clock),
    ...checkTarget(config, deps.finder ?? await createTargetPort(config, { clock }), proc),
    ...await checkApp(config, deps.probe ?? createStatusProbe(config, sendRequest)),
    ...await checkServer(config),
  ];
  const colour = deps.colour ?? (!Deno.noColor && Deno.stdout.isTerminal());
  await write(
    config.logFormat === "json" ? renderJson(findings, VERSION) : renderText(findings, VERSION, colour),
  );
  return isOk(findings) ? 0 : 1;
}

/**
 * Whether the own port is free, and what `/status` of the sidecar that runs in this container reports.
 * Listens for a moment where the port is free, and asks who is there where it is not.
 */

import type { Config } from "../../config.ts";
import type { StatusView, Target } from "../../model.ts";
import type { ProcReader } from "../../proc/reader.ts";
import { readTlsFiles, tryListening, tryTlsFiles } from "../../serve/listen.ts";
import { messageOf, shortHash } from "../../text.ts";
import { askOwn, runHealthcheck } from "../healthcheck.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { argsFix, SECRET_FIX } from "./fixes.ts";

const say = findingsIn("server");
const sayRunning = findingsIn("running");

/** The findings about the own server; nothing where there is none (`--once`). */
export async function checkServer(config: Config): Promise<Finding[]> {
  return config.once ? [] : [...await checkAuth(config), await checkPort(config)];
}

async function checkAuth({ authFile }: Config): Promise<Finding[]> {
  if (authFile === null) return [];
  const { readAuthFile } = await import("../../serve/auth.ts");
  const problem = await problemOf(() => readAuthFile(authFile));
  return [
    problem ? say.fault("auth-file", problem, SECRET_FIX) : say.ok("auth-file", `${authFile}: can be read`),
  ];
}

async function checkPort(config: Config): Promise<Finding> {
  const { metricsPort: port } = config;
  const tls = await problemOf(async () => {
    const files = readTlsFiles(config);
    if (files !== null) await tryTlsFiles(config, files);
  });
  if (tls) return say.fault("tls-file", tls, SECRET_FIX);
  const problem = await problemOf(() => tryListening(config, port, readTlsFiles(config)));
  if (problem === null) {
    return say.ok(
      "port",
      `Can listen on ${port === 0 ? "a free port, which the log will name" : `port ${port}`}`,
    );
  }
  if (await isOurs(config)) {
    return say.ok("port-ours", `Port ${port} is in use, by a config-reloader that is running now`);
  }
  const fix = argsFix(
    "take a free port, and scrape that one",
    `--metrics-port=${port === 9091 ? 9092 : 9091}`,
  );
  return say.fault("port-taken", problem, fix);
}

/** Null where it works, else why not. */
async function problemOf(act: () => unknown): Promise<string | null> {
  try {
    await act();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** Whether the one that holds the port is a config-reloader: its metrics say so; behind TLS or auth its health must do. */
async function isOurs(config: Config): Promise<boolean> {
  if (config.tlsCertFile !== null || config.authFile !== null) {
    return await runHealthcheck(config, () => Promise.resolve()) === 0;
  }
  return (await askOwn(config, "/metrics"))?.includes("config_reloader_build_info") ?? false;
}

/** Its status; null where it does not answer, or not without a password. */
export async function askRunning(config: Config): Promise<StatusView | null> {
  try {
    const view = JSON.parse(await askOwn(config, "/status") ?? "null");
    return typeof view?.inSync === "boolean" ? view : null;
  } catch {
    return null;
  }
}

/** Its target: a debug container would make it ambiguous for a newcomer, and does not for it. Null where it has none. */
export function knownTarget({ target }: StatusView, reader: ProcReader): Target | null {
  if (!target?.ok || target.pid === null) return null;
  const stat = reader.stat(target.pid);
  if (stat === null || stat === "hidden") return null;
  const { pid, startTicks, comm } = stat;
  const { name, uid, handled, message } = target;
  const reason = message.slice(message.indexOf("): ") + 3);
  return { pid, startTicks, comm, name: name!, uid: uid!, startedAtMs: 0, reason, handled: !!handled };
}

/** Whether it is in sync, and if not, what its last reload came to. */
export function checkRunning({ inSync, appliedDigest, reloads, fix }: StatusView): Finding {
  if (inSync) {
    return sayRunning.ok("in-sync", `It is in sync: the app runs hash ${shortHash(appliedDigest)}`);
  }
  const [last] = reloads;
  const why = last === undefined
    ? "no reload was tried yet"
    : last.outcome === "in progress"
    ? "a reload is in progress"
    : `its last reload ended with ${last.outcome}: ${last.reason || "its log says more"}`;
  return sayRunning.warn("not-in-sync", `It is not in sync: ${why}`, fix);
}

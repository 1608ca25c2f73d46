/** Whether the own port can be had. Listens for a moment where it is free, and asks who is there where it is not. */

import type { Config } from "../../config.ts";
import { readTlsFiles, tryListening } from "../../serve/listen.ts";
import { askOwn, runHealthcheck } from "../healthcheck.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { argsFix, SECRET_FIX } from "./fixes.ts";

const say = findingsIn("server");

/** The finding about the own server; nothing where there is none (`--once`). */
export async function checkServer(config: Config): Promise<Finding[]> {
  if (config.once) return [];
  const findings: Finding[] = [];
  if (config.authFile !== null) {
    const { readAuthFile } = await import("../../serve/auth.ts");
    const problem = await messageOf(() => readAuthFile(config.authFile!));
    findings.push(
      problem
        ? { ...say("fault", "auth-file", problem), fix: SECRET_FIX }
        : say("ok", "auth-file", `${config.authFile}: can be read`),
    );
  }
  const tls = await messageOf(async () => {
    const files = readTlsFiles(config);
    // On a port of its own, whether or not the real one is free.
    if (files !== null) await tryListening({ ...config, metricsHost: "127.0.0.1" }, 0, files);
  });
  if (tls) return [...findings, { ...say("fault", "tls-file", tls), fix: SECRET_FIX }];
  const { metricsPort: port } = config;
  const problem = await messageOf(() => tryListening(config, port, readTlsFiles(config)));
  if (problem === null) {
    const which = port === 0 ? "a free port, which the log will name" : `port ${port}`;
    return [...findings, say("ok", "port", `Can listen on ${which}`)];
  }
  if (await isOurs(config)) {
    return [
      ...findings,
      say("ok", "port-ours", `Port ${port} is in use, by a config-reloader that is running now`),
    ];
  }
  return [
    ...findings,
    {
      ...say("fault", "port-taken", problem),
      fix: argsFix("take a free port, and scrape that one", `--metrics-port=${port === 9091 ? 9092 : 9091}`),
    },
  ];
}

/** Null where it works, else why not. */
async function messageOf(act: () => unknown): Promise<string | null> {
  try {
    await act();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Whether the one that holds the port is a config-reloader: its metrics say so; behind TLS or auth its health must do. */
async function isOurs(config: Config): Promise<boolean> {
  if (config.tlsCertFile !== null || config.authFile !== null) {
    return await runHealthcheck(config, () => Promise.resolve()) === 0;
  }
  return (await askOwn(config, "/metrics"))?.includes("config_reloader_build_info") ?? false;
}

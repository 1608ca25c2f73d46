/** Whether the own port can be had. Listens for a moment where it is free, and asks who is there where it is not. */

import type { Config } from "../../config.ts";
import { readTlsFiles, tryListening } from "../../serve/listen.ts";
import { messageOf } from "../../text.ts";
import { askOwn, runHealthcheck } from "../healthcheck.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { argsFix, SECRET_FIX } from "./fixes.ts";

const say = findingsIn("server");

/** The findings about the own server; nothing where there is none (`--once`). */
export async function checkServer(config: Config): Promise<Finding[]> {
  return config.once ? [] : [...await checkAuth(config), await checkPort(config)];
}

async function checkAuth({ authFile }: Config): Promise<Finding[]> {
  if (authFile === null) return [];
  const { readAuthFile } = await import("../../serve/auth.ts");
  const problem = await problemOf(() => readAuthFile(authFile));
  return [
    problem
      ? say("fault", "auth-file", problem, SECRET_FIX)
      : say("ok", "auth-file", `${authFile}: can be read`),
  ];
}

async function checkPort(config: Config): Promise<Finding> {
  const { metricsPort: port } = config;
  const tls = await problemOf(async () => {
    const files = readTlsFiles(config);
    // On a port of its own, whether or not the real one is free.
    if (files !== null) await tryListening({ ...config, metricsHost: "127.0.0.1" }, 0, files);
  });
  if (tls) return say("fault", "tls-file", tls, SECRET_FIX);
  const problem = await problemOf(() => tryListening(config, port, readTlsFiles(config)));
  if (problem === null) {
    return say(
      "ok",
      "port",
      `Can listen on ${port === 0 ? "a free port, which the log will name" : `port ${port}`}`,
    );
  }
  if (await isOurs(config)) {
    return say("ok", "port-ours", `Port ${port} is in use, by a config-reloader that is running now`);
  }
  const fix = argsFix(
    "take a free port, and scrape that one",
    `--metrics-port=${port === 9091 ? 9092 : 9091}`,
  );
  return say("fault", "port-taken", problem, fix);
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

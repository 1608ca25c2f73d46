/**
 * `config-reloader run`: makes the real parts, joins them, and runs them until the end. The order of start and stop
 * is all that is decided here. It never exits the process; `main.ts` does.
 */

import { createAppCheck } from "../attempt/app_check.ts";
import { createClock } from "../clock.ts";
import { createCollector } from "../loop/garbage_collection.ts";
import { type Config, describeSettings, type Environment, needsPreparing } from "../config.ts";
import { createSender } from "../http/request.ts";
import { createLogger, type ProcessLogger } from "../observe/logger.ts";
import { createMetrics } from "../observe/metrics.ts";
import type { Clock, Prepare, TakeHint } from "../ports.ts";
import { createRecorder } from "../record/recorder.ts";
import { reloadOf } from "../reload/model.ts";
import { formatMs, messageOf } from "../text.ts";
import { createLoop, type Loop } from "../loop/loop.ts";
import { createHandler } from "../serve/handler.ts";
import { startServer } from "../serve/server.ts";
import { createTargetPort } from "../target/target.ts";
import { createHttpTrigger } from "../trigger/http.ts";
import { createStatusProbe } from "../verify/probe.ts";
import { REVISION, VERSION } from "../version.ts";
import { createSnapshotReader } from "../watch/reader.ts";
import { createWatcher } from "../watch/watcher.ts";

/** Longest time for the last log lines to be written, in milliseconds. */
const FLUSH_TIMEOUT_MS = 500;
const WARM_UP_AFTER_MS = 200;
/** How long the parts may take for their end before it comes anyway, in milliseconds: longer than an answer in progress. */
const END_GRACE_MS = 2_000;

/**
 * Runs the sidecar. `warnings` are those of the command line; `environment` counts for `$(VAR)` and the check command.
 * @returns the exit code: 0 stopped as asked, 1 it could not do its work
 */
export async function runSidecar(
  config: Config,
  warnings: readonly string[],
  environment: Environment,
): Promise<number> {
  let parts: Parts | null = null;
  const stop = createStop(config, () => parts);
  const logger = createLogger(config.logLevel, config.logFormat);
  try {
    logger.info(`config-reloader ${VERSION} (${REVISION}) starts with ${describeSettings(config)}`, {
      version: VERSION,
      revision: REVISION,
    });
    for (const warning of warnings) logger.warn(warning);
    const whole = createParts(config, logger, environment).then((made) =>
      runParts(config, parts = made, stop)
    );
    return await Promise.race([whole, stop.atOnce]);
  } catch (error) {
    logger.error(messageOf(error));
    return 1;
  } finally {
    await logger.flush(FLUSH_TIMEOUT_MS);
  }
}

async function runParts(config: Config, parts: Parts, stop: ReturnType<typeof createStop>): Promise<number> {
  const { loop, watcher, logger } = parts;
  const server = config.once ? keepAlive() : await serve(config, parts);
  const ended = new AbortController();
  const hint: TakeHint = (cause) => {
    loop.hint(cause);
    // An idle process is woken as seldom as can be.
    if (cause !== "interval") return;
    server.look();
    parts.preparation.restore();
  };
  const watching = watcher.run(hint, AbortSignal.any([stop.stopping, ended.signal]));
  // The watcher ends only when it is told to; the first part that fails ends the rest.
  const failed = watching.then(() => new Promise<never>(() => {}));
  warmUp(config, parts, stop.stopping);
  try {
    return await Promise.race([loop.run(stop.stopping, stop.aborted), failed, server.failed]);
  } finally {
    ended.abort();
    await parts.fleet?.close();
    await server.stop();
    logger.info("Stopped");
  }
}

/** The first request loads and connects, 20 ms of CPU: neither the first look nor the first change pays for it. */
async function warmUp(config: Config, { clock, loop, probe }: Parts, stopping: AbortSignal): Promise<void> {
  while (config.verify !== "none" && !config.once && !stopping.aborted) {
    await clock.sleep(WARM_UP_AFTER_MS, stopping);
    if (loop.model().lastLookAtMs !== null) return void await probe.read(stopping);
  }
}

type Parts = Awaited<ReturnType<typeof createParts>>;

/** Every part on its real effects; nothing is started yet. */
async function createParts(config: Config, logger: ProcessLogger, environment: Environment) {
  const { send } = createSender();
  const clock = createClock();
  const collectGarbage = createCollector();
  const reader = createSnapshotReader(config, clock, collectGarbage);
  const watcher = createWatcher(config, reader, clock, logger);
  const metrics = createMetrics(config, () => watcher.view());
  const target = await createTargetPort(config, { clock });
  const httpTrigger = createHttpTrigger(config, send, clock);
  const probe = createStatusProbe(config, send);
  // Nothing of a fleet is loaded without its flags.
  const asksKubernetes = config.rollout !== "none" || config.kubernetesEvents;
  const fleet = !asksKubernetes ? null : await (await import("../fleet/fleet.ts")).createFleet({
    config,
    clock,
    logger,
    metrics,
    target,
    httpTrigger,
    checkApp: createAppCheck({ config, target, probe }),
    onChange: () => loop.hint("turn"),
  });
  const recorder = createRecorder({ config, clock, logger, metrics, events: fleet?.events });
  const preparation = await loadPreparation(config, logger, clock, environment);
  const loop: Loop = createLoop({
    config,
    clock,
    reader,
    prepare: preparation.prepare,
    target,
    httpTrigger,
    probe,
    random: Math.random,
    collectGarbage,
    recorder,
    ...fleet?.ports,
  });
  return { logger, clock, collectGarbage, metrics, watcher, recorder, probe, loop, fleet, preparation };
}

/** Loaded only where something stands between the content and its trigger. */
async function loadPreparation(
  config: Config,
  logger: ProcessLogger,
  clock: Clock,
  environment: Environment,
): Promise<{ readonly prepare: Prepare; restore(): Promise<void> }> {
  if (!needsPreparing(config)) {
    return {
      prepare: () => Promise.resolve({ kind: "ok" }),
      restore: () => Promise.resolve(),
    };
  }
  const { createPreparation } = await import("../prepare/prepare.ts");
  return createPreparation(config, logger, clock, environment);
}

async function serve(config: Config, parts: Parts) {
  const { logger, metrics, loop, clock } = parts;
  const startedWallMs = clock.wallMs();
  const handler = createHandler({
    clock,
    metrics: () => metrics.render(),
    health: () => loop.health(),
    ready: () => loop.ready(),
    status: async () => (await import("./status_view.ts")).statusView(config, startedWallMs, parts),
    auth: await loadAuth(config, logger),
    onUnread: () => server.shed("they ask and do not read the answers"),
    onError: (path, error) => logger.error(`Cannot answer ${path}: ${error}`, { path }),
  });
  const server = startServer(
    config,
    (ask) => {
      parts.collectGarbage(1);
      return handler(ask);
    },
    logger,
    clock,
  );
  const { port } = server;
  logger.info(`Serving /metrics, /healthz, /readyz and /status on port ${port}`, { port });
  return server;
}

/** Loaded only where `--auth-file` asks for it. */
async function loadAuth(config: Config, logger: ProcessLogger) {
  const { authFile } = config;
  if (authFile === null) return null;
  const { createAuthorize, readAuthFile } = await import("../serve/auth.ts");
  readAuthFile(authFile);
  return createAuthorize(() => readAuthFile(authFile), (message) => logger.warn(message));
}

/** Stands in for the server where there is none (`--once`): timers and signal listeners alone let Deno end early. */
function keepAlive() {
  const timer = setInterval(() => {}, 3_600_000);
  const stop = () => Promise.resolve(clearInterval(timer));
  return { look: () => {}, failed: new Promise<never>(() => {}), stop };
}

/**
 * Listens for the signals. First thing of all: as PID 1, Deno crashes on a SIGTERM without a listener, and a SIGHUP
 * that comes before its listener would end any process. Until there are `parts` a SIGHUP does nothing, and an end, of which
 * nobody is told, waits for nothing.
 */
function createStop({ shutdownTimeoutMs, once }: Config, parts: () => Parts | null) {
  const stopping = new AbortController();
  const aborted = new AbortController();
  const atOnce = Promise.withResolvers<number>();
  // What `--once` was to reach was not reached.
  const code = once ? 1 : 0;

  async function end(signal: string, { clock, logger, loop }: Parts): Promise<void> {
    const waits = reloadOf(loop.model()) !== null;
    const what = waits ? `; up to ${formatMs(shutdownTimeoutMs)} for the reload in progress` : "";
    logger.info(`Stopping: ${signal} received${what}`, { signal });
    if (waits) await clock.sleep(shutdownTimeoutMs);
    aborted.abort();
    // What hangs, such as a read of a dead disk or a slow client, must not hold up the end.
    await clock.sleep(END_GRACE_MS);
    atOnce.resolve(code);
  }

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => {
      const made = parts();
      if (stopping.signal.aborted) {
        made?.logger.info(`Stopping at once: ${signal} received again`, { signal });
        return atOnce.resolve(code);
      }
      stopping.abort();
      if (made !== null) end(signal, made);
    });
  }
  Deno.addSignalListener("SIGHUP", () => parts()?.loop.hint("signal"));
  return {
    /** No new work. */
    stopping: stopping.signal,
    /** The shutdown time is over. */
    aborted: aborted.signal,
    /** The exit code of an end that waits for nothing more. */
    atOnce: atOnce.promise,
  };
}

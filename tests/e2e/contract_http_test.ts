/**
 * The contract's second half, sentence by sentence on the real product: what its HTTP server answers, what each metric
 * says at each moment, how it treats secrets, and how it asks the app. Everything goes through the command line.
 */

import assert from "node:assert/strict";
import { until } from "../support/poll.ts";
import { parseExposition } from "../support/exposition.ts";
import { createScene, get, type Sidecar } from "../support/scene.ts";
import { test } from "../support/strict.ts";
import { startTargetApp } from "../support/target_app.ts";

const url = (sidecar: Sidecar, path: string) => `http://127.0.0.1:${sidecar.port}${path}`;

/** All series of one scrape by name. */
async function scrape(sidecar: Sidecar): Promise<Map<string, number>> {
  const text = await get(url(sidecar, "/metrics"));
  const all = new Map<string, number>();
  for (const metric of parseExposition(text).values()) {
    for (const [series, value] of metric.samples) all.set(series, value);
  }
  return all;
}

/** What every scrape must hold, whenever it comes. */
function assertAddsUp(all: ReadonlyMap<string, number>): void {
  const value = (name: string) => {
    const found = all.get(name);
    assert.ok(found !== undefined, `there is ${name}`);
    return found;
  };
  const outcome = (name: string) => value(`config_reload_outcomes_total{outcome="${name}"}`);
  const [attempts, successes, failures] = ["attempts", "successes", "failures"].map((name) =>
    value(`config_reload_${name}_total`)
  ) as [number, number, number];
  const inProgress = attempts - successes - failures;
  assert.ok(inProgress === 0 || inProgress === 1, `${attempts} = ${successes} + ${failures} + 0 or 1`);
  assert.equal(outcome("success"), successes);
  assert.equal(outcome("rejected") + outcome("failed") + outcome("timeout") + outcome("invalid"), failures);
  for (const name of ["config_reload_duration_seconds", "config_reload_trigger_delay_seconds"]) {
    const buckets = [...all].filter(([series]) => series.startsWith(`${name}_bucket`)).map(([, count]) =>
      count
    );
    assert.ok(buckets.length > 10 && buckets.every((count, i) => i === 0 || count >= buckets[i - 1]!));
    assert.equal(value(`${name}_bucket{le="+Inf"}`), value(`${name}_count`));
  }
  assert.equal(value("config_reload_duration_seconds_count"), successes + failures);
  assert.ok([...all.keys()].filter((series) => series.startsWith("config_reload_config_info")).length <= 1);
  assert.equal([...all.keys()].filter((series) => series.startsWith("config_reload_watch_info")).length, 1);
  assert.equal([...all.keys()].filter((series) => series.startsWith("config_reload_stale_mounts")).length, 4);
}

/** The values of some metrics, without their common beginning. */
function pick(all: ReadonlyMap<string, number>, ...names: string[]) {
  return Object.fromEntries(names.map((name) => [name, all.get(`config_reload_${name}`)]));
}

const STATE = ["in_sync", "last_successful", "attempts_total", "successes_total", "failures_total"];

/** What a scrape shows while everything is in order and nothing has happened yet. */
async function assertFirst(sidecar: Sidecar): Promise<void> {
  const all = await scrape(sidecar);
  assertAddsUp(all);
  const wanted = {
    in_sync: 1,
    last_successful: 1,
    attempts_total: 0,
    successes_total: 0,
    failures_total: 0,
    last_success_timestamp: 0,
    restart_required: 0,
    files: 1,
    watch_errors_total: 0,
    read_errors_total: 0,
  };
  assert.deepEqual(pick(all, ...Object.keys(wanted)), wanted);
  assert.equal(all.get('config_reload_watch_info{method="inotify"}'), 1);
  assert.ok(Math.abs(all.get("config_reload_last_scan_timestamp_seconds")! - Date.now() / 1000) < 60);
  for (const container of ["sidecar", "app"]) {
    for (const reason of ["subpath", "replaced"]) {
      assert.equal(all.get(`config_reload_stale_mounts{container="${container}",reason="${reason}"}`), 0);
    }
  }
  const build = [...all.keys()].filter((series) => series.startsWith("config_reloader_build_info"));
  assert.equal(build.length, 1);
  assert.match(build[0]!, /^config_reloader_build_info\{version="[^"]+",revision="[^"]+",deno="[^"]+"\}$/);
}

test("metrics: the first state; each outcome moves what it must and nothing else; every scrape adds up", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin({
    args: [
      "--reload-timeout=3s",
      "--poll-interval=50ms",
      "--retry-interval=1m",
      "--max-backoff=1m",
      "--validate=yaml",
    ],
  });
  await sidecar.metricIs("config_reload_in_sync", 1);
  await assertFirst(sidecar);
  let going = true;
  let scrapes = 0;
  // Without a pause: whatever the moment, a scrape contradicts neither itself nor time.
  const scraping = (async () => {
    let before = 0;
    while (going) {
      const all = await scrape(sidecar);
      assertAddsUp(all);
      assert.ok(all.get("config_reload_attempts_total")! >= before);
      before = all.get("config_reload_attempts_total")!;
      scrapes++;
    }
  })();
  const outcome = async (name: string, count: number) => {
    await sidecar.metricIs(`config_reload_outcomes_total{outcome="${name}"}`, count);
    return await scrape(sidecar);
  };
  try {
    await scene.swap("version: 1\n");
    const good = await outcome("success", 1);
    assert.deepEqual(Object.values(pick(good, ...STATE)), [1, 1, 1, 1, 0]);
    const successAt = good.get("config_reload_last_success_timestamp")!;
    assert.ok(Math.abs(successAt - Date.now() / 1000) < 60);
    assert.equal(good.get("config_reload_trigger_delay_seconds_count"), 1);

    await scene.swap("REJECT: 1\n");
    const rejected = await outcome("rejected", 1);
    assert.deepEqual(Object.values(pick(rejected, ...STATE)), [0, 0, 2, 1, 1]);
    assert.equal(rejected.get("config_reload_last_success_timestamp"), successAt);
    assert.equal(rejected.get("config_reload_trigger_delay_seconds_count"), 2);

    await scene.swap("a: [\n");
    const invalid = await outcome("invalid", 1);
    assert.deepEqual(Object.values(pick(invalid, ...STATE)), [0, 0, 3, 1, 2]);
    assert.equal(invalid.get("config_reload_trigger_delay_seconds_count"), 2, "nothing was sent");

    await scene.app.control({ mode: "ignore" });
    await scene.swap("version: 2\n");
    const timeout = await outcome("timeout", 1);
    assert.deepEqual(Object.values(pick(timeout, ...STATE)), [0, 0, 4, 1, 3]);

    await scene.app.control({ mode: "ok" });
    await scene.swap("version: 3\n");
    const again = await outcome("success", 2);
    assert.deepEqual(Object.values(pick(again, ...STATE)), [1, 1, 5, 2, 3]);
    assert.ok(again.get("config_reload_last_success_timestamp")! > successAt);

    await scene.app.stop();
    await scene.swap("version: 4\n");
    const failed = await outcome("failed", 1);
    assert.deepEqual(Object.values(pick(failed, ...STATE)), [0, 0, 6, 2, 4]);
    assert.equal(failed.get("config_reload_trigger_delay_seconds_count"), 4, "nobody was signalled");
    const hash = [...failed.keys()].find((series) => series.startsWith("config_reload_config_info"))!;
    assert.match(hash, /^config_reload_config_info\{hash="[0-9a-f]{12}"\}$/);
    await Promise.race([scraping, until("50 scrapes", () => scrapes > 50)]);
  } finally {
    going = false;
    await scraping;
  }
});

test("metrics: content that is missing, and comes back as it was or new", async () => {
  await using scene = await createScene({ plain: true });
  const sidecar = await scene.begin({ args: ["--delay-interval=0s"] });
  await sidecar.metricIs("config_reload_in_sync", 1);
  const before = await scrape(sidecar);
  await Deno.rename(scene.file, `${scene.file}.away`);
  await sidecar.metricIs("config_reload_in_sync", 0);
  await sidecar.metricIs("config_reload_read_errors_total", (value) => value >= 1);
  const missing = await scrape(sidecar);
  assertAddsUp(missing);
  assert.deepEqual(
    pick(missing, "attempts_total", "last_successful"),
    { attempts_total: 0, last_successful: 1 },
    "missing content is no attempt",
  );
  assert.deepEqual(
    [...missing.keys()].filter((series) => series.includes("config_info")),
    [...before.keys()].filter((series) => series.includes("config_info")),
    "the last content stays",
  );
  await Deno.rename(`${scene.file}.away`, scene.file);
  await sidecar.metricIs("config_reload_in_sync", 1);
});

test("metrics: process_* are those of /proc", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin();
  // The scrape and /proc are read one after the other, and a start is still using memory and time.
  await until("a scrape that tells what /proc does", async () => (await assertProcess(sidecar), true));
});

async function assertProcess(sidecar: Sidecar): Promise<void> {
  const all = await scrape(sidecar);
  const at = `/proc/${sidecar.pid}`;
  const proc = (path: string) => Deno.readTextFileSync(`${at}/${path}`);
  const stat = proc("stat").slice(proc("stat").lastIndexOf(")") + 2).split(" ");
  const btime = Number(/^btime (\d+)/m.exec(Deno.readTextFileSync("/proc/stat"))![1]);
  const rss = Number(/VmRSS:\s+(\d+)/.exec(proc("status"))![1]) * 1024;
  const fds = [...Deno.readDirSync(`/proc/${sidecar.pid}/fd`)].length;
  const value = (name: string) => all.get(`process_${name}`)!;
  assert.ok(Math.abs(value("cpu_seconds_total") - (Number(stat[11]) + Number(stat[12])) / 100) < 0.5);
  assert.ok(
    Math.abs(value("resident_memory_bytes") / rss - 1) < 0.2,
    `${value("resident_memory_bytes")} ${rss}`,
  );
  assert.ok(Math.abs(value("start_time_seconds") - (btime + Number(stat[19]) / 100)) < 1.01);
  assert.ok(Math.abs(value("open_fds") - fds) <= 3, `${value("open_fds")} ${fds}`);
  assert.equal(
    value("max_fds"),
    Number(/^Max open files\s+(\d+)/m.exec(Deno.readTextFileSync(`${at}/limits`))![1]),
  );
}

test("metrics: a restart that was required is over when the app has restarted", async () => {
  await using scene = await createScene({ app: { mode: "restart-required" } });
  const sidecar = await scene.begin({ args: ["--process-cmdline=target_app.*" + scene.dir, "--pid=auto"] });
  await scene.swap("version: 1\n");
  await sidecar.metricIs("config_reload_restart_required", 1);
  assert.equal(await sidecar.metric("config_reload_last_successful"), 1, "it is no failure");
  assert.match(await get(url(sidecar, "/")), /needs a restart/);
  // An end within 2 s would count as killed by the signal, and be looked into anyway.
  const triggeredMs = performance.now();
  await until("the signal to be long ago", () => performance.now() - triggeredMs > 2_500);
  const { port } = scene.app;
  await scene.app.stop();
  await using _again = await startTargetApp({ config: scene.file, port });
  await sidecar.metricIs("config_reload_restart_required", 0);
  assert.deepEqual(JSON.parse(await get(url(sidecar, "/status"))).restartRequired, []);
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Outcome, OUTCOMES } from "../../src/model.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { REVISION, VERSION } from "../../src/version.ts";
import { createTestConfig } from "../support/config.ts";
import { parseExposition, sampleOf } from "../support/exposition.ts";
import { test } from "../support/strict.ts";

/** The series of a metric with their values, as they stand in the text. */
const seriesOf = (text: string, name: string) =>
  [...parseExposition(text).get(name)!.samples].map((sample) => sample.join(" "));

/** The contract's table; `process_*` spelled out. Changing a line here breaks users' alerts. */
const CONTRACT: Readonly<Record<string, string>> = {
  config_reload_attempts_total: "counter",
  config_reload_successes_total: "counter",
  config_reload_failures_total: "counter",
  config_reload_last_success_timestamp: "gauge",
  config_reload_outcomes_total: "counter",
  config_reload_last_successful: "gauge",
  config_reload_in_sync: "gauge",
  config_reload_duration_seconds: "histogram",
  config_reload_trigger_delay_seconds: "histogram",
  config_reload_config_info: "gauge",
  config_reload_restart_required: "gauge",
  config_reload_watch_info: "gauge",
  config_reload_watch_events_total: "counter",
  config_reload_watch_errors_total: "counter",
  config_reload_read_errors_total: "counter",
  config_reload_files: "gauge",
  config_reload_last_scan_timestamp_seconds: "gauge",
  config_reload_stale_mounts: "gauge",
  config_reload_proof_info: "gauge",
  config_reload_target_ready: "gauge",
  config_reload_rollout_held: "gauge",
  config_reload_kubernetes_errors_total: "counter",
  config_reloader_build_info: "gauge",
  process_cpu_seconds_total: "counter",
  process_resident_memory_bytes: "gauge",
  process_start_time_seconds: "gauge",
  process_open_fds: "gauge",
  process_max_fds: "gauge",
};

test("names and types are those of the contract", async () => {
  const all = { trigger: "signal", rollout: "canary", kubernetesEvents: true } as const;
  const metrics = parseExposition(await createMetrics(createTestConfig(all)).render());
  assert.deepEqual(Object.fromEntries([...metrics.values()].map(({ name, type }) => [name, type])), CONTRACT);
});

test("a metric that makes no sense with the settings is absent", async () => {
  const optional = [
    "config_reload_target_ready",
    "config_reload_rollout_held",
    "config_reload_kubernetes_errors_total",
  ];
  const cases = [
    [{ trigger: "signal", rollout: "none", kubernetesEvents: false }, [optional[0]]],
    [{ trigger: "http", rollout: "none", kubernetesEvents: false }, []],
    [{ trigger: "none", rollout: "none", kubernetesEvents: true }, [optional[2]]],
    [{ trigger: "http", rollout: "serial", kubernetesEvents: false }, [optional[1], optional[2]]],
  ] as const;
  for (const [settings, wanted] of cases) {
    const metrics = createMetrics(createTestConfig(settings));
    metrics.setTargetReady("ready");
    metrics.setRolloutHeld(true);
    metrics.kubernetesError();
    const names = [...parseExposition(await metrics.render()).keys()].filter((name) =>
      optional.includes(name)
    );
    assert.deepEqual(names, wanted);
  }
});

test("proof, target and rollout: one series at a time, absent before there is one", async () => {
  const metrics = createMetrics(
    createTestConfig({ trigger: "signal", rollout: "canary", kubernetesEvents: false }),
  );
  const series = async (name: string) => seriesOf(await metrics.render(), name);
  assert.deepEqual(await series("config_reload_proof_info"), []);
  assert.deepEqual(await series("config_reload_target_ready"), []);
  metrics.setProof("http-200");
  metrics.setProof("counter");
  assert.deepEqual(await series("config_reload_proof_info"), ['config_reload_proof_info{kind="counter"} 1']);
  metrics.setTargetReady("ready");
  assert.deepEqual(await series("config_reload_target_ready"), [
    'config_reload_target_ready{code="ready"} 1',
  ]);
  metrics.setTargetReady("no-handler");
  assert.deepEqual(await series("config_reload_target_ready"), [
    'config_reload_target_ready{code="no-handler"} 0',
  ]);
  metrics.setTargetReady(null);
  assert.deepEqual(await series("config_reload_target_ready"), []);
  assert.deepEqual(await series("config_reload_rollout_held"), ["config_reload_rollout_held 0"]);
  metrics.setRolloutHeld(true);
  metrics.kubernetesError();
  assert.deepEqual(await series("config_reload_rollout_held"), ["config_reload_rollout_held 1"]);
  assert.deepEqual(await series("config_reload_kubernetes_errors_total"), [
    "config_reload_kubernetes_errors_total 1",
  ]);
});

test("what a scrape shows before anything happened", async () => {
  const text = await createMetrics(createTestConfig()).render();
  for (
    const [series, value] of Object.entries({
      "config_reload_attempts_total": 0,
      "config_reload_successes_total": 0,
      "config_reload_failures_total": 0,
      "config_reload_last_success_timestamp": 0,
      "config_reload_last_successful": 1,
      "config_reload_in_sync": 0,
      "config_reload_duration_seconds_count": 0,
      "config_reload_trigger_delay_seconds_count": 0,
      "config_reload_restart_required": 0,
      "config_reload_watch_events_total": 0,
      "config_reload_watch_errors_total": 0,
      "config_reload_read_errors_total": 0,
      "config_reload_files": 0,
      "config_reload_last_scan_timestamp_seconds": 0,
      'config_reload_stale_mounts{container="sidecar",reason="subpath"}': 0,
      'config_reload_stale_mounts{container="sidecar",reason="replaced"}': 0,
      'config_reload_stale_mounts{container="app",reason="subpath"}': 0,
      'config_reload_stale_mounts{container="app",reason="replaced"}': 0,
      [`config_reloader_build_info{version="${VERSION}",revision="${REVISION}",deno="${Deno.version.deno}"}`]:
        1,
    })
  ) assert.equal(sampleOf(text, series), value, series);
  assert.deepEqual(
    seriesOf(text, "config_reload_outcomes_total"),
    OUTCOMES.map((outcome) => `config_reload_outcomes_total{outcome="${outcome}"} 0`),
  );
  assert.doesNotMatch(text, /config_info\{/);
  assert.doesNotMatch(text, /nan/i);
});

test("a success and a rejection", async () => {
  const metrics = createMetrics(createTestConfig());
  metrics.attemptStarted();
  metrics.triggerSent(0.4);
  metrics.attemptEnded("success", { durationMs: 12, wallMs: 1_700_000_000_500 });
  metrics.attemptStarted();
  metrics.attemptEnded("rejected", { durationMs: 70_000, wallMs: 1_700_000_100_000 });
  metrics.attemptStarted();
  const text = await metrics.render();
  for (
    const [series, value] of Object.entries({
      "config_reload_attempts_total": 3,
      "config_reload_successes_total": 1,
      "config_reload_failures_total": 1,
      'config_reload_outcomes_total{outcome="success"}': 1,
      'config_reload_outcomes_total{outcome="rejected"}': 1,
      "config_reload_last_success_timestamp": 1_700_000_000.5,
      "config_reload_last_successful": 0,
      'config_reload_duration_seconds_bucket{le="0.01"}': 0,
      'config_reload_duration_seconds_bucket{le="0.025"}': 1,
      'config_reload_duration_seconds_bucket{le="60"}': 1,
      'config_reload_duration_seconds_bucket{le="+Inf"}': 2,
      "config_reload_duration_seconds_count": 2,
      "config_reload_duration_seconds_sum": 70.012,
      'config_reload_trigger_delay_seconds_bucket{le="0.0005"}': 1,
      "config_reload_trigger_delay_seconds_count": 1,
    })
  ) assert.equal(sampleOf(text, series), value, series);
});

test("last_successful is 1 again after the next success", async () => {
  const metrics = createMetrics(createTestConfig());
  for (
    const [outcome, wanted] of [["timeout", 0], ["success", 1], ["invalid", 0], ["success", 1], [
      "failed",
      0,
    ]] as const
  ) {
    metrics.attemptStarted();
    metrics.attemptEnded(outcome, { durationMs: 1, wallMs: 1 });
    assert.equal(sampleOf(await metrics.render(), "config_reload_last_successful"), wanted);
  }
});

test("gauges say what was set last, and one series at a time where there is one state", async () => {
  let view = { method: "inotify" as "inotify" | "poll", reason: "", events: 5, errors: 0 };
  const metrics = createMetrics(createTestConfig(), () => view);
  metrics.setContent("aaaaaaaaaaaa", 1);
  metrics.setContent("bbbbbbbbbbbb", 3);
  metrics.setInSync(true);
  metrics.setRestartRequired(2);
  metrics.scanned(1_700_000_000_250);
  metrics.readError();
  metrics.setStaleMounts([
    { container: "app", reason: "subpath", mountPoint: "/etc/a", message: "" },
    { container: "app", reason: "subpath", mountPoint: "/etc/b", message: "" },
  ]);
  let text = await metrics.render();
  assert.deepEqual(seriesOf(text, "config_reload_config_info"), [
    'config_reload_config_info{hash="bbbbbbbbbbbb"} 1',
  ]);
  assert.deepEqual(seriesOf(text, "config_reload_watch_info"), [
    'config_reload_watch_info{method="inotify"} 1',
  ]);
  assert.equal(sampleOf(text, "config_reload_files"), 3);
  assert.equal(sampleOf(text, "config_reload_in_sync"), 1);
  assert.equal(sampleOf(text, "config_reload_restart_required"), 2);
  assert.equal(sampleOf(text, "config_reload_last_scan_timestamp_seconds"), 1_700_000_000.25);
  assert.equal(sampleOf(text, "config_reload_read_errors_total"), 1);
  assert.equal(sampleOf(text, 'config_reload_stale_mounts{container="app",reason="subpath"}'), 2);
  assert.equal(sampleOf(text, 'config_reload_stale_mounts{container="sidecar",reason="subpath"}'), 0);
  view = { method: "poll", reason: "", events: 7, errors: 2 };
  metrics.setContent(null, 0);
  metrics.setStaleMounts([]);
  text = await metrics.render();
  assert.deepEqual(seriesOf(text, "config_reload_watch_info"), ['config_reload_watch_info{method="poll"} 1']);
  assert.equal(sampleOf(text, "config_reload_watch_events_total"), 7);
  assert.equal(sampleOf(text, "config_reload_watch_errors_total"), 2);
  assert.equal(sampleOf(text, 'config_reload_stale_mounts{container="app",reason="subpath"}'), 0);
  assert.doesNotMatch(text, /config_info\{/);
});

test("what cannot be read of the process does not cost the scrape", async () => {
  const metrics = createMetrics(createTestConfig(), undefined, () => {
    throw new Error("no /proc");
  });
  metrics.attemptStarted();
  const text = await metrics.render();
  assert.equal(sampleOf(text, "process_open_fds"), 0);
  assert.equal(sampleOf(text, "config_reload_attempts_total"), 1);
});

test("this process: the numbers are plausible", async () => {
  const text = await createMetrics(createTestConfig()).render();
  const value = (name: string) => sampleOf(text, name);
  assert.ok(value("process_cpu_seconds_total") > 0);
  assert.ok(Math.abs(value("process_resident_memory_bytes") - Deno.memoryUsage().rss) < 64 * 1024 * 1024);
  assert.ok(value("process_start_time_seconds") * 1000 <= Date.now());
  assert.ok(value("process_start_time_seconds") * 1000 > Date.now() - 3_600_000);
  const fds = [...Deno.readDirSync("/proc/self/fd")].length;
  assert.ok(Math.abs(value("process_open_fds") - fds) <= 3, `${value("process_open_fds")} and ${fds}`);
  assert.ok(value("process_max_fds") > value("process_open_fds"));
});

test("every scrape adds up, whatever happens while its text is made", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...OUTCOMES), { maxLength: 20 }), async (outcomes) => {
      const metrics = createMetrics(createTestConfig());
      const act = async (outcome: Outcome) => {
        metrics.attemptStarted();
        await Promise.resolve();
        metrics.attemptEnded(outcome, { durationMs: 1, wallMs: 1 });
      };
      // Scrapes and attempts take turns microtask by microtask.
      const scrapes: Promise<string>[] = [];
      for (const outcome of outcomes) {
        const running = act(outcome);
        scrapes.push(metrics.render());
        await running;
        scrapes.push(metrics.render());
      }
      for (const text of await Promise.all(scrapes)) {
        const [attempts, good, bad] = ["attempts", "successes", "failures"].map((what) =>
          sampleOf(text, `config_reload_${what}_total`)
        ) as [number, number, number];
        assert.ok(attempts - good - bad === 0 || attempts - good - bad === 1, `${attempts} ${good} ${bad}`);
        const sum = OUTCOMES.reduce(
          (all, o) => all + sampleOf(text, `config_reload_outcomes_total{outcome="${o}"}`),
          0,
        );
        assert.equal(sum, good + bad);
      }
    }),
    { numRuns: 30 },
  );
});

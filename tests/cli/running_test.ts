/** `check` and `healthcheck` take the settings of the sidecar that runs; flags that are given win. */

import assert from "node:assert/strict";
import { type CommandLine, parseCommandLine } from "../../src/cli/parse.ts";
import { test } from "../support/strict.ts";
import { CWD } from "./support.ts";

const RUNNING = {
  pid: 18,
  args: ["run", "--process-name=nginx", "--metrics-port", "9092", "--config-file=/etc/nginx/nginx.conf"],
  environment: { CONFIG_RELOADER_VERIFY: "none", INTERVAL: "9s" },
};

function parse(args: readonly string[], running: Parameters<typeof parseCommandLine>[3] = RUNNING, own = {}) {
  const line = parseCommandLine(args, own, CWD, running);
  assert.ok(line.kind === "check" || line.kind === "healthcheck", JSON.stringify(line));
  return line as Extract<CommandLine, { kind: "check" }>;
}

test("flags and variables of the running sidecar count", () => {
  for (const command of ["check", "healthcheck"]) {
    const { config, taken } = parse([command]);
    assert.deepEqual(
      [config.processName, config.metricsPort, config.verify, config.intervalMs, config.configFiles],
      ["nginx", 9092, "none", 9000, ["/etc/nginx/nginx.conf"]],
    );
    assert.deepEqual(taken, { pid: 18, flags: 3, variables: 2 });
  }
});

test("flags that are given win, also over variables and as another way to name the target", () => {
  const { config } = parse(["check", "--config-file=/a", "--verify=http", "--pid-file=/run/app.pid"]);
  assert.deepEqual([config.configFiles, config.verify, config.pidFile, config.processName], [
    ["/a"],
    "http",
    "/run/app.pid",
    null,
  ]);
  assert.equal(config.metricsPort, 9092);
});

test("a health check that is told whom to ask says nothing of the running sidecar's settings", () => {
  const { config, taken } = parse(["healthcheck", "--metrics-port=9300"]);
  assert.deepEqual([config.metricsPort, taken], [9300, null]);
});

test("variables of this process count where those of the sidecar may not be read", () => {
  const own = { CONFIG_RELOADER_VERIFY: "http" };
  assert.equal(parse(["check"], { ...RUNNING, environment: null }, own).config.verify, "http");
  assert.equal(parse(["check"], RUNNING, own).config.verify, "none");
  assert.equal(parse(["check"], null, own).taken, null);
});

test("how the sidecar logs does not decide how the report looks", () => {
  const running = {
    ...RUNNING,
    args: ["--log-format=json"],
    environment: { CONFIG_RELOADER_LOG_FORMAT: "json" },
  };
  assert.equal(parse(["check"], running).config.logFormat, "text");
  assert.equal(parse(["check", "--log-format=json"], running).config.logFormat, "json");
});

test("a command line that is no sidecar's is left alone, and run takes nobody's settings", () => {
  for (const args of [["--no-such-flag"], ["something"]]) {
    assert.equal(parse(["check"], { ...RUNNING, args }).taken, null);
  }
  const line = parseCommandLine([], {}, CWD, RUNNING);
  assert.ok(line.kind === "run" && line.config.metricsPort === 9091);
});

test("--run-checks is a switch of check alone", () => {
  assert.equal(parse(["check", "--run-checks"]).runChecks, true);
  assert.equal(parse(["check"]).runChecks, false);
  const line = parseCommandLine(["--run-checks"], {}, CWD);
  assert.deepEqual(line, {
    kind: "usage",
    message: "--run-checks: counts only with the command check, not with run",
  });
});

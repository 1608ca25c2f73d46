import assert from "node:assert/strict";
import type { Config } from "../../src/config.ts";
import { findFlag, FLAG_NAMES, type FlagName, variableOf } from "../../src/cli/flags.ts";
import { CWD, run, usage } from "./support.ts";
import { test } from "../support/strict.ts";

/** Field of the config, default as the contract has it, a value to give and what it becomes, arguments that it needs. */
type Row = readonly [
  name: FlagName,
  field: keyof Config,
  defaultText: string | null,
  defaultValue: unknown,
  text: string,
  value: unknown,
  more?: readonly string[],
];

/** The contract's table, row by row and in its order. */
const CONTRACT: readonly Row[] = [
  ["config-file", "configFiles", "/etc/amp/config.yaml", ["/etc/amp/config.yaml"], "/a/*.yaml", [
    "/a/*.yaml",
  ]],
  ["watched-dir", "watchedDirs", null, [], "/etc/app", ["/etc/app"]],
  ["interval", "intervalMs", "5s", 5_000, "1m30s", 90_000],
  ["watch-method", "watchMethod", "auto", "auto", "poll", "poll"],
  ["delay-interval", "delayIntervalMs", "auto", "auto", "0", 0],
  ["max-file-size", "maxFileSizeBytes", "16MiB", 16_777_216, "64KiB", 65_536],
  ["validate", "validate", "none", "none", "yaml", "yaml"],
  ["check-command", "checkCommand", null, null, "nginx -t 'a b'", ["nginx", "-t", "a b"]],
  ["config-envsubst-file", "configEnvsubstFile", null, null, "/out/a.yaml", "/out/a.yaml"],
  ["output-dir", "outputDir", null, null, "/out", "/out"],
  ["trigger", "trigger", "signal", "signal", "none", "none"],
  ["signal", "signal", "SIGHUP", "SIGHUP", "usr1", "SIGUSR1"],
  ["pid", "pid", "auto", "auto", "7", 7],
  ["pid-file", "pidFile", null, null, "run/app.pid", `${CWD}/run/app.pid`],
  ["process-name", "processName", null, null, "nginx", "nginx"],
  ["process-cmdline", "processCmdline", null, null, "^nginx: master", /^nginx: master/],
  ["allow-unhandled-signal", "allowUnhandledSignal", "false", false, "true", true],
  ["trigger-url", "triggerUrls", null, [], "http://localhost/-/r", ["http://localhost/-/r"], [
    "--trigger",
    "http",
  ]],
  ["trigger-method", "triggerMethod", "POST", "POST", "put", "PUT", [
    "--trigger=http",
    "--trigger-url=http://localhost:8081/",
  ]],
  [
    "reload-url",
    "reloadUrl",
    "http://localhost:8080/health/reload",
    "http://localhost:8080/health/reload",
    "unix:/run/app.sock:/status",
    "unix:/run/app.sock:/status",
  ],
  ["verify", "verify", "auto", "auto", "prometheus", "prometheus"],
  ["verify-ok", "verifyOk", null, null, "/a=b=c", { pointer: "/a", value: "b=c" }, ["--verify", "json"]],
  ["verify-token", "verifyToken", null, null, "/data/0/a~1b", "/data/0/a~1b", ["--verify", "json"]],
  ["reload-timeout", "reloadTimeoutMs", "30s", 30_000, "1m", 60_000],
  ["poll-interval", "pollIntervalMs", "500ms", 500, "1s", 1_000],
  ["http-timeout", "httpTimeoutMs", "5s", 5_000, "2s", 2_000],
  ["basic-auth-file", "basicAuthFile", null, null, "/s/basic", "/s/basic"],
  ["bearer-token-file", "bearerTokenFile", null, null, "/s/token", "/s/token"],
  ["header-file", "headerFile", null, null, "/s/headers", "/s/headers"],
  ["ca-file", "caFile", null, null, "/s/ca.pem", "/s/ca.pem"],
  ["client-cert-file", "clientCertFile", null, null, "/s/c.pem", "/s/c.pem", [
    "--client-key-file=/k",
  ]],
  ["client-key-file", "clientKeyFile", null, null, "/s/k.pem", "/s/k.pem", [
    "--client-cert-file=/c",
  ]],
  ["retry-interval", "retryIntervalMs", "5s", 5_000, "10s", 10_000],
  ["max-backoff", "maxBackoffMs", "5m", 300_000, "1h", 3_600_000],
  ["jitter", "jitterMs", "0s", 0, "10s", 10_000],
  ["min-reload-interval", "minReloadIntervalMs", "1s", 1_000, "0s", 0],
  ["reload-on-start", "reloadOnStart", "auto", "auto", "never", "never"],
  ["once", "once", "false", false, "TRUE", true],
  ["metrics-port", "metricsPort", "9091", 9091, "0", 0],
  ["metrics-host", "metricsHost", "all addresses", null, "[::1]", "::1"],
  ["tls-cert-file", "tlsCertFile", null, null, "/t/c.pem", "/t/c.pem", ["--tls-key-file=/k"]],
  ["tls-key-file", "tlsKeyFile", null, null, "/t/k.pem", "/t/k.pem", ["--tls-cert-file=/c"]],
  ["auth-file", "authFile", null, null, "/t/auth", "/t/auth"],
  ["ready-when", "readyWhen", "started", "started", "in-sync", "in-sync"],
  ["rollout", "rollout", "none", "none", "canary", "canary", ["--rollout-group=web"]],
  ["rollout-group", "rolloutGroup", null, null, "web", "web", ["--rollout=serial"]],
  ["rollout-soak", "rolloutSoakMs", "10s", 10_000, "1m", 60_000, ["--rollout=canary", "--rollout-group=web"]],
  ["kubernetes-events", "kubernetesEvents", "false", false, "true", true],
  ["log-level", "logLevel", "info", "info", "WARN", "warn"],
  ["log-format", "logFormat", "text", "text", "json", "json"],
  ["shutdown-timeout", "shutdownTimeoutMs", "10s", 10_000, "1s", 1_000],
];

const PLAIN: Partial<Record<FlagName, string>> = {
  "config-file": "CONFIG_FILE",
  "reload-url": "RELOAD_URL",
  "interval": "INTERVAL",
  "log-level": "LOG_LEVEL",
  "metrics-port": "METRICS_PORT",
};

test("the table has the contract's flags in its order, with its defaults, groups and plain variables", () => {
  assert.deepEqual(FLAG_NAMES, CONTRACT.map(([name]) => name));
  for (const [name, , defaultText] of CONTRACT) {
    const flag = findFlag(name)!;
    assert.equal(flag.default ?? null, defaultText, name);
    assert.equal(flag.plainVariable, PLAIN[name], name);
    assert.ok(flag.help !== "", name);
  }
  const groups = [...new Set(FLAG_NAMES.map((name) => findFlag(name)!.group))];
  assert.deepEqual(groups, [
    "Watching",
    "Checking and rendering",
    "Trigger and target",
    "Verification",
    "Credentials for the app",
    "Retry and rate",
    "Server",
    "Fleet",
    "Logs and end",
  ]);
});

test("with nothing given, every field has the contract's default", () => {
  const { config, warnings } = run([]);
  assert.deepEqual(warnings, []);
  for (const [name, field, , value] of CONTRACT) assert.deepEqual(config[field], value, name);
  const fields = CONTRACT.map(([, field]) => field);
  assert.deepEqual(Object.keys(config).sort(), [...fields, "maxUnpackedBytes", "settings"].sort());
  assert.equal(config.settings.length, CONTRACT.length);
  assert.ok(config.settings.every(({ source }) => source === "default"));
});

test("every flag and every variable sets its field and says so in the settings", () => {
  for (const [name, field, , , text, value, more = []] of CONTRACT) {
    const isSwitch = findFlag(name)!.placeholder === "";
    const forms = isSwitch
      ? [[`--${name}`], [`--${name}=${text}`]]
      : [[`--${name}`, text], [`--${name}=${text}`]];
    for (const form of forms) {
      const { config } = run([...more, ...form]);
      assert.deepEqual(config[field], value, form.join(" "));
      assert.equal(config.settings.find((setting) => setting.name === name)?.source, "flag");
    }
    for (const variable of [variableOf(name), PLAIN[name]]) {
      if (variable === undefined) continue;
      const { config, warnings } = run(more, { [variable]: text });
      assert.deepEqual(config[field], value, variable);
      assert.deepEqual(warnings, []);
      const setting = config.settings.find((candidate) => candidate.name === name);
      assert.equal(setting?.source, "environment");
      assert.equal(setting?.variable, variable);
    }
  }
});

test("a flag beats the prefixed variable, which beats the plain one; an empty variable is unset", () => {
  for (const [name, field, , defaultValue, text, value, more = []] of CONTRACT) {
    const variable = variableOf(name);
    // What loses is not even read: it may be anything.
    const bad = "\n not a value (";
    assert.deepEqual(
      run([...more, `--${name}=${text}`], { [variable]: bad }).config[field],
      value,
      name,
    );
    const plain = PLAIN[name];
    if (plain) {
      assert.deepEqual(run(more, { [variable]: text, [plain]: bad }).config[field], value, name);
      assert.deepEqual(run(more, { [variable]: "", [plain]: text }).config[field], value, name);
    }
    if (more.length > 0) continue;
    assert.deepEqual(run(more, { [variable]: "" }).config[field], defaultValue, name);
  }
});

test("zero is allowed for three durations only", () => {
  const zero = ["delay-interval", "jitter", "min-reload-interval"];
  for (
    const name of FLAG_NAMES.filter((candidate) => findFlag(candidate)!.placeholder.includes("DURATION"))
  ) {
    for (const text of ["0", "0s", "0h0m"]) {
      if (zero.includes(name)) run([`--${name}=${text}`]);
      else assert.equal(usage([`--${name}=${text}`]), `--${name}: "${text}" is too short, want at least 1ms`);
    }
  }
});

test("a value that is empty, or missing, is an error of every flag that takes one", () => {
  for (const name of FLAG_NAMES) {
    const { placeholder } = findFlag(name)!;
    assert.equal(usage([`--${name}=`]), `--${name}: "" is empty, want ${placeholder || "true or false"}`);
    if (placeholder === "") continue;
    assert.equal(usage([`--${name}`]), `--${name}: a value is missing, want --${name} ${placeholder}`);
    assert.match(
      usage([`--${name}`, "--once"]),
      new RegExp(`^--${name}: a value is missing before "--once"`),
    );
  }
});

test("every flag but the lists refuses to be given twice", () => {
  const lists = ["config-file", "watched-dir", "trigger-url"];
  for (const [name, , , , text] of CONTRACT) {
    assert.equal(findFlag(name)!.repeatable ?? false, lists.includes(name), name);
    if (lists.includes(name)) continue;
    const twice = [`--${name}=${text}`, `--${name}=${text}`];
    assert.equal(usage(twice), `--${name}: "${text}" is a second value, want one`);
  }
});

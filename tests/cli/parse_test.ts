import assert from "node:assert/strict";
import { baseName, isWithin } from "../../src/paths.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { hideUrlSecrets } from "../../src/http/urls.ts";
import { APP_URL, SIGNAL } from "../../src/cli/kinds.ts";
import { absolutePath } from "../../src/cli/values.ts";
import { SIGNALS } from "../../src/linux.ts";
import { CWD, run, usage } from "./support.ts";
import { test } from "../support/strict.ts";

function topic(...args: string[]): string {
  const line = parseCommandLine(args, { INTERVAL: "junk" }, CWD);
  return line.kind === "print" ? line.topic : `${line.kind}: ${JSON.stringify(line)}`;
}

test("the command is run unless another word comes first, before or after flags", () => {
  for (const args of [[], ["run"], ["--once", "run"], ["--interval", "9s"]]) {
    assert.equal(parseCommandLine(args, {}, CWD).kind, "run");
  }
  assert.equal(parseCommandLine(["check", "--interval=9s"], {}, CWD).kind, "check");
  assert.equal(parseCommandLine(["--interval", "9s", "check"], {}, CWD).kind, "check");
  assert.equal(parseCommandLine(["healthcheck"], {}, CWD).kind, "healthcheck");
});

test("help and version work on each command and win over every mistake", () => {
  for (const command of ["run", "check", "healthcheck"]) {
    assert.equal(topic(command, "--help"), `help ${command}`);
    assert.equal(topic("-h", command, "--nonsense"), `help ${command}`);
    assert.equal(topic(command, "--interval", "5", "--version", "word"), "version");
  }
  assert.equal(topic("--help"), "help run");
  assert.equal(topic("--interval", "--help"), "help run");
  assert.equal(topic("--interval", "-h"), "help run");
  assert.equal(topic("--help", "--version"), "help run");
  assert.equal(topic("--version", "--help"), "version");
  assert.equal(topic("help"), "help run");
  assert.equal(topic("help", "check"), "help check");
  assert.equal(topic("version"), "version");
  assert.match(usage(["--", "--help"]), /^unknown command "--help"/);
});

test("lists come from repeated flags or from commas in a variable, never mixed", () => {
  const { config } = run(["--config-file", "/a,b", "--config-file=/c", "--config-file", "/c"], {
    CONFIG_FILE: "/d",
  });
  assert.deepEqual(config.configFiles, ["/a,b", "/c"]);
  assert.equal(config.settings[0]?.value, "/a,b,/c,/c");
  assert.deepEqual(run([], { CONFIG_FILE: "/a, /b,,x/../c " }).config.configFiles, ["/a", "/b", `${CWD}/c`]);
  assert.deepEqual(run([], { CONFIG_FILE: "," }).config.configFiles, ["/etc/amp/config.yaml"]);
  const urls = run([], {
    CONFIG_RELOADER_TRIGGER: "http",
    CONFIG_RELOADER_TRIGGER_URL: "http://a/,http://b/",
  });
  assert.deepEqual(urls.config.triggerUrls, ["http://a/", "http://b/"]);
});

test("the default file counts only where nothing else is watched", () => {
  const { config } = run(["--watched-dir", "/etc/app"]);
  assert.deepEqual([config.configFiles, config.watchedDirs], [[], ["/etc/app"]]);
  assert.deepEqual(config.settings[0], { name: "config-file", value: "", source: "default" });
  assert.deepEqual(run(["--watched-dir=/d", "--config-file=/etc/amp/config.yaml"]).config.configFiles, [
    "/etc/amp/config.yaml",
  ]);
});

test("the default of the first pause gives way to a shorter longest one, and the settings show it", () => {
  const { config } = run(["--max-backoff=1s"]);
  assert.deepEqual([config.retryIntervalMs, config.maxBackoffMs], [1_000, 1_000]);
  const shown = config.settings.find(({ name }) => name === "retry-interval");
  assert.deepEqual(shown, { name: "retry-interval", value: "1s", source: "default" });
});

test("service links in a port variable are passed over with a warning, wherever the port comes from", () => {
  const link = "tcp://10.0.0.1:9091";
  const warning = (variable: string) =>
    `${variable}: "${link}" is Kubernetes' link to a Service of that name and is ignored` +
    " (enableServiceLinks: false in the pod keeps such variables away)";
  const both = { METRICS_PORT: link, CONFIG_RELOADER_METRICS_PORT: link };
  const cases: [string[], Record<string, string>, number, string[]][] = [
    [[], { METRICS_PORT: link }, 9091, ["METRICS_PORT"]],
    [[], both, 9091, ["CONFIG_RELOADER_METRICS_PORT", "METRICS_PORT"]],
    [["--metrics-port", "7"], both, 7, ["CONFIG_RELOADER_METRICS_PORT", "METRICS_PORT"]],
    [[], { ...both, METRICS_PORT: "8" }, 8, ["CONFIG_RELOADER_METRICS_PORT"]],
    [[], { ...both, CONFIG_RELOADER_METRICS_PORT: "9" }, 9, ["METRICS_PORT"]],
  ];
  for (const [args, environment, port, variables] of cases) {
    const { config, warnings } = run(args, environment);
    assert.equal(config.metricsPort, port);
    assert.deepEqual(warnings, variables.map(warning));
  }
});

test("other service links are silent, unknown variables are reported with what was meant", () => {
  const links = {
    CONFIG_RELOADER_PORT: "tcp://10.0.0.1:80",
    CONFIG_RELOADER_PORT_80_TCP: "tcp://10.0.0.1:80",
    CONFIG_RELOADER_PORT_80_TCP_ADDR: "10.0.0.1",
    CONFIG_RELOADER_PORT_80_TCP_PROTO: "tcp",
    CONFIG_RELOADER_SERVICE_HOST: "10.0.0.1",
    CONFIG_RELOADER_SERVICE_PORT: "80",
    CONFIG_RELOADER_SERVICE_PORT_HTTP: "80",
    CONFIG_RELOADER_WEB_PORT: "udp://10.0.0.1:53",
    CONFIG_RELOADER_WEB_PORT_53_UDP_PORT: "53",
    CONFIG_RELOADER_METRICS_SERVICE_HOST: "10.0.0.1",
  };
  assert.deepEqual(run([], links).warnings, []);
  assert.deepEqual(
    run([], { ...links, CONFIG_RELOADER_XYZZY: "1", CONFIG_RELOADER_INTERVALL: "1", RELOADER: "1" }).warnings,
    [
      "CONFIG_RELOADER_INTERVALL: unknown variable, ignored, did you mean CONFIG_RELOADER_INTERVAL?",
      "CONFIG_RELOADER_XYZZY: unknown variable, ignored",
    ],
  );
  assert.deepEqual(run([], { CONFIG_RELOADER_PORT: "9091" }).warnings, [
    "CONFIG_RELOADER_PORT: unknown variable, ignored, did you mean CONFIG_RELOADER_METRICS_PORT?",
  ], "no link has such a value");
  assert.deepEqual(run([], { CONFIG_RELOADER_HELP: "1", CONFIG_RELOADER_once: "1" }).warnings, [
    "CONFIG_RELOADER_HELP: unknown variable, ignored",
    "CONFIG_RELOADER_once: unknown variable, ignored, did you mean CONFIG_RELOADER_ONCE?",
  ]);
});

test("what a packed file unpacks to: 8 MiB, or what --max-file-size says", () => {
  assert.equal(run([]).config.maxUnpackedBytes, 8 * 2 ** 20);
  assert.equal(run(["--max-file-size=9MiB"]).config.maxUnpackedBytes, 9 * 2 ** 20);
});

test("the app's port and the own one must differ, also where the URL names none", () => {
  for (
    const [url, port] of [["http://localhost/", 80], ["https://127.0.0.1/x", 443], ["http://[::1]:81/", 81]]
  ) {
    const args = [`--reload-url=${url}`, `--metrics-port=${port}`];
    assert.match(usage(args), /^--metrics-port: port \d+ is both --metrics-port and the app's/);
    run([...args, "--metrics-host=10.0.0.1"]);
  }
  run(["--reload-url=unix:/run/app.sock:/status", "--metrics-port=80"]);
  const http = [
    "--trigger=http",
    "--trigger-url=http://app/r",
    "--trigger-url=http://localhost:9091/-/reload",
  ];
  assert.match(
    usage(http),
    /^--trigger-url: port 9091 is both --metrics-port and the app's, at --trigger-url "/,
  );
  run([...http, "--metrics-port=9092"]);
  run(["--reload-url=http://app/", "--metrics-port=80"]);
});

test("settings show what is in force and where it came from, without secrets", () => {
  const { config } = run([
    ...[
      "--reload-url",
      "http://me:hunter2@h:8081/x?token=hunter2#hunter2",
      "--check-command",
      "sh -c 'echo hunter2' a",
    ],
    ...["--signal", "1", "--pid-file=../app.pid", "--once"],
  ], { INTERVAL: "1m0s", CONFIG_RELOADER_VALIDATE: "YAML" });
  assert.ok(!JSON.stringify(config.settings).includes("hunter2"));
  assert.deepEqual(config.settings.filter(({ source }) => source !== "default"), [
    { name: "interval", value: "1m0s", source: "environment", variable: "INTERVAL" },
    { name: "validate", value: "yaml", source: "environment", variable: "CONFIG_RELOADER_VALIDATE" },
    { name: "check-command", value: "sh … (3 arguments)", source: "flag" },
    { name: "signal", value: "SIGHUP", source: "flag" },
    { name: "pid-file", value: "/app.pid", source: "flag" },
    { name: "reload-url", value: "http://***@h:8081/x?***#***", source: "flag" },
    { name: "once", value: "true", source: "flag" },
  ]);
});

test("paths become absolute by text alone", () => {
  const table: Record<string, string> = {
    "/a": "/a",
    "/a/": "/a",
    "/": "/",
    "//a//b": "/a/b",
    "/a/./b/../c": "/a/c",
    "/../a": "/a",
    "a b": "/w/d/a b",
    "../a": "/w/a",
    "../../../a": "/a",
    ".": "/w/d",
    "/etc/..data/x": "/etc/..data/x",
    "/etc/...": "/etc/...",
  };
  for (const [path, absolute] of Object.entries(table)) {
    assert.equal(absolutePath(path, "/w/d"), absolute, path);
  }
  assert.equal(absolutePath("a", "/"), "/a");
  assert.equal(baseName("/a/b.yaml"), "b.yaml");
  assert.deepEqual(["/a", "/a/b", "/ab", "/"].map((path) => isWithin(path, "/a")), [
    true,
    true,
    false,
    false,
  ]);
  assert.ok(isWithin("/a", "/"));
});

test("URLs are http, https or unix sockets, and show no secrets", () => {
  for (
    const url of [
      "http://localhost:8080/health/reload",
      "HTTPS://h",
      "http://[::1]:80/",
      "http://u:p@h/?q#f",
      "unix:/run/a b.sock:/".replace(" ", "_"),
    ]
  ) assert.equal(APP_URL.parse(url, "/"), url);
  for (
    const url of [
      "",
      "h",
      "h:80",
      "//h/",
      "/path",
      "ftp://h/",
      "file:///x",
      "http:h",
      "http://",
      "http:///x",
      "http://h:99999/",
      "http://h /",
      " http://h/",
      "http://h/\n",
      "unix:/a.sock",
      "unix:a.sock:/x",
      "unix:/a.sock:x",
      "unix:///a.sock",
      "javascript:alert(1)",
    ]
  ) assert.throws(() => APP_URL.parse(url, "/"), url);
  const table: Record<string, string> = {
    "http://h:8081/a/b": "http://h:8081/a/b",
    "http://u:p@h/a": "http://***@h/a",
    "http://u@h/a": "http://***@h/a",
    "http://h/a@b": "http://h/a@b",
    "http://h/?q=1#f": "http://h/?***#***",
    "http://h#f?q": "http://h#***",
    "http://u:p@x@h/a": "http://***@h/a",
    "http://u:p?x@h /a": "http://***@h /a",
    "u:p@h/a": "***@h/a",
    "ss@h/a": "***@h/a",
    "http://u:p": "http://u:***",
    "http://u:p/x": "http://u:***/x",
    "http://u:1p": "http://u:***",
    "htp://h:80/x": "htp://h:80/x",
    "http://h:99999": "http://h:99999",
    "unix:/a.sock:/x?token=1": "unix:/a.sock:/x?***",
  };
  for (const [url, hidden] of Object.entries(table)) assert.equal(hideUrlSecrets(url), hidden, url);
});

test("signals go by name, short name or number, with Linux' numbers", () => {
  for (const [at, signal] of SIGNALS.entries()) {
    if (signal === "SIGKILL" || signal === "SIGSTOP") continue;
    for (const text of [signal, signal.slice(3), signal.toLowerCase(), String(at + 1)]) {
      assert.equal(SIGNAL.parse(text, "/"), signal);
    }
  }
  assert.equal(SIGNALS.length, 31);
});

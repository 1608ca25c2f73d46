import assert from "node:assert/strict";
import fc from "fast-check";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { FLAG_NAMES, variableOf } from "../../src/cli/flags.ts";
import { CWD, run, usage } from "./support.ts";

/** Arguments (split at blanks), the one line for the user, and variables. */
type Row = readonly [args: string, message: string, environment?: Record<string, string>];

const HTTP = "--trigger http --trigger-url http://localhost:8081/";

const BAD: readonly Row[] = [
  // Names
  ["--intervall 5s", 'unknown flag "--intervall", did you mean --interval?'],
  ["--intervall=5s", 'unknown flag "--intervall", did you mean --interval?'],
  ["-interval 5s", 'unknown flag "-interval", did you mean --interval?'],
  ["--config_file x", 'unknown flag "--config_file", did you mean --config-file?'],
  ["--LOG-LEVEL debug", 'unknown flag "--LOG-LEVEL", did you mean --log-level?'],
  ["--hepl", 'unknown flag "--hepl", did you mean --help?'],
  ["--port 1", 'unknown flag "--port", did you mean --metrics-port?'],
  [
    "--timeout 5s",
    'unknown flag "--timeout", did you mean --reload-timeout, --http-timeout or --shutdown-timeout?',
  ],
  ["--no-once", 'unknown flag "--no-once", did you mean --once=false?'],
  ["--frobnicate", 'unknown flag "--frobnicate", see --help'],
  ["--file x", 'unknown flag "--file", see --help'],
  [`--pid ${"9".repeat(121)}`, `--pid: "${"9".repeat(120)}…" is no PID, want auto or 1 to 4194304`],
  ["-x", 'unknown flag "-x", see --help'],
  ["-", 'unknown flag "-", see --help'],
  ["--__proto__ x", 'unknown flag "--__proto__", see --help'],
  ["chekc", 'unknown command "chekc", did you mean check?'],
  ["watch", 'unknown command "watch", want run, check or healthcheck'],
  ["check /etc/x.yaml", 'unexpected argument "/etc/x.yaml", want flags only'],
  ["--interval 5s /etc/x.yaml", 'unexpected argument "/etc/x.yaml", want flags only'],
  ["--once false", 'unexpected argument "false", want --once=false'],
  ["run -- --interval", 'unexpected argument "--interval", want flags only'],
  ["completions", 'unknown command "completions", want run, check or healthcheck'],
  // Secrets in URLs, wherever they were put by mistake
  ["http://me:secret@h/x?t=secret", 'unknown command "http://***@h/x?***", want run, check or healthcheck'],
  ["run http://me:secret@h/x", 'unexpected argument "http://***@h/x", want flags only'],
  [
    "--reload-url http://a/ --reload-url http://me:secret@h/",
    '--reload-url: "http://***@h/" is a second value, want one',
  ],
  [
    "--log-level http://me:secret@h/",
    '--log-level: "http://***@h/" is unknown, want debug, info, warn or error',
  ],
  [
    "--trigger http",
    'CONFIG_RELOADER_TRIGGER_URL: "http://me:***" is no URL, want http://HOST:PORT/PATH, https://… or unix:/SOCKET:/PATH',
    { CONFIG_RELOADER_TRIGGER_URL: "http://me:sec,ret@h/" },
  ],
  // How values are given
  ["--interval", "--interval: a value is missing, want --interval DURATION"],
  [
    "--process-cmdline --config",
    '--process-cmdline: a value is missing before "--config", want --process-cmdline REGEXP ' +
    "(--process-cmdline=REGEXP where it begins with a dash)",
  ],
  ["--pid-file=", '--pid-file: "" is empty, want FILE'],
  ["check --run-checks=false", "--run-checks: takes no value, want --run-checks alone"],
  ["--version=1", "--version: takes no value, want --version alone"],
  ["--interval 5s --interval 6s", '--interval: "6s" is a second value, want one'],
  ["--once=maybe", '--once: "maybe" is neither, want true or false'],
  ["", 'CONFIG_RELOADER_ONCE: "yes" is neither, want true or false', { CONFIG_RELOADER_ONCE: "yes" }],
  // Durations and sizes
  ["--interval 5", '--interval: "5" is no duration, want one such as 500ms, 5s or 1m30s'],
  ["--interval -1s", '--interval: "-1s" is no duration, want one such as 500ms, 5s or 1m30s'],
  ["--interval 1e3s", '--interval: "1e3s" is no duration, want one such as 500ms, 5s or 1m30s'],
  ["--interval 0", '--interval: "0" is too short, want at least 1ms'],
  ["--http-timeout 999us", '--http-timeout: "999us" is too short, want at least 1ms'],
  ["--interval 1000h", '--interval: "1000h" is too long, want at most 596h'],
  ["", 'INTERVAL: "5 apples" is no duration, want one such as 500ms, 5s or 1m30s', { INTERVAL: "5 apples" }],
  ["", 'INTERVAL: " 5s" is no duration, want one such as 500ms, 5s or 1m30s', { INTERVAL: " 5s" }],
  [
    "",
    'CONFIG_RELOADER_INTERVAL: "1h 2m" is no duration, want one such as 500ms, 5s or 1m30s',
    { CONFIG_RELOADER_INTERVAL: "1h 2m", INTERVAL: "5s" },
  ],
  [
    "--delay-interval never",
    '--delay-interval: "never" is no duration, want auto or one such as 500ms, 5s or 1m30s',
  ],
  [
    "--max-file-size 16MB",
    '--max-file-size: "16MB" is no size, want one such as 64KiB, 16MiB or 1048576 (bytes)',
  ],
  ["--max-file-size 0", '--max-file-size: "0" is out of range, want 1 to 1GiB'],
  // Sets
  ["--log-level warning", '--log-level: "warning" is unknown, want debug, info, warn or error'],
  ["", 'LOG_LEVEL: "trace" is unknown, want debug, info, warn or error', { LOG_LEVEL: "trace" }],
  ["--trigger exec", '--trigger: "exec" is unknown, want signal, http or none'],
  ["--verify xml", '--verify: "xml" is unknown, want auto, http, amp, prometheus, json or none'],
  ["--watch-method fanotify", '--watch-method: "fanotify" is unknown, want auto, inotify or poll'],
  ["--ready-when ready", '--ready-when: "ready" is unknown, want started or in-sync'],
  // Single values
  [
    "--signal SIGKILL",
    '--signal: "SIGKILL" cannot be handled by any app, want one such as SIGHUP or SIGUSR1',
  ],
  ["--signal 19", '--signal: "19" cannot be handled by any app, want one such as SIGHUP or SIGUSR1'],
  ["--signal SIGRTMIN", '--signal: "SIGRTMIN" is no signal, want a name or number such as SIGHUP, HUP or 1'],
  ["--signal 0", '--signal: "0" is no signal, want a name or number such as SIGHUP, HUP or 1'],
  ["--pid 0", '--pid: "0" is no PID, want auto or 1 to 4194304'],
  ["--pid -1", '--pid: "-1" is no PID, want auto or 1 to 4194304'],
  ["--pid 4194305", '--pid: "4194305" is no PID, want auto or 1 to 4194304'],
  ["--pid 1.0", '--pid: "1.0" is no PID, want auto or 1 to 4194304'],
  [
    "--process-name /usr/sbin/nginx",
    '--process-name: "/usr/sbin/nginx" is a path, want the name alone such as nginx',
  ],
  [
    "--process-cmdline (",
    '--process-cmdline: "(" is no regular expression (Unterminated group), want one such as "nginx: master"',
  ],
  ["--metrics-port 70000", '--metrics-port: "70000" is no port, want 0 to 65535'],
  ["--metrics-port :9091", '--metrics-port: ":9091" is no port, want 0 to 65535'],
  ["", 'METRICS_PORT: "http://x" is no port, want 0 to 65535', { METRICS_PORT: "http://x" }],
  [
    "--metrics-host localhost:9091",
    '--metrics-host: "localhost:9091" is no host, want a name or address without port such as 127.0.0.1 or ::1',
  ],
  [
    "--reload-url http://localhost:6000/health?token=1",
    '--reload-url: "http://localhost:6000/health?***" has the port 6000, to which the Fetch standard forbids requests, want another port or a unix socket',
  ],
  [
    "--trigger http --trigger-url https://app:10080/-/reload",
    '--trigger-url: "https://app:10080/-/reload" has the port 10080, to which the Fetch standard forbids requests, want another port or a unix socket',
  ],
  [
    "--reload-url localhost:8080/health",
    '--reload-url: "localhost:8080/health" is no URL, want http://HOST:PORT/PATH, https://… or unix:/SOCKET:/PATH',
  ],
  [
    "",
    'RELOAD_URL: "http://***@ho st/" is no URL, want http://HOST:PORT/PATH, https://… or unix:/SOCKET:/PATH',
    { RELOAD_URL: "http://me:secret@ho st/" },
  ],
  [
    "--trigger-url unix:run/a.sock",
    '--trigger-url: "unix:run/a.sock" is no URL, want http://HOST:PORT/PATH, https://… or unix:/SOCKET:/PATH',
  ],
  [
    "--trigger-method TRACE",
    '--trigger-method: "TRACE" cannot be sent, want a method such as POST, PUT or GET',
  ],
  ["--verify-ok status=ok", '--verify-ok: "status=ok" is no POINTER=VALUE, want one such as /status=ok'],
  ["--verify-ok /status", '--verify-ok: "/status" is no POINTER=VALUE, want one such as /status=ok'],
  ["--verify-token data", '--verify-token: "data" is no JSON pointer, want one such as /data/version'],
  ["--verify-token /a~2", '--verify-token: "/a~2" is no JSON pointer, want one such as /data/version'],
  [
    "",
    "CONFIG_RELOADER_CHECK_COMMAND: \"cc '\" has an open ', want it closed",
    { CONFIG_RELOADER_CHECK_COMMAND: "cc '" },
  ],
  [
    "--config-file /etc/app/",
    '--config-file: "/etc/app/" is a directory, want a file (or use --watched-dir)',
  ],
  ["--pid-file /etc/*", '--pid-file: "/etc/*" is a glob, want one path (only --config-file takes globs)'],
  ["--config-file a\nb/", '--config-file: "a\\nb/" is a directory, want a file (or use --watched-dir)'],
  ["--pid-file a\0b", '--pid-file: "a\\u0000b" holds a NUL character, want a path'],
  // Contradictions
  ["--trigger http", "--trigger: http needs a --trigger-url, want one at least"],
  [
    "",
    "CONFIG_RELOADER_TRIGGER: http needs a --trigger-url, want one at least",
    { CONFIG_RELOADER_TRIGGER: "http" },
  ],
  ["--trigger-url http://a/", "--trigger-url: counts only with --trigger http, but the trigger is signal"],
  ["--trigger-method PUT", "--trigger-method: counts only with --trigger http, but the trigger is signal"],
  [`${HTTP} --signal HUP`, "--signal: counts only with --trigger signal, but the trigger is http"],
  [
    "--trigger none --allow-unhandled-signal",
    "--allow-unhandled-signal: counts only with --trigger signal, but the trigger is none",
  ],
  [
    "--trigger none --verify none",
    "--trigger: none together with --verify none sends nothing and asks nobody, want a trigger or a verification",
  ],
  [
    "--verify none",
    "CONFIG_RELOADER_TRIGGER: none together with --verify none sends nothing and asks nobody, want a trigger or a verification",
    { CONFIG_RELOADER_TRIGGER: "none" },
  ],
  [
    "--rollout canary --rollout-group web --once",
    "--rollout: canary needs a sidecar that stays for its soak, but --once ends",
  ],
  ["--rollout canary", "--rollout: canary needs a --rollout-group, want the same name in all pods"],
  [
    "--rollout-group web",
    "--rollout-group: counts only with --rollout canary or serial, but the rollout is none",
  ],
  [
    "--rollout-soak 1m",
    "--rollout-soak: counts only with --rollout canary or serial, but the rollout is none",
  ],
  [
    "--rollout serial --rollout-group web --trigger none",
    "--rollout: serial holds triggers back, but the trigger is none, want signal or http",
  ],
  [
    "--rollout serial --rollout-group Web",
    '--rollout-group: "Web" cannot be part of a Lease\'s name, want lower-case letters, digits and dashes such as web',
  ],
  ["--pid 7 --pid-file /p", "--pid-file: says who the target is, and so does --pid, want one of them"],
  [
    "--process-name nginx",
    "CONFIG_RELOADER_PROCESS_CMDLINE: says who the target is, and so does --process-name, want one of them",
    { CONFIG_RELOADER_PROCESS_CMDLINE: "nginx" },
  ],
  ["--verify json", "--verify: json needs --verify-ok or --verify-token, want one at least"],
  ["--verify-ok /a=b", "--verify-ok: counts only with --verify json, but verify is auto"],
  ["--verify amp --verify-token /a", "--verify-token: counts only with --verify json, but verify is amp"],
  ["--client-cert-file /c", "--client-cert-file: needs --client-key-file too, want both or none"],
  ["--client-key-file /k", "--client-key-file: needs --client-cert-file too, want both or none"],
  ["--tls-cert-file /c", "--tls-cert-file: needs --tls-key-file too, want both or none"],
  ["--tls-key-file /k", "--tls-key-file: needs --tls-cert-file too, want both or none"],
  [
    "--basic-auth-file /b --bearer-token-file /t",
    "--bearer-token-file: cannot be sent together with --basic-auth-file, want one of them",
  ],
  [
    "--retry-interval 10m --max-backoff 1s",
    "--retry-interval: 10m0s is longer than --max-backoff (1s), want it no longer",
  ],
  [
    "--poll-interval 200ms",
    "--poll-interval: 200ms is longer than CONFIG_RELOADER_RELOAD_TIMEOUT (100ms), want it no longer",
    { CONFIG_RELOADER_RELOAD_TIMEOUT: "100ms" },
  ],
  [
    "--config-envsubst-file /o --config-file /a --config-file /b",
    '--config-envsubst-file: "/o" holds one file, but 2 config files are given, want --output-dir instead',
  ],
  [
    "--config-envsubst-file /o --config-file /a/*.yaml",
    '--config-envsubst-file: "/o" holds one file, but --config-file "/a/*.yaml" is a glob, want --output-dir instead',
  ],
  [
    "--config-envsubst-file /o --watched-dir /a",
    '--config-envsubst-file: "/o" holds one file, but --watched-dir is given, want --output-dir instead',
  ],
  [
    "--config-envsubst-file /a/./b --config-file /a/b",
    '--config-envsubst-file: "/a/b" is the --config-file itself, want another file',
  ],
  [
    "--config-envsubst-file /etc/app/o --config-file /a --watched-dir /etc/app",
    '--config-envsubst-file: "/etc/app/o" lies in --watched-dir "/etc/app" and would be watched itself, ' +
    "want a file outside of it",
  ],
  [
    "--config-envsubst-file /o --output-dir /out",
    '--output-dir: "/out" and --config-envsubst-file both say where to write, want one of them',
  ],
  [
    "--watched-dir /etc/app --output-dir /etc/app/out",
    '--output-dir: "/etc/app/out" lies in --watched-dir "/etc/app" and would be watched itself, ' +
    "want a directory outside of it",
  ],
  [
    "--config-file /etc/app/a.yaml --output-dir /etc/app",
    '--output-dir: "/etc/app" would overwrite what --config-file "/etc/app/a.yaml" watches, want another directory',
  ],
  [
    "--config-file /etc/**/*.yaml --output-dir /etc/app/out",
    '--output-dir: "/etc/app/out" would overwrite what --config-file "/etc/**/*.yaml" watches, want another directory',
  ],
  [
    "--config-file /a/x.yaml --config-file /b/x.yaml --output-dir /out",
    '--output-dir: --config-file "/a/x.yaml" and "/b/x.yaml" would both be written as "x.yaml", ' +
    "want inputs with different names",
  ],
  [
    "--metrics-port 8080",
    "--metrics-port: port 8080 is both --metrics-port and the app's, at --reload-url " +
    '"http://localhost:8080/health/reload", want two ports',
  ],
  [
    "",
    "RELOAD_URL: port 9091 is both --metrics-port and the app's, at --reload-url " +
    '"http://***@127.0.0.1:9091/x?***", want two ports',
    { RELOAD_URL: "http://u:p@127.0.0.1:9091/x?token=1" },
  ],
];

Deno.test("every bad command line and variable gets its exact message, on one line", () => {
  for (const [args, message, environment] of BAD) {
    const words = args.split(" ").filter(Boolean);
    assert.equal(usage(words, environment), message, args);
    assert.ok(!message.includes("\n"));
  }
  assert.ok(BAD.length >= 60);
});

Deno.test("check refuses what run refuses", () => {
  for (const [args, message, environment] of BAD.filter(([args]) => args.startsWith("--"))) {
    if (/^unexpected|^unknown command/.test(message)) continue;
    assert.equal(usage(["check", ...args.split(" ")], environment), message);
  }
});

Deno.test("what only looks like a contradiction is taken", () => {
  const good = [
    `${HTTP} --process-name nginx`,
    "--trigger none --pid 7",
    "--pid auto --process-name nginx",
    "--verify none --reload-url http://localhost:8080/x",
    "--trigger http --trigger-url unix:/run/a.sock:/-/reload --allow-unhandled-signal=false",
    "--config-file /etc/app/*.yaml --output-dir /etc/app/out",
    "--config-file /etc/app/*.yaml --output-dir /out",
    "--config-file /etc/app/a.yaml --output-dir /etc/app/out",
    "--watched-dir /etc/app/in --output-dir /etc/app",
    "--watched-dir /etc/app --output-dir /etc/app2",
    "--config-envsubst-file /etc/app/b.yaml --config-file /etc/app/a.yaml",
    "--config-file /a/x --config-file /a/x --output-dir /out",
    "--metrics-port 8080 --verify none",
    "--metrics-port 8080 --reload-url http://app.other:8080/x",
    "--metrics-port 8080 --metrics-host 127.0.0.2",
    "--retry-interval 5m --max-backoff 5m",
  ];
  for (const args of good) run(args.split(" "));
});

Deno.test("a health check takes half of the sidecar's settings, but no bad value", () => {
  const environment = { CONFIG_RELOADER_TRIGGER_URL: "http://a/", CONFIG_RELOADER_TYPO: "x" };
  const line = parseCommandLine(["healthcheck", "--metrics-port", "8080"], environment, CWD);
  assert.equal(line.kind, "healthcheck");
  assert.ok(!("warnings" in line), "a typo in a variable is for the sidecar's log");
  assert.match(usage(["healthcheck", "--metrics-port", "x"]), /^--metrics-port: "x" is no port/);
});

Deno.test("no arguments and no variables ever throw or give more than one line", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(...FLAG_NAMES).map((name) => `--${name}`),
    fc.tuple(fc.constantFrom(...FLAG_NAMES), fc.string()).map(([name, text]) => `--${name}=${text}`),
    fc.constantFrom("check", "run", "--", "=", "-", "auto", "5s", "json", "http://a:8081/", "/a", "*"),
  );
  const environment = fc.dictionary(fc.constantFrom(...FLAG_NAMES).map(variableOf), fc.string(), {
    maxKeys: 3,
  });
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), environment, (args, variables) => {
      const line = parseCommandLine(args, variables, CWD);
      // deno-lint-ignore no-control-regex -- what may not reach a terminal
      if (line.kind === "usage") assert.doesNotMatch(line.message, /[\x00-\x1f]/);
    }),
    { numRuns: 3_000 },
  );
});

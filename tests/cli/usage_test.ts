import assert from "node:assert/strict";
import fc from "fast-check";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { FLAG_NAMES, variableOf } from "../../src/cli/flags.ts";
import { USAGE_ERRORS } from "../support/usage_errors.ts";
import { CWD, run, usage } from "./support.ts";
import { test } from "../support/strict.ts";

const HTTP = "--trigger http --trigger-url http://localhost:8081/";

test("every bad command line and variable gets its exact message, on one line", () => {
  for (const { args, environment, message } of USAGE_ERRORS) {
    assert.equal(usage(args, environment), message, args.join(" "));
  }
  assert.ok(USAGE_ERRORS.length > 170);
});

test("check refuses what run refuses", () => {
  for (const { args, environment, message } of USAGE_ERRORS) {
    if (!args[0]?.startsWith("--") || /^unexpected|^unknown command/.test(message)) continue;
    assert.equal(usage(["check", ...args], environment), message);
  }
});

test("what only looks like a contradiction is taken", () => {
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

test("a health check takes half of the sidecar's settings, but no bad value", () => {
  const environment = { CONFIG_RELOADER_TRIGGER_URL: "http://a/", CONFIG_RELOADER_TYPO: "x" };
  const line = parseCommandLine(["healthcheck", "--metrics-port", "8080"], environment, CWD);
  assert.equal(line.kind, "healthcheck");
  assert.ok(!("warnings" in line), "a typo in a variable is for the sidecar's log");
  assert.match(usage(["healthcheck", "--metrics-port", "x"]), /^--metrics-port: "x" is no port/);
});

test("no arguments and no variables ever throw or give more than one line", () => {
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

/** The status formats: what real answers come to, what is refused and how it is told, and that nothing ever throws. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Status, StatusReading } from "../../src/model.ts";
import { parseAmp } from "../../src/verify/amp.ts";
import type { Answer } from "../../src/verify/answer.ts";
import { parseAuto, parseHttp } from "../../src/verify/http.ts";
import { findPointer, parseJsonStatus } from "../../src/verify/json.ts";
import { parsePrometheus } from "../../src/verify/prometheus.ts";
import { prometheus } from "../support/status.ts";
import { test } from "../support/strict.ts";

function answer(text: string | Uint8Array<ArrayBuffer>, code = 200, truncated = false): Answer {
  return { code, body: typeof text === "string" ? new TextEncoder().encode(text) : text, truncated };
}
function statusOf(reading: StatusReading): Status {
  if (reading.kind === "error") throw new Error(reading.reason);
  return reading.status;
}
function reasonOf(reading: StatusReading): string {
  if (reading.kind === "status") throw new Error(`a status: ${JSON.stringify(reading.status)}`);
  return reading.reason;
}

const AMP = {
  healthy: true,
  status: "success",
  version: 7,
  attempts: 3,
  last_reload_time: "2026-08-01T10:00:00.123456789Z",
  split_state: false,
  restart_required: [{ code: "W600", component: "publishing", fields: ["a"] }],
};
const RUNTIME_INFO = {
  status: "success",
  data: {
    startTime: "2026-08-01T09:00:00Z",
    reloadConfigSuccess: true,
    lastConfigTime: "2026-08-01T10:00:00Z",
  },
};
const METRICS =
  `# HELP prometheus_config_last_reload_success_timestamp_seconds Timestamp of the last successful reload.
# TYPE prometheus_config_last_reload_success_timestamp_seconds gauge
prometheus_config_last_reload_success_timestamp_seconds 1.7855808001234567e+09
# HELP prometheus_config_last_reload_successful Whether the last configuration reload attempt was successful.
# TYPE prometheus_config_last_reload_successful gauge
prometheus_config_last_reload_successful 1
process_cpu_seconds_total 5
`;

test("amp: an answer as AMP gives it", () => {
  assert.deepEqual(statusOf(parseAmp(answer(JSON.stringify(AMP)))), {
    format: "amp",
    status: "success",
    attempts: 3,
    splitState: false,
    restartRequired: ["W600 publishing"],
    lastReloadWallMs: Date.UTC(2026, 7, 1, 10, 0, 0, 123),
  });
});

test("amp: the same with 503", () => {
  const status = statusOf(
    parseAmp(answer(JSON.stringify({ ...AMP, healthy: false, status: "load_failed" }), 503)),
  );
  assert.ok(status.format === "amp" && status.status === "load_failed");
});

test("amp: a status of a megabyte is cut: it is a reason that is kept, logged and shown", () => {
  const status = statusOf(parseAmp(answer(JSON.stringify({ ...AMP, status: "x".repeat(1_000_000) }))));
  assert.ok(status.format === "amp" && status.status === "x".repeat(100));
});

test("amp: restart_required of every shape", () => {
  const of = (restart_required: unknown) => {
    const status = statusOf(parseAmp(answer(JSON.stringify({ ...AMP, restart_required }))));
    return status.format === "amp" ? status.restartRequired : null;
  };
  assert.deepEqual(of(undefined), []);
  assert.deepEqual(of(null), []);
  assert.deepEqual(of(false), []);
  assert.deepEqual(of([]), []);
  assert.deepEqual(of(true), ["restart required"]);
  assert.deepEqual(of("server.port"), ["server.port"]);
  assert.deepEqual(of(["server.port", 5, {}]), ["server.port", "restart required", "restart required"]);
  assert.equal(of(Array(1000).fill("x".repeat(1000)))!.length, 20);
  assert.equal(of(["x".repeat(1000)])![0]!.length, 100);
});

const NOT_AMP: readonly [body: string | Uint8Array<ArrayBuffer>, code: number, reason: RegExp][] = [
  ["", 200, /^empty body$/],
  ["", 503, /^HTTP 503, empty body$/],
  ["<html>", 404, /^HTTP 404, not JSON: "<html>"$/],
  ["{", 200, /^not JSON: "\{"$/],
  ["[]", 200, /^not an AMP status/],
  ["null", 200, /^not an AMP status/],
  ['{"status":"success"}', 200, /^not an AMP status/],
  ['{"status":"success","attempts":"3"}', 200, /^not an AMP status/],
  ['{"status":"success","attempts":-1}', 200, /^not an AMP status/],
  ['{"status":"success","attempts":1.5}', 200, /^not an AMP status/],
  ['{"status":"success","attempts":1e300}', 200, /^not an AMP status/],
  [new Uint8Array([0x7b, 0xff, 0x7d]), 200, /^body is not UTF-8$/],
];
for (const [body, code, reason] of NOT_AMP) {
  test(`amp: refuses ${code} ${JSON.stringify(body)}`, () => {
    assert.match(reasonOf(parseAmp(answer(body, code))), reason);
  });
}

test("a reason shows one short line of a body, without control characters", () => {
  const reason = reasonOf(parseAmp(answer("a\n\u001b[31mb\u2028" + "x".repeat(5000))));
  assert.match(reason, /^not JSON: "a \[31mb x+…"$/);
  assert.ok(reason.length < 80);
});

test("prometheus: runtime info", () => {
  assert.deepEqual(
    statusOf(parsePrometheus(answer(JSON.stringify(RUNTIME_INFO)))),
    prometheus(true, Date.UTC(2026, 7, 1, 10)),
  );
});

test("prometheus: runtime info without a time yet, and with a finer one", () => {
  const of = (lastConfigTime: unknown) =>
    statusOf(
      parsePrometheus(answer(JSON.stringify({ data: { reloadConfigSuccess: false, lastConfigTime } }))),
    );
  for (const none of [undefined, null, "", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "soon", 5]) {
    assert.deepEqual(of(none), prometheus(false, null));
  }
  const fine = of("2026-08-01T12:00:00.5+02:00");
  assert.ok(fine.format === "prometheus" && fine.successWallMs === Date.UTC(2026, 7, 1, 10, 0, 0, 500));
});

test("prometheus: the text format, under any prefix, with labels and times", () => {
  const status = statusOf(parsePrometheus(answer(METRICS)));
  assert.ok(status.format === "prometheus" && status.successful);
  assert.ok(Math.abs(status.successWallMs! - 1_785_580_800_123.4567) < 0.01);
  const other = METRICS.replaceAll("prometheus_", "alertmanager_").replace(
    "_successful 1",
    '_successful{a="} 0"} 1 9',
  );
  assert.deepEqual(statusOf(parsePrometheus(answer(other))), {
    ...status,
    families: [{ ...status.families[0], prefix: "alertmanager" }],
  });
  const failed = statusOf(parsePrometheus(answer(METRICS.replace("successful 1", "successful 0"))));
  assert.ok(failed.format === "prometheus" && !failed.successful);
});

test("prometheus: several series: all must be successful, the oldest time counts", () => {
  const text = (one: number, two: number) =>
    `x_config_last_reload_successful{t="1"} ${one}\nx_config_last_reload_successful{t="2"} ${two}\n` +
    `x_config_last_reload_success_timestamp_seconds{t="1"} 2000.5\n` +
    `x_config_last_reload_success_timestamp_seconds{t="2"} 1000\n`;
  const both = statusOf(parsePrometheus(answer(text(1, 1))));
  const swapped = text(1, 1).replace("2000.5", "1000").replace(/1000\n$/, "2000.5\n");
  assert.deepEqual(statusOf(parsePrometheus(answer(swapped))), both);
  assert.deepEqual(both, {
    format: "prometheus",
    successful: true,
    successWallMs: 1_000_000,
    families: [{ prefix: "x", successful: true, successWallMs: 1_000_000, reloads: null, errors: null }],
  });
  for (const [one, two] of [[0, 1], [1, 0]] as const) {
    const status = statusOf(parsePrometheus(answer(text(one, two))));
    assert.ok(status.format === "prometheus" && !status.successful);
  }
});

const FAMILIES: readonly [what: string, page: string, families: unknown[]][] = [
  [
    "vmalert",
    "vmalert_config_last_reload_errors_total 2\nvmalert_config_last_reload_success_timestamp_seconds 1796027537\n" +
    "vmalert_config_last_reload_successful 0\nvmalert_config_last_reload_total 6\n",
    [{ prefix: "vmalert", successful: false, successWallMs: 1_796_027_537_000, reloads: 6, errors: 2 }],
  ],
  [
    "vmagent: two kinds of reload, the second without a flag before its first",
    "vm_promscrape_config_last_reload_successful 1\nvm_promscrape_config_reloads_total 4\n" +
    "vm_promscrape_config_reloads_errors_total 1\nvm_promscrape_config_last_reload_success_timestamp_seconds 0\n" +
    'vm_promscrape_config_changes_total{type="file_sd_configs"} 7\n' +
    "vmagent_relabel_config_reloads_total 3\n",
    [{ prefix: "vm_promscrape", successful: true, successWallMs: 0, reloads: 4, errors: 1 }],
  ],
  [
    "Alloy",
    "alloy_config_hash 5\nalloy_config_last_load_success_timestamp_seconds 1.5e+09\n" +
    "alloy_config_last_load_successful 0\nalloy_config_load_failures_total 3\n",
    [{ prefix: "alloy", successful: false, successWallMs: 1_500_000_000_000, reloads: null, errors: null }],
  ],
  [
    "Loki: the flag alone",
    'loki_runtime_config_last_reload_successful 1\nloki_runtime_config_hash{sha256="ab"} 1\n',
    [{ prefix: "loki_runtime", successful: true, successWallMs: null, reloads: null, errors: null }],
  ],
];
for (const [what, page, families] of FAMILIES) {
  test(`prometheus: the families of ${what}`, () => {
    const status = statusOf(parseAuto(answer(page)));
    assert.ok(status.format === "prometheus", "recognised by itself");
    assert.deepEqual(status.families, families);
  });
}

test("prometheus: a hostile page of families is bounded", () => {
  const page = Array.from({ length: 5_000 }, (_, i) => `x${i}_config_last_reload_successful 1\n`).join("");
  const status = statusOf(parsePrometheus(answer(page)));
  assert.ok(status.format === "prometheus" && status.families.length === 100);
});

test("prometheus: a value that was cut off is never used", () => {
  const cut = METRICS.slice(0, METRICS.indexOf("successful 1"));
  assert.match(reasonOf(parsePrometheus(answer(cut, 200, true))), /in the first 1 MiB of the metrics$/);
  const text = "x_config_last_reload_successful 1\nx_config_last_reload_success_timestamp_seconds 17";
  const status = statusOf(parsePrometheus(answer(text, 200, true)));
  assert.ok(status.format === "prometheus" && status.successWallMs === null);
});

test("prometheus: found wherever it is in a large page, also with bad UTF-8 around it", () => {
  const line = 'go_memstats{a="b"} 1\n';
  for (const lines of [0, 1, 3_100, 3_120, 3_121, 10_000, 40_000]) {
    const status = statusOf(parsePrometheus(answer(line.repeat(lines) + METRICS + line.repeat(100))));
    assert.ok(
      status.format === "prometheus" && status.successful && status.successWallMs !== null,
      `${lines}`,
    );
  }
  const long = `${"x".repeat(200_000)} 1\n`;
  statusOf(parsePrometheus(answer(long + METRICS + long)));
  const bytes = new TextEncoder().encode(`x{a="?"} 1\n${METRICS}`);
  bytes[5] = 0xff;
  statusOf(parsePrometheus(answer(bytes)));
});

const NOT_PROMETHEUS: readonly [body: string, code: number, reason: RegExp][] = [
  ["", 200, /^no metric ending in _config_last_reload_successful among the metrics$/],
  ["Service Unavailable", 503, /^HTTP 503, no Prometheus status$/],
  [JSON.stringify(RUNTIME_INFO), 500, /^HTTP 500, no Prometheus status$/],
  ['{"status":"success","data":{}}', 200, /^not runtime info: it has no data.reloadConfigSuccess$/],
  ['{"data":{"reloadConfigSuccess":"true"}}', 200, /^not runtime info/],
  ["# x_config_last_reload_successful 1", 200, /^no metric ending in/],
  ["x_config_last_reload_successful", 200, /^no metric ending in/],
  ["x_config_last_reload_successful ?", 200, /^no metric ending in/],
  ["x_config_last_reload_successful_total 1", 200, /^no metric ending in/],
];
for (const [body, code, reason] of NOT_PROMETHEUS) {
  test(`prometheus: refuses ${code} ${body.slice(0, 50)}`, () => {
    assert.match(reasonOf(parsePrometheus(answer(body, code))), reason);
  });
}

test("json: the examples of RFC 6901", () => {
  const document = JSON.parse(
    '{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\\\j":5,"k\\"l":6," ":7,"m~n":8}',
  );
  const examples: [string, unknown][] = [
    ["/foo", ["bar", "baz"]],
    ["/foo/0", "bar"],
    ["/", 0],
    ["/a~1b", 1],
    ["/c%d", 2],
    ["/e^f", 3],
    ["/g|h", 4],
    ["/i\\j", 5],
    ['/k"l', 6],
    ["/ ", 7],
    ["/m~0n", 8],
    ["/foo/2", undefined],
    ["/foo/-", undefined],
    ["/foo/00", undefined],
    ["/foo/length", undefined],
    ["/none/x", undefined],
    ["/__proto__", undefined],
    ["/constructor", undefined],
  ];
  for (const [pointer, value] of examples) assert.deepEqual(findPointer(document, pointer), value, pointer);
  assert.equal(findPointer({ "~1": 5 }, "/~01"), 5);
});

test("json: ok and token", () => {
  const text = '{"status":"ok","up":true,"n":3,"none":null,"list":[{"b":1,"a":[2,null]}]}';
  const read = (pointer: string, value: string, verifyToken: string | null = null) =>
    parseJsonStatus(answer(text), { verifyOk: { pointer, value }, verifyToken });
  const ok = (pointer: string, value: string) => {
    const status = statusOf(read(pointer, value));
    return status.format === "json" && status.ok;
  };
  const holding = [["/status", "ok"], ["/up", "true"], ["/n", "3"], ["/none", "null"], [
    "/list/0/a",
    "[2,null]",
  ]];
  for (const [pointer, value] of holding) assert.equal(ok(pointer!, value!), true, pointer);
  const failing = [["/status", "o"], ["/status", '"ok"'], ["/up", "True"], ["/n", "3.0"], ["/x", ""], [
    "/x",
    "undefined",
  ]];
  for (const [pointer, value] of failing) assert.equal(ok(pointer!, value!), false, pointer);
  assert.deepEqual(statusOf(read("/up", "true", "/list/0")), {
    format: "json",
    ok: true,
    token: '{"a":[2,null],"b":1}',
  });
  const list = statusOf(parseJsonStatus(answer(text), { verifyOk: null, verifyToken: "/list" }));
  assert.ok(list.format === "json" && list.token === '[{"a":[2,null],"b":1}]');
  assert.deepEqual(statusOf(parseJsonStatus(answer(text), { verifyOk: null, verifyToken: "/none" })), {
    format: "json",
    ok: null,
    token: "null",
  });
  assert.equal(reasonOf(read("/up", "true", "/nowhere")), "there is no /nowhere in the JSON");
  assert.equal(
    reasonOf(parseJsonStatus(answer(text, 503), { verifyOk: null, verifyToken: "/n" })),
    "HTTP 503",
  );
});

test("json: more than a status can be is refused before it is parsed", () => {
  const rule = { verifyOk: null, verifyToken: "/a" };
  for (const bad of ["[".repeat(100_000), `{"a":[${"{},".repeat(60_000)}0]}`, `{"a":${"[".repeat(20_000)}`]) {
    assert.match(
      reasonOf(parseJsonStatus(answer(bad), rule)),
      /^JSON has too many values or levels for a status$/,
    );
  }
  // Brackets within strings are no levels, and a long list of plain values is no danger.
  statusOf(parseJsonStatus(answer(JSON.stringify({ a: '[{",\\'.repeat(20_000) })), rule));
  statusOf(parseJsonStatus(answer(JSON.stringify({ a: Array(10_000).fill(1) })), rule));
  // Small enough to be parsed, too deep to be walked over or within reach of the stack: a reading either way.
  parseJsonStatus(answer(`{"a":${"[".repeat(8_000)}${"]".repeat(8_000)}}`), rule);
});

test("http: every code is a status", () => {
  for (const code of [200, 204, 404, 503]) {
    assert.deepEqual(statusOf(parseHttp(answer("", code))), { format: "http", code });
  }
});

const AUTO: readonly [what: string, answer: Answer, result: string | RegExp][] = [
  ["AMP", answer(JSON.stringify(AMP)), "amp"],
  ["AMP with 503", answer(`\n ${JSON.stringify(AMP)}`, 503), "amp"],
  ["runtime info", answer(JSON.stringify(RUNTIME_INFO)), "prometheus"],
  ["metrics", answer(METRICS), "prometheus"],
  ["other JSON", answer('{"status":"ok"}'), "http"],
  ["other JSON, not a 200", answer('{"status":"starting"}', 503), /^HTTP 503, no status$/],
  ["a list", answer("[1]"), "http"],
  ["text", answer("ok"), "http"],
  ["nothing", answer(""), "http"],
  ["other metrics", answer("up 1\n"), "http"],
  ["an error page", answer("<html>", 502), /^HTTP 502, no status$/],
  ["nothing, 204", answer("", 204), /^HTTP 204, no status$/],
  ["half an AMP", answer('{"healthy":true,"stat'), /^not JSON/],
  ["a cut JSON", answer('{"healthy":true,"stat', 200, true), /^body is larger than 1 MiB$/],
  ["AMP with wrong types", answer('{"status":7,"attempts":"3"}'), /^not an AMP status/],
  ["runtime info with wrong types", answer('{"data":{"reloadConfigSuccess":1}}'), /^not runtime info/],
];
for (const [what, given, result] of AUTO) {
  test(`auto: ${what} is ${result}`, () => {
    const reading = parseAuto(given);
    if (typeof result === "string") assert.equal(statusOf(reading).format, result);
    else assert.match(reasonOf(reading), result);
  });
}

test("no parser ever throws, whatever the bytes", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
    fc.string({ unit: "binary" }).map((text) => new TextEncoder().encode(text)),
    fc.constantFrom(JSON.stringify(AMP), JSON.stringify(RUNTIME_INFO), METRICS).chain((text) => {
      const whole = new TextEncoder().encode(text);
      return fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255), end: fc.nat(whole.length) }).map(
        ({ at, byte, end }) => whole.with(at, byte).slice(0, end),
      );
    }),
  );
  fc.assert(
    fc.property(
      bytes,
      fc.constantFrom(200, 204, 404, 503),
      fc.boolean(),
      fc.string(),
      (body, code, truncated, text) => {
        const given = { code, body: new Uint8Array(body), truncated };
        const rule = { verifyOk: { pointer: `/${text}`, value: text }, verifyToken: `/${text}` };
        for (
          const reading of [
            parseAmp(given),
            parsePrometheus(given),
            parseJsonStatus(given, rule),
            parseHttp(given),
            parseAuto(given),
          ]
        ) if (reading.kind === "error") assert.notEqual(reading.reason, "");
      },
    ),
    { numRuns: 1_000 },
  );
});

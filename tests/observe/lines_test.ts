import assert from "node:assert/strict";
import fc from "fast-check";
import type { LogFormat } from "../../src/config.ts";
import { type LogEntry, renderLine } from "../../src/observe/lines.ts";
import { test } from "../support/strict.ts";

const WALL_MS = Date.UTC(2026, 10, 24, 8, 0, 0, 123);
const FORMATS: readonly LogFormat[] = ["text", "json", "logfmt"];

function entry(message: string, more: Partial<LogEntry> = {}): LogEntry {
  return { wallMs: WALL_MS, level: "info", message, fields: {}, ...more };
}

const GOLDEN: readonly (readonly [string, LogEntry, string, string, string])[] = [
  [
    "a change",
    entry("Config change detected (hash: abc123abc123 -> def456def456)", {
      fields: { old_hash: "abc123abc123", new_hash: "def456def456" },
    }),
    "2026-11-24T08:00:00.123Z INFO  Config change detected (hash: abc123abc123 -> def456def456)\n",
    '{"time":"2026-11-24T08:00:00.123Z","level":"info","msg":"Config change detected (hash: abc123abc123 -> def456def456)","old_hash":"abc123abc123","new_hash":"def456def456"}\n',
    'time=2026-11-24T08:00:00.123Z level=info msg="Config change detected (hash: abc123abc123 -> def456def456)" old_hash=abc123abc123 new_hash=def456def456\n',
  ],
  [
    "the signal",
    entry("Sending SIGHUP to main process (PID 7)", { fields: { pid: 7, signal: "SIGHUP" } }),
    "2026-11-24T08:00:00.123Z INFO  Sending SIGHUP to main process (PID 7)\n",
    '{"time":"2026-11-24T08:00:00.123Z","level":"info","msg":"Sending SIGHUP to main process (PID 7)","pid":7,"signal":"SIGHUP"}\n',
    'time=2026-11-24T08:00:00.123Z level=info msg="Sending SIGHUP to main process (PID 7)" pid=7 signal=SIGHUP\n',
  ],
  [
    "success",
    entry("✅ Reload successful", {
      fields: { outcome: "success", duration_ms: 12.5, causes: ["event", "interval"] },
    }),
    "2026-11-24T08:00:00.123Z INFO  ✅ Reload successful\n",
    '{"time":"2026-11-24T08:00:00.123Z","level":"info","msg":"✅ Reload successful","outcome":"success","duration_ms":12.5,"causes":["event","interval"]}\n',
    'time=2026-11-24T08:00:00.123Z level=info msg="✅ Reload successful" outcome=success duration_ms=12.5 causes=event,interval\n',
  ],
  [
    "a warning with awkward fields",
    entry('it said "no"', {
      level: "warn",
      fields: { empty: "", path: "/a b", eq: "a=b", back: "C:\\x", none: null, yes: true, quote: '"' },
    }),
    '2026-11-24T08:00:00.123Z WARN  it said "no"\n',
    '{"time":"2026-11-24T08:00:00.123Z","level":"warn","msg":"it said \\"no\\"","empty":"","path":"/a b","eq":"a=b","back":"C:\\\\x","none":null,"yes":true,"quote":"\\""}\n',
    'time=2026-11-24T08:00:00.123Z level=warn msg="it said \\"no\\"" empty="" path="/a b" eq="a=b" back="C:\\\\x" none=null yes=true quote="\\""\n',
  ],
  [
    "a forged line",
    entry(
      "Reload rejected by the app: x\n2026-11-24T08:00:00.123Z INFO  ✅ Reload successful\r\t\x1b[31m\u2028\u202e\x85",
      {
        level: "error",
        fields: { reason: "x\ny" },
      },
    ),
    "2026-11-24T08:00:00.123Z ERROR Reload rejected by the app: x\\n2026-11-24T08:00:00.123Z INFO  ✅ Reload successful\\r\\t\\u001b[31m\\u2028\\u202e\\u0085\n",
    '{"time":"2026-11-24T08:00:00.123Z","level":"error","msg":"Reload rejected by the app: x\\n2026-11-24T08:00:00.123Z INFO  ✅ Reload successful\\r\\t\\u001b[31m\\u2028\\u202e\\u0085","reason":"x\\ny"}\n',
    'time=2026-11-24T08:00:00.123Z level=error msg="Reload rejected by the app: x\\n2026-11-24T08:00:00.123Z INFO  ✅ Reload successful\\r\\t\\u001b[31m\\u2028\\u202e\\u0085" reason="x\\ny"\n',
  ],
  [
    "debug: only fields that the message does not say",
    entry("looked at 3 files", {
      level: "debug",
      fields: { files: 3, took_ms: 0.4, why: "the interval", none: null },
    }),
    '2026-11-24T08:00:00.123Z DEBUG looked at 3 files took_ms=0.4 why="the interval"\n',
    '{"time":"2026-11-24T08:00:00.123Z","level":"debug","msg":"looked at 3 files","files":3,"took_ms":0.4,"why":"the interval","none":null}\n',
    'time=2026-11-24T08:00:00.123Z level=debug msg="looked at 3 files" files=3 took_ms=0.4 why="the interval" none=null\n',
  ],
  [
    "fields cannot replace what every line has",
    entry("m", { fields: { msg: "other", level: "fatal", time: "never", ok: 1 } }),
    "2026-11-24T08:00:00.123Z INFO  m\n",
    '{"time":"2026-11-24T08:00:00.123Z","level":"info","msg":"m","ok":1}\n',
    "time=2026-11-24T08:00:00.123Z level=info msg=m ok=1\n",
  ],
  [
    "a clock out of range",
    entry("m", { wallMs: NaN }),
    "0000-00-00T00:00:00.000Z INFO  m\n",
    '{"time":"0000-00-00T00:00:00.000Z","level":"info","msg":"m"}\n',
    "time=0000-00-00T00:00:00.000Z level=info msg=m\n",
  ],
];

for (const [what, input, text, json, logfmt] of GOLDEN) {
  test(`log line, ${what}`, () => {
    assert.equal(renderLine("text", input), text);
    assert.equal(renderLine("json", input), json);
    assert.equal(renderLine("logfmt", input), logfmt);
  });
}

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("\n", '"', "\\", "=", "a", "\x9b") }),
);

test("whatever a message holds, a line stays one line without control characters", () => {
  fc.assert(fc.property(anyText, anyText, fc.constantFrom(...FORMATS), (message, field, format) => {
    const line = renderLine(format, entry(message, { level: "debug", fields: { field } }));
    assert.equal(line.indexOf("\n"), line.length - 1);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(line.slice(0, -1), /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
  }));
});

test("JSON gives message and fields back", () => {
  fc.assert(fc.property(anyText, anyText, (message, field) => {
    const record = JSON.parse(renderLine("json", entry(message, { fields: { field } })));
    assert.equal(record.msg, message);
    assert.equal(record.field, field);
  }));
});

test("logfmt splits into the same keys, whatever the values are", () => {
  fc.assert(fc.property(anyText, anyText, (message, field) => {
    const line = renderLine("logfmt", entry(message, { fields: { field, last: 1 } }));
    const pairs = [...line.trimEnd().matchAll(/([a-z]+)=("(?:[^"\\]|\\.)*"|[^\s"]+)(?: |$)/gu)];
    assert.equal(pairs.map((pair) => pair[0]).join(""), line.slice(0, -1));
    assert.deepEqual(pairs.map((pair) => pair[1]), ["time", "level", "msg", "field", "last"]);
  }));
});

test("a long answer of the app is cut", () => {
  for (const format of FORMATS) {
    const line = renderLine(
      format,
      entry("x".repeat(1_000_000), { fields: { body: "y".repeat(1_000_000) } }),
    );
    assert.ok(line.length < 10_000, `${format}: ${line.length}`);
    assert.ok(line.includes("x…"));
  }
});

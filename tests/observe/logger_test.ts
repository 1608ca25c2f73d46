import assert from "node:assert/strict";
import fc from "fast-check";
import type { LogFormat, LogLevel } from "../../src/config.ts";
import { type ByteSink, createLogger } from "../../src/observe/logger.ts";
import type { LogFields } from "../../src/ports.ts";
import { until, WAIT_MS } from "../support/poll.ts";
import { test } from "../support/strict.ts";

const WALL_MS = Date.UTC(2026, 10, 24, 8, 0, 0, 123);
const FORMATS: readonly LogFormat[] = ["text", "json", "logfmt"];

/** A sink that takes bytes only while it is open, and at most `chunk` at a time. */
function createValve(chunk = Infinity) {
  const decoder = new TextDecoder();
  let waiting: (() => void)[] = [];
  const valve = {
    text: "",
    writes: 0,
    shut: false,
    broken: false,
    release() {
      valve.shut = false;
      for (const resume of waiting) resume();
      waiting = [];
    },
  };
  const sink: ByteSink = {
    write: async (bytes) => {
      valve.writes++;
      if (valve.shut) await new Promise<void>((resolve) => waiting.push(resolve));
      if (valve.broken) throw new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
      const count = Math.min(chunk, bytes.length);
      valve.text += decoder.decode(bytes.subarray(0, count), { stream: true });
      return count;
    },
  };
  return { valve, sink };
}

interface Entry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

function entry(message: string, more: Partial<Entry> = {}): Entry {
  return { level: "info", message, fields: {}, ...more };
}

/** What one log call writes. */
async function lineOf(format: LogFormat, { level, message, fields }: Entry): Promise<string> {
  const { valve, sink } = createValve();
  const logger = createLogger("debug", format, sink, () => WALL_MS);
  logger[level](message, fields);
  await logger.flush(WAIT_MS);
  return valve.text;
}

const GOLDEN: readonly (readonly [string, Entry, string, string, string])[] = [
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
      { level: "error", fields: { reason: "x\ny" } },
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
];

for (const [what, input, text, json, logfmt] of GOLDEN) {
  test(`log line, ${what}`, async () => {
    assert.equal(await lineOf("text", input), text);
    assert.equal(await lineOf("json", input), json);
    assert.equal(await lineOf("logfmt", input), logfmt);
  });
}

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("\n", '"', "\\", "=", "a", "\x9b", "\u200e") }),
);

test("whatever a message holds, a line stays one line without control characters", async () => {
  await fc.assert(
    fc.asyncProperty(anyText, anyText, fc.constantFrom(...FORMATS), async (message, field, format) => {
      const line = await lineOf(format, entry(message, { level: "debug", fields: { field } }));
      assert.equal(line.indexOf("\n"), line.length - 1);
      assert.doesNotMatch(
        line.slice(0, -1),
        // deno-lint-ignore no-control-regex
        /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/,
      );
    }),
  );
});

test("JSON gives message and fields back", async () => {
  await fc.assert(fc.asyncProperty(anyText, anyText, async (message, field) => {
    const record = JSON.parse(await lineOf("json", entry(message, { fields: { field } })));
    assert.equal(record.msg, message);
    assert.equal(record.field, field);
  }));
});

test("logfmt splits into the same keys, whatever the values are", async () => {
  await fc.assert(fc.asyncProperty(anyText, anyText, async (message, field) => {
    const line = await lineOf("logfmt", entry(message, { fields: { field, last: 1 } }));
    const pairs = [...line.trimEnd().matchAll(/([a-z]+)=("(?:[^"\\]|\\.)*"|[^\s"]+)(?: |$)/gu)];
    assert.equal(pairs.map((pair) => pair[0]).join(""), line.slice(0, -1));
    assert.deepEqual(pairs.map((pair) => pair[1]), ["time", "level", "msg", "field", "last"]);
  }));
});

test("a long answer of the app is cut", async () => {
  for (const format of FORMATS) {
    const line = await lineOf(
      format,
      entry("x".repeat(1_000_000), { fields: { body: "y".repeat(1_000_000) } }),
    );
    assert.ok(line.length < 10_000, `${format}: ${line.length}`);
    assert.ok(line.includes("x…"));
  }
});

async function logAt(
  level: LogLevel,
  use: (logger: ReturnType<typeof createLogger>) => void,
): Promise<string> {
  let text = "";
  const sink = {
    write: (bytes: Uint8Array) => {
      text += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
  };
  const logger = createLogger(level, "text", sink, () => Date.UTC(2026, 10, 24, 8));
  use(logger);
  await logger.flush(WAIT_MS);
  return text;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

for (const [index, level] of LEVELS.entries()) {
  test(`--log-level ${level} shows that level and those above it`, async () => {
    const text = await logAt(level, (logger) => LEVELS.forEach((each) => logger[each](`at ${each}`)));
    assert.deepEqual(
      text.trimEnd().split("\n"),
      LEVELS.slice(index).map((each) =>
        `2026-11-24T08:00:00.000Z ${each.toUpperCase().padEnd(5)} at ${each}`
      ),
    );
  });
}

test("braces in a message are text, not placeholders", async () => {
  const text = await logAt(
    "info",
    (logger) => logger.info('the app says {"status":"{pid}"} {{x}}', { pid: 7 }),
  );
  assert.equal(text, '2026-11-24T08:00:00.000Z INFO  the app says {"status":"{pid}"} {{x}}\n');
});

test("nothing but our own lines: the logging library does not greet", async () => {
  assert.equal(await logAt("debug", () => {}), "");
});

/** A program that logs much more than a pipe holds, and prints on standard output that its loop turns. */
const CHATTERBOX = `
import { createLogger } from ${JSON.stringify(import.meta.resolve("../../src/observe/logger.ts"))};
const logger = createLogger("info", "json");
const line = "x".repeat(1000);
let turns = 0;
const timer = setInterval(() => {
  for (let i = 0; i < 100; i++) logger.info(line);
  console.log(++turns);
}, 5);
for await (const _ of Deno.stdin.readable) break;
clearInterval(timer);
logger.info("last words");
await logger.flush(5000);
Deno.exit(0);
`;

async function startChatterbox(): Promise<
  { child: Deno.ChildProcess; turns: () => number; done: Promise<void> }
> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, CHATTERBOX);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", new URL("../../deno.json", import.meta.url).pathname, file],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let turns = 0;
  const done = (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      if (lines.length > 0) turns = Number(lines.at(-1));
    }
    await Deno.remove(file);
  })();
  return { child, turns: () => turns, done };
}

async function endChatterbox(child: Deno.ChildProcess, done: Promise<void>): Promise<number> {
  const stdin = child.stdin.getWriter();
  await stdin.write(new Uint8Array(1));
  await stdin.close();
  const { code } = await child.status;
  await done;
  return code;
}

test("standard error that nobody reads: the loop turns, lines are dropped, counted and reported", async () => {
  const { child, turns, done } = await startChatterbox();
  await until("the loop to turn", () => turns() >= 60);
  const reader = new Response(child.stderr).text();
  const code = await endChatterbox(child, done);
  const lines = (await reader).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(code, 0);
  const notes = lines.filter((line) => line.msg.includes("log lines were dropped"));
  assert.ok(notes.reduce((sum, note) => sum + note.dropped, 0) > 1_000);
  assert.equal(notes[0].msg, `${notes[0].dropped} log lines were dropped: standard error did not take them`);
  assert.ok(lines.some((line) => line.msg === "last words"));
});

test("closed standard error: the program goes on and counts", async () => {
  const { child, turns, done } = await startChatterbox();
  await child.stderr.cancel();
  await until("the loop to turn", () => turns() >= 60);
  assert.equal(await endChatterbox(child, done), 0);
});

test("lines come out in order, and a sink that takes a few bytes at a time gets every byte", async () => {
  const { valve, sink } = createValve(3);
  const logger = createLogger("info", "text", sink, () => WALL_MS);
  for (let i = 0; i < 100; i++) logger.info(`✅ ${i}`);
  await logger.flush(WAIT_MS);
  assert.equal(
    valve.text,
    Array.from({ length: 100 }, (_, i) => `2026-11-24T08:00:00.123Z INFO  ✅ ${i}\n`).join(""),
  );
});

test("a stalled sink bounds the queue; the drops are counted and reported when it goes on", async () => {
  const { valve, sink } = createValve();
  valve.shut = true;
  const logger = createLogger("info", "text", sink, () => WALL_MS);
  logger.info("line 0");
  await until("the first write", () => valve.writes > 0);
  for (let i = 1; i < 3_000; i++) logger.info(`line ${i}`);
  valve.release();
  await logger.flush(WAIT_MS);
  const lines = valve.text.trimEnd().split("\n").map((line) => line.slice(25));
  assert.deepEqual(lines.slice(0, 3), [
    "INFO  line 0",
    // One was being written, 1,000 waited.
    "WARN  1999 log lines were dropped: standard error did not take them",
    "INFO  line 2000",
  ]);
  assert.equal(lines.at(-1), "INFO  line 2999");
  assert.equal(lines.length, 1_002);
});

test("flush gives up on a stalled sink", async () => {
  const { valve, sink } = createValve();
  valve.shut = true;
  const logger = createLogger("info", "text", sink, () => WALL_MS);
  logger.info("never");
  let gaveUp = false;
  logger.flush(30).then(() => gaveUp = true);
  await until("the end of the wait", () => gaveUp);
  valve.release();
  await logger.flush(WAIT_MS);
});

test("a closed pipe costs the lines and nothing else; they are counted", async () => {
  const { valve, sink } = createValve();
  valve.broken = true;
  const logger = createLogger("info", "text", sink, () => WALL_MS);
  for (const text of ["a", "b", "c"]) logger.info(text);
  await logger.flush(WAIT_MS);
  valve.broken = false;
  logger.info("d");
  await logger.flush(WAIT_MS);
  assert.match(valve.text, /^\S+ WARN {2}3 log lines were dropped: [^\n]+\n\S+ INFO {2}d\n$/);
});

import assert from "node:assert/strict";
import type { LogLevel } from "../../src/config.ts";
import { createLogger } from "../../src/observe/logger.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";

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
  await logger.flush(1_000);
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

/** A program that logs much more than a pipe holds, and tells on standard output that its loop turns. */
const CHATTERBOX = `
import { createLogger } from ${JSON.stringify(import.meta.resolve("../../src/observe/logger.ts"))};
const logger = createLogger("info", "json");
const line = "x".repeat(1000);
let turns = 0;
const timer = setInterval(() => {
  for (let i = 0; i < 100; i++) logger.info(line);
  console.log(JSON.stringify({ turns: ++turns, dropped: logger.dropped() }));
}, 5);
for await (const _ of Deno.stdin.readable) break;
clearInterval(timer);
logger.info("last words");
await logger.flush(5000);
Deno.exit(0);
`;

async function startChatterbox(): Promise<
  { child: Deno.ChildProcess; last: () => { turns: number; dropped: number }; done: Promise<void> }
> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, CHATTERBOX);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", new URL("../../deno.json", import.meta.url).pathname, file],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let last = { turns: 0, dropped: 0 };
  const done = (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      if (lines.length > 0) last = JSON.parse(lines.at(-1)!);
    }
    await Deno.remove(file);
  })();
  return { child, last: () => last, done };
}

async function endChatterbox(child: Deno.ChildProcess, done: Promise<void>): Promise<number> {
  const stdin = child.stdin.getWriter();
  await stdin.write(new Uint8Array(1));
  await stdin.close();
  const { code } = await child.status;
  await done;
  return code;
}

test("standard error that nobody reads: the loop turns, lines are dropped, counted and told", async () => {
  const { child, last, done } = await startChatterbox();
  await until("the loop to turn with drops", () => last().turns >= 60 && last().dropped > 1_000);
  const reader = new Response(child.stderr).text();
  const code = await endChatterbox(child, done);
  const lines = (await reader).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(code, 0);
  const notes = lines.filter((line) => line.msg.includes("log lines were dropped"));
  assert.equal(notes.reduce((sum, note) => sum + note.dropped, 0), last().dropped);
  assert.equal(notes[0].msg, `${notes[0].dropped} log lines were dropped: standard error did not take them`);
  assert.ok(lines.some((line) => line.msg === "last words"));
});

test("closed standard error: the program goes on and counts", async () => {
  const { child, last, done } = await startChatterbox();
  await child.stderr.cancel();
  await until("the loop to turn with drops", () => last().turns >= 60 && last().dropped > 1_000);
  assert.equal(await endChatterbox(child, done), 0);
});

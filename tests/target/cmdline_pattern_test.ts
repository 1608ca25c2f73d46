import assert from "node:assert/strict";
import { createCmdlinePattern } from "../../src/target/wanted.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";

const HOSTILE = "a".repeat(100_000) + "!";

test("an expression that takes for ever on a hostile command line stalls nothing, and the others are still tried", async () => {
  const sources = [
    "(a+)+b",
    "(a|a)*b",
    "(?=.*x)?(a+)+$",
    "a*a*a*a*a*b",
    "(.*)\\1b",
    "^(?<as>a*)\\k<as>b",
    "[^b]*b",
  ];
  for (const source of sources) {
    const pattern = await createCmdlinePattern(new RegExp(source));
    const wanted = [false, new RegExp(source).test("xaaab")];
    // A machine that stands still may let a harmless line seem to take for ever.
    await until(
      source,
      () => pattern.match([HOSTILE, "xaaab", HOSTILE]).slice(0, 2).join() === wanted.join(),
    );
  }
});

test("of a hundred hostile command lines the last are not tried, nor what comes after them: 0.2 s in all", async () => {
  const pattern = await createCmdlinePattern(/(a+)+b/);
  const lines = [...Array(100).fill(HOSTILE), "aaab"];
  assert.deepEqual(pattern.match(lines), lines.map(() => false));
});

test("begin and end of a long command line are tried, 4 KiB in all", async () => {
  const long = `/bin/java ${"x".repeat(10_000)} Needle ${"x".repeat(10_000)} org.Main`;
  const tried = async (source: string) => (await createCmdlinePattern(new RegExp(source))).match([long])[0];
  assert.equal(await tried("^/bin/java x"), true);
  assert.equal(await tried(" org\\.Main$"), true);
  assert.equal(await tried("Needle"), false);
  assert.equal(await tried("java.*Main"), false, "nothing goes across the part that is left out");
  assert.deepEqual((await createCmdlinePattern(/^.{4096}$/)).match(["y".repeat(4096), "y".repeat(4097)]), [
    true,
    false,
  ]);
});

test("a pattern with a memory has none", async () => {
  const pattern = await createCmdlinePattern(/a.*m.*p/g);
  for (let round = 0; round < 3; round++) assert.deepEqual(pattern.match(["amp", "amp"]), [true, true]);
  assert.equal(pattern.source, "a.*m.*p");
});

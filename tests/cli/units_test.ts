import assert from "node:assert/strict";
import fc from "fast-check";
import { DURATION_MS_MAX, parseDurationMs, parseSizeBytes, SIZE_BYTES_MAX } from "../../src/cli/units.ts";
import { UsageError } from "../../src/cli/usage_error.ts";
import { test } from "../support/strict.ts";

test("durations read as Go reads them", () => {
  const table: Record<string, number> = {
    "0": 0,
    "0s": 0,
    "500ms": 500,
    "5s": 5_000,
    "1m30s": 90_000,
    "1.5h": 5_400_000,
    "1h2m3.5s": 3_723_500,
    "100us": 0.1,
    "100µs": 0.1,
    "100μs": 0.1,
    "1ns": 1e-6,
    "1.9ns": 2e-6,
    "1.1s": 1_100,
    "0.3m": 18_000,
    ".5s": 500,
    "1.s": 1_000,
    "1s1s": 2_000,
    "30s1m": 90_000,
    "0.1s": 100,
    "1.0000000001s": 1_000,
    "007s": 7_000,
    "2147483647ms": DURATION_MS_MAX,
  };
  for (const [text, ms] of Object.entries(table)) assert.equal(parseDurationMs(text), ms, text);
});

test("what is no Go duration, or has a sign, is refused by name", () => {
  const junk = [
    ...[
      "",
      "5",
      "00",
      "-1s",
      "+1s",
      "-0",
      "1e3s",
      "5 apples",
      "1h 2m",
      " 5s",
      "5s ",
      "5s\n",
      "s",
      ".s",
      "1..5s",
      "5S",
    ],
    ...[
      "1.5.5s",
      "1d",
      "1w",
      "5sec",
      "1,5s",
      "0x5s",
      "Infinity",
      "NaN",
      "٥s",
      "5s5",
      "1h-2m",
      "5m s",
      "auto",
    ],
  ];
  for (const text of junk) {
    assert.throws(() => parseDurationMs(text), (error: unknown) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, / is no duration, want one such as 500ms, 5s or 1m30s$/);
      return true;
    }, JSON.stringify(text));
  }
  for (const text of ["2147483648ms", "597h", "99999999999999999999h"]) {
    assert.throws(() => parseDurationMs(text), { message: `"${text}" is too long, want at most 596h` });
  }
});

test("no text throws anything but a usage error, and a duration is never negative or not finite", () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9.hmsuµn +-]{0,12}$/));
  fc.assert(
    fc.property(text, (value) => {
      try {
        const ms = parseDurationMs(value);
        assert.ok(ms >= 0 && ms <= DURATION_MS_MAX);
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test("sizes are KiB, MiB, GiB or bytes, and nothing else", () => {
  assert.equal(parseSizeBytes("64KiB"), 65_536);
  assert.equal(parseSizeBytes("16MiB"), 16_777_216);
  assert.equal(parseSizeBytes("1GiB"), SIZE_BYTES_MAX);
  assert.equal(parseSizeBytes("1000"), 1_000);
  for (const text of ["", "16MB", "16M", "16Mi", "16mib", "1.5MiB", "-1", "16 MiB", "B", "1e3", "0x10"]) {
    assert.throws(() => parseSizeBytes(text), {
      message: `"${text}" is no size, want one such as 64KiB, 16MiB or 1048576 (bytes)`,
    });
  }
  for (const text of ["0", "0KiB", "2GiB", "99999999999999999999"]) {
    assert.throws(() => parseSizeBytes(text), { message: `"${text}" is out of range, want 1 to 1GiB` });
  }
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { createAuthorize, equalInConstantTime, parseAuthFile, readAuthFile } from "../../src/serve/auth.ts";
import { test } from "../support/strict.ts";

const FILE = "prometheus:pässword:with colon\n\nBearer abc.def-123\n  other:x  \n";
const BOTH = 'Basic realm="config-reloader", charset="UTF-8", Bearer realm="config-reloader"';

function basic(text: string): string {
  return `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(text)))}`;
}

const CASES: readonly (readonly [string, string | null, boolean])[] = [
  ["nothing", null, false],
  ["an empty header", "", false],
  ["user and password", basic("prometheus:pässword:with colon"), true],
  ["the scheme in lower case", basic("prometheus:pässword:with colon").replace("Basic", "bAsIc"), true],
  ["the second user", basic("other:x"), true],
  ["the token", "Bearer abc.def-123", true],
  ["a wrong password", basic("prometheus:password"), false],
  ["an empty password", basic("prometheus:"), false],
  ["a longer token", "Bearer abc.def-1234", false],
  ["a shorter token", "Bearer abc.def-12", false],
  ["an empty token", "Bearer ", false],
  ["a token by the name of Basic", "Basic abc.def-123", false],
  ["a password as a token", `Bearer ${basic("other:x").slice(6)}`, false],
  ["another scheme", "Digest abc.def-123", false],
  ["the line itself", "other:x", false],
  ["more after the token", "Bearer abc.def-123 x", false],
];

for (const [what, header, allowed] of CASES) {
  test(`${allowed ? "lets in" : "keeps out"}: ${what}`, () => {
    const authorize = createAuthorize(() => parseAuthFile(FILE), (message) => assert.fail(message));
    assert.equal(authorize(header), allowed ? null : BOTH);
  });
}

test("only what the file has is offered", () => {
  const challenge = (text: string) => createAuthorize(() => parseAuthFile(text), assert.fail)(null);
  assert.equal(challenge("a:b"), 'Basic realm="config-reloader", charset="UTF-8"');
  assert.equal(challenge("Bearer t"), 'Bearer realm="config-reloader"');
});

for (
  const [text, message] of [
    ["", "it holds no credentials"],
    ["\n \n", "it holds no credentials"],
    ["a:b\nnocolon-s3cret", 'line 2 is neither "user:password" nor "Bearer token"'],
    ["a:", 'line 1 is neither "user:password" nor "Bearer token"'],
    [":b", 'line 1 is neither "user:password" nor "Bearer token"'],
  ] as const
) {
  test(`auth file ${JSON.stringify(text)} is refused without telling its content`, () => {
    assert.throws(() => parseAuthFile(text), { message });
  });
}

test("a rotated file counts at the next request; while it is gone nobody passes, and that is said once", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/auth`;
    const told: string[] = [];
    const authorize = createAuthorize(() => readAuthFile(path), (message) => told.push(message));
    await Deno.writeTextFile(path, "Bearer one\n");
    assert.equal(authorize("Bearer one"), null);
    await Deno.writeTextFile(path, "Bearer two\n");
    assert.notEqual(authorize("Bearer one"), null);
    assert.equal(authorize("Bearer two"), null);
    await Deno.remove(path);
    assert.notEqual(authorize("Bearer two"), null);
    assert.notEqual(authorize("Bearer two"), null);
    const problem =
      `Cannot read auth file "${path}": no such file; /metrics, /status and / answer 401 until it can be read`;
    assert.deepEqual(told, [problem]);
    await Deno.writeTextFile(path, "Bearer two\n");
    assert.equal(authorize("Bearer two"), null);
    await Deno.remove(path);
    authorize(null);
    assert.equal(told.length, 2);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

test("what is no regular file, or large, is not read", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await new Deno.Command("mkfifo", { args: [`${dir}/fifo`] }).output();
    assert.throws(() => readAuthFile(`${dir}/fifo`), {
      message: `Cannot read auth file "${dir}/fifo": not a regular file`,
    });
    await Deno.writeTextFile(`${dir}/large`, "x".repeat(2 ** 20 + 1));
    assert.throws(() => readAuthFile(`${dir}/large`), {
      message: `Cannot read auth file "${dir}/large": larger than 1 MiB`,
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

test("the comparison is equality", () => {
  const some = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 4 });
  fc.assert(fc.property(some, some, (a, b) => assert.equal(equalInConstantTime(a, b), a === b)));
});

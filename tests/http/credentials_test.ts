/** Credential files: what is sent for them, what is refused, and that no error shows what they hold. */

import assert from "node:assert/strict";
import type { CredentialFiles } from "../../src/config.ts";
import { readCredentials } from "../../src/http/credentials.ts";
import { createTestConfig } from "../support/config.ts";
import { test } from "../support/strict.ts";

const NONE: CredentialFiles = createTestConfig();
const CERT = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const KEY = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n";

async function withFile(content: string | Uint8Array, fn: (path: string) => void): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    if (typeof content === "string") await Deno.writeTextFile(path, content);
    else await Deno.writeFile(path, content);
    fn(path);
  } finally {
    await Deno.remove(path);
  }
}

test("nothing is read where nothing is configured", () => {
  assert.deepEqual(readCredentials(NONE), { headers: [], tls: {} });
});

const GOOD: readonly [field: keyof CredentialFiles, content: string, headers: [string, string][]][] = [
  ["basicAuthFile", "me:secret\n", [["authorization", `Basic ${btoa("me:secret")}`]]],
  ["basicAuthFile", "me:with:colons and spaces ", [[
    "authorization",
    `Basic ${btoa("me:with:colons and spaces ")}`,
  ]]],
  ["basicAuthFile", "ü:ß\r\n", [["authorization", "Basic w7w6w58="]]],
  ["bearerTokenFile", "abc.def-123==\n", [["authorization", "Bearer abc.def-123=="]]],
  ["headerFile", "X-Api-Key:  secret \n\nCookie: a=b; c=d\r\nEmpty:\n", [
    ["x-api-key", "secret"],
    ["cookie", "a=b; c=d"],
    ["empty", ""],
  ]],
];
for (const [field, content, headers] of GOOD) {
  test(`${field} ${JSON.stringify(content)} is sent as it should be`, async () => {
    await withFile(content, (path) => {
      assert.deepEqual(readCredentials({ ...NONE, [field]: path }).headers, headers);
    });
  });
}

test("each file is read afresh", async () => {
  await withFile("one", (path) => {
    assert.deepEqual(readCredentials({ ...NONE, bearerTokenFile: path }).headers[0]![1], "Bearer one");
    Deno.writeTextFileSync(path, "two");
    assert.deepEqual(readCredentials({ ...NONE, bearerTokenFile: path }).headers[0]![1], "Bearer two");
  });
});

test("a header file beats the other files", async () => {
  await withFile("Authorization: Custom x", (headerFile) => {
    Deno.writeTextFileSync(`${headerFile}.token`, "t");
    const { headers } = readCredentials({ ...NONE, headerFile, bearerTokenFile: `${headerFile}.token` });
    assert.deepEqual(new Map(headers).get("authorization"), "Custom x");
    Deno.removeSync(`${headerFile}.token`);
  });
});

test("certificates and keys are taken as they are", async () => {
  await withFile(CERT + KEY, (path) => {
    const { tls } = readCredentials({ ...NONE, caFile: path, clientCertFile: path, clientKeyFile: path });
    assert.deepEqual(tls, { caCerts: [CERT + KEY], cert: CERT + KEY, key: CERT + KEY });
  });
});

const BAD: readonly [field: keyof CredentialFiles, content: string | Uint8Array, message: RegExp][] = [
  ["basicAuthFile", "secret", /^Cannot use basic auth file ".+": it must hold one line user:password$/],
  ["basicAuthFile", "me:secret\nx:secret", /one line user:password$/],
  ["basicAuthFile", "", /one line user:password$/],
  ["bearerTokenFile", "\n", /^Cannot use bearer token file ".+": it must hold one token without spaces$/],
  ["bearerTokenFile", "secret secret", /without spaces$/],
  ["bearerTokenFile", "sec\u0000ret", /without spaces$/],
  ["bearerTokenFile", "secret\r\nX-Evil: 1", /without spaces$/],
  ["headerFile", "A: b\nsecret", /^Cannot use header file ".+": line 2 must be Name: value$/],
  ["headerFile", "secret name: x", /line 1 must be Name: value$/],
  ["headerFile", "A: sec\u0001ret", /line 1 must be Name: value$/],
  ["headerFile", "Content-Length: 5", /line 1 must not set content-length$/],
  ["headerFile", "transfer-encoding: chunked", /line 1 must not set transfer-encoding$/],
  ["caFile", "secret", /^Cannot use CA file ".+": it holds no PEM block of that kind$/],
  ["clientCertFile", KEY, /^Cannot use client certificate file ".+": it holds no PEM block/],
  ["clientKeyFile", CERT, /^Cannot use client key file ".+": it holds no PEM block/],
  ["caFile", new Uint8Array(2 * 1024 * 1024), /^Cannot read CA file ".+": larger than 1 MiB$/],
];
for (const [field, content, message] of BAD) {
  test(`${field} ${JSON.stringify(content).slice(0, 40)} is refused`, async () => {
    await withFile(content, (path) => {
      assert.throws(() => readCredentials({ ...NONE, [field]: path }), (error: Error) => {
        assert.match(error.message, message);
        assert.ok(error.message.includes(path) && !error.message.includes("secret"), error.message);
        return true;
      });
    });
  });
}

test("a file that cannot be read is named with the reason", async () => {
  const dir = await Deno.makeTempDir();
  const read = (path: string) => () => readCredentials({ ...NONE, bearerTokenFile: path });
  assert.throws(read(`${dir}/none`), {
    message: `Cannot read bearer token file "${dir}/none": no such file`,
  });
  assert.throws(read(dir), { message: `Cannot read bearer token file "${dir}": not a regular file` });
  // Opening a FIFO that nobody writes to would hang the process.
  await new Deno.Command("mkfifo", { args: [`${dir}/fifo`] }).output();
  assert.throws(read(`${dir}/fifo`), /not a regular file$/);
  await Deno.remove(dir, { recursive: true });
});

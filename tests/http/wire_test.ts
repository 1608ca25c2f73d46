/** Reading answers off a stream: the same whatever pieces it comes in, bounded, and never another error than ours. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { HttpError } from "../../src/http/errors.ts";
import { type ByteSource, createIntake } from "../../src/http/intake.ts";
import { HEAD_BYTES_MAX, readAnswer } from "../../src/http/wire.ts";
import { test } from "../support/strict.ts";

/** A stream of these bytes in pieces of these sizes (the last size goes on), then its end. */
function createSource(bytes: Uint8Array, sizes: readonly number[]): ByteSource & { taken(): number } {
  let at = 0;
  let reads = 0;
  return {
    taken: () => at,
    read: (into) => {
      if (at >= bytes.length) return Promise.resolve(null);
      const size = Math.max(1, sizes[Math.min(reads++, sizes.length - 1)] ?? 1);
      const piece = bytes.subarray(at, at + Math.min(size, into.length));
      into.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length);
    },
  };
}

/** What came of it, as a text to compare. */
async function outcome(bytes: Uint8Array, sizes: readonly number[], bodyBytesMax: number): Promise<string> {
  try {
    const answer = await readAnswer(createIntake(createSource(bytes, sizes)), "GET", bodyBytesMax);
    assert.ok(answer.body.length <= bodyBytesMax);
    const { status, body, truncated } = answer;
    return JSON.stringify([status, [...answer.headers], [...body], truncated]);
  } catch (error) {
    assert.ok(error instanceof HttpError, `another error: ${error}`);
    return `${error.code}: ${error.message}`;
  }
}

const text = (value: string) => new TextEncoder().encode(value);

/** Answers and what is nearly one. */
const anyAnswer = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.record({
    head: fc.constantFrom(
      "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\ncontent-length: 3\n\n",
      "HTTP/1.0 404 Not Found\r\nx: y\r\nX: z\r\n\r\n",
      "HTTP/1.1 204 \r\n\r\n",
      "HTTP/1.1 2",
      "",
    ),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.string({ maxLength: 20 })).map((chunks) =>
        text(
          chunks.map((chunk) => `${text(chunk).length.toString(16)}\r\n${chunk}\r\n`).join("") + "0\r\n\r\n",
        )
      ),
    ),
  }).map(({ head, body }) => Uint8Array.from([...text(head), ...body])),
);

test("an answer is the same in whatever pieces it comes, and no bytes lead to another error than ours", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyAnswer,
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }),
      fc.constantFrom(0, 5, 1000),
      async (bytes, sizes, bodyBytesMax) => {
        const whole = await outcome(bytes, [100_000], bodyBytesMax);
        const pieces = await outcome(bytes, sizes, bodyBytesMax);
        // Of what is no HTTP the message shows as much as had come.
        const code = (result: string) => result.startsWith("protocol: not an HTTP") ? "protocol" : result;
        assert.equal(code(pieces), code(whole));
      },
    ),
    { numRuns: 1_000 },
  );
});

test("chunks of every size come together", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 50_000 })), async (chunks) => {
      const parts = [text("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n")];
      for (const chunk of chunks) {
        parts.push(text(`${chunk.length.toString(16).toUpperCase()}\r\n`), chunk, text("\r\n"));
      }
      const stream = new Uint8Array(
        await new Blob([...parts, text("0\r\n\r\n")] as BlobPart[]).arrayBuffer(),
      );
      const answer = await readAnswer(createIntake(createSource(stream, [7_000])), "GET", 10_000_000);
      assert.deepEqual(answer.body, new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer()));
      assert.ok(answer.reusable);
    }),
    { numRuns: 50 },
  );
});

test("a body in chunks of one byte each takes no more memory than it is long", async () => {
  const stream = text(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + "1\r\nx\r\n".repeat(200_000) + "0\r\n\r\n",
  );
  const intake = createIntake(createSource(stream, [16_384]));
  const { heapUsed } = Deno.memoryUsage();
  const answer = await readAnswer(intake, "GET", 1024 * 1024);
  const grownMb = (Deno.memoryUsage().heapUsed - heapUsed) / 1e6;
  assert.equal(answer.body.length, 200_000);
  // 50 MB where each chunk is kept by itself; what remains is young garbage.
  assert.ok(grownMb < 25, `${grownMb} MB`);
});

const ENDLESS: readonly [what: string, head: string, part: string, message: RegExp][] = [
  ["headers", "HTTP/1.1 200 OK\r\n", "a: b\r\n", /^headers larger than 32 KiB$/],
  ["a status line", "HTTP/1.1 200 ", "x", /^headers larger than 32 KiB$/],
  ["interim answers", "", "HTTP/1.1 103 x\r\n\r\n", /^more than 8 interim answers/],
  [
    "a chunk size",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    "0",
    /^chunk line longer than 1 KiB$/,
  ],
  [
    "trailers",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
    "a: b\r\n",
    /^trailers without an end$/,
  ],
];
for (const [what, head, part, message] of ENDLESS) {
  test(`gives up on endless ${what} before much has been read`, async () => {
    const source = createSource(text(head + part.repeat(1_000_000 / part.length)), [1000]);
    await assert.rejects(readAnswer(createIntake(source), "GET", 1000), { message });
    assert.ok(source.taken() < 2 * HEAD_BYTES_MAX + 20_000, `${source.taken()} bytes were read`);
  });
}

const REFUSED: readonly [answer: string, message: RegExp][] = [
  ["HTTP/2 200 OK\r\n\r\n", /^not an HTTP\/1.1 answer: "HTTP\/2 200 OK/],
  ["HTTP/1.1 20 OK\r\n\r\n", /^not an HTTP\/1.1 answer/],
  ["SSH-2.0-OpenSSH_9.2\r\n", /^not an HTTP\/1.1 answer: "SSH-2.0-OpenSSH_9.2"$/],
  ["\u0015\u0003\u0001\u0000\u0002", /^the server speaks TLS; use https:\/\/$/],
  ["HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\nx", /^content-length "1, 2" is no number$/],
  ["HTTP/1.1 200 OK\r\ncontent-length: 0x5\r\n\r\nx", /^content-length "0x5" is no number$/],
  [
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0",
    /^unknown transfer encoding "gzip, chunked"$/,
  ],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n", /^chunk size "-1" is no number$/],
  ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxyz\r\n", /^chunk longer than its size$/],
  ["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx", /^connection closed in the middle of the answer$/],
  ["HTTP/1.1 200 OK\r\n", /^connection closed in the middle of the headers$/],
  ["", /^connection closed without an answer$/],
];
for (const [answer, message] of REFUSED) {
  test(`refuses ${JSON.stringify(answer).slice(0, 70)}`, async () => {
    await assert.rejects(readAnswer(createIntake(createSource(text(answer), [1000])), "GET", 1000), {
      message,
    });
  });
}

import assert from "node:assert/strict";
import fc from "fast-check";
import { expandVariables, gunzip } from "../../src/prepare/convert.ts";
import { test } from "../support/strict.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const limit = (bytes: number) => ({ maxFileSizeBytes: bytes, maxUnpackedBytes: bytes });
const valuesOf = (values: Record<string, string>) =>
  new Map(Object.entries(values).map(([name, value]) => [name, bytes(value)]));
const text = (value: Uint8Array) => new TextDecoder().decode(value);

async function gzip(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as BlobPart]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

test("variables are expanded once, and unset ones stay", () => {
  const values: Record<string, string> = { A: "1", B_2: "$(A)", EMPTY: "", ü: "x", HOST: "grüße" };
  const cases: [string, string, string[]][] = [
    ["", "", []],
    ["plain", "plain", []],
    ["a $(A) b", "a 1 b", []],
    ["$(A)$(A)", "11", []],
    ["$(B_2)", "$(A)", []],
    ["[$(EMPTY)]", "[]", []],
    ["$(NOPE) $(A) $(NOPE)", "$(NOPE) 1 $(NOPE)", ["NOPE"]],
    ["$() $(A $(A-B) ${A} $A $(ü)", "$() $(A $(A-B) ${A} $A $(ü)", []],
    ["$$(A)", "$1", []],
    ["$xA)", "$xA)", []],
    ["$($(A))", "$(1)", []],
    ["$(HOST)", "grüße", []],
    ["$(", "$(", []],
    ["$(A", "$(A", []],
  ];
  for (const [input, output, unset] of cases) {
    const found = expandVariables(bytes(input), valuesOf(values), limit(1000));
    assert.equal(text(found.bytes), output, input);
    assert.deepEqual([...found.unset], unset, input);
  }
});

test("content that grows past the limit is refused, and a name without end is none", () => {
  const grows = bytes("$(A)".repeat(1000));
  const long = valuesOf({ A: "x".repeat(100) });
  assert.equal(expandVariables(grows, long, limit(100_000)).bytes.length, 100_000);
  assert.throws(
    () => expandVariables(grows, long, limit(99_999)),
    /^Error: expanded larger than --max-file-size \(99999 bytes\)$/,
  );
  const name = "A".repeat(200_000);
  const longest = "A".repeat(256);
  const values = valuesOf({ [name]: "v", [longest]: "v", B: "v" });
  const found = expandVariables(bytes(`$(${name}) $(B)`), values, limit(1_000_000));
  assert.equal(text(found.bytes), `$(${name}) v`);
  assert.equal(text(expandVariables(bytes(`$(${longest})`), values, limit(1000)).bytes), "v");
  const names = Array.from({ length: 5000 }, (_, n) => `$(C${n})`).join("");
  assert.equal(expandVariables(bytes(names), new Map(), limit(100_000)).unset.size, 200);
});

test("bytes that are no text pass unharmed", () => {
  fc.assert(fc.property(fc.uint8Array(), fc.uint8Array(), (before, after) => {
    fc.pre(!before.includes(0x24) && !after.includes(0x24));
    const found = expandVariables(
      new Uint8Array([...before, ...bytes("$(A)"), ...after]),
      valuesOf({ A: "v" }),
      limit(1000),
    );
    assert.deepEqual([...found.bytes], [...before, 0x76, ...after]);
  }));
});

test("gzip content is told by its magic bytes and unpacked", async () => {
  assert.equal(text(await gunzip(await gzip(bytes("hello")), limit(100))), "hello");
  assert.equal(text(await gunzip(bytes("hello"), limit(2))), "hello");
  assert.deepEqual(await gunzip(new Uint8Array([0x1f, 0x8b]), limit(100)), new Uint8Array([0x1f, 0x8b]));
});

test("several gzip members in one file are refused, with the reason", async () => {
  const [one, two] = [await gzip(bytes("a".repeat(100))), await gzip(bytes("b".repeat(100)))];
  const both = new Uint8Array([...one, ...two]);
  await assert.rejects(
    gunzip(both, limit(100_000)),
    /^Error: damaged gzip content: something follows its end; of several gzip members none is unpacked$/,
  );
});

test("damaged gzip content and a bomb are refused", async () => {
  const packed = await gzip(bytes("hello".repeat(1000)));
  await assert.rejects(gunzip(packed.slice(0, packed.length - 9), limit(100_000)), /damaged/);
  packed[12]! ^= 0xff;
  await assert.rejects(gunzip(packed, limit(100_000)), /damaged gzip content/);
  const bomb = await gzip(new Uint8Array(20_000_000));
  assert.ok(bomb.length < 100_000);
  const liar = bomb.slice();
  liar.set([10, 0, 0, 0], liar.length - 4);
  await assert.rejects(gunzip(liar, limit(1_000_000)), /damaged gzip content: its length is not/);
  await assert.rejects(
    gunzip(bomb, limit(1_000_000)),
    /unpacked larger than --max-file-size \(1000000 bytes\)/,
  );
});

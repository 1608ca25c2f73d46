/**
 * Turns an input's bytes into what the app shall read: unpacked where they are gzip, `$(VAR)` replaced. Works on bytes,
 * so that what is no text passes unharmed. Never touches the disk.
 */

/** RFC 1952, 2.3.1: the two magic bytes, and deflate, the only method there is. */
const GZIP_MAGIC = [0x1f, 0x8b, 0x08];
const [DOLLAR, OPEN, CLOSE] = [0x24, 0x28, 0x29];

/**
 * Unpacks gzip content; anything else is given back as it is.
 * @throws where the stream is damaged or has more than `sizeBytesMax` bytes unpacked
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const plain = new TextEncoder().encode("log_level: debug\n");
 * const gzip = new Blob([plain]).stream().pipeThrough(new CompressionStream("gzip"));
 * const packed = await new Response(gzip).bytes();
 * assert.deepEqual(await gunzip(packed, 1_000), plain);
 * assert.equal(await gunzip(plain, 1_000), plain); // no gzip: as it is
 * await assert.rejects(gunzip(packed, 10), /unpacked larger than --max-file-size \(10 bytes\)/);
 * ```
 */
export async function gunzip(bytes: Uint8Array, sizeBytesMax: number): Promise<Uint8Array> {
  if (GZIP_MAGIC.some((byte, i) => bytes[i] !== byte)) return bytes;
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      length += chunk.length;
      // A few kilobytes may unpack to gigabytes; leaving the loop cancels the stream.
      if (length > sizeBytesMax) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new Error(`damaged gzip content: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  if (length > sizeBytesMax) throw new Error(`unpacked larger than --max-file-size (${sizeBytesMax} bytes)`);
  return concat(chunks, length);
}

/** Expanded content, and the names that had no value. */
export interface Expanded {
  readonly bytes: Uint8Array;
  /** Each as often as it occurs, the first `UNSET_MAX` of them. */
  readonly unset: readonly string[];
  /** How many there are in all. */
  readonly unsetCount: number;
}

/** A longer name is no variable; content can hold a megabyte of letters. */
const NAME_BYTES_MAX = 256;
/** So many names without a value are kept: content can hold millions. */
const UNSET_MAX = 1000;

/**
 * Replaces `$(NAME)` by the variable's value, as Kubernetes and prometheus-config-reloader write it; NAME is letters,
 * digits and underscores. One that is not set stays as it is. What a value holds is not expanded again.
 * @throws where it has more than `sizeBytesMax` bytes expanded: a few bytes can stand for a value of 100 KiB
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const text = new TextEncoder().encode("host: $(HOST), $(NO_SUCH), $HOST\n");
 * const { bytes, unset } = expandVariables(text, (name) => name === "HOST" ? "$(X)" : undefined, 1_000);
 * assert.equal(new TextDecoder().decode(bytes), "host: $(X), $(NO_SUCH), $HOST\n"); // $(X) stays
 * assert.deepEqual(unset, ["NO_SUCH"]);
 * ```
 */
export function expandVariables(
  bytes: Uint8Array,
  valueOf: (name: string) => string | undefined,
  sizeBytesMax: number,
): Expanded {
  const chunks: Uint8Array[] = [];
  const unset: string[] = [];
  let unsetCount = 0;
  let length = bytes.length;
  let from = 0;
  for (let at = bytes.indexOf(DOLLAR); at >= 0; at = bytes.indexOf(DOLLAR, at + 1)) {
    if (bytes[at + 1] !== OPEN) continue;
    let end = at + 2;
    while (isNameByte(bytes[end]) && end - at <= NAME_BYTES_MAX + 2) end++;
    if (bytes[end] !== CLOSE || end === at + 2) continue;
    const name = String.fromCharCode(...bytes.subarray(at + 2, end));
    const value = valueOf(name);
    if (value === undefined) {
      unsetCount++;
      if (unset.length < UNSET_MAX) unset.push(name);
    } else {
      const encoded = new TextEncoder().encode(value);
      length += encoded.length - (end + 1 - at);
      if (length > sizeBytesMax) {
        throw new Error(`expanded larger than --max-file-size (${sizeBytesMax} bytes)`);
      }
      chunks.push(bytes.subarray(from, at), encoded);
      from = end + 1;
    }
    at = end;
  }
  if (chunks.length === 0) return { bytes, unset, unsetCount };
  chunks.push(bytes.subarray(from));
  return { bytes: concat(chunks, length), unset, unsetCount };
}

function isNameByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x5f;
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

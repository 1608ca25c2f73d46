/**
 * Makes of an input's bytes what the app shall read: unpacked where they are gzip, `$(VAR)` replaced, validated. Works on
 * bytes, so that what is no text passes unharmed. Never touches the disk.
 *
 * The author of the content decides what it unpacks and expands to, so both are bounded, and neither holds more than
 * its result: memory stays within the limit and 16 MiB.
 */

import type { Config, Environment } from "../config.ts";
import type { SnapshotFile } from "../model.ts";
import type { Logger } from "../ports.ts";
import { messageOf } from "../text.ts";
import { validateContent } from "./validate.ts";

/** The content itself is at fault, not the disk. */
export class InvalidContent extends Error {}

/** The bytes that the app would read; they are gone when it is disposed of. */
export interface Converted extends Disposable {
  readonly bytes: Uint8Array;
}

/**
 * Makes of a file what the app would read, and validates it. Variables count only in what is `rendered`.
 * @throws InvalidContent where the content is at fault
 */
export type Convert = (file: SnapshotFile, rendered: boolean) => Promise<Converted>;

/** Names of variables that one line of the log has, and that are told at all: the content decides how many there are. */
const NAMES_A_LINE = 20;
const NAMES_TOLD_MAX = 200;

/** Makes the conversion; it remembers which variables without a value were told. */
export function createConvert(
  config: Config,
  logger: Pick<Logger, "warn">,
  environment: Environment,
): Convert {
  const values = new Map(
    Object.entries(environment).map(([name, value]) => [name, new TextEncoder().encode(value)]),
  );
  const told = new Set<string>();

  function tellUnset(path: string, unset: ReadonlySet<string>): void {
    const variables = [...unset].filter((name) => !told.has(name)).slice(0, NAMES_A_LINE);
    if (variables.length === 0 || told.size >= NAMES_TOLD_MAX) return;
    variables.forEach((name) => told.add(name));
    const names = variables.map((name) => `$(${name})`).join(", ");
    logger.warn(`Left as they are in "${path}", since no such variable is set: ${names}`, {
      path,
      variables,
    });
  }

  return async ({ path, bytes: input }, rendered) => {
    // The reader keeps them wherever they are converted: nothing is read a second time.
    if (input === null) throw new Error(`Cannot use config file "${path}": its bytes were not kept`);
    const made = new Set<Uint8Array>();
    // The author of the content decides how much there is of it: it is not left to the collector.
    const dispose = () => made.forEach((bytes) => bytes !== input && release(bytes));
    try {
      let bytes = await gunzip(input, config);
      made.add(bytes);
      if (rendered) {
        const expanded = expandVariables(bytes, values, config, bytes !== input);
        bytes = expanded.bytes;
        made.add(bytes);
        tellUnset(path, expanded.unset);
      }
      const problem = await validateContent(path, bytes, config.validate);
      if (problem !== null) throw new Error(problem);
      return { bytes, [Symbol.dispose]: dispose };
    } catch (error) {
      dispose();
      throw new InvalidContent(`"${path}" is ${messageOf(error)}`);
    }
  };
}

/** RFC 1952, 2.3.1: the two magic bytes, and deflate, the only method there is. */
const GZIP_MAGIC = [0x1f, 0x8b, 0x08];
/** RFC 1952, 2.3.1: the last four bytes are the length unpacked, modulo 2³². */
const GZIP_LENGTH_BYTES = 4;
/** A header of ten bytes and a trailer of eight. */
const GZIP_BYTES_MIN = 18;
/** One byte of deflate stands for 1032 at most, and a piece is inflated as a whole: so for 1 MiB at most. */
const PIECE_BYTES = 1024;
const [DOLLAR, OPEN, CLOSE] = [0x24, 0x28, 0x29];

/** How large content may become. */
export type SizeLimits = Pick<Config, "maxFileSizeBytes" | "maxUnpackedBytes">;

/**
 * Unpacks gzip content, a piece at a time; anything else is given back as it is.
 * @throws where the stream is damaged or has more bytes unpacked than `limits` allow
 */
export async function gunzip(bytes: Uint8Array, limits: SizeLimits): Promise<Uint8Array> {
  if (!GZIP_MAGIC.every((byte, i) => bytes[i] === byte)) return bytes;
  if (bytes.length < GZIP_BYTES_MIN) throw new Error("damaged gzip content: it ends too early");
  const sizeBytesMax = limits.maxUnpackedBytes;
  // What is announced is allotted, so that nothing is copied; whoever announces less than comes is found out.
  const announced = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - GZIP_LENGTH_BYTES)
    .getUint32(0, true);
  if (announced > sizeBytesMax) {
    throw new Error(`${tooLarge("unpacked", limits, true)}, or damaged: it announces ${announced} bytes`);
  }
  const whole = new Uint8Array(announced);
  let length = 0;
  try {
    const packed = ReadableStream.from(piecesOf(bytes));
    for await (const chunk of packed.pipeThrough(new DecompressionStream("gzip"))) {
      // Leaving the loop cancels the stream.
      if (length + chunk.length > whole.length) {
        length = Infinity;
        break;
      }
      whole.set(chunk, length);
      length += chunk.length;
      release(chunk);
    }
  } catch (error) {
    release(whole);
    const why = messageOf(error);
    // What Deno says of bytes behind the end.
    const reason = /whole buffer/.test(why)
      ? "something follows its end; of several gzip members none is unpacked"
      : why;
    throw new Error(`damaged gzip content: ${reason}`, { cause: error });
  }
  if (length === whole.length) return whole;
  release(whole);
  throw new Error("damaged gzip content: its length is not the one that it announces");
}

/** Gives memory back at once; V8 would wait until there is tens of MiB of it. `bytes` are gone then. */
function release(bytes: Uint8Array): void {
  (bytes.buffer as ArrayBuffer).transfer(0);
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.slice(at, at + PIECE_BYTES);
}

function tooLarge(how: string, limits: SizeLimits, isUnpacked: boolean): string {
  const { maxFileSizeBytes, maxUnpackedBytes } = limits;
  return !isUnpacked || maxUnpackedBytes === maxFileSizeBytes
    ? `${how} larger than --max-file-size (${maxFileSizeBytes} bytes)`
    : `${how} larger than ${maxUnpackedBytes} bytes, the limit for packed content; --max-file-size sets another`;
}

/** A longer name is no variable; content can hold a megabyte of letters. */
const NAME_BYTES_MAX = 256;
/** So many names without a value are kept: content can hold millions. */
const UNSET_MAX = 200;

/** The values of variables as bytes, by name. */
type Values = ReadonlyMap<string, Uint8Array>;

/**
 * Replaces `$(NAME)` by the variable's value, as Kubernetes and prometheus-config-reloader write it; NAME is letters,
 * digits and underscores. One that is not set stays as it is. What a value holds is not expanded again. `unset`: names
 * without a value, `UNSET_MAX` of them at most.
 * @throws where it has more bytes expanded than `limits` allow: a few bytes can stand for a value of 100 KiB
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const [bytesOf, textOf] = [new TextEncoder(), new TextDecoder()];
 * const limits = { maxFileSizeBytes: 1_000, maxUnpackedBytes: 1_000 };
 * const values = new Map([["HOST", bytesOf.encode("$(X)")]]);
 * const { bytes, unset } = expandVariables(bytesOf.encode("host: $(HOST), $(NO_SUCH), $HOST\n"), values, limits);
 * assert.equal(textOf.decode(bytes), "host: $(X), $(NO_SUCH), $HOST\n"); // $(X) stays
 * assert.deepEqual([...unset], ["NO_SUCH"]);
 * ```
 */
export function expandVariables(
  bytes: Uint8Array,
  values: Values,
  limits: SizeLimits,
  isUnpacked = false,
): { readonly bytes: Uint8Array; readonly unset: ReadonlySet<string> } {
  const unset = new Set<string>();
  let length = bytes.length;
  let count = 0;
  // Twice through it: a list of the pieces would take a hundred times the memory of what they stand for.
  for (const { at, end, name } of variablesIn(bytes)) {
    const value = values.get(name);
    if (value !== undefined) {
      length += value.length - (end - at);
      count++;
    } else if (unset.size < UNSET_MAX) unset.add(name);
  }
  if (length > (isUnpacked ? limits.maxUnpackedBytes : limits.maxFileSizeBytes)) {
    throw new Error(tooLarge("expanded", limits, isUnpacked));
  }
  if (count === 0) return { bytes, unset };
  const whole = new Uint8Array(length);
  let [from, to] = [0, 0];
  const add = (part: Uint8Array) => {
    whole.set(part, to);
    to += part.length;
  };
  for (const { at, end, name } of variablesIn(bytes)) {
    const value = values.get(name);
    if (value === undefined) continue;
    add(bytes.subarray(from, at));
    add(value);
    from = end;
  }
  add(bytes.subarray(from));
  return { bytes: whole, unset };
}

function* variablesIn(bytes: Uint8Array): Generator<{ at: number; end: number; name: string }> {
  for (let at = bytes.indexOf(DOLLAR); at >= 0; at = bytes.indexOf(DOLLAR, at + 1)) {
    if (bytes[at + 1] !== OPEN) continue;
    const close = bytes.subarray(at + 2, at + 3 + NAME_BYTES_MAX).indexOf(CLOSE);
    const name = String.fromCharCode(...bytes.subarray(at + 2, at + 2 + Math.max(0, close)));
    if (/^\w+$/.test(name)) yield { at, end: at + 3 + close, name };
  }
}

/**
 * Bytes that come in on a connection and wait to be used. Owns the buffer of a connection; knows nothing of HTTP.
 */

/** One read of a usual answer; kept with the connection. */
const FIRST_BUFFER_BYTES = 16 * 1024;

/** Where bytes come from: `Deno.Conn` fits. null is the end of the stream. */
export interface ByteSource {
  read(into: Uint8Array): Promise<number | null>;
}

/** Bytes that arrived and were not used yet; belongs to one connection. */
export interface Intake {
  readonly source: ByteSource;
  buffer: Uint8Array<ArrayBuffer>;
  start: number;
  end: number;
  /** Bytes received since the request went out. */
  received: number;
  /** A read that was begun ahead. */
  ahead: Promise<number | null> | null;
}

/**
 * Makes the intake of a new connection.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const intake = createIntake({ read: () => Promise.resolve(null) });
 * assert.deepEqual([intake.start, intake.end, intake.received], [0, 0, 0]);
 * assert.equal(await fill(intake), false);
 * ```
 */
export function createIntake(source: ByteSource): Intake {
  return { source, buffer: new Uint8Array(FIRST_BUFFER_BYTES), start: 0, end: 0, received: 0, ahead: null };
}

/**
 * Begins the first read of an answer before its request is written, so that the answer comes a turn of the event loop
 * earlier. Only where no bytes wait.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * let reads = 0;
 * const intake = createIntake({ read: (into) => Promise.resolve(into.set([72, 105 + reads++]) ?? 2) });
 * readAhead(intake);
 * assert.equal(reads, 1); // on its way before anybody waits for it
 * assert.equal(await fill(intake), true);
 * assert.deepEqual([latin1(intake.buffer.subarray(intake.start, intake.end)), reads], ["Hi", 1]);
 * ```
 */
export function readAhead(intake: Intake): void {
  intake.start = intake.end = 0;
  intake.ahead = intake.source.read(intake.buffer);
  // Its error is for whoever fills the intake; where the write fails first, that is nobody.
  intake.ahead.catch(() => {});
}

/**
 * Reads more bytes behind those that wait; false at the end of the stream.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const intake = createIntake({ read: (into) => Promise.resolve(into.set([72, 105]) ?? 2) });
 * assert.equal(await fill(intake), true);
 * assert.equal(await fill(intake), true);
 * assert.equal(latin1(intake.buffer.subarray(intake.start, intake.end)), "HiHi");
 * ```
 */
export async function fill(intake: Intake): Promise<boolean> {
  if (intake.start === intake.end) {
    intake.start = intake.end = 0;
  } else if (intake.end === intake.buffer.length) {
    const waiting = intake.buffer.subarray(intake.start, intake.end);
    const bigger = intake.start > 0 ? intake.buffer.length : intake.buffer.length * 2;
    const buffer = new Uint8Array(bigger);
    buffer.set(waiting);
    intake.buffer = buffer;
    intake.end -= intake.start;
    intake.start = 0;
  }
  const reading = intake.ahead ?? intake.source.read(intake.buffer.subarray(intake.end));
  intake.ahead = null;
  const count = await reading;
  if (count === null) return false;
  intake.end += count;
  intake.received += count;
  return true;
}

/**
 * Bytes as text, one character a byte: a head is ASCII, and odd bytes must not throw.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(latin1(new Uint8Array([72, 105, 0xe9, 0xff])), "Hi\u00e9\u00ff");
 * ```
 */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

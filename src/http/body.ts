/** Reads the bodies of answers within bounds of memory and time. Must never read more of one than it is asked to. */

import { HttpError } from "./errors.ts";

/** The answers of the apps that are asked fit into it, but for long pages of metrics. */
const FIRST_BUFFER_BYTES = 4 * 1024;
/** A body in more pieces than these is refused: each costs a turn of the event loop, however small it is. */
const BODY_PIECES_MAX = 10_000;

/** What was read of a body. */
export interface Body {
  readonly body: Uint8Array<ArrayBuffer>;
  /** It was longer than asked for and was cut. */
  readonly truncated: boolean;
}

/**
 * Reads a body up to its limit; the rest is not read. Into one buffer that grows: a piece of one byte comes in a buffer
 * of 64 KiB otherwise, and a flood of them fills the memory.
 */
export async function readBody(
  response: Response,
  bytesMax: number,
): Promise<Body> {
  const { body, headers } = response;
  if (body === null) return { body: new Uint8Array(), truncated: false };
  // Nothing beyond its length comes in: read at once it takes 0.2 ms less, on the way to the signal.
  const length = headers.get("content-length");
  if (length !== null && Number(length) <= Math.min(FIRST_BUFFER_BYTES, bytesMax)) {
    return { body: await response.bytes(), truncated: false };
  }
  const reader = body.getReader({ mode: "byob" });
  // With one byte more than is kept, a body that is cut is told from one that just fits.
  let buffer = new ArrayBuffer(Math.min(FIRST_BUFFER_BYTES, bytesMax + 1));
  let bytes = 0;
  for (let pieces = 0; bytes <= bytesMax; pieces++) {
    if (pieces > BODY_PIECES_MAX) {
      await reader.cancel();
      throw new HttpError("protocol", `the body comes in more than ${BODY_PIECES_MAX} pieces`);
    }
    if (bytes === buffer.byteLength) buffer = buffer.transfer(Math.min(2 * bytes, bytesMax + 1));
    const { value, done } = await reader.read(new Uint8Array(buffer, bytes));
    // The reader takes the buffer over and gives it back, at the end as well.
    buffer = value?.buffer ?? new ArrayBuffer(0);
    if (done) break;
    bytes += value.length;
  }
  if (bytes <= bytesMax) return { body: new Uint8Array(buffer, 0, bytes), truncated: false };
  await reader.cancel();
  return { body: new Uint8Array(buffer, 0, bytesMax), truncated: true };
}

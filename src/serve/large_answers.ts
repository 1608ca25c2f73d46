/**
 * The bytes of large answers that clients have not taken yet. `/status` of 10,000 files has 2 MB, and a client that never
 * reads holds its answer for as long as it is connected: what may be held together is bounded here.
 */

/** Most bytes that are held for clients beside one answer. */
export const HELD_BYTES_MAX = 8 * 1024 * 1024;
/** Smaller answers are not counted: the kernel takes them at once. */
const LARGE_BYTES = 64 * 1024;
const CHUNK_BYTES = 64 * 1024;

/** The account of large answers. */
export interface LargeAnswers {
  /** Body and length in bytes of an answer; null where clients hold too much already. */
  take(text: string): { body: BodyInit; lengthBytes: number | null } | null;
  /** Whether an answer was refused since the last call. */
  tookRefusal(): boolean;
}

/** Creates an empty account. */
export function createLargeAnswers(): LargeAnswers {
  let heldBytes = 0;
  let refused = false;
  return {
    take: (text) => {
      // Deno adds the length itself where it has the whole answer.
      if (text.length < LARGE_BYTES) return { body: text, lengthBytes: null };
      if (heldBytes > HELD_BYTES_MAX) {
        refused = true;
        return null;
      }
      const bytes = new TextEncoder().encode(text);
      heldBytes += bytes.length;
      let at = 0;
      const end = () => {
        heldBytes -= bytes.length;
      };
      const body = new ReadableStream({
        pull: (controller) => {
          if (at < bytes.length) return controller.enqueue(bytes.subarray(at, at += CHUNK_BYTES));
          end();
          controller.close();
        },
        cancel: end,
      }, { highWaterMark: 0 });
      return { body, lengthBytes: bytes.length };
    },
    tookRefusal: () => {
      const was = refused;
      refused = false;
      return was;
    },
  };
}

/**
 * The way of log lines to standard error: a bounded queue and one asynchronous write at a time. A pipe that nobody reads
 * must never stop the loop: then lines are dropped and counted, and a later line tells how many. Never writes synchronously.
 */

/** Where bytes go; `Deno.stderr` is one. Resolves to the number of bytes taken. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<number>;
}

/** Takes lines without ever waiting. */
export interface LogQueue {
  /** Queues a line that ends in a newline, or drops and counts it. */
  push(line: string): void;
  /** Lines dropped since the start. */
  dropped(): number;
  /** Resolves when everything queued is written, or after `timeoutMs`: the last call of a program that ends. */
  flush(timeoutMs: number): Promise<void>;
}

/** Most text waiting at a time, in UTF-16 units: some thousand lines. A batch in flight holds as much again. */
const WAITING_LENGTH_MAX = 256 * 1024;

/**
 * Creates a queue before `sink`; `renderDrops` makes the line that tells how many were dropped.
 */
export function createLogQueue(sink: ByteSink, renderDrops: (count: number) => string): LogQueue {
  const encoder = new TextEncoder();
  let waiting = "";
  let dropped = 0;
  let droppedUntold = 0;
  let inFlight: Promise<void> | null = null;

  const writeAll = async (bytes: Uint8Array): Promise<void> => {
    let offset = 0;
    while (offset < bytes.length) offset += await sink.write(offset === 0 ? bytes : bytes.subarray(offset));
  };

  const drain = async (): Promise<void> => {
    while (waiting !== "") {
      let batch = waiting;
      waiting = "";
      let told = 0;
      if (droppedUntold > 0) {
        // After the lines that were kept and before newer ones: where the hole is.
        told = droppedUntold;
        batch += renderDrops(told);
        droppedUntold = 0;
      }
      try {
        await writeAll(encoder.encode(batch));
      } catch {
        // Closed pipe or full disk: these lines are lost, and the next ones try again.
        const lost = countLines(batch) - (told > 0 ? 1 : 0);
        dropped += lost;
        droppedUntold += lost + told;
      }
    }
    inFlight = null;
  };

  return {
    push: (line) => {
      if (waiting.length + line.length > WAITING_LENGTH_MAX) {
        dropped++;
        droppedUntold++;
        return;
      }
      waiting += line;
      inFlight ??= drain();
    },
    dropped: () => dropped,
    flush: async (timeoutMs) => {
      if (inFlight === null) return;
      const late = AbortSignal.timeout(timeoutMs);
      await Promise.race([
        inFlight,
        new Promise<void>((resolve) => late.addEventListener("abort", () => resolve(), { once: true })),
      ]);
    },
  };
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}

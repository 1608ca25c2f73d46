/** Output of child processes and of commands as lines. */

import type { WriteOut } from "../../src/ports.ts";

/** A command's writer that keeps each line, and is done with it a turn later, as a real one is. */
export function collect(lines: string[]): WriteOut {
  return async (line) => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    lines.push(line);
  };
}

/** Calls `take` with each line of `stream`, without its newline; resolves at the end of the stream. */
export async function readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    lines.forEach(take);
  }
  if (rest !== "") take(rest);
}

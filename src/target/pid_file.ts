/**
 * Reads `--pid-file`, whose writer may replace it by anything between two looks. Must never block on it (a FIFO, a
 * lease) and never read more than a line of it.
 *
 * Needs `node:fs`, since Deno's own `open` would wait for the writer of a FIFO: loaded only with the flag (60 ms of CPU).
 */

import type { TargetCode } from "../codes.ts";
import { none, type Refusal } from "./rules.ts";

/** What a PID file holds, or why it is not of use yet. */
export type PidFile =
  | { readonly kind: "pid"; readonly pid: number; readonly writtenWallMs: number }
  | Refusal;

/** A file that is missing or empty (`not-there`), or not of use: it is waited for. */
export function pidFileProblem(path: string, why: string, code: TargetCode = "pid-file"): Refusal {
  const message = `Cannot use PID file ${
    JSON.stringify(path)
  }: ${why}; waiting for the application to write it`;
  return none(code, message, true);
}

/** More than any PID with spaces around it. */
const BYTES_MAX = 64;

/** Makes the reader of the PID in the first line; spaces around it and further lines (postgres) are fine. */
export async function createPidFileReader(path: string): Promise<() => PidFile> {
  const { closeSync, constants, fstatSync, openSync, readSync } = await import("node:fs");
  const problem = (why: string, code?: TargetCode) => pidFileProblem(path, why, code);
  const parse = (fd: number): PidFile => {
    const info = fstatSync(fd);
    if (!info.isFile()) return problem(`it is ${info.isDirectory() ? "a directory" : "not a regular file"}`);
    const bytes = new Uint8Array(BYTES_MAX);
    const head = new TextDecoder().decode(bytes.subarray(0, readSync(fd, bytes)));
    const line = head.split("\n", 1)[0]!.trim();
    if (line === "") return problem("it is empty", "not-there");
    // Never what it says: its writer may have made it a link to a file that only this process can read.
    if (!/^[0-9]{1,10}$/.test(line)) return problem("its first line is no PID");
    return { kind: "pid", pid: Number(line), writtenWallMs: info.mtimeMs };
  };
  return () => {
    try {
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        return parse(fd);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code === "ENOENT") return problem("there is no such file", "not-there");
      if (code === "EACCES") return problem("permission denied");
      return problem(code === "ENXIO" ? "it is not a regular file" : message);
    }
  };
}

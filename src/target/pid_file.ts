/** Reads `--pid-file`. Must never block on it (a FIFO, a device) and never read more than a line of it. */

/** What a PID file holds. */
export type PidFile =
  | { readonly kind: "pid"; readonly pid: number; readonly writtenWallMs: number | null }
  /** Missing or empty (`not-there`), or not of use (`pid-file`): it is waited for. */
  | { readonly kind: "problem"; readonly code: "not-there" | "pid-file"; readonly message: string };

/** More than any PID with spaces around it. */
const BYTES_MAX = 64;

/**
 * The PID in the first line; spaces around it and further lines (postgres) are fine.
 */
export function readPidFile(path: string): PidFile {
  const problem = (why: string, code: "not-there" | "pid-file" = "pid-file"): PidFile => ({
    kind: "problem",
    code,
    message: `Cannot use PID file ${JSON.stringify(path)}: ${why}; waiting for the application to write it`,
  });
  try {
    // Before opening: the open itself of a FIFO would block for ever.
    const info = Deno.statSync(path);
    if (!info.isFile) return problem(`it is ${info.isDirectory ? "a directory" : "not a regular file"}`);
    const line = readHead(path).split("\n", 1)[0]!.trim();
    if (line === "") return problem("it is empty", "not-there");
    if (!/^[0-9]{1,10}$/.test(line)) {
      return problem(`its first line is ${JSON.stringify(line.slice(0, 32))} and no PID`);
    }
    return { kind: "pid", pid: Number(line), writtenWallMs: info.mtime?.getTime() ?? null };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return problem("there is no such file", "not-there");
    if (error instanceof Deno.errors.PermissionDenied) return problem("permission denied");
    return problem(error instanceof Error ? error.message : String(error));
  }
}

function readHead(path: string): string {
  const file = Deno.openSync(path);
  try {
    const bytes = new Uint8Array(BYTES_MAX);
    return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
  } finally {
    file.close();
  }
}

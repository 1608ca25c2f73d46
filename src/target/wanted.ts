/**
 * How the settings name the target: by `--pid`, the PID in a file, its name or its command line, or not at all. A PID file may
 * be replaced by anything between two looks, and command lines are written by any process of the pod as it likes: neither
 * may ever stall the loop.
 *
 * Both need Node's layer (60 ms of CPU), which is loaded only where they are asked for.
 */

import type { TargetCode } from "../codes.ts";
import type { Config } from "../config.ts";
import { none, type Refusal } from "./rules.ts";

/** How the user wants the target to be found. */
export type Wanted =
  | { readonly kind: "auto" }
  | {
    readonly kind: "pid";
    readonly pid: number;
    /** The setting, for texts: `--pid 1`, `--pid-file /run/app.pid`. */
    readonly asked: string;
    /** It may say another one soon. */
    readonly again: boolean;
    /** When the PID file was written; missing without one. */
    readonly writtenWallMs?: number;
  }
  /** Either may be null, not both; where both are given both must hold. */
  | { readonly kind: "match"; readonly name: string | null; readonly cmdline: CmdlinePattern | null };

/** Makes the reader of what the settings say now. */
export async function createWanted(
  { pid, pidFile, processName, processCmdline }: Config,
): Promise<() => Wanted | Refusal> {
  if (pidFile !== null) return await createPidFileReader(pidFile);
  const cmdline = processCmdline && await createCmdlinePattern(processCmdline);
  const wanted: Wanted = processName !== null || cmdline !== null
    ? { kind: "match", name: processName, cmdline }
    : pid === "auto"
    ? { kind: "auto" }
    : { kind: "pid", pid, asked: `--pid ${pid}`, again: false };
  return () => wanted;
}

/** A file that is missing or empty (`not-there`), or not of use: it is waited for. */
export function pidFileProblem(path: string, why: string, code: TargetCode = "pid-file"): Refusal {
  const shown = JSON.stringify(path);
  return none(code, `Cannot use PID file ${shown}: ${why}; waiting for the application to write it`, true);
}

/** More than any PID with spaces around it. */
const PID_BYTES_MAX = 64;

/**
 * Makes the reader of the PID in the first line; spaces around it and further lines (postgres) are fine. Deno's own `open` would
 * wait for the writer of a FIFO.
 */
export async function createPidFileReader(path: string): Promise<() => Wanted | Refusal> {
  const { closeSync, constants, fstatSync, openSync, readSync } = await import("node:fs");
  const problem = (why: string, code?: TargetCode) => pidFileProblem(path, why, code);
  const parse = (fd: number): Wanted | Refusal => {
    const info = fstatSync(fd);
    if (!info.isFile()) return problem(`it is ${info.isDirectory() ? "a directory" : "not a regular file"}`);
    const bytes = new Uint8Array(PID_BYTES_MAX);
    const head = new TextDecoder().decode(bytes.subarray(0, readSync(fd, bytes)));
    const line = head.split("\n", 1)[0]!.trim();
    if (line === "") return problem("it is empty", "not-there");
    // Never what it says: its writer may have made it a link to a file that only this process can read.
    if (!/^[0-9]{1,10}$/.test(line)) return problem("its first line is no PID");
    const asked = `--pid-file ${path}`;
    return { kind: "pid", pid: Number(line), asked, again: true, writtenWallMs: info.mtimeMs };
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

/** The expression of `--process-cmdline`, ready to be tried. */
export interface CmdlinePattern {
  /** As the user wrote it, for texts. */
  readonly source: string;
  /** For each command line whether it matches; one that takes too long does not. */
  match(lines: readonly string[]): boolean[];
}

/** Longest text that is tried, in characters: of a longer command line its begin and its end. */
const LENGTH_MAX = 4096;
/** Real expressions take microseconds. The rest is a hostile command line, and no match. */
const ONE_LINE_MS = 20;
/** For all processes together; what is left then is no match. */
const ALL_LINES_MS = 200;

/** Goes on where the last call ended, so that one hostile line costs its own time and no other line. */
const LOOP = "for (let i = results.length; i < lines.length; i++) results.push(pattern.test(lines[i]))";

/**
 * Makes the pattern. V8 alone cannot end an expression that runs; `node:vm` can. It is needed where the expression repeats
 * anything: on 4 KiB `[^b]*b` takes 0.4 s, and `(a|a)*b` for ever.
 */
export async function createCmdlinePattern(expression: RegExp): Promise<CmdlinePattern> {
  const source = expression.source.replaceAll("\\/", "/");
  // Flags such as `g` keep a place between two calls.
  const pattern = new RegExp(expression.source, expression.flags.replace(/[gy]/g, ""));
  if (!/[*+?{]/.test(source)) {
    return { source, match: (lines) => lines.map((line) => pattern.test(shorten(line))) };
  }
  const { createContext, Script } = await import("node:vm");
  const script = new Script(LOOP);
  return {
    source,
    match: (lines) => {
      const results: boolean[] = [];
      const context = createContext({ pattern, results, lines: lines.map(shorten) });
      for (let leftMs = ALL_LINES_MS; results.length < lines.length; leftMs -= ONE_LINE_MS) {
        if (leftMs <= 0) return [...results, ...lines.slice(results.length).map(() => false)];
        try {
          script.runInContext(context, { timeout: ONE_LINE_MS });
        } catch {
          results.push(false);
        }
      }
      return results;
    },
  };
}

/** The begin and the end, on a line each, so that `^` and `$` keep their meaning. */
function shorten(line: string): string {
  const half = LENGTH_MAX / 2;
  return line.length <= LENGTH_MAX ? line : `${line.slice(0, half - 1)}\n${line.slice(-half)}`;
}

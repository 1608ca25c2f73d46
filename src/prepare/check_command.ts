/**
 * Runs `--check-command`: without a shell, killed at its deadline, and with what it wrote last as the reason. Knows
 * nothing of what it checks.
 */

import type { Environment } from "../config.ts";
import type { PrepareResult } from "../ports.ts";
import { formatMs, plainReason } from "../text.ts";

/** How long the pipes may stay open after the command's end: a grandchild may hold them for ever. */
const PIPE_MS_MAX = 100;
/** So many lines become part of a reason (contract), each cut at so many characters. */
const LINES_MAX = 10;
const LINE_CHARS_MAX = 300;

/**
 * Exit code 0 is `ok`, any other end by itself `invalid`. A command that could not be run, or was still running after
 * `timeoutMs`, says nothing about the content: `failed`. `environment` is all that the command gets of it.
 */
export async function runCheckCommand(
  [program, ...args]: readonly string[],
  timeoutMs: number,
  stopped: AbortSignal,
  environment: Environment,
): Promise<PrepareResult> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program!, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      clearEnv: true,
      env: environment,
      // A process group of its own: what a script has started goes with it, or each retry would leave one behind.
      detached: true,
    }).spawn();
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "no such program" : plainReason(error);
    return { kind: "failed", reason: `Cannot run check command "${program}": ${why}` };
  }
  const tail = readTail([child.stdout, child.stderr]);
  let killed = "";
  const kill = (why: string) => {
    killed ||= why;
    try {
      Deno.kill(-child.pid, "SIGKILL");
    } catch {
      // It has just ended.
    }
  };
  const late = `still running after ${formatMs(timeoutMs)} (--http-timeout)`;
  const timer = setTimeout(() => kill(late), timeoutMs);
  const stop = () => kill("stopped");
  if (stopped.aborted) stop();
  stopped.addEventListener("abort", stop, { once: true });
  const { success, code, signal } = await child.status;
  clearTimeout(timer);
  stopped.removeEventListener("abort", stop);
  const words = await tail.end();
  const why = words === "" ? "" : `: ${words}`;
  if (killed !== "") return { kind: "failed", reason: `check command "${program}" killed: ${killed}${why}` };
  if (success) return { kind: "ok" };
  const how = signal === null ? `exit code ${code}` : `ended by ${signal}`;
  // It may pass later: a server that it asks may have been away.
  return { kind: "invalid", reason: `check command "${program}": ${how}${why}`, retry: true };
}

/** Reads the pipes and keeps the last lines only, in the order of their ends. */
function readTail(streams: readonly ReadableStream<Uint8Array>[]): { end(): Promise<string> } {
  const lines: string[] = [];
  const late = new AbortController();
  const keep = (line: string) => {
    if (line.trim() !== "") lines.push(line.trim().slice(0, LINE_CHARS_MAX));
    if (lines.length > LINES_MAX) lines.shift();
  };
  const read = async (stream: ReadableStream<Uint8Array>) => {
    let begun = "";
    try {
      const texts = stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>, late);
      for await (const text of texts) {
        const parts = (begun + text).split("\n");
        begun = parts.pop()!.slice(0, LINE_CHARS_MAX + 1);
        parts.forEach(keep);
      }
    } catch {
      // It was held open for too long: what came until then counts.
    }
    keep(begun);
  };
  const done = Promise.all(streams.map(read));
  return {
    end: async () => {
      const timer = setTimeout(() => late.abort(), PIPE_MS_MAX);
      await done;
      clearTimeout(timer);
      return lines.join(" | ");
    },
  };
}

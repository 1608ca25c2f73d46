/**
 * Runs `--check-command`: without a shell, killed at its deadline, and with what it wrote last as the reason. Knows
 * nothing of what it checks.
 */

import { formatMs, messageOf } from "../text.ts";

/** How a check ended: `PrepareResult`, as far as a command can tell. */
export type CheckResult =
  | { readonly kind: "ok" }
  /** It may pass later: a server that it asks may have been away. */
  | { readonly kind: "invalid"; readonly reason: string; readonly retry: true }
  | { readonly kind: "failed"; readonly reason: string };

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
  command: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
  environment: Readonly<Record<string, string>>,
): Promise<CheckResult> {
  const [program, ...args] = command;
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
    return { kind: "failed", reason: `Cannot run check command "${program}": ${whyNotRun(error)}` };
  }
  const tail = createTail([child.stdout, child.stderr]);
  let cut = "";
  const kill = (why: string) => {
    cut ||= why;
    try {
      Deno.kill(-child.pid, "SIGKILL");
    } catch {
      // It has just ended.
    }
  };
  const timer = setTimeout(
    () => kill(`still running after ${formatMs(timeoutMs)} (--http-timeout)`),
    timeoutMs,
  );
  const abort = () => kill("stopped");
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  const status = await child.status;
  clearTimeout(timer);
  signal.removeEventListener("abort", abort);
  const words = await tail.end();
  const withWords = (text: string) => words === "" ? text : `${text}: ${words}`;
  if (cut !== "") return { kind: "failed", reason: withWords(`check command "${program}" killed: ${cut}`) };
  if (status.success) return { kind: "ok" };
  const how = status.signal === null ? `exit code ${status.code}` : `ended by ${status.signal}`;
  return { kind: "invalid", reason: withWords(`check command "${program}": ${how}`), retry: true };
}

function whyNotRun(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such program";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return messageOf(error);
}

/** Reads the pipes and keeps the last lines only, in the order of their ends. */
function createTail(streams: readonly ReadableStream<Uint8Array>[]): { end(): Promise<string> } {
  const lines: string[] = [];
  const keep = (text: string) => {
    const line = text.trim();
    if (line === "") return;
    lines.push(line.slice(0, LINE_CHARS_MAX));
    if (lines.length > LINES_MAX) lines.shift();
  };
  const readers = streams.map((stream) => stream.getReader());
  const read = async (reader: ReadableStreamDefaultReader<Uint8Array>) => {
    const decoder = new TextDecoder();
    let begun = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const [first = "", ...others] = decoder.decode(part.value, { stream: true }).split("\n");
      begun = (begun + first).slice(0, LINE_CHARS_MAX + 1);
      for (const next of others) {
        keep(begun);
        begun = next.slice(0, LINE_CHARS_MAX + 1);
      }
    }
    keep(begun);
  };
  const done = Promise.all(readers.map((reader) => read(reader).catch(() => {})));
  return {
    end: async () => {
      const timer = setTimeout(
        () => readers.forEach((reader) => void reader.cancel().catch(() => {})),
        PIPE_MS_MAX,
      );
      await done;
      clearTimeout(timer);
      return lines.join(" | ");
    },
  };
}

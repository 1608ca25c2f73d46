/**
 * Runs `--check-command`: without a shell, with an end in sight, and with its last words as the reason. Knows nothing of
 * what it checks.
 */

import { formatMs } from "../text.ts";

/** How a check ended: `PrepareResult`, as far as a command can tell. */
export type CheckResult =
  | { readonly kind: "ok" }
  | { readonly kind: "invalid" | "failed"; readonly reason: string };

/** As much as is kept of what the command writes: its last words. */
const TAIL_BYTES = 4096;
/** How long the pipes may stay open after the command's end: a grandchild may hold them for ever. */
const PIPE_MS_MAX = 100;
/** What becomes part of a reason. */
const REASON_CHARS_MAX = 300;

/**
 * Exit code 0 is `ok`, any other end by itself `invalid`. A command that could not be run, or was still running after
 * `timeoutMs`, says nothing about the content: `failed`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { signal } = new AbortController();
 * const said = await runCheckCommand(["sh", "-c", "echo line 3: no such word >&2; exit 1"], 5_000, signal);
 * assert.ok(said.kind === "invalid");
 * assert.equal(said.reason, 'check command "sh": exit code 1: line 3: no such word');
 * const missing = await runCheckCommand(["/no/such/program"], 5_000, signal);
 * assert.equal(missing.kind, "failed"); // says nothing about the content
 * ```
 */
export async function runCheckCommand(
  command: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CheckResult> {
  const [program, ...args] = command;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound
      ? "no such program"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied"
      : error instanceof Error
      ? error.message
      : String(error);
    return { kind: "failed", reason: `Cannot run check command "${program}": ${why}` };
  }
  const [out, err] = [createTail(child.stdout), createTail(child.stderr)];
  let cut = "";
  const kill = (why: string) => {
    cut ||= why;
    try {
      child.kill("SIGKILL");
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
  const [lastError, lastOutput] = await Promise.all([err.end(), out.end()]);
  const words = lastError || lastOutput;
  if (cut !== "") return { kind: "failed", reason: `check command "${program}" killed: ${cut}` };
  if (status.success) return { kind: "ok" };
  const how = status.signal === null ? `exit code ${status.code}` : `ended by ${status.signal}`;
  return { kind: "invalid", reason: `check command "${program}": ${how}${words === "" ? "" : `: ${words}`}` };
}

/** Reads a pipe and keeps the last bytes only; `end` gives the last line that is not empty. */
function createTail(stream: ReadableStream<Uint8Array>): { end(): Promise<string> } {
  const reader = stream.getReader();
  let tail = new Uint8Array(0);
  const read = async () => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const both = new Uint8Array(tail.length + part.value.length);
      both.set(tail);
      both.set(part.value, tail.length);
      tail = both.slice(-TAIL_BYTES);
    }
  };
  const done = read().catch(() => {});
  return {
    end: async () => {
      const timer = setTimeout(() => void reader.cancel().catch(() => {}), PIPE_MS_MAX);
      await done;
      clearTimeout(timer);
      const lines = new TextDecoder().decode(tail).split("\n").map((text) => text.trim());
      return (lines.findLast((text) => text !== "") ?? "").slice(0, REASON_CHARS_MAX);
    },
  };
}

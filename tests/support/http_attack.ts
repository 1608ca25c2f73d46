// deno-lint-ignore-file no-console -- what it prints is its output
/**
 * The own server in a process of its own, and clients that mean it no good. Run as a program this file is the server; it
 * also does some work like a reload all the time (reads files, counts), so that an attack that stops that is seen.
 */

import { V8_FLAGS } from "../../scripts/v8_flags.ts";
import { createClock } from "../../src/clock.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { createTestConfig } from "./config.ts";
import { createHandler } from "../../src/serve/handler.ts";
import { startServer } from "../../src/serve/server.ts";
import { sampleOf } from "./exposition.ts";
import { goodView } from "./status_view.ts";

/** A running server. */
export interface Victim extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** Sends the child one of its commands: `hog` takes all descriptors, `release` gives them back. */
  command(text: "hog" | "release"): Promise<void>;
  /** Work done and work failed so far, as its metrics tell. */
  work(): Promise<{ done: number; failed: number }>;
  /** Anonymous memory in MiB. */
  anonymousMiB(): number;
}

/** Starts a server, with at most `descriptors` where given. */
export async function startVictim({ descriptors }: { descriptors?: number } = {}): Promise<Victim> {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  // The flags of the compiled product: V8 collects its garbage sooner.
  const v8 = `--v8-flags=${V8_FLAGS.join(",")}`;
  const args = ["run", v8, "-A", "--no-check", "--config", config, new URL(import.meta.url).pathname];
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      `${descriptors ? `ulimit -n ${descriptors}; ` : ""}exec "$0" "$@"`,
      Deno.execPath(),
      ...args,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const stdin = child.stdin.getWriter();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number((await lines.read()).value);
  if (!(port > 0)) throw new Error("The server did not start");
  const answered = async (text: string) => {
    await stdin.write(new TextEncoder().encode(`${text}\n`));
    await lines.read();
  };
  return {
    port,
    pid: child.pid,
    command: answered,
    work: async () => {
      const { body } = await get(port, "/metrics");
      return {
        done: sampleOf(body, "config_reload_successes_total"),
        failed: sampleOf(body, "config_reload_failures_total"),
      };
    },
    anonymousMiB: () => {
      const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
      return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1024;
    },
    [Symbol.asyncDispose]: async () => {
      await stdin.close();
      await lines.cancel();
      await child.status;
    },
  };
}

/** Connects to a port of this machine. */
export function connect(port: number): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port });
}

/** Sends text as it is. Errors are the caller's. */
export async function send(conn: Deno.Conn, text: string): Promise<void> {
  const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** Reads until the other side closes (or resets). */
export async function readAll(conn: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder("latin1");
  const buffer = new Uint8Array(65536);
  let text = "";
  try {
    for (;;) {
      const count = await conn.read(buffer);
      if (count === null) return text;
      text += decoder.decode(buffer.subarray(0, count));
    }
  } catch {
    return text;
  }
}

/** Sends text on a new connection and reads to the end. */
export async function exchange(port: number, text: string): Promise<string> {
  const conn = await connect(port);
  try {
    await send(conn, text).catch(() => {});
    return await readAll(conn);
  } finally {
    conn.close();
  }
}

/** One plain request on a connection of its own. */
export async function get(
  port: number,
  path: string,
  headers = "",
): Promise<{ status: number; body: string }> {
  const text = await exchange(port, `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}Connection: close\r\n\r\n`);
  const [head = "", ...body] = text.split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), body: body.join("\r\n\r\n") };
}

/** Opens `count` connections, some at a time; those that are refused are left out. */
export async function openMany(port: number, count: number): Promise<Deno.TcpConn[]> {
  const open: Deno.TcpConn[] = [];
  while (count > 0) {
    const batch = await Promise.allSettled(Array.from({ length: Math.min(100, count) }, () => connect(port)));
    for (const result of batch) if (result.status === "fulfilled") open.push(result.value);
    count -= batch.length;
  }
  return open;
}

/** Closes what is still open. */
export function closeAll(conns: readonly Deno.Conn[]): void {
  for (const conn of conns) {
    try {
      conn.close();
    } catch {
      // Closed by the test.
    }
  }
}

async function runServer(): Promise<void> {
  // First of all, as in main.ts: Deno panics where it sets up signals without a descriptor left.
  Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
  const clock = createClock();
  const metrics = createMetrics(createTestConfig());
  const log = (message: string) => Deno.env.get("VICTIM_LOG") ? console.error(message) : undefined;
  const logger = { debug: log, info: log, warn: log, error: log };
  const handler = createHandler({
    clock,
    metrics: metrics.render,
    health: () => ({ ok: true }),
    ready: () => ({ ok: true }),
    status: () => goodView(),
    auth: null,
    onUnread: () => server.shed("they ask and do not read the answers"),
    onError: (path, error) => log(`${path} ${error}`),
  });
  const config = createTestConfig({ intervalMs: 60_000 });
  const server = startServer(config, handler, logger, clock);
  const { port } = server;
  const parent = Deno.ppid;
  setInterval(async () => {
    // The end of its input tells, too, but not where another process has inherited the other side of the pipe.
    if (Deno.ppid !== parent) Deno.exit(1);
    metrics.attemptStarted();
    try {
      await Deno.readFile("/proc/self/stat");
      for (const _ of Deno.readDirSync("/proc")) { /* as a look for the target does */ }
      metrics.attemptEnded("success", { durationMs: 1, wallMs: 1 });
    } catch (error) {
      log(String(error));
      metrics.attemptEnded("failed", { durationMs: 1, wallMs: 1 });
    }
  }, 20);
  console.log(port);
  let hogs: Deno.FsFile[] = [];
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    if (text === "hog\n") {
      try {
        for (;;) hogs.push(Deno.openSync("/dev/null"));
      } catch { /* full */ }
    } else {
      hogs.forEach((file) => file.close());
      hogs = [];
    }
    console.log("done");
  }
  await server.stop();
  Deno.exit(0);
}

if (import.meta.main) await runServer();

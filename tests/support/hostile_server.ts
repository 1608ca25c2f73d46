/**
 * A server that answers in every wrong way, on a raw socket: the path says how. It must never decide whether a
 * client coped; tests do.
 */

/** What is sent, and what comes then: the next request, the end, silence until the client ends it, or ever more. */
interface Answer {
  readonly sends: readonly (string | (() => Promise<Uint8Array>))[];
  readonly then: "keep" | "close" | "hang" | {
    readonly repeat: (i: number) => string;
    readonly pauseMs: number;
  };
}

const OK = "HTTP/1.1 200 OK\r\n";
const keep = (...sends: Answer["sends"]): Answer => ({ sends, then: "keep" });
const close = (...sends: Answer["sends"]): Answer => ({ sends, then: "close" });
const endless = (begin: string, repeat: (i: number) => string, pauseMs = 0): Answer => ({
  sends: [begin],
  then: { repeat, pauseMs },
});
const json = (text: string) => keep(`${OK}content-length: ${text.length}\r\n\r\n${text}`);

/** An AMP status, healthy and unchanged for ever: what a stale 200 looks like. */
const STALE_STATUS = '{"healthy":true,"status":"success","attempts":3}';

/** By path without the slash. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  "no-answer": { sends: [], then: "hang" },
  "half-head": close(`${OK}content-le`),
  "half-body": close(`${OK}content-length: 500\r\n\r\n${STALE_STATUS}`),
  "half-chunk": close(`${OK}transfer-encoding: chunked\r\n\r\nff\r\n${STALE_STATUS}`),
  "drip": endless(`${OK}content-length: ${STALE_STATUS.length}\r\n\r\n`, () => "x", 1000),
  "huge": endless(`${OK}content-length: ${300 * 1024 * 1024}\r\n\r\n`, () => "x".repeat(65536)),
  "endless-head": endless(OK, (i) => `x-${i}: ${"y".repeat(1000)}\r\n`),
  "huge-headers": close(`${OK}x: ${"y".repeat(1024 * 1024)}\r\ncontent-length: 0\r\n\r\n`),
  "endless-interim": endless("", () => "HTTP/1.1 100 Continue\r\n\r\n"),
  "gzip-bomb": close(`${OK}content-type: application/json\r\ncontent-encoding: gzip\r\n\r\n`, gzipBomb),
  "chunk-flood": endless(`${OK}transfer-encoding: chunked\r\n\r\n`, () => "1\r\nx\r\n".repeat(5_000)),
  "redirect": keep(
    "HTTP/1.1 302 Found\r\nlocation: http://me:secret@127.0.0.1:9/?token=secret\r\ncontent-length: 0\r\n\r\n",
  ),
  // Sent by the kernel: see `serve`.
  "reset": close(),
  "close": close(),
  "no-content": keep("HTTP/1.1 204 No Content\r\n\r\n"),
  "truncated-json": json(STALE_STATUS.slice(0, 30)),
  "wrong-types": json('{"healthy":"yes","status":7,"attempts":"3","restart_required":5,"data":[]}'),
  "deep-json": json(`{"a":${"[".repeat(400_000)}`),
  "wide-json": json(`{"status":"success","attempts":3,"a":[${"{},".repeat(300_000)}0]}`),
  // An overlong and a lone byte inside the status text.
  "bad-utf8": keep(
    `${OK}content-length: ${STALE_STATUS.length + 2}\r\n\r\n${STALE_STATUS.slice(0, 30)}`,
    () => Promise.resolve(Uint8Array.of(0xc0, 0xff)),
    STALE_STATUS.slice(30),
  ),
  "bad-chunk": close(`${OK}transfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n`),
  "bad-length": close(`${OK}content-length: -5\r\n\r\nabc`),
  "greeting": keep("-ERR unknown command 'GET'\r\n"),
  "empty": keep(`${OK}content-length: 0\r\n\r\n`),
};

/** Everything that `createHostileServer` serves, as path without the slash. */
export const HOSTILE_KINDS: readonly string[] = Object.keys(ANSWERS);
/** Those that only a deadline ends; all others end by themselves, however slow the machine is. */
export const TIMES_OUT: ReadonlySet<string> = new Set([
  "no-answer",
  "drip",
  "endless-interim",
  "chunk-flood",
]);

/** The server. */
export interface HostileServer {
  readonly port: number;
  /** Requests that came in, as their first lines. */
  readonly requests: readonly string[];
  url(kind: string): string;
  /** Closes the port and every connection. */
  close(): Promise<void>;
}

/** Starts it on a port of 127.0.0.1 (0: a free one). `/stale` answers STALE_STATUS. */
export function createHostileServer(port = 0): HostileServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const requests: string[] = [];
  const open = new Set<Deno.Conn>();
  const running: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      open.add(conn);
      running.push(
        serve(conn, requests).catch(() => {}).finally(() => {
          open.delete(conn);
          try {
            conn.close();
          } catch { /* the test closed it */ }
        }),
      );
    }
  })();
  const address = listener.addr as Deno.NetAddr;
  return {
    port: address.port,
    requests,
    url: (kind) => `http://127.0.0.1:${address.port}/${kind}`,
    close: async () => {
      listener.close();
      for (const conn of open) {
        open.delete(conn);
        try {
          conn.close();
        } catch { /* closed already */ }
      }
      await accepting.catch(() => {});
      await Promise.all(running);
    },
  };
}

async function serve(conn: Deno.Conn, requests: string[]): Promise<void> {
  const bytes = new Uint8Array(16);
  for (let text = "";;) {
    const count = await conn.read(bytes);
    if (count === null) return;
    text += new TextDecoder().decode(bytes.subarray(0, count));
    // Closing with a part of the request unread is what makes Linux send a reset.
    if (text.startsWith("GET /reset")) return void requests.push("GET /reset");
    if (!text.includes("\r\n\r\n")) continue;
    const line = text.split("\r\n", 1)[0]!;
    requests.push(line);
    text = "";
    const path = line.split(" ")[1]!.replace(/^.*\//, "");
    if (await answer(conn, path)) return;
  }
}

/** Answers; true where the connection ends with it. */
async function answer(conn: Deno.Conn, path: string): Promise<boolean> {
  const { sends, then } = path === "stale" ? json(STALE_STATUS) : ANSWERS[path] ?? close();
  const send = async (part: string | Uint8Array) => {
    const bytes = typeof part === "string" ? new TextEncoder().encode(part) : part;
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  };
  for (const part of sends) await send(typeof part === "string" ? part : await part());
  if (then === "hang") { while ((await conn.read(new Uint8Array(1024))) !== null) { /* nothing is said */ } }
  if (typeof then === "string") return then !== "keep";
  // Until the client goes away.
  for (let i = 0;; i++) {
    await send(then.repeat(i));
    if (then.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, then.pauseMs));
  }
}

/** 200 MB of zeros, packed into 200 KB: a gzip file may have several members (RFC 1952, 2.2). */
async function gzipBomb(): Promise<Uint8Array> {
  const zeros = new Blob([new Uint8Array(1024 * 1024)]);
  const member = await new Response(zeros.stream().pipeThrough(new CompressionStream("gzip"))).bytes();
  const bomb = new Uint8Array(200 * member.length);
  for (let i = 0; i < 200; i++) bomb.set(member, i * member.length);
  return bomb;
}

/**
 * A server that answers in every wrong way, on a raw socket: the path says how. It must never decide whether a
 * client coped; tests do.
 */

/** Everything that `createHostileServer` serves, as path without the slash. */
export const HOSTILE_KINDS = [
  "no-answer",
  "half-head",
  "half-body",
  "half-chunk",
  "drip",
  "huge",
  "endless-head",
  "huge-headers",
  "endless-interim",
  "gzip-bomb",
  "chunk-flood",
  "redirect",
  "reset",
  "close",
  "no-content",
  "truncated-json",
  "wrong-types",
  "deep-json",
  "wide-json",
  "bad-utf8",
  "bad-chunk",
  "bad-length",
  "greeting",
  "empty",
] as const;
/** Those that only a deadline ends; all others end by themselves, however slow the machine is. */
export const TIMES_OUT: ReadonlySet<string> = new Set([
  "no-answer",
  "drip",
  "endless-interim",
  "chunk-flood",
]);

export type HostileKind = typeof HOSTILE_KINDS[number];

/** The server. */
export interface HostileServer {
  readonly port: number;
  /** Requests that came in, as their first lines. */
  readonly requests: readonly string[];
  url(kind: string): string;
  /** Closes the port and every connection. */
  close(): Promise<void>;
}

/** An AMP status, healthy and unchanged for ever: what a stale 200 looks like. */
const STALE_STATUS = '{"healthy":true,"status":"success","attempts":3}';

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
  const send = (text: string) => sendAll(conn, new TextEncoder().encode(text));
  const json = (text: string) =>
    send(`HTTP/1.1 200 OK\r\ncontent-length: ${byteLength(text)}\r\n\r\n${text}`);
  switch (path as HostileKind | "stale") {
    case "stale":
      await json(STALE_STATUS);
      return false;
    case "no-answer":
      return await forever(conn);
    case "half-head":
      await send("HTTP/1.1 200 OK\r\ncontent-le");
      return true;
    case "half-body":
      await send(`HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n${STALE_STATUS}`);
      return true;
    case "half-chunk":
      await send(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n${STALE_STATUS}`);
      return true;
    case "drip":
      await send(`HTTP/1.1 200 OK\r\ncontent-length: ${STALE_STATUS.length}\r\n\r\n`);
      return await repeat(conn, () => "x", 1000);
    case "huge":
      await send(`HTTP/1.1 200 OK\r\ncontent-length: ${300 * 1024 * 1024}\r\n\r\n`);
      return await repeat(conn, () => "x".repeat(65536), 0);
    case "endless-head":
      await send("HTTP/1.1 200 OK\r\n");
      return await repeat(conn, (i) => `x-${i}: ${"y".repeat(1000)}\r\n`, 0);
    case "huge-headers":
      await send(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(1024 * 1024)}\r\ncontent-length: 0\r\n\r\n`);
      return true;
    case "endless-interim":
      return await repeat(conn, () => "HTTP/1.1 100 Continue\r\n\r\n", 0);
    case "gzip-bomb":
      await send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\r\n");
      await sendAll(conn, await gzipBomb());
      return true;
    case "chunk-flood":
      await send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      return await repeat(conn, () => "1\r\nx\r\n".repeat(5_000), 0);
    case "bad-utf8":
      await send(`HTTP/1.1 200 OK\r\ncontent-length: ${STALE_STATUS.length + 2}\r\n\r\n`);
      // An overlong and a lone byte inside the status text.
      await sendAll(conn, Uint8Array.from([...STALE_STATUS.slice(0, 30)].map((c) => c.charCodeAt(0))));
      await sendAll(conn, Uint8Array.from([0xc0, 0xff]));
      await send(STALE_STATUS.slice(30));
      return false;
    case "redirect":
      await send(
        "HTTP/1.1 302 Found\r\nlocation: http://me:secret@127.0.0.1:9/?token=secret\r\ncontent-length: 0\r\n\r\n",
      );
      return false;
    default:
      return await answerMore(path, send, json);
  }
}

/** The kinds that need no loop. */
async function answerMore(
  path: string,
  send: (text: string) => Promise<void>,
  json: (text: string) => Promise<void>,
): Promise<boolean> {
  switch (path as HostileKind) {
    case "no-content":
      await send("HTTP/1.1 204 No Content\r\n\r\n");
      return false;
    case "truncated-json":
      await json(STALE_STATUS.slice(0, 30));
      return false;
    case "wrong-types":
      await json('{"healthy":"yes","status":7,"attempts":"3","restart_required":5,"data":[]}');
      return false;
    case "deep-json":
      await json(`{"a":${"[".repeat(400_000)}`);
      return false;
    case "wide-json":
      await json(`{"status":"success","attempts":3,"a":[${"{},".repeat(300_000)}0]}`);
      return false;
    case "bad-chunk":
      await send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n");
      return true;
    case "bad-length":
      await send("HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nabc");
      return true;
    case "greeting":
      await send("-ERR unknown command 'GET'\r\n");
      return false;
    case "empty":
      await send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
      return false;
    default:
      // `close`: nothing is said at all.
      return true;
  }
}

/** Sends until the client goes away; true, so that the connection then ends. */
async function repeat(conn: Deno.Conn, part: (i: number) => string, pauseMs: number): Promise<boolean> {
  for (let i = 0;; i++) {
    await sendAll(conn, new TextEncoder().encode(part(i)));
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Keeps the connection open until the client closes it. */
async function forever(conn: Deno.Conn): Promise<boolean> {
  while ((await conn.read(new Uint8Array(1024))) !== null) { /* nothing is said */ }
  return true;
}

async function sendAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** 200 MB of zeros, packed into 200 KB: a gzip file may have several members (RFC 1952, 2.2). */
async function gzipBomb(): Promise<Uint8Array> {
  const zeros = new Blob([new Uint8Array(1024 * 1024)]);
  const member = await new Response(zeros.stream().pipeThrough(new CompressionStream("gzip"))).bytes();
  const bomb = new Uint8Array(200 * member.length);
  for (let i = 0; i < 200; i++) bomb.set(member, i * member.length);
  return bomb;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** What `fetch` is asked for, and the table of ports: what Deno's `fetch` refuses, no more and no less. */

import assert from "node:assert/strict";
import { parseDestination, refusedPortOf } from "../../src/http/urls.ts";
import { test } from "../support/strict.ts";

test("the ports of the table are those that fetch refuses", async () => {
  // Nothing is sent: all others fail at a socket that is not there.
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path: "/no/such/socket" } });
  const isRefused = async (port: number) => {
    const init: RequestInit & { client: Deno.HttpClient } = { client };
    const error: Error = await fetch(`http://127.0.0.1:${port}/`, init).then(
      () => assert.fail(),
      (error) => error,
    );
    return error.message.includes("blocked");
  };
  // The standard's highest is 10080.
  for (const port of [...Array(10_200).keys(), 32_768, 65_535]) {
    const url = `http://127.0.0.1:${port}/`;
    assert.equal(refusedPortOf(url) !== null, await isRefused(port), url);
  }
  assert.equal(refusedPortOf("https://[::1]:6697/x?y=1"), 6697);
  assert.equal(refusedPortOf("http://localhost/"), null);
  assert.equal(refusedPortOf("https://localhost/"), null);
});

test("what follows a unix socket is a path, whatever it looks like", () => {
  for (const path of ["/", "//", "//host/x", "///x", "/%", "/:/a@b"]) {
    const { url, socket, authorization } = parseDestination(`unix:/run/a.sock:${path}`);
    assert.deepEqual([url, socket, authorization], [`http://localhost${path}`, "/run/a.sock", null]);
  }
});

/** Unread answers, counted on a list as the kernel writes it and on real sockets. */

import assert from "node:assert/strict";
import { countUnread } from "../../src/serve/client_limit.ts";
import { testInDir } from "../support/in_dir.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";

testInDir(
  "open connections of the port with 32 KiB or more count, wherever in the list they are",
  async (dir) => {
    const row = (port: string, state: string, queue: string) =>
      ` 0: 0100007F:${port} 0100007F:A000 ${state} ${queue}:00000000 00:00000000 00000000 0 0 5001 1`.padEnd(
        127,
      );
    const open = [row("1F90", "01", "00008000"), row("1F90", "08", "00260000")];
    const others = [
      row("1F90", "01", "00007FFF"), // delivered soon
      row("1F91", "01", "00008000"), // another port
      row("1F90", "04", "00008000"), // closed here
      row("1F90", "0A", "00008000"), // listens
    ];
    const closed = Array.from({ length: 1022 }, () => row("1F90", "06", "00000000"));
    await Deno.writeTextFile(`${dir}/tcp`, [...others, ...closed, ...open, ""].join("\n"));
    assert.equal(countUnread(8080, dir), 2);
    await Deno.writeTextFile(`${dir}/tcp6`, [...open, ""].join("\n"));
    assert.equal(countUnread(8080, dir), 4);
  },
);

test("a real client that does not read, until the server closes the connection", async () => {
  for (const hostname of ["127.0.0.1", "::1"]) {
    using listener = Deno.listen({ hostname, port: 0 });
    const { port } = listener.addr;
    using _client = await Deno.connect({ hostname, port });
    const conn = await listener.accept();
    const writing = conn.write(new Uint8Array(64 * 1024 * 1024)).catch(() => {});
    await until("the unread answer", () => countUnread(port) === 1);
    conn.close();
    await writing;
    assert.equal(countUnread(port), 0);
  }
});

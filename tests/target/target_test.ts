import assert from "node:assert/strict";
import type { Target } from "../../src/model.ts";
import { createProcReader, type ProcReader } from "../../src/proc/reader.ts";
import { createTargetPort } from "../../src/target/target.ts";
import { createTestConfig } from "../support/config.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { test } from "../support/strict.ts";
import { statOf, targetOf } from "./fake_table.ts";

/** How PID 7 is looked for by a sidecar that knows `previous`: kept as it was, or in a table of all processes. */
async function lookUp(
  previous: Target,
  {
    comm = "amp",
    url = "http://localhost:8080/",
    pid = "auto",
    ageMs = 60_000,
    caught = 1,
    startTicks = 107,
  }: {
    comm?: string;
    url?: string;
    pid?: "auto" | 7;
    ageMs?: number;
    caught?: number;
    startTicks?: number;
  } = {},
) {
  const reads: string[] = [];
  const reader: ProcReader = {
    ...createProcReader("/nonexistent"),
    self: () => Deno.pid,
    pids: () => {
      reads.push("all");
      return [7];
    },
    stat: (pid) => statOf({ pid, comm, startTicks, caught }),
    status: () => ({ tgid: 7, uid: 1000 }),
  };
  const clock = createFakeClock();
  await clock.advance(ageMs);
  const port = await createTargetPort(createTestConfig({ reloadUrl: url, pid }), { clock, reader });
  const found = port.resolve(previous);
  return reads.length > 0 || found.kind !== "target" || found.target !== previous ? "looked for" : "kept";
}

test("the target of before is kept without a table while exactly it lives and has its handler", async () => {
  const cases = {
    "as it was": [await lookUp(targetOf(7)), "kept"],
    "another start": [await lookUp(targetOf(7), { startTicks: 108 }), "looked for"],
    "another name": [await lookUp(targetOf(7, { comm: "other" })), "looked for"],
    // exec keeps PID, start time and perhaps the name.
    "its handler is gone": [await lookUp(targetOf(7), { caught: 0 }), "looked for"],
    "it had none": [await lookUp(targetOf(7, { handled: false })), "looked for"],
    // It may be the runtime under an unknown name.
    "it is young": [await lookUp(targetOf(7), { ageMs: 4_900 }), "looked for"],
    // Then a child of it may be meant by now.
    "it only starts others": [await lookUp(targetOf(7, { comm: "sh" }), { comm: "sh" }), "looked for"],
    "no URL on this host": [await lookUp(targetOf(7), { url: "http://10.1.2.3/" }), "looked for"],
    "named by its number, without a URL on this host": [
      await lookUp(targetOf(7), { pid: 7, url: "http://10.1.2.3/" }),
      "kept",
    ],
    "another number is named": [await lookUp(targetOf(8), { pid: 7 }), "looked for"],
  };
  for (const [name, [got, want]] of Object.entries(cases)) assert.equal(got, want, name);
});

test("PID 1 of a whole machine is refused also where it is named, since it is no app's", async () => {
  const reader: ProcReader = {
    ...createProcReader("/nonexistent"),
    self: () => Deno.pid,
    pids: () => [1, 2, Deno.pid],
    stat: (pid) => statOf({ pid, comm: pid === 1 ? "systemd" : "other", kernelThread: pid === 2, caught: 1 }),
    status: (pid) => ({ tgid: pid, uid: 0 }),
  };
  const port = await createTargetPort(createTestConfig({ pid: 1 }), { clock: createFakeClock(), reader });
  const found = port.resolve(null);
  assert.equal(found.kind === "none" && found.code, "host-init", JSON.stringify(found));
});

test("the status URL's port, where its host is this machine", async () => {
  const own = Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && address !== "127.0.0.1"
  );
  const cases: readonly (readonly [url: string, port: number | null])[] = [
    ["https://localhost/", 443],
    ["http://127.0.0.2/x", 80],
    ["http://[::1]:8080/", 8080],
    ["http://0.0.0.0:81/", 81],
    ["http://192.0.2.1/", null],
    ["http://app.example/", null],
    ["unix:/run/app.sock:/status", null],
    ...(own ? [[`http://${own.address}:82/`, 82] as const] : []),
  ];
  for (const [reloadUrl, port] of cases) {
    const asked: number[] = [];
    const reader: ProcReader = {
      ...createProcReader("/nonexistent"),
      self: () => Deno.pid,
      pids: () => [Deno.pid, 7],
      stat: (pid) => statOf({ pid }),
      status: (pid) => ({ tgid: pid, uid: 0 }),
      cgroup: (pid) => `${pid}`,
      listening: (port) => (asked.push(port), new Set()),
    };
    (await createTargetPort(createTestConfig({ reloadUrl }), { clock: createFakeClock(), reader })).resolve(
      null,
    );
    assert.equal(asked[0] ?? null, port, reloadUrl);
  }
});

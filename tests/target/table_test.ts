import assert from "node:assert/strict";
import { createProcReader, type ProcReader } from "../../src/proc/reader.ts";
import { readTable } from "../../src/target/table.ts";
import { test } from "../support/strict.ts";
import { statOf } from "./fake_table.ts";

/** A /proc of this process and PID 7, whose parts a test can change. */
function world(more: Partial<ProcReader> = {}) {
  const app = {
    comm: "amp",
    startTicks: 100,
    argv: ["amp"],
    cgroup: "0::/../x",
    mountId: "7",
    stat: true as boolean,
  };
  const reads = { argv: 0, cgroup: 0, stat: 0 };
  const reader: ProcReader = {
    ...createProcReader("/nonexistent"),
    self: () => Deno.pid,
    pids: () => [Deno.pid, 7],
    stat: (pid) => {
      reads.stat++;
      if (pid === Deno.pid) return statOf({ pid, comm: "deno", startTicks: 200 });
      return app.stat ? statOf({ pid: 7, comm: app.comm, startTicks: app.startTicks }) : null;
    },
    argv: (pid) => {
      reads.argv++;
      return pid === 7 ? app.argv : ["deno"];
    },
    cgroup: (pid) => {
      reads.cgroup++;
      return pid === 7 ? app.cgroup : "0::/";
    },
    mountId: (pid) => pid === 7 ? app.mountId : "1",
    uptimeMs: () => 10_000,
    ...more,
  };
  return { app, reads, reader, look: () => readTable(reader, 5000) };
}

test("table: each value is read once for a table, and afresh for the next", () => {
  const { app, reads, look } = world();
  const table = look();
  for (let round = 1; round <= 3; round++) assert.deepEqual(table.argv(7), ["amp"]);
  assert.notEqual(table.container(7), table.container(Deno.pid));
  assert.deepEqual([reads.stat, reads.argv], [2, 1]);
  // exec keeps PID and start time.
  Object.assign(app, { comm: "other", argv: ["other", "-x"], cgroup: "0::/../y" });
  assert.deepEqual(look().argv(7), ["other", "-x"]);
  assert.match(look().container(7), /y/);
  app.stat = false;
  assert.equal(look().processes.has(7), false);
});

test("table: containers by ID; by path and mounts where there is none; apart where nothing can be read", () => {
  const id = "ab".repeat(32);
  const key = (cgroup: string, mountId: string) => {
    const { app, look } = world();
    Object.assign(app, { cgroup, mountId });
    const table = look();
    return [table.container(7), table.container(Deno.pid)];
  };
  assert.equal(key(`0::/../${id}`, "9")[0], key(`0::/../${id}/init.scope`, "8")[0]);
  const [app, own] = key("0::/", "9");
  assert.notEqual(app, own, "one path, other mounts");
  const [inside, same] = key("0::/", "1");
  assert.equal(inside, same, "one path, one mount namespace");
  assert.equal(key("", "")[0], "pid 7");
});

test("table: the age of a process, also where /proc/uptime is a container's own", () => {
  const age = (uptimeMs: number | null) => {
    const { look } = world({ uptimeMs: () => uptimeMs });
    const table = look();
    return table.ageMs(table.processes.get(7)!);
  };
  assert.equal(age(10_000), 9_000);
  // This process started at 2,000 ms and runs for 5,000: an uptime of 3,000 cannot be the machine's.
  assert.equal(age(3_000), 6_000);
  assert.equal(age(null), 6_000);
});

test("table: another namespace's /proc is refused with what to do", () => {
  for (const seen of [null, Deno.pid + 1]) {
    assert.throws(
      () => world({ self: () => seen }).look(),
      /belongs to another process namespace; mount the container's own \/proc/,
    );
  }
});

test("table: hidepid, by entries without content or by the mount's options", () => {
  assert.equal(world().look().isHidden(), false);
  const { reader } = world();
  const stat = (pid: number) => pid === 7 ? "hidden" : reader.stat(pid);
  assert.equal(world({ stat }).look().isHidden(), true);
  for (
    const [option, hidden] of [
      ["hidepid=2", true],
      ["hidepid=invisible", true],
      ["hidepid=ptraceable", true],
      ["hidepid=0", false],
      ["", false],
    ] as const
  ) {
    const mountinfo = () => `24 1 0:22 / /proc rw,relatime - proc proc rw${option && "," + option}\n`;
    assert.equal(world({ mountinfo }).look().isHidden(), hidden, option);
  }
});

test("table: the other sockets of a port are asked for only where the first is not the one", () => {
  const asked: boolean[] = [];
  const table = world({
    listening: (
      _,
      isOneEnough,
    ) => (asked.push(isOneEnough), new Set(isOneEnough ? ["socket:[7]"] : ["socket:[7]", "socket:[8]"])),
    descriptors: function* (pid) {
      yield `socket:[${pid}]`;
    },
  }).look();
  assert.deepEqual([table.isListening(8080), table.listens(7, 8080), asked], [true, true, [true]]);
  assert.deepEqual([table.listens(8, 8080), table.listens(9, 8080), asked], [true, false, [true, false]]);
});

test("table: of processes with many descriptors the first are looked at, 5,000 a container", () => {
  let looked = 0;
  const table = world({
    listening: () => new Set(["socket:[7]"]),
    cgroup: (pid) => (pid < 10_000 ? "ab" : "cd").repeat(32),
    descriptors: function* (pid) {
      for (let fd = 0; fd < 20_000; fd++) {
        looked++;
        yield fd === pid % 10_000 ? "socket:[7]" : "/dev/null";
      }
    },
  }).look();
  assert.equal(table.listens(11_500, 8080), false);
  assert.equal(looked, 1_000, "once, however many sockets listen there");
  for (let pid = 11_501; pid < 20_000; pid++) assert.equal(table.listens(pid, 8080), false);
  assert.equal(looked, 5_000);
  assert.equal(table.listens(7, 8080), true, "who opens many hides nobody else");
  assert.equal(looked, 5_008, "no further than the socket");
});

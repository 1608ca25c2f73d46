import assert from "node:assert/strict";
import fc from "fast-check";
import { hasSignal, SIGNALS } from "../../src/linux.ts";
import {
  containerId,
  displayName,
  firstMountId,
  parseCmdline,
  parseEnviron,
  parseListeners,
  parseStat,
  parseStatus,
  type ProcessStat,
  programName,
} from "../../src/proc/process.ts";
import { createProcReader } from "../../src/proc/reader.ts";
import { testInDir } from "../support/in_dir.ts";
import { test } from "../support/strict.ts";

const REST = "S 1 7 7 0 -1 4194560 77 0 0 0 250 50 0 0 20 0 1 0 62217 3133440 388 18446744073709551615 " +
  "1 1 0 0 0 0 65536 4096 16387 0 0";

test("parseStat: whatever a process calls itself", () => {
  for (const comm of ["amp", "a) R 1 (b", ")", "(", ") S 1", "a b", "", "x\ny", "ä"]) {
    assert.deepEqual(parseStat(`7 (${comm}) ${REST}\n`), {
      pid: 7,
      comm,
      state: "S",
      ppid: 1,
      kernelThread: false,
      cpuTicks: 300,
      startTicks: 62217,
      blocked: 65536,
      ignored: 4096,
      caught: 16387,
    });
  }
  fc.assert(fc.property(fc.string({ maxLength: 15, unit: "binary-ascii" }), (comm) => {
    assert.equal(parseStat(`7 (${comm}) ${REST}`).comm, comm);
    assert.equal(parseStat(`7 (${comm}) ${REST}`).startTicks, 62217);
  }));
  assert.equal(parseStat(`2 (kthreadd) ${REST.replace("4194560", "2129984")}`).kernelThread, true);
  // On its way to its end: PF_EXITING is set, whatever the letter says; a zombie stays one.
  const ending = REST.replace("4194560", "4194564");
  assert.equal(parseStat(`7 (amp) ${ending}`).state, "X");
  assert.equal(parseStat(`7 (amp) ${ending.replace("S", "Z")}`).state, "Z");
  const withThreads = ending.replace("S", "Z").split(" ").with(17, "3").join(" ");
  assert.equal(
    parseStat(`7 (amp) ${withThreads}`).state,
    "X",
    "its other threads still hold what it had open",
  );
  for (const text of ["", "7", "7 (amp", "7 (amp) S 1", `amp) ${REST}`]) {
    assert.throws(() => parseStat(text), /\/proc\/PID\/stat/);
  }
});

test("parseStatus: user and thread group; a name fakes nothing", () => {
  const text = "Name:\tx\\nUid:\\t0\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nPid:\t9\n" +
    "Uid:\t1000\t1001\t1002\t1003\n";
  assert.deepEqual(parseStatus(text), { tgid: 7, uid: 1000 });
  assert.throws(() => parseStatus("Name:\tx\n"), /no line "Tgid"/);
});

test("the numbers of signals are the kernel's, through a real handler for each", () => {
  const reader = createProcReader();
  const masks = () => reader.stat(Deno.pid) as ProcessStat;
  for (const name of SIGNALS) {
    // Some cannot be handled, and others not through Deno.
    if (/KILL|STOP|ILL|FPE|SEGV/.test(name)) continue;
    const listener = () => {};
    Deno.addSignalListener(name, listener);
    assert.ok(hasSignal(masks().caught, name), name);
    Deno.removeSignalListener(name, listener);
  }
  assert.ok(!hasSignal(masks().caught, "SIGKILL"));
  assert.ok(hasSignal(masks().ignored, "SIGPIPE") !== hasSignal(masks().caught, "SIGPIPE"));
  assert.equal(SIGNALS.indexOf("SIGSYS"), 30);
});

test("parseCmdline and the name for people", () => {
  assert.deepEqual(parseCmdline("/bin/amp\0-c\0\0x\0"), ["/bin/amp", "-c", "", "x"]);
  assert.deepEqual(parseCmdline("nginx: master process nginx\0\0\0\0"), ["nginx: master process nginx"]);
  assert.deepEqual(parseCmdline(""), []);
  assert.equal(programName("/usr/sbin/nginx"), "nginx");
  assert.equal(programName("nginx: master process /usr/sbin/nginx -g daemon off;"), "nginx");
  const stat = parseStat(`7 (cut-at-fifteen-) ${REST}`);
  assert.equal(displayName(stat, ["/bin/cut-at-fifteen-bytes"]), "cut-at-fifteen-bytes");
  assert.equal(displayName(stat, []), "cut-at-fifteen-");
  assert.equal(displayName(stat, ["/bin/"]), "cut-at-fifteen-");
  // A title may hold arguments, and as much of them as its owner likes: names are logged and shown.
  assert.equal(displayName(stat, ["npm exec x --password=hunter2"]), "cut-at-fifteen-");
  assert.equal(displayName(stat, ["x".repeat(65)]), "cut-at-fifteen-");
  assert.equal(displayName(stat, ["x".repeat(64)]), "x".repeat(64));
});

test("parseEnviron: what follows the first = is the value", () => {
  assert.deepEqual(parseEnviron("A=1\0B=\0C=x=y\0noise\0=z\0A=2\0"), { A: "1", B: "", C: "x=y" });
  assert.deepEqual(parseEnviron(""), {});
});

test("containerId: how each runtime writes it", () => {
  const id = "0123456789abcdef".repeat(4);
  const other = "f".repeat(64);
  for (
    const cgroup of [
      `0::/../${id}`,
      `0::/../cri-containerd-${id}.scope`,
      `0::/../../pod1/crio-${id}.scope`,
      `0::/../libpod-${id}.scope/container`,
      `0::/../${id}/init.scope`,
      `9:name=systemd:/kubepods/besteffort/pod3/${id}\n8:pids:/kubepods/besteffort/pod3/${id}\n0::/\n`,
      `0::/kubepods.slice/kubepods-pod1.slice/docker-${id}.scope (deleted)`,
      // kind: the node is a container itself
      `1:cpu:/docker/${other}/kubelet/kubepods/pod1/${id}\n`,
    ]
  ) {
    assert.equal(containerId(cgroup), id, cgroup);
  }
  for (
    const cgroup of [
      "",
      "0::/",
      "0::/..",
      "0::/user.slice",
      `0::/${"a".repeat(65)}x`.replace(/a{65}/, "a".repeat(63)),
    ]
  ) {
    assert.equal(containerId(cgroup), null, cgroup);
  }
  assert.equal(firstMountId("613 505 254:0 / / rw - ext4 /dev/vda rw\n614 …"), "613");
  assert.equal(firstMountId(""), "");
});

test("parseListeners: listening sockets of the port only", () => {
  const text =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 5001 1 0 100 0 0 10 0\n" +
    "   1: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000  1000        0 5002 1 0 20 4 30 10 -1\n" +
    "   2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 5003 1 0 100 0 0 10 0\n";
  assert.deepEqual(parseListeners(text, 8080), ["5001"]);
  assert.deepEqual(parseListeners(text, 8081), ["5003"]);
  assert.deepEqual(parseListeners("", 8080), []);
});

test("reader: a real listening socket is found by its port and process", () => {
  const reader = createProcReader();
  for (const hostname of ["127.0.0.1", "::1"]) {
    const listener = Deno.listen({ hostname, port: 0 });
    try {
      const { port } = listener.addr as Deno.NetAddr;
      const sockets = reader.listening(port, true);
      assert.equal(sockets.size, 1);
      assert.equal(reader.descriptors(Deno.pid).filter((one) => sockets.has(one)).toArray().length, 1);
    } finally {
      listener.close();
    }
  }
});

testInDir("reader: connections, which come after the listening sockets, are not read", async (dir) => {
  const row = (i: number, state: string) =>
    `${i}: 0100007F:1F90 00000000:0000 ${state} 0:0 00:0 0 0 0 ${5000 + i} 1 0`.padEnd(149) + "\n";
  const rows = [row(0, "0A"), row(1, "0A"), ...Array.from({ length: 100 }, (_, i) => row(i + 2, "01"))];
  await Deno.mkdir(`${dir}/net`);
  // What stands at the end would be found by who reads that far.
  await Deno.writeTextFile(`${dir}/net/tcp`, `${"sl".padEnd(149)}\n${rows.join("")}${row(102, "0A")}`);
  assert.deepEqual([...createProcReader(dir).listening(8080, false)], ["socket:[5000]", "socket:[5001]"]);
});

test("reader: the age of a process by its start time and the uptime", async () => {
  const reader = createProcReader();
  const beforeMs = performance.now();
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  try {
    const stat = reader.stat(child.pid);
    assert.ok(stat !== null && stat !== "hidden");
    const ageMs = reader.uptimeMs()! - stat.startTicks * 10;
    // Both are cut to 10 ms.
    assert.ok(ageMs >= -10 && ageMs <= performance.now() - beforeMs + 20, `${ageMs} ms`);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});

test("reader: itself, and nobody", () => {
  const reader = createProcReader();
  const stat = reader.stat(Deno.pid);
  assert.ok(stat !== null && stat !== "hidden");
  assert.equal(stat.pid, Deno.pid);
  assert.equal(reader.self(), Deno.pid);
  assert.ok(reader.pids().includes(Deno.pid));
  assert.equal(reader.status(Deno.pid)!.uid, Deno.uid());
  assert.ok(reader.argv(Deno.pid).length > 1);
  assert.ok(reader.threads(Deno.pid).length > 1);
  assert.equal(reader.exe(Deno.pid), Deno.execPath());
  const nobody = 4194304;
  assert.deepEqual(
    [
      reader.stat(nobody),
      reader.status(nobody),
      reader.argv(nobody),
      reader.cgroup(nobody),
      reader.mountId(nobody),
    ],
    [null, null, [], "", ""],
  );
  assert.deepEqual([
    reader.exe(nobody),
    reader.threads(nobody),
    [...reader.descriptors(nobody)],
    reader.mountinfo(nobody),
  ], [null, [], [], null]);
  assert.throws(() => createProcReader("/nonexistent").pids());
});

test("reader: a command line of 4 to 64 KiB is whole, a longer one is cut there", async () => {
  const reader = createProcReader();
  for (const [bytes, wanted] of [[10_000, 10_000], [50_000, 50_000], [110_000, null]] as const) {
    const child = new Deno.Command("sh", { args: ["-c", "read x", "x".repeat(bytes)], stdin: "piped" })
      .spawn();
    try {
      // Until its exec it has our own command line.
      let argv: string[] = [];
      for (const endMs = performance.now() + 20_000; !argv[0]?.endsWith("sh");) {
        assert.ok(performance.now() < endMs, `${argv[0]}`);
        argv = reader.argv(child.pid);
      }
      if (wanted !== null) assert.equal(argv[3]!.length, wanted);
      else assert.equal(argv.join("\0").length, 64 * 1024);
    } finally {
      await child.stdin.close();
      await child.status;
    }
  }
});

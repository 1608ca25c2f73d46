/** Real processes in a real PID namespace: who is chosen, who is signalled, and above all who is not. */

import assert from "node:assert/strict";
import type { Resolution, Target } from "../../../src/model.ts";
import { type Pod, type PodProcess, type PodSidecar, podTest } from "../../support/pod_namespace.ts";
import { createKubeletVolume, VOLUMES } from "../../support/kubelet.ts";
import { until } from "../../support/poll.ts";

const USER = 65532;

function targetOf(resolution: Resolution): Target {
  assert.equal(resolution.kind, "target", JSON.stringify(resolution));
  return (resolution as Resolution & { kind: "target" }).target;
}

function codeOf(resolution: Resolution): string {
  return resolution.kind === "none" ? resolution.code : resolution.kind;
}

/** No target: why, in which words, and whether it is looked for again. */
function isRefused(resolution: Resolution, code: string, says = /./, again?: boolean): void {
  assert.ok(resolution.kind === "none", JSON.stringify(resolution));
  assert.equal(resolution.code, code, JSON.stringify(resolution));
  assert.match(resolution.message, says);
  if (again !== undefined) assert.equal(resolution.again, again);
}

/** Resolves, sends, and waits until exactly `who` has got it. */
async function signalReaches(
  sidecar: PodSidecar,
  who: PodProcess,
  others: readonly PodProcess[] = [],
  config = {},
) {
  const before = who.hups().length;
  const target = targetOf((await sidecar.resolve(config)).resolution);
  assert.equal(target.pid, who.pid);
  const sent = await sidecar.send(target, config);
  assert.equal(sent.kind, "sent", JSON.stringify(sent));
  await until("the signal", () => who.hups().length === before + 1);
  assert.deepEqual(
    new Set(who.hups()),
    new Set([who.pid]),
    "the process itself got it and none of its children",
  );
  for (const other of others) {
    assert.ok(other.isAlive() && other.hups().length === 0, "a bystander was signalled");
  }
  return target;
}

podTest("pod: the app among pause, execs and probes", {}, async (pod) => {
  const app = await pod.start({ program: "amp", args: ["handle", "workers=2", "threads=3"], uid: USER });
  const probe = await pod.start({ program: "probe", args: ["handle"], container: "amp", uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  const shell = await pod.start({ program: "shell", args: ["handle"], container: "sidecar", uid: USER });
  const { trace } = await sidecar.resolve();
  assert.deepEqual(trace, {
    1: "the pause process",
    [app.pid]: "the first process of a container",
    [probe.pid]: "started beside a container's first process (exec, probe or hook)",
    [sidecar.pid]: "config-reloader itself",
    [shell.pid]: "started beside a container's first process (exec, probe or hook)",
  });
  const target = await signalReaches(sidecar, app, [probe, shell]);
  assert.deepEqual([target.name, target.comm, target.uid, target.handled], ["amp", "amp", USER, true]);
  // On the clock of the sidecar, which starts at 0 with it.
  assert.ok(Math.abs(target.startedAtMs) < 30_000, `started at ${target.startedAtMs} ms`);
  const view = await sidecar.preflight();
  assert.deepEqual(view, {
    ok: true,
    code: "ready",
    message: `PID ${app.pid} (amp, user ${USER}): the only application container in the pod`,
    pid: app.pid,
    name: "amp",
    uid: USER,
    handled: true,
    permitted: true,
  });
  assert.equal(await sidecar.isAlive(target), true);
  assert.equal(await sidecar.isAlive({ ...target, startTicks: target.startTicks + 1 }), false);
  // A thread has an entry of its own in /proc that no listing shows, and signals to it arrive.
  const threads = await sidecar.resolve({ pid: app.pid + 4 });
  isRefused(threads.resolution, "bad-pid");
  assert.match((threads.resolution as { message: string }).message, new RegExp(`thread of PID ${app.pid}`));
  for (const name of ["amp", "probe"]) {
    const named = await sidecar.resolve({ processName: name });
    assert.equal(codeOf(named.resolution), name === "amp" ? "target" : "not-there");
  }
});

podTest(
  "pod: without container IDs in the cgroups the mounts tell containers apart",
  { cgroups: false },
  async (pod) => {
    const app = await pod.start({ program: "amp", args: ["handle"], uid: USER });
    const probe = await pod.start({ program: "probe", args: ["handle"], container: "amp", uid: USER });
    const sidecar = await pod.sidecar({ uid: USER });
    await signalReaches(sidecar, app, [probe]);
  },
);

podTest("pod: two applications, told apart by the port of --reload-url", {}, async (pod) => {
  const app = await pod.start({ program: "amp", args: ["handle", "listen"], uid: USER });
  const other = await pod.start({ program: "envoy", args: ["handle", "listen"], uid: USER });
  const third = await pod.start({ program: "logger", args: ["handle"], uid: 1337 });
  const sidecar = await pod.sidecar({ uid: USER });
  const { resolution } = await sidecar.resolve({ reloadUrl: "http://localhost:1/" });
  assert.equal(codeOf(resolution), "ambiguous");
  const { message } = resolution as { message: string };
  for (
    const part of [
      `PID ${app.pid} (amp, user ${USER})`,
      `PID ${third.pid} (logger, user 1337)`,
      "--process-name",
    ]
  ) {
    assert.ok(message.includes(part), message);
  }
  assert.equal(
    codeOf((await sidecar.resolve({ reloadUrl: `http://10.1.2.3:${app.port}/` })).resolution),
    "ambiguous",
  );
  const config = { reloadUrl: `http://127.0.0.1:${app.port}/health/reload` };
  await signalReaches(sidecar, app, [other, third], config);
  await signalReaches(sidecar, other, [third], { reloadUrl: `http://localhost:${other.port}/` });
  assert.equal(app.hups().length, 1);
  // The app goes, and only bystanders are left: the last one left is not the application for that.
  third.kill("SIGKILL");
  app.kill("SIGKILL");
  await Promise.all([app.ended, third.ended]);
  const left = await sidecar.resolve(config);
  isRefused(left.resolution, "not-there");
});

podTest("pod: pause with the app's user is never signalled", { pause: { uid: USER } }, async (pod) => {
  const sidecar = await pod.sidecar({ uid: USER });
  assert.equal(codeOf((await sidecar.resolve()).resolution), "not-there");
  for (const config of [{ pid: 1 }, { processName: "pause" }, { processCmdline: "pause" }]) {
    const { resolution } = await sidecar.resolve({ ...config, allowUnhandledSignal: true });
    isRefused(resolution, "pause", /--process-name/);
  }
});

podTest("pod: PID 1 is the app with docker run --pid=container:app", { pause: null }, async (pod) => {
  const app = await pod.start({ program: "amp", args: ["handle"], uid: USER });
  const probe = await pod.start({ program: "probe", args: ["handle"], container: "amp", uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  assert.equal(app.pid, 1);
  await signalReaches(sidecar, app, [probe]);
  await signalReaches(sidecar, app, [probe], { pid: 1 });
});

/** Plain inits, each with how it is given the command. */
const INITS: readonly [program: string, command: (amp: string) => string[]][] = [
  ["dumb-init", (amp) => [amp, "handle", "listen"]],
  ["catatonit", (amp) => ["--", amp, "handle", "listen"]],
  // The shell waits for it.
  ["tini", (amp) => ["-s", "--", "/bin/sh", "-c", `${amp} handle listen workers=1; true`]],
];
for (const [program, command] of INITS) {
  podTest(`pod: ${program} is looked through`, {}, async (pod) => {
    const path = await needsProgram(`/usr/bin/${program}`, program);
    const args = command(await pod.install("amp"));
    const app = await pod.start({ program: path, args, container: "amp", uid: USER });
    const sidecar = await pod.sidecar({ uid: USER });
    const target = await signalReaches(sidecar, app);
    assert.match(target.reason, new RegExp(`started by ${program} \\(PID \\d+\\)`));
    await signalReaches(sidecar, app, [], { reloadUrl: `http://localhost:${app.port}/` });
    await signalReaches(sidecar, app, [], { processCmdline: "amp handle" });
  });
}

podTest("pod: a script that traps the signal gets it itself", {}, async (pod) => {
  const script = `trap 'echo HUP $$' HUP; echo ready $$ 0; while :; do sleep 0.05; done`;
  const shell = await pod.start({ program: "/bin/sh", args: ["-c", script], container: "amp", uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  await signalReaches(sidecar, shell);
});

podTest("pod: by name and command line, the root of a tree", {}, async (pod) => {
  const nginx = await pod.start({
    program: "nginx",
    args: ["handle", "workers=3", "-g", "daemon off;"],
    uid: USER,
  });
  const long = await pod.start({ program: "prometheus-config-reader", args: ["handle"], uid: USER });
  const tricky = await pod.start({ program: "tricky", args: ["handle", "comm=a) R 1 (b"], uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  const others = [long, tricky];
  await signalReaches(sidecar, nginx, others, { processName: "nginx" });
  await signalReaches(sidecar, nginx, others, { processCmdline: "nginx .*daemon off" });
  await signalReaches(sidecar, long, [tricky], { processName: "prometheus-config-reader" });
  const target = await signalReaches(sidecar, tricky, [], { processName: "a) R 1 (b" });
  assert.equal(target.comm, "a) R 1 (b");
  assert.equal(
    codeOf((await sidecar.resolve({ processName: "prometheus-conf" })).resolution),
    "target",
    "comm, as ps shows it",
  );
  assert.equal(codeOf((await sidecar.resolve({ processCmdline: "handle" })).resolution), "ambiguous");
  assert.equal(codeOf((await sidecar.resolve({ processName: "deno" })).resolution), "not-there");
});

podTest("pod: a zombie is nobody, and nobody takes its place", {}, async (pod) => {
  const app = await pod.start({ program: "amp", args: ["handle", "listen"], uid: USER });
  const probe = await pod.start({ program: "probe", args: ["handle"], container: "amp", uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  const config = { reloadUrl: `http://localhost:${app.port}/` };
  const target = targetOf((await sidecar.resolve(config)).resolution);
  await app.becomeZombie();
  const { resolution } = await sidecar.resolve(config, target);
  isRefused(resolution, "not-there", /./, true);
  assert.equal(codeOf((await sidecar.resolve({ pid: app.pid })).resolution), "not-there");
  assert.equal(await sidecar.isAlive(target), false);
  const sent = await sidecar.send(target);
  assert.equal(sent.kind === "not-sent" && sent.code, "not-there");
  assert.ok(probe.isAlive() && probe.hups().length === 0);
});

podTest("pod: what an exec left behind never takes the place of an app that ended", {}, async (pod) => {
  const sidecar = await pod.sidecar({ uid: USER });
  const app = await pod.start({ program: "amp", args: ["handle", "listen"], uid: USER });
  const before = await pod.start({ program: "before", args: ["handle"], container: "amp", uid: USER });
  const config = { reloadUrl: `http://localhost:${app.port}/` };
  assert.equal(targetOf((await sidecar.resolve(config)).resolution).pid, app.pid);
  assert.equal(codeOf((await sidecar.resolve({ processName: "before" })).resolution), "not-there");
  app.kill("SIGKILL");
  await app.ended;
  // A runtime ends it within some 30 ms. Until then it is the oldest of its container, and does not listen.
  const { resolution } = await sidecar.resolve(config);
  isRefused(resolution, "not-there", /./, true);
  before.kill("SIGKILL");
  await before.ended;
  const again = await pod.start({ program: "amp2", args: ["handle", "listen"], container: "amp", uid: USER });
  await signalReaches(sidecar, again, [], { reloadUrl: `http://localhost:${again.port}/` });
});

/** A service directory for runit and s6 with one service that runs the program. */
async function makeServices(pod: Pod, command: string): Promise<string> {
  const dir = `${pod.dir}/services`;
  await Deno.mkdir(`${dir}/app`, { recursive: true });
  await Deno.writeTextFile(`${dir}/app/run`, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  for (const path of [dir, `${dir}/app`]) await Deno.chmod(path, 0o777);
  return dir;
}

async function needsProgram(path: string, debianPackage: string): Promise<string> {
  await Deno.stat(path).catch(() => assert.fail(`This test needs ${path} (Debian: ${debianPackage})`));
  return path;
}

/** Arguments for supervisord with one program, and one beside it. */
async function makeSupervisordArgs(pod: Pod, command: string): Promise<string[]> {
  const [file, helper] = [`${pod.dir}/supervisord.conf`, await pod.install("helper")];
  const quiet = "logfile=/dev/null\nlogfile_maxbytes=0\n";
  await Deno.writeTextFile(
    file,
    `[supervisord]\nnodaemon=true\nuser=root\npidfile=${pod.dir}/supervisord.pid\n${quiet}` +
      `[program:app]\ncommand=${command}\nstdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\n` +
      `[program:helper]\ncommand=${helper} handle\nstdout_logfile=/dev/null\n`,
  );
  return ["-c", file];
}

/** Supervisors, with the user as whom they run, and the arguments with which they run a command. */
const SUPERVISORS: readonly [string, string, number, (pod: Pod, command: string) => Promise<string[]>][] = [
  ["runsvdir", "runit", USER, async (pod, command) => [await makeServices(pod, `exec ${command}`)]],
  ["s6-svscan", "s6", USER, async (pod, command) => [await makeServices(pod, `exec ${command}`)]],
  ["supervisord", "supervisor", 0, makeSupervisordArgs],
];
for (const [program, debianPackage, uid, argsOf] of SUPERVISORS) {
  podTest(`pod: below ${program} the process that listens is signalled`, {}, async (pod) => {
    const path = await needsProgram(`/usr/bin/${program}`, debianPackage);
    const args = await argsOf(pod, `${await pod.install("amp")} handle listen`);
    const app = await pod.start({ program: path, args, container: "app", uid });
    const sidecar = await pod.sidecar({ uid });
    const target = await signalReaches(sidecar, app, [], {
      reloadUrl: `http://localhost:${app.port}/-/reload`,
    });
    assert.match(target.reason, new RegExp(`started by ${program} \\(PID \\d+\\)`));
    // The port tells nothing: refused, and the error says to name the app.
    const elsewhere = (await sidecar.resolve({ reloadUrl: "http://10.1.2.3/" })).resolution;
    isRefused(elsewhere, "supervisor", /it is a supervisor.*name the application with --process-name/);
    await signalReaches(sidecar, app, [], { processName: "amp" });
    assert.equal(app.hups().length, 2);
  });
}

podTest("pod: another user's app below a supervisor cannot be seen: refused", {}, async (pod) => {
  const program = await needsProgram("/usr/bin/runsvdir", "runit");
  const user = "exec setpriv --reuid=1000 --regid=1000 --clear-groups";
  const services = await makeServices(pod, `${user} ${await pod.install("amp")} handle listen`);
  const app = await pod.start({ program, args: [services], container: "app" });
  const sidecar = await pod.sidecar({ uid: USER });
  const { resolution } = await sidecar.resolve({ reloadUrl: `http://localhost:${app.port}/` });
  isRefused(resolution, "supervisor", /none that can be seen listens on port/);
  assert.equal(app.hups().length, 0);
});

podTest("pod: a late handler is waited for, a process that loses it is spared", {}, async (pod) => {
  const sidecar = await pod.sidecar({ uid: USER });
  await sidecar.resolve();
  const app = await pod.start({ program: "amp", args: ["late"], uid: USER });
  const first = (await sidecar.resolve()).resolution;
  assert.equal(first.kind, "starting", JSON.stringify(first));
  assert.equal((await sidecar.preflight()).code, "starting");
  app.kill("SIGUSR2");
  await until("the handler", async () => (await sidecar.resolve()).resolution.kind === "target");
  await signalReaches(sidecar, app);
  const once = await pod.start({ program: "once", args: ["once"], uid: USER });
  const target = targetOf((await sidecar.resolve({ processName: "once" })).resolution);
  once.kill("SIGHUP");
  await until("the first signal", () => once.hups().length === 1);
  const sent = await sidecar.send(target, { processName: "once" });
  assert.equal(sent.kind === "not-sent" && sent.code, "no-handler", JSON.stringify(sent));
  assert.ok(once.isAlive());
});

podTest("pod: a handler that dies of the signal", {}, async (pod) => {
  const app = await pod.start({ program: "goapp", args: ["die"], uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  const target = targetOf((await sidecar.resolve()).resolution);
  assert.equal(target.handled, true, "it shows a handler all the same");
  assert.equal((await sidecar.send(target)).kind, "sent");
  await app.ended;
  await until("its end to be seen", async () => !await sidecar.isAlive(target));
  assert.equal(codeOf((await sidecar.resolve()).resolution), "not-there");
});

podTest("pod: after 5 s without a handler the signal is refused; signalfd counts as one", {}, async (pod) => {
  const sidecar = await pod.sidecar({ uid: USER });
  await sidecar.resolve();
  const look = async (processName: string, more = {}) =>
    (await sidecar.resolve({ processName, ...more })).resolution;
  // Each is looked at right after its start: on a busy machine all of them together might take the 5 s.
  const young = async (program: string, args: string[]) => {
    const started = await pod.start({ program, args, uid: USER });
    assert.equal((await look(program)).kind, "starting");
    assert.equal((await look(program, { allowUnhandledSignal: true })).kind, "starting");
    return started;
  };
  const none = await young("none", []);
  const deaf = await young("deaf", ["ignore"]);
  const waits = await young("waits", ["wait", "threads=2"]);
  const half = await young("half", ["threads=1", "wait"]);
  // The youngest of them.
  await until("5 s of age", async () => (await look("half")).kind !== "starting", { everyMs: 100 });
  const refused = await look("none");
  isRefused(refused, "no-handler", /no handler.*would die.*--trigger http.*--allow-unhandled-signal/);
  assert.equal(codeOf(await look("deaf")), "no-handler");
  assert.equal(
    codeOf(await look("half")),
    "no-handler",
    "a thread that does not block the signal would die of it",
  );
  await signalReaches(sidecar, waits, [none, deaf, half], { processName: "waits" });
  const allowed = targetOf(await look("none", { allowUnhandledSignal: true }));
  assert.equal(allowed.handled, false);
  assert.match(
    (await sidecar.preflight({ processName: "none", allowUnhandledSignal: true })).message,
    /no handler for SIGHUP and is signalled all the same/,
  );
  assert.equal(
    (await sidecar.send(allowed, { processName: "none", allowUnhandledSignal: true })).kind,
    "sent",
  );
  await none.ended;
});

podTest("pod: a PID that was given to another process is not signalled", {}, async (pod) => {
  const sidecar = await pod.sidecar({ uid: USER });
  const app = await pod.start({ program: "amp", args: ["handle"], uid: USER });
  const target = targetOf((await sidecar.resolve()).resolution);
  app.kill("SIGKILL");
  await app.ended;
  const gone = await sidecar.send(target);
  assert.equal(gone.kind === "not-sent" && gone.code, "not-there");
  // A thread of the code under test may take the number first.
  const again = await until("the same PID", async () => {
    await pod.nextPid(app.pid);
    const next = await pod.start({ program: "amp", args: ["handle"], container: "amp-again", uid: USER });
    if (next.pid === app.pid) return next;
    next.kill("SIGKILL");
    await next.ended;
  });
  assert.equal(await sidecar.isAlive(target), false);
  const sent = await sidecar.send(target);
  assert.equal(sent.kind === "not-sent" && sent.code, "changed", JSON.stringify(sent));
  assert.ok(again.isAlive() && again.hups().length === 0);
  await signalReaches(sidecar, again);
});

podTest("pod: the runtime is never a target on its way to becoming the app", {}, async (pod) => {
  const amp = await pod.install("amp");
  const app = await pod.start({
    program: "runc",
    args: ["comm=runc:[2:INIT]", "hide", "handle", `become=${amp}`, "amp", "handle"],
    uid: USER,
  });
  const sidecar = await pod.sidecar({ uid: USER });
  const { resolution } = await sidecar.resolve();
  isRefused(resolution, "runtime", /./, true);
  for (const config of [{ pid: app.pid }, { processName: "runc" }, { processCmdline: "runc" }]) {
    assert.equal(
      codeOf((await sidecar.resolve({ ...config, allowUnhandledSignal: true })).resolution),
      "runtime",
    );
  }
  app.kill("SIGUSR1");
  const ready = await until("the app", async () => {
    const { resolution } = await sidecar.resolve();
    return resolution.kind === "target" ? resolution.target : null;
  });
  assert.equal(ready.pid, app.pid);
  // Same PID and start time as the runtime had: only the name tells.
  const sent = await sidecar.send({ ...ready, comm: "runc:[2:INIT]" });
  assert.equal(sent.kind === "not-sent" && sent.code, "changed");
  assert.equal(app.hups().length, 0);
  await signalReaches(sidecar, app);
});

podTest(
  "pod: a young process that hides its executable may be a runtime by another name",
  {},
  async (pod) => {
    await pod.start({ program: "6", args: ["hide", "handle"], uid: USER });
    const sidecar = await pod.sidecar({ uid: USER });
    assert.equal((await sidecar.resolve()).resolution.kind, "starting");
  },
);

podTest("pod: processes that vanish while /proc is read", {}, async (pod) => {
  const app = await pod.start({ program: "amp", args: ["handle", "churn", "churn", "zombie"], uid: USER });
  const other = await pod.start({ program: "other", args: ["churn"], container: "amp", uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  // Those that vanish take the processor from each round: on a busy machine twenty are enough.
  const beganMs = performance.now();
  for (let round = 0; round < 150 && (round < 20 || performance.now() - beganMs < 30_000); round++) {
    assert.equal(targetOf((await sidecar.resolve()).resolution).pid, app.pid);
    const named = (await sidecar.resolve({ processName: "amp" })).resolution;
    assert.equal(targetOf(named).pid, app.pid);
  }
  await signalReaches(sidecar, app, [other]);
});

for (const hidepid of [1, 2]) {
  podTest(`pod: /proc hidden with hidepid=${hidepid}`, {}, async (pod) => {
    await pod.start({ program: "amp", args: ["handle"], uid: 1000 });
    const sidecar = await pod.sidecar({ uid: USER, setup: `mount -t proc -o hidepid=${hidepid} proc /proc` });
    const { resolution } = await sidecar.resolve();
    isRefused(resolution, "hidden-proc");
  });
}

podTest("pod: the /proc of another namespace is not used", {}, async (pod) => {
  const app = await pod.start({ program: "amp", args: ["handle"], uid: USER });
  const sidecar = await pod.sidecar({ uid: USER, setup: "mount -t tmpfs none /proc" });
  const { resolution } = await sidecar.resolve();
  isRefused(resolution, "bad-proc");
  assert.ok(app.isAlive());
});

podTest("pod: --pid-file is read afresh, and waited for while it is of no use", {}, async (pod) => {
  const file = `${pod.dir}/app.pid`;
  const config = { pidFile: file };
  const app = await pod.start({ program: "amp", args: ["handle"], uid: USER });
  const other = await pod.start({ program: "other", args: ["handle"], uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  const look = async () => (await sidecar.resolve(config)).resolution;
  const waits = async (text: string | null) => {
    if (text !== null) await Deno.writeTextFile(file, text);
    const found = await look();
    assert.ok(found.kind === "none" && found.again, JSON.stringify(found));
    return found.code;
  };
  for (const text of [null, "", "\n"]) assert.equal(await waits(text), "not-there");
  for (const text of ["abc\n", "-1", "1.5", "12 13\n", "99999999999999"]) {
    assert.equal(await waits(text), "pid-file", text);
  }
  assert.equal(await waits("4000000\n"), "not-there");
  for (const text of [`${app.pid}`, `${app.pid}\n`, `  ${app.pid} \n`, `${app.pid}\n/var/lib/data\n5432\n`]) {
    await Deno.writeTextFile(file, text);
    assert.equal(targetOf(await look()).pid, app.pid);
  }
  await signalReaches(sidecar, app, [other], config);
  await Deno.writeTextFile(file, `${other.pid}\n`);
  await signalReaches(sidecar, other, [], config);
  for (
    const [text, code] of [["1", "pause"], [`${sidecar.pid}`, "self"], ["0", "bad-pid"], [
      "9999999999",
      "bad-pid",
    ]]
  ) {
    await Deno.writeTextFile(file, text!);
    assert.equal(codeOf(await look()), code);
  }
  // Left over from before a restart of the pod: whatever has that number now is somebody else.
  await Deno.writeTextFile(file, `${app.pid}\n`);
  await Deno.utime(file, new Date(Date.now() - 3_600_000), new Date(Date.now() - 3_600_000));
  assert.equal(await waits(null), "pid-file");
  await Deno.remove(file);
  await Deno.mkdir(file);
  assert.equal(await waits(null), "pid-file");
  await Deno.remove(file);
  const { success } = await new Deno.Command("mkfifo", { args: [file] }).output();
  assert.ok(success);
  assert.equal(await waits(null), "pid-file", "a FIFO does not hang it");
});

podTest("pod: the app's own mounts are looked at", {}, async (pod) => {
  const volume = createKubeletVolume(`${pod.dir}/${VOLUMES}/cfg`, { "config.yaml": "v: 1\n" });
  await Deno.mkdir(`${pod.dir}/etc`);
  const mount = (from: string) => `mount --bind ${from} ${pod.dir}/etc`;
  const config = { configFiles: [`${pod.dir}/etc/config.yaml`] };
  const whole = await pod.start({ program: "whole", args: ["handle"], uid: 1000, setup: mount(volume.dir) });
  const sub = await pod.start({
    program: "sub",
    args: ["handle"],
    uid: 1000,
    setup: mount(volume.payload()),
  });
  const without = await pod.start({ program: "without", args: ["handle"], uid: 1000 });
  const sidecar = await pod.sidecar({ uid: USER, setup: mount(volume.dir) });
  const mounts = async (process: PodProcess) => {
    const settings = { ...config, pid: process.pid };
    return await sidecar.staleMounts(targetOf((await sidecar.resolve(settings)).resolution), settings);
  };
  for (const sees of [whole, without]) {
    const { stale, blind } = await mounts(sees);
    assert.deepEqual([stale, blind], [[], false]);
  }
  const blind = await mounts(sub);
  assert.equal(blind.blind, true);
  assert.deepEqual(blind.stale.map((m) => [m.container, m.reason, m.mountPoint]), [[
    "app",
    "subpath",
    `${pod.dir}/etc`,
  ]]);
  assert.match(blind.stale[0]!.message, /sub \(PID \d+\).*subPath.*without subPath/);
  // The volume is made anew, and only the sidecar gets to see that: it was started again.
  volume.replace({ "config.yaml": "v: 1\n" });
  const restarted = await pod.sidecar({ uid: USER, container: "sidecar2", setup: mount(volume.dir) });
  const settings = { ...config, pid: whole.pid };
  const replaced = await restarted.staleMounts(
    targetOf((await restarted.resolve(settings)).resolution),
    settings,
  );
  assert.deepEqual([replaced.blind, replaced.stale[0]?.reason], [true, "replaced"], JSON.stringify(replaced));
  assert.match(replaced.stale[0]!.message, /restart the pod's containers/);
});

podTest("pod: a look at ten processes is fast enough to be on the way to the signal", {}, async (pod) => {
  const app = await pod.start({ program: "amp", args: ["handle", "listen", "workers=4"], uid: USER });
  await pod.start({ program: "probe", args: ["workers=1"], container: "amp", uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  const lookUs = await sidecar.measure(300, { reloadUrl: `http://localhost:${app.port}/` });
  // Measured at 1,000 µs; five times that is a fault, and not a busy machine.
  assert.ok(lookUs < 5000, `${lookUs} µs`);
});

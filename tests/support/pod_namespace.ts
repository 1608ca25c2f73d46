/**
 * A pod as a kubelet makes it, without one: a PID namespace held by a pause process, containers whose first processes
 * have parent 0 (they enter it from outside), each with its own cgroup and mounts, other processes that an exec or a
 * probe would start, and the code under test as a `deno run` child inside (`pod_namespace_driver.ts`).
 * Needs root, unshare, setpriv, nsenter and gcc, and says so where one is missing.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Config } from "../../src/config.ts";
import type { Resolution, StaleMount, Target, TargetView, TriggerResult } from "../../src/model.ts";
import { readLines } from "./lines.ts";
import { until } from "./poll.ts";
import { ROOT, run } from "./run.ts";
import { STRICT } from "./strict.ts";

const HERE = import.meta.dirname!;

/** How a process of the pod is started. */
export interface StartOptions {
  /** Name of the program: `actor.c` under that name, or a real program where it begins with a slash. */
  readonly program: string;
  readonly args?: readonly string[];
  /** A container's name: the first start makes the container, later ones are as `kubectl exec`. */
  readonly container?: string;
  /** User and group; without any capability where it is not 0. */
  readonly uid?: number;
  /** Shell text that runs as root in the container before the program. */
  readonly setup?: string;
  /** Do not wait for the `ready` line: for real programs. */
  readonly silent?: boolean;
}

export interface PodProcess {
  /** As seen in the pod. */
  readonly pid: number;
  /** As seen on this machine. */
  readonly hostPid: number;
  /** Port of `listen`; 0 without. */
  readonly port: number;
  readonly lines: readonly string[];
  /** Signals that arrived, by the PIDs that printed them. */
  hups(): number[];
  kill(signal: Deno.Signal): void;
  /** Kills it and keeps whoever started it from noticing, so that it stays a zombie. */
  becomeZombie(): Promise<void>;
  isAlive(): boolean;
  readonly ended: Promise<void>;
}

/** Settings as they can pass through JSON. */
export type PodConfig = Partial<Omit<Config, "processCmdline">> & { readonly processCmdline?: string };

/** The code under test, inside the pod. `config` may differ at each call; calls with equal settings share one port. */
export interface PodSidecar {
  readonly pid: number;
  resolve(
    config?: PodConfig,
    previous?: Target,
  ): Promise<{ resolution: Resolution; trace: Record<string, string> }>;
  preflight(config?: PodConfig): Promise<TargetView>;
  send(target: Target, config?: PodConfig): Promise<TriggerResult>;
  isAlive(target: Target, config?: PodConfig): Promise<boolean>;
  staleMounts(target: Target, config?: PodConfig): Promise<{ stale: StaleMount[]; blind: boolean }>;
  /** `config-reloader check`: exit code and what it prints. */
  check(config?: PodConfig): Promise<{ code: number; text: string }>;
  /** `config-reloader check` or `healthcheck` as `main.ts` runs it, with the settings of a sidecar in its container. */
  ask(...args: string[]): Promise<{ code: number; text: string }>;
  /** Microseconds of the processor that one of `rounds` calls of resolve takes. */
  measure(rounds: number, config?: PodConfig): Promise<number>;
}

export interface Pod {
  /** Directory that every user may read. */
  readonly dir: string;
  /** A file there, to be watched. */
  readonly config: string;
  start(options: StartOptions): Promise<PodProcess>;
  /** Puts `actor.c` there under a name without starting it; the path. */
  install(name: string): Promise<string>;
  sidecar(options?: { uid?: number; container?: string; setup?: string }): Promise<PodSidecar>;
  /** Makes the next process of the pod get this PID. */
  nextPid(pid: number): Promise<void>;
  close(): Promise<void>;
}

export interface PodOptions {
  /** What PID 1 is; null for none: the first process started becomes PID 1, as with `docker run --pid=container:`. */
  readonly pause?: { readonly uid?: number } | null;
  /** Without, only mounts tell the containers apart. */
  readonly cgroups?: boolean;
}

let programs: string | null = null;

/** Compiles once for all pods of this process. */
async function buildPrograms(): Promise<string> {
  if (programs) return programs;
  assert.equal(Deno.uid(), 0, "This test needs root, to make PID namespaces and change users");
  // What a shell starts is missed only when it is too late to say so.
  for (const tool of ["unshare", "setpriv", "nsenter"]) {
    await run(tool, ["--version"], { from: "util-linux" });
  }
  const dir = await Deno.makeTempDir({ prefix: "pod-programs-" });
  addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
  for (const name of ["actor", "pause"]) {
    await run("gcc", ["-O1", "-Wall", "-o", join(dir, name), join(HERE, `${name}.c`), "-lpthread"]);
  }
  return programs = dir;
}

/** Where cgroups can be made: the pids controller of v1, or v2. */
function cgroupRoot(): string {
  for (const dir of ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]) {
    try {
      if (Deno.statSync(join(dir, "cgroup.procs")).isFile) return dir;
    } catch {
      // not this one
    }
  }
  throw new Error("This test needs a cgroup file system at /sys/fs/cgroup in which it may make directories");
}

interface Container {
  readonly cgroup: string | null;
  /** First process, on this machine; what comes later joins its mounts. */
  firstHostPid: number;
}

/** A test in a pod of its own. */
export function podTest(name: string, options: PodOptions, body: (pod: Pod) => Promise<void>): void {
  Deno.test({
    name,
    ...STRICT,
    fn: async () => {
      const pod = await createPod(options);
      try {
        await body(pod);
      } finally {
        await pod.close();
      }
    },
  });
}

/** Makes an empty pod. */
export async function createPod({ pause = {}, cgroups = true }: PodOptions = {}): Promise<Pod> {
  const built = await buildPrograms();
  const dir = await Deno.makeTempDir({ prefix: "pod-" });
  await Deno.chmod(dir, 0o755);
  const bin = join(dir, "bin");
  await Deno.mkdir(bin);
  const config = join(dir, "config.yaml");
  await Deno.writeTextFile(config, "v: 1\n");
  const cgroup = cgroups ? join(cgroupRoot(), `config-reloader-test-${crypto.randomUUID()}`) : null;
  if (cgroup) await Deno.mkdir(cgroup);
  const containers = new Map<string, Container>();
  const children: { child: Deno.ChildProcess; done: Promise<unknown> }[] = [];
  let holder = 0;
  /** The code under test is there. */
  let isMade = false;

  const program = async (name: string): Promise<string> => {
    if (name.startsWith("/")) return name;
    const path = join(bin, name);
    await Deno.copyFile(join(built, name === "pause" ? "pause" : "actor"), path);
    return path;
  };

  const spawn = (command: string, args: readonly string[]) =>
    new Deno.Command(command, {
      args: [...args],
      clearEnv: true,
      env: { PATH: Deno.env.get("PATH")!, HOME: "/", DENO_DIR: join(dir, "deno"), NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      // unshare complains when its child is killed, which is how every pod ends.
      stderr: holder === 0 ? "null" : "inherit",
    }).spawn();

  /** The process that a command in front of it (nsenter, unshare) has forked. */
  const childOf = (pid: number) =>
    until(`the child of ${pid}`, () => {
      const text = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
      return text === "" ? null : Number(text.split(" ")[0]);
    }, { everyMs: 2 });

  const asUser = (uid: number) =>
    uid === 0 ? [] : [
      "setpriv",
      `--reuid=${uid}`,
      `--regid=${uid}`,
      "--clear-groups",
      "--inh-caps=-all",
      "--bounding-set=-all",
      "--no-new-privs",
    ];

  /** Starts a command in the pod; resolves with its PID on this machine. */
  const launch = async (
    command: readonly string[],
    { container: name, uid = 0, setup = "" }: Partial<StartOptions>,
  ) => {
    const container = containers.get(name!) ?? await createContainer(name!, cgroup);
    // Its first process is gone: the container is started again under its old ID, as Docker and Podman do.
    const isFirst = podPidOf(container.firstHostPid) === null;
    containers.set(name!, container);
    const join = container.cgroup ? `echo $$ > ${container.cgroup}/cgroup.procs && ` : "";
    const inside = isFirst ? ["unshare", "--mount", "--propagation", "private"] : [];
    const enter = holder === 0 ? ["unshare", "--pid", "--mount-proc", "--fork"] : [
      "nsenter",
      "--target",
      `${holder}`,
      "--pid",
      `--mount=/proc/${isFirst ? holder : container.firstHostPid}/ns/mnt`,
    ];
    const prepare = setup === "" ? [] : ["sh", "-c", `${setup}; exec "$@"`, "sh"];
    const child = spawn("sh", [
      "-c",
      `${join}exec "$@"`,
      "sh",
      ...enter,
      ...inside,
      ...prepare,
      ...asUser(uid),
      ...command,
    ]);
    const hostPid = await childOf(child.pid);
    if (isFirst) container.firstHostPid = hostPid;
    if (holder === 0) holder = hostPid;
    return { child, hostPid };
  };

  const start = async (options: StartOptions): Promise<PodProcess> => {
    const path = await program(options.program);
    const { child, hostPid } = await launch([path, ...options.args ?? []], {
      container: options.program,
      ...options,
    });
    const lines: string[] = [];
    const pump = readLines(child.stdout, (line) => lines.push(line));
    const done = Promise.all([pump, child.status]);
    children.push({ child, done });
    const podPid = () => podPidOf(hostPid);
    if (!options.silent) {
      await until(`${options.program} to be ready`, () => lines.some((l) => l.startsWith("ready ")), {
        everyMs: 2,
      });
    }
    const ready = lines.find((line) => line.startsWith("ready "))?.split(" ");
    return {
      pid: ready ? Number(ready[1]) : podPid()!,
      hostPid,
      port: Number(ready?.[2] ?? 0),
      lines,
      hups: () => lines.filter((line) => line.startsWith("HUP ")).map((line) => Number(line.slice(4))),
      kill: (signal) => Deno.kill(hostPid, signal),
      isAlive: () => podPid() !== null,
      becomeZombie: async () => {
        child.kill("SIGSTOP");
        await until(
          "a stopped parent",
          () => /^State:\tT/m.test(Deno.readTextFileSync(`/proc/${child.pid}/status`)),
          { everyMs: 2 },
        );
        Deno.kill(hostPid, "SIGKILL");
        await until("a zombie", () => /^State:\tZ/m.test(Deno.readTextFileSync(`/proc/${hostPid}/status`)), {
          everyMs: 2,
        });
      },
      ended: done.then(() => undefined),
    };
  };

  if (pause) {
    const path = await program("pause");
    const { child } = await launch([path], { container: "pause", uid: pause.uid ?? 65535 });
    children.push({ child, done: Promise.all([child.status, child.stdout.cancel()]) });
    await until("pause", () => Deno.readTextFileSync(`/proc/${holder}/comm`) === "pause\n", { everyMs: 2 });
  }

  return {
    dir,
    config,
    start,
    install: program,
    nextPid: async (pid) => {
      // The shell takes a PID itself, and forks nothing after the write.
      const write = `echo ${pid - 1} > /proc/sys/kernel/ns_last_pid`;
      // It needs a kernel with CONFIG_CHECKPOINT_RESTORE.
      await run("nsenter", ["--target", `${holder}`, "--pid", "sh", "-c", write]);
    },
    sidecar: async ({ uid = 0, container = "sidecar", setup = "" } = {}) => {
      const [deno, repo, imports] = [join(bin, "deno"), join(dir, "repo"), join(dir, "repo", "imports.json")];
      if (!isMade) {
        // Its own copy: other users may not be able to read the place where the repository lies.
        await Deno.copyFile(Deno.execPath(), deno);
        await Deno.mkdir(join(repo, "tests"), { recursive: true });
        await run("cp", ["-r", join(ROOT, "src"), repo]);
        await run("cp", ["-r", join(ROOT, "tests", "support"), join(repo, "tests")]);
        // The one package that the command line needs, to suggest a flag.
        await Deno.copyFile(join(ROOT, "node_modules", "leven", "index.js"), join(repo, "leven.js"));
        await Deno.writeTextFile(imports, JSON.stringify({ imports: { leven: "./leven.js" } }));
        await Deno.mkdir(join(dir, "deno"));
        await Deno.chmod(join(dir, "deno"), 0o777);
        isMade = true;
      }
      const driver = join(dir, "repo", "tests", "support", "pod_namespace_driver.ts");
      const args = [
        "run",
        "-A",
        "--no-prompt",
        "--no-config",
        "--no-lock",
        "--no-check",
        `--import-map=${imports}`,
        driver,
      ];
      const { child, hostPid } = await launch([deno, ...args], { container, uid, setup });
      return createSidecar(child, hostPid, children);
    },
    close: async () => {
      // The end of PID 1 is the end of everybody in its namespace.
      if (holder) Deno.kill(holder, "SIGKILL");
      for (const { child } of children) {
        try {
          child.kill("SIGCONT");
        } catch {
          // it has ended
        }
      }
      await Promise.all(children.map(async ({ child, done }) => {
        await done;
        await child.stdin.close().catch(() => {});
      }));
      if (cgroup) await until("empty cgroups", () => removeCgroups(cgroup));
      await Deno.remove(dir, { recursive: true });
    },
  };
}

async function createContainer(name: string, cgroup: string | null): Promise<Container> {
  if (!cgroup) return { cgroup: null, firstHostPid: 0 };
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name));
  const path = join(cgroup, new Uint8Array(hash).toHex());
  await Deno.mkdir(path);
  return { cgroup: path, firstHostPid: 0 };
}

function removeCgroups(cgroup: string): boolean {
  try {
    // The files of a cgroup cannot be removed, so Deno's own recursive removal does not work.
    for (const { isDirectory, name } of Deno.readDirSync(cgroup)) {
      if (isDirectory) Deno.removeSync(join(cgroup, name));
    }
    Deno.removeSync(cgroup);
    return true;
  } catch {
    return false;
  }
}

/** PID in the innermost namespace; null when it is gone or a zombie. */
function podPidOf(hostPid: number): number | null {
  try {
    const text = Deno.readTextFileSync(`/proc/${hostPid}/status`);
    if (/^State:\t[ZX]/m.test(text)) return null;
    return Number(/^NSpid:.*\t(\d+)$/m.exec(text)![1]);
  } catch {
    return null;
  }
}

function createSidecar(
  child: Deno.ChildProcess,
  hostPid: number,
  children: { child: Deno.ChildProcess; done: Promise<unknown> }[],
): PodSidecar {
  const waiting: ((answer: string) => void)[] = [];
  children.push({
    child,
    done: Promise.all([readLines(child.stdout, (line) => waiting.shift()?.(line)), child.status]),
  });
  const call = async <T>(verb: string, config: PodConfig, more: Record<string, unknown> = {}): Promise<T> => {
    const answer = new Promise<string>((resolve) => waiting.push(resolve));
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify({ verb, config, ...more }) + "\n"));
    writer.releaseLock();
    const ended = child.status.then((status) => {
      throw new Error(
        `The code under test ended with ${JSON.stringify(status)} instead of answering ${verb}`,
      );
    });
    ended.catch(() => {});
    const parsed = JSON.parse(await Promise.race([answer, ended]));
    if (parsed.error) throw new Error(parsed.error);
    return parsed.value;
  };
  return {
    pid: podPidOf(hostPid)!,
    resolve: (config = {}, previous) => call("resolve", config, { previous }),
    preflight: (config = {}) => call("preflight", config),
    send: (target, config = {}) => call("send", config, { target }),
    isAlive: (target, config = {}) => call("isAlive", config, { target }),
    staleMounts: (target, config = {}) => call("staleMounts", config, { target }),
    check: (config = {}) => call("check", config),
    ask: (...args) => call("ask", {}, { args }),
    measure: (rounds, config = {}) => call("measure", config, { rounds }),
  };
}

import assert from "node:assert/strict";
import fc from "fast-check";
import { judgeHandler } from "../../src/target/handler.ts";
import { isPid, PID_MAX } from "../../src/target/rules.ts";
import { select } from "../../src/target/select.ts";
import type { ProcessTable } from "../../src/target/table.ts";
import type { Selection, SelectOptions, Wanted } from "../../src/target/choice.ts";
import {
  app,
  CAUGHT,
  type FakeProcess,
  PAUSE,
  SELF,
  SIDECAR,
  SIGHUP,
  tableOf,
  targetOf,
} from "./fake_table.ts";

const AUTO: Wanted = { kind: "auto" };
const byPid = (pid: number): Wanted => ({ kind: "pid", pid, asked: `--pid ${pid}` });
const byName = (name: string): Wanted => ({ kind: "match", name, cmdline: null });
const byCmdline = (expression: RegExp): Wanted => ({
  kind: "match",
  name: null,
  cmdline: { source: expression.source, match: (lines) => lines.map((line) => expression.test(line)) },
});

const OPTIONS: SelectOptions = {
  wanted: AUTO,
  signal: SIGHUP,
  port: null,
  mustListen: false,
  previous: null,
};

function choose(
  list: readonly FakeProcess[],
  wanted: Wanted = AUTO,
  more: Partial<SelectOptions> = {},
): Selection {
  return select(tableOf(list), { ...OPTIONS, wanted, port: 8080, ...more });
}

interface Case {
  readonly name: string;
  readonly list: readonly FakeProcess[];
  readonly wanted?: Wanted;
  readonly more?: Partial<SelectOptions>;
  /** PID, or the code of the refusal. */
  readonly want: number | string;
  readonly says?: RegExp;
}

const EXEC: FakeProcess = {
  pid: 40,
  comm: "sh",
  argv: ["sh"],
  container: "app7",
  startTicks: 5000,
  caught: CAUGHT,
};

const CASES: readonly Case[] = [
  // auto
  {
    name: "the only application",
    list: [PAUSE, SIDECAR, app(7)],
    want: 7,
    says: /the only application container in the pod/,
  },
  {
    name: "PID 1 with docker run --pid=container:app",
    list: [app(1), SIDECAR],
    want: 1,
    says: /first process of the container whose process namespace is shared/,
  },
  { name: "an exec in the app's container is younger", list: [PAUSE, SIDECAR, EXEC, app(7)], want: 7 },
  {
    name: "an exec with a lower PID, after PIDs wrapped",
    list: [PAUSE, { ...EXEC, pid: 3 }, SIDECAR, app(7)],
    want: 7,
  },
  {
    name: "an exec in the sidecar's own container",
    list: [PAUSE, SIDECAR, app(7), {
      pid: 95,
      comm: "sh",
      argv: ["sh"],
      container: "sidecar",
      startTicks: 5000,
      caught: CAUGHT,
    }],
    want: 7,
  },
  {
    name: "a sidecar behind its own wrapper",
    list: [PAUSE, app(7), { pid: 80, comm: "tini", argv: ["tini"], container: "sidecar" }, {
      ...SIDECAR,
      ppid: 80,
    }],
    want: 7,
  },
  {
    name: "a second config-reloader",
    list: [PAUSE, SIDECAR, app(7), { ...SIDECAR, pid: 60, container: "other" }],
    want: 7,
  },
  {
    name: "children of the app",
    list: [PAUSE, SIDECAR, app(7), app(8, { ppid: 7, container: "app7" })],
    want: 7,
  },
  {
    name: "pause with the app's user and handlers",
    list: [{ ...PAUSE, caught: CAUGHT }, SIDECAR],
    want: "not-there",
  },
  {
    name: "pause whose command line is not there yet",
    list: [{ ...PAUSE, argv: [] }, SIDECAR],
    want: "not-there",
  },
  {
    name: "OpenShift's pause",
    list: [{ pid: 1, comm: "pod", argv: ["/usr/bin/pod"], container: "s", caught: CAUGHT }, SIDECAR],
    want: "not-there",
  },
  {
    name: "Podman's pause",
    list: [
      { pid: 1, comm: "catatonit", argv: ["/catatonit", "-P"], container: "s", caught: CAUGHT },
      SIDECAR,
    ],
    want: "not-there",
  },
  {
    name: "an app named pause that takes arguments is an app",
    list: [PAUSE, SIDECAR, app(7, { comm: "pause", argv: ["pause", "--music"] })],
    want: 7,
  },
  {
    name: "nobody else",
    list: [SIDECAR],
    want: "no-shared-process-namespace",
    says: /shareProcessNamespace: true/,
  },
  {
    name: "only the sidecar's own tree",
    list: [{ pid: 1, comm: "tini", argv: ["tini"], container: "sidecar" }, { ...SIDECAR, ppid: 1 }],
    want: "no-shared-process-namespace",
  },
  { name: "zombie", list: [PAUSE, SIDECAR, app(7, { state: "Z", argv: [] })], want: "not-there" },
  {
    name: "one that is about to end",
    list: [PAUSE, SIDECAR, app(7, { state: "X", argv: [], exe: null, ageMs: 100 })],
    want: "not-there",
    says: /it has just ended; looking again/,
  },
  {
    name: "a zombie's container: what was started beside it does not take its place",
    list: [PAUSE, SIDECAR, app(7, { state: "Z", argv: [] }), EXEC],
    want: "not-there",
  },
  {
    name: "the runtime before it becomes the app",
    list: [PAUSE, SIDECAR, app(7, { comm: "runc:[2:INIT]", argv: ["runc", "init"] })],
    want: "runtime",
  },
  {
    name: "crun",
    list: [PAUSE, SIDECAR, app(7, { comm: "crun", argv: ["/usr/bin/crun", "init"] })],
    want: "runtime",
  },
  {
    name: "the runtime under another name",
    list: [PAUSE, SIDECAR, app(7, { comm: "6", argv: ["/usr/bin/runc", "init"] })],
    want: "runtime",
  },
  {
    name: "crun by the title it gives itself",
    list: [PAUSE, SIDECAR, app(7, { comm: "3", argv: ["[libcrun:create]", "--root", "/run/crun"] })],
    want: "runtime",
  },
  {
    name: "the runtime started from its own executable",
    list: [PAUSE, SIDECAR, app(7, { comm: "exe", argv: ["/proc/self/exe", "init"] })],
    want: "runtime",
  },
  {
    name: "an app with an argument called init is an app",
    list: [PAUSE, SIDECAR, app(7, { argv: ["/bin/amp", "init"] })],
    want: 7,
  },
  {
    name: "an application in the sidecar's own container has to be named",
    list: [
      { pid: 1, comm: "sh", argv: ["sh", "/start.sh"], container: "sidecar", startTicks: 1 },
      { ...SIDECAR, ppid: 1 },
      app(7, { ppid: 1, container: "sidecar" }),
    ],
    want: "own-container",
    says: /name the application with --process-name.*shareProcessNamespace: true/,
  },
  {
    name: "another config-reloader and its own children are no such application",
    list: [{ pid: 1, comm: "tini", argv: ["tini"], container: "sidecar" }, { ...SIDECAR, ppid: 1 }, {
      ...SIDECAR,
      pid: 95,
    }, app(96, { ppid: SELF, container: "sidecar" })],
    want: "no-shared-process-namespace",
  },
  {
    name: "two applications",
    list: [PAUSE, SIDECAR, app(7), app(15, { comm: "envoy", argv: ["envoy"], uid: 1337 })],
    want: "ambiguous",
    says:
      /PID 7 \(amp, user 65532\), PID 15 \(envoy, user 1337\).*--process-name, --process-cmdline or --pid-file/,
  },
  {
    name: "two applications, one listens on the port of --reload-url",
    list: [PAUSE, SIDECAR, app(7, { listens: 9000 }), app(15, { listens: 8080 })],
    want: 15,
    says: /of 2 it listens on port 8080/,
  },
  {
    name: "two applications, a child of one listens",
    list: [PAUSE, SIDECAR, app(7), app(8, { ppid: 7, listens: 8080 }), app(15)],
    want: 7,
  },
  {
    name: "two applications, both listen",
    list: [PAUSE, SIDECAR, app(7, { listens: 8080 }), app(15, { listens: 8080 })],
    want: "ambiguous",
  },
  {
    name: "two applications, the status URL is elsewhere",
    list: [PAUSE, SIDECAR, app(7, { listens: 8080 }), app(15)],
    more: { port: null },
    want: "ambiguous",
  },
  {
    name: "nothing listens on the port of the status URL: an init container beside a native sidecar",
    list: [PAUSE, SIDECAR, app(7)],
    more: { mustListen: true },
    want: "not-there",
    says: /nothing listens on port 8080 of --reload-url, so PID 7 \(amp, user 65532\) is not taken for it/,
  },
  {
    name: "the app listens on the port of the status URL",
    list: [PAUSE, SIDECAR, app(7, { listens: 8080 })],
    more: { mustListen: true },
    want: 7,
  },
  {
    name: "the one that lost the tie is not the application when it is all that is left",
    list: [PAUSE, SIDECAR, app(15, { listens: 9000 })],
    more: { mustListen: true },
    want: "not-there",
  },
  {
    name: "the target of before stays when a debug container comes",
    list: [PAUSE, SIDECAR, app(7), app(40, { comm: "sh", argv: ["sh"], container: "debug" })],
    more: { previous: targetOf(7), mustListen: true },
    want: 7,
    says: /^named by --pid$/,
  },
  ...[{ startTicks: 108 }, { comm: "other" }, { pid: 8 }].map((more): Case => ({
    name: `another process than the target of before, by ${Object.keys(more)}, is no reason to choose it`,
    list: [PAUSE, SIDECAR, app(7), app(40)],
    more: { previous: { ...targetOf(7), ...more } },
    want: "ambiguous",
  })),
  {
    name:
      "the target of before, which has workers, stays when a debug container comes, also with --verify none",
    list: [PAUSE, SIDECAR, app(7), app(8, { ppid: 7, container: "app7" }), app(40, { container: "debug" })],
    more: { previous: targetOf(7) },
    want: 7,
  },
  {
    name: "a process manager that was the target of before: the process below it that listens now",
    list: [PAUSE, SIDECAR, app(7), app(8, { ppid: 7, argv: ["app"], listens: 8080 })],
    more: { previous: targetOf(7) },
    want: 8,
  },
  {
    name: "a shell that was the target of before, without a child then",
    list: [PAUSE, SIDECAR, app(7, { comm: "sh", argv: ["sh", "-c", "amp"], caught: 0 }), app(8, { ppid: 7 })],
    more: { previous: targetOf(7, { comm: "sh" }), mustListen: true, port: 9000 },
    want: "not-there",
  },
  {
    name: "the target of before has ended: no candidate takes its place for that",
    list: [PAUSE, SIDECAR, app(7, { state: "Z" }), app(40), app(41)],
    more: { previous: targetOf(7) },
    want: "ambiguous",
  },
  {
    name: "the target of before stays below its supervisor while its port is closed",
    list: [PAUSE, SIDECAR, app(6, { comm: "runsvdir", argv: ["runsvdir", "/etc/sv"] }), app(7, { ppid: 6 })],
    more: { previous: targetOf(7) },
    want: 7,
  },
  // supervisors
  ...[
    ["runsvdir", ["runsvdir", "/etc/service"]],
    ["supervisord", ["/usr/bin/python3", "/usr/bin/supervisord", "-n"]],
    ["python3", ["python3", "/usr/bin/supervisord", "-n"]],
    ["s6-svscan", ["s6-svscan", "/run/service"]],
    ["systemd", ["/lib/systemd/systemd"]],
    ["node", ["PM2 v5.3.0: God Daemon (/root/.pm2)"]],
  ].flatMap(([comm, argv]): Case[] => {
    const root = app(6, { comm: comm as string, argv: argv as string[] });
    return [
      {
        name: `${comm} ${(argv as string[])[0]}: the process below it that listens`,
        list: [
          PAUSE,
          SIDECAR,
          root,
          app(7, { comm: "runsv", argv: ["runsv", "amp"], ppid: 6 }),
          app(8, { ppid: 7, listens: 8080 }),
        ],
        more: { mustListen: true },
        want: 8,
        says: new RegExp(`only application container in the pod, started by ${comm} \\(PID 6\\)`),
      },
      {
        name: `${comm} ${(argv as string[])[0]}: refused where the descriptors below it may not be read`,
        list: [PAUSE, SIDECAR, root, app(8, { ppid: 6, listens: 8080, isPrivate: true })],
        more: { mustListen: true },
        want: "supervisor",
        says:
          /it is a supervisor.*none that can be seen listens on port 8080.*name the application with --process-name/,
      },
      {
        name: `${comm} ${(argv as string[])[0]}: refused where the status URL is elsewhere`,
        list: [PAUSE, SIDECAR, root, app(8, { ppid: 6, listens: 8080 })],
        more: { port: null },
        want: "supervisor",
        says: /--reload-url is not on this host/,
      },
    ];
  }),
  {
    name: "systemd that holds the socket for its service: the service",
    list: [
      PAUSE,
      SIDECAR,
      app(6, { comm: "systemd", argv: ["/sbin/init"], listens: 8080 }),
      app(7, { ppid: 6, listens: 8080 }),
    ],
    want: 7,
  },
  {
    name: "a supervisor behind tini",
    list: [
      PAUSE,
      SIDECAR,
      app(5, { comm: "tini", caught: 0 }),
      app(6, { comm: "runsvdir", ppid: 5 }),
      app(7, { ppid: 6, listens: 8080 }),
    ],
    want: 7,
  },
  {
    name: "a process manager that nobody knows: the process below it that listens",
    list: [
      PAUSE,
      SIDECAR,
      app(6, { comm: "manager", argv: ["manager"] }),
      app(7, { ppid: 6, listens: 8080 }),
    ],
    want: 7,
  },
  {
    name: "a master that listens, and workers with its socket: the master",
    list: [PAUSE, SIDECAR, app(6, { listens: 8080 }), app(7, { ppid: 6, listens: 8080 })],
    want: 6,
  },
  {
    name: "a master that leaves the socket to its worker, as HAProxy does: the master",
    list: [
      PAUSE,
      SIDECAR,
      app(6, { comm: "haproxy", argv: ["haproxy", "-W", "-f", "/c"] }),
      app(7, { comm: "haproxy", argv: ["haproxy", "-W", "-f", "/c"], ppid: 6, listens: 8080 }),
    ],
    want: 6,
  },
  {
    name: "tini with a helper and the app: the one that listens",
    list: [
      PAUSE,
      SIDECAR,
      app(6, { comm: "tini", caught: 0 }),
      app(7, { ppid: 6, comm: "helper" }),
      app(8, { ppid: 6, listens: 8080 }),
    ],
    want: 8,
  },
  {
    name: "a script that traps the signal gets it, although a program that it started listens",
    list: [
      PAUSE,
      SIDECAR,
      app(6, { comm: "sh", argv: ["sh", "/run.sh"] }),
      app(7, { ppid: 6, listens: 8080 }),
    ],
    want: 6,
  },
  {
    name: "the application beside a container with a supervisor",
    list: [PAUSE, SIDECAR, app(6, { comm: "runsvdir" }), app(7, { ppid: 6 }), app(15, { listens: 8080 })],
    want: 15,
  },
  {
    name: "--process-cmdline that s6-supervise has as an argument, too",
    list: [
      PAUSE,
      SIDECAR,
      app(6, { comm: "s6-svscan", argv: ["s6-svscan", "/run/service"] }),
      app(7, { comm: "s6-supervise", argv: ["s6-supervise", "amp"], ppid: 6 }),
      app(8, { argv: ["/bin/amp"], ppid: 7 }),
    ],
    wanted: byCmdline(/amp/),
    want: 8,
  },
  {
    name: "a whole machine",
    list: [{ pid: 1, comm: "systemd", argv: ["/sbin/init"], caught: CAUGHT }, {
      pid: 2,
      comm: "kthreadd",
      kernelThread: true,
    }, SIDECAR],
    want: "host-init",
    says: /"systemd".*--process-name/,
  },
  // wrappers
  {
    name: "behind tini",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "tini", argv: ["tini", "--", "amp"], caught: 0 }),
      app(8, { ppid: 7 }),
    ],
    want: 8,
    says: /started by tini \(PID 7\)/,
  },
  {
    name: "behind dumb-init, which catches everything",
    list: [PAUSE, SIDECAR, app(7, { comm: "dumb-init", argv: ["dumb-init", "amp"] }), app(8, { ppid: 7 })],
    want: 8,
  },
  {
    name: "tini with an orphan it adopted: the oldest child",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "tini", caught: 0 }),
      app(9, { ppid: 7, startTicks: 300 }),
      app(10, { ppid: 7, startTicks: 200 }),
    ],
    want: 10,
  },
  {
    name: "behind sh -c",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "sh", argv: ["sh", "-c", "amp; true"], caught: 0 }),
      app(8, { ppid: 7 }),
    ],
    want: 8,
  },
  {
    name: "behind tini and sh -c",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "tini", caught: 0 }),
      app(8, { comm: "bash", ppid: 7, caught: 0 }),
      app(9, { ppid: 8 }),
    ],
    want: 9,
  },
  {
    name: "a script that traps the signal",
    list: [PAUSE, SIDECAR, app(7, { comm: "sh", argv: ["sh", "/entrypoint.sh"] }), app(8, { ppid: 7 })],
    want: 7,
  },
  {
    name: "a shell with two children",
    list: [PAUSE, SIDECAR, app(7, { comm: "sh", caught: 0 }), app(8, { ppid: 7 }), app(9, { ppid: 7 })],
    want: "ambiguous",
  },
  {
    name: "a shell with two children, one listens",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "sh", caught: 0 }),
      app(8, { ppid: 7 }),
      app(9, { ppid: 7, listens: 8080 }),
    ],
    want: 9,
  },
  {
    name: "a shell with a zombie child",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "sh", caught: 0 }),
      app(8, { ppid: 7, state: "Z" }),
      app(9, { ppid: 7 }),
    ],
    want: 9,
  },
  // --pid
  { name: "--pid", list: [PAUSE, SIDECAR, app(7), app(15)], wanted: byPid(15), want: 15 },
  { name: "--pid 1 where it is the app", list: [app(1), SIDECAR], wanted: byPid(1), want: 1 },
  {
    name: "--pid 1 where it is pause",
    list: [PAUSE, SIDECAR, app(7)],
    wanted: byPid(1),
    want: "pause",
    says: /PID 1 .*named by --pid 1.*pause process.*--pid at auto.*--process-name/,
  },
  {
    name: "--pid 1 on a whole machine",
    list: [{ pid: 1, comm: "systemd", argv: ["/sbin/init"], caught: CAUGHT }, {
      pid: 2,
      comm: "kthreadd",
      kernelThread: true,
    }, SIDECAR],
    wanted: byPid(1),
    want: "host-init",
  },
  { name: "--pid of the sidecar", list: [PAUSE, SIDECAR, app(7)], wanted: byPid(SELF), want: "self" },
  { name: "--pid of nobody", list: [PAUSE, SIDECAR, app(7)], wanted: byPid(8), want: "not-there" },
  {
    name: "--pid of a zombie",
    list: [PAUSE, SIDECAR, app(7, { state: "Z" })],
    wanted: byPid(7),
    want: "not-there",
  },
  {
    name: "--pid of the runtime",
    list: [PAUSE, SIDECAR, app(7, { comm: "runc:[2:INIT]" })],
    wanted: byPid(7),
    want: "runtime",
  },
  ...[0, -1, 1.5, NaN, Infinity, 2 ** 32, PID_MAX + 1].map((pid): Case => ({
    name: `--pid ${pid}`,
    list: [PAUSE, SIDECAR, app(7)],
    wanted: byPid(pid),
    want: "bad-pid",
    says: /an integer from 1 to 4194304/,
  })),
  // --process-name
  {
    name: "argv[0]'s base name",
    list: [PAUSE, SIDECAR, app(7), app(15, { comm: "x", argv: ["/usr/sbin/nginx"] })],
    wanted: byName("nginx"),
    want: 15,
  },
  {
    name: "comm",
    list: [PAUSE, SIDECAR, app(7), app(15, { comm: "nginx", argv: ["worker"] })],
    wanted: byName("nginx"),
    want: 15,
  },
  {
    name: "the whole path",
    list: [PAUSE, SIDECAR, app(7), app(15)],
    wanted: byName("/bin/amp"),
    want: "ambiguous",
  },
  {
    name: "longer than 15 characters",
    list: [PAUSE, SIDECAR, app(7, { comm: "prometheus-conf", argv: ["/bin/prometheus-config-reader"] })],
    wanted: byName("prometheus-config-reader"),
    want: 7,
  },
  {
    name: "longer than 15 characters, by the executable",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "prometheus-conf", argv: ["title"], exe: "/bin/prometheus-config-reader (deleted)" }),
    ],
    wanted: byName("prometheus-config-reader"),
    want: 7,
  },
  {
    name: "a cut name proves nothing",
    list: [PAUSE, SIDECAR, app(7, { comm: "prometheus-conf", argv: ["title"], exe: null })],
    wanted: byName("prometheus-config-reader"),
    want: "not-there",
    says: /visible are title/,
  },
  {
    name: "nginx: the master, not the workers",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "nginx", argv: ["nginx: master process nginx -g daemon off;"] }),
      ...[8, 9, 10].map((pid) =>
        app(pid, { comm: "nginx", ppid: 7, argv: ["nginx: worker process"], container: "app7" })
      ),
    ],
    wanted: byName("nginx"),
    want: 7,
    says: /the root of 4 that do/,
  },
  {
    name: "two trees",
    list: [PAUSE, SIDECAR, app(7), app(8, { ppid: 7 }), app(15)],
    wanted: byName("amp"),
    want: "ambiguous",
    says: /2 separate processes match --process-name "amp": PID 7 .*, PID 15/,
  },
  {
    name: "a probe that runs the same program in the same container",
    list: [PAUSE, SIDECAR, app(7), app(40, { container: "app7", argv: ["amp", "-check"], startTicks: 5000 })],
    wanted: byName("amp"),
    want: 7,
  },
  {
    name: "a probe that runs the same program while the app is away behind its wrapper",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "sh", argv: ["sh", "/start.sh"], caught: 0 }),
      app(40, { container: "app7", argv: ["amp", "-check"], startTicks: 5000 }),
    ],
    wanted: byName("amp"),
    want: "not-there",
  },
  { name: "the name of pause", list: [PAUSE, SIDECAR, app(7)], wanted: byName("pause"), want: "pause" },
  {
    name: "the name of the sidecar",
    list: [PAUSE, SIDECAR, app(7)],
    wanted: byName("config-reloader"),
    want: "not-there",
  },
  {
    name: "only a zombie",
    list: [PAUSE, SIDECAR, app(7, { state: "Z" })],
    wanted: byName("amp"),
    want: "not-there",
  },
  {
    name: "nothing visible",
    list: [SIDECAR],
    wanted: byName("amp"),
    want: "not-there",
    says: /shareProcessNamespace: true/,
  },
  // --process-cmdline
  {
    name: "the command line, never the sidecar's own",
    list: [
      PAUSE,
      { ...SIDECAR, argv: ["/config-reloader", "--process-cmdline", "amp.*serve"] },
      {
        pid: 89,
        comm: "sh",
        argv: ["sh", "-c", "config-reloader --process-cmdline 'amp.*serve' --interval 5s"],
        container: "x",
      },
      {
        pid: 91,
        comm: "config-reloader",
        argv: ["/config-reloader", "check", "--process-cmdline=amp.*serve"],
        container: "sidecar",
        startTicks: 5000,
      },
      app(7, { argv: ["/bin/amp", "serve"] }),
      app(15),
    ],
    wanted: byCmdline(/amp.*serve/),
    want: 7,
  },
  {
    name: "the program, not the shell that starts it",
    list: [
      PAUSE,
      SIDECAR,
      app(7, { comm: "sh", argv: ["sh", "-c", "amp serve; true"], caught: 0 }),
      app(8, { ppid: 7, argv: ["amp", "serve"] }),
    ],
    wanted: byCmdline(/amp serve/),
    want: 8,
  },
  {
    name: "a pattern that matches everything",
    list: [PAUSE, SIDECAR, app(7)],
    wanted: byCmdline(/.*/),
    want: 7,
  },
];

for (const { name, list, wanted, more, want, says } of CASES) {
  Deno.test(`select: ${name}`, () => {
    // The order in which /proc lists must not matter; the second round catches a pattern's lastIndex.
    for (const order of [list, [...list].reverse()]) {
      const got = choose(order, wanted, more);
      assert.equal(got.kind === "process" ? got.stat.pid : got.code, want, JSON.stringify(got));
      if (says) assert.match(got.kind === "process" ? got.reason : got.message, says);
    }
  });
}

Deno.test("select: hidepid is told apart from a missing namespace", () => {
  const got = select(tableOf([SIDECAR], { isHidden: () => true }), {
    wanted: AUTO,
    signal: SIGHUP,
    port: null,
    mustListen: false,
    previous: null,
  });
  assert.equal(got.kind === "none" && got.code, "hidden-proc");
});

Deno.test("select: a thread is named as one", () => {
  const table = tableOf([PAUSE, SIDECAR, app(7)]);
  const status = { tgid: 7, uid: 0, caught: CAUGHT, ignored: 0, blocked: 0 };
  const got = select({ ...table, status: () => status }, { ...OPTIONS, wanted: byPid(9) });
  assert.ok(
    got.kind === "none" && got.code === "bad-pid" && /thread of PID 7/.test(got.message),
    JSON.stringify(got),
  );
});

Deno.test("select: what may pass by itself says so", () => {
  const again = (list: readonly FakeProcess[], wanted: Wanted = AUTO) => {
    const got = choose(list, wanted);
    return got.kind === "none" && got.again === true;
  };
  assert.equal(again([PAUSE, SIDECAR]), true);
  assert.equal(again([PAUSE, SIDECAR, app(7, { comm: "runc:[2:INIT]" })]), true);
  assert.equal(again([PAUSE, SIDECAR], byName("amp")), true);
  assert.equal(again([SIDECAR]), false);
  assert.equal(again([PAUSE, SIDECAR, app(7), app(15)]), false);
  assert.equal(again([PAUSE, SIDECAR], byPid(1)), false);
});

/** Any process table, with everything that must never be chosen well represented. */
const anyProcess: fc.Arbitrary<FakeProcess> = fc.record({
  pid: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 30 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, -1, 1.5, NaN, 2 ** 32, PID_MAX, PID_MAX + 1) },
  ),
  ppid: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, {
    weight: 2,
    arbitrary: fc.integer({ min: 0, max: 30 }),
  }),
  comm: fc.constantFrom(
    "amp",
    "pause",
    "runc:[2:INIT]",
    "crun",
    "tini",
    "sh",
    "config-reloader",
    "nginx",
    "a) R 1 (b",
  ),
  argv: fc.constantFrom<string[]>(
    [],
    ["amp"],
    ["/pause"],
    ["pause"],
    ["runc", "init"],
    ["/config-reloader"],
    ["sh", "-c", "config-reloader --process-cmdline amp"],
    ["nginx: worker process"],
  ),
  state: fc.constantFrom("S", "S", "R", "Z", "X", "T"),
  container: fc.constantFrom("a", "b", "c", "sidecar"),
  kernelThread: fc.constantFrom(false, false, false, true),
  startTicks: fc.integer({ min: 1, max: 50 }),
  caught: fc.constantFrom(0, CAUGHT),
  blocked: fc.constantFrom(0, CAUGHT),
  ignored: fc.constantFrom(0, CAUGHT),
  uid: fc.constantFrom(0, 65532),
  exe: fc.constantFrom(null, "/bin/amp", "/config-reloader"),
  listens: fc.constantFrom(0, 8080),
  ageMs: fc.constantFrom(10, 6000),
});
const anyTable = fc.record({
  list: fc.uniqueArray(anyProcess, { selector: (process) => process.pid, maxLength: 14 }),
  self: fc.record({ ppid: fc.integer({ min: 0, max: 30 }), startTicks: fc.integer({ min: 1, max: 50 }) }),
});
const anyWanted: fc.Arbitrary<Wanted> = fc.oneof(
  fc.constant(AUTO),
  fc.constantFrom(0, 1, 2, 5, SELF, -1, 1.5, NaN, 2 ** 32, PID_MAX + 1).map(byPid),
  fc.constantFrom("amp", "pause", "config-reloader", "sh", "runc", "nginx").map(byName),
  fc.constantFrom(/.*/, /amp/, /pause/, /config-reloader/).map(byCmdline),
);

/** Nothing in it may be a function of the code under test. */
function mustNever(table: ProcessTable, pid: number): string | null {
  const stat = table.processes.get(pid);
  const argv = table.argv(pid);
  if (!stat) return "not in the table";
  if (!Number.isInteger(pid) || pid < 1 || pid > 4194304) return "no PID";
  if (pid === SELF || stat.comm === "config-reloader" || argv[0]?.endsWith("config-reloader")) return "self";
  if (stat.comm === "pause" && argv.length < 2 && (argv[0] ?? "pause").endsWith("pause")) return "pause";
  if (stat.comm.startsWith("runc:") || stat.comm === "crun" || argv.join(" ") === "runc init") {
    return "runtime";
  }
  if (stat.state === "Z" || stat.state === "X") return "dead";
  if (stat.kernelThread) return "kernel";
  if (pid === 1 && table.processes.get(2)?.kernelThread) return "the machine's init";
  return null;
}

Deno.test("select: over random tables never self, pause, runtime, dead, kernel or no PID, and one at most", () => {
  let chosen = 0;
  fc.assert(
    fc.property(anyTable, anyWanted, fc.boolean(), ({ list, self }, wanted, allowUnhandled) => {
      const table = tableOf([...list, { ...SIDECAR, ...self }]);
      const got = select(table, { ...OPTIONS, wanted, port: 8080 });
      if (got.kind === "none") {
        assert.ok(got.message.length > 20);
        return;
      }
      chosen++;
      assert.equal(mustNever(table, got.stat.pid), null);
      const judged = judgeHandler(table, got.stat, got.reason, 0, {
        signal: "SIGHUP",
        signalNumber: 1,
        allowUnhandled,
      });
      if (judged.kind === "target" && !allowUnhandled) {
        const status = table.status(got.stat.pid)!;
        assert.ok(status.caught & CAUGHT || (status.blocked & CAUGHT && table.ageMs(got.stat) >= 5000));
      }
      if (wanted.kind === "pid") assert.equal(got.stat.pid, wanted.pid);
    }),
    { numRuns: 5000 },
  );
  assert.ok(chosen > 200, `the tables are of use: ${chosen} had a target`);
});

Deno.test("select: auto takes the first process of a foreign container, or what that one wraps", () => {
  fc.assert(
    fc.property(anyTable, ({ list, self }) => {
      const table = tableOf([...list, { ...SIDECAR, ...self, ppid: 0 }]);
      const got = select(table, OPTIONS);
      if (got.kind === "none") return;
      let first = got.stat;
      while (first.ppid !== 0) first = table.processes.get(first.ppid)!;
      const container = table.container(first.pid);
      assert.notEqual(container, "sidecar");
      for (const other of table.processes.values()) {
        if (other.ppid === 0 && !other.kernelThread && table.container(other.pid) === container) {
          assert.ok(first.startTicks <= other.startTicks);
        }
      }
    }),
    { numRuns: 3000 },
  );
});

Deno.test("isPid holds for one process only", () => {
  for (const pid of [1, 2, 7, PID_MAX]) assert.equal(isPid(pid), true);
  for (const pid of [0, -1, 1.5, NaN, Infinity, -Infinity, PID_MAX + 1, 2 ** 32, 2 ** 53]) {
    assert.equal(isPid(pid), false);
  }
});

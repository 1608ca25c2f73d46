import assert from "node:assert/strict";
import fc from "fast-check";
import { judgeHandler } from "../../src/target/handler.ts";
import { isPid, PID_MAX } from "../../src/linux.ts";
import { select, type SelectOptions } from "../../src/target/select.ts";
import type { ProcessTable } from "../../src/target/table.ts";
import { isWrapperName, treeOf } from "../../src/target/tree.ts";
import type { Wanted } from "../../src/target/wanted.ts";
import { app, CAUGHT, type FakeProcess, PAUSE, SELF, SIDECAR, tableOf, targetOf } from "./fake_table.ts";
import { test } from "../support/strict.ts";

const AUTO: Wanted = { kind: "auto" };
const byPid = (pid: number): Wanted => ({ kind: "pid", pid, asked: `--pid ${pid}`, again: false });
const byFile = (pid: number): Wanted => ({ kind: "pid", pid, asked: "--pid-file /p", again: true });
const byName = (name: string): Wanted => ({ kind: "match", name, cmdline: null });
const byCmdline = (expression: RegExp): Wanted => ({
  kind: "match",
  name: null,
  cmdline: { source: expression.source, match: (lines) => lines.map((line) => expression.test(line)) },
});

const OPTIONS: SelectOptions = {
  wanted: AUTO,
  signal: "SIGHUP",
  port: 8080,
  mustListen: false,
  previous: null,
};

const pod = (...others: readonly FakeProcess[]) => [PAUSE, SIDECAR, ...others];

/** Who is there, and which PID is chosen, or the code of the refusal. */
type Case = readonly [
  name: string,
  list: readonly FakeProcess[],
  want: number | string,
  how?: Partial<SelectOptions> & { readonly says?: RegExp },
];

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
  ["the only application", pod(app(7)), 7, { says: /the only application container in the pod/ }],
  ["PID 1 with docker run --pid=container:app", [app(1), SIDECAR], 1, {
    says: /first process of the container whose process namespace is shared/,
  }],
  ["an exec in the app's container is younger", pod(EXEC, app(7)), 7],
  ["an exec with a lower PID, after PIDs wrapped", [PAUSE, { ...EXEC, pid: 3 }, SIDECAR, app(7)], 7],
  ["an exec in the sidecar's own container", pod(app(7), { ...EXEC, pid: 95, container: "sidecar" }), 7],
  ["a sidecar behind its own wrapper", [PAUSE, app(7), {
    pid: 80,
    comm: "tini",
    argv: ["tini"],
    container: "sidecar",
  }, { ...SIDECAR, ppid: 80 }], 7],
  ["a second config-reloader", pod(app(7), { ...SIDECAR, pid: 60, container: "other" }), 7],
  ["children of the app", pod(app(7), app(8, { container: "app7", ppid: 7 })), 7],
  ["pause with the app's user and handlers", [{ ...PAUSE, caught: CAUGHT }, SIDECAR], "not-there"],
  ["pause whose command line is not there yet", [{ ...PAUSE, argv: [] }, SIDECAR], "not-there"],
  ["OpenShift's pause", [
    { pid: 1, comm: "pod", argv: ["/usr/bin/pod"], container: "s", caught: CAUGHT },
    SIDECAR,
  ], "not-there"],
  ["Podman's pause", [{
    pid: 1,
    comm: "catatonit",
    argv: ["/catatonit", "-P"],
    container: "s",
    caught: CAUGHT,
  }, SIDECAR], "not-there"],
  [
    "an app named pause that takes arguments is an app",
    pod(app(7, { comm: "pause", argv: ["pause", "--music"] })),
    7,
  ],
  ["nobody else", [SIDECAR], "no-shared-process-namespace", { says: /shareProcessNamespace: true/ }],
  ["only the sidecar's own tree", [{ pid: 1, comm: "tini", argv: ["tini"], container: "sidecar" }, {
    ...SIDECAR,
    ppid: 1,
  }], "no-shared-process-namespace"],
  ["zombie", pod(app(7, { argv: [], state: "Z" })), "not-there"],
  ["one that is about to end", pod(app(7, { argv: [], state: "X", exe: null, ageMs: 100 })), "not-there", {
    says: /it has just ended; looking again/,
  }],
  [
    "a zombie's container: what was started beside it does not take its place",
    pod(app(7, { argv: [], state: "Z" }), EXEC),
    "not-there",
  ],
  [
    "the runtime before it becomes the app",
    pod(app(7, { comm: "runc:[2:INIT]", argv: ["runc", "init"] })),
    "runtime",
  ],
  ["crun", pod(app(7, { comm: "crun", argv: ["/usr/bin/crun", "init"] })), "runtime"],
  ["the runtime under another name", pod(app(7, { comm: "6", argv: ["/usr/bin/runc", "init"] })), "runtime"],
  [
    "crun by the title it gives itself",
    pod(app(7, { comm: "3", argv: ["[libcrun:create]", "--root", "/run/crun"] })),
    "runtime",
  ],
  [
    "the runtime started from its own executable",
    pod(app(7, { comm: "exe", argv: ["/proc/self/exe", "init"] })),
    "runtime",
  ],
  ["an app with an argument called init is an app", pod(app(7, { argv: ["/bin/amp", "init"] })), 7],
  [
    "an application in the sidecar's own container has to be named",
    [{ pid: 1, comm: "sh", argv: ["sh", "/start.sh"], container: "sidecar", startTicks: 1 }, {
      ...SIDECAR,
      ppid: 1,
    }, app(7, { container: "sidecar", ppid: 1 })],
    "own-container",
    { says: /name the application with --process-name.*shareProcessNamespace: true/ },
  ],
  ["another config-reloader and its own children are no such application", [
    { pid: 1, comm: "tini", argv: ["tini"], container: "sidecar" },
    { ...SIDECAR, ppid: 1 },
    { ...SIDECAR, pid: 95 },
    app(96, { container: "sidecar", ppid: SELF }),
  ], "no-shared-process-namespace"],
  ["two applications", pod(app(7), app(15, { comm: "envoy", argv: ["envoy"], uid: 1337 })), "ambiguous", {
    says:
      /PID 7 \(amp, user 65532\), PID 15 \(envoy, user 1337\).*--process-name, --process-cmdline or --pid-file/,
  }],
  [
    "two applications, one listens on the port of --reload-url",
    pod(app(7, { listens: 9000 }), app(15, { listens: 8080 })),
    15,
    { says: /of 2 it listens on port 8080/ },
  ],
  ["two applications, a child of one listens", pod(app(7), app(8, { ppid: 7, listens: 8080 }), app(15)), 7],
  ["two applications, both listen", pod(app(7, { listens: 8080 }), app(15, { listens: 8080 })), "ambiguous"],
  [
    "two applications, none listens yet on the port of the status URL: one of them is still starting",
    pod(app(7), app(15, { listens: 9000 })),
    "ambiguous",
    { mustListen: true, says: /none of them listens on port 8080 of --reload-url: PID 7 .*PID 15/ },
  ],
  ["two applications, the status URL is elsewhere", pod(app(7, { listens: 8080 }), app(15)), "ambiguous", {
    port: null,
    says: /2 processes may be the application: PID 7 /,
  }],
  [
    "nothing listens on the port of the status URL: an init container beside a native sidecar",
    pod(app(7)),
    "not-there",
    {
      mustListen: true,
      says: /nothing listens on port 8080 of --reload-url, so PID 7 \(amp, user 65532\) is not taken for it/,
    },
  ],
  [
    "the app is on its way out and its socket is still open: the other container is not taken for it",
    pod(app(7, { state: "X", listens: 8080 }), app(15)),
    "not-there",
    { mustListen: true, says: /PID 15 \(amp, user 65532\) is not taken for it/ },
  ],
  [
    "another process is on its way out: the app is seen to listen",
    pod(app(7, { state: "X" }), app(15), app(16, { ppid: 15, listens: 8080 })),
    15,
    { mustListen: true },
  ],
  ["the app listens on the port of the status URL", pod(app(7, { listens: 8080 })), 7, { mustListen: true }],
  [
    "the one that lost the tie is not the application when it is all that is left",
    pod(app(15, { listens: 9000 })),
    "not-there",
    { mustListen: true },
  ],
  [
    "the target of before stays when a debug container comes",
    pod(app(7), { ...EXEC, container: "debug", startTicks: 140 }),
    7,
    { previous: targetOf(7), mustListen: true, says: /^named by --pid$/ },
  ],
  ...[{ startTicks: 108 }, { comm: "other" }, { pid: 8 }].map((more): Case => [
    `another process than the target of before, by ${Object.keys(more)}, is no reason to choose it`,
    pod(app(7), app(40)),
    "ambiguous",
    { previous: { ...targetOf(7), ...more } },
  ]),
  [
    "the target of before, which has workers, stays when a debug container comes, also with --verify none",
    pod(app(7), app(8, { container: "app7", ppid: 7 }), app(40, { container: "debug" })),
    7,
    { previous: targetOf(7) },
  ],
  [
    "a process manager that was the target of before: the process below it that listens now",
    pod(app(7), app(8, { argv: ["app"], ppid: 7, listens: 8080 })),
    8,
    { previous: targetOf(7) },
  ],
  [
    "a shell that was the target of before, without a child then",
    pod(app(7, { comm: "sh", argv: ["sh", "-c", "amp"], caught: 0 }), app(8, { ppid: 7 })),
    "not-there",
    { previous: targetOf(7, { comm: "sh" }), mustListen: true, port: 9000 },
  ],
  [
    "the target of before has ended: no candidate takes its place for that",
    pod(app(7, { state: "Z" }), app(40), app(41)),
    "ambiguous",
    { previous: targetOf(7) },
  ],
  [
    "the target of before stays below its supervisor while its port is closed",
    pod(app(6, { comm: "runsvdir", argv: ["runsvdir", "/etc/sv"] }), app(7, { ppid: 6 })),
    7,
    { previous: targetOf(7) },
  ],
  [
    "a container that has restarted, its old process a zombie: the new one",
    pod(app(7, { state: "Z", container: "old" }), app(40, { listens: 8080 })),
    40,
    { previous: targetOf(7), mustListen: true },
  ],
  [
    "a target of before in the sidecar's own container: it was named then",
    [PAUSE, SIDECAR, app(7, { container: "sidecar", ppid: 80 }), app(15, { listens: 8080 })],
    15,
    { previous: targetOf(7), mustListen: true },
  ],
  [
    "a script that some interpreter runs is no supervisor",
    pod(app(7, { comm: "python3", argv: ["python3", "/app/serve.py"] })),
    7,
  ],
  // supervisors
  ...[
    app(6, { comm: "runsvdir", argv: ["runsvdir", "/etc/service"] }),
    app(6, { comm: "supervisord", argv: ["/usr/bin/python3", "/usr/bin/supervisord", "-n"] }),
    app(6, { comm: "python3", argv: ["python3", "/usr/bin/supervisord", "-n"] }),
    app(6, { comm: "s6-svscan", argv: ["s6-svscan", "/run/service"] }),
    app(6, { comm: "systemd", argv: ["/lib/systemd/systemd"] }),
    app(6, { comm: "node", argv: ["PM2 v5.3.0: God Daemon (/var/lib/pm2)"] }),
  ].flatMap((root): Case[] => {
    const name = `${root.comm} ${root.argv![0]}`;
    const [runsv, listens] = [app(7, { comm: "runsv", argv: ["runsv", "amp"], ppid: 6 }), { listens: 8080 }];
    return [
      [`${name}: the process below it that listens`, pod(root, runsv, app(8, { ppid: 7, ...listens })), 8, {
        mustListen: true,
        says: new RegExp(`only application container in the pod, started by ${root.comm} \\(PID 6\\)`),
      }],
      [
        `${name}: refused where the descriptors below it may not be read`,
        pod(root, app(8, { ppid: 6, isPrivate: true, ...listens })),
        "supervisor",
        {
          mustListen: true,
          says:
            /it is a supervisor.*none that can be seen listens on port 8080.*name the application with --process-name/,
        },
      ],
      [
        `${name}: refused where the status URL is elsewhere`,
        pod(root, app(8, { ppid: 6, ...listens })),
        "supervisor",
        { port: null, says: /--reload-url is not on this host/ },
      ],
    ];
  }),
  [
    "systemd that holds the socket for its service: the service",
    pod(app(6, { comm: "systemd", argv: ["/sbin/init"], listens: 8080 }), app(7, { ppid: 6, listens: 8080 })),
    7,
  ],
  [
    "a supervisor that holds the socket and has not started its service yet, beside another container",
    pod(app(6, { comm: "systemd", argv: ["/sbin/init"], listens: 8080 }), app(15)),
    "supervisor",
    { says: /PID 6 \(.*\): it is a supervisor.*name the application with --process-name/ },
  ],
  [
    "a supervisor behind tini that holds the socket for its program: the program",
    pod(
      app(5, { comm: "tini", caught: 0 }),
      app(6, { comm: "circusd", argv: ["circusd"], ppid: 5, listens: 8080 }),
      app(7, { ppid: 6, listens: 8080 }),
    ),
    7,
  ],
  [
    "a supervisor behind tini",
    pod(
      app(5, { comm: "tini", caught: 0 }),
      app(6, { comm: "runsvdir", ppid: 5 }),
      app(7, { ppid: 6, listens: 8080 }),
    ),
    7,
  ],
  [
    "a process manager that nobody knows: the process below it that listens",
    pod(app(6, { comm: "manager", argv: ["manager"] }), app(7, { ppid: 6, listens: 8080 })),
    7,
  ],
  [
    "a master that listens, and workers with its socket: the master",
    pod(app(6, { listens: 8080 }), app(7, { ppid: 6, listens: 8080 })),
    6,
  ],
  [
    "a master that leaves the socket to its worker, as HAProxy does: the master",
    pod(
      app(6, { comm: "haproxy", argv: ["haproxy", "-W", "-f", "/c"] }),
      app(7, { comm: "haproxy", argv: ["haproxy", "-W", "-f", "/c"], ppid: 6, listens: 8080 }),
    ),
    6,
  ],
  [
    "tini with a helper and the app: the one that listens",
    pod(
      app(6, { comm: "tini", caught: 0 }),
      app(7, { comm: "helper", ppid: 6 }),
      app(8, { ppid: 6, listens: 8080 }),
    ),
    8,
  ],
  [
    "a script that traps the signal gets it, although a program that it started listens",
    pod(app(6, { comm: "sh", argv: ["sh", "/run.sh"] }), app(7, { ppid: 6, listens: 8080 })),
    6,
  ],
  [
    "the application beside a container with a supervisor",
    pod(app(6, { comm: "runsvdir" }), app(7, { ppid: 6 }), app(15, { listens: 8080 })),
    15,
  ],
  [
    "--process-cmdline that s6-supervise has as an argument, too",
    pod(
      app(6, { comm: "s6-svscan", argv: ["s6-svscan", "/run/service"] }),
      app(7, { comm: "s6-supervise", argv: ["s6-supervise", "amp"], ppid: 6 }),
      app(8, { ppid: 7 }),
    ),
    8,
    { wanted: byCmdline(/amp/) },
  ],
  [
    "a whole machine",
    [{ pid: 1, comm: "systemd", argv: ["/sbin/init"], caught: CAUGHT }, {
      pid: 2,
      comm: "kthreadd",
      kernelThread: true,
    }, SIDECAR],
    "host-init",
    { says: /"systemd".*--process-name/ },
  ],
  // wrappers
  [
    "behind tini",
    pod(app(7, { comm: "tini", argv: ["tini", "--", "amp"], caught: 0 }), app(8, { ppid: 7 })),
    8,
    { says: /started by tini \(PID 7\)/ },
  ],
  [
    "behind dumb-init, which catches everything",
    pod(app(7, { comm: "dumb-init", argv: ["dumb-init", "amp"] }), app(8, { ppid: 7 })),
    8,
  ],
  [
    "tini with an orphan it adopted: the oldest child",
    pod(
      app(7, { comm: "tini", caught: 0 }),
      app(9, { startTicks: 300, ppid: 7 }),
      app(10, { startTicks: 200, ppid: 7 }),
    ),
    10,
  ],
  [
    "behind sh -c",
    pod(app(7, { comm: "sh", argv: ["sh", "-c", "amp; true"], caught: 0 }), app(8, { ppid: 7 })),
    8,
  ],
  [
    "behind tini and sh -c",
    pod(
      app(7, { comm: "tini", caught: 0 }),
      app(8, { comm: "bash", caught: 0, ppid: 7 }),
      app(9, { ppid: 8 }),
    ),
    9,
  ],
  [
    "a script that traps the signal",
    pod(app(7, { comm: "sh", argv: ["sh", "/entrypoint.sh"] }), app(8, { ppid: 7 })),
    7,
  ],
  [
    "a shell with two children",
    pod(app(7, { comm: "sh", caught: 0 }), app(8, { ppid: 7 }), app(9, { ppid: 7 })),
    "ambiguous",
  ],
  [
    "a shell with two children, one listens",
    pod(app(7, { comm: "sh", caught: 0 }), app(8, { ppid: 7 }), app(9, { ppid: 7, listens: 8080 })),
    9,
  ],
  [
    "a shell with a zombie child",
    pod(app(7, { comm: "sh", caught: 0 }), app(8, { ppid: 7, state: "Z" }), app(9, { ppid: 7 })),
    9,
  ],
  // --pid
  ["--pid", pod(app(7), app(15)), 15, { wanted: byPid(15) }],
  ["--pid 1 where it is the app", [app(1), SIDECAR], 1, { wanted: byPid(1) }],
  ["--pid 1 where it is pause", pod(app(7)), "pause", {
    wanted: byPid(1),
    says: /PID 1 .*named by --pid 1.*pause process.*--pid at auto.*--process-name/,
  }],
  [
    "--pid 1 on a whole machine",
    [{ pid: 1, comm: "systemd", argv: ["/sbin/init"], caught: CAUGHT }, {
      pid: 2,
      comm: "kthreadd",
      kernelThread: true,
    }, SIDECAR],
    "host-init",
    { wanted: byPid(1) },
  ],
  ["--pid of the sidecar", pod(app(7)), "self", { wanted: byPid(90) }],
  ["--pid of nobody", pod(app(7)), "not-there", { wanted: byPid(8) }],
  ["--pid of a zombie", pod(app(7, { state: "Z" })), "not-there", { wanted: byPid(7) }],
  ["--pid of the runtime", pod(app(7, { comm: "runc:[2:INIT]" })), "runtime", { wanted: byPid(7) }],
  ...[0, -1, 1.5, NaN, Infinity, 2 ** 32, PID_MAX + 1].map((pid): Case => [
    `--pid ${pid}`,
    pod(app(7)),
    "bad-pid",
    { wanted: byPid(pid), says: /an integer from 1 to 4194304/ },
  ]),
  // --process-name
  ["argv[0]'s base name", pod(app(7), app(15, { comm: "x", argv: ["/usr/sbin/nginx"] })), 15, {
    wanted: byName("nginx"),
  }],
  ["comm", pod(app(7), app(15, { comm: "nginx", argv: ["worker"] })), 15, { wanted: byName("nginx") }],
  [
    "one whose parent is not to be seen was not started by an exec",
    pod(app(7), app(15, { comm: "nginx", container: "app7", ppid: 55 })),
    15,
    { wanted: byName("nginx") },
  ],
  [
    "longer than 15 characters",
    pod(app(7, { comm: "prometheus-conf", argv: ["/bin/prometheus-config-reader"] })),
    7,
    { wanted: byName("prometheus-config-reader") },
  ],
  [
    "a cut name proves nothing",
    pod(app(7, { comm: "prometheus-conf", argv: ["title"], exe: null })),
    "not-there",
    { wanted: byName("prometheus-config-reader"), says: /visible are title/ },
  ],
  [
    "nginx: the master, not the workers",
    pod(
      app(7, { comm: "nginx", argv: ["nginx: master process nginx -g daemon off;"] }),
      ...[8, 9, 10].map((pid) =>
        app(pid, { comm: "nginx", argv: ["nginx: worker process"], container: "app7", ppid: 7 })
      ),
    ),
    7,
    { wanted: byName("nginx"), says: /the root of 4 that do/ },
  ],
  ["two trees", pod(app(7), app(8, { ppid: 7 }), app(15)), "ambiguous", {
    wanted: byName("amp"),
    says:
      /2 separate processes match --process-name "amp": PID 7 .*, PID 15.*with --process-cmdline or --pid-file$/,
  }],
  [
    "a probe that runs the same program in the same container",
    pod(app(7), { ...EXEC, comm: "amp", argv: ["amp", "-check"] }),
    7,
    { wanted: byName("amp") },
  ],
  [
    "a probe that runs the same program while the app is away behind its wrapper",
    pod(app(7, { comm: "sh", argv: ["sh", "/start.sh"], caught: 0 }), {
      ...EXEC,
      comm: "amp",
      argv: ["amp", "-check"],
    }),
    "not-there",
    { wanted: byName("amp") },
  ],
  ["the name of pause", pod(app(7)), "pause", { wanted: byName("pause") }],
  ["the name of the sidecar", pod(app(7)), "not-there", { wanted: byName("config-reloader") }],
  ["only a zombie", pod(app(7, { state: "Z" })), "not-there", { wanted: byName("amp") }],
  ["nothing visible", [SIDECAR], "not-there", { wanted: byName("amp"), says: /shareProcessNamespace: true/ }],
  // --process-cmdline
  [
    "the command line, never the sidecar's own",
    [
      PAUSE,
      { ...SIDECAR, argv: ["/config-reloader", "--process-cmdline", "amp.*serve"] },
      {
        pid: 89,
        comm: "sh",
        argv: ["sh", "-c", "config-reloader --process-cmdline 'amp.*serve' --interval 5s"],
        container: "x",
      },
      {
        ...SIDECAR,
        pid: 91,
        argv: ["/config-reloader", "check", "--process-cmdline=amp.*serve"],
        startTicks: 5000,
      },
      app(7, { argv: ["/bin/amp", "serve"] }),
      app(15),
    ],
    7,
    { wanted: byCmdline(/amp.*serve/) },
  ],
  [
    "the program, not the shell that starts it",
    pod(
      app(7, { comm: "sh", argv: ["sh", "-c", "amp serve; true"], caught: 0 }),
      app(8, { argv: ["amp", "serve"], ppid: 7 }),
    ),
    8,
    { wanted: byCmdline(/amp serve/) },
  ],
  ["a pattern that matches everything", pod(app(7)), 7, { wanted: byCmdline(/.*/) }],
];

for (const [name, list, want, { says, ...how } = {}] of CASES) {
  test(`select: ${name}`, () => {
    // The order in which /proc lists must not matter; the second round catches a pattern's lastIndex.
    for (const order of [list, [...list].reverse()]) {
      const got = select(tableOf(order), { ...OPTIONS, ...how });
      assert.equal(got.kind === "process" ? got.stat.pid : got.code, want, JSON.stringify(got));
      if (says) assert.match(got.kind === "process" ? got.reason : got.message, says);
    }
  });
}

test("select: hidepid is told apart from a missing namespace and a missing process, however the app is named", () => {
  const table = tableOf([SIDECAR], { isHidden: () => true });
  for (const wanted of [AUTO, byName("nginx"), byCmdline(/nginx/), byPid(7)]) {
    const got = select(table, { ...OPTIONS, wanted });
    assert.ok(got.kind === "none");
    assert.equal(got.code, "hidden-proc");
    assert.match(got.message, /hidepid.*runAsUser/);
  }
});

test("select: what was found out about each process, for check", () => {
  const traced = (list: readonly FakeProcess[], wanted: Wanted = AUTO) => {
    const notes = new Map<number, string>();
    const got = select(tableOf(list), { ...OPTIONS, wanted }, notes);
    return { notes: Object.fromEntries(notes), names: got.kind === "none" ? got.names : undefined };
  };
  const tini = app(15, { comm: "tini", argv: ["tini"], caught: 0 });
  const own = { ...EXEC, pid: 95, container: "sidecar" };
  const zombie = app(20, { state: "Z" });
  const amp = app(16, { ppid: 15, container: "app15" });
  assert.deepEqual(traced(pod(app(7), EXEC, own, tini, amp, zombie)), {
    notes: {
      1: "the pause process",
      7: "the first process of a container",
      16: "started by tini (PID 15)",
      20: "a zombie",
      40: "started beside a container's first process (exec, probe or hook)",
      90: "config-reloader itself",
      95: "started beside a container's first process (exec, probe or hook)",
    },
    names: ["amp"],
  });
  const wrapped = [PAUSE, app(80, { container: "sidecar" }), { ...SIDECAR, ppid: 80 }, app(7)];
  assert.equal(traced(wrapped).notes[80], "in config-reloader's own container");
  assert.deepEqual(
    traced(pod(app(7), { ...EXEC, comm: "amp", argv: ["amp"] }, app(8, { state: "Z" })), byName("amp")).notes,
    {
      7: "matches",
      8: "a zombie",
      40: "matches, but was started beside a container's first process (exec or probe)",
    },
  );
});

test("select: a thread is named as one", () => {
  const table = tableOf([PAUSE, SIDECAR, app(7)]);
  const status = { tgid: 7, uid: 0 };
  const got = select({ ...table, status: () => status }, { ...OPTIONS, wanted: byPid(9) });
  assert.ok(
    got.kind === "none" && got.code === "bad-pid" && /thread of PID 7/.test(got.message),
    JSON.stringify(got),
  );
});

test("select: what may pass by itself says so", () => {
  const again = (list: readonly FakeProcess[], wanted: Wanted = AUTO, mustListen = false) => {
    const got = select(tableOf(list), { ...OPTIONS, wanted, mustListen });
    return got.kind === "none" && got.again === true;
  };
  assert.equal(again([PAUSE, SIDECAR]), true);
  assert.equal(again([PAUSE, SIDECAR, app(7, { comm: "runc:[2:INIT]" })]), true);
  assert.equal(again([PAUSE, SIDECAR], byName("amp")), true);
  assert.equal(again([SIDECAR]), false);
  assert.equal(again([PAUSE, SIDECAR, app(7), app(15)]), false);
  assert.equal(again([PAUSE, SIDECAR, app(7), app(15)], AUTO, true), true, "its port may open");
  const both = [app(7, { listens: 8080 }), app(15, { listens: 8080 })];
  assert.equal(again([PAUSE, SIDECAR, ...both], AUTO, true), false);
  assert.equal(again([PAUSE, SIDECAR], byPid(1)), false);
  // A PID file that fits no process: one that is half-written, or is left over and names a thread now.
  assert.deepEqual([byPid(2 ** 32), byFile(2 ** 32)].map((wanted) => again([SIDECAR], wanted)), [
    false,
    true,
  ]);
  const threads = tableOf([SIDECAR], { status: () => ({ tgid: 7, uid: 0 }) });
  const ofThread = select(threads, { ...OPTIONS, wanted: byFile(9) });
  assert.deepEqual(ofThread.kind === "none" && [ofThread.code, ofThread.again], ["bad-pid", true]);
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
    "systemd",
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

test("select: over random tables never self, pause, runtime, dead, kernel or no PID, and one at most", () => {
  let chosen = 0;
  fc.assert(
    fc.property(anyTable, anyWanted, fc.boolean(), ({ list, self }, wanted, allowUnhandled) => {
      const table = tableOf([...list, { ...SIDECAR, ...self }]);
      const got = select(table, { ...OPTIONS, wanted });
      if (got.kind === "none") {
        assert.ok(got.message.length > 20);
        return;
      }
      chosen++;
      assert.equal(mustNever(table, got.stat.pid), null);
      if (wanted.kind === "auto") assert.notEqual(got.stat.comm, "systemd");
      const judged = judgeHandler(table, got.stat, got.reason, 0, {
        signal: "SIGHUP",
        allowUnhandled,
      });
      if (judged.kind === "target" && !allowUnhandled) {
        const { caught, blocked } = got.stat;
        assert.ok(caught & CAUGHT || (blocked & CAUGHT && table.ageMs(got.stat) >= 5000));
      }
      if (wanted.kind === "pid") assert.equal(got.stat.pid, wanted.pid);
    }),
    { numRuns: 5000 },
  );
  assert.ok(chosen > 200, `the tables are of use: ${chosen} had a target`);
});

test("a loop of parents, as a table may hold that was read while processes came and went, has an end", () => {
  const table = tableOf([SIDECAR, app(5, { ppid: 6 }), app(6, { ppid: 5 })]);
  const pids = [...treeOf(table, table.processes.get(5)!)].map(({ pid }) => pid);
  assert.deepEqual(pids, [5, 6]);
});

test("select: the target of before that listened stays, whatever comes, while exactly it lives", () => {
  let kept = 0;
  const later = anyTable.map(({ list }) =>
    list.map((one) => ({ ...one, pid: one.pid + 100, container: "new" }))
  );
  const options = { ...OPTIONS, mustListen: true };
  fc.assert(
    fc.property(anyTable, later, ({ list: all, self }, others) => {
      const list = all.filter(({ pid }) => isPid(pid));
      const sidecar = { ...SIDECAR, ...self, ppid: 0 };
      const before = select(tableOf([...list, sidecar]), options);
      if (before.kind === "none" || isWrapperName(before.stat.comm)) return;
      const { pid, startTicks, comm } = before.stat;
      // Below the first process of another container there is none of the sidecar's own.
      if (list.find((one) => one.pid === pid)!.container === "sidecar") return;
      kept++;
      const previous = targetOf(pid, { startTicks, comm });
      const whole = select(tableOf([...list, sidecar, ...others]), { ...options, previous });
      assert.equal(whole.kind === "process" && whole.stat.pid, pid);
    }),
    { numRuns: 5000 },
  );
  assert.ok(kept > 100, `the tables are of use: ${kept} were kept`);
});

test("select: auto takes the first process of a foreign container, or what that one wraps", () => {
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

test("isPid holds for one process only", () => {
  for (const pid of [1, 2, 7, PID_MAX]) assert.equal(isPid(pid), true);
  for (const pid of [0, -1, 1.5, NaN, Infinity, -Infinity, PID_MAX + 1, 2 ** 32, 2 ** 53]) {
    assert.equal(isPid(pid), false);
  }
});

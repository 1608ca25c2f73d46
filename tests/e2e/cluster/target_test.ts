/**
 * Who gets the signal under a real kubelet, in namespaces that enforce Pod Security `restricted`: pause, runtime, probes and execs
 * as they really are. Each test looks at everybody in the pod afterwards; must never take silence for proof.
 */

import assert from "node:assert/strict";
import { until } from "../../support/poll.ts";
import { sha256 } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";
import {
  APP_IMAGE,
  configMap,
  createNamespace,
  type Manifest,
  type Namespace,
  podManifest,
  type PodOptions,
  RESTRICTED,
} from "./support.ts";

const CONFIG_MOUNT = { name: "config", mountPath: "/etc/amp", readOnly: true };

/** A container of the app's image beside the app. */
function container(name: string, more: Manifest): Manifest {
  return { name, image: APP_IMAGE, imagePullPolicy: "Never", securityContext: RESTRICTED, ...more };
}

/** A second application in the pod, which would take the signal as the first one does; it listens on 8081. */
function bystander(more: Manifest = {}): Manifest {
  return container("other", {
    args: ["--config", "/etc/amp/config.yaml", "--port", "8081"],
    volumeMounts: [CONFIG_MOUNT],
    ...more,
  });
}

/** What the app on a port counted. */
async function counts(ns: Namespace, pod: string, port = 8080): Promise<Manifest> {
  const url = `http://127.0.0.1:${port}/control`;
  return JSON.parse(await ns.exec(pod, port === 8080 ? "app" : "other", ["wget", "-qO-", url]));
}

/** The hash of the content as the sidecar sees it. */
async function hashOf(ns: Namespace, pod: string): Promise<string> {
  return /config_reload_config_info\{hash="(\w+)"\} 1/.exec(await ns.http(pod, 9091, "/metrics"))?.[1] ?? "";
}

/** Makes a change with `act` and waits until the sidecar has seen it; `arrived` asks in another way where its hash says nothing. */
async function untilSeen(
  ns: Namespace,
  pod: string,
  act: () => Promise<unknown>,
  arrived?: () => Promise<boolean>,
): Promise<void> {
  const before = await hashOf(ns, pod);
  const seen = arrived ?? (async () => await hashOf(ns, pod) !== before);
  await act();
  await ns.untilArrived(pod, `a change to arrive in pod ${pod}`, seen);
}

/** Swaps the content in; the sidecar has seen it then. */
async function change(ns: Namespace, text: string, pod = "pod"): Promise<void> {
  await untilSeen(ns, pod, () => ns.setConfig("config", { "config.yaml": text }));
}

/** Swaps the content in and waits until the sidecar has proved `total` reloads. */
async function changeAndProve(ns: Namespace, text: string, total: number, pod = "pod"): Promise<void> {
  await change(ns, text, pod);
  await metricIs(ns, "config_reload_successes_total", total, pod);
}

async function metricIs(ns: Namespace, name: string, value: number, pod = "pod"): Promise<void> {
  let last: unknown;
  await until(`${name} to be ${value}`, async () => (last = await ns.metric(pod, name)) === value, {
    everyMs: 100,
  }).catch(async (error) => {
    throw new Error(`${error} (${last})\n${await ns.logs(pod, "config-reloader")}`);
  });
}

/** Fails where a container of the pod was restarted but the sidecar by the test: all of them lived through it. */
async function assertNobodyHurt(ns: Namespace, pod = "pod", sidecarRestarts = 0): Promise<void> {
  const { status } = await ns.get("pod", pod);
  for (const { name, restartCount, state } of status.containerStatuses) {
    assert.deepEqual(
      [name, restartCount, Object.keys(state)],
      [name, name === "config-reloader" ? sidecarRestarts : 0, ["running"]],
      JSON.stringify(status.containerStatuses),
    );
  }
}

/** The processes of a pod with a shared process namespace: PID and command line. */
async function processes(ns: Namespace, pod = "pod"): Promise<{ pid: number; command: string }[]> {
  const lines = (await ns.exec(pod, "app", ["ps", "-o", "pid,args"])).trim().split("\n").slice(1);
  return lines.map((line) => {
    const [, pid, command] = /^\s*(\d+)\s+(.*)$/.exec(line)!;
    return { pid: Number(pid), command: command! };
  });
}

/** The PID in the pod of the first process whose command line has `part`. */
async function pidOf(ns: Namespace, part: string, pod = "pod"): Promise<number> {
  const all = await processes(ns, pod);
  const found = all.find(({ command }) => command.includes(part));
  assert.ok(found, `no process ${part} in ${JSON.stringify(all)}`);
  return found.pid;
}

test("target: among a second application, probes and a kubectl exec the right process, and nobody is hurt", async () => {
  await using ns = await createNamespace("crowd");
  const probe = {
    livenessProbe: { exec: { command: ["/bin/sleep", "0.9"] }, periodSeconds: 1, timeoutSeconds: 10 },
  };
  const sidecarArgs = ["--config-file=/etc/amp/config.yaml", "--reload-on-start=never"];
  const pod = podManifest({ sidecarArgs, app: probe, containers: [bystander(probe)] });
  pod["spec"].containers.unshift(pod["spec"].containers.pop()); // the other application is the older one
  await ns.apply([configMap("config", { "config.yaml": "a: 1\n" }), pod]);
  await ns.untilReady("pod");
  const loops = ["app", "other"].map((name) =>
    ns.exec("pod", name, [
      "sh",
      "-c",
      `trap 'echo got-"hup"' HUP; echo begun; while :; do sleep 0.2; : ${name}-loop; done`,
    ]).then((text) => text, (error: Error) => error.message)
  );
  const ours = async (name: string) => await pidOf(ns, `${name}-loop`);
  for (const name of ["app", "other"]) {
    await until(`the exec in ${name}`, () => ours(name), { everyMs: 200 });
  }
  for (let i = 1; i <= 2; i++) await changeAndProve(ns, `a: ${i + 1}\n`, i);
  // A sidecar that comes now finds the execs there at its first look.
  await ns.exec("pod", "app", ["kill", `${await pidOf(ns, "/config-reloader")}`]);
  await until("the next sidecar to be ready", async () => {
    const { status } = await ns.get("pod", "pod");
    return status.containerStatuses.some(({ name, ready, restartCount }: Manifest) =>
      name === "config-reloader" && ready && restartCount === 1
    );
  }, { everyMs: 200 });
  for (let i = 1; i <= 2; i++) await changeAndProve(ns, `b: ${i + 1}\n`, i);
  for (const name of ["app", "other"]) await ns.exec("pod", name, ["kill", "-9", `${await ours(name)}`]);
  for (const text of await Promise.all(loops)) {
    assert.match(text, /exit code 137/, "the exec lived until this test ended it");
    assert.match(text, /begun/);
    assert.doesNotMatch(text, /got-hup/);
  }
  assert.equal((await counts(ns, "pod"))["signals"], 4);
  assert.equal((await counts(ns, "pod", 8081))["signals"], 0, "the other application was signalled");
  await assertNobodyHurt(ns, "pod", 1);
  const events = JSON.parse(await ns.kubectl(["get", "events", "-o", "json"])).items as Manifest[];
  const probes = events.filter(({ reason, involvedObject }) =>
    reason === "Unhealthy" && !involvedObject.fieldPath.includes("config-reloader")
  );
  assert.deepEqual(probes.map(({ message }) => message), [], "a probe was hurt");
});

test("target: two candidates that nothing tells apart, nobody is signalled, and check has the fix", async () => {
  await using ns = await createNamespace("two");
  const args = ["--config-file=/etc/amp/config.yaml", "--reload-url=http://localhost:8099/health/reload"];
  const early = podManifest({ name: "early", sidecarArgs: args, containers: [bystander()] });
  early["spec"].containers.push(early["spec"].containers.splice(1, 1)[0]); // the sidecar comes last
  const late = podManifest({ name: "late", sidecarArgs: args, containers: [bystander()] });
  await ns.apply([configMap("config", { "config.yaml": "a: 1\n" }), early, late]);
  const says = /2 processes may be the application.*PID \d+ \(deno, user 65532\).*--process-name/;
  for (const pod of ["early", "late"]) {
    await ns.untilReady(pod);
    if (pod === "early") {
      await ns.untilLog(pod, new RegExp(`WARN.*Target: .*${says.source}`));
      assert.equal(await ns.metric(pod, "config_reload_attempts_total"), 0, "told before the first change");
    }
    await change(ns, `pod: ${pod}\n`, pod);
    await ns.untilLog(pod, says);
    await metricIs(ns, "config_reload_in_sync", 0, pod);
    const { code, text } = await ns.check(pod, args);
    assert.equal(code, 1, text);
    assert.match(text, says);
    // Both are called deno: that name would not tell them apart.
    assert.match(text, /- --process-cmdline=PATTERN/);
    assert.deepEqual([(await counts(ns, pod))["signals"], (await counts(ns, pod, 8081))["signals"]], [0, 0]);
    await assertNobodyHurt(ns, pod);
  }
});

/** A pod whose app cannot be signalled, or would not see the change. */
interface Unreached {
  readonly name: string;
  readonly namespace: string;
  readonly pod: PodOptions;
  /** What the log says at the start, and with the failure; and `check`, beside its fix. */
  readonly says: RegExp;
  readonly fix: RegExp;
  readonly staleMounts?: number;
}

const UNREACHED: readonly Unreached[] = [
  {
    name: "different users",
    namespace: "users",
    pod: { app: { securityContext: { ...RESTRICTED, runAsUser: 65533 } } },
    says:
      /Cannot send SIGHUP to PID \d+ \(\S+\): operation not permitted, since it runs as user 65533 and config-reloader runs as user 65532; set securityContext\.runAsUser to the same value in both containers, for example runAsUser: 65533/,
    fix: /securityContext:\n\s+runAsUser: 65533/,
  },
  {
    name: "no shared process namespace",
    namespace: "unshared",
    pod: { spec: { shareProcessNamespace: false } },
    says:
      /No process of another container is visible, so there is nobody to signal: set shareProcessNamespace: true in the pod's spec/,
    fix: /spec:\n\s+shareProcessNamespace: true/,
  },
  {
    name: "an app with a subPath mount",
    namespace: "stale",
    pod: {
      app: { volumeMounts: [{ name: "config", mountPath: "/etc/amp/config.yaml", subPath: "config.yaml" }] },
    },
    says: /\/etc\/amp\/config\.yaml.*subPath/,
    fix: /without subPath/,
    staleMounts: 1,
  },
];

for (const { name, namespace, pod, says, fix, staleMounts = 0 } of UNREACHED) {
  test(`target: ${name}: told at the start and counted, nobody is signalled or hurt, and check has the fix`, async () => {
    await using ns = await createNamespace(namespace);
    await ns.apply([configMap("config", { "config.yaml": "a: 1\n" }), podManifest(pod)]);
    await ns.untilReady("pod");
    await ns.untilLog("pod", new RegExp(`WARN.*${says.source}`));
    assert.equal(await ns.metric("pod", "config_reload_attempts_total"), 0, "told before the first change");
    await change(ns, "a: 2\n");
    await ns.untilLog("pod", new RegExp(`ERROR.*${says.source}`));
    await metricIs(ns, "config_reload_in_sync", 0);
    assert.ok(await ns.metric("pod", 'config_reload_outcomes_total{outcome="failed"}') >= 1);
    await metricIs(ns, 'config_reload_stale_mounts{container="app",reason="subpath"}', staleMounts);
    assert.equal(
      await ns.metric("pod", 'config_reload_stale_mounts{container="sidecar",reason="subpath"}'),
      0,
    );
    const { code, text } = await ns.check("pod", ["--config-file=/etc/amp/config.yaml"]);
    assert.equal(code, 1, text);
    assert.match(text, says);
    assert.match(text, fix);
    assert.equal((await counts(ns, "pod"))["signals"], 0);
    await assertNobodyHurt(ns);
  });
}

test("target: pause may be signalled with the pod's runAsUser, and is not, by any way to name it", async () => {
  await using ns = await createNamespace("pause");
  const spec = { securityContext: { runAsUser: 65532, runAsNonRoot: true, fsGroup: 65532 } };
  // TERM is the signal that pause would take: it ends, and the pod with it.
  const ways = ["--pid=1", "--process-name=pause", "--process-cmdline=pause"];
  const args = ["--config-file=/etc/amp/config.yaml", "--signal=SIGTERM", "--allow-unhandled-signal"];
  await ns.apply([
    configMap("config", { "config.yaml": "a: 1\n" }),
    podManifest({ name: "auto", spec }),
    ...ways.map((way, i) => podManifest({ name: `way-${i}`, spec, sidecarArgs: [...args, way] })),
  ]);
  for (const [i, way] of ways.entries()) {
    const pod = `way-${i}`;
    await ns.untilReady(pod);
    await ns.exec(pod, "app", ["kill", "-0", "1"]); // it would be permitted
    await change(ns, `way: ${i}\n`, pod);
    await ns.untilLog(pod, /WARN.*it is the pause process.*--process-name/);
    await metricIs(ns, "config_reload_in_sync", 0, pod);
    assert.match((await processes(ns, pod))[0]!.command, /^\/?pause$/, `pause after ${way}`);
    await assertNobodyHurt(ns, pod);
  }
  await ns.untilReady("auto");
  const before = await ns.metric("auto", "config_reload_successes_total");
  await changeAndProve(ns, "auto: 1\n", before + 1, "auto");
  const app = await pidOf(ns, "/app.ts", "auto");
  await ns.untilLog("auto", new RegExp(`Sending SIGHUP to main process \\(PID ${app}\\)`));
  await assertNobodyHurt(ns, "auto");
});

/** Ends by itself twice, soon after its start, then stays; tells at each SIGHUP and start what it has read. */
const SHORT_LIVED = `
n=0; [ -e /scratch/n ] && n=$(cat /scratch/n)
echo $((n + 1)) > /scratch/n
trap 'echo "read $(cat /etc/amp/config.yaml)"' HUP
echo "read $(cat /etc/amp/config.yaml)"
i=0; while [ $i -lt 15 ] || [ $n -ge 2 ]; do i=$((i + 1)); sleep 0.1; done
exit 7
`;
/** Changes a plain file all the time: whatever moment of the app's start there is, a change falls into it. */
const RESTLESS = `
i=0; while [ ! -e /scratch/stop ]; do
i=$((i + 1)); echo $i > /scratch/new; mv /scratch/new /scratch/fast.yaml; sleep 0.02
done; exec sleep 1000000
`;

test("target: the app restarts again and again while changes arrive: never StartError, in sync in the end", async () => {
  await using ns = await createNamespace("again");
  const volumeMounts = [CONFIG_MOUNT, { name: "scratch", mountPath: "/scratch" }];
  const pod = (name: string): Manifest => {
    const manifest = podManifest({
      name,
      sidecarArgs: [
        "--config-file=/etc/amp/config.yaml",
        "--config-file=/scratch/fast.yaml",
        // The app, and the runtime that becomes it; not the writer.
        "--process-cmdline=trap .echo|init$",
        "--verify=none",
        "--delay-interval=0s",
        "--min-reload-interval=0s",
        "--reload-timeout=20ms",
        "--poll-interval=20ms",
        "--http-timeout=20ms",
        "--retry-interval=20ms",
        "--interval=200ms",
      ],
      app: { command: ["/bin/sh", "-c", SHORT_LIVED], args: [], volumeMounts },
      sidecar: { volumeMounts },
      spec: { volumes: [{ name: "scratch", emptyDir: {} }] },
    });
    const [app, sidecar] = manifest["spec"].containers;
    // The sidecar is there before the app, so that it sees the runtime become the app each time.
    const writer = container("writer", { command: ["/bin/sh", "-c", RESTLESS], args: [], volumeMounts });
    manifest["spec"].containers = [sidecar, writer, app];
    return manifest;
  };
  const pods = ["one", "two", "three", "four"];
  await ns.apply([configMap("config", { "config.yaml": "a: 1" }), ...pods.map(pod)]);
  await Promise.all(pods.map(async (name) => {
    await until(`the last start of the app of ${name}`, async () => {
      const status = await ns.containerStatus(name, "app");
      return status["restartCount"] >= 2 && status["state"].running;
    }, { everyMs: 300 });
  }));
  await Promise.all(pods.map((name) => ns.exec(name, "writer", ["touch", "/scratch/stop"])));
  for (const name of pods) {
    const readLast = async () => /read a: last\n$/.test(await ns.logs(name, "app"));
    await untilSeen(ns, name, () => ns.setConfig("config", { "config.yaml": "a: last" }), readLast);
    await metricIs(ns, "config_reload_in_sync", 1, name);
    const { restartCount, lastState } = await ns.containerStatus(name, "app");
    assert.deepEqual(
      [restartCount, lastState.terminated.exitCode, lastState.terminated.reason],
      [2, 7, "Error"],
      `${await ns.kubectl(["get", "events"])}\n${await ns.logs(name, "config-reloader")}`,
    );
    const signalled = await ns.metric(name, "config_reload_successes_total");
    assert.ok(signalled > 20, `only ${signalled} signals: changes arrived all the time`);
    const { restartCount: ours } = await ns.containerStatus(name, "config-reloader");
    assert.equal(ours, 0);
  }
  const events = await ns.kubectl(["get", "events"]);
  assert.doesNotMatch(events, /StartError|failed to (create|start)/);
});

test("target: Secret and projected volumes: each change is proved, and no secret is told", async () => {
  await using ns = await createNamespace("volumes");
  const secret = (name: string, value: string) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name },
    stringData: { "config.yaml": value },
  });
  const volumeMounts = [
    { name: "secret", mountPath: "/etc/secret", readOnly: true },
    { name: "projected", mountPath: "/etc/projected", readOnly: true },
  ];
  const sources = [
    { configMap: { name: "config", items: [{ key: "config.yaml", path: "conf.d/main.yaml" }] } },
    { secret: { name: "second", items: [{ key: "config.yaml", path: "conf.d/password" }] } },
    { downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
  ];
  await ns.apply([
    configMap("config", { "config.yaml": "a: 1\n" }),
    secret("first", "hidden-one"),
    secret("second", "hidden-two"),
    podManifest({
      app: { args: ["--config", "/etc/secret/config.yaml", "--port", "8080"], volumeMounts },
      sidecar: { volumeMounts },
      sidecarArgs: ["--config-file=/etc/secret/config.yaml", "--watched-dir=/etc/projected"],
      spec: {
        volumes: [
          { name: "secret", secret: { secretName: "first" } },
          { name: "projected", projected: { sources } },
        ],
      },
    }),
  ]);
  await ns.untilReady("pod");
  await metricIs(ns, "config_reload_files", 4);
  await untilSeen(ns, "pod", () => ns.apply([secret("first", "hidden-three")]));
  await metricIs(ns, "config_reload_successes_total", 1);
  assert.equal((await counts(ns, "pod"))["hash"], await sha256("hidden-three"));
  await changeAndProve(ns, "a: 2\n", 2);
  await untilSeen(ns, "pod", () => ns.apply([secret("second", "hidden-four")]));
  await metricIs(ns, "config_reload_successes_total", 3);
  await untilSeen(ns, "pod", () => ns.kubectl(["label", "pod", "pod", "colour=blue"]));
  await metricIs(ns, "config_reload_successes_total", 4);
  assert.equal((await counts(ns, "pod"))["signals"], 4);
  for (const text of [await ns.logs("pod", "config-reloader"), await ns.http("pod", 9091, "/status")]) {
    assert.doesNotMatch(text, /hidden-/);
  }
  await assertNobodyHurt(ns);
});

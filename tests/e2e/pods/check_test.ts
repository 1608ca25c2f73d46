/** `config-reloader check` in pods made of namespaces: needs what `pod_namespace.ts` says. */

import assert from "node:assert/strict";
import type { Finding } from "../../../src/commands/check/finding.ts";
import {
  type Pod,
  type PodConfig,
  type PodOptions,
  type PodProcess,
  type PodSidecar,
  podTest,
} from "../../support/pod_namespace.ts";
import { createKubeletVolume, VOLUMES } from "../../support/kubelet.ts";
import { freePort } from "../../support/scene.ts";

const USER = 65532;
const ESCAPE = String.fromCharCode(27);
const AMP = {
  status: "success",
  attempts: 3,
  split_state: false,
  healthy: true,
  last_reload: "2026-11-24T08:00:00Z",
};

/** A volume with one file, and a place to mount it. */
async function makeVolume(pod: Pod): Promise<{ volume: string; payload: string; mounted: string }> {
  const volume = createKubeletVolume(`${pod.dir}/${VOLUMES}/cfg`, { "config.yaml": "v: 1\n" });
  const mounted = `${pod.dir}/etc`;
  await Deno.mkdir(mounted);
  return { volume: volume.dir, payload: volume.payload(), mounted };
}

podTest("check: all is well, word for word; nobody is signalled and nothing changes", {}, async (pod) => {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.json(AMP),
  );
  const { volume, mounted } = await makeVolume(pod);
  const setup = `mount --bind ${volume} ${mounted}`;
  const app = await pod.start({ program: "amp", args: ["handle", "workers=1"], uid: USER, setup });
  const probe = await pod.start({ program: "probe", args: ["handle"], container: "amp", uid: USER });
  const sidecar = await pod.sidecar({ uid: USER, setup });
  const before = [...Deno.readDirSync(volume)].map((entry) => entry.name).sort();
  const config = {
    configFiles: [`${mounted}/config.yaml`],
    reloadUrl: `http://127.0.0.1:${server.addr.port}/health/reload`,
    metricsPort: 0,
  };
  const { code, text } = await sidecar.check(config);
  const plain = text.replaceAll(mounted, "/etc/amp").replaceAll(`${server.addr.port}`, "8080");
  assert.equal(
    plain,
    `config-reloader 0.1.0 check

Watched paths
✓ /etc/amp/config.yaml: 5 bytes, a volume that is swapped as a whole
✓ 1 file in the content, hash ecd05c925a11

Watcher
✓ Kernel events for 1 directory, and a full re-check every 5 s

Target
✓ PID ${app.pid} (amp, user 65532): the only application container in the pod
    PID ${probe.pid} (probe, user 65532): started beside a container's first process (exec, probe or hook)
    PID 1 (pause, user 65535): the pause process
    PID ${sidecar.pid} (deno, user 65532): config-reloader itself
✓ User 65532 may send SIGHUP to it
✓ It has a handler for SIGHUP
✓ amp sees updates of its mount /etc/amp

Status URL and trigger
✓ http://127.0.0.1:8080/health/reload answers in AMP's format: success, 3 reloads tried

Own server
✓ Can listen on a free port, which the log will name

Nothing stands in the way of a reload
`,
  );
  assert.equal(code, 0);
  assert.deepEqual([...Deno.readDirSync(volume)].map((entry) => entry.name).sort(), before);
  for (const process of [app, probe]) assert.ok(process.isAlive() && process.hups().length === 0);
  const json = JSON.parse((await sidecar.check({ ...config, logFormat: "json" })).text);
  assert.deepEqual(
    [json.ok, json.findings.map((finding: Finding) => `${finding.area} ${finding.level} ${finding.code}`)],
    [true, [
      "paths ok swapped",
      "paths ok content",
      "watcher ok inotify",
      "target ok target",
      "target ok permitted",
      "target ok handled",
      "target ok app-mount",
      "status ok status",
      "server ok port",
    ]],
  );
});

/** Faults and warnings of `check` with their YAML: what a user acts on. */
async function faultsOf(pod: Pod, config: PodConfig, setup = "", sidecar?: PodSidecar) {
  const asked = sidecar ?? await pod.sidecar({ uid: USER, setup });
  const { code, text } = await asked.check({
    configFiles: [pod.config],
    verify: "none",
    metricsPort: 0,
    logFormat: "json",
    ...config,
  });
  const { findings } = JSON.parse(text) as { findings: Finding[] };
  const shown = findings.filter((finding) => finding.level !== "ok" && finding.code !== "unverified");
  return { code, codes: shown.map((finding) => finding.code), shown };
}

/** A pod in which something is wrong. */
interface FaultCase {
  readonly name: string;
  readonly options?: PodOptions;
  /** Users of the apps, by name; `amp` of the sidecar's user where nothing is said. */
  readonly apps?: Readonly<Record<string, number>>;
  readonly config?: PodConfig | ((pod: Pod) => PodConfig);
  /** Shell text that runs as root in the app's container, and in the sidecar's, before the program. */
  readonly setup?: (
    volume: Awaited<ReturnType<typeof makeVolume>>,
  ) => { readonly app?: string; readonly own?: string };
  readonly codes: readonly string[];
  /** What the findings say, with their YAML. */
  readonly says: readonly RegExp[];
}

const mounted = (pod: Pod) => ({ configFiles: [`${pod.dir}/etc/config.yaml`] });

const FAULTS: readonly FaultCase[] = [
  {
    name: "without shareProcessNamespace",
    options: { pause: null },
    apps: {},
    codes: ["no-shared-process-namespace"],
    says: [/^spec:\n {2}shareProcessNamespace: true$/m],
  },
  {
    name: "different users",
    apps: { amp: 1000 },
    codes: ["permission"],
    says: [
      /PID \d+ \(amp\).*user 1000.*user 65532.*securityContext\.runAsUser.*runAsUser: 1000/,
      /securityContext:\n {6}runAsUser: 1000$/m,
    ],
  },
  {
    name: "two candidates",
    apps: { amp: USER, envoy: USER },
    codes: ["ambiguous"],
    says: [
      /args:\n {6}- --process-name=(amp|envoy)$/m,
      /one of amp, envoy/,
      /first process of a container[^]*first process of a container/,
    ],
  },
  { name: "pause named by --pid 1", config: { pid: 1 }, codes: ["pause"], says: [] },
  {
    name: "what may not be written, and a single file that is mounted",
    config: (pod) => ({ ...mounted(pod), outputDir: `${pod.dir}/closed/new` }),
    setup: ({ volume, mounted }) => ({
      own:
        `mkdir -m 755 ${mounted}/../closed; touch ${mounted}/config.yaml; echo v: 1 > ${volume}/plain.yaml; ` +
        `mount --bind ${volume}/plain.yaml ${mounted}/config.yaml`,
    }),
    codes: ["file-mount", "output", "app-no-mount"],
    says: [/permission denied: mode 0755, owner 0:0, this process is 65532:65532/, /runAsUser: 0/],
  },
  {
    name: "the app's mount never changes",
    config: mounted,
    setup: ({ volume, payload, mounted }) => ({
      app: `mount --bind ${payload} ${mounted}`,
      own: `mount --bind ${volume} ${mounted}`,
    }),
    codes: ["app-subpath"],
    says: [/name: APP_CONTAINER {2}# the one that runs amp\n {4}volumeMounts:/],
  },
  {
    name: "the sidecar's own subPath, and an app without the volume",
    config: mounted,
    setup: ({ payload, mounted }) => ({ own: `mount --bind ${payload} ${mounted}` }),
    codes: ["subpath", "app-no-mount"],
    says: [/mountPath: .*# a directory, without subPath/],
  },
  {
    name: "a file by subPath inside the watched directory",
    config: (pod) => ({ configFiles: [], watchedDirs: [`${pod.dir}/etc`] }),
    setup: ({ payload, mounted }) => ({
      own: `touch ${mounted}/config.yaml; mount --bind ${payload}/config.yaml ${mounted}/config.yaml`,
    }),
    codes: ["subpath"],
    says: [],
  },
  {
    name: "files that are missing or may not be read",
    config: ({ dir }) => ({ configFiles: [`${dir}/etc/secret.yaml`, `${dir}/etc/none.yaml`] }),
    setup: ({ mounted }) => ({ own: `echo v: 1 > ${mounted}/secret.yaml; chmod 600 ${mounted}/secret.yaml` }),
    codes: ["missing", "unreadable"],
    says: [/fsGroup: 65532/, /--config-file=.*\/secret\.yaml$/m],
  },
];

for (const { name, options = {}, apps = { amp: USER }, config = {}, setup, codes, says } of FAULTS) {
  podTest(`check: ${name}`, options, async (pod) => {
    const { app = "", own = "" } = setup?.(await makeVolume(pod)) ?? {};
    const started: PodProcess[] = [];
    for (const [program, uid] of Object.entries(apps)) {
      started.push(await pod.start({ program, args: ["handle"], uid, setup: app }));
    }
    const found = await faultsOf(pod, typeof config === "function" ? config(pod) : config, own);
    assert.deepEqual([found.code, found.codes], [1, codes]);
    const text = found.shown.flatMap((
      { message, details = [], fix },
    ) => [message, ...details, fix?.say, fix?.yaml])
      .join("\n");
    for (const pattern of says) assert.match(text, pattern);
    for (const process of started) assert.ok(process.isAlive() && process.hups().length === 0);
  });
}

podTest("check: no handler yet", {}, async (pod) => {
  // The program is loaded first: on a busy machine that alone may take the 5 s for which a process is young.
  const sidecar = await pod.sidecar({ uid: USER });
  await faultsOf(pod, {}, "", sidecar);
  await pod.start({ program: "amp", args: ["late"], uid: USER });
  const young = await faultsOf(pod, {}, "", sidecar);
  assert.deepEqual([young.code, young.codes], [0, ["starting"]]);
});

podTest("check: names with control characters and HTML, and a hostile command line", {}, async (pod) => {
  const evil = `<b>${ESCAPE}[2J\u202e`;
  const app = await pod.start({ program: evil, args: ["handle", `comm=${ESCAPE}[31m\n<i>`], uid: USER });
  // Nothing in the random name of the directory, of hex digits, may match the expression below.
  const hostile = "a".repeat(60_000);
  const other = await pod.start({ program: "envoy", args: ["handle", hostile], uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  const config = { configFiles: [pod.config], verify: "none", metricsPort: 0 } as const;
  const all = await sidecar.check(config);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(all.text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  assert.match(all.text, /PID \d+ \(<b>\\u001b\[2J\\u202e, user 65532\)/);
  for (const logFormat of ["text", "json"] as const) {
    const { code, text } = await sidecar.check({ ...config, processCmdline: "(a+)+!", logFormat });
    assert.equal(code, 1);
    assert.match(text, /No process matches --process-cmdline/);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  }
  assert.deepEqual([app.hups(), other.hups()], [[], []]);
});

podTest(
  "check and healthcheck take the settings of the sidecar that runs in their container",
  {},
  async (pod) => {
    const app = await pod.start({ program: "amp", args: ["handle"], uid: USER });
    const metricsPort = freePort();
    await using _server = Deno.serve(
      { port: metricsPort, hostname: "127.0.0.1", onListen: () => {} },
      () => new Response("ok"),
    );
    const args = [
      "--process-name=nginx",
      `--config-file=${pod.config}`,
      `--metrics-port=${metricsPort}`,
    ];
    // An actor under the sidecar's name, behind tini: what counts is its command line.
    const running = await pod.start({
      program: "/usr/bin/tini",
      args: ["-s", "--", await pod.install("config-reloader"), ...args],
      container: "sidecar",
      uid: USER,
      setup: "export CONFIG_RELOADER_VERIFY=none INTERVAL=9s",
    });
    const exec = await pod.sidecar({ uid: USER });
    const { code, text } = await exec.ask("check");
    const [first] = text.split("\n");
    assert.equal(
      first,
      `config-reloader 0.1.0 check, with the settings of the running config-reloader (PID ${running.pid}): ` +
        "3 flags, 2 variables",
    );
    assert.equal(code, 1);
    assert.match(text, /✗ No process matches --process-name "nginx".* \[not-there\]/);
    assert.match(text, /a full re-check every 9 s/);
    const won = await exec.ask("check", "--process-name=amp");
    assert.match(won.text, new RegExp(`✓ PID ${app.pid} \\(amp, user ${USER}\\): matches --process-name`));
    const json = JSON.parse((await exec.ask("check", "--log-format=json")).text);
    assert.deepEqual(json.settingsOf, { pid: running.pid, flags: 3, variables: 2 });
    const health = await exec.ask("healthcheck");
    assert.deepEqual([health.code, health.text], [
      0,
      `ok: http://127.0.0.1:${metricsPort}/healthz (settings of the running config-reloader, PID ${running.pid})`,
    ]);
    // Another user's variables may not be read: those of the container's exec count.
    const other = await pod.sidecar({ uid: 1000 });
    assert.match((await other.ask("check")).text, /: 3 flags, 0 variables\n/);
    // In a container without one it is as before.
    const alone = await pod.sidecar({ uid: USER, container: "alone" });
    assert.match((await alone.ask("check", "--verify=none")).text, /^config-reloader 0\.1\.0 check\n/);
    assert.equal(app.hups().length, 0);
  },
);

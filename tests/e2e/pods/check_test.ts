/** `config-reloader check` in pods made of namespaces, and on a terminal: needs what `pod_namespace.ts` says, and script(1). */

import assert from "node:assert/strict";
import type { Finding } from "../../../src/commands/check/finding.ts";
import { type Pod, type PodConfig, type PodSidecar, podTest } from "../../support/pod_namespace.ts";
import { test } from "../../support/strict.ts";

const USER = 65532;
const ESCAPE = String.fromCharCode(27);
const AMP = {
  status: "success",
  attempts: 3,
  split_state: false,
  healthy: true,
  last_reload: "2026-11-24T08:00:00Z",
};

/** A status URL, in the network namespace that the pods of these tests share with the machine. */
function serveStatus(body: unknown, status = 200) {
  return Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.json(body, { status }),
  );
}

/** A volume with one file, as kubelet lays it out. */
async function makeVolume(pod: Pod): Promise<{ volume: string; payload: string; mounted: string }> {
  const volume = `${pod.dir}/pods/1/volumes/kubernetes.io~configmap/cfg`;
  const payload = `${volume}/..2026_11_24_08_16_55.1234567890`;
  const mounted = `${pod.dir}/etc`;
  await Deno.mkdir(payload, { recursive: true });
  await Deno.mkdir(mounted);
  await Deno.writeTextFile(`${payload}/config.yaml`, "v: 1\n");
  await Deno.symlink("..2026_11_24_08_16_55.1234567890", `${volume}/..data`);
  await Deno.symlink("..data/config.yaml", `${volume}/config.yaml`);
  return { volume, payload, mounted };
}

podTest("check: all is well, word for word; nobody is signalled and nothing changes", {}, async (pod) => {
  const server = serveStatus(AMP);
  try {
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
  } finally {
    await server.shutdown();
  }
});

/** Faults and warnings with their YAML: what a user acts on. */
async function faultsOf(pod: Pod, config: PodConfig, setup = "", sidecar?: PodSidecar) {
  const asked = sidecar ?? await pod.sidecar({ uid: USER, setup });
  const { code, text } = await asked.check({ verify: "none", metricsPort: 0, logFormat: "json", ...config });
  const { findings } = JSON.parse(text) as { findings: Finding[] };
  const shown = findings.filter((finding) => finding.level !== "ok" && finding.code !== "unverified");
  return {
    code,
    codes: shown.map((finding) => finding.code),
    yaml: shown.map((finding) => finding.fix?.yaml ?? "").join("\n"),
    shown,
  };
}

podTest("check: without shareProcessNamespace", { pause: null }, async (pod) => {
  await Deno.writeTextFile(`${pod.dir}/config.yaml`, "v: 1\n");
  const { code, codes, yaml } = await faultsOf(pod, { configFiles: [`${pod.dir}/config.yaml`] });
  assert.deepEqual([code, codes], [1, ["no-shared-process-namespace"]]);
  assert.match(yaml, /^spec:\n {2}shareProcessNamespace: true$/m);
});

podTest("check: different users", {}, async (pod) => {
  await Deno.writeTextFile(`${pod.dir}/config.yaml`, "v: 1\n");
  const app = await pod.start({ program: "amp", args: ["handle"], uid: 1000 });
  const { code, codes, yaml } = await faultsOf(pod, { configFiles: [`${pod.dir}/config.yaml`] });
  assert.deepEqual([code, codes], [1, ["permission"]]);
  assert.match(yaml, /securityContext:\n {6}runAsUser: 1000$/m);
  assert.ok(app.isAlive());
});

podTest("check: two candidates", {}, async (pod) => {
  await Deno.writeTextFile(`${pod.dir}/config.yaml`, "v: 1\n");
  await pod.start({ program: "amp", args: ["handle"], uid: USER });
  await pod.start({ program: "envoy", args: ["handle"], uid: USER });
  const { code, codes, yaml, shown } = await faultsOf(pod, { configFiles: [`${pod.dir}/config.yaml`] });
  assert.deepEqual([code, codes], [1, ["ambiguous"]]);
  assert.match(yaml, /args:\n {6}- --process-name=(amp|envoy)$/m);
  assert.match(shown[0]!.fix!.say, /one of amp, envoy/);
  assert.equal(shown[0]!.details!.filter((line) => /first process of a container/.test(line)).length, 2);
});

podTest("check: names with control characters and HTML, and a hostile command line", {}, async (pod) => {
  await Deno.writeTextFile(`${pod.dir}/config.yaml`, "v: 1\n");
  const evil = `<b>${ESCAPE}[2J\u202e`;
  const app = await pod.start({ program: evil, args: ["handle", `comm=${ESCAPE}[31m\n<i>`], uid: USER });
  // Nothing in the random name of the directory, of hex digits, may match the expression below.
  const hostile = "a".repeat(60_000);
  const other = await pod.start({ program: "envoy", args: ["handle", hostile], uid: USER });
  const sidecar = await pod.sidecar({ uid: USER });
  const config = { configFiles: [`${pod.dir}/config.yaml`], verify: "none", metricsPort: 0 } as const;
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
    await Deno.writeTextFile(`${pod.dir}/config.yaml`, "v: 1\n");
    const app = await pod.start({ program: "amp", args: ["handle"], uid: USER });
    const port = Deno.listen({ port: 0 });
    const metricsPort = port.addr.port;
    port.close();
    const server = Deno.serve(
      { port: metricsPort, hostname: "127.0.0.1", onListen: () => {} },
      () => new Response("ok"),
    );
    try {
      const args = [
        "--process-name=nginx",
        `--config-file=${pod.dir}/config.yaml`,
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
    } finally {
      await server.shutdown();
    }
  },
);

podTest("check: what may not be written, and a single file that is mounted", {}, async (pod) => {
  const { volume, mounted } = await makeVolume(pod);
  await Deno.writeTextFile(`${mounted}/config.yaml`, "");
  await Deno.mkdir(`${pod.dir}/closed`, { mode: 0o755 });
  await pod.start({ program: "amp", args: ["handle"], uid: USER });
  const { codes, yaml, shown } = await faultsOf(pod, {
    configFiles: [`${mounted}/config.yaml`],
    outputDir: `${pod.dir}/closed/new`,
  }, `echo v: 1 > ${volume}/plain.yaml; mount --bind ${volume}/plain.yaml ${mounted}/config.yaml`);
  assert.deepEqual(codes, ["file-mount", "output", "app-no-mount"]);
  assert.match(shown[1]!.message, /permission denied: mode 0755, owner 0:0, this process is 65532:65532/);
  assert.match(yaml, /runAsUser: 0/);
});

podTest("check: pause named by --pid 1", {}, async (pod) => {
  await Deno.writeTextFile(`${pod.dir}/config.yaml`, "v: 1\n");
  await pod.start({ program: "amp", args: ["handle"], uid: USER });
  const { code, codes } = await faultsOf(pod, { configFiles: [`${pod.dir}/config.yaml`], pid: 1 });
  assert.deepEqual([code, codes], [1, ["pause"]]);
});

podTest("check: mounts that never change, the sidecar's and the app's", {}, async (pod) => {
  const { volume, payload, mounted } = await makeVolume(pod);
  const config = { configFiles: [`${mounted}/config.yaml`] };
  await pod.start({
    program: "amp",
    args: ["handle"],
    uid: USER,
    setup: `mount --bind ${payload} ${mounted}`,
  });
  const app = await faultsOf(pod, config, `mount --bind ${volume} ${mounted}`);
  assert.deepEqual([app.code, app.codes], [1, ["app-subpath"]]);
  assert.match(app.yaml, /name: APP_CONTAINER {2}# the one that runs amp\n {4}volumeMounts:/);
});

podTest("check: the sidecar's own subPath, and an app without the volume", {}, async (pod) => {
  const { payload, mounted } = await makeVolume(pod);
  await pod.start({ program: "amp", args: ["handle"], uid: USER });
  const own = await faultsOf(
    pod,
    { configFiles: [`${mounted}/config.yaml`] },
    `mount --bind ${payload} ${mounted}`,
  );
  assert.deepEqual([own.code, own.codes], [1, ["subpath", "app-no-mount"]]);
  assert.match(own.yaml, /mountPath: .*# a directory, without subPath/);
  const file = `touch ${mounted}/config.yaml; mount --bind ${payload}/config.yaml ${mounted}/config.yaml`;
  const inside = await faultsOf(pod, { configFiles: [], watchedDirs: [mounted] }, file);
  assert.equal(inside.codes[0], "subpath");
});

podTest("check: files that are missing or may not be read", {}, async (pod) => {
  await pod.start({ program: "amp", args: ["handle"], uid: USER });
  const secret = `${pod.dir}/secret.yaml`;
  await Deno.writeTextFile(secret, "v: 1\n", { mode: 0o600 });
  const { code, codes, yaml } = await faultsOf(pod, { configFiles: [secret, `${pod.dir}/none.yaml`] });
  assert.deepEqual([code, codes.sort()], [1, ["missing", "unreadable"]]);
  assert.match(yaml, /fsGroup: 65532/);
  assert.match(yaml, /--config-file=.*\/secret\.yaml$/m);
});

podTest("check: no handler", {}, async (pod) => {
  await Deno.writeTextFile(`${pod.dir}/config.yaml`, "v: 1\n");
  const config = { configFiles: [`${pod.dir}/config.yaml`] };
  // The program is loaded first: on a busy machine that alone may take the 5 s for which a process is young.
  const sidecar = await pod.sidecar({ uid: USER });
  await faultsOf(pod, config, "", sidecar);
  await pod.start({ program: "amp", args: ["late"], uid: USER });
  const young = await faultsOf(pod, config, "", sidecar);
  assert.deepEqual([young.code, young.codes], [0, ["starting"]]);
});

test("check: coloured on a terminal only, and not with NO_COLOR", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/config.yaml`, "v: 1\n");
    const main = new URL("../../../main.ts", import.meta.url).pathname;
    const args = ["run", "-A", "--no-check", main, "check", "--config-file", `${dir}/config.yaml`];
    args.push("--trigger=http", "--trigger-url=http://localhost:8080/", "--verify=none", "--metrics-port=0");
    const command = [Deno.execPath(), ...args].join(" ");
    const run = async (program: string, argv: string[], env: Record<string, string>) => {
      const { stdout, success } = await new Deno.Command(program, {
        args: argv,
        env: { NO_COLOR: "", ...env },
        stdin: "null",
      }).output();
      const text = new TextDecoder().decode(stdout);
      assert.ok(success && text.includes("Watched paths"), text);
      return text.includes(ESCAPE);
    };
    // script(1), of util-linux as unshare is, gives it a terminal.
    assert.equal(await run("script", ["-qec", command, "/dev/null"], {}), true);
    assert.equal(await run("script", ["-qec", command, "/dev/null"], { NO_COLOR: "1" }), false);
    assert.equal(await run(Deno.execPath(), args, {}), false);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

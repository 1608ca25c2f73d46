/** The parts of `config-reloader check` that need no pod: status URL, own port, directory, marks and fixes. */

import assert from "node:assert/strict";
import { parse as parseYaml } from "yaml";
import { createClock } from "../../src/clock.ts";
import { runCheck } from "../../src/commands/check.ts";
import { checkApp } from "../../src/commands/check/app.ts";
import { checkDisk } from "../../src/commands/check/disk.ts";
import { type Finding, renderText } from "../../src/commands/check/finding.ts";
import { fileFix, mountFix, targetFix, volumeFix } from "../../src/commands/check/fixes.ts";
import { checkServer } from "../../src/commands/check/server.ts";
import type { Config } from "../../src/config.ts";
import { TARGET_CODES, type TargetCode } from "../../src/codes.ts";
import type { StatusReading } from "../../src/model.ts";
import { createSnapshotReader } from "../../src/watch/reader.ts";
import { createTestConfig } from "../support/config.ts";
import { type Amp, amp as ampStatus, prometheus as prometheusStatus } from "../support/status.ts";
import { test } from "../support/strict.ts";

const ESCAPE = String.fromCharCode(27);

const STATUSES: readonly [string, Partial<Config>, StatusReading, string, string][] = [
  ["refused", {}, { kind: "error", reason: "connection refused" }, "fault", "status-unusable"],
  ["amp after a failure", {}, amp({ status: "failed" }), "warn", "status-failed"],
  ["amp in a split state", {}, amp({ splitState: true }), "warn", "status-failed"],
  ["amp", {}, amp({}), "ok", "status"],
  ["prometheus", {}, prometheus(true), "ok", "status"],
  ["prometheus after a failure", {}, prometheus(false), "warn", "status-failed"],
  [
    "json",
    { verify: "json" },
    { kind: "status", status: { format: "json", ok: true, token: '"7"' } },
    "ok",
    "status",
  ],
  [
    "json that does not hold",
    { verify: "json", verifyOk: { pointer: "/status", value: "ok" } },
    { kind: "status", status: { format: "json", ok: false, token: null } },
    "warn",
    "status-failed",
  ],
  ["HTTP 200 as asked for", { verify: "http" }, http(200), "ok", "status"],
  ["HTTP 200 of no known format", {}, http(200), "warn", "status-weak"],
  ["HTTP 503", {}, http(503), "fault", "status-code"],
];

function amp(more: Partial<Amp>): StatusReading {
  return { kind: "status", status: ampStatus({ attempts: 1, ...more }) };
}
function prometheus(successful: boolean): StatusReading {
  return { kind: "status", status: prometheusStatus(successful, 1) };
}
function http(code: number): StatusReading {
  return { kind: "status", status: { format: "http", code } };
}

test("check: an unusable status has the fix of its cause", async () => {
  const cases: readonly [StatusReading, string, RegExp][] = [
    [{ kind: "error", reason: "HTTP 401" }, "http://app:80/s", /--bearer-token-file=/],
    [{ kind: "error", reason: "HTTP 403, no status" }, "http://app:80/s", /--bearer-token-file=/],
    [http(401), "http://app:80/s", /--bearer-token-file=/],
    [
      { kind: "error", reason: "the server does not speak TLS on this port" },
      "https://app:80/s",
      /--reload-url=http:\/\/app:80\/s/,
    ],
    [
      { kind: "error", reason: "certificate is signed by an unknown authority; see --ca-file" },
      "https://app:80/s",
      /--ca-file=/,
    ],
    [
      { kind: "error", reason: "certificate is not valid for this host name" },
      "https://app:80/s",
      /--reload-url=https:\/\/NAME_IN_THE_CERTIFICATE:80\/s/,
    ],
    [
      { kind: "error", reason: "the answer is not HTTP/1.1; if the server speaks TLS, use https://" },
      "http://app:80/s",
      /--reload-url=https:/,
    ],
    [{ kind: "error", reason: "timed out after 5s" }, "http://app:80/s", /--http-timeout=15s/],
    [
      { kind: "error", reason: "there is no /config/hash in the JSON" },
      "http://app:80/s",
      /--verify-token=\/PATH/,
    ],
    [
      { kind: "error", reason: "HTTP 405, no status" },
      "http://app:80/-/reload",
      /--trigger=http\n.*--trigger-url=http:\/\/app:80\/-\/reload\n.*--reload-url=/,
    ],
    [
      { kind: "error", reason: "connection refused" },
      "http://app:80/s",
      /--reload-url=http:\/\/localhost:PORT/,
    ],
  ];
  for (const [reading, reloadUrl, wanted] of cases) {
    const [finding] = await checkApp(createTestConfig({ reloadUrl }), {
      read: () => Promise.resolve(reading),
    });
    assert.equal(finding!.level, "fault");
    assert.match(finding!.fix!.yaml!, wanted, finding!.message);
    parseYaml(finding!.fix!.yaml!);
  }
});

for (const [name, config, reading, level, code] of STATUSES) {
  test(`check: status URL, ${name}`, async () => {
    const [finding] = await checkApp(createTestConfig(config), { read: () => Promise.resolve(reading) });
    assert.deepEqual([finding!.level, finding!.code], [level, code], finding!.message);
    if (level === "fault") assert.match(finding!.fix!.yaml!, /--reload-url=/);
  });
}

test("check: triggers are named, and never tried", async () => {
  const probe = { read: () => Promise.resolve(amp({})) };
  const trigger = async (more: Partial<Config>) =>
    (await checkApp(createTestConfig(more), probe)).slice(1).map((f) => f.message);
  assert.deepEqual(await trigger({}), []);
  assert.match((await trigger({ trigger: "none" }))[0]!, /--trigger none/);
  const [url] = await trigger({ trigger: "http", triggerUrls: ["http://user:secret@localhost:1/-/reload"] });
  assert.match(url!, /POST http:.*localhost:1\/-\/reload, not tried now/);
  assert.doesNotMatch(url!, /secret/);
});

test("check: the own port, taken by somebody else or by a running config-reloader", async () => {
  for (
    const [body, code] of [["hello", "fault port-taken"], ["config_reloader_build_info 1\n", "ok port-ours"]]
  ) {
    const server = Deno.serve({ port: 0, onListen: () => {} }, () => new Response(body));
    try {
      const findings = await checkServer(createTestConfig({ metricsPort: server.addr.port }));
      assert.deepEqual(findings.map(({ level, code }) => `${level} ${code}`), [code]);
      if (code === "fault port-taken") assert.match(findings[0]!.fix!.yaml!, /--metrics-port=9091/);
    } finally {
      await server.shutdown();
    }
  }
  const free = await checkServer(createTestConfig({ metricsPort: 0 }));
  assert.deepEqual(free.map((finding) => finding.level), ["ok"]);
  assert.deepEqual(await checkServer(createTestConfig({ once: true })), []);
  const broken = await checkServer(
    createTestConfig({
      metricsPort: 0,
      authFile: "/nonexistent",
      tlsCertFile: "/nonexistent",
      tlsKeyFile: "/nonexistent",
    }),
  );
  assert.deepEqual(broken.map((finding) => finding.code), ["auth-file", "tls-file"]);
  assert.ok(broken.every(({ fix }) => parseYaml(fix!.yaml!).spec.volumes.length === 1));
});

test("check: a FIFO in the directory, and polling as configured", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/config.yaml`, "v: 1\n");
    const codes = async (more: Partial<Config>) => {
      let text = "";
      const config = createTestConfig({
        configFiles: [`${dir}/config.yaml`],
        trigger: "none",
        verify: "none",
        metricsPort: 0,
        logFormat: "json",
        ...more,
      });
      await runCheck(
        { config, warnings: ["a warning"], taken: null, runChecks: false, environment: {} },
        (part) => Promise.resolve(void (text += part)),
      );
      return (JSON.parse(text).findings as Finding[]).map((finding) => `${finding.area} ${finding.code}`);
    };
    assert.deepEqual(await codes({}), [
      "settings setting",
      "paths plain",
      "paths content",
      "watcher inotify",
      "status unverified",
      "status no-trigger",
      "server port",
    ]);
    assert.ok((await codes({ watchMethod: "poll" })).includes("watcher poll"));
    assert.ok((await new Deno.Command("mkfifo", { args: [`${dir}/pipe`] }).output()).success);
    assert.ok((await codes({})).includes("watcher fifo"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

test("check: each path tells of its own files, and a brace is no wildcard", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for (const name of ["a.yaml", "b.yaml", "c.json", "sub/d.yaml", "{e}.txt"]) {
      await Deno.mkdir(`${dir}/sub`, { recursive: true });
      await Deno.writeTextFile(`${dir}/${name}`, "v: 1\n");
    }
    const config = createTestConfig({
      configFiles: [`${dir}/*.yaml`, `${dir}/*.json`, `${dir}/{e}.txt`],
      watchedDirs: [`${dir}/sub`],
      watchMethod: "poll",
    });
    const clock = createClock();
    const { findings } = await checkDisk(config, createSnapshotReader(config, clock), clock);
    assert.deepEqual(findings.filter(({ code }) => code === "plain").map(({ message }) => message), [
      `${dir}/*.yaml: 2 files, 10 bytes, plain, settles before it counts`,
      `${dir}/*.json: 5 bytes, plain, settles before it counts`,
      `${dir}/{e}.txt: 5 bytes, plain, settles before it counts`,
      `${dir}/sub: 5 bytes, plain, settles before it counts`,
    ]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

test("check: what the running sidecar knows of its mounts, files in a watched directory included, is said in its words", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/a.yaml`, "v: 1\n");
    const config = createTestConfig({ configFiles: [], watchedDirs: [dir], watchMethod: "poll" });
    const clock = createClock();
    const find = async (mountPoint: string) => {
      const stale = {
        container: "sidecar",
        reason: "subpath",
        mountPoint,
        message: "never changes",
      } as const;
      const reader = { ...createSnapshotReader(config, clock), staleMounts: () => [stale] };
      const { findings } = await checkDisk(config, reader, clock);
      return findings.filter(({ area }) => area === "paths");
    };
    const inside = await find(`${dir}/a.yaml`);
    assert.deepEqual(inside.map(({ code }) => code), ["subpath", "plain", "content"]);
    assert.deepEqual([inside[0]!.level, inside[0]!.message], ["fault", "never changes"]);
    assert.match(inside[0]!.fix!.yaml!, new RegExp(`mountPath: ${dir} `));
    assert.deepEqual((await find(dir)).map(({ code }) => code), ["subpath", "content"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

test("check: what is missing is said once, with the directory to mount; what is no content is left out", async () => {
  const dir = await Deno.makeTempDir();
  const find = async (more: Partial<Config>) => {
    const config = createTestConfig({ configFiles: [], watchMethod: "poll", ...more });
    const clock = createClock();
    const { findings } = await checkDisk(config, createSnapshotReader(config, clock), clock);
    return findings.filter(({ area }) => area === "paths");
  };
  const mountPath = (finding: Finding) =>
    parseYaml(finding.fix!.yaml!).spec.containers[0].volumeMounts[0].mountPath;
  try {
    await Deno.writeTextFile(`${dir}/a.yaml`, "v: 1\n");
    const cases: readonly [Partial<Config>, string][] = [
      [{ configFiles: [`${dir}/no/b.yaml`] }, `${dir}/no`],
      [{ configFiles: [`${dir}/no/*.json`] }, `${dir}/no`],
      [{ watchedDirs: [`${dir}/no`] }, `${dir}/no`],
    ];
    for (const [config, directory] of cases) {
      const findings = await find(config);
      assert.deepEqual(findings.map(({ code }) => code), ["missing"], JSON.stringify(findings));
      assert.equal(mountPath(findings[0]!), directory);
    }
    const [key] = await find({ configFiles: [`${dir}/gone.yaml`] });
    assert.match(key!.fix!.say, /^the volume has a\.yaml: name one of them, or put the key "gone\.yaml"/);
    assert.match(key!.fix!.yaml!, new RegExp(`--config-file=${dir}/a.yaml`));
    const [pattern] = await find({ configFiles: [`${dir}/*.json`] });
    assert.equal(pattern!.fix!.say, "the volume has a.yaml, which the pattern does not match");
    const [root] = await find({ configFiles: ["/no-such-file.yaml"] });
    assert.match(root!.fix!.yaml!, /--config-file=\/PATH\/OF\/A\/FILE$/);
    const [directory] = await find({ configFiles: [dir] });
    assert.match(directory!.fix!.yaml!, new RegExp(`--watched-dir=${dir}`));
    const [large] = await find({ configFiles: [`${dir}/a.yaml`], maxFileSizeBytes: 1 });
    assert.match(large!.fix!.yaml!, /--max-file-size=/);
    const [device] = await find({ configFiles: ["/dev/null"] });
    assert.match(device!.fix!.yaml!, /--config-file=/);
    // Where a link leads stands in the words, and is no reason.
    const out = await Deno.makeTempFile({ prefix: "missing permission" });
    await Deno.mkdir(`${dir}/d`);
    await Deno.symlink(out, `${dir}/d/link`);
    const [outside] = await find({ watchedDirs: [`${dir}/d`], outputDir: `${dir}-out` });
    assert.equal(outside!.code, "bad-file");
    assert.match(outside!.fix!.say, /^remove the link/);
    await Deno.remove(out);
    await Deno.remove(`${dir}/d`, { recursive: true });
    await Deno.symlink(`${dir}/nowhere`, `${dir}/link`);
    const [left] = await find({ watchedDirs: [dir] });
    assert.deepEqual([left!.level, left!.code], ["warn", "bad-file"]);
    assert.match(left!.message, /^Left ".*\/link" out of the content: /);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

test("check: colours mark the lines, and the marks say the same without", () => {
  const findings: Finding[] = [
    { area: "paths", level: "ok", code: "plain", message: "fine" },
    { area: "target", level: "warn", code: "starting", message: "wait" },
    {
      area: "server",
      level: "fault",
      code: "port-taken",
      message: "taken",
      fix: { say: "change it", yaml: "a:\n  b" },
    },
  ];
  const plain = renderText(findings, false, null);
  const coloured = renderText(findings, true, null);
  assert.ok(!plain.includes(ESCAPE));
  assert.ok(coloured.includes(`${ESCAPE}[32m✓${ESCAPE}[0m fine`));
  assert.equal(coloured.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, "g"), ""), plain);
  const command = renderText([{ ...findings[0]!, fix: { say: "do it", command: "kubectl x" } }], false, null);
  assert.match(command, /→ do it:\n {6}kubectl x\n/);
  assert.match(plain, /✗ taken \[port-taken\]\n {4}→ change it:\n {6}a:\n {8}b\n/);
  assert.match(plain, /1 fault to fix, 1 warning\n$/);
});

test("check: every fix can be pasted, and says what to set", () => {
  const fixOf = (code: TargetCode, config: Partial<Config> = {}, names = ["amp: x", "envoy"]) =>
    targetFix({ code, uid: 1000, names }, createTestConfig(config));
  const wanted: readonly [TargetCode, string][] = [
    ["no-shared-process-namespace", "shareProcessNamespace"],
    ["own-container", "--process-name=NAME"],
    ["host-init", "hostPID"],
    ["ambiguous", "--process-cmdline=PATTERN"],
    ["not-there", "--process-name"],
    ["bad-pid", "--process-name"],
    ["self", "--process-name"],
    ["pause", "--process-name"],
    ["hidden-proc", "runAsUser"],
    ["permission", "runAsUser"],
    ["no-handler", "--trigger=http"],
    ["pid-file", "--process-name"],
  ];
  for (const [code, part] of wanted) {
    const { yaml, say } = fixOf(code, { processName: "amp" });
    assert.ok(JSON.stringify(parseYaml(yaml!)).includes(part), `${code}: ${yaml}`);
    assert.ok(say.length > 10 && !say.endsWith("."));
  }
  for (const code of Object.keys(TARGET_CODES) as TargetCode[]) {
    for (const by of [{}, { pid: 7 }, { pidFile: "/p" }, { processName: "amp" }]) {
      const { yaml, command } = fixOf(code, by);
      assert.ok(yaml ?? command, code);
      parseYaml(yaml ?? "");
    }
  }
  assert.match(fixOf("not-there", { pidFile: "/p" }).say, /mount a volume/);
  // A name that several have does not tell them apart.
  assert.match(fixOf("ambiguous").yaml!, /--process-name=amp: x/);
  const alike = fixOf("ambiguous", {}, ["node"]).yaml!;
  assert.match(alike, /- --process-cmdline=PATTERN/);
  assert.doesNotMatch(alike, /--process-name/);
  for (
    const fix of [
      mountFix("x", { process: "amp" }, "/etc/a b"),
      volumeFix("/etc/x: y"),
      fileFix({ path: "/x", fault: "denied" })!,
    ]
  ) {
    parseYaml(fix.yaml!);
  }
  assert.deepEqual(
    parseYaml(mountFix("x", "config-reloader", "/etc/a: #b").yaml!).containers[0].volumeMounts[0].mountPath,
    "/etc/a: #b",
  );
});

/** `config-reloader check` on what stands between the content and its trigger. */

import assert from "node:assert/strict";
import { parse as parseYaml } from "yaml";
import { createClock } from "../../src/clock.ts";
import { checkDisk } from "../../src/commands/check/disk.ts";
import { checkPreparing, findProgram, whyNotWritable } from "../../src/commands/check/preparing.ts";
import type { Config } from "../../src/config.ts";
import { createSnapshotReader } from "../../src/watch/reader.ts";
import { createTestConfig } from "../support/config.ts";
import { testInDir } from "../support/in_dir.ts";

const ENVIRONMENT = { PATH: "/usr/bin:/bin", HOST: "app" };

async function find(dir: string, text: string, more: Partial<Config>, runChecks = false) {
  await Deno.writeTextFile(`${dir}/config.yaml`, text);
  const config = createTestConfig({ configFiles: [`${dir}/config.yaml`], watchMethod: "poll", ...more });
  const clock = createClock();
  const reader = createSnapshotReader(config, clock);
  const { snapshot } = await checkDisk(config, reader, clock);
  assert.ok(snapshot);
  return await checkPreparing(config, snapshot, ENVIRONMENT, runChecks);
}

const shown = (findings: Awaited<ReturnType<typeof find>>) =>
  findings.map(({ level, code }) => `${level} ${code}`);

testInDir(
  "nothing asked for, nothing said",
  async (dir) => assert.deepEqual(await find(dir, "a: [", {}), []),
);

testInDir(
  "content that does not parse is a fault with line and column, as the sidecar would log it",
  async (dir) => {
    const [finding] = await find(dir, "a: 1\nb: *nope\n", { validate: "yaml" });
    assert.deepEqual([finding!.level, finding!.code], ["fault", "invalid"]);
    assert.match(
      finding!.message,
      /^Config is invalid: ".*config\.yaml" is no valid YAML: line 2, column 4: /,
    );
    assert.match(finding!.fix!.yaml!, /--validate=none/);
    assert.deepEqual(shown(await find(dir, "a: 1\n", { validate: "auto" })), ["ok valid"]);
  },
);

testInDir("variables without a value are named, with the env to paste", async (dir) => {
  const output = { configEnvsubstFile: `${dir}/out/config.yaml` };
  const findings = await find(dir, "a: $(HOST) $(NOT_SET) $(NOR_THIS)\n", output);
  assert.deepEqual(shown(findings), ["warn unset-variable", "ok valid", "ok output"]);
  assert.match(findings[0]!.message, /\$\(NOT_SET\), \$\(NOR_THIS\)/);
  const { env } = parseYaml(findings[0]!.fix!.yaml!).containers[0];
  assert.deepEqual(env.map(({ name }: { name: string }) => name), ["NOT_SET", "NOR_THIS"]);
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["config.yaml"], "nothing is written");
});

testInDir("a place that cannot be written to is a fault, and nothing is written to try it", async (dir) => {
  const proc = await find(dir, "a: 1\n", { configEnvsubstFile: "/proc/nope/out.yaml" });
  assert.deepEqual(shown(proc), ["ok valid", "fault output"]);
  assert.match(
    proc[1]!.message,
    /^Cannot write to "\/proc\/nope": "\/proc" is in a file system of the kernel/,
  );
  assert.match(proc[1]!.fix!.yaml!, /volumeMounts:/);
  await Deno.writeTextFile(`${dir}/file`, "");
  const [, file] = await find(dir, "a: 1\n", { outputDir: `${dir}/file` });
  assert.match(file!.message, /is not a directory$/);
  const [, made] = await find(dir, "a: 1\n", { outputDir: `${dir}/to/be/made` });
  assert.equal(
    made!.message,
    `User ${Deno.uid()} may make ${dir}/to/be/made, which is not there yet`,
  );
  await Deno.symlink("nowhere", `${dir}/link`);
  const [, link] = await find(dir, "a: 1\n", { outputDir: `${dir}/link/below` });
  assert.equal(
    link!.message,
    `Cannot write to "${dir}/link/below": "${dir}/link" is a link that leads to no directory`,
  );
  await Deno.mkdir(`${dir}/closed`, { mode: 0o555 });
  // Root may write anywhere; the pod test has another user.
  if (Deno.uid() !== 0) assert.equal((await whyNotWritable(`${dir}/closed`))?.uid, Deno.uid());
});

testInDir(
  "the check command is looked for as it would be run, and run only with --run-checks",
  async (dir) => {
    const marker = `${dir}/ran`;
    const command = ["sh", "-c", `echo ran >> ${marker}; echo this is wrong >&2; exit 1`];
    assert.deepEqual(shown(await find(dir, "a: 1\n", { checkCommand: command })), ["ok check-command"]);
    await assert.rejects(Deno.stat(marker), Deno.errors.NotFound);
    const [failed] = await find(dir, "a: 1\n", { checkCommand: command }, true);
    assert.deepEqual([failed!.level, failed!.code], ["fault", "check-failed"]);
    assert.match(failed!.message, /this is wrong/);
    assert.match(failed!.fix!.command!, /^kubectl edit configmap/);
    assert.deepEqual(shown(await find(dir, "a: 1\n", { checkCommand: ["true"] }, true)), [
      "ok check-command",
    ]);
    const [missing] = await find(dir, "a: 1\n", { checkCommand: ["/no/such/prog", "-t"] }, true);
    assert.match(missing!.message, /^Cannot run check command "\/no\/such\/prog": no such program$/);
    assert.match(missing!.fix!.yaml!, /--check-command=\/PATH\/OF\/THE\/PROGRAM -t/);
  },
);

testInDir("a program is found along PATH, and has to be an executable file", async (dir) => {
  await Deno.writeTextFile(`${dir}/tool`, "", { mode: 0o644 });
  const reason = async (program: string, path?: string) => {
    const found = await findProgram(program, path);
    return "path" in found ? found.path : found.reason;
  };
  assert.match(await reason("tool", dir), /"\/.*\/tool" is not executable/);
  assert.match(await reason(dir), /is no file$/);
  assert.equal(await reason("tool", "/nonexistent"), "no such program in PATH (/nonexistent)");
  assert.equal(await reason("tool"), "no such program in PATH (not set)");
  await Deno.chmod(`${dir}/tool`, 0o755);
  assert.equal(await reason("tool", `/nonexistent:${dir}`), `${dir}/tool`);
});

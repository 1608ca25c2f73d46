import assert from "node:assert/strict";
import type { Target } from "../../src/model.ts";
import { type Mount, parseMountinfo } from "../../src/proc/mountinfo.ts";
import { createProcReader } from "../../src/proc/reader.ts";
import { createAppMountsReader, judgeMounts, watchedMounts } from "../../src/target/app_mounts.ts";
import { createTestConfig } from "../support/config.ts";
import { test } from "../support/strict.ts";

const TARGET: Target = {
  pid: 7,
  startTicks: 1,
  comm: "amp",
  name: "amp",
  uid: 0,
  startedAtMs: 0,
  reason: "",
  handled: true,
};
const VOLUME = "/var/lib/kubelet/pods/1/volumes/kubernetes.io~configmap/cfg";

/** Lines of mountinfo: root in the file system, and where it is mounted. */
function lines(...mounts: readonly (readonly [string, string])[]): string {
  return mounts.map(([root, point], n) => `${n + 30} ${n + 29} 8:1 ${root} ${point} rw - ext4 /dev/sda1 rw\n`)
    .join("");
}
const parse = (...mounts: readonly (readonly [string, string])[]): Mount[] =>
  parseMountinfo(lines(...mounts));

test("judgeMounts: blind only where every mount of the volume is stale", () => {
  const watched = parse([VOLUME, "/etc/app"]);
  const whole = [VOLUME, "/etc/amp"] as const;
  const sub = [`${VOLUME}/..2026_11_24_08_16_55.12/config.yaml`, "/etc/amp/config.yaml"] as const;
  const replaced = [`${VOLUME}//deleted`, "/etc/amp"] as const;
  const other = [
    "/var/lib/kubelet/pods/1/volumes/kubernetes.io~configmap/other//deleted",
    "/etc/other",
  ] as const;
  const judge = (...app: readonly (readonly [string, string])[]) => {
    const { blind, stale } = judgeMounts(watched, parse(...app), "amp (PID 7)");
    return [blind, stale.map((mount) => mount.reason)];
  };
  assert.deepEqual(judge(), [false, []]);
  assert.deepEqual(judge(other), [false, []], "another volume");
  assert.deepEqual(judge(whole), [false, []]);
  assert.deepEqual(judge(sub), [true, ["subpath"]]);
  assert.deepEqual(judge(replaced), [true, ["replaced"]]);
  assert.deepEqual(judge(whole, sub), [false, ["subpath"]], "one of two mounts sees the new content");
  assert.deepEqual(judge(sub, replaced), [true, ["subpath", "replaced"]]);
});

test("mounts of the target: read afresh at each call, and understood again where they have changed", () => {
  let app = lines([VOLUME, "/etc/amp"]);
  const reader = {
    ...createProcReader("/nonexistent"),
    mountinfo: (pid: number) => pid === Deno.pid ? lines([VOLUME, "/etc/amp"]) : app,
  };
  const config = createTestConfig({ configFiles: ["/etc/amp/config.yaml"] });
  const ofTarget = createAppMountsReader(config, reader);
  const read = (target = TARGET) => ofTarget(target);
  const first = read();
  assert.equal(first.blind, false);
  assert.equal(read(), first);
  app = lines([`${VOLUME}//deleted`, "/etc/amp"]);
  assert.equal(read().blind, true);
  assert.match(read({ ...TARGET, pid: 8, name: "other" }).stale[0]!.message, /other \(PID 8\)/);
});

test("of two volumes the app sees one: it is blind to a change of the other, and to that alone", () => {
  const second = VOLUME.replace("/cfg", "/other");
  const own = lines([VOLUME, "/etc/a"], [second, "/etc/b"]);
  const app = lines([VOLUME, "/etc/a"], [`${second}/..2026_11_24_08_16_55.12/b.yaml`, "/etc/b/b.yaml"]);
  const reader = {
    ...createProcReader("/nonexistent"),
    mountinfo: (pid: number) => pid === Deno.pid ? own : app,
  };
  const config = createTestConfig({ configFiles: ["/etc/a/a.yaml", "/etc/b/b.yaml"] });
  const ofTarget = createAppMountsReader(config, reader);
  const blindTo = (...paths: string[]) => ofTarget(TARGET, () => paths).blind;
  assert.deepEqual(
    [ofTarget(TARGET).blind, blindTo(), blindTo("/etc/a/a.yaml"), blindTo("/etc/b/b.yaml")],
    [false, false, false, true],
  );
  assert.equal(blindTo("/etc/a/a.yaml", "/etc/b/b.yaml"), true);
  assert.deepEqual(ofTarget(TARGET).stale.map(({ mountPoint }) => mountPoint), ["/etc/b/b.yaml"]);
});

test("watchedMounts: of files, globs and directories, through links", async () => {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    await Deno.mkdir(`${dir}/real`);
    await Deno.symlink("real", `${dir}/link`);
    const own = parse(["/", "/"], [VOLUME, `${dir}/real`], ["/x/config.yaml", `${dir}/real/config.yaml`]);
    const points = (more: Parameters<typeof createTestConfig>[0]) =>
      watchedMounts(createTestConfig({ configFiles: [], ...more }), own).map((mount) =>
        mount.mountPoint.replace(dir, "")
      );
    assert.deepEqual(points({ configFiles: [`${dir}/link/other.yaml`] }), ["/real"]);
    assert.deepEqual(
      points({ configFiles: [`${dir}/link/config.yaml`] }),
      ["/real/config.yaml"],
      "a file that is a mount itself",
    );
    assert.deepEqual(points({ configFiles: [`${dir}/link/*.yaml`] }), ["/real"]);
    assert.deepEqual(points({ watchedDirs: [`${dir}/real`] }), ["/real"]);
    assert.deepEqual(points({ configFiles: ["/nonexistent/x/config.yaml"] }), ["/"]);
    await Deno.mkdir(`${dir}/app[prod]`);
    await Deno.writeTextFile(`${dir}/app[prod]/a*.yaml`, "");
    const brackets = parse(["/", "/"], [VOLUME, `${dir}/app[prod]`]);
    const named = (more: Parameters<typeof createTestConfig>[0]) =>
      watchedMounts(createTestConfig({ configFiles: [], ...more }), brackets).map(({ root }) => root);
    assert.deepEqual(named({ watchedDirs: [`${dir}/app[prod]`] }), [VOLUME], "a path, never a pattern");
    assert.deepEqual(named({ configFiles: [`${dir}/app[prod]/a*.yaml`] }), [VOLUME], "a file of that name");
    assert.deepEqual(named({ configFiles: [`${dir}/app\\[prod]/*.yaml`] }), [VOLUME], "an escaped bracket");
    const braces = parse(["/", "/"], ["/y", "/{braces}"]);
    const config = createTestConfig({ configFiles: ["/{braces}/x/config.yaml"] });
    assert.equal(watchedMounts(config, braces)[0]?.mountPoint, "/{braces}", "are no wildcards");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

import assert from "node:assert/strict";
import { type Mount, mountOf, parseMountinfo, sameVolume, staleReason } from "../../src/proc/mountinfo.ts";
import { test } from "../support/strict.ts";

const POD = "/var/lib/kubelet/pods/0b1c/volumes/kubernetes.io~configmap/cfg";

function mount(fields: Partial<Mount>): Mount {
  return {
    id: 1,
    parentId: 0,
    device: "254:0",
    root: "/",
    mountPoint: "/etc/amp",
    fsType: "ext4",
    isReadOnly: false,
    ...fields,
  };
}

test("a line of mountinfo is parsed, optional fields and octal escapes included", () => {
  const text = [
    String
      .raw`36 35 98:0 /my\040root /mnt\134a\011b rw,noatime master:1 shared:7 - ext3 /dev/ro\012ot rw,errors=continue`,
    "22 27 0:21 / /proc rw,relatime - proc proc ro",
    "not a mount",
    "",
  ].join("\n");
  assert.deepEqual(parseMountinfo(text), [
    {
      id: 36,
      parentId: 35,
      device: "98:0",
      root: "/my root",
      mountPoint: "/mnt\\a\tb",
      fsType: "ext3",
      isReadOnly: false,
    },
    {
      id: 22,
      parentId: 27,
      device: "0:21",
      root: "/",
      mountPoint: "/proc",
      fsType: "proc",
      isReadOnly: true,
    },
  ]);
});

test("mounts that can never change again are told by their root", () => {
  const cases: [string, "subpath" | "replaced" | null][] = [
    [POD, null],
    ["/", null],
    [`${POD}//deleted`, "replaced"],
    [`${POD}/..2026_11_24_08_16_55.1234567890/config.yaml`, "subpath"],
    [`${POD}/..2026_11_24_08_16_55.1234567890/config.yaml//deleted`, "subpath"],
    [`${POD}/..2026_11_24_08_16_55.1234567890/dir//deleted`, "subpath"],
    ["/..2026_11_24_08_16_55.1234567890/password", "subpath"],
    ["/var/lib/kubelet/pods/0b1c/volume-subpaths/cfg/app/0", "subpath"],
    ["/srv/..2026 notes", null],
    ["/srv/..data", null],
  ];
  for (const [root, expected] of cases) assert.equal(staleReason(mount({ root })), expected, root);
});

test("the same volume is recognised whatever part of it is mounted", () => {
  const whole = mount({ root: POD });
  const cases: [Partial<Mount>, Partial<Mount>, boolean][] = [
    [{ root: POD }, { root: `${POD}/..2026_11_24_08_16_55.1/config.yaml//deleted` }, true],
    [{ root: POD }, { root: `${POD}//deleted` }, true],
    [{ root: POD }, { root: POD, device: "254:1" }, false],
    [{ root: POD }, { root: `${POD}2` }, false],
    [{ root: POD }, { root: "/" }, false],
    [{ root: POD }, { root: POD.replace("0b1c", "77aa") }, false],
    [{ root: POD }, { root: "/var/lib/kubelet/pods/0b1c/volume-subpaths/cfg/app/0" }, true],
    [{ root: POD.slice("/var/lib/kubelet".length) }, {
      root: `${POD.slice("/var/lib/kubelet".length)}//deleted`,
    }, true],
    [{ fsType: "tmpfs", device: "0:50" }, {
      fsType: "tmpfs",
      device: "0:50",
      root: "/..2026_11_24_08_16_55.1/key",
    }, true],
    [{ fsType: "tmpfs", device: "0:50" }, { fsType: "tmpfs", device: "0:51" }, false],
    [{ root: "/srv/conf" }, { root: "/srv/conf" }, true],
    [{ root: "/srv/conf" }, { root: "/srv/conf//deleted" }, true],
    [{ root: "/srv/conf" }, { root: "/srv/other" }, false],
  ];
  for (const [a, b, expected] of cases) {
    assert.equal(sameVolume(mount(a), mount(b)), expected, `${a.root} and ${b.root}`);
    assert.equal(sameVolume(mount(b), mount(a)), expected, `${b.root} and ${a.root}`);
  }
  assert.equal(sameVolume(whole, whole), true);
});

test("a path is on the mount that is visible there", () => {
  const root = mount({ id: 1, parentId: 0, mountPoint: "/" });
  const etc = mount({ id: 2, parentId: 1, mountPoint: "/etc" });
  const amp = mount({ id: 3, parentId: 2, mountPoint: "/etc/amp" });
  const ampAgain = mount({ id: 4, parentId: 3, mountPoint: "/etc/amp" });
  const over = mount({ id: 5, parentId: 2, mountPoint: "/etc" });
  assert.equal(mountOf([root, etc, amp], "/etc/amp/config.yaml"), amp);
  assert.equal(mountOf([root, etc, amp], "/etc/ampere"), etc);
  assert.equal(mountOf([root, etc, amp], "/srv"), root);
  assert.equal(mountOf([root, etc, amp, ampAgain], "/etc/amp"), ampAgain);
  assert.equal(mountOf([root, etc, amp, over], "/etc/amp/config.yaml"), over, "mounted over");
  assert.equal(mountOf([amp, etc, root], "/etc/amp/config.yaml"), amp, "moved mounts come in any order");
  assert.equal(mountOf([], "/etc"), null);
});

test("the mount of this machine's /proc is proc", () => {
  const mounts = parseMountinfo(Deno.readTextFileSync("/proc/self/mountinfo"));
  assert.equal(mountOf(mounts, "/proc/self/status")?.fsType, "proc");
});

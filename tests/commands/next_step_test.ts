/** The next step that `/status` and the page name, for each state in which somebody looks. */

import assert from "node:assert/strict";
import { TARGET_CODES, type TargetCode } from "../../src/codes.ts";
import { nextStep } from "../../src/commands/status_view.ts";
import type { Config } from "../../src/config.ts";
import type { StatusView } from "../../src/model.ts";
import { readPod } from "../../src/pod.ts";
import { createTestConfig } from "../support/config.ts";
import {
  ambiguousView,
  goodView,
  heldView,
  missingView,
  noPermissionView,
  rejectedView,
  unreadableView,
  weakView,
} from "../support/status_view.ts";
import { test } from "../support/strict.ts";

const POD = { name: "web-1", namespace: "shop", inKubernetes: true };

/** Words, YAML and command in one text. */
function step(view: StatusView, config: Partial<Config> = {}, pod = POD): string {
  const found = nextStep(view, createTestConfig(config), pod);
  return found === null ? "" : [found.say, found.yaml, found.command].filter(Boolean).join("\n");
}

test("nothing is wrong: no step", () => {
  assert.equal(step(goodView()), "");
  assert.equal(step(goodView({ target: null, proof: "assumed-at-start" })), "");
  assert.equal(step(goodView({ inSync: false, reloads: [] })), "", "at the start");
  const fault = {
    path: "/etc/amp/pipe",
    digest: null,
    sizeBytes: 0,
    error: "a FIFO",
    fault: "other",
  } as const;
  const leftOut = [...goodView().files, { ...fault, leftOut: true } as const];
  assert.equal(step(goodView({ files: leftOut })), "", "a file that is no part of the content");
});

const [lastReload] = rejectedView().reloads;

for (
  const [what, view, wanted, config] of [
    [
      "rejected",
      rejectedView(),
      /refused this content and goes on with 1f3870be274f\..*\nkubectl logs web-1 -n shop -c APP_CONTAINER --tail=20$/,
    ],
    [
      "rejected, and tried again now",
      rejectedView({
        reloads: [{ ...lastReload!, outcome: "in progress", reason: "", attempt: 2 }, lastReload!],
      }),
      /refused this content/,
    ],
    [
      "a timeout",
      rejectedView({ reloads: [{ ...lastReload!, outcome: "timeout" }] }),
      /--reload-url.*\nkubectl logs web-1 -n shop -c APP_CONTAINER --tail=20$/,
    ],
    [
      "failed",
      rejectedView({ reloads: [{ ...lastReload!, outcome: "failed" }] }),
      /\nkubectl exec web-1 -n shop -c config-reloader -- \/config-reloader check$/,
    ],
    [
      "invalid",
      rejectedView({ reloads: [{ ...lastReload!, outcome: "invalid" }] }),
      /^the content was not sent/,
    ],
    ["no permission", noPermissionView(), /^run both containers as the same user\n[^]*runAsUser: 1000$/],
    [
      "ambiguous",
      ambiguousView(),
      /^say which it is, one of amp, nginx, a-program.*\n[^]*--process-name=amp$/,
    ],
    [
      "the pause process is meant: its own name is no way out",
      ambiguousView({
        target: {
          ...ambiguousView().target!,
          code: "pause",
          message: "Cannot signal PID 1 (pause, user 65535), named by --pid 1: it is the pause process",
          names: [],
        },
      }),
      /--process-name=NAME$/,
    ],
    [
      "an app that takes too long to answer",
      rejectedView({
        reloads: [{
          ...lastReload!,
          outcome: "timeout",
          reason: "reload verification timeout after 30s: GET http://localhost:8080/: timed out after 5s",
        }],
      }),
      /--http-timeout=15s$/,
    ],
    ["unreadable", unreadableView(), /fsGroup: \d+$/],
    ["missing", missingView(), /--config-file.*\nkubectl exec web-1 -n shop -c config-reloader -- .*check$/],
    ...([
      ["too-large", /--max-file-size=64MiB$/],
      ["directory", /--watched-dir=\/etc\/amp\/config.yaml$/],
      ["no-directory", /--config-file=\/etc\/amp\/config.yaml$/],
      [
        "leads-out",
        /^remove the link;[^]*--config-file=\/PATH\/OF\/A\/FILE$/,
      ],
      ["other", /^put a regular file there, or watch another path\n/],
    ] as const).map(([fault, wanted]) =>
      [
        `what is there is no file that can be read: ${fault}`,
        // The words may be anybody's: a link's target stands in them.
        unreadableView({
          files: [{
            path: "/etc/amp/config.yaml",
            digest: null,
            sizeBytes: 0,
            error: "permission missing",
            fault,
          }],
        }),
        wanted,
      ] as const
    ),
    [
      "a status URL that gives none",
      rejectedView({
        reloads: [{
          ...lastReload!,
          outcome: "timeout",
          reason: "reload verification timeout after 30s: GET http://localhost:8080/: HTTP 401",
        }],
      }),
      /^give it the credentials .*\n[^]*--bearer-token-file=/,
    ],
    ...([
      [
        "POST http://localhost:9090/-/reload answered HTTP 403: Lifecycle API is not enabled.",
        "bearer-token-file=",
      ],
      ["POST http://localhost:9090/-/reload answered HTTP 405", "trigger-method="],
      ["POST http://localhost:9090/-/reload answered HTTP 404: not found", "trigger-url="],
    ] as const).map(([reason, flag]) =>
      [
        `a request that was not taken: ${flag}`,
        rejectedView({ reloads: [{ ...lastReload!, reason }] }),
        new RegExp(`\\n[^]*--${flag}`),
        { trigger: "http" as const },
      ] as const
    ),
    [
      "a request that was redirected",
      rejectedView({
        reloads: [{
          ...lastReload!,
          outcome: "failed",
          reason:
            "Cannot POST http://localhost:9090/-/reload: HTTP 302: redirected, and redirects are not followed",
        }],
      }),
      /--trigger-url=/,
      { trigger: "http" as const },
    ],
    [
      "a request that the app answered with a no",
      rejectedView({
        reloads: [{ ...lastReload!, reason: "POST http://localhost/-/reload answered HTTP 500: bad" }],
      }),
      /refused this content/,
      { trigger: "http" as const },
    ],
    [
      "held",
      heldView(),
      /\nkubectl annotate lease config-reloader-web -n shop config-reloader\/state=proved --overwrite$/,
      { rolloutGroup: "web" },
    ],
    ["a weak proof", weakView(), /--verify=http$/, { verify: "auto" as const }],
    ["any 200 as asked for", weakView(), /^$/, { verify: "http" as const }],
    [
      "the app's subPath mount",
      goodView({
        staleMounts: [{ container: "app", reason: "subpath", mountPoint: "/etc/app/a.yaml", message: "x" }],
      }),
      /name: APP_CONTAINER {2}# the one that runs amp\n[^]*mountPath: \/etc\/app/,
    ],
    [
      "a volume that was made anew",
      goodView({
        staleMounts: [{ container: "sidecar", reason: "replaced", mountPoint: "/c", message: "x" }],
      }),
      /\nkubectl delete pod web-1 -n shop$/,
    ],
  ] as readonly (readonly [string, StatusView, RegExp, Partial<Config>?])[]
) test(`the next step: ${what}`, () => assert.match(step(view, config), wanted));

test("outside of Kubernetes no kubectl is named, and without a namespace no -n", () => {
  assert.doesNotMatch(step(rejectedView(), {}, { ...POD, inKubernetes: false }), /kubectl/);
  for (const code of Object.keys(TARGET_CODES) as TargetCode[]) {
    const view = ambiguousView({ target: { ...ambiguousView().target!, code } });
    assert.doesNotMatch(step(view, {}, { ...POD, inKubernetes: false }), /kubectl|POD/, code);
  }
  assert.match(
    step(rejectedView(), {}, { ...POD, namespace: null as unknown as string }),
    /logs web-1 -c APP/,
  );
});

test("the pod's name and namespace: the downward API, else the host and the service account", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, "from-file\n");
    const set: Record<string, string> = {
      POD_NAME: "web-1",
      POD_NAMESPACE: "shop",
      KUBERNETES_SERVICE_HOST: "10.0.0.1",
    };
    assert.deepEqual(await readPod((name) => set[name], file), {
      name: "web-1",
      namespace: "shop",
      inKubernetes: true,
    });
    const host = Deno.hostname();
    assert.deepEqual(await readPod(() => "", file), {
      name: host,
      namespace: "from-file",
      inKubernetes: false,
    });
    assert.deepEqual(await readPod(() => undefined, "/nonexistent"), {
      name: host,
      namespace: null,
      inKubernetes: false,
    });
  } finally {
    await Deno.remove(file);
  }
});

test("an app that gives no status: a step where that does not pass by itself", () => {
  const waiting = (reason: string) =>
    step(goodView({ inSync: false, reloads: [], outOfSyncReason: `the app gives no status yet: ${reason}` }));
  assert.equal(waiting("connection refused"), "");
  assert.equal(waiting("HTTP 503"), "");
  assert.match(waiting("the server does not speak TLS on this port"), /--reload-url=http:/);
  assert.match(waiting("there is no /n in the JSON"), /--verify-token/);
  assert.match(waiting('Cannot read bearer token file "/t": no such file'), /mount the Secret/);
});

test("other content is tried now: what was wrong with the one before is no step", () => {
  const [last] = rejectedView().reloads;
  assert.equal(
    step(rejectedView({ reloads: [{ ...last!, outcome: "in progress", attempt: 1 }, last!] })),
    "",
  );
});

import assert from "node:assert/strict";
import fc from "fast-check";
import type { TargetCode } from "../../src/codes.ts";
import type { RolloutStatus, StatusView } from "../../src/model.ts";
import { renderPage } from "../../src/serve/page.ts";
import { renderStatusJson } from "../../src/serve/handler.ts";
import { renderBytes, renderClock } from "../../src/serve/page_parts.ts";
import {
  ambiguousView,
  goodView,
  heldView,
  missingView,
  noPermissionView,
  pendingView,
  rejectedView,
  unreadableView,
  weakView,
} from "../support/status_view.ts";
import { test } from "../support/strict.ts";

test("times and sizes as people say them", () => {
  for (
    const [got, wanted] of [
      [renderBytes(0), "0 B"],
      [renderBytes(2_148), "2.1 KiB"],
      [renderBytes(1_048_576), "1 MiB"],
      [renderClock(0, 3_600_000), "00:00:00 UTC"],
      [renderClock(0, 86_400_000), "1970-01-01 00:00:00 UTC"],
    ]
  ) assert.equal(got, wanted);
});

test("the policy lets exactly the page's own style in, and nothing else", async () => {
  const { body, headers } = await renderPage(goodView(), { refresh: true });
  const style = /<style>([^]*?)<\/style>/.exec(body)![1]!;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style));
  const hash = btoa(String.fromCharCode(...new Uint8Array(digest)));
  assert.equal(
    headers["Content-Security-Policy"],
    `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
  assert.doesNotMatch(
    body,
    /<script|style=|\son\w+=|https?:\/\/(?!\*\*\*@localhost|www\.w3\.org\/2000\/svg)/,
  );
});

test("refreshing is a header that can be left out", async () => {
  assert.equal((await renderPage(goodView(), { refresh: true })).headers["Refresh"], "5");
  const still = await renderPage(goodView(), { refresh: false });
  assert.equal("Refresh" in still.headers, false);
  assert.match(still.body, /Updated 08:00:00 UTC/);
});

test("whatever comes from outside is text", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(goodView, rejectedView, pendingView, heldView, missingView, weakView),
      fc.string({ unit: fc.constantFrom("<", ">", "&", '"', "'", "x", " ") }),
      async (make, noise) => {
        const evil = `<img src=x onerror="alert(1)">'"&${noise}<script>`;
        const view = make();
        const spoiled = {
          ...view,
          version: evil,
          pod: evil,
          namespace: evil,
          fix: { say: evil, yaml: evil, command: evil },
          revision: evil,
          outOfSyncReason: evil,
          diskDigest: evil,
          files: [{ path: evil, digest: evil, sizeBytes: 1, error: null }, {
            path: evil,
            digest: null,
            sizeBytes: 0,
            error: evil,
          }],
          staleMounts: [{
            container: "app" as const,
            reason: "subpath" as const,
            mountPoint: evil,
            message: evil,
          }],
          restartRequired: [evil],
          watcher: { ...view.watcher, reason: evil },
          target: { ...view.target!, message: evil, name: evil, pid: 1, code: evil as TargetCode },
          reloads: view.reloads.map((record) => ({
            ...record,
            reason: evil,
            oldHash: evil,
            newHash: evil,
            changed: [{ path: evil, change: "added" as const, sizeBytes: 1, oldSizeBytes: null }],
          })),
          settings: [{ name: evil, value: evil, source: "environment" as const, variable: evil }],
        };
        const { body } = await renderPage(spoiled, { refresh: true });
        assert.doesNotMatch(body, /<img|<script|"alert/);
      },
    ),
    { numRuns: 20 },
  );
});

/** The words of a page, without markup. */
async function wordsOf(view: StatusView): Promise<string> {
  const { body } = await renderPage(view, { refresh: true });
  return body.slice(body.indexOf("<body")).replace(/<[^>]*>/g, " ").replace(/\s+/g, " ")
    .replaceAll("&#39;", "'").replaceAll("&quot;", '"').replaceAll("&amp;", "&").replaceAll(" ,", ",");
}

test("whose page it is stands in the title and at its head; the namespace where it is known", async () => {
  const { body } = await renderPage(goodView(), { refresh: true });
  assert.match(body, /<title>✓ In sync · shop\/web-7f9c5d6b8-x2x4z · config-reloader<\/title>/);
  assert.match(body, /<header><strong>shop\/web-7f9c5d6b8-x2x4z<\/strong>/);
  const { body: laptop } = await renderPage(goodView({ pod: "laptop", namespace: null }), { refresh: true });
  assert.match(laptop, /<title>✓ In sync · laptop · config-reloader<\/title>/);
});

const inRollout = (state: RolloutStatus["state"], message: string): RolloutStatus => ({
  mode: "canary",
  group: "web",
  state,
  message,
});

const STATES: readonly (readonly [string, StatusView, string, RegExp[]])[] = [
  ["good", goodView(), "good", [
    /The app runs what is on disk\. In sync for 1m, since 07:59:00 UTC\. Proved: the app's counter of reloads went up\./,
    /On disk 9b74c9897bac In the app 9b74c9897bac/,
    /1 file \/etc\/amp\/config\.yaml ✓ read 9b74c9897bac, 2\.1 KiB/,
    /✓ found PID 7 \(amp, user 65532\): the only application container in the pod Process amp \(PID 7\) User 65532 Handles SIGHUP ✓ yes May be signalled ✓ yes/,
    /✓ inotify Kernel events and the interval Last look 07:59:58 UTC · 2s ago Events 12 Errors 0/,
    /✓ success 1f3870be274f → 9b74c9897bac 07:59:00 UTC · 1m ago changed \/etc\/amp\/config\.yaml \(2\.1 KiB → 2\.1 KiB\) took 38ms · triggered after 1ms · PID 7 · cause: event/,
    /--reload-url http:\/\/\*\*\*@localhost:8080\/health\/reload environment, RELOAD_URL/,
    /--interval 5s flag/,
  ]],
  ["pending", pendingView(), "busy", [
    /… in progress 1f3870be274f → 9b74c9897bac 07:59:59 UTC · just now .*triggered after 1ms/,
    /2 files, 1 cannot be read .*long-file-name\.yaml ✗ cannot be read Permission denied .*a\.yaml ✓ read/,
    /Needs attention .*subPath mount/,
    /✗ problem Several processes could be meant: .* Code ambiguous/,
    /poll No inotify watches left .* Last look none yet/,
  ]],
  [
    "a file that is left out, and one with a line end in its name",
    goodView({
      files: [
        { ...goodView().files[0]!, path: "/etc/amp/new\nline.yaml" },
        {
          path: "/etc/amp/pipe",
          digest: null,
          sizeBytes: 0,
          error: "a FIFO, not a regular file",
          fault: "other",
          leftOut: true,
        },
      ],
    }),
    "good",
    [
      /On disk 9b74c9897bac In the app/,
      /1 file, 1 left out \/etc\/amp\/pipe – left out A FIFO, not a regular file \/etc\/amp\/new\\nline\.yaml ✓ read/,
    ],
  ],
  ["weak proof", weakView(), "wait", [
    /The app is taken to run what is on disk\..*Accepted: HTTP 200, which proves little\. Name how the app reports .*--verify=http/,
  ]],
  ["assumed at the start", goodView({ proof: "assumed-at-start" }), "good", [
    /The app is taken to run what is on disk\..*Assumed: what was on disk at the start counts as applied\./,
  ]],
  ["delivered", goodView({ proof: "delivered" }), "good", [
    /is taken to run .*Sent; the app was not asked\./,
  ]],
  ["rejected", rejectedView(), "bad", [
    /The app is not known to run what is on disk\. Out of sync for 42s, since 07:59:18 UTC\. The app rejected the new content: validation_failed Next try in 20s/,
    /The app needs a restart for a part of the change: W600 tracer: endpoint/,
    /In the app 1f3870be274f/,
    /✗ rejected .* validation_failed: &lt;b&gt;unknown key&lt;\/b&gt; "colour" .*took 512ms .* attempt 3 · cause: retry/,
    /✗ timeout .* Reload verification timeout: attempts stayed at 3/,
    /✗ failed .* Cannot send SIGHUP to PID 7: .* no trigger sent/,
    /The app refused this content and goes on with 1f3870be274f\..*: kubectl logs web-7f9c5d6b8-x2x4z -n shop -c APP_CONTAINER --tail=20/,
  ]],
  ["no permission", noPermissionView(), "wait", [
    /In sync, but the next change cannot be sent: No permission to signal PID 7 .*Run both containers as the same user: containers: - name: config-reloader securityContext: runAsUser: 1000/,
    /May be signalled ✗ no Code permission/,
  ]],
  ["ambiguous", ambiguousView(), "wait", [/cannot be sent: Several processes .*--process-name=amp/]],
  ["unreadable", unreadableView(), "bad", [
    /On disk 9b74c9897bac last read 07:57:55 UTC · 2m5s ago, now not readable/,
    /✗ cannot be read Permission denied: mode 0600/,
    /fsGroup: 65532/,
  ]],
  ["missing", missingView(), "bad", [/last read 07:57:55 UTC · 2m5s ago, now missing/, /✗ missing/]],
  ["held", heldView(), "wait", [/Held .*Held: web-7f9c5d6b8-9qk2p tried .*kubectl annotate lease/]],
  [
    "waiting for its turn",
    heldView({ rollout: inRollout("waiting", "Waiting: web-0 tries it"), fix: null }),
    "wait",
    [/Waiting for its turn .*Waiting: web-0 tries it/],
  ],
  [
    "nothing yet",
    goodView({
      inSync: false,
      outOfSyncReason: "nothing has been read yet",
      diskDigest: null,
      appliedDigest: null,
      files: [],
      target: null,
      reloads: [],
      settings: [],
    }),
    "bad",
    [/Nothing has been read yet.*None so far.*On disk not read yet In the app not known yet.*Not looked for yet/],
  ],
  ["soaking", goodView({ rollout: inRollout("soaking", "") }), "good", [/In sync .*the other pods follow/]],
];

for (const [what, view, tone, patterns] of STATES) {
  test(`the page says no more than is known, and what to do: ${what}`, async () => {
    const { body } = await renderPage(view, { refresh: true });
    assert.match(body, new RegExp(`<section class="hero ${tone}"`));
    const words = await wordsOf(view);
    for (const pattern of patterns) assert.match(words, pattern);
  });
}

test("10,000 files do not make an endless page; those that cannot be read come first", async () => {
  const files = Array.from({ length: 10_000 }, (_, i) => ({
    path: `/etc/app/${i}.yaml`,
    digest: i === 9_999 ? null : "0".repeat(64),
    sizeBytes: 1,
    error: i === 9_999 ? "permission denied" : null,
  }));
  const { body } = await renderPage(goodView({ files }), { refresh: true });
  const list = /<ul class="files">([^]*?)<\/ul>/.exec(body)![1]!;
  assert.equal(list.match(/<li>/g)!.length, 50);
  assert.match(list, /^\s*<li><code>\/etc\/app\/9999\.yaml/);
  assert.match(
    await wordsOf(goodView({ files })),
    /10000 files, 1 cannot be read .* and 9950 more, all of them in the JSON/,
  );
});

test("the order is that of the questions: state, reloads, configuration, target, watcher, settings", async () => {
  const { body } = await renderPage(goodView(), { refresh: true });
  const ids = [...body.matchAll(/<h[12] id="(\w+)"/g)].map((match) => match[1]);
  assert.deepEqual(ids, ["state", "reloads", "content", "target", "watcher", "settings"]);
  assert.match(
    body,
    /<details>\s*<summary>1 left at their default<\/summary>[^]*--config-file[^]*<\/details>/,
  );
  assert.match(
    body.slice(body.indexOf('id="settings"'), body.indexOf("<details>")),
    /--reload-url[^]*--interval/,
  );
});

test("strips: the last hour in sync, and the last durations, each with its figures in words", async () => {
  const { body } = await renderPage(rejectedView(), { refresh: true });
  assert.match(body, /role="img"\s+aria-label="In sync 99 % of the last hour"/);
  assert.match(
    body,
    /aria-label="How long the last 5 reloads took, oldest first: 38ms \(success\), 38ms \(success\), 3ms \(failed\), 30s \(timeout\), 512ms \(rejected\)"/,
  );
  const labelOf = async (view: StatusView) =>
    /aria-label="(In sync [^"]+)"/.exec((await renderPage(view, { refresh: true })).body)?.[1];
  assert.equal(await labelOf(goodView()), "In sync 92 % of the last hour");
  const { nowWallMs } = goodView();
  const young = {
    startedWallMs: nowWallMs - 120_000,
    syncChanges: [{ wallMs: nowWallMs - 60_000, inSync: true }],
  };
  assert.equal(await labelOf(goodView(young)), "In sync 50 % of the last 2m");
  assert.equal(await labelOf(goodView({ syncChanges: [] })), "In sync 100 % of the last hour");
  assert.equal(await labelOf(goodView({ startedWallMs: nowWallMs })), undefined, "nothing has been seen yet");
});

test("control and direction characters in names are made visible, on the page and in /status", async () => {
  // U+200E, U+200F and U+061C are invisible and turn the order of what stands beside them.
  const name = "/etc/a\u200eb\u200fc\u061cd\u202ee\u2066f\u0007g\u001b[2Jh\ni";
  // deno-lint-ignore no-control-regex
  const unsafe = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f]/;
  const view = goodView({
    pod: name,
    outOfSyncReason: name,
    files: [{ path: name, digest: "0".repeat(64), sizeBytes: 1, error: null }, {
      path: name,
      digest: null,
      sizeBytes: 0,
      error: name,
    }],
    target: { ...goodView().target!, message: name, name },
    fix: { say: name, yaml: "a:\n  b", command: name },
    reloads: [{
      ...goodView().reloads[0]!,
      reason: name,
      changed: [{ path: name, change: "removed", sizeBytes: 1, oldSizeBytes: 1 }],
    }],
  });
  const { body } = await renderPage(view, { refresh: true });
  assert.doesNotMatch(body, unsafe);
  assert.match(body, /\/etc\/a\\u200eb\\u200fc\\u061cd\\u202ee\\u2066f\\u0007g\\u001b\[2Jh\ni/);
  assert.match(body, /<code>a:\n {2}b<\/code>/, "YAML keeps its lines");
  const json = renderStatusJson(view);
  assert.doesNotMatch(json, unsafe);
  assert.equal(JSON.parse(json).files[0].path, name, "JSON gives it back as it was");
});

test("/status: each time as RFC 3339 beside its number, null where there is none", () => {
  const status = JSON.parse(renderStatusJson({ ...rejectedView(), nextRetryWallMs: null }));
  assert.equal(status.now, "2026-11-24T08:00:00.000Z");
  assert.equal(status.inSyncSince, "2026-11-24T07:59:18.000Z");
  assert.equal(status.watcher.lastScanAt, "2026-11-24T07:59:58.000Z");
  assert.equal(status.reloads[0].startedAt, "2026-11-24T07:59:50.000Z");
  assert.equal(status.reloads[0].startedWallMs, Date.parse(status.reloads[0].startedAt));
  assert.equal(status.nextRetryAt, null);
  assert.equal(status.syncChanges.at(-1).at, "2026-11-24T07:59:18.000Z");
});

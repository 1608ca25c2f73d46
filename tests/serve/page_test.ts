import assert from "node:assert/strict";
import fc from "fast-check";
import type { TargetCode } from "../../src/codes.ts";
import { renderPage } from "../../src/serve/page.ts";
import { renderAgo, renderBytes, renderMs, renderSpan, renderTime } from "../../src/serve/page_text.ts";
import { goodView, pendingView, rejectedView } from "../support/status_view.ts";
import { test } from "../support/strict.ts";

test("times, durations and sizes as people say them", () => {
  const seconds = (n: number) => n * 1000;
  for (
    const [got, wanted] of [
      [renderSpan(-5), "less than a second"],
      [renderSpan(NaN), "less than a second"],
      [renderSpan(999), "less than a second"],
      [renderSpan(seconds(1)), "1 s"],
      [renderSpan(seconds(59.9)), "59 s"],
      [renderSpan(seconds(60)), "1 min"],
      [renderSpan(seconds(3599)), "59 min"],
      [renderSpan(seconds(3600)), "1 h"],
      [renderSpan(seconds(3600 * 25 + 61)), "25 h 1 min"],
      [renderSpan(seconds(3600 * 48)), "2 d"],
      [renderAgo(0), "just now"],
      [renderAgo(seconds(2)), "2 s ago"],
      [renderMs(0.44), "0.4 ms"],
      [renderMs(38), "38 ms"],
      [renderMs(38.6), "39 ms"],
      [renderMs(1_540), "1.5 s"],
      [renderMs(30_000), "30 s"],
      [renderMs(125_000), "2 min 5 s"],
      [renderMs(300_000), "5 min"],
      [renderMs(0, "whole seconds"), "0 s"],
      [renderMs(1_540, "whole seconds"), "2 s"],
      [renderBytes(0), "0 B"],
      [renderBytes(2_148), "2.1 KiB"],
      [renderBytes(1_048_576), "1 MiB"],
      [renderTime(Date.UTC(2026, 10, 24, 8)), "2026-11-24T08:00:00Z"],
      [renderTime(NaN), "unknown"],
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
  assert.match(still.body, /As of 2026-11-24T08:00:00Z/);
});

test("whatever comes from outside is text", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(goodView, rejectedView, pendingView),
      fc.string({ unit: fc.constantFrom("<", ">", "&", '"', "'", "x", " ") }),
      async (make, noise) => {
        const evil = `<img src=x onerror="alert(1)">'"&${noise}<script>`;
        const view = make();
        const spoiled = {
          ...view,
          version: evil,
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
          reloads: view.reloads.map((record) => ({ ...record, reason: evil, oldHash: evil, newHash: evil })),
          settings: [{ name: evil, value: evil, source: "environment" as const, variable: evil }],
        };
        const { body } = await renderPage(spoiled, { refresh: true });
        assert.doesNotMatch(body, /<img|<script|"alert/);
      },
    ),
    { numRuns: 20 },
  );
});

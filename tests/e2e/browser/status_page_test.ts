/**
 * The status page in a real Chromium, from the real server: what it says after a good, a rejected and a pending reload, in
 * both colour schemes and on a narrow screen, and that it is accessible. Needs Debian's chromium. With UPDATE_IMAGES=1 the
 * screenshots in docs/images are taken anew; `pngquant --ext .png --force 64` makes them a quarter of their size.
 */

import assert from "node:assert/strict";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { createClock } from "../../../src/clock.ts";
import type { StatusView } from "../../../src/model.ts";
import { createHandler } from "../../../src/serve/handler.ts";
import { createServer } from "../../../src/serve/server.ts";
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
} from "../../support/status_view.ts";
import { until } from "../../support/poll.ts";
import { test } from "../../support/strict.ts";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync --hide-scrollbars";
const IMAGES = new URL("../../../docs/images/", import.meta.url).pathname;
const AXE = new URL("../../../node_modules/axe-core/axe.min.js", import.meta.url).pathname;

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** One browser and one server for all; `show` sets what the server tells. */
async function withPage(
  options: BrowserContextOptions & { bypass?: boolean },
  view: () => StatusView,
  use: (page: Page, url: string) => Promise<void>,
): Promise<void> {
  const handler = createHandler({
    clock: createClock(),
    metrics: () => Promise.resolve(""),
    health: () => ({ ok: true }),
    ready: () => ({ ok: true }),
    status: view,
    auth: null,
    onError: (_, error) => assert.fail(String(error)),
  });
  const server = createServer(
    { metricsPort: 0, metricsHost: "127.0.0.1", tlsCertFile: null, tlsKeyFile: null },
    handler,
    quiet,
    createClock(),
  );
  const { port } = await server.start();
  const browser = await launch();
  try {
    const page = await (await browser.newContext(options)).newPage();
    const problems: string[] = [];
    page.on("console", (message) => problems.push(`console: ${message.text()}`));
    page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
    page.on("request", (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol !== "data:" && host !== `127.0.0.1:${port}`) problems.push(`request: ${request.url()}`);
    });
    const url = `http://127.0.0.1:${port}/`;
    await page.goto(url);
    await use(page, url);
    assert.deepEqual(problems, [], "nothing blocked, nothing broken, nothing from elsewhere");
  } finally {
    await browser.close();
    await server.stop();
  }
}

async function launch(): Promise<Browser> {
  try {
    await Deno.stat(CHROMIUM);
  } catch {
    throw new Error("This test needs a browser: apt-get install chromium");
  }
  return await chromium.launch({ executablePath: CHROMIUM, args: FLAGS.split(" ") });
}

/** What a reader sees, in the words of the accessibility tree and of the page. */
async function textOf(page: Page): Promise<string> {
  return (await page.locator("body").innerText()).replace(/\s+/g, " ");
}

/** The screenshots that the documents show, by the view they are of. */
const KEPT: Readonly<Record<string, string>> = {
  "good-light-900": "status-in-sync-light",
  "rejected-light-900": "status-rejected-light",
};

async function shoot(page: Page, name: string): Promise<void> {
  const kept = KEPT[name];
  const path = Deno.env.get("UPDATE_IMAGES") && kept !== undefined ? `${IMAGES}${kept}.png` : undefined;
  const image = await page.screenshot(path === undefined ? {} : { path });
  assert.ok(image.length > 5_000);
}

const WANTED: readonly (readonly [string, () => StatusView, string, RegExp[]])[] = [
  ["good", goodView, "✓ In sync", [
    /The app runs what is on disk\. In sync for 1 min, since 07:59:00 UTC\. Proved: the app's counter of reloads went up\./,
    /On disk 9b74c9897bac In the app 9b74c9897bac/,
    /1 file \/etc\/amp\/config\.yaml ✓ read 9b74c9897bac, 2\.1 KiB/,
    /✓ found PID 7 \(amp, user 65532\): the only application container in the pod Process amp \(PID 7\) User 65532 Handles SIGHUP ✓ yes May be signalled ✓ yes/,
    /✓ inotify Kernel events and the interval Last look 07:59:58 UTC · 2 s ago Events 12 Errors 0/,
    /✓ success 1f3870be274f → 9b74c9897bac 07:59:00 UTC · 1 min ago changed \/etc\/amp\/config\.yaml \(2\.1 KiB → 2\.1 KiB\) took 38 ms · triggered after 1\.4 ms · PID 7 · cause: event/,
    /--reload-url http:\/\/\*\*\*@localhost:8080\/health\/reload environment, RELOAD_URL/,
    /--interval 5s flag/,
  ]],
  ["rejected", rejectedView, "✗ Not in sync", [
    /Out of sync for 42 s, since 07:59:18 UTC\. The app rejected the new content: validation_failed Next try in 20 s/,
    /kubectl logs web-7f9c5d6b8-x2x4z -n shop -c APP_CONTAINER --tail=20/,
    /The app needs a restart for a part of the change: W600 tracer: endpoint/,
    /In the app 1f3870be274f/,
    /✗ rejected .* validation_failed: <b>unknown key<\/b> "colour" .*took 512 ms .* attempt 3 · cause: retry/,
    /✗ timeout .* Reload verification timeout: attempts stayed at 3/,
    /✗ failed .* Cannot send SIGHUP to PID 7: .* no trigger sent/,
  ]],
  ["pending", pendingView, "… Reloading", [
    /… in progress 1f3870be274f → 9b74c9897bac 07:59:59 UTC · just now .*triggered after 1\.1 ms/,
    /2 files, 1 cannot be read .*long-file-name\.yaml ✗ cannot be read Permission denied .*a\.yaml ✓ read/,
    /Needs attention .*subPath mount/,
    /✗ problem Several processes could be meant: .* Code ambiguous/,
    /poll No inotify watches left .* Last look none yet/,
  ]],
  ["missing", missingView, "✗ Not in sync", [/last read 07:57:55 UTC · 2 min ago, now missing/, /✗ missing/]],
  ["unreadable", unreadableView, "✗ Not in sync", [/now not readable/, /fsGroup: 65532/]],
  ["no permission", noPermissionView, "⚠ In sync", [
    /In sync, but the next change cannot be sent: No permission/,
    /runAsUser: 1000/,
  ]],
  ["ambiguous", ambiguousView, "⚠ In sync", [
    /In sync, but the next change cannot be sent: Several processes/,
  ]],
  ["held", heldView, "‖ Held", [
    /Held: web-7f9c5d6b8-9qk2p tried this content first/,
    /kubectl annotate lease/,
  ]],
  ["weak", weakView, "⚠ In sync", [/Accepted: HTTP 200, which proves little\./]],
];

test("status page: what it says in each state", async (context) => {
  let view: () => StatusView = goodView;
  await withPage({ viewport: { width: 900, height: 800 } }, () => view(), async (page, url) => {
    for (const [name, wanted, headline, patterns] of WANTED) {
      view = wanted;
      await context.step(name, async () => {
        await page.goto(url);
        assert.equal(await page.title(), `${headline} · shop/web-7f9c5d6b8-x2x4z · config-reloader`);
        assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), headline);
        const text = await textOf(page);
        for (const pattern of patterns) assert.match(text, pattern);
        assert.equal(await page.locator("section b").count(), 0, "an app's answer is text, not markup");
      });
    }
  });
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [390, 900]) {
    test(`status page in every state, ${colorScheme}, ${width} px: nothing overflows, axe is content`, async (context) => {
      let view: () => StatusView = goodView;
      const axe = await Deno.readTextFile(AXE);
      await withPage({ colorScheme, viewport: { width, height: 800 } }, () => view(), async (page, url) => {
        for (const [name, wanted] of WANTED) {
          view = wanted;
          await context.step(name, async () => {
            await page.goto(url);
            const overflow = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
            assert.ok(Number(overflow) <= 0, `${overflow} px too wide`);
            const background = await page.evaluate("getComputedStyle(document.body).backgroundColor");
            assert.equal(background, colorScheme === "dark" ? "rgb(18, 22, 28)" : "rgb(246, 247, 249)");
            await shoot(page, `${name}-${colorScheme}-${width}`);
            await page.evaluate(axe);
            const { violations, passes } = await page.evaluate("axe.run()") as {
              violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
              passes: { id: string }[];
            };
            const found = violations.flatMap(({ id, nodes }) =>
              nodes.map((node) => `${id}: ${node.html}\n${node.failureSummary}`)
            );
            assert.deepEqual(found, []);
            assert.ok(passes.some(({ id }) => id === "color-contrast"), "contrast was looked at");
          });
        }
      });
    });
  }
}

test("the page has its landmarks, and every section its name", async () => {
  await withPage({}, rejectedView, async (page) => {
    for (const role of ["banner", "main", "contentinfo"] as const) {
      assert.equal(await page.getByRole(role).count(), 1, role);
    }
    for (
      const name of [
        "✗ Not in sync",
        "Needs attention",
        "Configuration",
        "Target",
        "Watcher",
        "Reloads, newest first",
        "Settings",
      ]
    ) {
      // The marks are hidden from screen readers.
      const spoken = name.replace(/^. (?=Not)/, "");
      assert.equal(await page.getByRole("region", { name: spoken }).count(), 1, spoken);
    }
    // Of what needs attention, reloads and files, and the changed files of two reloads.
    assert.ok(await page.getByRole("list").count() >= 3);
  });
});

test("the next step is selected as a whole by one click; the defaults unfold without scripts", async () => {
  await withPage({ javaScriptEnabled: true }, noPermissionView, async (page) => {
    await page.locator(".copy").first().click();
    assert.equal(await page.evaluate("getSelection().toString().trim()"), noPermissionView().fix!.yaml);
    const folded = page.getByText("--config-file", { exact: true });
    assert.equal(await folded.isVisible(), false);
    await page.locator("summary").click();
    assert.equal(await folded.isVisible(), true);
  });
});

test("without JavaScript it says the same", async () => {
  await withPage({ javaScriptEnabled: false }, goodView, async (page) => {
    assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "✓ In sync");
    assert.match((await page.content()).replace(/\s+/g, " "), /The app runs what is on disk/);
  });
});

test("it refreshes itself, until the reader stops that", async () => {
  let view = pendingView();
  let asked = 0;
  const ask = () => {
    asked++;
    return view;
  };
  await withPage({}, ask, async (page) => {
    view = goodView();
    await until(
      "the page to show the new state",
      async () => (await page.title()).startsWith("✓ In sync · "),
      {
        timeoutMs: 15_000,
        everyMs: 100,
      },
    );
    await page.getByRole("link", { name: "Stop refreshing" }).click();
    await page.getByRole("link", { name: "Refresh by itself" }).waitFor();
    const before = asked;
    await new Promise((resolve) => setTimeout(resolve, 6_500));
    assert.equal(asked, before);
  });
});

test("10,000 files do not make an endless page; those that cannot be read come first", async () => {
  const files = Array.from({ length: 10_000 }, (_, i) => ({
    path: `/etc/app/${i}.yaml`,
    digest: i === 9_999 ? null : "0".repeat(64),
    sizeBytes: 1,
    error: i === 9_999 ? "permission denied" : null,
  }));
  await withPage({}, () => goodView({ files }), async (page) => {
    const items = page.locator(".files li");
    assert.equal(await items.count(), 50);
    assert.match(await items.first().innerText(), /9999\.yaml/);
    assert.match(
      await textOf(page),
      /10000 files, 1 cannot be read .* and 9950 more, all of them in the JSON/,
    );
  });
});

test("a sidecar that has just started has nothing to show, and says so", async () => {
  const empty = goodView({
    inSync: false,
    outOfSyncReason: "nothing has been read yet",
    diskDigest: null,
    appliedDigest: null,
    files: [],
    target: null,
    reloads: [],
    settings: [],
  });
  await withPage({}, () => empty, async (page) => {
    assert.match(
      await textOf(page),
      /Nothing has been read yet.*None so far.*On disk not read yet In the app not known yet.*Not looked for yet/,
    );
  });
});

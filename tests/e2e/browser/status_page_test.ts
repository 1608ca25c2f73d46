/**
 * The status page in a real Chromium, from the real server: its looks in each state, in both colour schemes
 * and on a narrow screen, that it is accessible, and what a reader does with it. Needs Debian's chromium. With UPDATE_IMAGES=1 the
 * screenshots in docs/images are taken anew; `pngquant --ext .png --force 64` makes them a quarter of their size.
 */

import assert from "node:assert/strict";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { createClock } from "../../../src/clock.ts";
import type { StatusView } from "../../../src/model.ts";
import { createHandler } from "../../../src/serve/handler.ts";
import { startServer } from "../../../src/serve/server.ts";
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
import { createTestConfig } from "../../support/config.ts";
import { until } from "../../support/poll.ts";
import { test } from "../../support/strict.ts";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync --hide-scrollbars";
const IMAGES = new URL("../../../docs/images/", import.meta.url).pathname;
const AXE = new URL("../../../node_modules/axe-core/axe.min.js", import.meta.url).pathname;

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Opens the page that the server makes of `view`, and fails on whatever the browser complains of. */
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
    onUnread: () => {},
    onError: (_, error) => assert.fail(String(error)),
  });
  const server = startServer(
    createTestConfig({ intervalMs: 60_000, metricsHost: "127.0.0.1" }),
    handler,
    quiet,
    createClock(),
  );
  const { port } = server;
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

/** Each state with its headline; tests/serve/page_test.ts has the words. */
const STATES: readonly (readonly [string, () => StatusView, string])[] = [
  ["good", goodView, "✓ In sync"],
  ["rejected", rejectedView, "✗ Not in sync"],
  ["pending", pendingView, "… Reloading"],
  ["missing", missingView, "✗ Not in sync"],
  ["unreadable", unreadableView, "✗ Not in sync"],
  ["no permission", noPermissionView, "⚠ In sync"],
  ["ambiguous", ambiguousView, "⚠ In sync"],
  ["held", heldView, "‖ Held"],
  ["weak", weakView, "⚠ In sync"],
];

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [390, 900]) {
    test(`status page in every state, ${colorScheme}, ${width} px: nothing overflows, axe is content`, async (context) => {
      let view: () => StatusView = goodView;
      const axe = await Deno.readTextFile(AXE);
      await withPage({ colorScheme, viewport: { width, height: 800 } }, () => view(), async (page, url) => {
        for (const [name, wanted, headline] of STATES) {
          view = wanted;
          await context.step(name, async () => {
            // One that refreshes itself, as in the pictures, may be another page before it has been looked at.
            await page.goto(Deno.env.get("UPDATE_IMAGES") ? url : `${url}?refresh=off`);
            assert.equal(await page.title(), `${headline} · shop/web-7f9c5d6b8-x2x4z · config-reloader`);
            assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), headline);
            assert.equal(await page.locator("section b").count(), 0, "an app's answer is text, not markup");
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

test("without JavaScript: the next step is selected as a whole by one click, and the defaults unfold", async () => {
  await withPage({ javaScriptEnabled: false }, noPermissionView, async (page) => {
    await page.locator(".copy").first().click();
    assert.equal(await page.evaluate("getSelection().toString().trim()"), noPermissionView().fix!.yaml);
    const folded = page.getByText("--config-file", { exact: true });
    assert.equal(await folded.isVisible(), false);
    await page.locator("summary").click();
    assert.equal(await folded.isVisible(), true);
  });
});

test("it refreshes itself, until the reader stops that", async () => {
  let view = pendingView();
  await withPage({}, () => view, async (page, url) => {
    view = goodView();
    await until(
      "the page to show the new state",
      async () => (await page.title()).startsWith("✓ In sync · "),
      { everyMs: 100 },
    );
    await page.getByRole("link", { name: "Stop refreshing" }).click();
    await page.getByRole("link", { name: "Refresh by itself" }).waitFor();
    let asked = 0;
    page.on("request", () => asked++);
    // A page that comes later and is not stopped tells when this one would have been loaded again.
    const other = await page.context().newPage();
    let loads = 0;
    other.on("load", () => loads++);
    await other.goto(url);
    await until("the other page to refresh itself", () => loads > 1, { everyMs: 100 });
    assert.equal(asked, 0);
  });
});

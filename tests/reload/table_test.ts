/**
 * The table of phases and events in docs/ARCHITECTURE.md is what `step` does: it is drawn from many random worlds, and
 * compared. `UPDATE_TABLE=1` writes it.
 */

import assert from "node:assert/strict";
import type { Effect, Event, Phase } from "../../src/reload/model.ts";
import { createTestConfig } from "../support/config.ts";
import { createRandom } from "../support/random.ts";
import { test } from "../support/strict.ts";
import { createChoices, perform, World } from "./world.ts";

const DOC = new URL("../../docs/ARCHITECTURE.md", import.meta.url);
const BEGIN = "<!-- phases: written by tests/reload/table_test.ts -->";
const END = "<!-- end of phases -->";
const WORLDS = 1_500;
/** The order of the rows: as the contract's *What happens on a change* goes. */
const PHASES: readonly Phase["is"][] = [
  "starting",
  "steady",
  "settling",
  "blocked",
  "due",
  "asking",
  "absent",
  "rendering",
  "reloading",
  "concluding",
];
const EVENTS: readonly Event["kind"][] = [
  "hinted",
  "woke",
  "looked",
  "answered",
  "checked",
  "told",
  "rendered",
  "sent",
  "ended",
  "stop",
];

/** By phase and event: every effect that was seen, with the phase it is asked for in. */
function explore(): Map<string, Set<string>> {
  const seen = new Map<string, Set<string>>();
  for (let seed = 1; seed <= WORLDS; seed++) {
    const random = createRandom(seed);
    const isOnce = random.chance(0.2);
    const policy = createTestConfig({
      trigger: random.pick(["signal", "http", "none"]),
      reloadOnStart: random.pick(["auto", "always", "never"]),
      jitterMs: random.pick([0, 3_000]),
      minReloadIntervalMs: random.pick([0, 1_000, 10_000]),
      once: isOnce,
      configEnvsubstFile: isOnce && random.chance(0.3) ? "/out" : null,
    });
    const numbers = Array.from({ length: random.int(1, 400) }, () => random.int(0, 9_999));
    const world = new World(policy, createChoices(numbers));
    world.onStep = (before, event, after, effect) => {
      if (before.phase.is === "ended") return;
      const key = `${before.phase.is} ${event.kind}`;
      const cell = seen.get(key) ?? new Set();
      seen.set(key, cell.add(cellOf(before.phase.is, after.phase.is, effect)));
    };
    while (!world.choices.isOver() && world.effect.do !== "end") perform(world, false);
    if (world.effect.do !== "end") world.take({ kind: "stop" });
  }
  return seen;
}

function cellOf(before: Phase["is"], after: Phase["is"], effect: Effect): string {
  if (effect.do === "end") return "end";
  return before === after ? effect.do : `**${after}**, ${effect.do}`;
}

function renderTable(): string {
  const seen = explore();
  const rows = PHASES.flatMap((phase) =>
    EVENTS.flatMap((event) => {
      const cells = seen.get(`${phase} ${event}`);
      return cells ? [`| ${phase} | ${event} | ${[...cells].sort().join(" · ")} |`] : [];
    })
  );
  return ["| Phase | Event | What follows |", "| --- | --- | --- |", ...rows].join("\n");
}

const withoutPadding = (text: string) => text.replace(/ +\|/g, " |").replace(/-{3,}/g, "---").trim();

test("docs/ARCHITECTURE.md has the table of phases and events as step has it", () => {
  const text = Deno.readTextFileSync(DOC);
  const [before, rest] = text.split(BEGIN) as [string, string];
  assert.ok(rest !== undefined, "the table has its place");
  const [table, after] = rest.split(END) as [string, string];
  const wanted = renderTable();
  if (Deno.env.get("UPDATE_TABLE") === "1") {
    return Deno.writeTextFileSync(DOC, `${before}${BEGIN}\n\n${wanted}\n\n${END}${after}`);
  }
  assert.equal(withoutPadding(table), withoutPadding(wanted), "UPDATE_TABLE=1 writes it");
});

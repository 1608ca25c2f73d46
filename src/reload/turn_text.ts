/** What the group's answer to a reload that is due means, in words. Pure. */

import type { Turn } from "../model.ts";

/** The answer for people; empty where there is nothing to say. */
export function turnText(turn: Turn): string {
  switch (turn.is) {
    case "asking":
    case "go":
      return "";
    case "waiting":
      return `Waiting for its turn in the rollout: ${turn.pod} tries new content first`;
    case "held":
      return `Held: ${turn.pod || "another pod"} tried this content first and ${
        HELD[turn.outcome] ?? "it was rejected there"
      }${turn.reason === "" ? "" : `: ${turn.reason}`}`;
    case "unreachable":
      return `Nothing is reloaded before the rollout's turn is known: ${turn.message}`;
  }
}

const HELD: Readonly<Record<string, string>> = {
  rejected: "its app rejected it",
  failed: "its reload failed",
  timeout: "its app did not prove it",
  invalid: "it did not pass there",
};

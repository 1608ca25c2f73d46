/** The last reloads, for `/status` and the page. Bounded; keeps no more than the records it is given. */

import type { ReloadRecord } from "../model.ts";

/** Reloads that are remembered (contract: `GET /status`). */
export const HISTORY_LENGTH_MAX = 20;

/** What is remembered. */
export interface History {
  /** Adds a reload that has begun; returns the function that replaces it by its state at the end. */
  begin(record: ReloadRecord): (ended: ReloadRecord) => void;
  /** Newest first, `HISTORY_LENGTH_MAX` at most. */
  list(): readonly ReloadRecord[];
}

/** Creates an empty history. */
export function createHistory(): History {
  const slots: { record: ReloadRecord }[] = [];
  return {
    begin: (record) => {
      const slot = { record };
      slots.unshift(slot);
      if (slots.length > HISTORY_LENGTH_MAX) slots.pop();
      return (ended) => {
        slot.record = ended;
      };
    },
    list: () => slots.map((slot) => slot.record),
  };
}

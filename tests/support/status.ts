/** What apps say about their last reload, for tests. */

import type { Status, StatusReading } from "../../src/model.ts";

/** The status of an app of AMP's kind. */
export type Amp = Extract<Status, { format: "amp" }>;

/** An AMP whose last reload went well, and what is different about it. */
export function amp(more: Partial<Amp> = {}): Amp {
  return {
    format: "amp",
    status: "success",
    attempts: 3,
    splitState: false,
    restartRequired: [],
    lastReloadWallMs: null,
    ...more,
  };
}

/** The status of an app of Prometheus's kind. */
export type Prometheus = Extract<Status, { format: "prometheus" }>;

/** A Prometheus with one family, that tells a time. */
export function prometheus(successful: boolean, successWallMs: number | null): Prometheus {
  const family = { prefix: "", successful, successWallMs: successWallMs ?? 0, reloads: null, errors: null };
  return { format: "prometheus", successful, successWallMs, families: [family] };
}

/** What a status URL without a server says. */
export const DOWN: StatusReading = { kind: "error", reason: "connection refused" };

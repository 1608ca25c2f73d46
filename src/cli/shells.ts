/** The shells that have completions, apart from the scripts, which are loaded only when asked for. */

/** Shells with completions. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
/** One of them. */
export type Shell = typeof SHELLS[number];

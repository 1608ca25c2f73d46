/** A Config with the defaults of the table of flags (held to the contract by tests/cli/flags_test.ts), for all other tests. */

import { resolveConfig } from "../../src/cli/resolve.ts";
import type { Config } from "../../src/config.ts";

const DEFAULTS: Config = { ...resolveConfig(new Map(), "/"), metricsPort: 0, settings: [] };

/** The defaults, with any free port, and `more` laid over them. */
export function createTestConfig(more: Partial<Config> = {}): Config {
  return Object.freeze({ ...DEFAULTS, ...more });
}

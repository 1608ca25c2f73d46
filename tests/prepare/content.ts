/** Settings and content for tests of the preparation. */

import type { Snapshot } from "../../src/model.ts";
import type { Logger } from "../../src/ports.ts";
import { createTestConfig } from "../support/config.ts";
import { digestOf } from "../../src/watch/digest.ts";

export const BASE = createTestConfig({
  configFiles: ["/in/in.yaml"],
  maxFileSizeBytes: 1_000_000,
  maxUnpackedBytes: 1_000_000,
});

export async function snapshotOf(
  files: Record<string, string>,
  mode = 0o644,
  dir = "/in",
): Promise<Snapshot> {
  const read = Object.entries(files).map(async ([name, text]) => {
    const bytes = new TextEncoder().encode(text);
    const digest = await digestOf(bytes);
    return { path: `${dir}/${name}`, name, digest, sizeBytes: bytes.length, mode, bytes, error: null };
  });
  return { digest: "", files: await Promise.all(read), changedWallMs: 0 };
}

export function createLog(): Logger & { lines: string[] } {
  const lines: string[] = [];
  const push = (text: string) => void lines.push(text);
  return { lines, debug: push, info: push, warn: push, error: push };
}

/**
 * Whether what the sidecar writes would be what it watches: it would then trigger itself without end. Judged by the
 * paths alone. Must never touch the disk.
 */

import type { Config } from "../config.ts";
import { isPattern, matchesParts, parseGlob } from "../watch/glob.ts";
import { baseName, isWithin } from "../paths.ts";
import type { Resolved } from "./resolve.ts";
import { quote } from "./usage_error.ts";

/**
 * The first conflict between inputs and outputs as a message, or null.
 */
export function findOutputConflict({ config, givenAs }: Resolved): string | null {
  const { configEnvsubstFile: file, outputDir: dir } = config;
  if (file !== null && dir !== null) {
    return `${givenAs("output-dir")}: ${quote(dir)} and --config-envsubst-file both say where to write, ` +
      "want one of them";
  }
  if (file !== null) {
    return findFileConflict(config, file, `${givenAs("config-envsubst-file")}: ${quote(file)}`);
  }
  return dir === null ? null : findDirConflict(config, dir, givenAs("output-dir")!);
}

/** `begin` of a message: the flag and its value. */
function findFileConflict({ configFiles, watchedDirs }: Config, file: string, begin: string): string | null {
  const [input, ...more] = configFiles;
  const several = input === undefined
    ? "--watched-dir is given"
    : more.length > 0
    ? `${configFiles.length} config files are given`
    : isPattern(input)
    ? `--config-file ${quote(input)} is a glob`
    : null;
  if (several !== null) return `${begin} holds one file, but ${several}, want --output-dir instead`;
  if (input === file) return `${begin} is the --config-file itself, want another file`;
  return findWatched(watchedDirs, file, begin, "a file");
}

function findWatched(dirs: readonly string[], path: string, begin: string, wanted: string): string | null {
  const outer = dirs.find((watched) => isWithin(path, watched));
  if (outer === undefined) return null;
  return `${begin} lies in --watched-dir ${quote(outer)} and would be watched itself, ` +
    `want ${wanted} outside of it`;
}

function findDirConflict({ configFiles, watchedDirs }: Config, dir: string, label: string): string | null {
  const begin = `${label}: ${quote(dir)}`;
  const watched = findWatched(watchedDirs, dir, begin, "a directory");
  if (watched !== null) return watched;
  const overwritten = configFiles.find((file) =>
    isPattern(file) ? couldMatchIn(dir, file) : isDirectlyIn(file, dir)
  );
  if (overwritten !== undefined) {
    return `${begin} would overwrite what --config-file ${quote(overwritten)} watches, ` +
      "want another directory";
  }
  const byName = new Map<string, string>();
  for (const file of configFiles.filter((file) => !isPattern(file))) {
    const [name, other] = [baseName(file), byName.get(baseName(file))];
    if (other !== undefined) {
      return `${label}: --config-file ${quote(other)} and ${quote(file)} would both be ` +
        `written as ${quote(name)}, want inputs with different names`;
    }
    byName.set(name, file);
  }
  return null;
}

function isDirectlyIn(file: string, dir: string): boolean {
  return file === (dir === "/" ? "" : dir) + "/" + baseName(file);
}

/** Whether some file directly in `dir` could match the glob. */
function couldMatchIn(dir: string, pattern: string): boolean {
  const { base, parts } = parseGlob(pattern);
  if (!isWithin(dir, base)) return false;
  const below = dir.slice(base === "/" ? 0 : base.length).split("/").filter(Boolean);
  return matchesParts(parts.at(-1) === "**" ? parts : parts.slice(0, -1), below);
}

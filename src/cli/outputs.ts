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
  if (config.configEnvsubstFile !== null && config.outputDir !== null) {
    return `${givenAs("output-dir")}: ${
      quote(config.outputDir)
    } and --config-envsubst-file both say where to write, ` +
      "want one of them";
  }
  if (config.configEnvsubstFile !== null) return findFileConflict(config, givenAs("config-envsubst-file")!);
  if (config.outputDir !== null) return findDirConflict(config, config.outputDir, givenAs("output-dir")!);
  return null;
}

function findFileConflict(config: Config, label: string): string | null {
  const output = quote(config.configEnvsubstFile!);
  const [input, ...more] = config.configFiles;
  if (input === undefined) {
    return `${label}: ${output} holds one file, but --watched-dir is given, want --output-dir instead`;
  }
  if (more.length > 0) {
    return `${label}: ${output} holds one file, but ${config.configFiles.length} config files are given, ` +
      "want --output-dir instead";
  }
  if (isPattern(input)) {
    return `${label}: ${output} holds one file, but --config-file ${quote(input)} is a glob, ` +
      "want --output-dir instead";
  }
  if (input === config.configEnvsubstFile) {
    return `${label}: ${output} is the --config-file itself, want another file`;
  }
  const outer = config.watchedDirs.find((watched) => isWithin(config.configEnvsubstFile!, watched));
  return outer === undefined
    ? null
    : `${label}: ${output} lies in --watched-dir ${quote(outer)} and would be watched itself, ` +
      "want a file outside of it";
}

function findDirConflict(config: Config, dir: string, label: string): string | null {
  const output = quote(dir);
  const outer = config.watchedDirs.find((watched) => isWithin(dir, watched));
  if (outer !== undefined) {
    return `${label}: ${output} lies in --watched-dir ${quote(outer)} and would be watched itself, ` +
      "want a directory outside of it";
  }
  const names = new Map<string, string>();
  for (const file of config.configFiles) {
    if (isPattern(file) ? couldMatchIn(dir, file) : isDirectlyIn(file, dir)) {
      return `${label}: ${output} would overwrite what --config-file ${
        quote(file)
      } watches, want another directory`;
    }
    if (isPattern(file)) continue;
    const other = names.get(baseName(file));
    if (other !== undefined) {
      return `${label}: --config-file ${quote(other)} and ${quote(file)} would both be written as ` +
        `${quote(baseName(file))}, want inputs with different names`;
    }
    names.set(baseName(file), file);
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

// deno-lint-ignore-file no-console -- a command's output
/** The command line of the repository's own tasks: `--help` on each, and a flag that is not known is an error. */

import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

/**
 * Reads the flags of a task. Prints `usage` and ends for `--help`; prints the mistake and ends with 2 for any other flag
 * or word.
 */
export function readFlags<const O extends ParseArgsOptionsConfig>(usage: string, options: O) {
  if (Deno.args.includes("--help") || Deno.args.includes("-h")) {
    console.log(usage);
    Deno.exit(0);
  }
  try {
    return parseArgs({ args: Deno.args, options }).values;
  } catch (error) {
    return fail(`${(error as Error).message.split(". ")[0]}\n\n${usage}`);
  }
}

/** A whole number from a flag's text; ends the program with 2 where it is none. */
export function wholeNumber(name: string, text: string): number {
  return /^\d+$/.test(text) ? Number(text) : fail(`--${name}: "${text}" is no whole number`);
}

/** Ends the program for a mistake on its command line. */
export function fail(message: string): never {
  console.error(message);
  Deno.exit(2);
}

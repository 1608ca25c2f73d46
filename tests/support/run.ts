/** Programs that run to their end: what they printed, and how to get one that is missing. */

/** Repository root, without a slash at its end. */
export const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");

/** What a program printed and how it ended. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** How it is run. */
export interface RunOptions extends Pick<Deno.CommandOptions, "cwd" | "env" | "clearEnv" | "uid" | "gid"> {
  readonly stdin?: string;
  /** How to install it. */
  readonly from?: string;
}

/** Runs a program to its end, whatever that is. @throws where it is not installed */
export async function attempt(
  program: string,
  args: readonly string[],
  { stdin, from = `the package ${program}`, ...options }: RunOptions = {},
): Promise<Ran> {
  const command = new Deno.Command(program, {
    ...options,
    args: [...args],
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });
  let child: Deno.ChildProcess;
  try {
    child = command.spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`This needs ${program}: install ${from}`, { cause: error });
  }
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    // It may end before it has read all of it.
    await writer.write(new TextEncoder().encode(stdin)).then(() => writer.close()).catch(() => {});
  }
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Runs a program to its end and returns what it printed to its standard output. @throws with all it said where it fails */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, out, err } = await attempt(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit code ${code}: ${err}${out}`);
  return out;
}

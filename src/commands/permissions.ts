/**
 * What Deno must have granted before anything starts. It only asks what is granted, so that Deno never prompts;
 * must touch nothing that needs a permission itself.
 */

/** Deno opens most of /proc only to a program with all of these in full; any `--deny-…` closes it. */
const NEEDED = ["read", "write", "net", "env", "run", "sys", "ffi", "import"] as const;

/**
 * The permissions that are missing, as one line for people; null where all are there. A compiled binary has those
 * that were baked in, so it saves the time.
 */
export function findMissingPermissions(): string | null {
  if (Deno.build.standalone) return null;
  const missing = NEEDED.filter((name) => {
    // Deno's types know no "import" yet.
    const { state, partial } = Deno.permissions.querySync({ name } as Deno.PermissionDescriptor);
    return state !== "granted" || partial;
  });
  if (missing.length === 0) return null;
  return `Deno's permissions are missing or cut: ${
    missing.join(", ")
  }; all are needed to read /proc and to signal ` +
    "the application: run it with -A and without any --deny-… (deno run -A main.ts)";
}

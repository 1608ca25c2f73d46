/**
 * The least that a Deno program of this kind can do: an event, the file read and hashed with SHA-256, and a signal if
 * the hash is new. No checks, no verification, no metrics: the least program that the benchmark compares with.
 *
 *     deno run -A bench/least_deno.ts DIRECTORY FILE PID
 */

const [directory, file, pid] = Deno.args as [string, string, string];

async function digest(): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", Deno.readFileSync(file)));
  return bytes.join();
}

const watcher = Deno.watchFs(directory, { recursive: false });
let old = await digest();
for await (const _event of watcher) {
  try {
    const now = await digest();
    if (now === old) continue;
    old = now;
    Deno.kill(Number(pid), "SIGHUP");
  } catch { /* between two steps of a swap */ }
}

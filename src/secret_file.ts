/** Files of a mounted Secret: credentials, certificates, keys. Read afresh each time, since a Secret rotates. */

import { plainReason } from "./text.ts";

/** Larger files are refused: the largest bundle of authorities in use is about 250 KiB. */
const FILE_BYTES_MAX = 1024 * 1024;

/**
 * Reads a file and what it means. `what` names it for people.
 * @throws Error that names the file and what is wrong with it; of the content only what `parse` throws
 */
export function readSecretFile<T>(what: string, path: string, parse: (text: string) => T): T {
  try {
    // Only a regular file may be opened: opening a FIFO would hang the whole process.
    const info = Deno.statSync(path);
    if (!info.isFile) throw new Error("not a regular file");
    if (info.size > FILE_BYTES_MAX) throw new Error(`larger than ${FILE_BYTES_MAX / 1024 / 1024} MiB`);
    return parse(Deno.readTextFileSync(path));
  } catch (error) {
    throw new Error(`Cannot read ${what} "${path}": ${plainReason(error)}`, { cause: error });
  }
}

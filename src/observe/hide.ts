/** Keeps credentials in URLs out of logs, `/status` and error texts. Pure. */

/**
 * Replaces user and password of a URL by `***`, and the value of each query parameter whose name speaks of a secret
 * (`token`, `api_key`, `password`, …). Works on any text, also one with several URLs or an invalid one.
 *
 * @example
 * ```ts
 * import { hideCredentials } from "./hide.ts";
 *
 * hideCredentials("http://me:secret@app:8080/health"); // http://***@app:8080/health
 * ```
 */
export function hideCredentials(url: string): string {
  return url
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s\/?#]*@/gi, "$1***@")
    .replace(/([?&][^=&\s#]*(?:token|secret|passw|auth|key|signature)[^=&\s#]*=)[^&\s#]+/gi, "$1***");
}

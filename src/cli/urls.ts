/**
 * URLs of the app as the user writes them: `http://`, `https://`, or `unix:/path/to.sock:/path` for a unix socket.
 * Owns what of a URL may be shown: never user, password, query or fragment, which is where tokens live.
 */

import { quote, UsageError } from "./usage_error.ts";

/**
 * Checks a URL and returns it as written.
 * @throws {UsageError} where it is neither an http(s) URL with a host nor `unix:/socket:/path`
 */
export function parseAppUrl(text: string): string {
  // deno-lint-ignore no-control-regex -- `new URL` silently drops tabs and line ends
  const clean = !/[\s\x00-\x1f\x7f]/.test(text);
  if (clean && /^unix:\/[^:]+:\//.test(text)) return text;
  if (clean && /^https?:\/\/[^/?#\\]/i.test(text) && URL.canParse(text)) return text;
  throw new UsageError(
    `${quote(hideUrlSecrets(text))} is no URL, want http://HOST:PORT/PATH, https://… or unix:/SOCKET:/PATH`,
  );
}

/** The URL with user and password, query and fragment replaced by `***`; also for text that is no valid URL. */
export function hideUrlSecrets(url: string): string {
  const rest = (text: string) => text.replace(/\?[^#]*/, "?***").replace(/#.*/s, "#***");
  // Not a URL: whatever could be meant as user and password goes, before a `?` or `#` in it can hide its end.
  const isUrl = /^(?:https?:\/\/|unix:\/)/i.test(url) && URL.canParse(url);
  if (!isUrl) return rest(url.replace(/\/\/.*@/s, "//***@").replace(/^[^/]*:[^/]*@/, "***@"));
  const { username, password } = new URL(url);
  return rest(username === "" && password === "" ? url : url.replace(/\/\/[^/?#]*@/, "//***@"));
}

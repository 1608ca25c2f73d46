/** URLs of the app as the user writes them: `http://`, `https://`, or `unix:/path/to.sock:/path` for a unix socket. */

import { hideUrlSecrets } from "../http/hide_url.ts";
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

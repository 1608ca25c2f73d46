/**
 * What of a URL may be shown: never user, password, query or fragment, which is where tokens live. Every text with a
 * URL in it goes through here.
 */

/**
 * The URL with user and password, query and fragment replaced by `***`; also for text that is no valid URL.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(hideUrlSecrets("http://user:pass@app:80/x?token=1#y"), "http://***@app:80/x?***#***");
 * assert.equal(hideUrlSecrets("http://app:80/x"), "http://app:80/x");
 * assert.equal(hideUrlSecrets("http://user:pass"), "http://user:***");
 * ```
 */
export function hideUrlSecrets(url: string): string {
  const rest = (text: string) => text.replace(/\?[^#]*/, "?***").replace(/#.*/s, "#***");
  // Not a URL: whatever could be meant as user and password goes, before a `?` or `#` in it can hide its end.
  const isUrl = /^(?:https?:\/\/|unix:\/)/i.test(url) && URL.canParse(url);
  if (!isUrl) {
    // `http://user:pass` is what is left of a URL that was cut in two, at a comma for instance.
    return rest(
      url.replace(/\/\/.*@/s, "//***@").replace(/^[^/]*@/, "***@")
        .replace(/(\/\/[^/?#:@[\]]*):(?!\d{1,5}(?:[/?#]|$))[^/?#]+/, "$1:***"),
    );
  }
  const { username, password } = new URL(url);
  return rest(username === "" && password === "" ? url : url.replace(/\/\/[^/?#]*@/, "//***@"));
}

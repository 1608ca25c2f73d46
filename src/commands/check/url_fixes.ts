/** What to change where one of the app's URLs does not answer as it should: by the reason that was given. */

import type { Fix } from "./finding.ts";
import { argsFix, SECRET_FIX } from "./fixes.ts";

/** A file with credentials that cannot be used, in the words of `http/credentials.ts`. */
const CREDENTIALS = /Cannot (read|use) [\w ]+ file "/;

/**
 * What to change where the status URL gives no status: by the reason, in the words of `verify/` and `http/errors.ts`; null
 * where it names none of these. `url` without its secrets.
 */
export function statusFix(url: string, reason: string, httpTimeoutMs: number): Fix | null {
  if (CREDENTIALS.test(reason)) return SECRET_FIX;
  if (/HTTP 40[137]/.test(reason)) {
    return argsFix(
      "give it the credentials that it asks for (or --basic-auth-file, with user:password)",
      "--bearer-token-file=/etc/credentials/token",
    );
  }
  if (/HTTP 405/.test(reason)) {
    return argsFix(
      "this URL wants another method, as one that starts a reload does: trigger by it, and ask another how it went",
      "--trigger=http",
      `--trigger-url=${url}`,
      "--reload-url=http://localhost:PORT/PATH",
    );
  }
  if (/does not speak TLS/.test(reason)) {
    return argsFix("ask without TLS", `--reload-url=${url.replace(/^https:/, "http:")}`);
  }
  if (/unknown authority/.test(reason)) {
    return argsFix("name the authority that signed its certificate", "--ca-file=/etc/credentials/ca.crt");
  }
  if (/not HTTP|TLS|certificate/.test(reason)) {
    const host = url.replace(/^https?:\/\/[^/:]*/, "https://NAME_IN_THE_CERTIFICATE");
    return argsFix("ask with TLS, by the name that the certificate is for", `--reload-url=${host}`);
  }
  if (/timed out/.test(reason)) {
    const seconds = Math.ceil(httpTimeoutMs / 1000) * 3;
    return argsFix("give the application more time to answer", `--http-timeout=${seconds}s`);
  }
  if (/there is no .* in the JSON/.test(reason)) {
    return argsFix(
      "name a value of the answer that changes with each reload, as a JSON pointer",
      "--verify=json",
      "--verify-token=/PATH/OF/THE/VALUE",
    );
  }
  return /connection refused|HTTP \d{3}/.test(reason) ? URL_FIX : null;
}

/** Another status URL. */
export const URL_FIX = argsFix(
  "give the URL at which the application reports how its last reload went",
  "--reload-url=http://localhost:PORT/PATH",
);

/** What to change where the app did not take the request that triggers it; null where it is the content that it refused. */
export function triggerFix(reason: string): Fix | null {
  if (CREDENTIALS.test(reason)) return SECRET_FIX;
  if (/answered HTTP 40[137]/.test(reason)) {
    return argsFix(
      "give it the credentials that it asks for, or let it allow reloads by request (Prometheus: --web.enable-lifecycle)",
      "--bearer-token-file=/etc/credentials/token",
    );
  }
  if (/answered HTTP 405/.test(reason)) {
    return argsFix("this URL wants another method", "--trigger-method=METHOD");
  }
  if (/answered HTTP (404|501)|redirected|connection refused|not found|no such socket/.test(reason)) {
    return argsFix(
      "start the application, or give the URL by which it reloads",
      "--trigger-url=http://localhost:PORT/PATH",
    );
  }
  return null;
}

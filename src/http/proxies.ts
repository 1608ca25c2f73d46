/**
 * Keeps the proxies of the environment out of every request: what is asked is in this pod, or is the API server.
 * `NO_PROXY=*` would do that as well, and would also keep `fetch` off unix sockets, which it reaches as through a proxy.
 */

/** What `fetch` looks at, in both spellings. */
const PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/**
 * Removes the proxy variables from this process's own environment. To be called before the first request, and after
 * the environment was copied for those who are to see it whole (`$(VAR)`, the check command).
 */
export function forgetProxies(): void {
  for (const name of PROXY_VARIABLES) {
    Deno.env.delete(name);
    Deno.env.delete(name.toLowerCase());
  }
}

/** Version and revision of this build. The bundler replaces the two names; run from source they are not defined. */

declare const BUILD_REVISION: string | undefined;

/** Semantic version; the same as in `deno.json`, held together by a test. */
export const VERSION = "0.1.0";
/**
 * Where this version's documents are, for links in alerts, the dashboard and the page. `deno task docs` writes it into `k8s/`;
 * docs/release.md says who takes the place of OWNER.
 */
export const DOCS_URL = `https://github.com/OWNER/config-reloader/blob/v${VERSION}/docs`;
/** Git revision the binary was built from, or `source`. */
export const REVISION: string = typeof BUILD_REVISION === "undefined" ? "source" : BUILD_REVISION;

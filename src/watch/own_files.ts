/** How this program's own temporary files are told from content. Shared by what writes them and what must not read them. */

/** Names of files that are being written start with this; a dot hides them from globs and listings. */
export const OWN_PREFIX = ".config-reloader-";

/** Flags of how a reload is proved, and of the credentials for the app. Data only. */

import type { Flags } from "../flag.ts";
import * as kind from "../kinds.ts";

const credential = {
  group: "Credentials for the app",
  default: null,
  origin: "off: no credentials",
} as const;

/** The rows of this group. */
export const VERIFICATION_FLAGS = {
  "reload-url": {
    ...kind.APP_URL,
    group: "Verification",
    default: "http://localhost:8080/health/reload",
    plainVariable: "RELOAD_URL",
    origin: "seed",
    help: "where the app tells how its last reload went",
  },
  "verify": {
    ...kind.oneOf("auto", "http", "amp", "prometheus", "json", "none"),
    group: "Verification",
    default: "auto",
    origin: "contract: the answer tells its own format",
    help: "how a reload is proved; auto: amp or prometheus by the answer, else http (status 200)",
  },
  "verify-ok": {
    ...kind.POINTER_VALUE,
    group: "Verification",
    default: null,
    origin: "off: only for --verify json",
    help: "for json: what must hold, such as /status=ok",
  },
  "verify-token": {
    ...kind.POINTER,
    group: "Verification",
    default: null,
    origin: "off: only for --verify json",
    help: "for json: JSON pointer whose value must change",
  },
  "reload-timeout": {
    ...kind.DURATION,
    group: "Verification",
    default: "30s",
    origin: "contract: the original's limit for a reload",
    help: "how long verification may take",
  },
  "poll-interval": {
    ...kind.DURATION,
    group: "Verification",
    default: "500ms",
    origin: "contract: 60 reads within the default --reload-timeout",
    help: "longest pause between two status reads (the first ones are closer)",
  },
  "http-timeout": {
    ...kind.DURATION,
    group: "Verification",
    default: "5s",
    origin: "contract: the default --interval",
    help: "one HTTP request: connect, headers and body; also ends --check-command",
  },
  "basic-auth-file": { ...kind.FILE, ...credential, help: "file with user:password" },
  "bearer-token-file": { ...kind.FILE, ...credential, help: "file with a token" },
  "header-file": { ...kind.FILE, ...credential, help: "file with lines Name: value" },
  "ca-file": { ...kind.FILE, ...credential, help: "PEM certificates that vouch for the app" },
  "client-cert-file": { ...kind.FILE, ...credential, help: "PEM certificate to show to the app" },
  "client-key-file": { ...kind.FILE, ...credential, help: "PEM key of --client-cert-file" },
} as const satisfies Flags;

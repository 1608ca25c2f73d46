/**
 * The Lease of a group as a value: what it says of the content that is tried, and of content before. Parses what the API
 * returned and renders what is written. Pure. Tolerates any nonsense, since a person may edit it; must never hold content.
 */

import { printable } from "../text.ts";

/** What the group knows of one content. */
export interface Trial {
  /** SHA-256 as 64 hex digits. */
  readonly digest: string;
  /** `free`: nobody has tried it, or who did could send nothing. */
  readonly state: "free" | "trying" | "proved" | "rejected";
  /** The pod that tries or tried; empty where it is free. */
  readonly pod: string;
  /** How it ended there: an outcome other than `success`; empty unless rejected. */
  readonly outcome: string;
  /** Why it was rejected, at most `REASON_LENGTH_MAX` characters; empty unless rejected. */
  readonly reason: string;
  /**
   * The holder's last sign of life while it tries, as text: compared for being the same, never with a clock. Empty where it
   * tries no more; for what is to be written also where it is given now.
   */
  readonly renewTime: string;
}

/** A Lease of coordination.k8s.io/v1, as far as the rollout uses it. */
export interface Lease {
  /** The content that was tried last; null where the Lease says nothing that can be understood. */
  readonly current: Trial | null;
  /** Content before it, newest first, at most `EARLIER_MAX`. */
  readonly earlier: readonly Trial[];
  /** `spec.leaseDurationSeconds` in milliseconds; null where it is missing or nonsense. */
  readonly durationMs: number | null;
  /** The object that was read, so that what others have put there stays; null for a new one. */
  readonly object: JsonObject | null;
}

/** A JSON object of unknown fields. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Longest reason in characters; the contract's number. */
export const REASON_LENGTH_MAX = 256;
/** How many earlier contents are remembered: pods see a ConfigMap up to two minutes apart, and some changes may fall in. */
const EARLIER_MAX = 8;

const PREFIX = "config-reloader/";

/** The Lease that says nothing yet. */
export const NO_LEASE: Lease = { current: null, earlier: [], durationMs: null, object: null };

/** What is known of `digest`, or null. */
export function findTrial(lease: Lease, digest: string): Trial | null {
  if (lease.current?.digest === digest) return lease.current;
  return lease.earlier.find((trial) => trial.digest === digest) ?? null;
}

/** The Lease with `trial` as its current one; the one before it is remembered. */
export function withCurrent(lease: Lease, trial: Trial): Lease {
  const before = lease.current === null ? lease.earlier : [lease.current, ...lease.earlier];
  const earlier = before.filter(({ digest, state }) => digest !== trial.digest && state !== "free");
  return { ...lease, current: trial, earlier: earlier.slice(0, EARLIER_MAX) };
}

/** The Lease with what is known of `trial.digest` replaced, wherever it stands. */
export function withTrial(lease: Lease, trial: Trial): Lease {
  if (lease.current === null || lease.current.digest === trial.digest) return withCurrent(lease, trial);
  const earlier = lease.earlier.filter(({ digest }) => digest !== trial.digest);
  return { ...lease, earlier: [trial, ...earlier].slice(0, EARLIER_MAX) };
}

/** The Lease that an object of the API says; fields that are missing or nonsense count as not there. */
export function parseLease(object: JsonObject): Lease {
  const annotations = objectOf(objectOf(object["metadata"])["annotations"]);
  const spec = objectOf(object["spec"]);
  const seconds = spec["leaseDurationSeconds"];
  const field = (name: string) => annotations[PREFIX + name];
  return {
    current: parseTrial({
      hash: field("hash"),
      state: field("state") ?? "free",
      pod: field("pod") ?? spec["holderIdentity"],
      outcome: field("outcome"),
      reason: field("reason"),
      renewTime: spec["renewTime"],
    }),
    earlier: parseEarlier(field("earlier")),
    durationMs: typeof seconds === "number" && seconds > 0 && seconds <= 86_400 ? seconds * 1000 : null,
    object,
  };
}

/** The object for the API: as it was read, with this Lease's words in it. `nowTime`: the sign of life of who writes. */
export function renderLease(
  lease: Lease,
  head: { readonly name: string; readonly durationMs: number; readonly nowTime: string },
): JsonObject {
  const before = objectOf(lease.object?.["metadata"]);
  const { holderIdentity: heldBy, ...spec } = objectOf(lease.object?.["spec"]);
  const { current } = lease;
  const { renewTime = head.nowTime, ...said } = current === null ? {} : fieldsOf(current);
  const earlier = lease.earlier.length === 0 ? {} : { earlier: JSON.stringify(lease.earlier.map(fieldsOf)) };
  const own = Object.entries({ ...said, ...earlier }).map(([name, text]) => [PREFIX + name, text]);
  const others = Object.entries(objectOf(before["annotations"])).filter(([name]) => !name.startsWith(PREFIX));
  const holder = current?.pod ?? "";
  return {
    ...lease.object,
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    // The API adds the namespace.
    metadata: { ...before, name: head.name, annotations: Object.fromEntries([...others, ...own]) },
    spec: {
      ...spec,
      ...(holder === "" ? {} : { holderIdentity: holder }),
      ...(holder === "" || holder === heldBy ? {} : { acquireTime: head.nowTime }),
      // What another pod holds is not renewed by who writes something else.
      renewTime,
      leaseDurationSeconds: Math.ceil(head.durationMs / 1000),
    },
  };
}

/** What is said of a trial, by the names of the annotations; nothing that is empty. */
function fieldsOf({ digest, state, ...more }: Trial): Readonly<Record<string, string>> {
  const fields = { hash: digest, state: state === "free" ? "" : state, ...more };
  return Object.fromEntries(Object.entries(fields).filter(([, text]) => text !== ""));
}

function parseTrial(fields: Readonly<Record<string, unknown>>): Trial | null {
  const digest = textOf(fields["hash"]);
  const state = textOf(fields["state"]);
  if (!/^[0-9a-f]{64}$/.test(digest)) return null;
  const pod = textOf(fields["pod"]).slice(0, 253);
  // Who tries it must be known; what was proved or rejected counts whoever wrote it, since a person may.
  const isKnown = state === "proved" || state === "rejected" || state === "trying" && pod !== "";
  if (!isKnown) return freeTrial(digest);
  const isRejected = state === "rejected";
  return {
    digest,
    state: state as Trial["state"],
    pod,
    outcome: isRejected ? printable(textOf(fields["outcome"]), 32) : "",
    reason: isRejected ? printable(textOf(fields["reason"]), REASON_LENGTH_MAX) : "",
    renewTime: state === "trying" ? textOf(fields["renewTime"]).slice(0, 40) : "",
  };
}

/** Content that nobody has tried. */
export function freeTrial(digest: string): Trial {
  return { digest, state: "free", pod: "", outcome: "", reason: "", renewTime: "" };
}

function parseEarlier(text: unknown): Trial[] {
  let list: unknown;
  try {
    list = JSON.parse(textOf(text));
  } catch {
    return [];
  }
  if (!Array.isArray(list)) return [];
  return list.slice(0, EARLIER_MAX).map((item) => parseTrial(objectOf(item))).filter((trial) =>
    trial !== null
  );
}

function objectOf(value: unknown): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A time as the API's MicroTime has it: RFC 3339 with six digits. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/(\.\d{3})Z$/, "$1000Z");
}

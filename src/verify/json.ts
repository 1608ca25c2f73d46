/**
 * Any JSON as a status: a value that must hold (`--verify-ok`) and a value that must change (`--verify-token`), both
 * found by JSON pointer (RFC 6901). Pure.
 */

import type { Config } from "../config.ts";
import type { Status, StatusReading, Verdict } from "../model.ts";
import { type Answer, isObject, isOk, parseJson } from "./answer.ts";
import { type JudgeContext, pending, success } from "./verdict.ts";

type JsonStatus = Extract<Status, { format: "json" }>;

/** What is looked at. */
type JsonRule = Pick<Config, "verifyOk" | "verifyToken">;

/** Parses an answer; never throws. Answers other than 2xx are no status, whatever they hold. */
export function parseJsonStatus(answer: Answer, rule: JsonRule): StatusReading {
  if (!isOk(answer)) return { kind: "error", reason: `HTTP ${answer.code}` };
  return parseJson(answer, (value) => {
    try {
      return readStatus(value, rule);
    } catch {
      // Only a value nested thousands deep gets here: the walk over it runs out of stack.
      return "JSON is nested too deep";
    }
  });
}

function readStatus(value: unknown, { verifyOk, verifyToken }: JsonRule): Status | string {
  const ok = verifyOk && holds(findPointer(value, verifyOk.pointer), verifyOk.value);
  if (verifyToken === null) return { format: "json", ok, token: null };
  const token = findPointer(value, verifyToken);
  // No status rather than an empty token: a value that appears later must not look like one that changed.
  if (token === undefined) return `there is no ${verifyToken} in the JSON`;
  return { format: "json", ok, token: renderCanonical(token) };
}

/** The value at `pointer`, which the command line has seen to be one; undefined where there is none. */
export function findPointer(document: unknown, pointer: string): unknown {
  let value = document;
  for (const escaped of pointer.slice(1).split("/")) {
    const key = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(value)) {
      if (!/^(0|[1-9]\d*)$/.test(key)) return undefined;
      value = value[Number(key)];
    } else if (isObject(value) && Object.hasOwn(value, key)) {
      value = value[key];
    } else {
      return undefined;
    }
  }
  return value;
}

/** `ok` matches the text `ok`, and what is no text matches its JSON: `true`, `3`, `null`. */
function holds(value: unknown, wanted: string): boolean {
  return value === wanted || (typeof value !== "string" && renderCanonical(value) === wanted);
}

/** JSON with the keys of objects in order, so that equal values are equal texts. */
function renderCanonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(renderCanonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const fields = Object.keys(value).sort().map((key) =>
    `${JSON.stringify(key)}:${renderCanonical(value[key])}`
  );
  return `{${fields.join(",")}}`;
}

/** Judges one status read after the trigger. */
export function judgeJson(status: JsonStatus, context: JudgeContext): Verdict {
  if (status.ok === false) return pending("--verify-ok does not hold");
  if (status.token === null) {
    // No token is asked for: then --verify-ok alone is the proof, as far as it goes.
    return status.ok === true
      ? success(context.restarted ? "restarted" : "http-200")
      : pending("neither --verify-ok nor --verify-token is set");
  }
  if (context.restarted) return success("restarted");
  const before = context.baseline?.format === "json" ? context.baseline.token : null;
  if (before === null) return { kind: "baseline" };
  if (status.token !== before) return success("token");
  // The token with which this content was proved, and it has not changed since: the app never left this content.
  if (status.token === context.provedToken) return success("token");
  return pending("the value at --verify-token has not changed");
}

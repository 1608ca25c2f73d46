/**
 * Whether the app reports how its reloads go, and what would be triggered. Reads the status URL once; a trigger URL is
 * never requested, since that would reload the app.
 */

import type { Config } from "../../config.ts";
import type { Status } from "../../model.ts";
import type { StatusProbe } from "../../ports.ts";
import { readCredentials } from "../../http/credentials.ts";
import { printable } from "../../http/errors.ts";
import { hideUrlSecrets } from "../../http/hide_url.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { SECRET_FIX, statusFix } from "./fixes.ts";

const found = findingsIn("status");

/** A token may be a whole document. */
const TOKEN_LENGTH_MAX = 60;

/**
 * All findings about the status URL and the trigger.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { resolveConfig } from "../../cli/resolve.ts";
 * const { config } = resolveConfig(new Map(), new Map(), "/");
 * const probe = { read: () => Promise.resolve({ kind: "error", reason: "connection refused" } as const) };
 * const [finding] = await checkApp(config, probe);
 * assert.deepEqual([finding!.level, finding!.code], ["fault", "status-unusable"]);
 * assert.match(finding!.fix!.yaml!, /--reload-url=/);
 * ```
 */
export async function checkApp(config: Config, probe: StatusProbe): Promise<Finding[]> {
  return [...checkCredentials(config), await checkStatus(config, probe), ...checkTrigger(config)];
}

/** Credential files that cannot be used: a finding of its own, and not a fault of the URL. */
function checkCredentials({ credentials }: Config): Finding[] {
  try {
    readCredentials(credentials);
    return [];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return [{ ...found("fault", "credentials", message), fix: SECRET_FIX }];
  }
}

async function checkStatus(config: Config, probe: StatusProbe): Promise<Finding> {
  const url = hideUrlSecrets(config.reloadUrl);
  if (config.verify === "none") {
    return found(
      "warn",
      "unverified",
      "No reload is proved (--verify none): a delivered trigger counts as success",
    );
  }
  const reading = await probe.read(new AbortController().signal);
  if (reading.kind === "error") {
    return {
      ...found("fault", "status-unusable", `Cannot use ${url}: ${reading.reason}`),
      fix: statusFix(url, reading.reason, config.httpTimeoutMs),
    };
  }
  return judge(config, url, reading.status);
}

function judge(config: Config, url: string, status: Status): Finding {
  switch (status.format) {
    case "amp":
      return status.healthy && !status.splitState
        ? found(
          "ok",
          "status",
          `${url} answers in AMP's format: ${status.status}, ${status.attempts} reloads tried`,
        )
        : found(
          "warn",
          "status-failed",
          `${url}: the app's last reload went wrong (${status.splitState ? "split state" : status.status})`,
        );
    case "prometheus":
      return status.successful
        ? found("ok", "status", `${url} answers in Prometheus' format: the last reload was successful`)
        : found("warn", "status-failed", `${url}: the app's last reload failed`);
    case "json":
      return status.ok === false
        ? found(
          "warn",
          "status-failed",
          `${url}: ${config.verifyOk?.pointer} is not ${config.verifyOk?.value}`,
        )
        : found(
          "ok",
          "status",
          `${url} answers with JSON${
            status.token === null ? "" : `, token ${printable(status.token, TOKEN_LENGTH_MAX)}`
          }`,
        );
    case "http":
      if (status.code !== 200) {
        return {
          ...found(
            "fault",
            "status-code",
            `${url} answers with HTTP ${status.code}, and only 200 proves a reload`,
          ),
          fix: statusFix(url, `HTTP ${status.code}`, config.httpTimeoutMs),
        };
      }
      return config.verify === "http" ? found("ok", "status", `${url} answers with HTTP 200`) : found(
        "warn",
        "status-weak",
        `${url} answers with HTTP 200 in no known format: a reload counts as proved once it answers so`,
      );
  }
}

function checkTrigger(config: Config): Finding[] {
  switch (config.trigger) {
    case "signal":
      return [];
    case "none":
      return [
        found(
          "ok",
          "no-trigger",
          "Nothing is triggered (--trigger none): the application notices changes by itself",
        ),
      ];
    case "http":
      return config.triggerUrls.map((url) =>
        found(
          "ok",
          "trigger-url",
          `Triggered by ${config.triggerMethod} ${hideUrlSecrets(url)}, not tried now`,
        )
      );
  }
}

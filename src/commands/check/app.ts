/**
 * Whether the app reports how its reloads go, and what would be triggered. Reads the status URL once; a trigger URL is
 * never requested, since that would reload the app.
 */

import type { Config } from "../../config.ts";
import type { Status } from "../../model.ts";
import type { StatusProbe } from "../../ports.ts";
import { readCredentials } from "../../http/credentials.ts";
import { hideUrlSecrets } from "../../http/urls.ts";
import { hasFailed } from "../../reload/start.ts";
import { messageOf, printable } from "../../text.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { SECRET_FIX } from "./fixes.ts";
import { statusFix, URL_FIX } from "./url_fixes.ts";

const say = findingsIn("status");

/** A token may be a whole document. */
const TOKEN_LENGTH_MAX = 60;

/** All findings about the status URL and the trigger. */
export async function checkApp(config: Config, probe: StatusProbe): Promise<Finding[]> {
  return [...checkCredentials(config), await checkStatus(config, probe), ...checkTrigger(config)];
}

/** Credential files that cannot be used: a finding of its own, and not a fault of the URL. */
function checkCredentials(config: Config): Finding[] {
  try {
    readCredentials(config);
    return [];
  } catch (error) {
    return [say.fault("credentials", messageOf(error), SECRET_FIX)];
  }
}

async function checkStatus(config: Config, probe: StatusProbe): Promise<Finding> {
  const url = hideUrlSecrets(config.reloadUrl);
  if (config.verify === "none") {
    return say.warn(
      "unverified",
      "No reload is proved (--verify none): a delivered trigger counts as success",
    );
  }
  const reading = await probe.read(new AbortController().signal);
  if (reading.kind === "status") return judge(config, url, reading.status);
  const fix = statusFix(url, reading.reason, config.httpTimeoutMs) ?? URL_FIX;
  return say.fault("status-unusable", `Cannot use ${url}: ${reading.reason}`, fix);
}

function judge({ verify, verifyOk, httpTimeoutMs }: Config, url: string, status: Status): Finding {
  const failed = (what: string) => say.warn("status-failed", `${url}: ${what}`);
  const answers = (what: string) => say.ok("status", `${url} answers ${what}`);
  switch (status.format) {
    case "amp":
      return hasFailed(status)
        ? failed(`the app's last reload went wrong (${status.splitState ? "split state" : status.status})`)
        : answers(`in AMP's format: ${status.status}, ${status.attempts} reloads tried`);
    case "prometheus":
      return hasFailed(status)
        ? failed("the app's last reload failed")
        : answers("in Prometheus' format: the last reload was successful");
    case "json": {
      const token = status.token === null ? "" : `, token ${printable(status.token, TOKEN_LENGTH_MAX)}`;
      return hasFailed(status)
        ? failed(`${verifyOk?.pointer} is not ${verifyOk?.value}`)
        : answers(`with JSON${token}`);
    }
    case "http": {
      const { code } = status;
      if (code !== 200) {
        const message = `${url} answers with HTTP ${code}, and only 200 proves a reload`;
        return say.fault("status-code", message, statusFix(url, `HTTP ${code}`, httpTimeoutMs) ?? URL_FIX);
      }
      if (verify === "http") return answers("with HTTP 200");
      const message =
        `${url} answers with HTTP 200 in no known format: a reload counts as proved once it answers so`;
      return say.warn("status-weak", message);
    }
  }
}

function checkTrigger({ trigger, triggerUrls, triggerMethod }: Config): Finding[] {
  switch (trigger) {
    case "signal":
      return [];
    case "none": {
      const message = "Nothing is triggered (--trigger none): the application notices changes by itself";
      return [say.ok("no-trigger", message)];
    }
    case "http":
      return triggerUrls.map((url) =>
        say.ok("trigger-url", `Triggered by ${triggerMethod} ${hideUrlSecrets(url)}, not tried now`)
      );
  }
}

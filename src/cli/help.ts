/** `--help` and `--version`. Loaded only when asked for. Holds no fact about a flag that the table does not. */

import { REVISION, VERSION } from "../version.ts";
import { FLAG_NAMES, type FlagName, FLAGS, variableOf } from "./flags.ts";

/** Widest line of `--help`. */
const COLUMNS = 80;
/** Headings, in the order of the table. */
export const GROUPS = [...new Set(FLAG_NAMES.map((name) => FLAGS[name].group))];
/** Where the text of a flag begins. */
const TEXT_COLUMN = 31;

const PRECEDENCE = `
Each flag has a variable; a flag beats its variable, and CONFIG_RELOADER_…
beats the plain name. Lists in a variable are separated by commas.
`;
const FORMS = `Durations: 500ms, 5s, 1m30s. Sizes: 64KiB, 16MiB, or bytes.
`;

/** The help of one command: what it does, the flags that count, and what stands below them. */
interface Help {
  readonly usage: string;
  readonly flags: readonly FlagName[];
  readonly end: string;
}

const RUN: Help = {
  flags: FLAG_NAMES,
  usage: `config-reloader: makes an app reload when its configuration files change, and
proves that it did

Usage:
  config-reloader [run] [flags]       watch and reload (the sidecar)
  config-reloader check [flags]       say what would work and what would not
  config-reloader healthcheck         ask the running sidecar's /healthz
`,
  end: `${PRECEDENCE}${FORMS}Exit codes: 0 stopped as asked, 1 could not do its work, 2 bad command line.

Examples:
  # A ConfigMap; the app is the other container (shareProcessNamespace: true)
  config-reloader --config-file /etc/app/config.yaml \\
    --reload-url http://localhost:8080/health/reload

  # Prometheus, by its own reload endpoint
  config-reloader --watched-dir /etc/prometheus --trigger http \\
    --trigger-url http://localhost:9090/-/reload \\
    --reload-url http://localhost:9090/api/v1/status/runtimeinfo

  # nginx, signalled by name; checked first, in an image that has both programs
  # (FROM nginx, then COPY --from=config-reloader /config-reloader /)
  config-reloader --watched-dir /etc/nginx --process-name nginx \\
    --check-command 'nginx -t' --verify none

  # What would happen with these settings?
  config-reloader check --config-file /etc/app/config.yaml
`,
};

const CHECK: Help = {
  flags: FLAG_NAMES,
  usage: `config-reloader check: says what would work and what would not with these flags
and variables. It changes nothing and signals nobody. Exit code 0 when nothing
stands in the way of a reload, 1 when something does, 2 for a bad command line.

Usage:
  config-reloader check [--run-checks] [flags]

In a container where a config-reloader runs it takes the flags and variables of
that one; flags that are given here win. --run-checks runs --check-command, too.
`,
  end: `${PRECEDENCE}${FORMS}
Examples:
  config-reloader check --config-file /etc/app/config.yaml --log-format json

  # In a running pod: with the settings of its sidecar
  kubectl exec POD -c config-reloader -- /config-reloader check
`,
};

const HEALTHCHECK: Help = {
  // Where the sidecar listens, and how long to wait for it.
  flags: ["metrics-port", "metrics-host", "tls-cert-file", "http-timeout"],
  usage: `config-reloader healthcheck: asks the running sidecar's /healthz, for container
health checks where there is no curl. Exit code 0 when it is well, 1 when it is
not or does not answer, 2 for a bad command line.

Usage:
  config-reloader healthcheck [flags]

In a container where a config-reloader runs it takes the flags and variables of
that one; flags that are given here win. These count:
`,
  end: `${PRECEDENCE}
Examples:
  config-reloader healthcheck --metrics-port 9091
  HEALTHCHECK CMD ["/config-reloader", "healthcheck"]
`,
};

/** The whole text of `--help` for a command; that of `run` where the command is unknown. At most 80 columns wide. */
export function renderHelp(command: string): string {
  const { usage, flags, end } = command === "check" ? CHECK : command === "healthcheck" ? HEALTHCHECK : RUN;
  const sections = GROUPS.map((group) => {
    const entries = flags.filter((name) => FLAGS[name].group === group).map(renderEntry);
    return entries.length === 0 ? "" : `\n${group}:\n${entries.join("")}`;
  });
  const other = `\nOther:\n${entryLines("-h, --help", ["this text"])}${
    entryLines("--version", ["version, revision and runtime"])
  }`;
  return usage + sections.join("") + other + end;
}

function renderEntry(name: FlagName): string {
  const flag = FLAGS[name];
  const notes = [
    ...(flag.repeatable ? ["[repeatable]"] : []),
    ...(flag.default === undefined ? [] : [`[default: ${flag.default}]`]),
    ...variablesOf(name).map((variable) => `[${variable}]`),
  ];
  const width = COLUMNS - TEXT_COLUMN;
  return entryLines(headOf(name), [...wrap(flag.help, width), ...wrap(notes.join(" "), width)]);
}

/** `--interval DURATION`, `--watch-method auto|inotify|poll`, `--once`: a flag with what follows it. */
export function headOf(name: FlagName): string {
  return `--${name} ${FLAGS[name].placeholder}`.trimEnd();
}

/** All its variables, the one that counts most first. */
export function variablesOf(name: FlagName): readonly string[] {
  const plain = FLAGS[name].plainVariable;
  return [variableOf(name), ...(plain ? [plain] : [])];
}

/** The head on the first line with the text beside it, or above it where it is too long. */
function entryLines(head: string, texts: readonly string[]): string {
  const indent = " ".repeat(TEXT_COLUMN);
  const beside = head.length + 4 <= TEXT_COLUMN;
  const first = beside ? `  ${head}`.padEnd(TEXT_COLUMN) + (texts[0] ?? "") : `  ${head}`;
  return [first, ...texts.slice(beside ? 1 : 0).map((text) => indent + text)].join("\n") + "\n";
}

/** Fills lines of at most `width` with whole words. */
function wrap(text: string, width: number): readonly string[] {
  return text.match(new RegExp(`.{1,${width}}(?= |$)`, "g"))?.map((line) => line.trim()) ?? [];
}

/** One line for `--version`. */
export function renderVersion(): string {
  return `config-reloader ${VERSION} (revision ${REVISION}, deno ${Deno.version.deno})\n`;
}

/**
 * `--pid auto`: the one application among the first processes of all containers. Pure; where more than one is left it
 * says so, and never guesses.
 */

import type { Target } from "../model.ts";
import type { ProcessStat } from "../proc/process.ts";
import {
  ambiguous,
  describe,
  HIDDEN,
  isDead,
  isSidecar,
  isWholeMachine,
  NAME_IT,
  none,
  type Notes,
  type Refusal,
  refusal,
  ruleAgainst,
  type Selection,
} from "./rules.ts";
import type { ProcessTable } from "./table.ts";
import {
  applicationsIn,
  isAncestor,
  isMain,
  isSupervisor,
  isWrapper,
  mainProcesses,
  topOf,
  treeOf,
} from "./tree.ts";

/** Settings of the choice. */
export interface AutoOptions {
  readonly signal: Deno.Signal;
  /** Port of `--reload-url` where its host is this machine; null elsewhere. */
  readonly port: number | null;
  /** The status is asked on that port: no process is the application while nothing listens on it. */
  readonly mustListen: boolean;
  /** The target of before, null where there was none: it stays the target while exactly it lives. */
  readonly previous: Target | null;
}

/** Chooses without being told which process is meant: the contract's paragraph, sentence by sentence. */
export function selectAuto(table: ProcessTable, options: AutoOptions, notes: Notes): Selection {
  if (isWholeMachine(table)) return hostInit(table);
  const { candidates, otherContainers, waitFor, isOneEnding } = findCandidates(table, options, notes);
  const known = findKnown(table, options, candidates);
  if (known !== null) return { kind: "process", stat: known, reason: options.previous!.reason };
  const [only, ...others] = candidates;
  if (only === undefined) return waitFor ?? nobody(table, otherContainers);
  const chosen = others.length > 0
    ? breakTie(table, candidates, options)
    : onlyOne(table, only, isOneEnding, options);
  // Also one that holds the socket for a program that it has not started yet.
  return chosen.kind === "process" && isSupervisor(table, chosen.stat)
    ? supervisor(table, chosen.stat, options.port)
    : chosen;
}

interface Candidates {
  /** The application, or what may be it, of every other container. */
  readonly candidates: readonly ProcessStat[];
  readonly otherContainers: number;
  /** The state of one that passes by itself. */
  readonly waitFor: Refusal | null;
  /** A container's first process is on its way out. */
  readonly isOneEnding: boolean;
}

function findCandidates(table: ProcessTable, { signal, port }: AutoOptions, notes: Notes): Candidates {
  const mains = mainProcesses(table);
  for (const stat of table.processes.values()) {
    if (isMain(mains, table, stat)) continue;
    notes.set(stat.pid, "started beside a container's first process (exec, probe or hook)");
  }
  const candidates: ProcessStat[] = [];
  let otherContainers = 0;
  let waitFor: Refusal | null = null;
  let isOneEnding = false;
  for (const [container, main] of mains) {
    if (container === ownContainer(table)) {
      const isSelf = main === table.self;
      notes.set(main.pid, isSelf ? "config-reloader itself" : "in config-reloader's own container");
      continue;
    }
    otherContainers++;
    const rule = ruleAgainst(table, main);
    if (rule !== null) {
      notes.set(main.pid, rule.note);
      if (rule.again) waitFor = refusal(table, main);
      if (main.state === "X") isOneEnding = true;
      continue;
    }
    for (const found of applicationsIn(table, main, signal, port)) {
      notes.set(found.pid, found === main ? "the first process of a container" : startedBy(main));
      candidates.push(found);
    }
  }
  return { candidates, otherContainers, waitFor, isOneEnding };
}

const ownContainer = (table: ProcessTable) => table.container(table.self.pid);
const startedBy = (main: ProcessStat) => `started by ${main.comm} (PID ${main.pid})`;

/**
 * The target of before, where exactly that process still lives: a debug container may have come since, or its port be
 * closed for a moment. No process that only starts others: those come after it.
 */
function findKnown(
  table: ProcessTable,
  { previous, signal, mustListen }: AutoOptions,
  candidates: readonly ProcessStat[],
): ProcessStat | null {
  const stat = previous && table.processes.get(previous.pid);
  if (!stat || stat.startTicks !== previous.startTicks || stat.comm !== previous.comm) return null;
  // It may have become a process that only starts others, by exec.
  if (isWrapper(stat, signal) || isSupervisor(table, stat)) return null;
  // `check` may have it from a sidecar that was told by name, also of one in their own container.
  if (table.container(stat.pid) === ownContainer(table) || ruleAgainst(table, stat) !== null) return null;
  // One that listened when it was chosen stays, whatever has come since.
  return mustListen || candidates.some((one) => one === stat || isAncestor(table, one, stat)) ? stat : null;
}

/** `isOneEnding`: the socket of an app that is on its way out is open for some time, and says nothing of another container. */
function onlyOne(
  table: ProcessTable,
  stat: ProcessStat,
  isOneEnding: boolean,
  { port, mustListen }: AutoOptions,
): Selection {
  if (port !== null && mustListen) {
    const isOpen = isOneEnding
      ? treeOf(table, stat).some(({ pid }) => table.listens(pid, port))
      : table.isListening(port);
    if (!isOpen) return notListening(table, stat, port);
  }
  const main = topOf(table, stat);
  const what = main.pid === 1
    ? "the first process of the container whose process namespace is shared"
    : "the only application container in the pod";
  return { kind: "process", stat, reason: main === stat ? what : `${what}, ${startedBy(main)}` };
}

/** The one that listens on the port of `--reload-url`, itself or through a descendant. */
function breakTie(
  table: ProcessTable,
  candidates: readonly ProcessStat[],
  { port, mustListen }: AutoOptions,
): Selection {
  const what = `${candidates.length} processes may be the application`;
  if (port === null) return ambiguous(table, candidates, what);
  if (mustListen && !table.isListening(port)) {
    // An app that is still starting opens its port by itself: it is waited for beside others as it is alone.
    const hint = `none of them listens on port ${port} of --reload-url`;
    return { ...ambiguous(table, candidates, `${what}, and ${hint}`), again: true };
  }
  const [owner, ...others] = candidates.filter((candidate) =>
    treeOf(table, candidate).some((stat) => table.listens(stat.pid, port))
  );
  if (owner !== undefined && others.length === 0) {
    const reason = `of ${candidates.length} it listens on port ${port} of --reload-url`;
    return { kind: "process", stat: owner, reason };
  }
  const hint = `which of them listens on port ${port} of --reload-url cannot be told`;
  return ambiguous(table, candidates, `${what}, and ${hint}`);
}

/** An init container beside a native sidecar looks like the application, and is not. */
function notListening(table: ProcessTable, only: ProcessStat, port: number): Selection {
  return none(
    "not-there",
    `The application does not run yet: nothing listens on port ${port} of --reload-url, so ` +
      `${describe(table, only)} is not taken for it; looking again. ` +
      `If the application has no such URL, ${NAME_IT}`,
    true,
  );
}

/** It would take the signal for itself: end its programs, start all of them anew, or do something else. */
function supervisor(table: ProcessTable, stat: ProcessStat, port: number | null): Selection {
  const unseen = port === null
    ? "--reload-url is not on this host"
    : `none that can be seen listens on port ${port} of --reload-url`;
  return none(
    "supervisor",
    `Cannot signal ${describe(table, stat)}: it is a supervisor, and which process below it is the ` +
      `application cannot be told (${unseen}); ${NAME_IT}`,
  );
}

function nobody(table: ProcessTable, otherContainers: number): Selection {
  if (otherContainers > 0) {
    return none(
      "not-there",
      "No application is running in the pod now, only pause and config-reloader; looking again",
      true,
    );
  }
  if (table.isHidden()) {
    return none("hidden-proc", `Cannot look at the processes of other users: ${HIDDEN}`);
  }
  if (table.processes.values().some((stat) => isBesideUs(table, stat))) {
    return none(
      "own-container",
      "No process of another container is visible, only some in config-reloader's own: if the application is one of " +
        `those, ${NAME_IT}; if it runs in another container, set shareProcessNamespace: true in the pod's spec`,
    );
  }
  return none(
    "no-shared-process-namespace",
    "No process of another container is visible, so there is nobody to signal: set shareProcessNamespace: true in " +
      "the pod's spec (with Docker: --pid=container:NAME)",
  );
}

/** In our container, and neither this program nor what started it or was started by it. */
function isBesideUs(table: ProcessTable, stat: ProcessStat): boolean {
  return !isSidecar(table, stat) && !isDead(stat) && !isAncestor(table, stat, table.self) &&
    !isAncestor(table, table.self, stat);
}

function hostInit(table: ProcessTable): Selection {
  const init = table.processes.get(1)?.comm ?? "not visible";
  return none(
    "host-init",
    `Cannot choose a process by itself outside of a container: all processes of this machine are visible ` +
      `(PID 1 is "${init}"); ${NAME_IT}, or take hostPID out of the pod's spec and set shareProcessNamespace: true`,
  );
}

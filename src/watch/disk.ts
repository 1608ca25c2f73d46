/**
 * What a look asks the disk, so that a disk which does not answer costs little: each question that can hang has the one
 * disk timeout, is asked once at a time, and few may hang at once. Deno has 32 threads for files, name lookups and hashing
 * together: when all of them wait for a FIFO or a dead server, nothing of that works any more. Judges nothing.
 */

import type { Clock } from "../ports.ts";

/** The disk timeout: so long one question may take before the look goes on without the answer. */
const ANSWER_MS_MAX = 5_000;
/** The time passes in so many parts: a process that was stopped under its CPU limit for long finds the answer first. */
const PARTS = 4;
/** With so many questions hanging no new ones are asked. A quarter of Deno's threads. */
const HUNG_MAX = 8;
/** Questions at once. Deno has 32 threads for all of them, and name lookups need some too. */
const CONCURRENCY = 8;
const LATE = Symbol("late");

/** There was no answer in time, or there is none yet to the same question asked before. */
export class NoAnswer extends Error {
  constructor() {
    super("the disk does not answer");
  }
}

/** The disk as one look sees it. What fails throws as in Deno, and `NoAnswer` besides. */
export interface Disk {
  /**
   * No network is behind the watched paths: stat and its like run on the calling thread, 4 µs instead of 20. Opening never
   * does, since that is what hangs where a FIFO took a file's place.
   */
  readonly local: boolean;
  stat(path: string): Promise<Deno.FileInfo>;
  lstat(path: string): Promise<Deno.FileInfo>;
  readLink(path: string): Promise<string>;
  realPath(path: string): Promise<string>;
  list(path: string): Promise<readonly Deno.DirEntry[]>;
  /** Any other question; `name` says which one, for "once at a time". @throws {NoAnswer} */
  ask<T>(name: string, question: () => Promise<T>): Promise<T>;
}

/** Makes disks that share what hangs. */
export interface DiskTimeout {
  on(local: boolean): Disk;
  /** To be called when a look is over: an idle process is not woken for what nobody waits for. */
  rest(): void;
}

/** Makes the timeout; `answerMsMax` is for tests. */
export function createDiskTimeout(
  clock: Pick<Clock, "nowMs" | "timer">,
  answerMsMax: number = ANSWER_MS_MAX,
): DiskTimeout {
  const hung = new Set<string>();
  let timer: { readonly over: Promise<typeof LATE>; readonly end: () => void } | null = null;

  const arm = (ms: number) => {
    const { promise: over, resolve } = Promise.withResolvers<typeof LATE>();
    let disarm = () => {};
    const end = () => {
      disarm();
      timer = null;
      resolve(LATE);
    };
    const pass = (parts: number) => {
      if (parts === 0) end();
      else disarm = clock.timer(ms / PARTS, () => pass(parts - 1));
    };
    pass(PARTS);
    return { over, end };
  };

  const ask = async <T>(name: string, question: () => Promise<T>): Promise<T> => {
    if (hung.has(name) || hung.size >= HUNG_MAX) throw new NoAnswer();
    const lateAtMs = clock.nowMs() + answerMsMax;
    const answer = question();
    // One timer for all: a look asks thousands of questions. Who asked after it was armed waits for the next one.
    for (let leftMs = answerMsMax; leftMs >= 1; leftMs = lateAtMs - clock.nowMs()) {
      timer ??= arm(leftMs);
      const first = await Promise.race([answer, timer.over]);
      if (first !== LATE) return first;
    }
    hung.add(name);
    const forget = () => void hung.delete(name);
    answer.then(forget, forget);
    throw new NoAnswer();
  };

  const remote: Disk = {
    local: false,
    stat: (path) => ask(`stat ${path}`, () => Deno.stat(path)),
    lstat: (path) => ask(`lstat ${path}`, () => Deno.lstat(path)),
    readLink: (path) => ask(`readlink ${path}`, () => Deno.readLink(path)),
    realPath: (path) => ask(`realpath ${path}`, () => Deno.realPath(path)),
    list: (path) => ask(`list ${path}`, () => Array.fromAsync(Deno.readDir(path))),
    ask,
  };
  return {
    on: (local) => local ? { ...LOCAL, ask } : remote,
    rest: () => timer?.end(),
  };
}

/** On the calling thread; a rejection where Deno throws. */
const LOCAL: Omit<Disk, "ask"> = {
  local: true,
  stat: (path) => Promise.try(Deno.statSync, path),
  lstat: (path) => Promise.try(Deno.lstatSync, path),
  readLink: (path) => Promise.try(Deno.readLinkSync, path),
  realPath: (path) => Promise.try(Deno.realPathSync, path),
  list: (path) => Promise.try(() => Array.from(Deno.readDirSync(path))),
};

/** The answer, or null for any failure. */
export function orNull<T>(answer: Promise<T>): Promise<T | null> {
  return answer.catch(() => null);
}

/** Runs `visit` for all items, a few at a time. */
export async function forEachLimited<T>(
  items: readonly T[],
  visit: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await visit(items[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, worker));
}

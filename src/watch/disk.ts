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

/** There was no answer in time, or there is none yet to the same question asked before. */
export class NoAnswer extends Error {
  constructor() {
    super("the disk does not answer");
  }
}

/** The disk. What fails throws as in Deno, and `NoAnswer` besides. */
export interface Disk {
  /**
   * No network is behind the watched paths: stat and its like run on the calling thread, 4 µs instead of 20. Opening never
   * does, since that is what hangs where a FIFO took a file's place. False until somebody knows.
   */
  isLocal: boolean;
  stat(path: string): Promise<Deno.FileInfo>;
  lstat(path: string): Promise<Deno.FileInfo>;
  readLink(path: string): Promise<string>;
  realPath(path: string): Promise<string>;
  list(path: string): Promise<readonly Deno.DirEntry[]>;
  /** Any other question; `name` says which one, for "once at a time". @throws {NoAnswer} */
  ask<T>(name: string, question: () => Promise<T>): Promise<T>;
}

/** Makes the disk; `answerMsMax` is for tests. */
export function createDisk(clock: Pick<Clock, "timer">, answerMsMax: number = ANSWER_MS_MAX): Disk {
  const ask = createAsk(clock, answerMsMax);
  const disk: Disk = {
    isLocal: false,
    stat: (path) =>
      disk.isLocal ? Promise.try(Deno.statSync, path) : ask(`stat ${path}`, () => Deno.stat(path)),
    lstat: (path) =>
      disk.isLocal ? Promise.try(Deno.lstatSync, path) : ask(`lstat ${path}`, () => Deno.lstat(path)),
    readLink: (path) =>
      disk.isLocal
        ? Promise.try(Deno.readLinkSync, path)
        : ask(`readlink ${path}`, () => Deno.readLink(path)),
    realPath: (path) =>
      disk.isLocal
        ? Promise.try(Deno.realPathSync, path)
        : ask(`realpath ${path}`, () => Deno.realPath(path)),
    list: (path) =>
      disk.isLocal
        ? Promise.try(() => Array.from(Deno.readDirSync(path)))
        : ask(`list ${path}`, () => Array.fromAsync(Deno.readDir(path))),
    ask,
  };
  return disk;
}

/**
 * One timer for all questions, of which a look asks thousands. It counts parts of the timeout while any are open; to who
 * asked in the middle of a part it counts as a whole one.
 */
function createAsk(clock: Pick<Clock, "timer">, answerMsMax: number): Disk["ask"] {
  const open = new Set<{ partsLeft: number; readonly giveUp: () => void }>();
  const hung = new Set<string>();
  let disarm = () => {};
  const arm = () => {
    disarm = clock.timer(answerMsMax / PARTS, () => {
      arm();
      for (const question of open) if (--question.partsLeft === 0) question.giveUp();
    });
  };
  return async (name, question) => {
    if (hung.has(name) || hung.size >= HUNG_MAX) throw new NoAnswer();
    const answer = question();
    const { promise: late, reject } = Promise.withResolvers<never>();
    const giveUp = () => {
      hung.add(name);
      const forget = () => void hung.delete(name);
      answer.then(forget, forget);
      reject(new NoAnswer());
    };
    const asked = { partsLeft: PARTS, giveUp };
    if (open.size === 0) arm();
    open.add(asked);
    try {
      return await Promise.race([answer, late]);
    } finally {
      open.delete(asked);
      // An idle process is not woken for what nobody waits for.
      if (open.size === 0) disarm();
    }
  };
}

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

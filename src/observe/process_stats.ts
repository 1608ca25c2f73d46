/** The values of the `process_*` metrics, read from /proc/self at each scrape. Node's `process` costs 40 ms of start. */

import { parseStat } from "../proc/process.ts";

/** The values of the `process_*` metrics. */
export interface ProcessStats {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly startTimeSeconds: number;
  readonly openFds: number;
  readonly maxFds: number;
}

/** Clock ticks a second in /proc/PID/stat: USER_HZ, 100 on every architecture that Deno runs on. */
const TICKS_PER_SECOND = 100;

/**
 * Creates the reader, which throws where /proc is missing. What cannot change is read once: /proc/stat has a line of all
 * interrupts, and costs more memory than all the rest of a scrape.
 */
export function createProcessReader(): () => ProcessStats {
  let bootTimeSeconds = NaN;
  let maxFds = NaN;
  return () => {
    if (Number.isNaN(maxFds)) {
      bootTimeSeconds = matchNumber(Deno.readTextFileSync("/proc/stat"), /^btime (\d+)/m);
      maxFds = readMaxFds();
    }
    const stat = parseStat(Deno.readTextFileSync("/proc/self/stat"));
    return {
      cpuSeconds: stat.cpuTicks / TICKS_PER_SECOND,
      residentBytes: Deno.memoryUsage().rss,
      startTimeSeconds: bootTimeSeconds + stat.startTicks / TICKS_PER_SECOND,
      openFds: countOpenFds(),
      maxFds,
    };
  };
}

/** The soft limit of open descriptors; Infinity where there is none. @throws where /proc is missing */
export function readMaxFds(): number {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  return /^Max open files\s+unlimited/m.test(limits)
    ? Infinity
    : matchNumber(limits, /^Max open files\s+(\d+)/m);
}

/** Open descriptors. Linux has the number as the directory's size since 6.2; before that the entries are counted. */
export function countOpenFds(): number {
  const { size } = Deno.statSync("/proc/self/fd");
  if (size > 0) return size;
  let count = 0;
  for (const _ of Deno.readDirSync("/proc/self/fd")) count++;
  // One of them was the listing's own.
  return count - 1;
}

function matchNumber(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? NaN);
}

/** The values of the `process_*` metrics, read from /proc/self at each scrape. Node's `process` costs 40 ms of start. */

import { parseStat } from "../proc/process.ts";

/** Clock ticks a second in /proc/PID/stat: USER_HZ, 100 on every architecture that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** What they are now. @throws where /proc is missing */
export function readProcessStats() {
  return {
    cpuSeconds: parseStat(Deno.readTextFileSync("/proc/self/stat")).cpuTicks / TICKS_PER_SECOND,
    residentBytes: Deno.memoryUsage().rss,
    startTimeSeconds: performance.timeOrigin / 1000,
    openFds: countOpenFds(),
    maxFds: readMaxFds(),
  };
}

/** The soft limit of open descriptors; Infinity where there is none. @throws where /proc is missing */
export function readMaxFds(): number {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  const limit = /^Max open files\s+(\w+)/m.exec(limits)?.[1];
  return limit === "unlimited" ? Infinity : Number(limit);
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

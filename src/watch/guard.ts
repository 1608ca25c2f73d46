/**
 * Bounds what a disk that does not answer can cost: one operation in flight per name, few that hang at once, and a
 * caller that always gets an answer. Deno has 32 threads for files, name lookups and hashing together: when all of them
 * wait for a FIFO or a dead server, nothing of that works any more.
 */

/** How long one file or directory may take before the look goes on without it. */
const ANSWER_MS_MAX = 5_000;
/** With so many operations hanging no new ones are started. A quarter of Deno's threads. */
const HUNG_MAX = 8;

export interface Guard {
  /**
   * Runs `operation` unless one of that name is still on its way, and waits 5 s at most.
   * Resolves to null where there is no answer. An operation that hangs is forgotten when it ends.
   */
  run<T>(name: string, operation: () => Promise<T>): Promise<T | null>;
}

/** Makes a guard. `answerMsMax` is for tests. */
export function createGuard(answerMsMax = ANSWER_MS_MAX): Guard {
  const inFlight = new Set<string>();
  let hung = 0;
  return {
    run: (name, operation) => {
      if (inFlight.has(name) || hung >= HUNG_MAX) return Promise.resolve(null);
      return new Promise((resolve, reject) => {
        inFlight.add(name);
        let late = false;
        const timer = setTimeout(() => {
          late = true;
          hung++;
          resolve(null);
        }, answerMsMax);
        const end = () => {
          inFlight.delete(name);
          clearTimeout(timer);
          if (late) hung--;
        };
        operation().then((value) => {
          end();
          resolve(value);
        }, (error) => {
          end();
          reject(error);
        });
      });
    },
  };
}

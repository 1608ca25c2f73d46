import { type Era, simulate } from "./support/simulation.ts";
import { test } from "./support/strict.ts";

/** Runs in the ordinary test run; `deno task fuzz` does more. */
const RUNS = 300;
/** Seeds that once found a bug stay in the run for ever, with what they found, as what the simulation was then. */
const KEPT: Readonly<Record<Era, readonly (readonly [seed: number, found: string])[]>> = {
  signals: [
    [257, "content flapped while the app was reloading: success proved a reload, but of which content"],
    [413, "the app restarted while its content was away, and the content came back as it was"],
    [2637, "the app started while other content was on disk for a moment that nobody looked at"],
    [9994, "content went and came back while the app was reloading, and the event of its going was lost"],
    [11113, "the same, with both events lost: only the time of the last swap tells"],
  ],
  amp: [
    [106, "a second trigger that the app refused did not count for --min-reload-interval"],
    [
      148,
      "--trigger none: the app was restarted since its status was last read, and its counter had begun anew",
    ],
    [238, "--trigger none: a new sidecar took content for applied that the app says it could not load"],
    [594, "--jitter was drawn anew at each look after the app had been waited for, so the reload never came"],
    [716, "an app that started before its output was written counted as having read it"],
    [3348, "a file was changed and changed back while the app reloaded: seen only as being written"],
    [
      3767,
      "--trigger none: a reload of earlier content, told since the baseline, counted for what came after it",
    ],
    [12042, "--trigger http: the app was restarted with content that went again before its turn came"],
  ],
  formats: [
    [268, "--trigger none: the baseline was younger than the app's own reload, which was never proved then"],
    [
      2017,
      "an old time of Prometheus's lay in the future, since the clock was set back, and counted as a new reload",
    ],
    [1194, "--trigger none: so did an old time of AMP's"],
    [7013, "the token of a reload that may have been of other content was taken for this content's"],
    [12076, "the same, with content that the app rejects"],
    [
      7293,
      "--trigger none: a new sidecar took content for applied that AMP loaded, and rejected, only later",
    ],
    [13529, "the same with Prometheus"],
  ],
  tokens: [
    [
      16460,
      "an old time of Prometheus's in the future counted as a load of content that came to an app not there",
    ],
    [
      253744109,
      "--trigger none: a reload that Prometheus told within the very millisecond of the change never counted",
    ],
    [
      1004769,
      "an output's time lay in the future, since the clock was set back: no app counted as started after it",
    ],
  ],
  now: [
    [
      2255,
      "a request without an answer was taken for delivered by the reload of other content, which came and went after it",
    ],
    [
      732000577,
      "a baseline was read when a change was seen, which then waited for its time: a reload meanwhile counted as proof",
    ],
    [
      5001039,
      "content that ended the app and came back as it was: the app that started meanwhile had read another",
    ],
  ],
};

test(`simulation: ${RUNS} seeds from 1`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) await simulate(seed);
});

for (const [era, seeds] of Object.entries(KEPT) as [Era, typeof KEPT[Era]][]) {
  for (const [seed, found] of seeds) {
    test(`simulation of ${era}: seed ${seed} (${found})`, async () => void await simulate(seed, era));
  }
}

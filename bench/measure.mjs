/**
 * Statistics of the bench and the order in which things are measured. It knows no scenario.
 *
 * Two sides are compared by turns, the order of a pair swapped every round, and the ratio is the median of the rounds'
 * ratios: a machine that slows down for a while slows both sides of a pair. Before that the subject is compared with itself
 * in the same way; how far that is from 1 is the noise, and a difference inside it is no difference.
 */

/** Where choices by chance begin (regions of a batch), the same in every run; fio has a constant one of its own. */
export const seed = 0x2545f491;

/** @param {number[]} numbers */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Percentiles and count of samples, in the samples' own unit. */
export function percentiles(samples) {
  const sorted = Float64Array.from(samples).sort();
  const at = (share) => sorted[Math.floor((sorted.length - 1) * share)];
  return { samples: sorted.length, min: at(0), p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
}

/**
 * The noise of a comparison of something with itself: how far the median of its pairs is from 1, or how far one pair
 * usually is, whichever is more.
 * @param {number[]} ratios
 */
export function noiseOf(ratios) {
  return Math.max(Math.abs(median(ratios) - 1), median(ratios.map((ratio) => Math.abs(ratio - 1))));
}

/** How many times its fastest a thing usually takes when it has the machine: three, and one for luck. */
const calmMax = 4;

/**
 * 0, or how far the median of something that always does the same is from its fastest: then the machine did something else,
 * both sides of a comparison have waited for that, and their ratio is one whatever they are. It counts as noise.
 * @param {{ p50: number, min: number }[]} ones
 */
export function unrestOf(ones) {
  const times = median(ones.map(({ p50 }) => p50)) / Math.min(...ones.map(({ min }) => min));
  return times > calmMax ? times - 1 : 0;
}

/**
 * Measures by turns. `subject` and `limit` each do one round and resolve to an object; `figure` takes the number to
 * compare from it.
 *
 * @param {{ rounds: number, selves?: number, subject: () => Promise<object>, limit: () => Promise<object>, figure: (one: object) => number }} what
 * @returns {Promise<{ value: number, noise: number, subject: object[], limit: object[] }>} `value` is subject over limit
 */
export async function compare({ rounds, selves: pairs = rounds, subject, limit, figure }) {
  const selves = [];
  for (let pair = 0; pair < pairs; pair++) selves.push(figure(await subject()) / figure(await subject()));
  const subjects = [];
  const limits = [];
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) subjects.push(await subject());
    limits.push(await limit());
    if (round % 2 === 1) subjects.push(await subject());
  }
  const ratios = subjects.map((one, i) => figure(one) / figure(limits[i]));
  return { value: median(ratios), noise: noiseOf(selves), subject: subjects, limit: limits };
}

/**
 * One side of a comparison as a row of results: medians over the rounds, each round's figure, and beside times how many a
 * second there were (`rate`).
 * @param {string} key
 * @param {object[]} ones rounds, with the same fields
 * @param {{ unit: string, figure: (one: object) => number, scale?: number, note?: string, of?: string }} how `scale`
 *   brings percentiles to `unit`
 */
export function row(key, ones, { unit, figure, scale = 1, note, of }) {
  const rounds = ones.map(figure);
  const share = (name, samplesMin) => {
    if (ones.some((one) => one[name] === undefined || one.samples < samplesMin)) return undefined;
    return median(ones.map((one) => one[name])) * scale;
  };
  return {
    key,
    value: median(rounds),
    unit,
    samples: ones.reduce((sum, one) => sum + (one.samples ?? 1), 0),
    rounds,
    // A percentile is shown where a round has two samples or more beyond it.
    p50: share('p50', 1),
    p90: share('p90', 20),
    p99: share('p99', 200),
    p999: share('p999', 2000),
    rate: ones.some((one) => one.rate === undefined) ? undefined : median(ones.map((one) => one.rate)),
    note,
    of,
  };
}

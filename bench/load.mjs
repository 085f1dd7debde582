/** The simulated kernel's load on an answerer: one round of peers/load.c. Every round makes logs of its own and removes them. */
import { answerOf, program } from './programs.mjs';

let runs = 0;

/**
 * @param {string} on cores
 * @param {{ socket: string }} answerer
 * @param {Record<string, string | number>} options of peers/load.c
 * @returns {Promise<{ samples: number, p50: number, p90: number, p99: number, p999: number, max: number, rate: number }>}
 *   times in nanoseconds
 */
export function load(on, answerer, options) {
  runs += 1;
  const all = { socket: answerer.socket, prefix: `bench-${runs}`, luid: 2 ** 20 * runs, ...options };
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return answerOf(on, program('load'), args);
}

export const p50 = (one) => one.p50;
/** How a row shows nanoseconds. */
export const inMicroseconds = { unit: 'us', scale: 1e-3 };

/**
 * How many hosts a seed stands for: one, unless the run asks for more. A replay must ask for the number that the failure named.
 */
import { Prng } from './prng.js';

export interface HostRange {
  readonly low: number;
  readonly high: number;
}

export function hostsOf(seed: number, range: HostRange | null): number {
  return range === null ? 1 : new Prng(seed).fork().between(range.low, range.high);
}

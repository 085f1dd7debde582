/** Types of measure.mjs, for the tests. */
export interface Row {
  readonly key: string;
  readonly value: number;
  readonly unit: string;
  readonly samples: number;
  readonly rounds: number[];
  readonly p50: number | undefined;
  readonly p90: number | undefined;
  readonly p99: number | undefined;
  readonly p999: number | undefined;
  readonly rate: number | undefined;
}
export function median(numbers: number[]): number;
export function unrestOf(ones: { p50: number; min: number }[]): number;
export function percentiles(
  samples: number[],
): Record<'samples' | 'min' | 'p50' | 'p90' | 'p99' | 'p999' | 'max', number>;
export function noiseOf(ratios: number[]): number;
export function compare<T>(what: {
  rounds: number;
  subject: () => Promise<T>;
  limit: () => Promise<T>;
  figure: (one: T) => number;
}): Promise<{ value: number; noise: number; subject: T[]; limit: T[] }>;
export function row<T>(key: string, ones: T[], how: { unit: string; figure: (one: T) => number }): Row;

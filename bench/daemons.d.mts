/** Types of daemons.mjs, for the tests. */
export interface CountedDaemon {
  readonly socket: string;
  startCounting(): Promise<unknown>;
  counted(): Promise<{ allocatedBytes: number; collections: number; collectionMs: number }>;
  end(): Promise<void>;
}
export function startCountedDaemon(on: string, how?: { adminAfterMs?: number }): Promise<CountedDaemon>;

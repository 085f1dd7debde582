/**
 * How fast logs come into sync, out of looks at them from time to time.
 *
 * Counted over at most the last minute, so that a rate follows a throttled or stalled resync, and only between looks at
 * one and the same instance of a log whose count of regions in sync did not fall. Pure; time is an argument.
 */
import type { LogStatus } from './daemon-status.js';

export interface ResyncRate {
  readonly regionsPerSecond: number;
  /** Null while nothing moves. */
  readonly secondsLeft: number | null;
  /** Counted over so long. */
  readonly spanMs: number;
}

interface Look {
  readonly atMs: number;
  readonly inSyncCount: number;
}

const windowMs = 60_000;
/** Two looks closer than this tell too little. */
const spanMsMin = 900;
const looksMax = 64;

export function rateKey(log: Pick<LogStatus, 'uuid' | 'luid'>): string {
  return `${log.uuid} ${log.luid}`;
}

export class ResyncRates {
  #looks = new Map<string, Look[]>();

  /** Takes a look at all logs. Those that are gone, or in sync, are forgotten. */
  look(logs: readonly LogStatus[], atMs: number): void {
    const next = new Map<string, Look[]>();
    for (const log of logs) {
      const { inSyncCount } = log;
      if (log.lifeCycle !== 'active' || inSyncCount === log.regionCount) continue;
      const before = this.#looks.get(rateKey(log)) ?? [];
      const last = before.at(-1);
      const fell = (last?.inSyncCount ?? 0) > inSyncCount;
      // Somebody who watches closely must not push the older looks out.
      if (last !== undefined && !fell && atMs - last.atMs < spanMsMin) {
        next.set(rateKey(log), before);
        continue;
      }
      const kept = fell ? [] : before.filter((look) => atMs - look.atMs <= windowMs).slice(-looksMax);
      next.set(rateKey(log), [...kept, { atMs, inSyncCount }]);
    }
    this.#looks = next;
  }

  /** Rates of the logs that were looked at twice, by `rateKey`. */
  rates(logs: readonly LogStatus[]): Record<string, ResyncRate> {
    const rates: Record<string, ResyncRate> = {};
    for (const log of logs) {
      const looks = this.#looks.get(rateKey(log));
      const [first, last] = [looks?.[0], looks?.at(-1)];
      if (first === undefined || last === undefined || last.atMs - first.atMs < spanMsMin) continue;
      const spanMs = last.atMs - first.atMs;
      const regionsPerSecond = ((last.inSyncCount - first.inSyncCount) * 1000) / spanMs;
      const secondsLeft = regionsPerSecond > 0 ? (log.regionCount - last.inSyncCount) / regionsPerSecond : null;
      rates[rateKey(log)] = { regionsPerSecond, secondsLeft, spanMs };
    }
    return rates;
  }
}

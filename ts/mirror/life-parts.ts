/** What the parts of a log's life share: entering (log-entry.ts), halting (log-halt.ts) and leaving (log-exit.ts). */
import type { LogParts } from './log-parts.js';
import type { LogState } from './log-state.js';
import type { LogStore } from './log-store.js';

/** What the life of a log asks of those around it. */
export interface LifeHooks {
  /** Other instances of the same uuid on this host that have left: what a new one inherits. */
  predecessors(): Iterable<LogState>;
  /** Other instances of the same uuid on this host that were never resumed. */
  successors(): Iterable<LogState>;
  /** The log is the official one of its uuid from now on, or no longer. */
  official(taken: boolean): void;
  /** Another instance of the same uuid is the official one. */
  replaced(): boolean;
  /** The log is gone and its state record removed. */
  destroyed(): void;
  /** Something changed: the end of this turn must look at the log. */
  changed(): void;
}

export interface LifeParts extends LogParts {
  /** Null: a core log. */
  readonly store: LogStore | null;
  readonly hooks: LifeHooks;
}

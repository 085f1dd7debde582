/** Where a command writes, and what it may know of that place. Tests hand in their own. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Characters of a line; null: not a terminal, so nothing is cut. */
  readonly columns: number | null;
  /** Resolves when the user wants to stop (SIGINT, SIGTERM), or the reader of our output is gone. */
  readonly stopped: Promise<void>;
}

/** Exit codes of `lockstep`. */
export const Exit = {
  ok: 0,
  /** Trouble was found, or what was asked for cannot be read. */
  trouble: 1,
  usage: 2,
  /** No daemon, or none that talks to us. */
  noDaemon: 3,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

/** What was asked for cannot be: an unknown log, a region outside it. Its text is for the user. */
export class UsageError extends Error {}

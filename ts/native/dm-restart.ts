/**
 * Makes this host's kernel ask for recovery work again (R11): suspends and resumes the device whose live mirror target has the
 * log. Needs root. What it leaves alone, and why, stands in cpp/os/dm_restart.h.
 *
 * A helper thread waits for the work, which may last as long as the device needs to come to rest, for which its log must
 * answer; nothing waits for it meanwhile.
 */
import { addon } from './addon.js';

/** How a restart ended; the numbers are those of the addon. */
export const RestartOutcome = {
  /** The device was suspended and is not any more. */
  restarted: 0,
  /** No live table names the log. */
  absent: 1,
  /** A table waits behind the live one: nothing was done. */
  inactiveTable: 2,
  /** Somebody else has suspended the device: nothing was done. */
  suspended: 3,
} as const;
export type RestartOutcome = (typeof RestartOutcome)[keyof typeof RestartOutcome];

/** False when nobody could be asked: no descriptor or thread was left. */
export type NativeRestartRecovery = (
  uuid: string,
  begun: boolean,
  ended: (errno: number, outcome: RestartOutcome) => void,
) => boolean;

/**
 * Calls `ended` later, with 0 and the outcome, or with the errno that kept it from suspending anything. `begun`: an earlier
 * daemon was killed in between and may have left the device suspended, which is ended then. The work is done in a process of its
 * own, which a kill of this one does not break off.
 */
export const restartRecovery: NativeRestartRecovery = (uuid, begun, ended) => addon.restartRecovery(uuid, begun, ended);

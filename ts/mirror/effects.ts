/**
 * What the mirror core asks of the world. The engine's implementation writes replies straight into reply slots;
 * the simulator's records them, so that it can kill the daemon between any two.
 *
 * A sink and not a list of returned values: a request must not allocate.
 */
import type { LogDevice, LogDeviceEvents } from './log-device.js';
import type { LogMessage } from './messages.js';

export interface MirrorEffects {
  /** A reply without data. `error` is 0 or a negative errno. */
  reply(seq: number, type: number, error: number): void;
  /** A reply of one 64-bit value. */
  replyValue(seq: number, type: number, value: number): void;
  /** A reply of two 64-bit values. */
  replyPair(seq: number, type: number, first: number, second: number): void;
  /** A reply of text: STATUS without NUL, the constructor's device name with. */
  replyText(seq: number, type: number, text: string): void;
  /** Puts a message into the ordered stream. It comes back through `MirrorService.deliver`. The sink copies it. */
  submit(message: LogMessage): void;
  /** A device that reports to `events`. Not opened yet. `shared`: other hosts may write it when this daemon is gone (R8). */
  device(events: LogDeviceEvents, shared: boolean): LogDevice;
  /** A member of a log is lost and not known dead: whoever can find that out is asked (R7). Once a boot; `boot` as tables have it. */
  lost?(node: number, name: string, boot: string): void;
  /** Suspend and resume the log's mapped device, so that its kernel asks for recovery again (R11); tried until it is done. */
  restartRecovery?(uuid: string): void;
  /** Keeps text about a log for the next daemon of this boot, in place of what it kept before; '': nothing (unused-logs.ts). */
  keepUnusedLog?(uuid: string, table: string): void;
  /** Something an operator or a test should see. */
  report(event: MirrorReport): void;
}

/** Levels are those of syslog. */
export interface MirrorReport {
  readonly level: 'error' | 'warning' | 'notice' | 'info' | 'debug';
  /** Stable name, e.g. `log-failed`, `resync-done`, `marks-unknown`. */
  readonly event: string;
  readonly uuid: string;
  readonly text: string;
}

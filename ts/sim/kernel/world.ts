/**
 * What the simulated kernel asks of the world, and what it tells those who watch it. The simulator gives virtual time,
 * a queue of frames and legs made of version numbers; the process `simulated-kernel` gives the real clock, a socket
 * and files. The model is the same object in both.
 */

export interface KernelWorld {
  nowMs(): number;
  /** Calls `action` once, `delayMs` from now. */
  after(delayMs: number, action: () => void): void;
  /** Sends the frame to every listener. False when there is none: the kernel's -ESRCH. The frame is copied. */
  send(frame: Buffer, length: number): boolean;
  /** How long a woken worker takes to run. */
  wakeDelayMs(): number;
}

/**
 * The legs of one mirror. A write or copy is done when it is on stable storage: this log type has no hook that
 * flushes the legs before a region becomes clean, so every write of the model counts as forced unit access.
 */
export interface Legs {
  readonly legCount: number;
  write(leg: number, write: Write, done: (ok: boolean) => void): void;
  /** Copies sectors of leg `from` to every other leg; `done` gets the legs that failed. */
  copy(from: number, sector: number, sectors: number, done: (failedLegs: readonly number[]) => void): void;
}

/** One write of a user of the mirrored device; never across a region's edge, as device-mapper splits it. */
export interface Write {
  readonly sector: number;
  readonly sectors: number;
  /** Says which write it was, in every sector of it. */
  readonly stamp: number;
  readonly done: (ok: boolean) => void;
  region: number;
}

/** Where the simulator's checkers look into the kernel. Every method is called at the instant it names. */
export interface KernelObserver {
  /** A write goes to all legs, under the protection of a mark, or to the default leg only. */
  writeIssued(target: ObservedTarget, write: Write, toAllLegs: boolean): void;
  writeEnded(target: ObservedTarget, write: Write, toAllLegs: boolean): void;
  recoveryStarted(target: ObservedTarget, region: number): void;
  /** The copy is over, well or not; the daemon has not been told yet. */
  recoveryEnded(target: ObservedTarget, region: number, ok: boolean): void;
  /** IN_SYNC failed, which the kernel takes for "not in sync". */
  questionFailed(target: ObservedTarget, region: number, reply: { error: number; unheard: boolean }): void;
  /** A flush failed: no write is issued under the marks that it was to make safe. */
  flushFailed(target: ObservedTarget): void;
  /** A life-cycle request of this target was answered; `error` is 0 or a negative errno. */
  lifeCycle(target: ObservedTarget, step: LifeCycleStep, error: number): void;
  /** Free text for people. */
  say(text: string): void;
}

export type LifeCycleStep = 'create' | 'resume' | 'presuspend' | 'postsuspend' | 'destroy';

/** One table's log as observers see it. */
export interface ObservedTarget {
  /** Names the log: uuid and luid. */
  readonly key: string;
  readonly uuid: string;
  readonly luidHigh: number;
  readonly luidLow: number;
  readonly regionCount: number;
}

export function logKey(uuid: string, luidHigh: number, luidLow: number): string {
  return `${uuid}/${luidHigh}/${luidLow}`;
}

/** errno values of the kernel that the model itself makes. */
export const kernelErrno = { ESRCH: 3, EIO: 5, EAGAIN: 11, EINVAL: 22, ENOSPC: 28 } as const;

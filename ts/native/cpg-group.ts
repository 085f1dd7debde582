/**
 * Membership in one process group of corosync (libcpg), and whether this partition has quorum (libquorum).
 *
 * Moves bytes and knows nothing of what they mean. What waits for corosync (connecting, leaving, asking for the names of all
 * groups) happens on helper threads, for as long as it takes: a corosync that is stopped does not answer. `next` and
 * `send` never wait. One connection at a time; when it is lost the same object connects again.
 *
 * ```ts
 * const group = new CpgGroup('lockstep.mirror.1');
 * group.connect(
 *   (problem) => { if (problem !== '') retryLater(problem); },
 *   () => {
 *     for (let event = group.next(); event !== CpgEvent.none; event = group.next()) handle(event);
 *   },
 * );
 * ```
 */
import { addon } from './addon.js';

export const CpgEvent = {
  none: 0,
  /** `inbox` and `event` have it. */
  message: 1,
  /** `configuration()` has it. In one order with the messages. */
  configuration: 2,
  /** `event[CpgField.quorate]` has it, and `quorumRing` of what membership. In no order with the rest. */
  quorum: 3,
  /** `lostReason()` says why; all that is left to do is `disconnect`. */
  lost: 4,
  /** The nodes of the cluster have changed, and what that changed in the group was told before: `event[CpgField.ring]`, `ringNodes()`. */
  ring: 5,
} as const;
export type CpgEvent = (typeof CpgEvent)[keyof typeof CpgEvent];

export const CpgSent = {
  sent: 0,
  /** Corosync takes nothing now. */
  busy: 1,
  lost: 2,
} as const;
export type CpgSent = (typeof CpgSent)[keyof typeof CpgSent];

/** Places in `event`. Rings are numbered in rising order. */
export const CpgField = { node: 0, pid: 1, bytes: 2, quorate: 3, quorumRing: 4, ring: 5 } as const;

/** Why a process came or went: corosync's numbers. */
export const CpgReason = { join: 1, leave: 2, nodeDown: 3, nodeUp: 4, processDown: 5 } as const;

/** Longest message that `send` takes, and size of `inbox`. */
export const cpgMessageBytesMax = 65_536;

export interface CpgProcess {
  readonly node: number;
  readonly pid: number;
  readonly reason: number;
}

export interface CpgConfiguration {
  readonly members: readonly CpgProcess[];
  readonly left: readonly CpgProcess[];
  readonly joined: readonly CpgProcess[];
}

export interface CpgGroup {
  /** The last message, until the next call of `next`; the beginning of one that is longer. */
  readonly inbox: Buffer;
  /** See `CpgField`. Of a message: who sent it, and its whole length. */
  readonly event: Float64Array;
  /** Corosync's number of this node. Throws when not connected, as all below do. */
  readonly node: number;

  /**
   * Connects and joins on a helper thread, then calls `connected` with an empty text or with what failed. From then on
   * `readable` is called from the event loop whenever `next` may have something. False when no thread or descriptor is left.
   */
  connect(connected: (problem: string) => void, readable: () => void): boolean;

  /**
   * Leaves the group and gives the connection, or the attempt, up; no callback comes any more. Waits at most
   * `limitMs` for the others to be told. Nothing to do is fine.
   */
  disconnect(limitMs: number): void;

  next(): CpgEvent;
  configuration(): CpgConfiguration;
  /** The nodes that corosync hears, whether or not they are in the group. */
  ringNodes(): readonly number[];
  lostReason(): string;
  /** Multicasts the first `count` bytes to the group, in agreed order. The bytes are free again when it returns. */
  send(bytes: Uint8Array, count: number): CpgSent;
}

export type NativeCpgGroupConstructor = new (name: string) => CpgGroup;
export type NativeReadCpgGroupNames = (
  answered: (problem: string, names: readonly string[], node: number) => void,
) => boolean;

/** Whether the addon was built where corosync's headers were. */
export const corosyncBuiltIn: boolean = addon.corosyncBuiltIn;

export const CpgGroup: NativeCpgGroupConstructor = addon.CpgGroup;

/**
 * Names of all groups in the cluster, as they are (some end in NUL), and this node's number. May never answer.
 *
 * @returns false when nobody could be asked: no descriptor or thread was left.
 */
export const readCpgGroupNames: NativeReadCpgGroupNames = (answered) => addon.readCpgGroupNames(answered);

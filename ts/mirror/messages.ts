/**
 * The messages of the ordered stream: the only things that change what all members must agree on. A message is
 * applied by `MirrorService.deliver` in delivery order, the same on every member.
 */

export const MessageType = {
  /** `node` marks regions: they are dirty until it releases them. */
  mark: 1,
  /** `node` releases regions: clean when nobody else owns them and they are in sync. */
  release: 2,
  /**
   * SET_REGION_SYNC: one region, `flag` 1 or 0; `seq` is the lineage of the copy by which it is said. Regions that no kernel has found out of sync and that may be (flush-failures.ts): `flag` 0
   * on one host, 2 on a cluster, where whoever asks may recover them.
   */
  inSync: 3,
  /** `node` asks for resync work; the delivery decides. `flag` 1: its kernel was not told of what it was given, and gives it back. */
  assign: 4,
  /** A write wants this region recovered early. */
  wish: 5,
  /**
   * `node` resumed the log, halted it, or left it; `seq` counts what it says of its places. A leave with flag 1: it has left before, and its table is gone; 2: regions are out of
   * sync, or will be, as it had seen the member table of the generation `regions[0]`; 4: it has seen others, and does not count where they have left; 8: all that its copy has as dirty is on the log device; `regions[1]`: the epoch of the session that it closed on the log device, or 0;
   * `regions[2]`: how many messages it had had that put regions out of sync, since daemons last told each other what they know.
   */
  join: 6,
  halt: 7,
  leave: 8,
  /** `node` has loaded the log or has a copy of it, and all its kernel's marks are in the stream before this. */
  ready: 9,
  /** `node` asks for its next part of a copy, from region `regions[0]` on; `seq` counts its questions. */
  want: 10,
  /** The answer to the question `seq` of node `flag` (transfer.ts). */
  chunk: 11,
  /** The writer of epoch `regions[0]`: every change up to generation `regions[1]` is on stable storage. */
  durable: 12,
  /** Regions that the log device has as dirty, and no member knows why: out of sync. `flag` 1: all regions; 2: all are dirty. `seq` counts take-overs; 0: it is of none, or of one that could not read. */
  unknownDirty: 13,
  /** The log device has failed (`flag` 1) or works again (R16). */
  logState: 14,
  /** Node `regions[0]`, of the boot in `bytes`, is known dead (R7). */
  dead: 15,
  /** `node` has (`flag` 1) or has not quorum, among the nodes in `regions`. */
  quorum: 16,
  /** What `node` knows of all logs, when somebody came (return-merge.ts). */
  report: 17,
  /** Nothing of `node` is on its way to the log device any more; who does not follow gives the writer's role of epoch `flag` back (R8). */
  retired: 18,
  /** Recovery must be restarted and `node` cannot do it now: the next member tries (R11). */
  passRestart: 19,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

export interface LogMessage {
  type: MessageType;
  /** Node that sent it. */
  node: number;
  /** Name of the log in the cluster. */
  uuid: string;
  /** The request that it comes from, for those who read traces; a number of the sender's own where the type says so; or 0. */
  seq: number;
  flag: number;
  /** The first `count` entries count. */
  regions: Float64Array;
  count: number;
  /** The first `byteCount` bytes count. */
  bytes: Uint8Array;
  byteCount: number;
}

/** For a message that is applied later: its record is used again. */
export function copyOfMessage(message: LogMessage): LogMessage {
  const { count, byteCount } = message;
  return {
    ...message,
    regions: message.regions.slice(0, count),
    bytes: Uint8Array.from(message.bytes.subarray(0, byteCount)),
  };
}

/** Numbers that a message of a type must carry in `regions`; of the others none is read. */
const numbersMin: ReadonlyMap<MessageType, number> = new Map([
  [MessageType.inSync, 1],
  [MessageType.wish, 1],
  [MessageType.join, 3],
  [MessageType.ready, 1],
  [MessageType.want, 1],
  [MessageType.durable, 2],
  [MessageType.dead, 1],
]);

/** False for what no member sends: numbers are missing that would be read. */
export function isWhole({ type, count }: LogMessage): boolean {
  return count >= (numbersMin.get(type) ?? 0);
}

/** True when `regions` are regions of the log, and one of them is behind its end. */
export function namesNoRegion({ type, regions, count }: LogMessage, regionCount: number): boolean {
  switch (type) {
    case MessageType.mark:
    case MessageType.release:
    case MessageType.inSync:
    case MessageType.wish:
    case MessageType.unknownDirty:
      for (let i = 0; i < count; i++) if ((regions[i] as number) >= regionCount) return true;
      return false;
    default:
      return false;
  }
}

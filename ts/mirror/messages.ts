/**
 * The messages of the ordered stream: the only things that change what all members must agree on. A message is
 * applied by `MirrorService.deliver` in delivery order, the same on every member.
 */

export const MessageType = {
  /** `node` marks regions: they are dirty until it releases them. */
  mark: 1,
  /** `node` releases regions: clean when nobody else owns them and they are in sync. */
  release: 2,
  /** SET_REGION_SYNC: one region, `flag` 1 or 0. */
  inSync: 3,
  /** `node` asks for resync work; the delivery decides. */
  assign: 4,
  /** A write wants this region recovered early. */
  wish: 5,
  /** `node` resumed the log, halted it, or left it. */
  join: 6,
  halt: 7,
  leave: 8,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

export interface LogMessage {
  type: MessageType;
  /** Node that sent it. */
  node: number;
  /** Name of the log in the cluster. */
  uuid: string;
  /** The request that it comes from, or 0: for those who read traces. Nothing is decided by it. */
  seq: number;
  flag: number;
  /** The first `count` entries count. */
  regions: Float64Array;
  count: number;
  /** The first `byteCount` bytes count. */
  bytes: Uint8Array;
  byteCount: number;
}

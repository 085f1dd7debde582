/**
 * The kernel's end of the frames of ulog-frames.ts, for the simulated kernel and tests: encodes requests, and decodes replies
 * with exactly the kernel's checks and no others.
 */
import { frameBytesMax, frameHeaderBytes, framePayloadOffset, requestHeaderBytes, uuidBytesMax } from './limits.js';
import {
  connectorIndex,
  connectorValue,
  DM_ULOG_CTR,
  DM_ULOG_GET_REGION_SIZE,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_STATUS_INFO,
  DM_ULOG_STATUS_TABLE,
  encodeFullReply,
  FrameOffset,
  requestVersion,
  writeValue,
} from './ulog-frames.js';

/** What the kernel puts into a request. */
export interface RequestFields {
  readonly seq: number;
  readonly type: number;
  readonly luidHigh: number;
  readonly luidLow: number;
  /** At most 128 bytes, no NUL. */
  readonly uuid: Uint8Array;
  readonly payload: Uint8Array;
  /** 3 when left out. */
  readonly version?: number;
}

/** Writes a request as the kernel would. Throws a RangeError when it does not fit a frame. */
export function encodeRequest(buffer: Buffer, start: number, fields: RequestFields): number {
  if (fields.uuid.length > uuidBytesMax) throw new RangeError('uuid too long');
  const length = framePayloadOffset + fields.payload.length;
  if (length > frameBytesMax) throw new RangeError('payload too long');
  encodeFullReply(buffer, start, fields.seq, fields.type, 0, fields.payload.length);
  buffer.writeUInt32LE(fields.seq, start + FrameOffset.nlmsgSeq);
  buffer.writeUInt32LE(fields.luidLow, start + FrameOffset.luid);
  buffer.writeUInt32LE(fields.luidHigh, start + FrameOffset.luid + 4);
  buffer.writeUInt32LE(fields.version ?? requestVersion, start + FrameOffset.version);
  buffer.set(fields.uuid, start + FrameOffset.uuid);
  buffer.set(fields.payload, start + FrameOffset.payload);
  return length;
}

/** Region numbers, or other whole numbers, as a payload of 64-bit values. */
export function encodeValues(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => {
    writeValue(bytes, index * 8, value);
  });
  return bytes;
}

/** Payload bytes that the kernel has room for in the reply to a request of this type. */
export function replyRoomBytes(type: number): number {
  switch (type) {
    case DM_ULOG_CTR:
      return 128;
    case DM_ULOG_GET_REGION_SIZE:
    case DM_ULOG_IS_CLEAN:
    case DM_ULOG_IN_SYNC:
    case DM_ULOG_GET_SYNC_COUNT:
      return 8;
    case DM_ULOG_GET_RESYNC_WORK:
    case DM_ULOG_IS_REMOTE_RECOVERING:
      return 16;
    case DM_ULOG_STATUS_INFO:
    case DM_ULOG_STATUS_TABLE:
      return frameBytesMax - framePayloadOffset;
    default:
      return 0;
  }
}

/**
 * A reply as the kernel takes it in. `form` says which field names the waiter (`ack`: the connector's seq, `full`:
 * the header's); `dropped` means that the kernel goes on waiting.
 */
export interface Reply {
  readonly form: 'ack' | 'full' | 'dropped';
  readonly seq: number;
  /** 0 or negative. */
  readonly error: number;
  /** The payload, as long as the reply says, cut at the datagram's end. Valid while the buffer is. */
  readonly data: Uint8Array;
  /** The payload that the reply announces; more than `data` has when the sender lied. */
  readonly dataBytes: number;
}

const droppedReply: Reply = { form: 'dropped', seq: 0, error: 0, data: new Uint8Array(0), dataBytes: 0 };

/** Takes a reply apart with the kernel's checks and no others. Whether it fits its waiter's room is `replyResult`'s question. */
export function decodeReply(buffer: Buffer, start: number, length: number): Reply {
  if (length < frameHeaderBytes || start < 0 || start + length > buffer.length) return droppedReply;
  const nlmsgLength = buffer.readUInt32LE(start + FrameOffset.nlmsgLength);
  if (nlmsgLength < frameHeaderBytes || nlmsgLength > length) return droppedReply;
  if (
    buffer.readUInt32LE(start + FrameOffset.cnIndex) !== connectorIndex ||
    buffer.readUInt32LE(start + FrameOffset.cnValue) !== connectorValue
  ) {
    return droppedReply;
  }
  const cnLength = buffer.readUInt16LE(start + FrameOffset.cnLength);
  if (frameHeaderBytes + cnLength > nlmsgLength) return droppedReply;
  if (cnLength === 0) {
    const ack = buffer.readUInt32LE(start + FrameOffset.cnAck);
    const seq = buffer.readUInt32LE(start + FrameOffset.cnSeq);
    return { form: 'ack', seq, error: ack === 0 ? 0 : -ack, data: droppedReply.data, dataBytes: 0 };
  }
  if (cnLength < requestHeaderBytes) return droppedReply;
  const dataBytes = buffer.readUInt32LE(start + FrameOffset.dataSize);
  const payloadAt = start + FrameOffset.payload;
  const present = Math.min(dataBytes, start + length - payloadAt);
  return {
    form: 'full',
    seq: buffer.readUInt32LE(start + FrameOffset.seq),
    error: buffer.readInt32LE(start + FrameOffset.error),
    data: buffer.subarray(payloadAt, payloadAt + present),
    dataBytes,
  };
}

/** The 64-bit value at `index` of a reply's payload, as the caller in the kernel would read it. */
export function replyValue(reply: Reply, index: number): number {
  const view = new DataView(reply.data.buffer, reply.data.byteOffset, reply.data.byteLength);
  return Number(view.getBigInt64(index * 8, true));
}

/** The error that the kernel's caller sees: -ENOSPC when the reply holds more data than it gave room for. */
export function replyResult(reply: Reply, roomBytes: number): number {
  if (reply.form === 'full' && reply.dataBytes > roomBytes) return -28;
  return reply.error;
}

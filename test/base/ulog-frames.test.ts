/** The frame codec: what was encoded comes back, any bytes are safe, and replies fit the kernel's checks. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { payloadRegionsMax } from '../../ts/base/limits.js';
import {
  checkRequestFrame,
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_REGION_SIZE,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_MARK_REGION,
  DM_ULOG_STATUS_INFO,
  encodeAck,
  encodePairReply,
  encodeReply,
  encodeTextReply,
  encodeValueReply,
  FrameFault,
  FrameOffset,
  RequestView,
  requestNames,
} from '../../ts/base/ulog-frames.js';
import {
  decodeReply,
  encodeRequest,
  encodeValues,
  replyResult,
  replyRoomBytes,
  replyValue,
} from '../../ts/base/ulog-kernel-frames.js';

const seqs = fc.integer({ min: 0, max: 0xffffffff });
const uint32 = seqs;
const types = fc.integer({ min: 1, max: 17 });
const uuids = fc.stringMatching(/^[A-Za-z0-9+_.-]{1,128}$/);
const regionLists = fc.array(fc.maxSafeNat(), { maxLength: payloadRegionsMax });

describe('requests', () => {
  test('come back as they were encoded', () => {
    const view = new RequestView();
    fc.assert(
      fc.property(
        seqs,
        types,
        uint32,
        uint32,
        uuids,
        regionLists,
        fc.nat(40),
        (seq, type, high, low, uuid, list, start) => {
          const buffer = Buffer.alloc(start + 2048, 0xa5);
          const length = encodeRequest(buffer, start, {
            seq,
            type,
            luidHigh: high,
            luidLow: low,
            uuid: Buffer.from(uuid),
            payload: encodeValues(list),
          });
          expect(checkRequestFrame(buffer, start, length)).toBe(FrameFault.none);
          expect(view.bind(buffer, start, length)).toBe(true);
          expect([view.seq, view.type, view.luidHigh, view.luidLow, view.version]).toEqual([seq, type, high, low, 3]);
          expect(view.uuidText()).toBe(uuid);
          expect(view.uuidEquals(Buffer.from(uuid))).toBe(true);
          expect(view.uuidEquals(Buffer.from(`${uuid}x`))).toBe(false);
          expect(view.uuidEquals(Buffer.from(uuid.slice(0, -1)))).toBe(false);
          const regions = new Float64Array(payloadRegionsMax);
          expect(view.readRegions(regions)).toBe(list.length);
          expect(Array.from(regions.subarray(0, list.length))).toEqual(list);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('any bytes bind without a throw and read without a throw', () => {
    const view = new RequestView();
    const regions = new Float64Array(payloadRegionsMax);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2100 }), fc.integer({ min: -5, max: 2200 }), (bytes, length) => {
        const buffer = Buffer.from(bytes);
        if (!view.bind(buffer, 0, length)) return;
        void [view.seq, view.type, view.version, view.luidHigh, view.luidLow, view.uuidText(), view.text()];
        void [view.readRegions(regions), view.readSigned(0), view.readSigned(1000), view.endsWithNul];
        expect(view.dataBytes).toBeLessThanOrEqual(Math.max(0, length - FrameOffset.payload));
      }),
      { numRuns: 2000 },
    );
  });

  test('a sound frame with one byte changed is never read past its end', () => {
    const view = new RequestView();
    const regions = new Float64Array(payloadRegionsMax);
    fc.assert(
      fc.property(fc.nat(FrameOffset.payload + 15), fc.nat(255), (at, value) => {
        const buffer = Buffer.alloc(FrameOffset.payload + 16);
        const uuid = Buffer.from('u'.repeat(128));
        const payload = encodeValues([1, 2]);
        const length = encodeRequest(buffer, 0, { seq: 1, type: 10, luidHigh: 1, luidLow: 2, uuid, payload });
        buffer[at] = value;
        expect(view.bind(buffer, 0, length)).toBe(true);
        expect(view.readRegions(regions)).toBeLessThanOrEqual(2);
        void [view.uuidText(), view.text(), view.seq];
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['cut in the header', FrameFault.length, (frame: Buffer) => frame.subarray(0, 195)],
    ['nlmsg_len beyond the datagram', FrameFault.netlink, patch32(FrameOffset.nlmsgLength, 5000)],
    ['nlmsg_len below a header', FrameFault.netlink, patch32(FrameOffset.nlmsgLength, 36)],
    ['another netlink type', FrameFault.netlink, patch32(FrameOffset.nlmsgType, 2)],
    ['another connector', FrameFault.connectorId, patch32(FrameOffset.cnIndex, 1)],
    ['another value of it', FrameFault.connectorId, patch32(FrameOffset.cnValue, 2)],
    ['cn len below a header', FrameFault.connectorLength, patch32(FrameOffset.cnLength, 100)],
    ['cn len beyond the datagram', FrameFault.connectorLength, patch32(FrameOffset.cnLength, 60000)],
    ['data size beyond cn len', FrameFault.dataSize, patch32(FrameOffset.dataSize, 17)],
    ['data size near 2^32', FrameFault.dataSize, patch32(FrameOffset.dataSize, 0xfffffff0)],
  ])('%s is a fault of its own', (_name, fault, change) => {
    const frame = change(soundFrame());
    expect(checkRequestFrame(frame, 0, frame.length)).toBe(fault);
  });

  test('a uuid without NUL is a fault', () => {
    const frame = soundFrame();
    frame.fill(0x61, FrameOffset.uuid, FrameOffset.version);
    expect(checkRequestFrame(frame, 0, frame.length)).toBe(FrameFault.uuid);
  });

  test('ragged payloads, regions of 2^53 and more, and too many regions', () => {
    const view = new RequestView();
    const bind = (payload: Buffer) => {
      const buffer = Buffer.alloc(2048);
      const uuid = Buffer.from('u');
      view.bind(buffer, 0, encodeRequest(buffer, 0, { seq: 1, type: 10, luidHigh: 0, luidLow: 1, uuid, payload }));
    };
    const regions = new Float64Array(2);
    bind(Buffer.alloc(9));
    expect(view.readRegions(regions)).toBe(-1);
    bind(encodeValues([1, 2, 3]));
    expect(view.readRegions(regions)).toBe(-1);
    bind(Buffer.from([0, 0, 0, 0, 0, 0, 0x20, 0]));
    expect(view.readRegions(regions)).toBe(1);
    expect(regions[0]).toBeNaN();
    bind(Buffer.alloc(8, 0xff));
    expect(view.readRegions(regions)).toBe(1);
    expect(regions[0]).toBeNaN();
    expect(view.readSigned(0)).toBe(-1);
  });

  test('the type is the low 8 bits', () => {
    const frame = soundFrame();
    frame.writeUInt32LE(0xabcdef08, FrameOffset.type);
    const view = new RequestView();
    view.bind(frame, 0, frame.length);
    expect(view.type).toBe(8);
  });

  test('constructor text with and without its NUL', () => {
    const view = new RequestView();
    for (const nul of [false, true]) {
      const buffer = Buffer.alloc(2048);
      const payload = Buffer.from(`100 clustered-core 8${nul ? '\0' : ''}`);
      const uuid = Buffer.from('u');
      view.bind(
        buffer,
        0,
        encodeRequest(buffer, 0, { seq: 1, type: DM_ULOG_CTR, luidHigh: 0, luidLow: 1, uuid, payload }),
      );
      expect(view.text()).toBe('100 clustered-core 8');
      expect(view.endsWithNul).toBe(nul);
    }
  });
});

describe('replies', () => {
  test('of every form come back as they were encoded', () => {
    fc.assert(
      fc.property(
        seqs,
        types,
        fc.integer({ min: -133, max: 0 }),
        fc.maxSafeInteger(),
        fc.maxSafeInteger(),
        (seq, type, error, a, b) => {
          const buffer = Buffer.alloc(2048, 0x5a);
          const plain = decodeReply(buffer, 4, encodeReply(buffer, 4, seq, type, error));
          expect(plain).toMatchObject({ form: 'full', seq, error, dataBytes: 0 });
          const ack = decodeReply(buffer, 4, encodeAck(buffer, 4, seq, error));
          expect(ack).toMatchObject({ form: 'ack', seq, error: error === 0 ? 0 : error });
          const value = decodeReply(buffer, 4, encodeValueReply(buffer, 4, seq, type, a));
          expect([value.error, replyValue(value, 0)]).toEqual([0, a]);
          const pair = decodeReply(buffer, 4, encodePairReply(buffer, 4, seq, type, a, b));
          expect([replyValue(pair, 0), replyValue(pair, 1)]).toEqual([a, b]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('text goes out as it is, without a NUL of our own', () => {
    const buffer = Buffer.alloc(2048);
    const reply = decodeReply(buffer, 0, encodeTextReply(buffer, 0, 9, DM_ULOG_STATUS_INFO, '1 clustered-core'));
    expect(Buffer.from(reply.data).toString()).toBe('1 clustered-core');
  });

  test('any bytes are decoded without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: -5, max: 500 }), (bytes, length) => {
        const reply = decodeReply(Buffer.from(bytes), 0, length);
        expect(reply.data.length).toBeLessThanOrEqual(400);
      }),
      { numRuns: 2000 },
    );
  });

  test('a reply with more data than the caller has room for is ENOSPC to the kernel', () => {
    const buffer = Buffer.alloc(2048);
    const reply = decodeReply(buffer, 0, encodeValueReply(buffer, 0, 1, DM_ULOG_FLUSH, 1));
    expect(replyResult(reply, replyRoomBytes(DM_ULOG_FLUSH))).toBe(-28);
    expect(replyResult(reply, replyRoomBytes(DM_ULOG_IN_SYNC))).toBe(0);
  });

  test('the room of each type', () => {
    const rooms = [
      DM_ULOG_CTR,
      DM_ULOG_GET_REGION_SIZE,
      DM_ULOG_GET_RESYNC_WORK,
      DM_ULOG_MARK_REGION,
      DM_ULOG_CLEAR_REGION,
    ];
    expect(rooms.map(replyRoomBytes)).toEqual([128, 8, 16, 0, 0]);
    expect(requestNames).toHaveLength(18);
  });
});

function soundFrame(): Buffer {
  const buffer = Buffer.alloc(2048);
  const payload = encodeValues([1, 2]);
  const uuid = Buffer.from('u');
  const length = encodeRequest(buffer, 0, { seq: 1, type: 10, luidHigh: 0, luidLow: 1, uuid, payload });
  return Buffer.from(buffer.subarray(0, length));
}

/** Changes the 32-bit field at `offset`, of a 16-bit one only its own bytes. */
function patch32(offset: number, value: number): (frame: Buffer) => Buffer {
  const short = offset === FrameOffset.nlmsgType || offset === FrameOffset.cnLength;
  return (frame) => {
    if (short) frame.writeUInt16LE(value, offset);
    else frame.writeUInt32LE(value, offset);
    return frame;
  };
}

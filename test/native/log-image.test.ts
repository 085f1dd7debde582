/** The log image through the binding: bytes of the classic format, plans and runs, sessions, read back. */
import { describe, expect, it } from 'vitest';
import type { LogSession } from '../../ts/mirror/log-image.js';
import { NativeLogImage } from '../../ts/native/log-image.js';
import { NativeRegionMap } from '../../ts/native/region-map.js';

const session: LogSession = {
  uuid: 'LVM-one',
  writerEpoch: 7,
  nodeName: 'node a',
  bootId: '0f0e0d0c-0000-4000-8000-000000000001',
  resumeCount: 3,
  regionSizeSectors: 2048,
  closed: true,
};

function encodeArea(image: NativeLogImage): Buffer {
  image.planAll();
  const area = Buffer.alloc(image.areaBytes);
  for (let run = 0; run < image.runCount; run++) {
    const offset = image.runOffset(run);
    image.encodeRun(run, area.subarray(offset, offset + image.runBytes(run)));
  }
  return area;
}

describe('a native log image', () => {
  it('encodes header, session record and clean bits where the classic format has them', () => {
    const map = NativeRegionMap.anonymous(20);
    const image = NativeLogImage.of(map);
    map.markClean(new Float64Array([0, 9, 19]), 3);
    image.setSession(session);
    const area = encodeArea(image);
    expect(area.length).toBe(1536);
    expect(area.readUInt32LE(0)).toBe(0x4d695272);
    expect(area.readUInt32LE(4)).toBe(2);
    expect(area.readBigUInt64LE(8)).toBe(20n);
    expect(area.subarray(512, 520).toString()).toBe('LSSESS01');
    expect([...area.subarray(1024, 1028)]).toEqual([0x01, 0x02, 0x08, 0]);
    expect(image.decodeHead(area)).toEqual({ header: { kind: 'valid', version: 2, regionCount: 20 }, session });
  });

  it('plans the changed blocks only, joined into runs, and gives them back after a failure', () => {
    const map = NativeRegionMap.anonymous(4096 * 8 * 10);
    const image = NativeLogImage.of(map);
    expect(image.planAll()).toBe(11);
    expect(image.runCount).toBe(1);
    expect(image.plan()).toBe(0);
    map.markClean(new Float64Array([0, 4096 * 8 * 3, 4096 * 8 * 4]), 3);
    expect(image.changedBlocks).toBe(3);
    expect(image.plan()).toBe(3);
    expect([0, 1].map((run) => [image.runOffset(run), image.runBytes(run)])).toEqual([
      [0, 4096],
      [3 * 4096, 8192],
    ]);
    image.unplan();
    expect([image.runCount, image.changedBlocks]).toEqual([0, 3]);
  });

  it('takes device bytes into the bits below a limit, and knows what differs then', () => {
    const source = NativeRegionMap.anonymous(1000);
    source.markClean(new Float64Array([1, 2, 3, 700]), 4);
    const area = encodeArea(NativeLogImage.of(source));
    const map = NativeRegionMap.anonymous(1000);
    const image = NativeLogImage.of(map);
    image.importBytes(0, area, 700);
    expect([map.cleanCount, map.isClean(3), map.isClean(700)]).toEqual([3, true, false]);
    expect(image.firstDifference(0, area)).toBe(1024 + Math.floor(700 / 8));
    map.markClean(new Float64Array([700]), 1);
    expect(image.firstDifference(0, area)).toBe(-1);
    expect(image.firstDifference(1024, area.subarray(1024))).toBe(-1);
  });

  it('says what is no log, and what is one that must not be read', () => {
    const image = NativeLogImage.of(NativeRegionMap.anonymous(8));
    expect(image.decodeHead(Buffer.alloc(1024)).header.kind).toBe('none');
    expect(image.decodeHead(Buffer.alloc(0)).header.kind).toBe('none');
    const later = Buffer.alloc(1024);
    later.writeUInt32LE(0x4d695272, 0);
    later.writeUInt32LE(3, 4);
    expect(image.decodeHead(later)).toMatchObject({ header: { kind: 'unsupported', version: 3 }, session: null });
  });

  it('refuses wrong arguments', () => {
    const map = NativeRegionMap.anonymous(8);
    const image = NativeLogImage.of(map);
    expect(() => image.setLogicalBlockBytes(1000)).toThrow(RangeError);
    expect(() => image.runOffset(0)).toThrow(RangeError);
    expect(() => image.importBytes(100, Buffer.alloc(512), 8)).toThrow(RangeError);
    expect(() => image.setSession({ ...session, uuid: 'x'.repeat(129) })).toThrow(RangeError);
    expect(() => image.setSession({ ...session, writerEpoch: -1 })).toThrow(TypeError);
    image.planAll();
    expect(() => image.encodeRun(0, new Uint8Array(100))).toThrow(RangeError);
    expect(() => NativeLogImage.of({} as NativeRegionMap)).toThrow(TypeError);
    map.close();
    expect(() => image.plan()).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
  });

  it('survives bytes and offsets of any size', () => {
    const map = NativeRegionMap.anonymous(100);
    const image = NativeLogImage.of(map);
    for (const offset of [0, 512, 1024, 1536, 4096, 2 ** 40]) {
      for (const length of [0, 1, 7, 511, 512, 1025, 9000]) {
        image.importBytes(offset, new Uint8Array(length).fill(0xff), 2 ** 53 - 1);
        image.firstDifference(offset, new Uint8Array(length));
        image.decodeHead(new Uint8Array(length));
      }
    }
    expect(map.cleanCount).toBe(100);
  });
});

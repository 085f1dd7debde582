/** The log device over regular files, with both writers: bytes, barriers, errors, and what comes after a close. */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogWriterKind } from '../../ts/native/log-device.js';
import { NativeLogImage } from '../../ts/native/log-image.js';
import { NativeRegionMap } from '../../ts/native/region-map.js';
import { TestFolder } from './child-script.js';
import { TestDevice } from './log-device-harness.js';

const ebadf = 9;
const eio = 5;

let folder: TestFolder;
let path: string;
beforeEach(() => {
  folder = new TestFolder();
  path = folder.file('log');
  writeFileSync(path, Buffer.alloc(4 * 2 ** 20));
});
afterEach(() => folder.remove());

/** What the area should be, encoded by the image itself. */
function area(map: NativeRegionMap): Buffer {
  const image = NativeLogImage.of(map);
  image.planAll();
  const bytes = Buffer.alloc(image.areaBytes);
  for (let run = 0; run < image.runCount; run++) {
    image.encodeRun(run, bytes.subarray(image.runOffset(run), image.runOffset(run) + image.runBytes(run)));
  }
  return bytes;
}

describe.each<LogWriterKind>(['uring', 'thread'])('a log device with the %s writer', (writer) => {
  let test: TestDevice;
  beforeEach(() => {
    test = new TestDevice(writer);
  });
  afterEach(() => test.device.close());

  it('says what it opened', async () => {
    const { errno, info } = await test.open(path);
    const { dev, ino } = statSync(path, { bigint: true });
    expect(errno).toBe(0);
    expect(info).toMatchObject({ identity: `file:${dev}:${ino}`, bytes: 4 * 2 ** 20 });
    expect([512, 4096]).toContain(info?.logicalBlockBytes);
    if (writer === 'thread') expect(test.device.writer).toBe('thread');
  });

  it('writes the plan, and reads it back', async () => {
    await test.open(path);
    const map = NativeRegionMap.anonymous(3 * 2 ** 20 * 8);
    const image = NativeLogImage.of(map);
    map.markClean(new Float64Array([0, 5, 8 * 2 ** 20, 3 * 2 ** 20 * 8 - 1]), 4);
    image.planAll();
    expect(await test.write(image, true)).toBe(0);
    const expected = area(map);
    image.unplan();
    image.plan();
    expect(readFileSync(path).subarray(0, expected.length).equals(expected)).toBe(true);
    const half = 2 ** 20;
    for (let offset = 0; offset < expected.length; offset += half) {
      const length = Math.min(half, expected.length - offset);
      const read = await test.read(offset, length);
      expect([read.errno, read.offset]).toEqual([0, offset]);
      expect(read.bytes.equals(expected.subarray(offset, offset + length))).toBe(true);
    }
  });

  it('writes changed blocks only, with one barrier a durable commit', async () => {
    await test.open(path);
    const map = NativeRegionMap.anonymous(2 ** 20 * 8);
    const image = NativeLogImage.of(map);
    image.planAll();
    await test.write(image, true);
    const { bytesWritten, barriersSubmitted } = test.device;
    map.markClean(new Float64Array([4096 * 8 * 8]), 1);
    expect(image.plan()).toBe(1);
    await test.write(image, true);
    expect(test.device.bytesWritten - bytesWritten).toBe(4096);
    expect(test.device.barriersSubmitted - barriersSubmitted).toBe(1);

    // Twenty runs apart from each other: more than fit into one window of buffers.
    const apart = Float64Array.from({ length: 20 }, (_, index) => 4096 * 8 * (2 * index + 1));
    map.markClean(apart, 20);
    image.plan();
    expect(image.runCount).toBe(20);
    await test.write(image, true);
    expect(test.device.bytesWritten - bytesWritten).toBe(21 * 4096);
    expect(test.device.barriersSubmitted - barriersSubmitted).toBe(2);
    expect(readFileSync(path).subarray(0, image.areaBytes).equals(area(map))).toBe(true);
  });

  it('writes without a barrier when none is asked for; an empty plan is nothing, or a barrier alone', async () => {
    await test.open(path);
    const map = NativeRegionMap.anonymous(1000);
    const image = NativeLogImage.of(map);
    image.planAll();
    expect(await test.write(image, false)).toBe(0);
    expect([test.device.writesSubmitted, test.device.barriersSubmitted]).toEqual([1, 0]);
    expect(image.plan()).toBe(0);
    expect(await test.write(image, false)).toBe(0);
    expect([test.device.writesSubmitted, test.device.barriersSubmitted]).toEqual([1, 0]);
    expect(await test.write(image, true)).toBe(0);
    expect([test.device.writesSubmitted, test.device.barriersSubmitted]).toEqual([1, 1]);
  });

  it('does operations in call order, each with one completion', async () => {
    await test.open(path);
    const map = NativeRegionMap.anonymous(1000);
    const image = NativeLogImage.of(map);
    image.planAll();
    const all = [test.read(0, 512), test.write(image, true), test.read(0, 1024), test.read(512, 512)] as const;
    const [before, written, after] = await Promise.all(all);
    expect([before.bytes.readUInt32LE(0), written, after.bytes.readUInt32LE(0)]).toEqual([0, 0, 0x4d695272]);
    expect(test.log).toEqual(['opened 0', 'read 0', 'written 0', 'read 0', 'read 0']);
  });

  it('lets a plan be made in the completion, and not before it', async () => {
    await test.open(path);
    const map = NativeRegionMap.anonymous(1000);
    const image = NativeLogImage.of(map);
    image.planAll();
    const written = test.write(image, true);
    expect(() => image.plan()).toThrow('still being written');
    map.markClean(new Float64Array([1]), 1);
    await written;
    expect(image.plan()).toBe(1);
  });

  it('reports errors as errno', async () => {
    expect(await test.open(folder.file('nothing'))).toEqual({ errno: 2, info: null });
    mkdirSync(folder.file('sub'));
    expect((await test.open(folder.file('sub'))).errno).toBe(21);
    expect((await test.open('/dev/null')).errno).toBe(22);
    expect((await test.open('4095:1048575')).errno).toBe(2);
    expect((await test.read(0, 512)).errno).toBe(ebadf);
    const image = NativeLogImage.of(NativeRegionMap.anonymous(8));
    image.planAll();
    expect(await test.write(image, true)).toBe(ebadf);
  });

  it('takes a short read for an error', async () => {
    truncateSync(path, 1024);
    await test.open(path);
    expect((await test.read(0, 1024)).errno).toBe(0);
    expect((await test.read(0, 2048)).errno).toBe(eio);
    expect((await test.read(2 ** 30, 512)).errno).toBe(eio);
  });

  it('takes wrong arguments for faults of the program', async () => {
    await test.open(path);
    expect(() => test.device.read(100, 512)).toThrow(RangeError);
    expect(() => test.device.read(0, 100)).toThrow(RangeError);
    expect(() => test.device.read(0, 0)).toThrow(RangeError);
    expect(() => test.device.read(0, 2 ** 20 + 512)).toThrow(RangeError);
    expect(() => test.device.write({} as NativeLogImage, true)).toThrow(TypeError);
  });

  it('reports nothing after a close, and can be opened again', async () => {
    const map = NativeRegionMap.anonymous(2 ** 20 * 8);
    const image = NativeLogImage.of(map);
    const opened = test.open(path);
    test.device.close();
    test.device.close();
    await sleep(30);
    expect(test.log).toEqual([]);
    void opened;
    void test.open(path);
    // Only the last opening is reported. The promise before it is the one that was asked for first.
    void test.open(path);
    while (test.log.length === 0) await sleep(2);
    await sleep(30);
    expect(test.log).toEqual(['opened 0']);
    image.planAll();
    void test.write(image, true);
    void test.read(0, 512);
    test.device.close();
    // The image is free at once, the memory when the write has ended.
    expect(image.planAll()).toBeGreaterThan(0);
    await sleep(50);
    expect(test.log).toEqual(['opened 0']);
  });

  it('goes on when a log is removed under a write', async () => {
    await test.open(path);
    const map = NativeRegionMap.anonymous(2 ** 20 * 8);
    const image = NativeLogImage.of(map);
    image.planAll();
    const written = test.write(image, true);
    map.close();
    expect(await written).toBe(0);
    expect(() => image.plan()).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
  });
});

describe('the automatic writer', () => {
  it('is the thread for a file', async () => {
    const test = new TestDevice('auto');
    expect((await test.open(path)).errno).toBe(0);
    expect(test.device.writer).toBe('thread');
    test.device.close();
  });
});

describe('both writers', () => {
  it('write equal bytes', async () => {
    const files = await Promise.all(
      (['uring', 'thread'] as const).map(async (writer) => {
        const file = folder.file(writer);
        writeFileSync(file, Buffer.alloc(4 * 2 ** 20));
        const test = new TestDevice(writer);
        await test.open(file);
        const map = NativeRegionMap.anonymous(2 * 2 ** 20 * 8 + 77);
        const image = NativeLogImage.of(map);
        image.planAll();
        await test.write(image, true);
        let state = 12345;
        for (let commit = 0; commit < 30; commit++) {
          const regions = Float64Array.from({ length: 50 }, () => {
            state = (state * 1103515245 + 12345) % 2 ** 31;
            return state % map.regionCount;
          });
          if (commit % 3 === 2) map.markDirty(regions, 50);
          else map.markClean(regions, 50);
          image.plan();
          expect(await test.write(image, commit % 2 === 0)).toBe(0);
        }
        test.device.close();
        expect(readFileSync(file).subarray(0, image.areaBytes).equals(area(map))).toBe(true);
        return readFileSync(file);
      }),
    );
    expect(files[0]?.equals(files[1] as Buffer)).toBe(true);
  });
});

/** Why a file cannot be opened with O_DIRECT in the folder of temporary files, or ''. */
function directProbe(): string {
  const probe = new TestFolder();
  try {
    writeFileSync(probe.file('probe'), 'x');
    closeSync(openSync(probe.file('probe'), constants.O_RDWR | constants.O_DIRECT));
    return '';
  } catch {
    return `no O_DIRECT in ${tmpdir()}`;
  } finally {
    probe.remove();
  }
}

const noDirect = directProbe();
it.skipIf(noDirect !== '')(`opens with O_DIRECT${noDirect && ` (skipped: ${noDirect})`}`, async () => {
  const test = new TestDevice('thread');
  await test.open(path);
  // O_DIRECT is 0x4000 on x86 and 0x10000 on arm64; Node knows.
  const flags = openFlags(path);
  test.device.close();
  expect(flags & constants.O_DIRECT).toBe(constants.O_DIRECT);
});

/** The flags with which this process has the file open. */
function openFlags(file: string): number {
  for (let fd = 3; fd < 200; fd++) {
    try {
      if (statSync(`/proc/self/fd/${fd}`).ino !== statSync(file).ino) continue;
      const line = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^flags:\s+(\d+)/m);
      return Number.parseInt(line?.[1] ?? '0', 8);
    } catch {
      // No such descriptor.
    }
  }
  throw new Error('the file is not open');
}

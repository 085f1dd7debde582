/**
 * The log device over loop devices: by path and by number, sizes, 4 KiB blocks, the end of the device, a device that
 * fails. Needs root and free loop devices; otherwise skipped, with the reason in the title.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogWriterKind } from '../../ts/native/log-device.js';
import { NativeLogImage } from '../../ts/native/log-image.js';
import { NativeRegionMap } from '../../ts/native/region-map.js';
import { TestFolder } from './child-script.js';
import { TestDevice } from './log-device-harness.js';

function losetup(...args: string[]): string {
  return execFileSync('losetup', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

function attach(file: string, bytes: number, blockBytes = 512): string {
  writeFileSync(file, Buffer.alloc(bytes));
  return losetup('--find', '--show', '--sector-size', `${blockBytes}`, file);
}

/** Why loop devices cannot be had, or ''. */
function probe(): string {
  const folder = new TestFolder();
  try {
    losetup('--detach', attach(folder.file('probe'), 1 << 20));
    return '';
  } catch (error) {
    return `no loop device: ${(error as Error).message.split('\n').slice(-2)[0]}`;
  } finally {
    folder.remove();
  }
}

const reason = probe();

describe.skipIf(reason !== '').each<LogWriterKind>(['auto', 'uring', 'thread'])(
  `a log device over a loop device, %s writer${reason && ` (skipped: ${reason})`}`,
  (writer) => {
    let folder: TestFolder;
    let test: TestDevice;
    let loop = '';
    beforeEach(() => {
      folder = new TestFolder();
      test = new TestDevice(writer);
    });
    afterEach(() => {
      test.device.close();
      if (loop !== '') losetup('--detach', loop);
      loop = '';
      folder.remove();
    });

    function numbers(): { major: number; minor: number } {
      const { rdev } = statSync(loop);
      // The kernel's encoding of device numbers in user space.
      return { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) };
    }

    it('opens by path and by number, and says what it is', async () => {
      loop = attach(folder.file('disk'), 1 << 20);
      const { major, minor } = numbers();
      const info = { identity: `${major}:${minor}`, major, minor, bytes: 1 << 20, logicalBlockBytes: 512 };
      expect(await test.open(loop)).toEqual({ errno: 0, info });
      if (writer === 'auto') expect(test.device.writer).toBe(new TestDevice('uring').device.writer);
      expect(await test.open(`${major}:${minor}`)).toEqual({ errno: 0, info });
    });

    it.each([512, 4096])('writes and reads back with blocks of %i bytes', async (blockBytes) => {
      loop = attach(folder.file('disk'), 1 << 20, blockBytes);
      const { info } = await test.open(loop);
      expect(info?.logicalBlockBytes).toBe(blockBytes);
      const map = NativeRegionMap.anonymous(100_000);
      const image = NativeLogImage.of(map);
      image.setLogicalBlockBytes(blockBytes);
      map.markClean(new Float64Array([0, 50_000, 99_999]), 3);
      image.planAll();
      expect(await test.write(image, true)).toBe(0);
      expect(image.areaBytes % blockBytes).toBe(0);
      const read = await test.read(0, image.areaBytes);
      expect(read.errno).toBe(0);
      expect(image.firstDifference(0, read.bytes)).toBe(-1);
      // Durable: the file behind has it.
      expect(image.firstDifference(0, readFileSync(folder.file('disk')).subarray(0, image.areaBytes))).toBe(-1);
    });

    it('reports a write or a read past the end', async () => {
      loop = attach(folder.file('disk'), 64 * 1024);
      await test.open(loop);
      const map = NativeRegionMap.anonymous(2 ** 20);
      const image = NativeLogImage.of(map);
      image.planAll();
      const errno = await test.write(image, true);
      // The kernel cuts the write short (EIO for us), or refuses it (ENOSPC).
      expect([5, 28]).toContain(errno);
      expect((await test.read(64 * 1024, 512)).errno).toBe(5);
    });

    it('reports a device that is gone', async () => {
      loop = attach(folder.file('disk'), 1 << 20);
      const { major, minor } = numbers();
      await test.open(loop);
      const image = NativeLogImage.of(NativeRegionMap.anonymous(1000));
      writeFileSync(folder.file('disk'), '');
      losetup('--set-capacity', loop);
      image.planAll();
      expect([5, 6, 28]).toContain(await test.write(image, true));
      expect(await test.open(`${major}:${minor}`)).toMatchObject({ errno: 0, info: { bytes: 0 } });
    });
  },
);

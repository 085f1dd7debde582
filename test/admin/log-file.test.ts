/** `lockstep log dump` and `log check` on real files: sound ones, and damage of every kind, each found by its name. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DirtyRanges, dirtyRangesOf, type Range, readLogArea } from '../../ts/admin/log-file.js';
import { findingsOf } from '../../ts/admin/log-findings.js';
import { NativeLogImage } from '../../ts/native/log-image.js';
import { NativeRegionMap } from '../../ts/native/region-map.js';
import { lockstep } from '../bin-lockstep/lockstep-process.js';

const regionCount = 80;
const dirty = [0, 1, 2, 7, 8, 40, 79];
let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lockstep log '));
  file = join(folder, 'a log');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the daemon writes. */
function soundLog(closed = true, names: { uuid?: string; nodeName?: string; bootId?: string } = {}): Buffer {
  const map = NativeRegionMap.anonymous(regionCount);
  map.fillClean(0, regionCount, true);
  map.markDirty(Float64Array.from(dirty), dirty.length);
  const image = NativeLogImage.of(map);
  const session = {
    uuid: 'LVM-one',
    writerEpoch: 1,
    nodeName: 'alpha',
    bootId: 'boot',
    resumeCount: 2,
    regionSizeSectors: 2048,
    closed,
  };
  image.setSession({ ...session, ...names });
  image.planAll();
  const area = Buffer.alloc(4096);
  image.encodeRun(0, area.subarray(0, image.areaBytes));
  map.close();
  return area;
}

type Damage = (area: Buffer) => Buffer | undefined;

function write(damage: Damage): void {
  const area = soundLog();
  writeFileSync(file, damage(area) ?? area);
}

function codes(damage: Damage, regions: number | null = null): string[] {
  write(damage);
  return findingsOf(readLogArea(file), regions).map(({ code, severity }) => (severity === 'note' ? `(${code})` : code));
}

it('what a device says of its host moves no cursor and begins no line', async () => {
  const hostile = 'a\u001b[2J\u009b1mb\r\nsound';
  writeFileSync(file, soundLog(false, { uuid: hostile, nodeName: hostile, bootId: hostile }));
  const { stdout } = await lockstep('log', 'dump', file);
  expect(stdout).toContain('uuid "a [2J 1mb  sound"');
  expect(stdout).toContain('host "a [2J 1mb  sound", boot a [2J 1mb  sound\n');
  expect((await lockstep('log', 'check', file)).stdout).toContain('note session-open: host "a [2J 1mb  sound" has it');
});

describe('a finding', () => {
  it.each<[string, Damage, number | null, string[]]>([
    ['nothing', () => undefined, null, []],
    ['nothing, with its count', () => undefined, regionCount, []],
    ['an open session', () => soundLog(false), null, ['(session-open)']],
    ['no session', (area) => area.fill(0, 512, 1024), null, ['(no-session)']],
    ['version 1', (area) => void area.writeUInt32LE(1, 4), null, ['(version-1)']],
    ['version 3', (area) => void area.writeUInt32LE(3, 4), null, ['version']],
    ['all zero', (area) => area.fill(0), null, ['no-log']],
    ['another magic', (area) => area.fill('LABELONE', 0, 8), null, ['magic']],
    ['a count beyond all', (area) => void area.writeBigUInt64LE(2n ** 60n, 8), null, ['region-count']],
    ['a count beyond ours', (area) => void area.writeBigUInt64LE(2n ** 33n, 8), null, ['region-count', 'too-small']],
    ['a count of nothing', (area) => void area.writeBigUInt64LE(0n, 8), null, ['region-count-zero']],
    ['another mirror, larger', () => undefined, 100, ['region-count-differs']],
    ['another mirror, smaller', () => undefined, 79, ['region-count-differs']],
    ['a mirror that does not fit', () => undefined, 100_000, ['too-small-for-mirror', 'region-count-differs']],
    ['bits cut off', (area) => area.subarray(0, 1030), null, ['too-small']],
    ['cut in the session', (area) => area.subarray(0, 600), null, ['too-small', 'session-torn']],
    ['cut in the header', (area) => area.subarray(0, 10), null, ['too-small']],
    ['nothing left', () => Buffer.alloc(0), null, ['too-small']],
    ['a torn session', (area) => area.fill(0, 768, 1024), null, ['session-torn']],
    ['one bit of the session', (area) => void area.writeUInt8((area[560] ?? 0) ^ 1, 560), null, ['session-torn']],
    ['a foreign session', (area) => area.fill('x', 512, 1024), null, ['session-foreign']],
    ['something in the padding', (area) => void area.writeUInt8(1, 300), null, ['padding']],
  ])('%s', (_name, damage, regions, expected) => {
    expect(codes(damage, regions)).toEqual(expected);
  });

  it('comes out of any damage without a throw', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(1100), fc.nat(255))), fc.nat(4096), (bytes, length) => {
        write((area) => {
          for (const [at, value] of bytes) area[at] = value;
          return area.subarray(0, length);
        });
        const area = readLogArea(file);
        for (const { text } of findingsOf(area, 80)) expect(text).not.toBe('');
        return area.dirtyCount <= area.readableRegions;
      }),
      { numRuns: 200 },
    );
  });
});

describe('dirty ranges', () => {
  it('are those of a plain look at every bit, however the bytes come', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0, 0xff, 0x55, 0x80, 0x01, 0x7f)),
        fc.nat(7),
        fc.integer({ min: 1, max: 5 }),
        (bytes, short, step) => {
          const count = Math.max(0, bytes.length * 8 - short);
          const ranges: Range[] = [];
          const found = new DirtyRanges((range) => ranges.push(range));
          for (let at = 0; at < bytes.length; at += step) {
            found.take(Uint8Array.from(bytes.slice(at, at + step)), at * 8, Math.min(step * 8, count - at * 8));
          }
          found.end(count);
          const plain = Array.from({ length: count }, (_, i) => i).filter(
            (i) => (((bytes[i >> 3] ?? 0) >> (i & 7)) & 1) === 0,
          );
          const listed = ranges.flatMap(([first, last]) =>
            Array.from({ length: last - first + 1 }, (_, i) => first + i),
          );
          expect(listed).toEqual(plain);
          expect(found.dirtyCount).toBe(plain.length);
          for (let i = 1; i < ranges.length; i++) {
            expect(ranges[i]?.[0]).toBeGreaterThan((ranges[i - 1]?.[1] ?? 0) + 1);
          }
        },
      ),
    );
  });

  it('of a log of 2^26 regions, most of it dirty, are read in pieces', () => {
    write((area) => void area.writeBigUInt64LE(2n ** 26n, 8));
    truncateSync(file, 1024 + 2 ** 23);
    const area = readLogArea(file);
    expect(area.dirtyCount).toBe(2 ** 26 - (regionCount - dirty.length));
    expect([...dirtyRangesOf(area)].flat()).toEqual([
      [0, 2],
      [7, 8],
      [40, 40],
      [79, 2 ** 26 - 1],
    ]);
    expect(area.rangeCount).toBe(4);
  });
});

describe('the command', () => {
  it('dumps a sound log, exit code 0, and leaves it as it was', async () => {
    write(() => undefined);
    const before = readFileSync(file);
    const ran = await lockstep('log', 'dump', file);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toMatch(/header {3}version 2, 80 regions, 1034 bytes/);
    expect(ran.stdout).toMatch(/session {2}closed, uuid "LVM-one"\n +host "alpha", boot boot\n/);
    expect(ran.stdout).toMatch(/dirty {4}7, in 4 ranges\n {9}0-2 7-8 40 79\n$/);
    const json = JSON.parse((await lockstep('log', 'dump', '--json', file)).stdout);
    expect(json).toMatchObject({
      schema: 'lockstep-log-1',
      dirtyRegions: 7,
      ranges: [
        [0, 2],
        [7, 8],
        [40, 40],
        [79, 79],
      ],
    });
    expect((await lockstep('log', 'dump', '--limit', '1', file)).stdout).toMatch(/ 0-2\n +and 3 ranges more/);
    expect(readFileSync(file)).toEqual(before);
  });

  it('dumps every range of a log that is in pieces all over', async () => {
    const regions = 2 ** 22;
    write((area) => {
      area.writeBigUInt64LE(BigInt(regions), 8);
      return Buffer.concat([area.subarray(0, 1024), Buffer.alloc(regions / 8, 0x55)]);
    });
    const ran = await lockstep('log', 'dump', '--limit', '0', file);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toMatch(/dirty {4}2097152, in 2097152 ranges\n {9}1 3 5 7 /);
    expect(ran.stdout.match(/\d+\n$/)?.[0]).toBe(`${regions - 1}\n`);
    const words = ran.stdout
      .split(/ in \d+ ranges\n/)[1]
      ?.trim()
      .split(/\s+/);
    expect(words).toHaveLength(regions / 2);
    const json = JSON.parse((await lockstep('log', 'dump', '--json', '--limit', '20000', file)).stdout);
    expect(json.ranges).toHaveLength(20_000);
    expect(json.ranges.at(-1)).toEqual([39_999, 39_999]);
  });

  it('says in a dump that bits are missing', async () => {
    write((area) => area.subarray(0, 1026));
    const ran = await lockstep('log', 'dump', file);
    expect(ran.stdout).toMatch(/\nbits {5}of 64 regions are missing: the file ends before them\nclean {4}/);
  });

  it('checks: 0 for a sound one, 1 with the findings for another', async () => {
    write(() => undefined);
    expect(await lockstep('log', 'check', '--region-count', '80', file)).toEqual({
      code: 0,
      stdout: `${file}: sound, 80 regions, 7 dirty\n`,
      stderr: '',
    });
    write((area) => area.fill(0, 768, 1024));
    const ran = await lockstep('log', 'check', file);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/^FINDING session-torn: .*\n.*: NOT SOUND, 80 regions, 7 dirty\n$/);
    const json = JSON.parse((await lockstep('log', 'check', '--json', file)).stdout);
    expect(json).toMatchObject({ schema: 'lockstep-log-1', sound: false, findings: [{ code: 'session-torn' }] });
  });

  it.each([
    ['what is not there', () => join(folder, 'nothing'), /nothing: no such file or directory\n$/],
    ['a folder', () => folder, /neither a block device nor a file/],
    ['a character device', () => '/dev/null', /neither a block device nor a file/],
  ])('reads no %s, exit code 1', async (_name, path, reason) => {
    const ran = await lockstep('log', 'check', path());
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(reason);
  });
});

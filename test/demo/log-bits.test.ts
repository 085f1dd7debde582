/** The demonstration reads the log by its layout alone: a log made by hand, byte by byte. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { markedRegions } from '../../ts/demo/log-bits.js';

const folder = mkdtempSync(join(tmpdir(), 'lockstep log bits '));
afterAll(() => rmSync(folder, { recursive: true }));

function log(regions: number, bits: readonly number[]): string {
  const area = Buffer.alloc(4096);
  area.set([0x72, 0x52, 0x69, 0x4d, 2, 0, 0, 0]);
  area.writeUInt32LE(regions, 8);
  area.set(bits, 1024);
  const path = join(folder, 'log');
  writeFileSync(path, area);
  return path;
}

test('regions whose bit is 0 are marked, and bits past the count are nobody', () => {
  expect([...markedRegions(log(12, [0b1111_0110, 0b0000_0111]), 12)]).toEqual([0, 3, 11]);
});

test('another region count, another magic and a short file are errors', () => {
  expect(() => markedRegions(log(12, []), 13)).toThrow('regions=12, expected 13');
  writeFileSync(join(folder, 'foreign'), Buffer.alloc(4096));
  expect(() => markedRegions(join(folder, 'foreign'), 12)).toThrow('magic=0');
  writeFileSync(join(folder, 'short'), Buffer.alloc(1024));
  expect(() => markedRegions(join(folder, 'short'), 12)).toThrow('ends at byte 1024');
});

/** Comparing and summing ranges, by the functions themselves and through the pool's built worker entry. */
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BulkPool } from '../../ts/pool/bulk-pool.js';
import { checksumRange, compareRange } from '../../ts/pool/bulk-tasks.js';

const MiB = 1 << 20;
const legBytes = 5 * MiB;
const regionBytes = 64 * 1024;
const differingSectors = [0, 1, 127, 128, 2047, 2048, 6000, legBytes / 512 - 1];

let folder: string;
let source: string;
let target: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lockstep pool '));
  source = join(folder, 'source');
  target = join(folder, 'target');
  const data = Buffer.alloc(legBytes);
  for (let i = 0; i < legBytes; i += 4) data.writeUInt32LE((i * 2654435761) >>> 0, i);
  writeFileSync(source, data);
  for (const [i, sector] of differingSectors.entries()) {
    const at = sector * 512 + ((i * 97) % 512);
    data[at] = (data[at] ?? 0) ^ 0x40;
  }
  writeFileSync(target, data);
});
afterAll(() => rmSync(folder, { recursive: true }));

const pair = () => ({ source, target, offset: 0, length: legBytes, regionBytes });

describe('comparing a range', () => {
  it('finds exactly the differing sectors and counts them by region', () => {
    const result = compareRange(pair());
    expect(result.sectors).toEqual(differingSectors);
    expect(result.sectorsDiffering).toBe(differingSectors.length);
    expect(result.sectorsCompared).toBe(legBytes / 512);
    const counts = new Map<number, number>();
    for (const sector of differingSectors) {
      const region = Math.floor((sector * 512) / regionBytes);
      counts.set(region, (counts.get(region) ?? 0) + 1);
    }
    expect(result.regionCounts).toHaveLength(legBytes / regionBytes);
    result.regionCounts.forEach((count, region) => {
      expect(count).toBe(counts.get(region) ?? 0);
    });
  });

  it('numbers sectors and regions from the start of the device when the range begins inside', () => {
    const result = compareRange({ ...pair(), offset: 127 * 512, length: 2 * 512 });
    expect(result).toEqual({
      sectorsCompared: 2,
      sectorsDiffering: 2,
      sectors: [127, 128],
      firstRegion: 0,
      regionCounts: [1, 1],
    });
  });

  it('counts what it does not list', () => {
    const result = compareRange({ ...pair(), listedSectorsMax: 3 });
    expect(result.sectors).toEqual(differingSectors.slice(0, 3));
    expect(result.sectorsDiffering).toBe(differingSectors.length);
  });

  it('says nothing differs between a file and itself', () => {
    const result = compareRange({ ...pair(), target: source });
    expect(result.sectorsDiffering).toBe(0);
    expect(result.regionCounts.every((count) => count === 0)).toBe(true);
  });

  it.each([
    [{ offset: 1 }, /sectors/],
    [{ length: 100 }, /sectors/],
    [{ length: 0 }, /sectors/],
    [{ offset: -512 }, /sectors/],
    [{ regionBytes: 1000 }, /region size/],
    [{ regionBytes: 0 }, /region size/],
    [{ length: legBytes + 512 }, /ends at byte/],
    [{ target: '/nonexistent/leg' }, /ENOENT/],
  ])('refuses %j', (change, message) => {
    expect(() => compareRange({ ...pair(), ...change })).toThrow(message);
  });

  it('does not take a file that became short for a difference', () => {
    const short = join(folder, 'short');
    writeFileSync(short, Buffer.alloc(legBytes));
    truncateSync(short, legBytes - 1);
    expect(() => compareRange({ ...pair(), target: short })).toThrow(/ends at byte/);
  });
});

describe('summing a range', () => {
  it('depends on the bytes of the range and nothing else', () => {
    const range = { offset: 2048 * 512 + 512, length: 1000 * 512 };
    expect(checksumRange({ path: source, ...range })).toBe(checksumRange({ path: target, ...range }));
    const wider = { offset: 2048 * 512, length: 1000 * 512 };
    expect(checksumRange({ path: source, ...wider })).not.toBe(checksumRange({ path: target, ...wider }));
  });

  it('is the CRC-32 everybody knows', () => {
    const path = join(folder, 'zeros');
    writeFileSync(path, Buffer.alloc(512));
    expect(checksumRange({ path, offset: 0, length: 512 })).toBe(0xb2aa7578);
  });
});

describe('the pool', () => {
  const entry = new URL('../../dist/pool/bulk-entry.js', import.meta.url);

  it('gives in pieces what one task gives whole', async () => {
    const large = join(folder, 'large');
    const other = join(folder, 'other');
    // Sparse: 70 MiB of zeros make three pieces.
    writeFileSync(large, '');
    truncateSync(large, 70 * MiB);
    writeFileSync(other, Buffer.alloc(33 * MiB, 0));
    truncateSync(other, 70 * MiB);
    const pool = new BulkPool({ entry });
    try {
      const changed = Buffer.from('x');
      const file = openSync(other, 'r+');
      for (const at of [5, 32 * MiB - 1, 32 * MiB, 69 * MiB]) writeSync(file, changed, 0, 1, at);
      closeSync(file);
      const task = { source: large, target: other, offset: 0, length: 70 * MiB, regionBytes: 3 * MiB };
      const result = await pool.compare(task);
      expect(result).toEqual(compareRange(task));
      expect(result.sectorsDiffering).toBe(4);
      const sums = await pool.checksums({ path: large, offset: 0, length: 70 * MiB });
      expect(sums).toHaveLength(3);
      expect(sums[0]).toBe(sums[1]);
    } finally {
      await pool.close();
    }
  });

  it('carries an error to the caller and goes on', async () => {
    const pool = new BulkPool({ entry });
    try {
      await expect(pool.compare({ ...pair(), target: '/nonexistent/leg' })).rejects.toThrow(/ENOENT/);
      const result = await pool.compare(pair());
      expect(result.sectors).toEqual(differingSectors);
    } finally {
      await pool.close();
    }
  });
});

/** What the scenarios of a cluster read out of disk images: stamps that are not what was written, and who wrote the log last. */
import { expect, test } from 'vitest';

interface StampsReader {
  blocksOf(node: number): number[];
  faults(node: number, acknowledged: number[], leg: Buffer): string[];
}

// The runner is plain JavaScript: it runs where nothing is built.
const stampsPath = './stamps.mjs';
const areaPath = './log-area.mjs';
const { Stamps, blockBytes } = (await import(stampsPath)) as {
  Stamps: new (regions: { firstRegion: number; ownRegions: number }) => StampsReader;
  blockBytes: number;
};
const { logSession } = (await import(areaPath)) as {
  logSession: (log: Buffer) => { epoch: number; node: string } | null;
};

const magic = 0x53544d50;
const stamps = new Stamps({ firstRegion: 0, ownRegions: 2 });
const blocks = stamps.blocksOf(1);

/** A leg on which node 1 has written each of its blocks so often. */
function written(sequence: number): Buffer {
  const leg = Buffer.alloc(256 * 65_536);
  for (const block of blocks) {
    for (let at = block * blockBytes; at < (block + 1) * blockBytes; at += 16) {
      leg.writeUInt32LE(magic, at);
      leg.writeUInt32LE(1, at + 4);
      leg.writeUInt32LE(sequence, at + 8);
      leg.writeUInt32LE(block, at + 12);
    }
  }
  return leg;
}

const acknowledged = (sequence: number): number[] => blocks.map(() => sequence);

test('what was acknowledged, and one write more, is right', () => {
  expect(stamps.faults(1, acknowledged(7), written(7))).toEqual([]);
  expect(stamps.faults(1, acknowledged(6), written(7))).toEqual([]);
  expect(stamps.faults(1, acknowledged(0), Buffer.alloc(256 * 65_536))).toEqual([]);
});

test('an acknowledged write that is not there is a fault of each block', () => {
  expect(stamps.faults(1, acknowledged(8), written(7))).toHaveLength(blocks.length);
  expect(stamps.faults(1, acknowledged(1), Buffer.alloc(256 * 65_536))).toHaveLength(blocks.length);
});

test('one stamp of another node, block or write is a fault', () => {
  for (const [field, value] of [
    [0, 1],
    [4, 2],
    [8, 9],
    [12, 5],
  ] as const) {
    const leg = written(7);
    leg.writeUInt32LE(value, (blocks[1] as number) * blockBytes + 4080 + field);
    expect(stamps.faults(1, acknowledged(7), leg)).toHaveLength(1);
  }
});

test('nodes have no block in common', () => {
  const all = [1, 2, 3].flatMap((node) => stamps.blocksOf(node));
  expect(new Set(all).size).toBe(all.length);
});

test('the session record names epoch and node; without its magic there is none', () => {
  const log = Buffer.alloc(4096);
  expect(logSession(log)).toBeNull();
  log.write('LSSESS01', 512);
  log.writeBigUInt64LE(3n, 520);
  log.write('node2', 512 + 224);
  expect(logSession(log)).toEqual({ epoch: 3, node: 'node2' });
});

/**
 * A copy of a log in chunks: what arrives is what was sent, whatever the bits and owners are; what is damaged is refused or is a
 * chunk of the same regions, and never read past its end; and how long it is.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeMax } from '../../ts/mirror/json-values.js';
import { decodeRuns, encodeRuns } from '../../ts/mirror/run-length.js';
import { decodeChunk, encodeChunk, type ReplicaHead } from '../../ts/mirror/transfer.js';
import { NativeRegionMap } from '../../ts/native/region-map.js';
import { NativeRegionOwners } from '../../ts/native/region-owners.js';
import { MapBits } from '../../ts/regions/region-map.js';

const head: ReplicaHead = {
  generation: 1,
  durableGeneration: 1,
  epoch: 1,
  position: 0,
  searchPosition: 0,
  recoveringRegion: -1,
  recoveringNode: -1,
  recoveryDoubted: false,
  wishes: [],
  restrictions: { pairs: [], overflow: [], known: [1, 3] },
  ownersFull: false,
  logFailed: false,
};

/** A log whose regions are clean, marked or out of sync as `states` says: 0, 1, 2. */
function logOf(states: readonly number[], owned: readonly (readonly [number, number])[] = []) {
  const map = NativeRegionMap.anonymous(states.length);
  const owners = NativeRegionOwners.create(1 << 16);
  const one = new Float64Array(1);
  states.forEach((state, region) => {
    one[0] = region;
    map.setInSync(region, state !== 2);
    if (state === 0) map.markClean(one, 1);
  });
  for (const [region, node] of owned) {
    one[0] = region;
    expect(owners.add(node, one, 1)).toBe(true);
  }
  return { map, owners };
}

const bitsOf = (map: NativeRegionMap, which: MapBits) => {
  const bytes = new Uint8Array(Math.ceil(map.regionCount / 8));
  map.exportBits(which, 0, bytes);
  return bytes;
};

const anyLog = fc
  .array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 700 })
  .chain((states) =>
    fc.tuple(
      fc.constant(states),
      fc.uniqueArray(
        fc.tuple(
          fc.integer({ min: 0, max: states.length - 1 }),
          fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 2 ** 32 - 2 })),
        ),
        { selector: ([region, node]) => `${region}/${node}`, maxLength: 60 },
      ),
    ),
  );

test('a copy whose head makes no sense is none', () => {
  const { map, owners } = logOf([0, 1, 2]);
  const decoded = (change: object) =>
    decodeChunk(
      encodeChunk({ map, owners }, 0, null, () => ({ ...head, ...change })),
      map.regionCount,
    );
  expect(decoded({ recoveringRegion: 2, recoveringNode: 7, wishes: [1] })).not.toBeNull();
  const nonsense = [{ recoveringRegion: 3 }, { recoveringRegion: -2 }, { recoveringNode: 2 ** 32 }, { wishes: null }];
  const more = [
    { wishes: ['a'] },
    { restrictions: null },
    { restrictions: { pairs: [[1]], overflow: [], known: [1, 3] } },
    { restrictions: { pairs: [], overflow: [] } },
  ];
  for (const change of [
    ...nonsense,
    ...more,
    { epoch: undefined },
    { searchPosition: 1e300 },
    { ownersFull: 1 },
    { recoveryDoubted: 0 },
  ])
    expect([change, decoded(change)]).toEqual([change, null]);
  const doubted = (region: number, node: number) =>
    decodeChunk(
      encodeChunk({ map, owners }, 0, { region, node }, () => head),
      map.regionCount,
    );
  expect(doubted(2, 1)?.doubted).toEqual({ region: 2, node: 1 });
  for (const [region, node] of [
    [3, 1],
    [-2, 1],
    [0.5, 1],
    [2, -1],
    [-1, 1],
    [2, 2 ** 32],
  ] as const)
    expect([region, node, doubted(region, node)]).toEqual([region, node, null]);
  map.close();
  owners.close();
});

test('what arrives is what was sent', () => {
  fc.assert(
    fc.property(anyLog, fc.option(fc.nat(nodeMax)), ([states, owned], node) => {
      const { map, owners } = logOf(states, owned);
      const doubted = node === null ? null : { region: node % states.length, node };
      const chunk = decodeChunk(
        encodeChunk({ map, owners }, 0, doubted, () => head),
        map.regionCount,
      );
      expect(chunk).toMatchObject({ from: 0, to: states.length, head, doubted });
      expect(chunk?.clean).toEqual(bitsOf(map, MapBits.clean));
      expect(chunk?.sync).toEqual(bitsOf(map, MapBits.sync));
      const pairs = Array.from({ length: owned.length }, (_, i) => chunk?.owners.subarray(2 * i, 2 * i + 2).join('/'));
      expect(pairs.sort()).toEqual(owned.map((pair) => pair.join('/')).sort());
      map.close();
      owners.close();
    }),
    { numRuns: 300 },
  );
});

test('what is damaged is refused, or is a chunk of regions that the log has', () => {
  fc.assert(
    fc.property(anyLog, fc.nat(), fc.nat(255), fc.boolean(), ([states, owned], place, byte, cut) => {
      const { map, owners } = logOf(states, owned);
      const whole = encodeChunk({ map, owners }, 0, null, () => head);
      const bytes = Uint8Array.from(cut ? whole.subarray(0, place % whole.length) : whole);
      if (!cut) bytes[place % bytes.length] = byte;
      const chunk = decodeChunk(bytes, states.length);
      if (chunk !== null) {
        const { from, to } = chunk;
        expect(to).toBeLessThanOrEqual(states.length);
        expect([chunk.clean.length, chunk.sync.length]).toEqual(Array(2).fill(Math.ceil((to - from) / 8)));
        for (let i = 0; i < chunk.owners.length; i += 2) expect(chunk.owners[i]).toBeLessThan(to);
      }
      map.close();
      owners.close();
    }),
    { numRuns: 500 },
  );
});

test('regions out of sync by chance take little more than a bit each, held ones a few bytes', () => {
  const regions = 2 ** 16;
  let state = 1;
  const chance = () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return state / 2 ** 31;
  };
  const dense = logOf(Array.from({ length: regions }, () => (chance() < 0.5 ? 0 : 2)));
  const length = (log: ReturnType<typeof logOf>) => encodeChunk(log, 0, null, () => head).length;
  expect(length(dense)).toBeLessThan((regions / 8) * 1.05);
  const heldOnes = Array.from({ length: 1000 }, (_, i) => i * 64);
  const held = new Set(heldOnes);
  const states = Array.from({ length: regions }, (_, region) => (held.has(region) ? 1 : 0));
  const empty = logOf(Array.from({ length: regions }, () => 0));
  const marked = logOf(
    states,
    heldOnes.map((region) => [region, 2]),
  );
  expect(length(empty)).toBeLessThan(400);
  expect(length(marked) - length(empty)).toBeLessThan(8 * heldOnes.length);
});

test('runs: any bytes come back, and nothing but a coding of that length is taken', () => {
  const bytes = fc
    .uint8Array({ maxLength: 300 })
    .map((some) => Uint8Array.from(some, (byte) => (byte < 160 ? 0 : byte)));
  fc.assert(
    fc.property(bytes, (some) => {
      expect(decodeRuns(encodeRuns(some), some.length)).toEqual(some);
      expect(decodeRuns(encodeRuns(some), some.length + 1)).toBeNull();
    }),
  );
  expect(decodeRuns(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 8)).toBeNull();
});

test('a copy of a log that has fewer regions, or more, is not taken', () => {
  const { map, owners } = logOf(Array(64).fill(0), []);
  const bytes = encodeChunk({ map, owners }, 0, null, () => head);
  expect([64, 128, 63].map((regions) => decodeChunk(bytes, regions) !== null)).toEqual([true, false, false]);
  map.close();
  owners.close();
});

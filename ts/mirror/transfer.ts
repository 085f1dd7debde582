/**
 * One chunk of a copy of a log on its way to a joining node, as bytes: the clean and sync bits of regions [from, to), run-length
 * coded, their owners, and, in the last chunk, the head: everything that is not per region.
 *
 * Layout: nine f64 (from, to, number of owners, bytes of their list, bytes of the head, bytes of the coded bits, how sync is coded, region
 * and node of a recovery whose end says nothing, -1 where there is none), the list of owners, the head as JSON, the coded bits: of clean, then of sync. Sync is coded as it is, or as where it differs from clean,
 * whichever is shorter: with many regions out of sync, which are not clean either, the two are alike.
 *
 * The owners (`count-codec.ts`): how many nodes there are and which, then for each pair, in the order of regions, the distance from the region
 * before, times the number of nodes, plus the place of its node among them.
 */
import { chunkOwnersMax, chunkRegionsMax } from '../base/limits.js';
import { MapBits, type RegionMap } from '../regions/region-map.js';
import { CountReader, pushCount } from './count-codec.js';
import { areCounts, isCount, isNodeOrNone, isObject, nodeMax } from './json-values.js';
import type { LogState } from './log-state.js';
import type { Restrictions } from './restrictions.js';
import { decodeRuns, encodeRuns } from './run-length.js';

/** What is replicated of a log and belongs to no region. */
export interface ReplicaHead {
  readonly generation: number;
  readonly durableGeneration: number;
  /** Of the writer who has said that. */
  readonly epoch: number;
  readonly position: number;
  readonly searchPosition: number;
  readonly recoveringRegion: number;
  readonly recoveringNode: number;
  /** Its end says nothing. */
  readonly recoveryDoubted: boolean;
  readonly wishes: readonly number[];
  readonly restrictions: ReturnType<Restrictions['list']>;
  readonly ownersFull: boolean;
  readonly logFailed: boolean;
}

/** A recovery under way. */
export interface Recovering {
  readonly region: number;
  readonly node: number;
}

export interface Chunk {
  readonly from: number;
  readonly to: number;
  /** Region, node, region, node ... */
  readonly owners: Float64Array;
  readonly head: ReplicaHead | null;
  readonly doubted: Recovering | null;
  readonly clean: Uint8Array;
  readonly sync: Uint8Array;
}

const prefixNumbers = 9;
const prefixBytes = 8 * prefixNumbers;
const syncAsItIs = 0;
const syncFromClean = 1;
/** Chunks begin at a multiple of this, so that bits are taken in whole words. */
export const wordRegions = 64;

/** Encodes what follows `from` as it is now, as much as one chunk takes. `head` is asked for when it is the last one. */
export function encodeChunk(
  { map, owners }: Pick<LogState, 'map' | 'owners'>,
  from: number,
  doubted: Recovering | null,
  head: () => ReplicaHead,
  spanMax = chunkRegionsMax,
): Uint8Array {
  const regions = new Float64Array(chunkOwnersMax);
  const nodes = new Float64Array(chunkOwnersMax);
  let span = spanMax;
  let to = Math.min(map.regionCount, from + span);
  let pairs = owners.listRange(from, to, regions, nodes);
  while (pairs > chunkOwnersMax && span > wordRegions) {
    span /= 2;
    to = Math.min(map.regionCount, from + span);
    pairs = owners.listRange(from, to, regions, nodes);
  }
  const list = encodeOwners(from, regions.subarray(0, pairs), nodes.subarray(0, pairs));
  const headBytes = to === map.regionCount ? Buffer.from(JSON.stringify(head()), 'utf8') : Buffer.of();
  const clean = bitsOf(map, MapBits.clean, from, to);
  const sync = bitsOf(map, MapBits.sync, from, to);
  const asItIs = encodeRuns(sync);
  const fromClean = encodeRuns(difference(sync, clean));
  const coding = fromClean.length < asItIs.length ? syncFromClean : syncAsItIs;
  const bits = Buffer.concat([encodeRuns(clean), coding === syncFromClean ? fromClean : asItIs]);
  const sizes = [list.length, headBytes.length, bits.length];
  const { region, node } = doubted ?? { region: -1, node: -1 };
  const prefix = Buffer.from(new Float64Array([from, to, pairs, ...sizes, coding, region, node]).buffer);
  return Buffer.concat([prefix, list, headBytes, bits]);
}

/** Null when the bytes are no chunk of a log of this many regions. */
export function decodeChunk(bytes: Uint8Array, regionCount: number): Chunk | null {
  if (bytes.length < prefixBytes) return null;
  const [from = -1, to = -1, pairs = -1, ...more] = doubles(bytes, prefixNumbers);
  const [listLength = -1, headLength = -1, bitsLength = -1, coding = -1, region = -1, node = -1] = more;
  const sizes = [pairs, listLength, headLength, bitsLength];
  if (!(from >= 0 && from % wordRegions === 0 && from < to && to <= regionCount)) return null;
  if (to - from > chunkRegionsMax || !sizes.every((size) => Number.isInteger(size) && size >= 0)) return null;
  const headAt = prefixBytes + listLength;
  if (pairs > chunkOwnersMax || headAt + headLength + bitsLength !== bytes.length) return null;
  if (coding !== syncAsItIs && coding !== syncFromClean) return null;
  if (!isRegionOrNone(region, regionCount) || !isNodeOrNone(node) || (region === -1) !== (node === -1)) return null;
  const owners = decodeOwners(bytes.subarray(prefixBytes, headAt), from, to, pairs);
  const length = Math.ceil((to - from) / 8);
  const both = decodeRuns(bytes.subarray(headAt + headLength), 2 * length);
  if (owners === null || both === null) return null;
  const head = headOf(bytes.subarray(headAt, headAt + headLength), regionCount);
  // The last one ends where the log does: a member that has it in another size is none whose copy could be taken.
  if (head === undefined || (head !== null && to !== regionCount)) return null;
  const clean = both.subarray(0, length);
  const coded = both.subarray(length);
  const doubted = region === -1 ? null : { region, node };
  return { from, to, owners, head, doubted, clean, sync: coding === syncFromClean ? difference(coded, clean) : coded };
}

function encodeOwners(from: number, regions: Float64Array, nodes: Float64Array): Uint8Array {
  if (regions.length === 0) return new Uint8Array(0);
  const names = [...new Set(nodes)].sort((a, b) => a - b);
  const out: number[] = [];
  pushCount(out, names.length);
  for (const node of names) pushCount(out, node);
  const order = Array.from(regions, (_, i) => i).sort((a, b) => (regions[a] as number) - (regions[b] as number));
  let before = from;
  for (const i of order) {
    const region = regions[i] as number;
    pushCount(out, (region - before) * names.length + names.indexOf(nodes[i] as number));
    before = region;
  }
  return Uint8Array.from(out);
}

/** Null when the bytes are no list of just so many pairs of these regions. */
function decodeOwners(bytes: Uint8Array, from: number, to: number, pairs: number): Float64Array | null {
  const owners = new Float64Array(2 * pairs);
  if (pairs === 0) return bytes.length === 0 ? owners : null;
  const counts = new CountReader(bytes);
  const nameCount = counts.next();
  if (nameCount < 1 || nameCount > pairs) return null;
  const names: number[] = [];
  while (names.length < nameCount) names.push(counts.next());
  if (names.some((node) => node < 0 || node > nodeMax)) return null;
  let region = from;
  for (let i = 0; i < pairs; i++) {
    const number = counts.next();
    if (number < 0) return null;
    region += Math.floor(number / nameCount);
    if (region >= to) return null;
    owners.set([region, names[number % nameCount] as number], 2 * i);
  }
  return counts.atEnd ? owners : null;
}

/** Where two maps differ; what differs so from the second is the first. */
function difference(first: Uint8Array, second: Uint8Array): Uint8Array {
  return first.map((byte, i) => byte ^ (second[i] as number));
}

/** Undefined: it makes no sense. */
function headOf(bytes: Uint8Array, regionCount: number): ReplicaHead | null | undefined {
  if (bytes.length === 0) return null;
  try {
    const head: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isHead(head, regionCount) ? head : undefined;
  } catch {
    return undefined;
  }
}

function isHead(said: unknown, regionCount: number): said is ReplicaHead {
  const names = ['generation', 'durableGeneration', 'epoch', 'position', 'searchPosition'] as const;
  if (!isObject<keyof ReplicaHead>(said) || !names.every((name) => isCount(said[name]))) return false;
  const { searchPosition, recoveringRegion, recoveryDoubted, wishes, restrictions, ownersFull, logFailed } = said;
  if ((searchPosition as number) > regionCount + 1) return false;
  if (!isRegionOrNone(recoveringRegion, regionCount)) return false;
  if (!isNodeOrNone(said.recoveringNode) || !areCounts(wishes)) return false;
  if (!isObject<'pairs' | 'overflow' | 'known'>(restrictions)) return false;
  const { pairs, overflow, known } = restrictions;
  if (!areCounts(overflow) || !areCounts(known)) return false;
  const named = Array.isArray(pairs) && pairs.every((pair) => areCounts(pair) && pair.length === 2);
  const flags = [recoveryDoubted, ownersFull, logFailed];
  return named && flags.every((flag) => typeof flag === 'boolean');
}

function isRegionOrNone(said: unknown, regionCount: number): boolean {
  return said === -1 || (isCount(said) && said < regionCount);
}

function bitsOf(map: RegionMap, which: MapBits, from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((to - from) / 8));
  map.exportBits(which, from / 8, bytes);
  return bytes;
}

function doubles(bytes: Uint8Array, count: number): Float64Array {
  // A copy of its own: a Buffer may begin anywhere in memory that it shares.
  const copy = Uint8Array.from(bytes.subarray(0, 8 * count));
  return new Float64Array(copy.buffer, 0, count);
}

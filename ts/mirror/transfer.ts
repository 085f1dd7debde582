/**
 * One chunk of a copy of a log on its way to a joining node, as bytes: the clean and sync bits of regions [from, to), run-length
 * coded, their owners, and, in the last chunk, the head: everything that is not per region.
 *
 * Layout: five f64 (from, to, number of owners, bytes of the head, bytes of the coded bits), the owners (region f64, node
 * f64), the head as JSON, the coded bits: of clean, then of sync.
 */
import { chunkOwnersMax, chunkRegionsMax } from '../base/limits.js';
import { MapBits, type RegionMap } from '../regions/region-map.js';
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
  readonly wishes: readonly number[];
  readonly restrictions: ReturnType<Restrictions['list']>;
  readonly logFailed: boolean;
}

export interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly owners: Float64Array;
  readonly head: ReplicaHead | null;
  readonly clean: Uint8Array;
  readonly sync: Uint8Array;
}

const prefixBytes = 40;
/** Chunks begin at a multiple of this, so that bits are taken in whole words. */
const wordRegions = 64;

/** Encodes what follows `from` as it is now, as much as one chunk takes. `head` is asked for when it is the last one. */
export function encodeChunk(state: LogState, from: number, head: () => ReplicaHead): Uint8Array {
  const { map, owners } = state;
  const regions = new Float64Array(chunkOwnersMax);
  const nodes = new Float64Array(chunkOwnersMax);
  let span = chunkRegionsMax;
  let to = Math.min(map.regionCount, from + span);
  let pairs = owners.listRange(from, to, regions, nodes);
  while (pairs > chunkOwnersMax && span > wordRegions) {
    span /= 2;
    to = Math.min(map.regionCount, from + span);
    pairs = owners.listRange(from, to, regions, nodes);
  }
  const list = new Float64Array(2 * pairs);
  for (let i = 0; i < pairs; i++) list.set([regions[i] as number, nodes[i] as number], 2 * i);
  const headBytes = to === map.regionCount ? Buffer.from(JSON.stringify(head()), 'utf8') : Buffer.of();
  const bits = Buffer.concat([
    encodeRuns(bitsOf(map, MapBits.clean, from, to)),
    encodeRuns(bitsOf(map, MapBits.sync, from, to)),
  ]);
  const prefix = Buffer.from(new Float64Array([from, to, pairs, headBytes.length, bits.length]).buffer);
  return Buffer.concat([prefix, Buffer.from(list.buffer), headBytes, bits]);
}

/** Null when the bytes are no chunk of a log of this many regions. */
export function decodeChunk(bytes: Uint8Array, regionCount: number): Chunk | null {
  if (bytes.length < prefixBytes) return null;
  const [from = -1, to = -1, pairs = -1, headLength = -1, bitsLength = -1] = doubles(bytes, 0, 5);
  const sizes = [pairs, headLength, bitsLength];
  if (!(from >= 0 && from % wordRegions === 0 && from < to && to <= regionCount)) return null;
  if (to - from > chunkRegionsMax || !sizes.every((size) => Number.isInteger(size) && size >= 0)) return null;
  const headAt = prefixBytes + 16 * pairs;
  if (pairs > chunkOwnersMax || headAt + headLength + bitsLength !== bytes.length) return null;
  const length = Math.ceil((to - from) / 8);
  const both = decodeRuns(bytes.subarray(headAt + headLength), 2 * length);
  if (both === null) return null;
  const head = headOf(bytes.subarray(headAt, headAt + headLength));
  if (head === undefined) return null;
  return {
    from,
    to,
    owners: doubles(bytes, prefixBytes, 2 * pairs),
    head,
    clean: both.subarray(0, length),
    sync: both.subarray(length),
  };
}

/** Undefined: it makes no sense. */
function headOf(bytes: Uint8Array): ReplicaHead | null | undefined {
  if (bytes.length === 0) return null;
  try {
    const head: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof head === 'object' && head !== null && 'restrictions' in head ? (head as ReplicaHead) : undefined;
  } catch {
    return undefined;
  }
}

function bitsOf(map: RegionMap, which: MapBits, from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((to - from) / 8));
  map.exportBits(which, from / 8, bytes);
  return bytes;
}

function doubles(bytes: Uint8Array, offset: number, count: number): Float64Array {
  // A copy of its own: a Buffer may begin anywhere in memory that it shares.
  const copy = Uint8Array.from(bytes.subarray(offset, offset + 8 * count));
  return new Float64Array(copy.buffer, 0, count);
}

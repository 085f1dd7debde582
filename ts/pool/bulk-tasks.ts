/**
 * The bulk tasks themselves: comparing two files or devices over a range, and summing one up. Plain functions with
 * blocking reads, for a pool worker to call; tests call them directly too.
 *
 * They read through the page cache and hold no lock: what is compared must be at rest, or the answer is about a
 * mixture. A fault of the world (a missing file, a short one) is thrown as an Error; the pool carries it to the
 * caller as a rejected promise.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';

export const sectorBytes = 512;
/** Bytes of each file in memory at once. */
const windowBytes = 1 << 20;
/** Default bound on the sectors that are listed; beyond it they are only counted. */
export const listedSectorsMax = 65_536;

export interface CompareTask {
  readonly source: string;
  readonly target: string;
  /** First byte and length of the range in both; multiples of 512. */
  readonly offset: number;
  readonly length: number;
  /** Bytes of a region, a multiple of 512; regions count from byte 0 of the device. */
  readonly regionBytes: number;
  readonly listedSectorsMax?: number;
}

export interface CompareResult {
  readonly sectorsCompared: number;
  readonly sectorsDiffering: number;
  /** Numbers of differing 512-byte sectors from byte 0 of the device, ascending; the first ones when many. */
  readonly sectors: number[];
  /** Differing sectors of each region that the range touches, from `firstRegion` on. */
  readonly firstRegion: number;
  readonly regionCounts: number[];
}

export interface ChecksumTask {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** Compares sector by sector. A file that ends inside the range is an error, not a difference. */
export function compareRange(task: CompareTask): CompareResult {
  checkRange(task.offset, task.length);
  if (!(task.regionBytes > 0) || task.regionBytes % sectorBytes !== 0) {
    throw new RangeError(`region size ${task.regionBytes} is not a multiple of ${sectorBytes}`);
  }
  const firstRegion = Math.floor(task.offset / task.regionBytes);
  const regionEnd = Math.ceil((task.offset + task.length) / task.regionBytes);
  const found: Differences = {
    listedMax: task.listedSectorsMax ?? listedSectorsMax,
    sectors: [],
    differing: 0,
    firstRegion,
    regionSectors: task.regionBytes / sectorBytes,
    regionCounts: new Array<number>(regionEnd - firstRegion).fill(0),
  };
  withFiles([task.source, task.target], (files) => {
    const [source, target] = files as [number, number];
    const left = Buffer.allocUnsafe(Math.min(windowBytes, task.length));
    const right = Buffer.allocUnsafe(Math.min(windowBytes, task.length));
    for (let done = 0; done < task.length; done += windowBytes) {
      const bytes = Math.min(windowBytes, task.length - done);
      readExactly(source, task.source, left, bytes, task.offset + done);
      readExactly(target, task.target, right, bytes, task.offset + done);
      // Most windows are equal, and one comparison of a MiB costs less than 2048 of a sector.
      if (left.compare(right, 0, bytes, 0, bytes) !== 0) noteSectors(left, right, bytes, task.offset + done, found);
    }
  });
  return {
    sectorsCompared: task.length / sectorBytes,
    sectorsDiffering: found.differing,
    sectors: found.sectors,
    firstRegion,
    regionCounts: found.regionCounts,
  };
}

/** CRC-32 of a range of one file or device. */
export function checksumRange(task: ChecksumTask): number {
  checkRange(task.offset, task.length);
  let sum = 0;
  withFiles([task.path], (files) => {
    const file = files[0] as number;
    const buffer = Buffer.allocUnsafe(Math.min(windowBytes, task.length));
    for (let done = 0; done < task.length; done += windowBytes) {
      const bytes = Math.min(windowBytes, task.length - done);
      readExactly(file, task.path, buffer, bytes, task.offset + done);
      sum = crc32(bytes === buffer.length ? buffer : buffer.subarray(0, bytes), sum);
    }
  });
  return sum;
}

interface Differences {
  readonly listedMax: number;
  readonly sectors: number[];
  differing: number;
  readonly firstRegion: number;
  readonly regionSectors: number;
  readonly regionCounts: number[];
}

function noteSectors(left: Buffer, right: Buffer, bytes: number, position: number, found: Differences): void {
  for (let at = 0; at < bytes; at += sectorBytes) {
    if (left.compare(right, at, at + sectorBytes, at, at + sectorBytes) === 0) continue;
    const sector = (position + at) / sectorBytes;
    const region = Math.floor(sector / found.regionSectors) - found.firstRegion;
    found.regionCounts[region] = (found.regionCounts[region] ?? 0) + 1;
    found.differing += 1;
    if (found.sectors.length < found.listedMax) found.sectors.push(sector);
  }
}

function checkRange(offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset + length) && offset >= 0 && length > 0;
  if (!whole || offset % sectorBytes !== 0 || length % sectorBytes !== 0) {
    throw new RangeError(`range offset=${offset} length=${length} is not made of ${sectorBytes}-byte sectors`);
  }
}

function withFiles(paths: readonly string[], body: (files: number[]) => void): void {
  const files: number[] = [];
  try {
    for (const path of paths) files.push(openSync(path, 'r'));
    body(files);
  } finally {
    for (const file of files) closeSync(file);
  }
}

function readExactly(file: number, path: string, into: Buffer, bytes: number, position: number): void {
  for (let done = 0; done < bytes; ) {
    const got = readSync(file, into, done, bytes - done, position + done);
    if (got === 0) throw new Error(`${path} ends at byte ${position + done}, wanted up to ${position + bytes}`);
    done += got;
  }
}

/**
 * Reads the log area of a device or file: header, session record, bits as ranges. Never writes, and opens for reading only,
 * so a device that a daemon uses may be looked at any time; what it shows then is a moment of it.
 *
 * Header and session record are decoded by the code that the daemon uses. The bits come in pieces of 1 MiB, and ranges are
 * handed on and not kept, so that a log of any size takes little memory.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { fileErrorText } from '../base/errno.js';
import { logBitsOffset, logReadBytesMax } from '../base/limits.js';
import type { LogHeader, LogSession } from '../mirror/log-image.js';
import { NativeLogImage } from '../native/log-image.js';
import { NativeRegionMap } from '../native/region-map.js';

/** First and last region of a run of dirty ones. */
export type Range = readonly [number, number];

export interface LogArea {
  readonly path: string;
  readonly kind: 'device' | 'file';
  /** Bytes of the device or file. */
  readonly bytes: number;
  readonly header: LogHeader;
  readonly session: LogSession | null;
  /** The first 1024 bytes, or what there was of them. */
  readonly head: Buffer;
  /** Bytes that a log of so many regions takes, before rounding up to a block. */
  readonly areaBytes: number;
  /** Regions whose bits lie on the device, all of the header's on a sound one. */
  readonly readableRegions: number;
  readonly dirtyCount: number;
  /** How many runs of dirty regions there are; `dirtyRangesOf` has them. */
  readonly rangeCount: number;
}

/** The device or file cannot be read; its text is for the user. */
export class LogFileError extends Error {}

/** @throws LogFileError */
export function readLogArea(path: string): LogArea {
  const fd = openForReading(path);
  try {
    const status = fstatSync(fd);
    const device = status.isBlockDevice();
    const bytes = device ? deviceBytes(path, status.rdev) : status.size;
    const head = readAt(fd, path, 0, Math.min(logBitsOffset, bytes));
    const { header, session } = decodeHead(head);
    const areaBytes = logBitsOffset + Math.ceil(header.regionCount / 8);
    const room = Math.max(0, bytes - logBitsOffset) * 8;
    const readableRegions = Math.min(header.regionCount, room);
    const bits = new DirtyRanges(() => {});
    for (const _piece of piecesOf(fd, path, readableRegions, bits));
    const { dirtyCount, rangeCount } = bits;
    const kind = device ? 'device' : 'file';
    return { path, kind, bytes, header, session, head, areaBytes, readableRegions, dirtyCount, rangeCount };
  } finally {
    closeSync(fd);
  }
}

/**
 * The runs of dirty regions among the first so many regions, a piece of the bits at a time. They are read anew: while a daemon
 * writes the device they need not be those that `readLogArea` has counted.
 * @throws LogFileError
 */
export function* dirtyRangesOf({ path, readableRegions }: LogArea): Generator<readonly Range[]> {
  const fd = openForReading(path);
  try {
    let found: Range[] = [];
    const bits = new DirtyRanges((range) => found.push(range));
    for (const _piece of piecesOf(fd, path, readableRegions, bits)) {
      if (found.length > 0) yield found;
      found = [];
    }
  } finally {
    closeSync(fd);
  }
}

function* piecesOf(fd: number, path: string, regions: number, bits: DirtyRanges): Generator<void> {
  for (let region = 0; region < regions; region += logReadBytesMax * 8) {
    const count = Math.min(logReadBytesMax * 8, regions - region);
    bits.take(readAt(fd, path, logBitsOffset + region / 8, Math.ceil(count / 8)), region, count);
    if (region + count === regions) bits.end(regions);
    yield;
  }
}

function openForReading(path: string): number {
  try {
    // Looked at first: opening a terminal or a tape may do something.
    const status = statSync(path);
    if (!status.isBlockDevice() && !status.isFile())
      throw new LogFileError(`${path}: neither a block device nor a file`);
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof LogFileError) throw error;
    throw new LogFileError(`${path}: ${fileErrorText(error)}`);
  }
}

/** From /sys, in sectors of 512 bytes. */
function deviceBytes(path: string, rdev: number): number {
  const major = Math.floor(rdev / 2 ** 8) & 0xfff;
  const minor = (rdev & 0xff) | ((Math.floor(rdev / 2 ** 12) & 0xfff00) >>> 0);
  try {
    return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512;
  } catch (error) {
    throw new LogFileError(`${path}: its size cannot be told: ${fileErrorText(error)}`);
  }
}

function readAt(fd: number, path: string, offset: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    let count: number;
    try {
      count = readSync(fd, buffer, done, length - done, offset + done);
    } catch (error) {
      throw new LogFileError(`${path}: reading at byte ${offset + done}: ${fileErrorText(error)}`);
    }
    if (count === 0) throw new LogFileError(`${path}: ends at byte ${offset + done}, though it claimed to be longer`);
    done += count;
  }
  return buffer;
}

function decodeHead(head: Buffer): { header: LogHeader; session: LogSession | null } {
  const map = NativeRegionMap.anonymous(1);
  try {
    return NativeLogImage.of(map).decodeHead(head);
  } finally {
    map.close();
  }
}

/** Finds runs of zero bits, byte by byte where a byte is all one or all zero, and hands each on when it has ended. */
export class DirtyRanges {
  dirtyCount = 0;
  rangeCount = 0;
  readonly #take: (range: Range) => void;
  #first = -1;

  constructor(take: (range: Range) => void) {
    this.#take = take;
  }

  /** Bits of regions `from` to `from + count - 1`; `from` is a multiple of 8. */
  take(bytes: Uint8Array, from: number, count: number): void {
    for (let at = 0; at * 8 < count; at++) {
      const byte = bytes[at] as number;
      const bits = Math.min(8, count - at * 8);
      const region = from + at * 8;
      if (bits === 8 && byte === 0) this.#dirty(region, 8);
      else if (bits === 8 && byte === 0xff) this.end(region);
      else for (let bit = 0; bit < bits; bit++) this.#bit(region + bit, (byte >> bit) & 1);
    }
  }

  /** What ends before `region`. */
  end(region: number): void {
    if (this.#first < 0) return;
    this.rangeCount += 1;
    this.#take([this.#first, region - 1]);
    this.#first = -1;
  }

  #bit(region: number, clean: number): void {
    if (clean === 1) this.end(region);
    else this.#dirty(region, 1);
  }

  #dirty(region: number, count: number): void {
    this.dirtyCount += count;
    if (this.#first < 0) this.#first = region;
  }
}

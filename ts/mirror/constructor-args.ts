/**
 * The text of a constructor request (CTR):
 *
 *     <len> clustered-core <region_size> [[no]sync] [block_on_error]
 *     <len> clustered-disk <log device> <region_size> [[no]sync] [block_on_error]
 *
 * `len` is the target's length, sizes are sectors. Pure; opening the device and making the log are others' work.
 *
 * As cmirrord has it: numbers are decimal, hexadecimal with 0x or octal with a leading 0; zero is no number; words
 * that are not known are ignored; a core log takes 1 to 3 arguments and a disk log 2 to 4; spaces at the end do no
 * harm. A region size need not be a power of two (cmirrord takes 1000); `oddRegionSize` tells, because the
 * kernel's own region arithmetic is a shift and such a mirror does not work well. Unlike cmirrord the type word
 * decides what a log is, not what its first argument looks like, and missing arguments are an error.
 */
import { deviceNameBytesMax, regionCountMax } from '../base/limits.js';

export type SyncWord = 'default' | 'sync' | 'nosync';

export interface ConstructorArgs {
  readonly kind: 'core' | 'disk';
  readonly targetSectors: number;
  readonly regionSizeSectors: number;
  readonly regionCount: number;
  /** As given: a path or `major:minor`. Null for a core log. */
  readonly deviceName: string | null;
  readonly sync: SyncWord;
  readonly blockOnError: boolean;
  readonly oddRegionSize: boolean;
}

export type ParsedConstructor =
  | { readonly ok: true; readonly args: ConstructorArgs }
  /** What is wrong, for people; the kernel gets -EINVAL. */
  | { readonly ok: false; readonly text: string };

export function parseConstructor(text: string): ParsedConstructor {
  const words = text.split(' ').filter((word) => word !== '');
  const [length, type, ...rest] = words;
  if (length === undefined) return wrong('empty constructor');
  const targetSectors = parseNumber(length);
  if (targetSectors === null) return wrong(`target length "${length}" is not a number above zero`);
  if (type === 'clustered-core') return parseCore(targetSectors, rest);
  if (type === 'clustered-disk') return parseDisk(targetSectors, rest);
  return wrong(type === undefined ? 'no log type' : `log type "${type}" is not known`);
}

function parseCore(targetSectors: number, words: readonly string[]): ParsedConstructor {
  if (words.length < 1 || words.length > 3) return wrong(`a core log takes 1 to 3 arguments, not ${words.length}`);
  return parseCommon(targetSectors, null, words);
}

function parseDisk(targetSectors: number, words: readonly string[]): ParsedConstructor {
  if (words.length < 2 || words.length > 4) return wrong(`a disk log takes 2 to 4 arguments, not ${words.length}`);
  const [deviceName = '', ...rest] = words;
  // The name goes back to the kernel with its NUL, which has this much room for it.
  if (Buffer.byteLength(deviceName) >= deviceNameBytesMax) return wrong('the log device name is too long');
  return parseCommon(targetSectors, deviceName, rest);
}

function parseCommon(targetSectors: number, deviceName: string | null, words: readonly string[]): ParsedConstructor {
  const [size = '', ...options] = words;
  const regionSizeSectors = parseNumber(size);
  if (regionSizeSectors === null) return wrong(`region size "${size}" is not a number above zero`);
  // By the remainder: a quotient beyond 2^32 can be rounded, and the last short region with it.
  const lastSectors = targetSectors % regionSizeSectors;
  const regionCount = (targetSectors - lastSectors) / regionSizeSectors + (lastSectors === 0 ? 0 : 1);
  if (regionCount > regionCountMax) return wrong(`${regionCount} regions are more than the ${regionCountMax} of a log`);
  let sync: SyncWord = 'default';
  for (const word of options) if (word === 'sync' || word === 'nosync') sync = word;
  return {
    ok: true,
    args: {
      kind: deviceName === null ? 'core' : 'disk',
      targetSectors,
      regionSizeSectors,
      regionCount,
      deviceName,
      sync,
      blockOnError: options.includes('block_on_error'),
      oddRegionSize: !isPowerOfTwo(regionSizeSectors),
    },
  };
}

/** A number as C writes it, above zero and exact; null otherwise. */
export function parseNumber(text: string): number | null {
  const radix = /^0[xX][0-9a-fA-F]+$/.test(text)
    ? 16
    : /^0[0-7]+$/.test(text)
      ? 8
      : /^[1-9][0-9]*$/.test(text)
        ? 10
        : 0;
  if (radix === 0) return null;
  const value = Number.parseInt(text, radix);
  return value > 0 && Number.isSafeInteger(value) ? value : null;
}

function isPowerOfTwo(value: number): boolean {
  while (value % 2 === 0) value /= 2;
  return value === 1;
}

function wrong(text: string): ParsedConstructor {
  return { ok: false, text };
}

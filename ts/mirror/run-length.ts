/**
 * Run-length coding of bitmaps: runs of zero bytes, of all-ones bytes, and of others as they are. A number in front of each run:
 * its low two bits are the kind, the rest the length (count-codec.ts).
 */
import { CountReader, pushCount } from './count-codec.js';

const zeros = 0;
const ones = 1;
const plain = 2;
/** Shorter runs of one value are not worth a number of their own inside a plain one. */
const runMin = 4;

export function encodeRuns(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  const parts: Uint8Array[] = [];
  const flush = () => {
    if (out.length > 0) parts.push(Uint8Array.from(out));
    out.length = 0;
  };
  let at = 0;
  while (at < bytes.length) {
    const value = bytes[at] as number;
    const run = runLength(bytes, at);
    if ((value === 0 || value === 0xff) && (run >= runMin || at + run === bytes.length)) {
      pushCount(out, run * 4 + (value === 0 ? zeros : ones));
      at += run;
      continue;
    }
    const end = plainEnd(bytes, at);
    pushCount(out, (end - at) * 4 + plain);
    flush();
    parts.push(bytes.subarray(at, end));
    at = end;
  }
  flush();
  return Buffer.concat(parts);
}

/** Null when the bytes are no coding of exactly `length` bytes. */
export function decodeRuns(coded: Uint8Array, length: number): Uint8Array | null {
  const bytes = new Uint8Array(length);
  let at = 0;
  const counts = new CountReader(coded);
  while (!counts.atEnd) {
    const number = counts.next();
    if (number < 0) return null;
    const kind = number % 4;
    const run = (number - kind) / 4;
    if (kind > plain || run > length - at) return null;
    if (kind === ones) bytes.fill(0xff, at, at + run);
    if (kind === plain) {
      if (counts.at + run > coded.length) return null;
      bytes.set(coded.subarray(counts.at, counts.at + run), at);
      counts.at += run;
    }
    at += run;
  }
  return at === length ? bytes : null;
}

function runLength(bytes: Uint8Array, at: number): number {
  const value = bytes[at];
  let end = at + 1;
  while (end < bytes.length && bytes[end] === value) end += 1;
  return end - at;
}

/** Where the next run of one value begins that is worth it. */
function plainEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length) {
    const value = bytes[at];
    const run = value === 0 || value === 0xff ? runLength(bytes, at) : 0;
    if (run >= runMin) return at;
    at += Math.max(1, run);
  }
  return at;
}

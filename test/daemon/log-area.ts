/** The bytes of a disk log as they should stand on its device, computed apart from the code under test. */
import { readFileSync } from 'node:fs';

export interface LogArea {
  readonly magic: number;
  readonly version: number;
  readonly regionCount: number;
  /** Numbers of the regions whose clean bit is 0. */
  readonly dirty: number[];
}

/** Reads header and clean bits of the first `regionCount` regions of a log file. */
export function readLogArea(path: string, regionCount: number): LogArea {
  const bytes = readFileSync(path);
  const dirty: number[] = [];
  for (let region = 0; region < regionCount; region++) {
    const byte = bytes[1024 + (region >> 3)] ?? 0;
    if (((byte >> (region & 7)) & 1) === 0) dirty.push(region);
  }
  return {
    magic: bytes.readUInt32LE(0),
    version: bytes.readUInt32LE(4),
    regionCount: Number(bytes.readBigUInt64LE(8)),
    dirty,
  };
}

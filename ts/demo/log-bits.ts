/**
 * Reads a disk log the way a stranger would: by its layout alone, with nothing of the daemon's code. What it says after
 * a power cut is what the daemon must go by, so the demonstration reads it for itself.
 *
 * Layout: magic, version and region count at byte 0; one bit a region from byte 1024, 1 = clean.
 */
import { closeSync, openSync, readSync } from 'node:fs';

const magic = 0x4d695272;
const bitsOffset = 1024;

/** Regions that the log does not call clean. Throws when there is no sound log for `regions` regions. */
export function markedRegions(path: string, regions: number): Set<number> {
  const area = Buffer.alloc(bitsOffset + Math.ceil(regions / 8));
  const file = openSync(path, 'r');
  try {
    const got = readSync(file, area, 0, area.length, 0);
    if (got < area.length) throw new Error(`${path} ends at byte ${got}, its log at ${area.length}`);
  } finally {
    closeSync(file);
  }
  const found = { magic: area.readUInt32LE(0), regions: Number(area.readBigUInt64LE(8)) };
  if (found.magic !== magic || found.regions !== regions) {
    throw new Error(`${path}: magic=${found.magic.toString(16)} regions=${found.regions}, expected ${regions} regions`);
  }
  const marked = new Set<number>();
  for (let region = 0; region < regions; region++) {
    const byte = area[bitsOffset + Math.floor(region / 8)] ?? 0;
    if ((byte & (1 << (region % 8))) === 0) marked.add(region);
  }
  return marked;
}

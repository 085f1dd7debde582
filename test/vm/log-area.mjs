/**
 * Reads the classic area of a log device, as an independent reader that knows nothing of the daemon: magic, version,
 * region count, then one bit a region from byte 1024, 1 = clean.
 */
const magic = 0x4d695272;
const version = 2;
const bitsOffset = 1024;

/** Why the header is not that of a log of so many regions; '' when it is. */
export function headerFault(log, regions) {
  const found = [log.readUInt32LE(0), log.readUInt32LE(4), Number(log.readBigUInt64LE(8))];
  const wanted = [magic, version, regions];
  return found.join() === wanted.join() ? '' : `header ${found}, expected ${wanted}`;
}

export function isClean(log, region) {
  return (log[bitsOffset + (region >> 3)] & (1 << (region & 7))) !== 0;
}

/** Numbers of the regions that are not clean. */
export function dirtyRegions(log, regions) {
  return Array.from({ length: regions }, (_, region) => region).filter((region) => !isClean(log, region));
}

/** Numbers of the regions in which two legs differ. */
export function differingRegions(left, right, regionBytes) {
  const found = [];
  for (let at = 0; at < left.length; at += regionBytes) {
    if (!left.subarray(at, at + regionBytes).equals(right.subarray(at, at + regionBytes))) found.push(at / regionBytes);
  }
  return found;
}

/**
 * Reads a log device, as an independent reader that knows nothing of the daemon: magic, version, region count, then one bit a
 * region from byte 1024, 1 = clean; and who wrote it last, from the session record at byte 512.
 */
const magic = 0x4d695272;
const version = 2;
const bitsOffset = 1024;
const sessionOffset = 512;
const sessionMagic = 'LSSESS01';
const epochOffset = 8;
const nodeOffset = 224;
const nodeBytes = 128;

/** Why the header is not that of a log of so many regions; '' when it is. */
export function headerFault(log, regions) {
  const found = [log.readUInt32LE(0), log.readUInt32LE(4), Number(log.readBigUInt64LE(8))];
  const wanted = [magic, version, regions];
  return found.join() === wanted.join() ? '' : `header ${found}, expected ${wanted}`;
}

export function isClean(log, region) {
  return (log[bitsOffset + (region >> 3)] & (1 << (region & 7))) !== 0;
}

/** Epoch and name of the node that writes the log; null where there is no session record. */
export function logSession(log) {
  if (log.toString('latin1', sessionOffset, sessionOffset + sessionMagic.length) !== sessionMagic) return null;
  const name = log.toString('utf8', sessionOffset + nodeOffset, sessionOffset + nodeOffset + nodeBytes);
  return { epoch: Number(log.readBigUInt64LE(sessionOffset + epochOffset)), node: name.replace(/\0.*$/s, '') };
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

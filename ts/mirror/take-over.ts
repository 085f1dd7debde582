/** What a log device knows that memory does not, when another node becomes its writer (R8). */
import { logBitsOffset } from '../base/limits.js';
import { MapBits, type RegionMap } from '../regions/region-map.js';

/**
 * Regions below `regionLimit` that these bytes of the log area have as dirty, and the map as clean, or as in sync when it is the older of
 * the two: what has been marked since then says nothing of what is on the device.
 */
export function onlyOnDevice(
  map: RegionMap,
  older: boolean,
  offset: number,
  bytes: Uint8Array,
  regionLimit: number,
): number[] {
  const skip = Math.max(0, logBitsOffset - offset);
  const firstByte = offset + skip - logBitsOffset;
  const count = Math.min(bytes.length - skip, Math.ceil(regionLimit / 8) - firstByte);
  if (count <= 0) return [];
  const here = new Uint8Array(count);
  map.exportBits(older ? MapBits.sync : MapBits.clean, firstByte, here);
  const regions: number[] = [];
  for (let i = 0; i < count; i++) {
    const more = (here[i] as number) & ~(bytes[skip + i] as number);
    if (more === 0) continue;
    for (let bit = 0; bit < 8; bit++) {
      const region = (firstByte + i) * 8 + bit;
      if (((more >> bit) & 1) === 1 && region < regionLimit) regions.push(region);
    }
  }
  return regions;
}

/** The pool's side of the placement scenario: sets marks in a map of its own. */
import { NativeRegionMap } from '../dist/native/region-map.js';

const regions = 2 ** 20;
const map = NativeRegionMap.anonymous(regions);
map.fillClean(0, regions, true);

export default function mark(batch) {
  return map.markDirty(Float64Array.from(batch), batch.length);
}

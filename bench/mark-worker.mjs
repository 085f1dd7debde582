/** The pool's side of the placement scenario: sets marks in a map of its own. */
import { NativeRegionMap } from '../dist/native/region-map.js';

const map = NativeRegionMap.anonymous(2 ** 20);

export default function mark(regions) {
  return map.markDirty(Float64Array.from(regions), regions.length);
}

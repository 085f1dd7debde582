/**
 * The contents of a disk log as they should be on its device, encoded from a region map's clean bits.
 *
 * A log state of a disk log brings its image along. A separate one is for tests and tools.
 */
import type { LogImage } from '../mirror/log-image.js';
import { addon } from './addon.js';
import type { NativeRegionMap } from './region-map.js';

/** A native log image. It keeps its map's memory alive, and throws once the map is closed. */
export interface NativeLogImage extends LogImage {
  readonly closed: boolean;
}

export interface NativeLogImageConstructor {
  new (map: NativeRegionMap): NativeLogImage;
}

export const NativeLogImage = {
  /** The image of `map`, which must come from this addon; logical block size 512 until told otherwise. */
  of(map: NativeRegionMap): NativeLogImage {
    return new addon.LogImage(map);
  },
} as const;

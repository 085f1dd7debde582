/**
 * Loads the addon: the only file that does.
 *
 * It declares what the native module exports and nothing of how to use it; the documented handles stand in the
 * other files of this folder. The environment variable `LOCKSTEP_ADDON` names another build of the addon (the
 * sanitizer build, for instance); a worker sees the same one, because the environment is inherited.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { NativeCrc32c } from './checksum.js';
import type { NativeCpgGroupConstructor, NativeReadCpgGroupNames } from './cpg-group.js';
import type { NativeRestartRecovery } from './dm-restart.js';
import type { NativeReadMirrorLogs } from './dm-tables.js';
import type { NativeFrameChannelConstructor } from './frame-channel.js';
import type { NativeLogDeviceConstructor } from './log-device.js';
import type { NativeLogImageConstructor } from './log-image.js';
import type { NativeStateStoreConstructor } from './log-state.js';
import type { NativeProcessFunctions } from './process.js';
import type { NativeRegionMapConstructor } from './region-map.js';
import type { NativeRegionOwnersConstructor } from './region-owners.js';
import type { NativeStickyMarksConstructor } from './sticky-marks.js';

/** What the native module exports. Every environment (main thread, each worker) has an instance of its own. */
export interface Addon {
  readonly RegionMap: NativeRegionMapConstructor;
  readonly RegionOwners: NativeRegionOwnersConstructor;
  readonly StickyMarks: NativeStickyMarksConstructor;
  readonly LogImage: NativeLogImageConstructor;
  readonly StateStore: NativeStateStoreConstructor;
  readonly FrameChannel: NativeFrameChannelConstructor;
  readonly LogDevice: NativeLogDeviceConstructor;
  readonly process: NativeProcessFunctions;
  readonly readMirrorLogs: NativeReadMirrorLogs;
  readonly restartRecovery: NativeRestartRecovery;
  readonly crc32c: NativeCrc32c;
  readonly corosyncBuiltIn: boolean;
  readonly CpgGroup: NativeCpgGroupConstructor;
  readonly readCpgGroupNames: NativeReadCpgGroupNames;
}

const { LOCKSTEP_ADDON: otherAddon } = process.env;

/** Where the addon was loaded from. This file lies two folders below the package's root, built or not. */
export const addonPath: string =
  otherAddon ?? fileURLToPath(new URL('../../build/Release/lockstep.node', import.meta.url));

function load(): Addon {
  try {
    return createRequire(import.meta.url)(addonPath) as Addon;
  } catch (error) {
    throw new Error(`cannot load the native addon from ${addonPath}; \`npm run build:addon\` builds it`, {
      cause: error,
    });
  }
}

export const addon: Addon = load();

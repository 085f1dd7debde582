/**
 * What the daemon tells about itself: one JSON object, for operators, tests and the demonstration. Every number is
 * counted where it happens; nothing is estimated.
 *
 * Only types and the reading of logs; who asks, and where it is written, is the daemon's business.
 */
import { requestNames } from '../base/ulog-frames.js';
import { LifeCycle, type LogState } from '../mirror/log-state.js';
import type { MirrorCounters } from '../mirror/world.js';
import type { FrameCounters } from '../native/frame-channel.js';
import type { LogDeviceCounters } from '../storage/log-devices.js';

export interface LogStatus {
  readonly uuid: string;
  /** 16 hexadecimal digits. */
  readonly luid: string;
  readonly type: 'core' | 'disk';
  readonly lifeCycle: keyof typeof LifeCycle;
  readonly restored: boolean;
  readonly regionCount: number;
  readonly regionSizeSectors: number;
  readonly dirtyCount: number;
  readonly inSyncCount: number;
  readonly heldCount: number;
  readonly stickyCount: number;
  readonly ownedCount: number;
  /** Region under recovery by this host's kernel, or -1. */
  readonly recoveringRegion: number;
  readonly inSyncLatched: boolean;
  readonly marksUnknown: boolean;
  readonly logFailed: boolean;
  readonly resumeCount: number;
}

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  readonly node: number;
  readonly nodeName: string;
  readonly bootId: string;
  readonly uptimeMs: number;
  readonly logs: readonly LogStatus[];
  readonly counters: {
    /** Requests by name; `UNKNOWN` for types without one, `MALFORMED` for frames answered without the core. */
    readonly requests: Readonly<Record<string, number>>;
    readonly replies: { readonly succeeded: number; readonly failed: number; readonly dropped: number };
    /** Sound MARK requests and FLUSH requests with regions; those of them that needed neither message nor write. */
    readonly marks: number;
    readonly marksWithoutIo: number;
    readonly core: MirrorCounters;
    readonly devices: LogDeviceCounters;
    readonly frames: FrameCounters;
    readonly turns: number;
  };
  readonly memory: { readonly stateBytes: number; readonly heapBytes: number; readonly residentBytes: number };
}

const lifeCycleNames = new Map<number, keyof typeof LifeCycle>(
  Object.entries(LifeCycle).map(([name, value]) => [value, name as keyof typeof LifeCycle]),
);

export function logStatus(state: LogState): LogStatus {
  const { map, identity } = state;
  return {
    uuid: identity.uuid,
    luid: hex32(identity.luidHigh) + hex32(identity.luidLow),
    type: state.image === null ? 'core' : 'disk',
    lifeCycle: lifeCycleNames.get(state.lifeCycle) ?? 'pending',
    restored: state.restored,
    regionCount: map.regionCount,
    regionSizeSectors: state.geometry.regionSizeSectors,
    dirtyCount: map.regionCount - map.cleanCount,
    inSyncCount: map.syncCount,
    heldCount: map.heldCount,
    stickyCount: state.sticky.size,
    ownedCount: state.owners.size,
    recoveringRegion: state.recoveringRegion,
    inSyncLatched: state.inSyncLatched,
    marksUnknown: state.marksUnknown,
    logFailed: state.logFailed,
    resumeCount: state.resumeCount,
  };
}

/** Request counts by name, of types that came at least once. */
export function requestCountsByName(counts: Float64Array, malformed: number): Record<string, number> {
  const named: Record<string, number> = {};
  counts.forEach((count, type) => {
    if (count > 0) named[type === 0 ? 'UNKNOWN' : (requestNames[type] ?? `TYPE_${type}`)] = count;
  });
  return malformed > 0 ? { ...named, MALFORMED: malformed } : named;
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}

/**
 * Reads what the daemon tells about itself out of its logs: for operators, tests and the demonstration. What the numbers
 * mean stands at their types (admin/daemon-status.ts); who asks, and where it is written, is the daemon's business.
 */
import type { LogStatus, RegionStatus } from '../admin/daemon-status.js';
import { requestNames } from '../base/ulog-frames.js';
import { parseConstructor } from '../mirror/constructor-args.js';
import { LifeCycle, type LogState } from '../mirror/log-state.js';
import type { MirrorLog } from '../mirror/mirror-log.js';
import { unpackDevice } from '../mirror/status-text.js';

export type { DaemonStatus, LogStatus, RegionStatus } from '../admin/daemon-status.js';

const lifeCycleNames = new Map<number, keyof typeof LifeCycle>(
  Object.entries(LifeCycle).map(([name, value]) => [value, name as keyof typeof LifeCycle]),
);

/** @param node this host's number. */
export function logStatus(state: LogState, node: number): Omit<LogStatus, 'cluster'> {
  const { map, identity } = state;
  const parsed = parseConstructor(state.constructorText);
  const numbers = unpackDevice(state.deviceNumber);
  return {
    uuid: identity.uuid,
    luid: luidText(state),
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
    recoveringNode: recovererOf(state, node),
    inSyncLatched: state.inSyncLatched,
    marksUnknown: state.marksUnknown,
    logFailed: state.logFailed,
    resumeCount: state.resumeCount,
    everResumed: state.everResumed,
    logDevice: parsed.ok ? parsed.args.deviceName : null,
    logDeviceNumbers: numbers === null ? null : `${numbers.major}:${numbers.minor}`,
  };
}

function recovererOf({ recoveringRegion, recoveringNode }: LogState, node: number): number {
  if (recoveringRegion < 0) return -1;
  return recoveringNode < 0 ? node : recoveringNode;
}

/** How a region stands; null when there is no such log, or no such region in it. */
export function regionStatus(
  logs: Iterable<MirrorLog>,
  node: number,
  uuid: string,
  luid: string,
  region: number,
): RegionStatus | null {
  for (const log of logs) {
    if (log.uuid !== uuid || luidText(log.state) !== luid) continue;
    if (region >= log.state.map.regionCount) return null;
    const owners = (log.replica.rights.table?.members ?? [])
      .map((member) => member.node)
      .filter((other) => other !== node && log.state.owners.has(other, region));
    return { log: logStatus(log.state, node), region, ...log.regionFacts(region), owners };
  }
  return null;
}

/** Request counts by name, of types that came at least once. */
export function requestCountsByName(counts: Float64Array, malformed: number): Record<string, number> {
  const named: Record<string, number> = {};
  counts.forEach((count, type) => {
    if (count > 0) named[type === 0 ? 'UNKNOWN' : (requestNames[type] ?? `TYPE_${type}`)] = count;
  });
  return malformed > 0 ? { ...named, MALFORMED: malformed } : named;
}

function luidText({ identity }: LogState): string {
  return hex32(identity.luidHigh) + hex32(identity.luidLow);
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}

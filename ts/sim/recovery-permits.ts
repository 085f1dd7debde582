/**
 * What a daemon may hand out for recovery, judged by what is on the log device: a region that was clean there and
 * never failed need not be copied. Kept for each mirror of a host in `mayRecover` and `reads`.
 *
 * Only a host that is alone can be judged so; on a cluster other hosts' deaths make regions out of sync.
 */
import { DM_ULOG_CTR, DM_ULOG_DTR, DM_ULOG_RESUME, DM_ULOG_SET_REGION_SYNC } from '../base/ulog-frames.js';
import { LifeCycle } from '../mirror/log-state.js';
import { type LogMessage, MessageType } from '../mirror/messages.js';
import { SearchStart } from '../mirror/resume-bits.js';
import type { RegionMap } from '../regions/region-map.js';
import { forEachNotClean, readLogBytes } from './checks/log-bytes.js';
import type { CountedState, CountedStates } from './daemon/counted-state.js';
import type { LogDisk } from './daemon/log-disk.js';
import type { RequestRecord } from './daemon/requests.js';
import type { SimMirror } from './mirror.js';

/** A request leaves the kernel. */
export function permitAtRequest(mirror: SimMirror, states: CountedStates | null, request: RequestRecord): void {
  if (request.type === DM_ULOG_SET_REGION_SYNC && request.values[1] === 0)
    mirror.mayRecover.add(request.values[0] ?? 0);
  if (request.type === DM_ULOG_RESUME) permitAtResume(mirror, states, request);
  // A constructor for an address that was given away again removes the log that had it.
  const removes = request.type === DM_ULOG_DTR || request.type === DM_ULOG_CTR;
  if (removes) permitAtRemoval(mirror, states, states?.find(request.key));
}

/** A FLUSH fails with the log device: what the kernel holds may differ between the legs, and the kernel would not say so. */
export function permitAtFailure(mirror: SimMirror, states: CountedStates | null, message: LogMessage): void {
  if (message.type !== MessageType.inSync || message.flag !== 0) return;
  for (const state of states?.live.values() ?? []) {
    if (state.identity.uuid !== message.uuid || !state.logFailed) continue;
    for (const region of message.regions.subarray(0, message.count)) {
      if (state.map.inner.isHeld(region)) mirror.mayRecover.add(region);
    }
  }
}

/** What only a log with a failed device knew goes with it, unless another of its uuid was resumed since. */
export function permitAtRemoval(
  mirror: SimMirror,
  states: CountedStates | null,
  state: CountedState | undefined,
): void {
  if (state?.logFailed !== true || !state.everResumed) return;
  for (const other of states?.live.values() ?? []) {
    const next = other !== state && other.identity.uuid === state.identity.uuid && !other.everResumed;
    if (next) mirror.mayRecoverAll = true;
  }
}

/** What a resume may hand out for recovery: what is not clean on the log device now. */
function permitAtResume(mirror: SimMirror, states: CountedStates | null, request: RequestRecord): void {
  const state = states?.find(request.key);
  if (mirror.disk === null || state?.lifeCycle === LifeCycle.active) return;
  const count = state?.geometry.regionCount ?? mirror.regionCount;
  const found = readLogBytes(mirror.disk.seen, count);
  const words = (state?.constructorText ?? '').split(' ');
  const forgotten = state?.everResumed === false && state.searchPosition === SearchStart.knowledgeLost;
  mirror.mayRecoverAll = forgotten || words.includes('sync') || (!found.valid && !words.includes('nosync'));
  mirror.mayRecover.clear();
  // After a failure memory is written and the device not read; and this log, or the one before it, may still be writing
  // its last commit.
  const served = state?.lifeCycle === LifeCycle.halted || state?.lifeCycle === LifeCycle.leaving;
  const reads = !served && !state?.logFailed && !othersServe(states, request);
  const dirty: number[] = [];
  const known = Math.min(count, found.regionCount);
  forEachNotClean(mirror.disk.seen, known, (region) => {
    dirty.push(region);
    mirror.mayRecover.add(region);
  });
  forEachNotClean(mirror.disk.durable, known, (region) => mirror.mayRecover.add(region));
  for (let region = known; region < count && !words.includes('nosync'); region++) {
    dirty.push(region);
    mirror.mayRecover.add(region);
  }
  if (reads) mirror.reads.set(request.seq, dirty);
  for (const other of states?.live.values() ?? []) {
    if (other.identity.uuid === request.uuid && other.logFailed) allowDirty(mirror, other.map.inner);
  }
}

/** A write of a daemon that is gone: what a RESUME reads now is not what was there when it was sent. */
export function permitLandedLate(mirrors: Iterable<SimMirror>, disk: LogDisk): void {
  for (const mirror of mirrors) {
    if (mirror.disk !== disk) continue;
    const { valid } = readLogBytes(disk.seen, mirror.regionCount);
    if (!valid) mirror.mayRecoverAll = true;
    forEachNotClean(disk.seen, mirror.regionCount, (region) => mirror.mayRecover.add(region));
    mirror.reads.clear();
  }
}

/** Another luid's log of the same mirror has not left. */
function othersServe(states: CountedStates | null, request: RequestRecord): boolean {
  for (const [key, state] of states?.live ?? []) {
    const left = state.lifeCycle === LifeCycle.pending;
    if (key !== request.key && state.identity.uuid === request.uuid && !left) return true;
  }
  return false;
}

/** A device that failed does not know what memory knows: that is resynced too. */
function allowDirty(mirror: SimMirror, map: RegionMap): void {
  let region = map.nextDirty(0);
  while (region >= 0) {
    mirror.mayRecover.add(region);
    region = region + 1 < map.regionCount ? map.nextDirty(region + 1) : -1;
  }
}

/**
 * Why a region is as it is, in words: the answer of `lockstep why`. Each reason has a stable name for programs. Pure.
 *
 * A region is clean when no writer may be at work in it, and in sync when its legs are known to be equal; one that is out
 * of sync is never clean.
 */
import type { RegionStatus } from './daemon-status.js';

export interface Reason {
  readonly code: string;
  readonly text: string;
}

/** @param name how the user calls the mirror, for commands that are suggested. */
export function reasonsOf(region: RegionStatus, name: string): Reason[] {
  const reasons = [...lifeReasons(region.log, name), ...holders(region), ...syncReasons(region, name)];
  if (reasons.length > 0) return reasons;
  if (region.clean) return [{ code: 'clean', text: 'nobody writes it and its legs are equal' }];
  return [{ code: 'releasing', text: 'nobody holds it any more: it becomes clean with the next commit' }];
}

function lifeReasons(log: RegionStatus['log'], name: string): Reason[] {
  const reasons: Reason[] = [];
  switch (log.lifeCycle) {
    case 'pending':
      reasons.push({
        code: 'pending',
        text: log.everResumed
          ? 'the log is suspended: what it shows is what it was left with'
          : 'the log was never resumed: nothing has been read from its device yet',
      });
      break;
    case 'resuming':
      reasons.push({ code: 'resuming', text: 'the log is being loaded from its device: nothing is known yet' });
      break;
    case 'halted':
      reasons.push({ code: 'halted', text: 'the mirror is being suspended: recovery rests until it is resumed' });
      break;
    case 'leaving':
      reasons.push({ code: 'leaving', text: 'the log is being left: its last commit is on its way' });
      break;
    case 'active':
      break;
  }
  if (log.marksUnknown) {
    const text =
      "which regions this kernel writes is not known (its daemon's state was lost), so none is cleaned or recovered " +
      `before a suspend and resume: dmsetup suspend ${name} && dmsetup resume ${name}`;
    reasons.push({ code: 'marks-unknown', text });
  }
  return reasons;
}

function holders(region: RegionStatus): Reason[] {
  const reasons: Reason[] = [];
  if (region.held) {
    const text =
      "this host's kernel holds it: it has marked it for a write and not cleared it; it clears it some time after the " +
      'last write there has ended';
    reasons.push({ code: 'held', text });
  }
  if (region.sticky) {
    const text =
      'the kernel has cleared it; it stays marked a moment longer, so that another write there costs nothing';
    reasons.push({ code: 'sticky', text });
  }
  if (region.ownedElsewhere) reasons.push({ code: 'foreign-owner', text: 'another node has marked it' });
  if (region.ownedHere && !region.held && !region.sticky && !region.releasing) {
    reasons.push({ code: 'owned', text: 'this node owns a mark of it that its kernel does not hold any more' });
  }
  if (region.releasing) reasons.push({ code: 'releasing', text: 'its release is on its way' });
  if (region.sweeping && !region.clean && !region.held) {
    reasons.push({
      code: 'sweeping',
      text: 'after a restart dirty regions that nobody holds are still being looked for',
    });
  }
  if (region.log.logFailed && !region.clean) {
    reasons.push({
      code: 'log-failed',
      text: 'the log device has failed: nothing becomes clean on it before it is repaired',
    });
  }
  return reasons;
}

function syncReasons(region: RegionStatus, name: string): Reason[] {
  if (region.inSync) return [];
  if (region.recovering) {
    return [{ code: 'recovering', text: "out of sync: this host's kernel is copying it now" }];
  }
  if (region.wished) {
    return [{ code: 'wished', text: 'out of sync: a write waits for it, so it is recovered next' }];
  }
  if (region.log.inSyncLatched) {
    const text =
      'out of sync: a write to a leg, or the log device, failed after the mirror had been in sync; the kernel recovers it after the next ' +
      `suspend and resume: dmsetup suspend ${name} && dmsetup resume ${name}`;
    return [{ code: 'failed-write', text }];
  }
  if (region.behindSearch) {
    const text =
      'out of sync: its recovery has failed, and it is tried again after the next suspend and resume: ' +
      `dmsetup suspend ${name} && dmsetup resume ${name}`;
    return [{ code: 'recovery-failed', text }];
  }
  return [{ code: 'waits-for-recovery', text: 'out of sync: its legs may differ; recovery has not come to it yet' }];
}

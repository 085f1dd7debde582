/**
 * Why a region is as it is, in words: the answer of `lockstep why`. Each reason has a stable name for programs. Pure.
 *
 * A region is clean when no writer may be at work in it, and in sync when its legs are known to be equal; one that is out
 * of sync is never clean.
 */
import type { RegionStatus } from './daemon-status.js';
import type { LogView } from './status-view.js';
import { resyncWaitTexts, waitsText } from './wait-texts.js';

export interface Reason {
  readonly code: string;
  readonly text: string;
}

/** What else is known of a log that several hosts have: who they are, and what waits for whom. */
export type SharedLog = NonNullable<LogView['cluster']>;

/**
 * @param name how the user calls the mirror, for commands that are suggested; @param shared null: no other host has the log;
 * @param node this host's number.
 */
export function reasonsOf(region: RegionStatus, name: string, shared: SharedLog | null, node: number): Reason[] {
  const reasons = [
    ...lifeReasons(region.log, name),
    ...holders(region, shared),
    ...syncReasons(region, name, shared, node),
    ...waitReasons(region, shared),
  ];
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

function holders(region: RegionStatus, shared: SharedLog | null): Reason[] {
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
  if (region.ownedElsewhere) reasons.push(...ownersElsewhere(region, shared));
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

function ownersElsewhere({ owners }: RegionStatus, shared: SharedLog | null): Reason[] {
  if (owners.length === 0) return [{ code: 'foreign-owner', text: 'another node has marked it' }];
  return owners.map((node) => {
    const away = shared?.waitsFor.find((one) => one.node === node)?.why;
    const text = `${nameOf(shared, node)} has marked it${away === undefined ? '' : (awayTexts[away] ?? '')}`;
    return { code: 'foreign-owner', text };
  });
}

const awayTexts: Readonly<Record<string, string>> = {
  lost: '; that host is lost, and its mark stays until it is back or known dead (lockstep fence-confirm)',
  daemon: '; its daemon is away, and its mark stays until that is back',
  needed: '; it is away, and nobody has the log whole without it',
};

function nameOf(shared: SharedLog | null, node: number): string {
  return shared?.members.find((member) => member.node === node)?.name ?? `node ${node}`;
}

/** What holds up whatever is to happen to a region that is not clean. */
function waitReasons(region: RegionStatus, shared: SharedLog | null): Reason[] {
  if (shared === null || region.clean) return [];
  const names = new Map(shared.members.map(({ node, name }) => [node, name]));
  const reasons: Reason[] = [];
  if (shared.waits.length > 0) {
    reasons.push({ code: 'waits', text: `requests of this host wait: ${waitsText(shared.waits, names)}` });
  }
  for (const { node, why } of shared.resyncWaitsFor) {
    const text = resyncWaitTexts[why](node === null ? '' : nameOf(shared, node));
    reasons.push({ code: `resync-waits-${why}`, text: `nothing is recovered: ${text}` });
  }
  return reasons;
}

function syncReasons(region: RegionStatus, name: string, shared: SharedLog | null, node: number): Reason[] {
  if (region.inSync) return [];
  if (region.recovering && region.log.recoveringNode !== node) {
    const who = nameOf(shared, region.log.recoveringNode);
    const text = `out of sync: the kernel of ${who} is copying it now; a write to it from here waits for that`;
    return [{ code: 'recovering-elsewhere', text }];
  }
  if (region.recovering) {
    return [{ code: 'recovering', text: "out of sync: this host's kernel is copying it now" }];
  }
  if (region.ownedElsewhere) {
    const text = 'out of sync: nobody else copies it while a host holds it';
    return [{ code: 'waits-for-owner', text }];
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

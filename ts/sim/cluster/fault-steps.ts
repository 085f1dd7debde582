/** Steps that faults between hosts (faults.ts, unheard.ts) are made of. */
import type { Host } from '../host.js';
import type { SimMirror } from '../mirror.js';
import type { Cluster } from './cluster.js';

/** Until sides that hear each other again have met. */
const meetMsMax = 320;
/** Shorter than a write to the legs. */
const lookMs = 0.2;

/** When what happened last is known to all: rings have no half-way. */
export function mendAfter(host: Host, group: Cluster['group'], ms: number): void {
  host.timeline.after(ms, () => {
    if (!group.split) return;
    if (group.settled) {
      // Sides that meet are at work, or what one says in the moment of it is never said.
      if (host.prng.chance(0.6)) stirAround(host, meetMsMax);
      group.mend();
    } else mendAfter(host, group, 50);
  });
}

/** The host's daemon dies after `inMs`, and the next one is there `downMs` later. */
export function dieFor(host: Host, inMs: number, downMs: number): void {
  host.timeline.after(inMs, () => {
    if (host.healing || host.daemon?.running !== true) return;
    host.restartMs = () => downMs;
    host.daemon.die();
  });
}

/** All users write, each at a moment of its own. */
export function stirAround({ sim, prng, timeline }: Host, withinMs: number): void {
  for (const { workload } of sim.hosts) {
    for (let bursts = 3; bursts > 0; bursts--) timeline.after(prng.real(0, withinMs), () => workload.stir());
  }
}

/** Their users write, burst after burst. */
export function writeOn(hosts: readonly Host[], withinMs: number): void {
  for (const { workload, timeline, prng } of hosts) {
    for (let bursts = prng.between(2, 6); bursts > 0; bursts--) {
      timeline.after(prng.real(0, withinMs), () => workload.stir());
    }
  }
}

/**
 * They write all over a mirror, also where nothing was written for long, and `action` follows with such a write under way to the legs:
 * of its mark nobody else knows who was not with them.
 */
export function inMidWrite(hosts: readonly Host[], { shape, regionCount }: SimMirror, action: () => void): void {
  const [first] = hosts;
  if (first === undefined) return;
  const { prng } = first;
  for (const { workload } of hosts)
    for (let writes = 4; writes > 0; writes--) workload.write(shape.uuid, prng.below(regionCount));
  whenWriting(hosts, shape.uuid, prng.real(2, 300), action);
}

/** As soon as a write of one of them is under way to the legs, and at the latest after `withinMs`. */
function whenWriting(hosts: readonly Host[], uuid: string, withinMs: number, action: () => void): void {
  const [first] = hosts;
  if (first === undefined) return;
  const { timeline } = first;
  const endMs = timeline.nowMs + withinMs;
  const look = () => {
    const writing = hosts.some((host) => (host.liveTruth(uuid)?.open.size ?? 0) > 0);
    if (writing || timeline.nowMs >= endMs) action();
    else timeline.after(lookMs, look);
  };
  look();
}

export function offMs({ prng }: Host): number {
  return prng.pick([prng.real(10, 1000), prng.real(1000, 8000), prng.real(8000, 40_000)]);
}

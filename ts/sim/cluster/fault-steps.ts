/** Steps that faults between hosts (faults.ts, unheard.ts) are made of. */
import type { Host } from '../host.js';
import type { SimMirror } from '../mirror.js';
import type { Cluster } from './cluster.js';

/** Until sides that hear each other again have met. */
const meetMsMax = 320;
/** Shorter than a write to the legs. */
const lookMs = 0.2;
/** Fewer than a mirror lets be under way. */
const writtenMax = 8;

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
export function whenWriting(hosts: readonly Host[], uuid: string, withinMs: number, action: () => void): void {
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

/** A leg fails for a moment, under a write. */
export function failsLeg(host: Host, uuid: string): void {
  const mirror = host.mirrors.get(uuid);
  if (mirror === undefined || host.healing || host.dark || mirror.port.broken || !host.diskWell(mirror)) return;
  inMidWrite([host], mirror, () => {
    if (host.healing || host.dark || mirror.port.broken) return;
    mirror.port.broken = true;
    host.timeline.after(host.prng.real(20, 500), () => {
      mirror.port.broken = false;
    });
  });
}

/**
 * Users write where their kernel has found the legs to differ, and the mirror is suspended while its daemon is away: the kernel recovers
 * nothing any more, and whoever makes those writes wait for a recovery makes the suspend wait.
 */
export function suspendUnheard(host: Host, mirror: SimMirror, withinMs: number): void {
  const { prng, timeline, workload } = host;
  timeline.after(prng.real(20, withinMs), () => {
    const { daemon } = host;
    if (host.healing || daemon?.running !== true || daemon.kill.armed || mirror.busy) return;
    const downMs = prng.real(20, 2000);
    host.restartMs = () => downMs;
    const found = regionsOutOfSync(host, mirror);
    const writeThere = () => {
      for (const region of found) workload.write(mirror.shape.uuid, region);
    };
    writeThere();
    timeline.after(prng.real(0, 3), () => {
      if (host.healing || !daemon.running) return;
      daemon.die();
      // What is asked from here on the next daemon answers.
      writeThere();
      if (mirror.device?.live != null) host.administrator.suspendAndResume(mirror, 0);
    });
  });
}

/** Some of those that are out of sync for its daemon. */
function regionsOutOfSync(host: Host, { shape }: SimMirror): readonly number[] {
  const map = host.liveState(shape.uuid)?.map.inner;
  const regions: number[] = [];
  if (map === undefined) return regions;
  for (
    let region = map.nextOutOfSync(0);
    region >= 0 && regions.length < writtenMax;
    region = map.nextOutOfSync(region + 1)
  )
    regions.push(region);
  return regions;
}

export function offMs({ prng }: Host): number {
  return prng.pick([prng.real(10, 1000), prng.real(1000, 8000), prng.real(8000, 40_000)]);
}

/** A mirror that not all hosts have, where there is one: one without a log device first, which would say what was written. */
export function partlyUsed({ mirrors, sim, prng }: Host): SimMirror {
  const all = [...mirrors.values()];
  const partly = all.filter(({ shape }) => sim.hosts.some((other) => other.mirrors.get(shape.uuid)?.unused === true));
  const core = partly.filter(({ disk }) => disk === null);
  return prng.pick([core, partly].find(({ length }) => length > 0) ?? all);
}

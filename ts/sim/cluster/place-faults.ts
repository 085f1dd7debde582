/** Faults in the moments in which hosts leave a log and come to it: what they know of it by then others have not heard. */
import { MessageType } from '../../mirror/messages.js';
import type { Host } from '../host.js';
import type { SimMirror } from '../mirror.js';
import type { Cluster } from './cluster.js';
import { dieFor, failsLeg, mendAfter, partlyUsed, writeOn } from './fault-steps.js';
import { stopService } from './service-faults.js';

/** The messages come within this time, or another fault may wait for its own. */
const withinMs = 60_000;
/** Users who are asked to end do so within this time, as a rule. */
const endsMsMax = 2000;

/**
 * A host is away while a leg fails under the others. They leave the mirror, and the daemon of the last one is killed as it says so: nobody
 * has heard what it knows when the first one is back.
 */
export function leaverUnheard(host: Host, cluster: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const { group } = cluster;
  const mirror = prng.pick([...host.mirrors.values()]);
  const { uuid } = mirror.shape;
  const others = sim.hosts.filter((other) => other !== host && other.mirrors.get(uuid)?.device?.live != null);
  if (cluster.whenSubmitted !== null || mirror.device?.live == null || others.length === 0) return false;
  if (!group.settled || group.split || !group.serviceUp(host.node)) return false;
  const awayMs = prng.real(1000, 20_000);
  const what = prng.below(3);
  if (what === 0) stopService(host, group);
  else if (what === 1) dieFor(host, 0, awayMs);
  else {
    group.partition([[host.node], sim.hosts.filter((other) => other !== host).map(({ node }) => node)]);
    mendAfter(host, group, awayMs);
  }
  writeOn(others, 300);
  const victim = prng.pick(others);
  timeline.after(prng.real(100, 400), () => failsLeg(victim, uuid));
  for (const other of others) timeline.after(prng.real(400, 3000), () => leaves(other, uuid, awayMs));
  const untilMs = host.nowMs + withinMs;
  let left = 0;
  cluster.whenSubmitted = (by, { type, uuid: of, flag }) => {
    if (host.nowMs > untilMs) return true;
    if (of !== uuid || type !== MessageType.leave || (flag & 1) === 1 || !others.includes(by)) return false;
    left += 1;
    if (left < others.length) return false;
    dieFor(by, prng.real(0, 2), prng.pick([prng.real(1, 100), prng.real(100, 2 * awayMs)]));
    return true;
  };
  return true;
}

/** For so long, or for a moment. */
function leaves({ mirrors, administrator, healing, dark, prng }: Host, uuid: string, ms: number): void {
  const mirror = mirrors.get(uuid);
  if (mirror === undefined || healing || dark || mirror.busy || mirror.device?.live == null) return;
  if (prng.chance(0.5)) administrator.suspendAndResume(mirror, prng.real(0, ms));
  else administrator.recreate(mirror, prng.real(0, ms));
}

/**
 * All who have a mirror take it anew. As the first of them joins, which may take long, the cluster service of another one ends: it does not
 * hear that the first one has begun. Then that one is cut off, with its kernel at work, and the other one is back where the rest is, whose
 * daemons may know nothing of it either.
 */
export function joinerUnheard(host: Host, cluster: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const { group } = cluster;
  const { uuid } = partlyUsed(host).shape;
  const users = sim.hosts.filter((other) => other.mirrors.get(uuid)?.device?.live != null);
  if (cluster.whenSubmitted !== null || users.length < 2 || users.some((user) => isBusy(user, uuid))) return false;
  if (!group.settled || group.split) return false;
  for (const user of users) {
    // Whoever has left last is not there any more when the first one comes.
    const goneMs = endsMsMax + prng.real(0, 100);
    user.administrator.recreate(user.mirrors.get(uuid) as SimMirror, goneMs);
  }
  const thirds = sim.hosts.filter((other) => !users.includes(other));
  if (prng.chance(0.8)) for (const third of thirds) dieFor(third, 0, prng.real(endsMsMax, 20_000));
  const untilMs = host.nowMs + withinMs;
  cluster.whenSubmitted = (by, { type, uuid: of }) => {
    if (host.nowMs > untilMs) return true;
    if (of !== uuid || type !== MessageType.join) return false;
    const disk = by.mirrors.get(uuid)?.disk;
    if (disk) disk.stalledUntilMs = host.nowMs + prng.real(5, 1000);
    const unheard = prng.pick(users.filter((user) => user !== by));
    timeline.after(prng.real(0, 10), () => endsAtJoin(unheard, by, cluster));
    return true;
  };
  return true;
}

function endsAtJoin(unheard: Host, begins: Host, { group }: Cluster): void {
  const { prng, timeline, sim, bootId } = unheard;
  if (unheard.healing || unheard.dark || !group.serviceUp(unheard.node)) return;
  group.stopService(unheard.node);
  const workMs = prng.real(300, 4000);
  timeline.after(workMs + prng.real(0, 500), () => {
    if (!unheard.dark && unheard.bootId === bootId) group.startService(unheard.node);
  });
  writeOn([begins], workMs);
  timeline.after(workMs, () => {
    if (unheard.healing || group.split || !group.settled) return;
    const rest = sim.hosts.filter((other) => other !== begins).map(({ node }) => node);
    group.partition([[begins.node], rest]);
    const awayMs = prng.real(1000, 20_000);
    writeOn([begins, unheard], awayMs);
    mendAfter(unheard, group, awayMs);
    timeline.after(prng.real(0, awayMs), () => {
      if (!unheard.healing && !begins.dark && prng.chance(0.5)) begins.powerCut(awayMs);
    });
  });
}

function isBusy({ dark, mirrors }: Host, uuid: string): boolean {
  return dark || mirrors.get(uuid)?.busy === true;
}

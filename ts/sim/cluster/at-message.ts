/** A fault in the moment in which somebody says one of the rarer things: what the others then have of it, and what he does, is open. */
import { MessageType } from '../../mirror/messages.js';
import type { Host } from '../host.js';
import type { Cluster } from './cluster.js';
import { dieFor, mendAfter, offMs, writeOn } from './fault-steps.js';
import { stopService } from './service-faults.js';

/** By how many rules hang on the order of each with the others. */
const weights: readonly (readonly [type: MessageType, weight: number])[] = [
  [MessageType.release, 1],
  [MessageType.inSync, 1],
  [MessageType.assign, 1],
  [MessageType.join, 1],
  [MessageType.halt, 1],
  [MessageType.leave, 2],
  [MessageType.ready, 2],
  [MessageType.want, 1],
  [MessageType.chunk, 1],
  [MessageType.durable, 1],
  [MessageType.unknownDirty, 1],
  [MessageType.logState, 1],
  [MessageType.dead, 2],
  [MessageType.quorum, 3],
  [MessageType.report, 3],
  [MessageType.retired, 2],
];
const types = weights.flatMap(([type, weight]) => Array.from({ length: weight }, () => type));
const names = new Map(Object.entries(MessageType).map(([name, type]) => [type, name]));

/** The message comes within this time, or another fault may wait for its own. */
const withinMs = 60_000;

/** Whoever says it next is cut off, or dies, or its daemon does, or its service dies or stands still, or it hears late. */
export function cutAtMessage(host: Host, cluster: Cluster): boolean {
  const { prng, timeline } = host;
  if (cluster.whenSubmitted !== null) return false;
  const wanted = prng.pick(types);
  const untilMs = host.nowMs + withinMs;
  cluster.whenSubmitted = (by, { type }) => {
    if (host.nowMs > untilMs) return true;
    if (type !== wanted) return false;
    timeline.after(prng.real(0, 2), () => {
      if (!host.healing && !by.dark && disturb(by, cluster)) host.count(`disturbed at ${names.get(wanted)}`);
    });
    return true;
  };
  leadTo(prng.pick(host.sim.hosts));
  return true;
}

/** What makes members say the rarer things, or nothing but what goes on anyway. */
function leadTo(host: Host): void {
  const { prng, administrator } = host;
  const what = prng.below(5);
  if (what === 0) dieFor(host, prng.real(0, 200), prng.real(1, 3000));
  else if (what === 1) {
    const mirror = prng.pick([...host.mirrors.values()]);
    if (!host.dark && !mirror.busy && mirror.device?.live != null) administrator.recreate(mirror);
  } else if (what === 2 && !host.dark) host.powerCut(offMs(host));
}

function disturb(by: Host, { group }: Cluster): boolean {
  const { prng, daemon } = by;
  const what = prng.below(8);
  if (what < 3) return cutOffWithSome(by, group);
  if (what === 3) {
    if (!group.settled || group.split) return false;
    group.pause(by.node);
    by.timeline.after(prng.real(20, 8000), () => group.resume(by.node));
  } else if (what === 4) by.powerCut(offMs(by));
  else if (what === 5) {
    if (daemon?.running !== true) return false;
    const downMs = prng.pick([prng.real(1, 100), prng.real(100, 8000)]);
    by.restartMs = () => downMs;
    daemon.die();
  } else if (what === 6) {
    if (!group.serviceUp(by.node)) return false;
    stopService(by, group);
  } else group.slow(by.node, prng.real(20, 4000));
  return true;
}

/** It, and perhaps some of the others: on whichever side quorum is. */
function cutOffWithSome(by: Host, group: Cluster['group']): boolean {
  const { prng, sim } = by;
  if (!group.settled || group.split) return false;
  const side = sim.hosts.filter((other) => other === by || prng.chance(0.3));
  const rest = sim.hosts.filter((other) => !side.includes(other));
  if (rest.length === 0) return false;
  group.partition([side.map(({ node }) => node), rest.map(({ node }) => node)]);
  const awayMs = prng.pick([prng.real(300, 3000), prng.real(3000, 20_000)]);
  writeOn(sim.hosts, awayMs);
  mendAfter(by, group, awayMs);
  return true;
}

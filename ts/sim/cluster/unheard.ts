/** Faults in which one side does what the other never hears of, and is not there to say so when that goes on. */
import { MessageType } from '../../mirror/messages.js';
import type { Host } from '../host.js';
import type { SimMirror } from '../mirror.js';
import type { Cluster } from './cluster.js';
import {
  dieFor,
  failsLeg,
  inMidWrite,
  mendAfter,
  offMs,
  partlyUsed,
  suspendUnheard,
  whenWriting,
  writeOn,
} from './fault-steps.js';

/** Until all know who has quorum. */
const heardMs = 120;
/** Sides that hear each other again say what they know within this time, or another fault may wait for its own message. */
const meetMsMax = 10_000;
/** The others have heard by then what each of them knows. */
const unheardMs = 50;

/**
 * Whoever wrote a log device last is cut off in the moment in which it releases regions: it may clean them on the device, and nobody
 * else has heard of that. The others write the very same regions while it is away. Then it comes back, as it was.
 */
export function writerCleansUnheard(host: Host, cluster: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const { group } = cluster;
  const mirrors = [...host.mirrors.values()].filter(({ disk }) => disk !== null);
  if (mirrors.length === 0 || cluster.whenSubmitted !== null || !group.settled || group.split) return false;
  const { disk, shape } = prng.pick(mirrors);
  const writer = sim.hosts.find(({ node }) => node === disk?.lastWriter);
  if (writer === undefined || writer.dark) return false;
  const others = sim.hosts.filter((other) => other !== writer);
  const cutOff = (regions: readonly number[]) => {
    if (host.healing || group.split || !group.settled || writer.dark) return;
    group.partition([[writer.node], others.map(({ node }) => node)]);
    // What it has to write takes the release along.
    for (let bursts = 2; bursts > 0; bursts--) timeline.after(prng.real(0, 100), () => writer.workload.stir());
    const awayMs = prng.real(800, 8000);
    mendAfter(host, group, awayMs);
    for (const { workload } of others) {
      for (let writes = 4; writes > 0; writes--)
        timeline.after(prng.real(0, awayMs), () => workload.write(shape.uuid, prng.pick(regions)));
    }
  };
  cluster.whenSubmitted = (by, { type, uuid, regions, count }) => {
    if (by !== writer || uuid !== shape.uuid || type !== MessageType.release) return false;
    const released = [...regions.subarray(0, count)];
    timeline.after(prng.real(0, 1), () => cutOff(released));
    return true;
  };
  writer.workload.stir();
  return true;
}

/**
 * A host is cut off in the moment in which it is given a region to recover, and its copy takes long: others may not have heard of it, and
 * recover, too.
 */
export function recovererUnheard(host: Host, cluster: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const { group } = cluster;
  if (cluster.whenSubmitted !== null || !group.settled || group.split) return false;
  const mirror = outOfSync(host);
  if (mirror === undefined) return false;
  const { uuid } = mirror.shape;
  const cutOff = (by: Host) => {
    const port = by.mirrors.get(uuid)?.port;
    if (host.healing || group.split || !group.settled || by.dark || port === undefined) return;
    const longMs = prng.real(500, 8000);
    port.hungUntilMs = host.nowMs + longMs;
    group.partition([[by.node], sim.hosts.filter((other) => other !== by).map(({ node }) => node)]);
    mendAfter(host, group, longMs * prng.real(0.5, 1.5));
    writeOn(sim.hosts, longMs);
    // One side may begin again before they meet.
    if (prng.chance(0.5)) dieFor(prng.pick(sim.hosts), prng.real(0, longMs), prng.real(1, 3000));
  };
  whenAssigned(cluster, uuid, (by) => void timeline.after(prng.real(0, 1), () => cutOff(by)));
  return true;
}

/**
 * A leg fails under a host that recovers what another has left behind: its kernel finds out of sync what is not in sync anyway, nobody
 * else recovers it (R10), and users write there.
 */
export function recoveryFails(host: Host, cluster: Cluster): boolean {
  const { prng, timeline, sim } = host;
  if (cluster.whenSubmitted !== null) return false;
  const mirror = outOfSync(host) ?? prng.pick([...host.mirrors.values()]);
  const { uuid } = mirror.shape;
  const other = prng.pick(sim.hosts.filter((one) => one !== host));
  if (outOfSync(host) === undefined)
    inMidWrite([other], mirror, () => {
      if (!host.healing && !other.dark) other.powerCut(offMs(other));
    });
  const fail = (by: Host) => {
    const its = by.mirrors.get(uuid);
    if (host.healing || by.dark || its === undefined || its.port.broken || !by.diskWell(its)) return;
    const brokenMs = prng.real(20, 4000);
    its.port.broken = true;
    timeline.after(brokenMs, () => {
      its.port.broken = false;
    });
    suspendUnheard(by, its, brokenMs + 200);
  };
  whenAssigned(cluster, uuid, fail);
  return true;
}

/**
 * Who has recovered a region says so, and loses its cluster service before it hears that itself. The others have the region in sync, write
 * there, and one of them dies in the middle. Then the first one is back, and may say it again.
 */
export function reportUnheard(host: Host, cluster: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const { group } = cluster;
  if (cluster.whenSubmitted !== null || sim.hosts.length < 3) return false;
  const act = (by: Host, mirror: SimMirror, region: number) => {
    if (host.healing || by.dark || !group.serviceUp(by.node)) return;
    group.stopService(by.node);
    const { bootId } = by;
    timeline.after(prng.real(500, 6000), () => {
      if (!by.dark && by.bootId === bootId) group.startService(by.node);
    });
    const others = sim.hosts.filter((other) => other !== by);
    for (let writes = 8; writes > 0; writes--)
      timeline.after(prng.real(0, 3000), () => prng.pick(others).workload.write(mirror.shape.uuid, region));
    const victim = prng.pick(others);
    whenWriting([victim], mirror.shape.uuid, prng.real(100, 4000), () => {
      if (!host.healing && !victim.dark) victim.powerCut(offMs(victim));
    });
  };
  cluster.whenSubmitted = (by, { type, flag, uuid, regions }) => {
    const mirror = by.mirrors.get(uuid);
    const region = regions[0];
    if (type !== MessageType.inSync || flag !== 1 || mirror === undefined || region === undefined) return false;
    // Its daemon does not come to hear anything before the service is gone.
    group.slow(by.node, 50);
    timeline.after(prng.real(1, 5), () => act(by, mirror, region));
    return true;
  };
  return true;
}

/**
 * Sides go on without each other, where each may have quorum, and a leg fails under one of them. They meet, and the daemon of another
 * one says what it knows and ends before it hears the rest: it may be the one whose copy counts from then on. The host
 * under which the leg has failed may die then, too.
 */
export function meetingUnheard(host: Host, cluster: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const { group } = cluster;
  const mirror = partlyUsed(host);
  const { uuid } = mirror.shape;
  const users = sim.hosts.filter((other) => other.mirrors.get(uuid)?.device?.live != null);
  if (cluster.whenSubmitted !== null || users.length < 2 || !group.settled || group.split) return false;
  const alone = prng.pick(users);
  const others = sim.hosts.filter((other) => other !== alone);
  group.partition([[alone.node], others.map(({ node }) => node)]);
  const awayMs = prng.real(1500, 8000);
  mendAfter(host, group, awayMs);
  writeOn(sim.hosts, awayMs);
  const victim = prng.pick(users);
  const ends = prng.pick(users.filter((user) => user !== victim));
  // Before it is recovered.
  timeline.after(awayMs - prng.real(0, 600), () => failsLeg(victim, uuid));
  const endMs = host.nowMs + awayMs + meetMsMax;
  cluster.whenSubmitted = (by, { type }) => {
    if (host.nowMs > endMs) return true;
    if (by !== ends || type !== MessageType.report || group.split) return false;
    group.slow(ends.node, unheardMs);
    dieFor(ends, prng.real(0, unheardMs), prng.pick([prng.real(1, 100), prng.real(1000, 8000)]));
    // What its kernel has marked it says anew as long as it lives.
    timeline.after(prng.real(unheardMs, 500), () => {
      if (!host.healing && !victim.dark && prng.chance(0.7))
        victim.powerCut(prng.pick([prng.real(10, 1000), offMs(victim)]));
    });
    return true;
  };
  return true;
}

/** One of its mirrors, some of whose regions are out of sync. */
function outOfSync(host: Host): SimMirror | undefined {
  return [...host.mirrors.values()].find(({ shape }) => {
    const map = host.liveState(shape.uuid)?.map.inner;
    return map !== undefined && map.syncCount < map.regionCount;
  });
}

/** The next time that somebody is given a region of the log to recover, in the moment of its being said. */
function whenAssigned(cluster: Cluster, uuid: string, action: (by: Host) => void): void {
  cluster.whenSubmitted = (by, { type, flag, uuid: of }) => {
    if (of !== uuid || type !== MessageType.assign || flag === 1) return false;
    action(by);
    return true;
  };
}

/**
 * Who wrote a log device last is cut off from others that work. Some of these are booted anew and hear it then, and the rest no more: by that
 * it has quorum, and writes where the rest had marked. It dies in the middle of that, and all who are left hear each other.
 */
export function quorumGoesOver(host: Host, { group }: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const logged = [...host.mirrors.values()].filter(({ disk }) => disk !== null);
  if (logged.length === 0 || !group.settled || group.split || sim.hosts.some(({ dark }) => dark)) return false;
  const mirror = prng.pick(logged);
  const writer = sim.hosts.find(({ node }) => node === mirror.disk?.lastWriter) ?? host;
  const others = sim.hosts.filter((other) => other !== writer);
  const uses = (other: Host) => (other.mirrors.get(mirror.shape.uuid)?.unused === true ? 0 : 1);
  const ordered = [...others].sort((a, b) => uses(a) - uses(b));
  const votes = Math.floor(sim.hosts.length / 2);
  const [goOver, rest] = [ordered.slice(0, votes), ordered.slice(votes)];
  const nodesOf = (hosts: readonly Host[]) => hosts.map(({ node }) => node);
  const { uuid } = mirror.shape;
  const regions = [0, 1, 2, 3].map(() => prng.below(mirror.regionCount));
  const write = (hosts: readonly Host[]) => {
    for (const { workload } of hosts) for (const region of regions) workload.write(uuid, region);
  };
  const writeMs = prng.real(2500, 9000);
  const dies = () => {
    if (host.healing || writer.dark) return;
    writer.powerCut(offMs(writer));
    mendAfter(host, group, prng.real(50, 3000));
  };
  const goes = () => {
    if (host.healing || !group.split) return;
    if (!group.settled) {
      timeline.after(heardMs, goes);
      return;
    }
    for (const other of goOver) if (!other.dark) other.powerCut(prng.real(100, 1000));
    group.partition([nodesOf([writer, ...goOver]), nodesOf(rest)]);
    timeline.after(writeMs, () => {
      write([writer]);
      whenWriting([writer], uuid, prng.real(2, 300), dies);
    });
  };
  write(rest);
  whenWriting(rest, uuid, prng.real(2, 300), () => {
    if (host.healing || group.split || !group.settled) return;
    group.partition([[writer.node], nodesOf(others)]);
    writeOn(rest, 500);
    timeline.after(prng.real(500, 2000), goes);
    mendAfter(host, group, writeMs + prng.real(5000, 20_000));
  });
  return true;
}

/**
 * A host is cut off while the others write. Then some of those hear it, and the rest no more; the rest die in the middle of their work,
 * or do not. Where some do not have the mirror it is they: of what was written nobody else on that side knows.
 */
export function thirdChangesSides(host: Host, { group }: Cluster): boolean {
  const { prng, timeline, sim } = host;
  if (!group.settled || group.split) return false;
  const mirror = partlyUsed(host);
  const unused = sim.hosts.filter(({ mirrors }) => mirrors.get(mirror.shape.uuid)?.unused === true);
  const alone = unused.includes(host) ? prng.pick(sim.hosts.filter((other) => !unused.includes(other))) : host;
  const others = sim.hosts.filter((other) => other !== alone);
  const thirds = unused.length > 0 ? unused : [prng.pick(others)];
  const rest = others.filter((other) => !thirds.includes(other));
  group.partition([[alone.node], others.map(({ node }) => node)]);
  const withinMs = prng.real(500, 8000);
  writeOn(others, withinMs);
  const dies = prng.chance(0.7);
  const change = () => {
    if (host.healing || !group.split) return;
    if (!group.settled) {
      timeline.after(heardMs, change);
      return;
    }
    inMidWrite(rest, mirror, () => {
      if (host.healing || !group.split || !group.settled) return;
      group.partition([[alone, ...thirds].map(({ node }) => node), rest.map(({ node }) => node)]);
      if (dies) for (const other of rest) if (!other.dark) other.powerCut(offMs(other));
    });
  };
  timeline.after(withinMs, change);
  mendAfter(host, group, withinMs + prng.real(4000, 30_000));
  return true;
}

/**
 * A host loses the others and a leg with them, as when its network fails: what it has under way to that leg hangs, and has failed by the
 * time it hears them again. Its daemon dies in between, when a FLUSH may have failed for want of quorum: a kernel that was told so does not
 * say which writes failed.
 */
export function losesLegAndQuorum(host: Host, { group }: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const mirror = prng.pick([...host.mirrors.values()]);
  const { port } = mirror;
  if (host.dark || mirror.busy || port.broken || !group.settled || group.split || !host.diskWell(mirror)) return false;
  const hungMs = prng.real(500, 8000);
  port.broken = true;
  port.hungUntilMs = host.nowMs + hungMs;
  timeline.after(hungMs + prng.real(10, 500), () => {
    port.broken = false;
  });
  inMidWrite([host], mirror, () => {
    if (host.healing || group.split || !group.settled || host.dark) return;
    group.partition([[host.node], sim.hosts.filter((other) => other !== host).map(({ node }) => node)]);
    mendAfter(host, group, hungMs + prng.real(100, 8000));
    writeOn(sim.hosts, hungMs);
    dieFor(host, prng.real(0, 1.2 * hungMs), prng.real(1, 500));
  });
  return true;
}

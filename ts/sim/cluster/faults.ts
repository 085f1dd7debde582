/** What goes wrong between hosts; what goes wrong on one of them is in ../faults.ts. Each ends by itself. */
import type { FaultKind } from '../faults.js';
import type { Host } from '../host.js';
import { cutAtMessage } from './at-message.js';
import type { Cluster } from './cluster.js';
import { inMidWrite, mendAfter, offMs, stirAround, writeOn } from './fault-steps.js';
import { joinerUnheard, leaverUnheard } from './place-faults.js';
import { bothDie, serviceDies, standsStill, stopService } from './service-faults.js';
import {
  losesLegAndQuorum,
  meetingUnheard,
  quorumGoesOver,
  recovererUnheard,
  recoveryFails,
  reportUnheard,
  thirdChangesSides,
  writerCleansUnheard,
} from './unheard.js';

interface ClusterFaultKind extends Omit<FaultKind, 'apply'> {
  /** Hosts that it takes; 2 where nothing stands. */
  readonly hostsMin?: number;
  readonly apply: (host: Host, cluster: Cluster) => boolean;
}

export const clusterFaultKinds: readonly ClusterFaultKind[] = [
  { name: 'node-dies', weight: 10, apply: nodeDies },
  { name: 'node-dies-writing', weight: 10, apply: nodeDiesWriting },
  { name: 'daemon-dies-writing', weight: 6, apply: daemonDies },
  { name: 'service-dies', weight: 8, apply: serviceDies },
  { name: 'service-and-daemon-die', weight: 4, apply: bothDie },
  { name: 'partition', weight: 10, apply: partition },
  { name: 'node-cut-off', weight: 8, apply: cutOff },
  { name: 'partition-and-death', weight: 6, apply: partitionAndDeath },
  { name: 'member-late', weight: 6, apply: memberLate },
  { name: 'join-disturbed', weight: 8, apply: joinDisturbed },
  { name: 'all-nodes-die', weight: 5, apply: allDie },
  { name: 'all-daemons-die', weight: 4, apply: allDaemonsDie },
  { name: 'writer-dies', weight: 8, apply: writerDies },
  { name: 'writer-lost', weight: 8, apply: writerLost },
  { name: 'left-behind', weight: 10, apply: leftBehind },
  { name: 'sides-change', weight: 8, hostsMin: 3, apply: sidesChange },
  { name: 'third-changes-sides', weight: 14, hostsMin: 3, apply: thirdChangesSides },
  { name: 'quorum-goes-over', weight: 16, hostsMin: 3, apply: quorumGoesOver },
  { name: 'writer-cleans-unheard', weight: 14, apply: writerCleansUnheard },
  { name: 'recoverer-unheard', weight: 6, apply: recovererUnheard },
  { name: 'recovery-fails', weight: 6, apply: recoveryFails },
  { name: 'report-unheard', weight: 6, hostsMin: 3, apply: reportUnheard },
  { name: 'leg-and-quorum-lost', weight: 6, apply: losesLegAndQuorum },
  { name: 'service-stands-still', weight: 8, apply: standsStill },
  { name: 'cut-at-a-message', weight: 8, apply: cutAtMessage },
  { name: 'leaver-unheard', weight: 8, apply: leaverUnheard },
  { name: 'joiner-unheard', weight: 6, apply: joinerUnheard },
  { name: 'meeting-unheard', weight: 10, apply: meetingUnheard },
];

/** Until those who died are back. */
const slowReadsMs = 50_000;

const weightSum = clusterFaultKinds.reduce((sum, kind) => sum + kind.weight, 0);

/** Fewer hosts than this never meet it. */
export function hostsMinOf({ hostsMin }: ClusterFaultKind): number {
  return hostsMin ?? 2;
}

export function applyClusterFault(host: Host, cluster: Cluster): string | null {
  for (let attempt = 0; attempt < 8; attempt++) {
    const kind = draw(host);
    if (host.sim.hosts.length < hostsMinOf(kind) || !kind.apply(host, cluster)) continue;
    host.count(`fault ${kind.name}`);
    host.note('fault', [kind.name.length], () => `${kind.name}, from ${host.name}`);
    return kind.name;
  }
  return null;
}

function draw({ prng }: Host): ClusterFaultKind {
  let left = prng.real(0, weightSum);
  for (const kind of clusterFaultKinds) {
    left -= kind.weight;
    if (left < 0) return kind;
  }
  return clusterFaultKinds[0] as ClusterFaultKind;
}

function nodeDies(host: Host): boolean {
  if (host.dark) return false;
  host.powerCut(offMs(host));
  return true;
}

/** Right behind the requests of a burst: writes are under way, messages on their way. */
function nodeDiesWriting(host: Host): boolean {
  if (host.dark) return false;
  host.workload.stir();
  host.timeline.after(host.prng.real(0, 8), () => {
    if (!host.healing && !host.dark) host.powerCut(offMs(host));
  });
  return true;
}

function daemonDies(host: Host): boolean {
  const { daemon, prng } = host;
  if (daemon?.running !== true || daemon.kill.armed) return false;
  const down = prng.pick([prng.real(1, 100), prng.real(100, 5000), prng.real(5000, 40_000)]);
  host.restartMs = () => down;
  host.workload.stir();
  daemon.kill.arm(prng.between(1, 40));
  return true;
}

function partition(host: Host, { group }: Cluster): boolean {
  if (!group.settled || group.split) return false;
  const sides: number[][] = [[], []];
  if (host.prng.chance(0.15)) sides.push([]);
  for (const { node } of host.sim.hosts) host.prng.pick(sides).push(node);
  if (sides.filter((side) => side.length > 0).length < 2) return false;
  splitFor(host, group, sides);
  return true;
}

function cutOff(host: Host, { group }: Cluster): boolean {
  if (!group.settled || group.split) return false;
  const others = host.sim.hosts.filter((other) => other !== host).map(({ node }) => node);
  splitFor(host, group, [[host.node], others]);
  return true;
}

function splitFor(host: Host, group: Cluster['group'], sides: readonly (readonly number[])[]): void {
  const { prng, timeline } = host;
  if (prng.chance(0.7)) for (const other of host.sim.hosts) other.workload.stir();
  timeline.after(prng.real(0, 10), () => {
    if (host.healing || group.split) return;
    group.partition(sides);
    mendAfter(host, group, prng.pick([prng.real(10, 3000), prng.real(3000, 40_000)]));
  });
}

function partitionAndDeath(host: Host, cluster: Cluster): boolean {
  if (!partition(host, cluster)) return false;
  const victim = host.prng.pick(host.sim.hosts);
  host.timeline.after(host.prng.real(0, 9000), () => {
    if (!host.healing && !victim.dark) victim.powerCut(offMs(victim));
  });
  return true;
}

function memberLate(host: Host, { group }: Cluster): boolean {
  if (!group.serviceUp(host.node)) return false;
  group.slow(host.node, host.prng.real(20, 4000));
  for (const other of host.sim.hosts) other.workload.stir();
  return true;
}

/** A host takes the log anew, and while it does somebody dies or writes. */
function joinDisturbed(host: Host, { group }: Cluster): boolean {
  const { prng, timeline } = host;
  const mirror = prng.pick([...host.mirrors.values()]);
  if (host.dark || mirror.busy || mirror.device?.live == null) return false;
  if (!host.administrator.recreate(mirror)) return false;
  const victim = prng.pick(host.sim.hosts);
  for (const other of host.sim.hosts)
    if (other !== host) timeline.after(prng.real(0, 300), () => other.workload.stir());
  timeline.after(prng.real(5, 400), () => {
    if (host.healing || victim.dark) return;
    const what = prng.below(4);
    if (what === 0) victim.powerCut(offMs(victim));
    else if (what === 1) victim.daemon?.die();
    else if (what === 2 && group.serviceUp(victim.node)) stopService(victim, group);
    else group.slow(victim.node, prng.real(10, 1500));
  });
  return true;
}

function allDie(host: Host): boolean {
  const offAtMs = host.prng.real(0, 3);
  for (const other of host.sim.hosts) {
    host.timeline.after(host.prng.chance(0.5) ? offAtMs : host.prng.real(0, 50), () => {
      if (!other.healing && !other.dark) other.powerCut(offMs(other));
    });
  }
  // A disk is as good as new behind a cut.
  if (host.prng.chance(0.5)) host.timeline.after(51, () => void (!host.healing && breakPaths(host)));
  return true;
}

/** None of the log devices can be read on this host, also when it is the first that comes back. */
function breakPaths(host: Host): void {
  const { prng, timeline, mirrors } = host;
  const endsMs = prng.real(10_000, 100_000);
  for (const { disk } of mirrors.values()) {
    if (disk === null || disk.fault !== null) continue;
    const failing = { errno: 5, reads: true, writes: false, opens: prng.chance(0.5), node: host.node };
    const set = { ...failing, operationsLeft: Number.POSITIVE_INFINITY };
    disk.fault = set;
    timeline.after(endsMs, () => {
      if (disk.fault === set) disk.fault = null;
    });
  }
}

/** The kernels go on, and what they hold is in their hosts' records alone. */
function allDaemonsDie(host: Host): boolean {
  const { prng, timeline, sim } = host;
  const offAtMs = prng.real(0, 5);
  for (const other of sim.hosts) {
    other.workload.stir();
    timeline.after(prng.chance(0.5) ? offAtMs : prng.real(0, 30), () => {
      if (host.healing || other.daemon?.running !== true) return;
      const downMs = prng.pick([prng.real(1, 300), prng.real(300, 20_000)]);
      other.restartMs = () => downMs;
      other.daemon.die();
    });
  }
  return true;
}

/** Whoever wrote a log device last dies, with the device slow. */
function writerDies(host: Host, { group }: Cluster): boolean {
  const { prng, timeline } = host;
  const disks = [...host.mirrors.values()].flatMap(({ disk }) => disk ?? []);
  if (disks.length === 0) return false;
  const disk = prng.pick(disks);
  const writer = host.sim.hosts.find(({ node }) => node === disk.lastWriter);
  if (writer === undefined || writer.dark) return false;
  if (prng.chance(0.5)) disk.stalledUntilMs = host.nowMs + prng.real(5, 2000);
  for (const other of host.sim.hosts) other.workload.stir();
  timeline.after(prng.real(0.2, 20), () => {
    if (host.healing || writer.dark) return;
    const what = prng.below(5);
    if (what < 2) writer.powerCut(offMs(writer));
    else if (what < 4) writer.daemon?.die();
    else if (group.serviceUp(writer.node)) stopService(writer, group);
  });
  return true;
}

/**
 * Whoever wrote a log device last is cut off in the middle of its work, and dies after a while, or does not: what it said last nobody
 * has, and what it does with its device meanwhile nobody knows.
 */
function writerLost(host: Host, { group }: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const disks = [...host.mirrors.values()].flatMap(({ disk }) => disk ?? []);
  if (disks.length === 0 || !group.settled || group.split) return false;
  const disk = prng.pick(disks);
  const writer = sim.hosts.find(({ node }) => node === disk.lastWriter);
  if (writer === undefined || writer.dark) return false;
  const others = sim.hosts.filter((other) => other !== writer);
  // What it has begun to write may be under way for longer than it is away.
  if (prng.chance(0.4)) disk.stalledUntilMs = host.nowMs + prng.real(300, 6000);
  stirAround(host, 100);
  timeline.after(prng.real(1, 200), () => {
    if (host.healing || group.split || !group.settled) return;
    group.partition([[writer.node], others.map(({ node }) => node)]);
    mendAfter(host, group, prng.pick([prng.real(300, 3000), prng.real(3000, 20_000)]));
    const untilMs = prng.real(50, 4000);
    writeOn(others, untilMs);
    if (prng.chance(0.4)) return;
    timeline.after(untilMs, () => {
      if (!host.healing && !writer.dark) writer.powerCut(offMs(writer));
    });
  });
  return true;
}

/** A host is away while the others write, and comes back when all of them have died: nobody has what they did. */
function leftBehind(host: Host, { group }: Cluster): boolean {
  const { prng, timeline, sim, daemon } = host;
  if (host.dark || daemon?.running !== true || daemon.kill.armed || !group.serviceUp(host.node)) return false;
  const awayMs = prng.pick([prng.real(300, 3000), prng.real(3000, 20_000)]);
  const others = sim.hosts.filter((other) => other !== host);
  const cuts = group.settled && !group.split && prng.chance(0.3);
  if (cuts) {
    group.partition([[host.node], others.map(({ node }) => node)]);
    mendAfter(host, group, awayMs);
  } else {
    host.restartMs = () => awayMs;
    daemon.die();
  }
  const untilMs = awayMs * prng.real(0.2, 1.1);
  writeOn(others, untilMs);
  timeline.after(untilMs, () => {
    if (host.healing) return;
    // In the middle of writes that nobody else knows of.
    const lateMsMax = prng.pick([0, 8]);
    const mirror = prng.pick([...host.mirrors.values()]);
    // Who was away may be long in finding out what only the log device knows, and others come meanwhile.
    if (mirror.disk !== null && prng.chance(0.5)) mirror.disk.slowReadsUntilMs = host.nowMs + slowReadsMs;
    inMidWrite(others, mirror, () => {
      for (const other of others) {
        timeline.after(prng.real(0, lateMsMax), () => {
          if (!other.healing && !other.dark) other.powerCut(offMs(other));
        });
      }
    });
  });
  return true;
}

/**
 * A host is cut off while the others write. Then one of them dies, comes back, and hears the one that was cut off, and neither of
 * them hears the rest, who alone know what was written and may die with it. Or its daemon dies alone, and it only counts for the quorum.
 */
function sidesChange(host: Host, { group }: Cluster): boolean {
  const { prng, timeline, sim } = host;
  const others = sim.hosts.filter((other) => other !== host);
  if (!group.settled || group.split) return false;
  group.partition([[host.node], others.map(({ node }) => node)]);
  const withinMs = prng.real(500, 8000);
  writeOn(others, withinMs);
  const back = prng.pick(others);
  const change = () => {
    if (host.healing || !group.split) return;
    if (!group.settled) {
      timeline.after(50, change);
      return;
    }
    for (const other of others) other.workload.stir();
    const rest = others.filter((other) => other !== back).map(({ node }) => node);
    timeline.after(prng.real(0, 8), () => {
      if (host.healing || !group.split || !group.settled) return;
      if (prng.chance(0.4)) daemonGoes(back, prng.real(2000, 20_000));
      else if (!back.dark) back.powerCut(prng.real(100, 4000));
      if (prng.chance(0.4)) for (const other of others) if (other !== back && !other.dark) other.powerCut(offMs(other));
      group.partition([[host.node, back.node], rest]);
    });
  };
  timeline.after(withinMs, change);
  mendAfter(host, group, withinMs + prng.real(4000, 30_000));
  return true;
}

function daemonGoes(host: Host, downMs: number): void {
  if (host.daemon?.running !== true) return;
  host.restartMs = () => downMs;
  host.daemon.die();
}

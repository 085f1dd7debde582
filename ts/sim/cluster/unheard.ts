/** Faults in which one side does what the other never hears of, and is not there to say so when that goes on. */
import { MessageType } from '../../mirror/messages.js';
import type { Host } from '../host.js';
import type { SimMirror } from '../mirror.js';
import type { Cluster } from './cluster.js';
import { mendAfter, offMs, whenWriting, writeOn } from './fault-steps.js';

/** Until all know who has quorum. */
const heardMs = 120;

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
 * A host is cut off while the others write. Then some of those hear it, and the rest no more; the rest die in the middle of their work,
 * or do not. Where some do not have the mirror it is they: of what was written nobody else on that side knows.
 */
export function thirdChangesSides(host: Host, { group }: Cluster): boolean {
  const { prng, timeline, sim } = host;
  if (!group.settled || group.split) return false;
  const { shape, regionCount } = partlyUsed(host);
  const unused = sim.hosts.filter(({ mirrors }) => mirrors.get(shape.uuid)?.unused === true);
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
    for (const { workload } of rest)
      for (let writes = 4; writes > 0; writes--) workload.write(shape.uuid, prng.below(regionCount));
    whenWriting(rest, shape.uuid, prng.real(2, 300), () => {
      if (host.healing || !group.split || !group.settled) return;
      group.partition([[alone, ...thirds].map(({ node }) => node), rest.map(({ node }) => node)]);
      if (dies) for (const other of rest) if (!other.dark) other.powerCut(offMs(other));
    });
  };
  timeline.after(withinMs, change);
  mendAfter(host, group, withinMs + prng.real(4000, 30_000));
  return true;
}

/** A mirror that not all hosts have, where there is one: one without a log device first, which would say what was written. */
function partlyUsed({ mirrors, sim, prng }: Host): SimMirror {
  const all = [...mirrors.values()];
  const partly = all.filter(({ shape }) => sim.hosts.some((other) => other.mirrors.get(shape.uuid)?.unused === true));
  const core = partly.filter(({ disk }) => disk === null);
  return prng.pick([core, partly].find(({ length }) => length > 0) ?? all);
}

/** Faults of the cluster service of one host. */
import type { Host } from '../host.js';
import type { Cluster } from './cluster.js';
import { writeOn } from './fault-steps.js';
import { countDeath } from './moments.js';

export function serviceDies(host: Host, { group }: Cluster): boolean {
  if (host.dark || !group.serviceUp(host.node)) return false;
  host.workload.stir();
  stopService(host, group);
  return true;
}

export function stopService(host: Host, group: Cluster['group']): void {
  const { prng, timeline } = host;
  countDeath(host, 'service');
  group.stopService(host.node);
  const { bootId } = host;
  timeline.after(prng.pick([prng.real(5, 500), prng.real(500, 20_000)]), () => {
    if (!host.dark && host.bootId === bootId) group.startService(host.node);
  });
}

/** The host lives on, and nobody there speaks for it. */
export function bothDie(host: Host, { group }: Cluster): boolean {
  const { daemon, prng } = host;
  if (daemon?.running !== true || !group.serviceUp(host.node)) return false;
  const down = prng.real(10, 30_000);
  host.restartMs = () => down;
  daemon.die();
  stopService(host, group);
  return true;
}

/**
 * It is stopped (SIGSTOP) for longer than the others wait for it. When it goes on it hears them at once: its daemon, which went on all the
 * time, has never been told of a loss before it is told that all are back.
 */
export function standsStill(host: Host, { group }: Cluster): boolean {
  const { prng, timeline, sim } = host;
  if (host.dark || !group.settled || group.split || !group.serviceUp(host.node)) return false;
  if (prng.chance(0.7)) for (const other of sim.hosts) other.workload.stir();
  timeline.after(prng.real(0, 10), () => {
    if (host.healing || host.dark || group.split) return;
    group.pause(host.node);
    const stillMs = prng.pick([prng.real(20, 3000), prng.real(3000, 40_000)]);
    writeOn(sim.hosts, stillMs);
    timeline.after(stillMs, () => group.resume(host.node));
  });
  return true;
}

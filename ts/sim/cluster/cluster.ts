/** What a simulation of several hosts has besides them: the group, and who says that a node is dead. */
import type { LogMessage } from '../../mirror/messages.js';
import type { Host } from '../host.js';
import type { Simulation } from '../simulation.js';
import { ClusterChecks } from './checks.js';
import { Fencing } from './fencing.js';
import { SimulatedGroup } from './group.js';
import { type ClusterPlan, planCluster } from './plan.js';

export class Cluster {
  readonly plan: ClusterPlan;
  readonly group: SimulatedGroup;
  readonly fencing: Fencing;
  readonly checks: ClusterChecks;
  /** Sees what daemons send until it returns true: a fault that waits for its moment. */
  whenSubmitted: ((host: Host, message: LogMessage) => boolean) | null = null;

  constructor(sim: Simulation, hosts: number) {
    const prng = sim.prng.fork();
    this.plan = planCluster(prng, hosts, sim.scenario.mirrors.length);
    this.group = new SimulatedGroup({
      timeline: sim.timeline,
      prng: prng.fork(),
      nodes: Array.from({ length: hosts }, (_, index) => index + 1),
      plan: this.plan.group,
      twoNode: this.plan.twoNode,
      count: (what) => sim.count(what),
    });
    this.fencing = new Fencing(sim, this.plan);
    this.checks = new ClusterChecks(sim);
  }

  /** A daemon sends a message. */
  submitted(host: Host, message: LogMessage): void {
    this.checks.submitted(host, message);
    if (this.whenSubmitted?.(host, message) === true) this.whenSubmitted = null;
  }

  /** All hear each other again, and every service runs. Hosts that are off come back by themselves. */
  heal(sim: Simulation): void {
    for (const host of sim.hosts) {
      this.group.resume(host.node);
      if (!host.dark) this.group.startService(host.node);
    }
    const mend = () => {
      if (this.group.settled) this.group.mend();
      else sim.timeline.after(50, mend);
    };
    mend();
  }

  /** A host has lost its power, its cluster service and what it owed. */
  powerLost(host: Host): void {
    this.group.stopService(host.node);
    this.fencing.died(host);
    this.checks.powerLost(host);
  }
}

/**
 * Who is dead, as the world knows it, and who says so to the daemons (R7). A death is confirmed only after the node has lost
 * its power: nothing of that boot runs or is on its way any more.
 */
import { bootKey } from '../../mirror/boot-key.js';
import type { Host } from '../host.js';
import type { Simulation } from '../simulation.js';
import { lateFencingMs } from './moments.js';
import type { ClusterPlan } from './plan.js';

interface Death {
  readonly node: number;
  readonly bootId: string;
  readonly atMs: number;
}

/** A source that was asked and does not know yet is asked again. */
const askAgainMs = 1000;

export class Fencing {
  readonly #sim: Simulation;
  readonly #plan: ClusterPlan;
  readonly #deaths: Death[] = [];

  constructor(sim: Simulation, plan: ClusterPlan) {
    this.#sim = sim;
    this.#plan = plan;
  }

  /** True when this boot of the node is over. */
  isDead(node: number, bootId: string): boolean {
    return this.#deaths.some((death) => death.node === node && death.bootId === bootId);
  }

  /** Boots of a node that are over. */
  bootsOf(node: number): string[] {
    return this.#deaths.filter((death) => death.node === node).map(({ bootId }) => bootId);
  }

  /** A host has lost its power. */
  died(host: Host): void {
    const death = { node: host.node, bootId: host.bootId, atMs: host.nowMs };
    this.#deaths.push(death);
    const { fencing, fencingMsMax } = this.#plan;
    if (fencing !== 'operator' || !this.#sim.prng.chance(0.7)) return;
    this.#sim.timeline.after(this.#sim.prng.real(0, 4 * fencingMsMax), () => this.#confirmSomewhere(death));
  }

  /** A daemon has lost a node and asks whether that boot of it is over. */
  asked(asker: Host, node: number, boot: string): void {
    const { fencing, fencingMsMax } = this.#plan;
    this.#sim.count('fencing asked');
    if (fencing === 'never' || fencing === 'operator') return;
    this.#sim.timeline.after(this.#sim.prng.real(0, fencingMsMax), () => this.#answer(asker, asker.daemon, node, boot));
  }

  #answer(asker: Host, daemon: Host['daemon'], node: number, boot: string): void {
    const { timeline, prng, cluster, healing } = this.#sim;
    if (daemon === null || asker.daemon !== daemon || !daemon.alive || cluster === null) return;
    const target = this.#sim.hosts.find((host) => host.node === node);
    const over = () => this.#deaths.find((death) => death.node === node && bootKey(death.bootId) === boot);
    const lost = !cluster.group.hears(asker.node, node);
    const shoots = this.#plan.fencing === 'shoots' && cluster.group.quorate(asker.node) && lost && !healing;
    if (over() === undefined && shoots && target?.dark === false) {
      this.#sim.count('fenced');
      target.powerCut(prng.real(100, 8000));
    }
    const death = over();
    if (death !== undefined) this.#confirm(asker, death);
    // Back in the meantime, or nobody knows yet.
    else if (lost && !healing) timeline.after(askAgainMs, () => this.#answer(asker, daemon, node, boot));
  }

  #confirmSomewhere(death: Death): void {
    const alive = this.#sim.hosts.filter((host) => host.daemon?.running === true && host.node !== death.node);
    if (alive.length > 0) this.#confirm(this.#sim.prng.pick(alive), death);
  }

  #confirm(at: Host, death: Death): void {
    this.#sim.count('death confirmed');
    if (this.#sim.nowMs - death.atMs > lateFencingMs) this.#sim.count('fencing late');
    this.#sim.note('dead', [death.node], () => `node ${death.node}, ${death.bootId}, told node ${at.node}`);
    // Without a boot id it means the one that is known here, so it must not have come back.
    const target = this.#sim.hosts.find((host) => host.node === death.node);
    const unnamed = target?.dark === true && target.bootId === death.bootId && this.#sim.prng.chance(0.2);
    at.daemon?.confirmDead(death.node, unnamed ? null : death.bootId);
  }
}

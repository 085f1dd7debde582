/** Views, order and acknowledgements over every order of events that a process group allows, by seed. */
import { describe, expect, it } from 'vitest';
import { CpgReason } from '../../ts/native/cpg-group.js';
import { Prng } from '../../ts/sim/prng.js';
import { ProcessGroup } from './process-group.js';

const { LOCKSTEP_GROUP_SEEDS = '200' } = process.env;
const seeds = Number(LOCKSTEP_GROUP_SEEDS);
const steps = 600;

function run(seed: number): ProcessGroup {
  const prng = new Prng(seed);
  const random = () => prng.below(1 << 30) / (1 << 30);
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const nodes = 2 + Math.floor(random() * 4);
  const group = new ProcessGroup(random, nodes);
  const faulty = random();
  const twice = random() < 0.2;
  for (let step = 0; step < steps; step++) {
    const what = random();
    const process = pick(group.living);
    if (process !== undefined && what < 0.5) process.step();
    else if (process !== undefined && what < 0.75) group.orderNext(process);
    else if (process !== undefined && what < 0.85) process.submit(random() < 0.05 ? 150_000 : 0);
    else if (process !== undefined && what < 0.95) process.settle();
    else if (what < 0.957) group.sleep(1 + Math.floor(random() * nodes));
    else if (what < 0.962) group.wakeAll();
    else if (what < 0.975) {
      const node = 1 + Math.floor(random() * nodes);
      if (twice || !group.living.some((other) => other.node === node)) group.start(node);
    } else if (random() < faulty) {
      const kind = random();
      if (kind < 0.3 && process !== undefined) group.end(process, pick([CpgReason.leave, CpgReason.processDown]) ?? 2);
      else if (kind < 0.6) group.rewire(() => Math.floor(random() * 3));
      else if (kind < 0.8) group.rewire(() => 0);
      else if (process !== undefined) process.busy = random() < 0.5 ? 0.5 : 0;
    }
  }
  group.rewire(() => 0);
  group.drain();
  return group;
}

describe('group session', () => {
  it(`keeps what a transport promises, ${seeds} seeds`, () => {
    let delivered = 0;
    let views = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      try {
        const group = run(seed);
        const living = group.living;
        const byNode = new Map(living.map((process) => [process.node, process]));
        for (const process of living) {
          // Of two daemons of one node one is in the view.
          if (living.filter(({ node }) => node === process.node).length === 1) {
            expect(process.view?.members.map(({ node }) => node)).toEqual([...byNode.keys()].sort((a, b) => a - b));
            expect(process.acknowledged).toBe(process.order);
            expect(process.session.waitingBytes).toBe(0);
            for (let i = 1; i <= process.submitted; i++) expect(process.delivered).toContain(process.pid * 100_000 + i);
          }
          delivered += process.order;
          views += process.session.epoch;
        }
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
    // The runs did something.
    expect(delivered).toBeGreaterThan(seeds * 20);
    expect(views).toBeGreaterThan(seeds * 2);
  });
});

/** Processes of the group that speak another language, or none, among members that come and go: by seed. */
import { describe, expect, it } from 'vitest';
import { wireVersion } from '../../ts/cluster/wire.js';
import { CpgReason } from '../../ts/native/cpg-group.js';
import { Prng } from '../../ts/sim/prng.js';
import { ModelProcess, ProcessGroup } from './process-group.js';

const first = 1;
const seeds = 200;
const steps = 500;

/** The next version: it says so whenever the group changes, as a daemon of it would. */
class Newer extends ModelProcess {
  override step(): boolean {
    const event = this.inbox.shift();
    if (event === undefined) return false;
    if (event.kind === 'configuration') this.say();
    return true;
  }
  say(): void {
    this.outbox.push(Buffer.from([0x4c, 0x53, 0x4d, 0x0a, wireVersion + 1, 0, 1, 0, 1, 2, 3]));
  }
  override submit(): void {
    if (this.group.random() < 0.3) this.say();
  }
  override settle(): void {}
}

function isNewer(process: ModelProcess): boolean {
  return process instanceof Newer;
}

function run(seed: number): ProcessGroup {
  const prng = new Prng(seed);
  const random = () => prng.below(1 << 30) / (1 << 30);
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const nodes = 2 + Math.floor(random() * 4);
  const group = new ProcessGroup(random, nodes);
  const faulty = random();
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
      const own = group.living.filter((other) => other.node === node);
      if (random() < 0.3) {
        if (!own.some(isNewer)) group.start(node, Newer as typeof ModelProcess);
      } else if (!own.some((other) => !isNewer(other))) group.start(node);
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
  for (const process of group.living.filter(isNewer)) group.end(process, CpgReason.leave);
  group.drain();
  return group;
}

describe('members beside strangers', () => {
  it(`have one view again when those are gone, ${seeds} seeds`, () => {
    const found: string[] = [];
    for (let seed = first; seed < first + seeds; seed++) {
      try {
        const { living } = run(seed);
        const nodes = living.map(({ node }) => node).sort((a, b) => a - b);
        for (const process of living) {
          expect(process.view?.members.map(({ node }) => node)).toEqual(nodes);
          expect(process.acknowledged).toBe(process.order);
          expect(process.session.waitingBytes).toBe(0);
          for (let i = 1; i <= process.submitted; i++) expect(process.delivered).toContain(process.pid * 100_000 + i);
        }
      } catch (error) {
        found.push(`seed ${seed}: ${error instanceof Error ? error.message.slice(0, 300) : error}`);
      }
    }
    expect(found).toEqual([]);
  });
});

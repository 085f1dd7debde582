/**
 * The simulated group under chance: nodes that die, services that die, partitions and merges, slow members. What corosync
 * promises must hold in every run, and what it does not promise must happen in some.
 */
import { describe, expect, it } from 'vitest';
import type { GroupView } from '../../ts/base/group-view.js';
import type { TransportEvents } from '../../ts/cluster/transport.js';
import type { LogMessage } from '../../ts/mirror/messages.js';
import { SimulatedGroup } from '../../ts/sim/cluster/group.js';
import type { SimulatedTransport } from '../../ts/sim/cluster/transport.js';
import { Prng } from '../../ts/sim/prng.js';
import { Timeline } from '../../ts/sim/timeline.js';
import { message } from '../cluster/transport-conformance.js';

/** One daemon: what it saw since its last view, and all it had delivered. */
class Daemon implements TransportEvents {
  readonly name: string;
  readonly node: number;
  view: readonly string[] = [];
  /** Messages of each stretch between two views, by the views around it. */
  stretch: number[] = [];
  readonly stretches: { from: string; to: string; seqs: number[] }[] = [];
  readonly delivered_: number[] = [];
  readonly views: string[] = [];
  readonly reasons = new Set<string>();
  quorate = false;
  alive = true;
  transport: SimulatedTransport | null = null;
  readonly #world: World;

  constructor(world: World, node: number, incarnation: number) {
    this.#world = world;
    this.node = node;
    this.name = `${node}.${incarnation}`;
  }

  delivered(_order: number, got: LogMessage): void {
    const sender = this.#world.senders.get(got.seq) ?? '';
    if (!this.view.includes(sender)) throw new Error(`${this.name} was delivered ${got.seq} of ${sender}`);
    this.stretch.push(got.seq);
    this.delivered_.push(got.seq);
    this.#world.delivered(this, got.seq);
  }

  acknowledged(): void {}

  viewChanged(view: GroupView): void {
    const names = view.members.map(({ node, incarnation }) => `${node}.${incarnation}`);
    const key = names.join(' ');
    this.stretches.push({ from: this.views.at(-1) ?? '', to: key, seqs: this.stretch });
    this.stretch = [];
    this.views.push(key);
    for (const { reason } of view.left) this.reasons.add(reason);
    if (names.length > 0) expect(names).toContain(this.name);
    expect(view.joined.every((member) => view.members.includes(member))).toBe(true);
    this.view = names;
  }

  quorumChanged(quorate: boolean): void {
    this.quorate = quorate;
  }
}

class World {
  readonly timeline = new Timeline();
  readonly prng: Prng;
  readonly group: SimulatedGroup;
  readonly senders = new Map<number, string>();
  readonly daemons: Daemon[] = [];
  readonly counts = { ownFirst: 0 };
  #seq = 0;
  #had = new Map<number, Set<string>>();

  constructor(seed: number, nodes: readonly number[]) {
    this.prng = new Prng(seed);
    this.group = new SimulatedGroup({ timeline: this.timeline, prng: this.prng.fork(), nodes });
    for (const node of nodes) {
      this.group.startService(node);
      this.start(node);
    }
  }

  start(node: number): void {
    const daemon = new Daemon(this, node, this.daemons.length);
    this.daemons.push(daemon);
    const self = { node, name: `host${node}`, bootId: 'boot', incarnation: String(this.daemons.length - 1) };
    daemon.transport = this.group.connect(self, daemon, (action) => {
      if (daemon.alive) action();
    });
  }

  of(node: number): Daemon | undefined {
    return this.daemons.find((daemon) => daemon.node === node && daemon.alive);
  }

  send(daemon: Daemon): void {
    this.#seq += 1;
    this.senders.set(this.#seq, daemon.name);
    daemon.transport?.submit(message(this.#seq, [], daemon.node));
    daemon.transport?.flush();
  }

  delivered(daemon: Daemon, seq: number): void {
    let had = this.#had.get(seq);
    if (had === undefined) {
      had = new Set();
      this.#had.set(seq, had);
      if (this.senders.get(seq) === daemon.name && daemon.view.length > 1) this.counts.ownFirst += 1;
    }
    had.add(daemon.name);
  }

  hadBy(seq: number): ReadonlySet<string> {
    return this.#had.get(seq) ?? new Set();
  }

  kill(daemon: Daemon): void {
    daemon.alive = false;
    daemon.transport?.abandon(this.timeline.nowMs);
  }
}

function chaos(seed: number): World {
  const nodes = Array.from({ length: 2 + (seed % 4) }, (_, index) => index + 1);
  const world = new World(seed, nodes);
  const { prng, timeline, group } = world;
  const talk = () => {
    const daemon = world.of(prng.pick(nodes));
    if (daemon) for (let i = prng.between(1, 4); i > 0; i--) world.send(daemon);
    if (timeline.nowMs < 30_000) timeline.after(prng.real(0.1, 40), talk);
  };
  const trouble = () => {
    const node = prng.pick(nodes);
    const daemon = world.of(node);
    const what = prng.below(6);
    if (what === 0 && daemon) {
      world.kill(daemon);
      timeline.after(prng.real(1, 900), () => world.start(node));
    } else if (what === 1 && group.serviceUp(node)) {
      group.stopService(node);
      timeline.after(prng.real(1, 5000), () => group.startService(node));
    } else if (what === 2 && group.settled && !group.split) {
      group.partition([nodes.filter((one) => one % 2 === 0), nodes.filter((one) => one % 2 === 1)]);
      const mend = () => {
        if (!group.settled) return timeline.after(100, mend);
        group.mend();
      };
      timeline.after(prng.real(100, 6000), mend);
    } else if (what === 3 && daemon && group.serviceUp(node)) {
      daemon.alive = false;
      daemon.transport?.abandon(timeline.nowMs);
      group.stopService(node);
      timeline.after(prng.real(1, 4000), () => {
        group.startService(node);
        world.start(node);
      });
    } else if (what === 4) {
      group.pause(node);
      timeline.after(prng.real(10, 6000), () => group.resume(node));
    } else {
      group.slow(node, prng.real(10, 3000));
    }
    if (timeline.nowMs < 25_000) timeline.after(prng.real(1, 4000), trouble);
  };
  talk();
  timeline.after(3000, trouble);
  while (timeline.step());
  return world;
}

const seeds = Array.from({ length: 24 }, (_, index) => index + 1);
const worlds = new Map<number, World>();

function ranWorld(seed: number): World {
  let world = worlds.get(seed);
  if (world === undefined) {
    world = chaos(seed);
    worlds.set(seed, world);
  }
  return world;
}

describe('the simulated group', () => {
  it('gives those who go together from one view to the next the same messages in the same order', () => {
    for (const seed of seeds) {
      const world = ranWorld(seed);
      const stretches = new Map<string, { who: string; seqs: number[] }>();
      for (const daemon of world.daemons) {
        daemon.stretches.forEach(({ from, to, seqs }, index) => {
          // The same change of the same views may come twice; how often each had it before tells them apart.
          if (from === '' || to === '' || !to.split(' ').every((name) => from.split(' ').includes(name))) return;
          const before = daemon.views.slice(0, index).filter((key) => key === from).length;
          const key = `${from} -> ${to} ${before}`;
          const other = stretches.get(key);
          if (other === undefined) stretches.set(key, { who: daemon.name, seqs });
          else if (daemon.views.filter((view) => view === from).length === 1)
            expect(seqs, `seed ${seed}: ${daemon.name} and ${other.who}, ${key}`).toEqual(other.seqs);
        });
      }
    }
  });

  it('has one order for all, and ends with one view of everybody with quorum', () => {
    for (const seed of seeds) {
      const world = ranWorld(seed);
      const place = new Set<string>();
      for (const daemon of world.daemons) {
        expect(new Set(daemon.delivered_).size).toBe(daemon.delivered_.length);
        for (let i = 1; i < daemon.delivered_.length; i++) {
          const [a, b] = [daemon.delivered_[i - 1] as number, daemon.delivered_[i] as number];
          place.add(`${a} ${b}`);
          if (place.has(`${b} ${a}`)) throw new Error(`seed ${seed}: ${a} and ${b} come in two orders`);
        }
      }
      const alive = world.daemons.filter(({ alive }) => alive);
      for (const daemon of alive) {
        expect(daemon.view, `seed ${seed}: ${daemon.name}`).toEqual(alive.map(({ name }) => name).sort(byNode));
        expect(daemon.quorate).toBe(true);
      }
    }
  });

  it('does what is not forbidden: one has its own message first, and what it saw is lost for all others', () => {
    let ownFirst = 0;
    let lost = 0;
    const reasons = new Set<string>();
    for (const seed of seeds) {
      const world = ranWorld(seed);
      ownFirst += world.counts.ownFirst;
      for (const [seq, sender] of world.senders) {
        const had = world.hadBy(seq);
        if (had.size === 1 && had.has(sender)) lost += 1;
      }
      for (const daemon of world.daemons) for (const reason of daemon.reasons) reasons.add(reason);
    }
    expect(ownFirst).toBeGreaterThan(100);
    expect(lost).toBeGreaterThan(4);
    expect([...reasons].sort()).toEqual(['node-down', 'process-down', 'unknown']);
  });

  it('tells a daemon whose service stood still of the loss only when all are back', () => {
    const world = new World(5, [1, 2, 3]);
    const { timeline, group } = world;
    const still = world.of(3) as Daemon;
    const until = (ms: number) => {
      timeline.at(ms, () => {});
      while (timeline.nowMs < ms && timeline.step());
    };
    until(8000);
    const all = '1.0 2.1 3.2';
    expect(still.views.at(-1)).toBe(all);
    group.pause(3);
    const had = still.views.length;
    until(20_000);
    expect(world.of(1)?.view).toEqual(['1.0', '2.1']);
    expect(group.hears(1, 3)).toBe(false);
    expect(still.views).toHaveLength(had);
    expect(still.quorate).toBe(true);
    group.resume(3);
    until(30_000);
    expect(still.views.slice(had)).toEqual(['3.2', all]);
    expect([...still.reasons]).toEqual(['node-down']);
    for (const node of [1, 2]) expect(world.of(node)?.view.join(' ')).toBe(all);
    expect(group.settled && !group.split).toBe(true);
  });

  it('acknowledges nothing that a member of the view, who was there at its delivery, has not had', () => {
    for (const seed of seeds) checkAcknowledgements(seed);
  });
});

function byNode(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10);
}

/** Runs a group of its own, in which every acknowledgement is judged at its instant. */
function checkAcknowledgements(seed: number): void {
  const nodes = [1, 2, 3, 4];
  const timeline = new Timeline();
  const prng = new Prng(seed);
  const group = new SimulatedGroup({ timeline, prng: prng.fork(), nodes });
  const had = new Map<number, Set<number>>();
  let checked = 0;
  const transports = nodes.map((node) => {
    const places: { order: number; seq: number; members: readonly number[] }[] = [];
    let members: readonly number[] = [];
    const mine = new Set<number>();
    had.set(node, mine);
    group.startService(node);
    return group.connect(
      { node, name: `host${node}`, bootId: 'boot', incarnation: '1' },
      {
        delivered: (order, got) => {
          places.push({ order, seq: got.seq, members });
          mine.add(got.seq);
        },
        acknowledged: (order) => {
          while (places[0] !== undefined && places[0].order <= order) {
            const { seq, members: then } = places.shift() as (typeof places)[0];
            for (const other of then) {
              if (!members.includes(other)) continue;
              checked += 1;
              expect(had.get(other)?.has(seq), `seed ${seed}: ${seq} acknowledged to ${node}, not with ${other}`).toBe(
                true,
              );
            }
          }
        },
        viewChanged: (view) => {
          members = view.members.map((member) => member.node);
        },
        quorumChanged: () => {},
      },
      (action) => action(),
    );
  });
  let seq = 0;
  for (let i = 0; i < 300; i++) {
    timeline.after(prng.real(500, 20_000), () => {
      const transport = prng.pick(transports);
      seq += 1;
      transport.submit(message(seq, [], transport.node));
      transport.flush();
    });
  }
  for (let i = 0; i < 6; i++) timeline.after(prng.real(500, 20_000), () => group.slow(prng.pick(nodes), 2000));
  timeline.after(prng.real(2000, 9000), () =>
    group.partition([
      [1, 2],
      [3, 4],
    ]),
  );
  timeline.after(13_000, () => group.mend());
  while (timeline.step());
  expect(checked).toBeGreaterThan(300);
}

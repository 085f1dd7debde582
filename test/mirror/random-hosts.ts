/**
 * The hosts of a random run: one group whose messages come in any order, on any sides of a broken network, a path of each host to each log
 * device whose operations end when it pleases them, and kernels. What goes wrong with them is drawn in random-faults.ts.
 */
import type { Prng } from '../../ts/sim/prng.js';
import { Group } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';
import { RandomBook } from './random-book.js';
import { deviceOf, RandomClient } from './random-client.js';

const deviceBytes = 64 * 1024;

export class RandomHosts {
  readonly nodes: readonly number[];
  readonly regions: number;
  readonly group: Group;
  readonly clients: readonly RandomClient[];
  readonly book: RandomBook;
  /** What happened, for the reader of a failure. */
  readonly journal: string[];
  /** By node, then by the name of the device. */
  readonly paths = new Map<number, Map<string, TestDisk>>();
  /** Hosts whose cluster service does not run. */
  readonly serviceless = new Set<number>();
  /** Hosts that lost their power and of which no daemon was told that they are dead. */
  readonly unconfirmed = new Set<number>();
  readonly #prng: Prng;
  readonly #devices = new Map([
    ['/dev/log', new TestDisk(deviceBytes, '253:7')],
    ['/dev/two', new TestDisk(deviceBytes, '253:9')],
  ]);
  /** Operations of devices end at once, not some steps later. */
  #swift: boolean;
  /** How often who has quorum is told so late. */
  #quorumLate: number;
  readonly #quorumUntold = new Set<number>();
  /** Of two hosts, which have quorum each alone (two_node): who has met the other since its cluster service began (wait_for_all). */
  readonly #waitedForAll = new Set<number>();

  /** `textOf`: the table of a log of that many regions, which some of the hosts have. */
  constructor(prng: Prng, journal: string[], textOf: (regions: number) => string) {
    this.#prng = prng;
    this.journal = journal;
    this.nodes = prng.pick([
      [1, 2],
      [1, 2, 3],
      [1, 2, 3, 4],
      [1, 2, 3, 4, 5],
    ]);
    // Every word boundary, or so few that all want the same.
    this.regions = prng.pick([3, 8, 130]);
    this.#swift = prng.chance(0.5);
    for (const disk of this.#devices.values()) disk.minor = Number(disk.identity.slice(4));
    this.group = new Group(
      this.nodes,
      {
        stickyMax: prng.pick([0, 4096]),
        chunkRegions: prng.pick([64, 64, 2 ** 20]),
        announceRegions: prng.pick([1, 16_384]),
        foundMax: prng.pick([0, 1, 256, 256, 256, 256, 256, 256]),
        restrictedMax: prng.pick([0, 1, 65_536, 65_536, 65_536, 65_536, 65_536, 65_536]),
        logReadBytes: prng.pick([512, 2 ** 20, 2 ** 20]),
        onQuorumLoss: prng.pick(['wait', 'wait', 'wait', 'fail']),
      },
      { ownersMax: prng.chance(0.25) ? prng.between(2, 7) : undefined, disksOf: (node) => this.#newPaths(node) },
    );
    const text = textOf(this.regions);
    const users = prng.chance(0.7) ? this.nodes : this.nodes.slice(1);
    this.note(`${text} on ${users}`);
    this.group.resume(mirrorA, text, users);
    this.group.tellsQuorum = false;
    this.group.acknowledges = prng.chance(0.6);
    this.#quorumLate = prng.pick([0, 0, 0.5]);
    this.clients = this.nodes.map(
      (node) => new RandomClient(this.group, node, this.regions, users.includes(node) ? text : null),
    );
    const diskOf = (table: string) => this.#devices.get(deviceOf(table) ?? '') ?? null;
    this.book = new RandomBook(this.group, this.clients, diskOf, this.regions);
    for (const node of this.nodes) this.#waitedForAll.add(node);
    const { map } = this.group.host(users[0] as number).state(mirrorA);
    for (let region = 0; region < this.regions; region++) if (!map.isInSync(region)) this.book.differ.add(region);
  }

  /** Of a host that gets power: what it had under way is gone. */
  #newPaths(node: number): Map<string, TestDisk> {
    const paths = new Map([...this.#devices].map(([name, disk]) => [name, disk.path()]));
    this.paths.set(node, paths);
    return paths;
  }

  /** Its daemon is in the group, and has heard what the others know. */
  hasMet(node: number): boolean {
    return this.group.isMember(node) && this.group.host(node).service.cluster?.exchanging === false;
  }

  /** Every path to a log device. */
  get allPaths(): TestDisk[] {
    return [...this.paths.values()].flatMap((disks) => [...disks.values()]);
  }

  /** No operation of a log device is under way. */
  get devicesRest(): boolean {
    return this.allPaths.every((disk) => disk.waiting.length === 0);
  }

  note(text: string): void {
    this.journal.push(text);
  }

  /** The network is whole, and every host that has power has its cluster service. */
  get united(): boolean {
    return new Set(this.nodes.map((node) => this.group.sideOf(node))).size === 1 && this.serviceless.size === 0;
  }

  deliverSome(): void {
    if (this.#prng.chance(0.05))
      for (const node of this.nodes) this.group.host(node).nowMs += this.#prng.between(1, 4000);
    for (let left = this.#prng.between(1, 6); left > 0; left--) {
      this.group.stepOfAny((senders) => this.#prng.below(senders));
      if (this.#prng.chance(0.7)) this.turns();
    }
  }

  /** All that are together, and every other host that has a log has its daemon in the group. */
  allUsersHere(node: number): boolean {
    const others = this.clients.filter((client) => client.node !== node && client.up && client.hasLog);
    return this.united && others.every((client) => this.group.isMember(client.node));
  }

  boot(client: RandomClient): void {
    this.note(`${client.node} boots`);
    this.unconfirmed.delete(client.node);
    client.up = true;
    this.bringDaemon(client.node);
  }

  bringDaemon(node: number): void {
    this.note(`daemon ${node} comes`);
    this.serviceless.delete(node);
    this.group.join(node);
    this.tellQuorum();
  }

  /** The network breaks into `sides`, or what was broken is whole again where that is 1. */
  rewire(sides: number): void {
    const next = new Map(this.nodes.map((node) => [node, sides === 1 ? 0 : this.#prng.below(sides)]));
    if (this.nodes.every((node) => next.get(node) === this.group.sideOf(node))) return;
    const names = [0, 1, 2].map((side) => this.nodes.filter((node) => next.get(node) === side).join(' '));
    this.note(`the network: ${names.join(' | ')}`);
    this.group.rewire(
      (node) => next.get(node) ?? 0,
      (limit) => this.#prng.below(limit),
    );
    if (this.mayGoOnApart && this.#apart) this.book.part();
    this.tellQuorum();
  }

  /** Two sides may both have quorum. */
  get mayGoOnApart(): boolean {
    return this.nodes.length === 2;
  }

  get #apart(): boolean {
    return new Set(this.nodes.map((node) => this.group.sideOf(node))).size > 1;
  }

  /** All daemons are there, and have heard of each other. */
  get #haveMet(): boolean {
    return !this.#apart && this.nodes.every((node) => this.hasMet(node));
  }

  /** Corosync counts hosts, not daemons. Who has quorum may hear so later. */
  tellQuorum(): void {
    this.#quorumUntold.clear();
    if (this.hostsBeside(1) === this.nodes.length) for (const node of this.nodes) this.#waitedForAll.add(node);
    for (const node of this.nodes) {
      if (!this.group.isMember(node)) continue;
      const quorate = this.#isQuorate(node);
      if (quorate && this.#prng.chance(this.#quorumLate)) this.#quorumUntold.add(node);
      else this.group.quorum(quorate, [node]);
    }
  }

  #tellQuorumLate(): void {
    for (const node of this.#quorumUntold) {
      if (this.#prng.chance(0.7)) continue;
      this.#quorumUntold.delete(node);
      if (this.group.isMember(node)) this.group.quorum(this.#isQuorate(node), [node]);
    }
  }

  hostsBeside(node: number): number {
    const side = this.group.sideOf(node);
    const runs = ({ node: other, up }: RandomClient) => up && !this.serviceless.has(other);
    return this.clients.filter((client) => runs(client) && this.group.sideOf(client.node) === side).length;
  }

  isMajority(hosts: number): boolean {
    return hosts * 2 > this.nodes.length;
  }

  #isQuorate(node: number): boolean {
    const hosts = this.hostsBeside(node);
    return this.isMajority(hosts) || (this.mayGoOnApart && hosts === 1 && this.#waitedForAll.has(node));
  }

  /** The cluster service of the host has ended. */
  serviceEnds(node: number): void {
    this.#waitedForAll.delete(node);
  }

  turn(node: number): void {
    const host = this.group.host(node);
    host.turn();
    const dueMs = host.service.nextDeadlineMs();
    if (dueMs < 0 || dueMs > host.nowMs) return;
    host.service.tick(host.nowMs);
    host.turn();
  }

  turns(): void {
    if (this.#quorumUntold.size > 0) this.#tellQuorumLate();
    if (!this.group.acknowledges && this.#prng.chance(0.3)) this.group.acknowledge();
    for (const node of this.nodes) this.turn(node);
    for (const node of this.nodes) {
      const stray = this.group.host(node).strayOperations;
      while (stray.length > 0) stray.shift()?.();
    }
    for (const node of this.nodes) {
      if (this.#swift) this.endOperations(node);
      else for (const disk of this.paths.get(node)?.values() ?? []) if (this.#prng.chance(0.4)) disk.complete();
    }
    for (const node of this.nodes) this.turn(node);
    if (this.book.parted && this.#haveMet) this.book.meet();
    for (const client of this.clients) client.poll();
  }

  /** All that the host has under way on its log devices. */
  endOperations(node: number): void {
    for (const disk of this.paths.get(node)?.values() ?? []) while (disk.complete());
  }

  calm(): void {
    this.group.acknowledge();
    for (let left = 20_000; left > 0; left--) {
      this.turns();
      if (this.group.stepOfAny((senders) => this.#prng.below(senders))) continue;
      this.turns();
      if (this.group.next === undefined && this.devicesRest) return;
    }
    throw new Error('the group does not come to rest');
  }

  /** Long enough for everything that is tried again. */
  wait(): void {
    for (const client of this.clients) client.askAgain();
    for (let round = 0; round < 30; round++) {
      for (const node of this.nodes) this.group.host(node).nowMs += 500;
      this.calm();
      if (round % 12 === 0) for (const client of this.clients) this.lookAtTables(client);
    }
  }

  /** The daemon asks device-mapper which logs its tables name: what lost its kernel unheard leaves. */
  lookAtTables({ node, up, hasLog, nextText }: RandomClient): void {
    const { service, nowMs } = this.group.host(node);
    if (up) service.tables(new Set(hasLog || nextText !== null ? [mirrorA.uuid] : []), nowMs, nowMs);
  }

  /** Every fault ends. */
  mendAll(): void {
    this.note('everything is mended');
    this.#quorumLate = 0;
    this.group.acknowledges = true;
    this.#swift = true;
    for (const disk of this.allPaths) Object.assign(disk, { openErrno: 0, readErrno: 0, writeErrno: 0, tornBytes: 0 });
    this.rewire(1);
    for (const client of this.clients) {
      if (!client.up) this.boot(client);
      else if (!this.group.isMember(client.node)) this.bringDaemon(client.node);
    }
    this.tellQuorum();
    this.calm();
    this.tellQuorum();
    this.calm();
    this.wait();
    this.book.check();
  }
}

/**
 * The hosts of a random run: one group whose messages come in any order, log devices whose operations end when it pleases them, and every
 * fault that a host, its daemon, its records and its network can have.
 */
import type { Prng } from '../../ts/sim/prng.js';
import { Group } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';
import { RandomBook } from './random-book.js';
import { deviceOf, RandomClient } from './random-client.js';

const eio = 5;

export class RandomHosts {
  readonly nodes: readonly number[];
  readonly regions: number;
  readonly group: Group;
  readonly clients: readonly RandomClient[];
  readonly book: RandomBook;
  /** What happened, for the reader of a failure. */
  readonly journal: string[];
  readonly #prng: Prng;
  readonly #devices = new Map([
    ['/dev/log', new TestDisk(1024 * 1024, '253:7')],
    ['/dev/two', new TestDisk(1024 * 1024, '253:9')],
  ]);
  /** Operations of devices end at once, not some steps later. */
  #swift: boolean;
  /** Nodes whose daemons are in the group. */
  readonly #daemons: Set<number>;
  readonly #cutOff = new Set<number>();
  /** Hosts that lost their power and of which no daemon was told that they are dead. */
  readonly #unconfirmed = new Set<number>();

  /** `textOf`: the table of a log of that many regions, which some of the hosts have. */
  constructor(prng: Prng, journal: string[], textOf: (regions: number) => string) {
    this.#prng = prng;
    this.journal = journal;
    this.nodes = prng.pick([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3, 4],
    ]);
    this.#daemons = new Set(this.nodes);
    // Every word boundary, or so few that all want the same.
    this.regions = prng.pick([3, 8, 130]);
    this.#swift = prng.chance(0.5);
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
      prng.chance(0.25) ? prng.between(2, 7) : undefined,
    );
    for (const [name, disk] of this.#devices) {
      this.group.disks.set(name, disk);
      disk.minor = Number(disk.identity.slice(4));
    }
    const text = textOf(this.regions);
    const users = prng.chance(0.7) ? this.nodes : this.nodes.slice(1);
    this.note(`${text} on ${users}`);
    this.group.resume(mirrorA, text, users);
    this.group.tellsQuorum = false;
    this.clients = this.nodes.map(
      (node) => new RandomClient(this.group, node, this.regions, users.includes(node) ? text : null),
    );
    const places = {
      isHere: (node: number) => this.#daemons.has(node),
      isCutOff: (node: number) => this.#cutOff.has(node),
    };
    const diskOf = (table: string) => this.#devices.get(deviceOf(table) ?? '') ?? null;
    this.book = new RandomBook(this.group, this.clients, places, diskOf, this.regions);
    const { map } = this.group.host(users[0] as number).state(mirrorA);
    for (let region = 0; region < this.regions; region++) if (!map.isInSync(region)) this.book.differ.add(region);
  }

  /** Its daemon is in the group, and has heard what the others know. */
  hasMet(node: number): boolean {
    return this.#daemons.has(node) && this.group.host(node).service.cluster?.exchanging === false;
  }

  /** No operation of a log device is under way. */
  get devicesRest(): boolean {
    return [...this.#devices.values()].every((disk) => disk.waiting.length === 0);
  }

  note(text: string): void {
    this.journal.push(text);
  }

  get #whole(): boolean {
    return this.#cutOff.size === 0 && this.#daemons.size === this.nodes.length;
  }

  deliverSome(): void {
    if (this.#prng.chance(0.05))
      for (const node of this.nodes) this.group.host(node).nowMs += this.#prng.between(1, 4000);
    for (let left = this.#prng.between(1, 6); left > 0; left--) {
      this.group.stepOfAny((senders) => this.#prng.below(senders));
      if (this.#prng.chance(0.7)) this.turns();
    }
  }

  fault(client: RandomClient): void {
    const { node } = client;
    const here = this.#daemons.has(node) && !this.#cutOff.has(node);
    const united = this.#cutOff.size === 0;
    const usual = [
      'kill',
      'kill',
      'kill',
      'return',
      'return',
      'return',
      'return',
      'return',
      'split',
      'split',
      'heal',
      'heal',
      'heal',
      'power',
      'power',
    ];
    switch (this.#prng.pick([...usual, 'lose', 'ahead', 'forget', 'kill all', 'device', 'resend'])) {
      case 'kill':
        if (here) this.#kill(client);
        break;
      case 'kill all':
        if (united) for (const each of this.clients) if (this.#daemons.has(each.node)) this.#kill(each);
        break;
      case 'forget':
        // Where nobody is left who knows the log, nothing can help it.
        if (here && this.allUsersHere(node) && this.book.followers().length > 1 && client.idle) this.#forget(client);
        break;
      case 'return':
        if (!this.#daemons.has(node)) this.#bringDaemon(node);
        break;
      case 'split':
        if (this.#whole) this.#split(node);
        break;
      case 'heal':
        // A daemon comes only where all see it come.
        if (!united && this.#daemons.size === this.nodes.length) this.#heal();
        break;
      case 'power':
        if (united && this.#quorateWithout(node)) this.#cutPower(client);
        break;
      case 'lose':
        if (here && united) this.#loseGroup(node);
        break;
      case 'ahead':
        if (here && united) this.#goAhead(client);
        break;
      case 'device':
        this.#turnDevice(this.#prng.pick([...this.#devices.values()]));
        break;
      case 'resend':
        client.askAgain();
        break;
    }
  }

  #kill(client: RandomClient): void {
    this.note(`daemon ${client.node} is killed`);
    if (this.#prng.chance(0.5)) this.#endOperations();
    this.group.killDaemon(client.node);
    this.#daemons.delete(client.node);
    client.askAgain();
  }

  /** The daemon is started anew and finds no record, though its kernel goes on. */
  #forget(client: RandomClient): void {
    this.note(`daemon ${client.node} is killed, and its records are lost`);
    this.#endOperations();
    this.group.part(client.node, 'process-down');
    this.group.host(client.node).powerCut(false);
    this.#bringDaemon(client.node);
    client.askAgain();
    // They tell it who has the log before anything else happens.
    this.calm();
  }

  #split(node: number): void {
    const side = this.nodes.length === 4 && this.#prng.chance(0.4) ? [node, (node % 4) + 1] : [node];
    this.note(`${side} are cut off`);
    for (const each of side) this.#cutOff.add(each);
    this.group.split(side);
    this.#tellQuorum();
  }

  #loseGroup(node: number): void {
    this.note(`${node} loses its group`);
    this.#endOperations();
    this.group.loseGroup(node, this.#prng.pick(['process-down', 'node-down']));
    this.#daemons.delete(node);
    this.#tellQuorum();
  }

  /** It hears some messages before all others, and is gone before they do. */
  #goAhead(client: RandomClient): void {
    const { node } = client;
    this.note(`${node} is ahead of the others`);
    this.group.stepAhead(node, this.#prng.between(1, 4), (senders) => this.#prng.below(senders));
    this.#turn(node);
    for (const each of this.clients) each.poll();
    if (this.#prng.chance(0.5) && this.#quorateWithout(node)) this.#cutPower(client);
    else this.#loseGroup(node);
  }

  #cutPower(client: RandomClient): void {
    this.note(`${client.node} loses its power`);
    if (this.#prng.chance(0.5)) this.#endOperations();
    this.book.dies(client);
    this.group.cutPower(client.node);
    client.die();
    this.#daemons.delete(client.node);
    this.#unconfirmed.add(client.node);
    this.#tellQuorum();
  }

  #turnDevice(disk: TestDisk): void {
    if (disk.writeErrno === 0 && this.#prng.chance(0.7)) return;
    disk.writeErrno = disk.writeErrno === 0 ? eio : 0;
    this.note(`writes of ${disk.identity} ${disk.writeErrno === 0 ? 'work' : 'fail'}`);
  }

  bringBack(client: RandomClient): void {
    const { node } = client;
    if (this.#prng.chance(0.7)) return;
    if (this.#prng.chance(0.5)) {
      const witness = this.nodes.find((other) => this.#daemons.has(other) && this.#knowsAllUsers(other));
      if (witness === undefined || this.#cutOff.size > 0 || !this.#unconfirmed.delete(node)) return;
      this.note(`${node} is confirmed dead by ${witness}`);
      const host = this.group.host(witness);
      host.service.confirmDead(node, null, host.nowMs);
    } else if (this.allUsersHere(node)) {
      this.#boot(client);
    }
  }

  /** A host whose daemon is away, and of which only the dead one knew, nobody can help. */
  #knowsAllUsers(node: number): boolean {
    const members = this.group.host(node).service.cluster?.tables.get(mirrorA.uuid)?.members ?? [];
    const away = this.clients.filter((client) => client.up && client.hasLog && !this.#daemons.has(client.node));
    return away.every((client) => client.stage === 'suspended' || members.some((one) => one.node === client.node));
  }

  /** Nobody is cut off, and every other host that has a log has its daemon in the group. */
  allUsersHere(node: number): boolean {
    const others = this.clients.filter((client) => client.node !== node && client.up && client.hasLog);
    return this.#cutOff.size === 0 && others.every((client) => this.#daemons.has(client.node));
  }

  #boot(client: RandomClient): void {
    this.note(`${client.node} boots`);
    this.#unconfirmed.delete(client.node);
    client.up = true;
    this.#bringDaemon(client.node);
  }

  #bringDaemon(node: number): void {
    this.note(`daemon ${node} comes`);
    this.group.join(node);
    this.#daemons.add(node);
    this.#tellQuorum();
  }

  #heal(): void {
    this.note('the network heals');
    this.#cutOff.clear();
    this.group.heal();
    this.#tellQuorum();
  }

  /** Corosync counts hosts, not daemons. */
  #tellQuorum(): void {
    for (const node of this.#daemons) {
      this.group.quorum(this.#isMajority(this.#hostsBeside(node)), [node]);
    }
  }

  #hostsBeside(node: number): number {
    const cut = this.#cutOff.has(node);
    return this.clients.filter((client) => client.up && this.#cutOff.has(client.node) === cut).length;
  }

  #isMajority(hosts: number): boolean {
    return hosts * 2 > this.nodes.length;
  }

  #quorateWithout(node: number): boolean {
    return this.#isMajority(this.#hostsBeside(node) - 1);
  }

  #turn(node: number): void {
    const host = this.group.host(node);
    host.turn();
    const dueMs = host.service.nextDeadlineMs();
    if (dueMs < 0 || dueMs > host.nowMs) return;
    host.service.tick(host.nowMs);
    host.turn();
  }

  turns(): void {
    for (const node of this.nodes) this.#turn(node);
    for (const node of this.nodes) {
      const stray = this.group.host(node).strayOperations;
      while (stray.length > 0) stray.shift()?.();
    }
    if (this.#swift) this.#endOperations();
    else for (const disk of this.#devices.values()) if (this.#prng.chance(0.4)) disk.complete();
    for (const node of this.nodes) this.#turn(node);
    for (const client of this.clients) client.poll();
  }

  #endOperations(): void {
    for (const disk of this.#devices.values()) while (disk.complete());
  }

  calm(): void {
    for (let left = 4000; left > 0; left--) {
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
      if (round % 12 === 0) this.#lookAtTables();
    }
  }

  /** Daemons ask device-mapper which logs its tables name: what lost its kernel unheard leaves. */
  #lookAtTables(): void {
    for (const { node, up, hasLog } of this.clients) {
      const { service, nowMs } = this.group.host(node);
      if (up) service.tables(new Set(hasLog ? [mirrorA.uuid] : []), nowMs, nowMs);
    }
  }

  /** Every fault ends. */
  mendAll(): void {
    this.note('everything is mended');
    this.#swift = true;
    for (const disk of this.#devices.values()) disk.writeErrno = 0;
    if (this.#cutOff.size > 0) this.#heal();
    for (const client of this.clients) {
      if (!client.up) this.#boot(client);
      else if (!this.#daemons.has(client.node)) this.#bringDaemon(client.node);
    }
    this.#tellQuorum();
    this.calm();
    this.#tellQuorum();
    this.calm();
    this.wait();
    this.book.check();
  }
}

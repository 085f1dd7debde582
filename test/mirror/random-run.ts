/**
 * Three hosts with one log, whose messages, requests and faults come in an order that a seed draws. Messages of different senders
 * overtake one another at will, which the simulator's network does rarely; there are no legs: the run keeps book of the regions in
 * which they could differ. Every host's view is looked at after every step.
 */
import { Prng } from '../../ts/sim/prng.js';
import { Group } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';
import { RandomClient } from './random-client.js';

const nodes = [1, 2, 3];
const stepsMax = 150;

export class RandomRun {
  /** What happened, for the reader of a failure. */
  readonly journal: string[] = [];
  readonly #prng: Prng;
  readonly #regions: number;
  readonly #text: string;
  readonly #group: Group;
  readonly #device = new TestDisk(1024 * 1024);
  readonly #clients = new Map<number, RandomClient>();
  readonly #daemons = new Set(nodes);
  readonly #cutOff = new Set<number>();
  /** Hosts that lost their power and of which no daemon was told that they are dead. */
  readonly #unconfirmed = new Set<number>();
  /** Regions whose legs may differ: none of them may be clean. */
  readonly #differ = new Set<number>();

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    // Every word boundary, or so few that all want the same.
    this.#regions = this.#prng.pick([3, 130]);
    const kind = this.#prng.pick(['clustered-core', 'clustered-disk /dev/log']);
    this.#text = `${this.#regions * 8} ${kind} 8`;
    this.#group = new Group(nodes, {
      stickyMax: this.#prng.pick([0, 4096]),
      chunkRegions: 64,
      announceRegions: this.#prng.pick([1, 16_384]),
      foundMax: this.#prng.pick([1, 256, 256, 256]),
    });
    this.#group.disks.set('/dev/log', this.#device);
    const synced = this.#prng.chance(0.5);
    this.#group.resume(mirrorA, synced ? `${this.#text} nosync` : this.#text, nodes);
    this.#group.tellsQuorum = false;
    for (const node of nodes) this.#clients.set(node, new RandomClient(this.#group, node));
    if (!synced) for (let region = 0; region < this.#regions; region++) this.#differ.add(region);
  }

  /** Throws what is wrong. */
  run(): void {
    for (let step = 0; step < stepsMax; step++) {
      this.#act();
      if (this.#prng.chance(0.5)) this.#turns();
      this.#check();
    }
    this.#mendAll();
    this.#finish();
  }

  #client(node: number): RandomClient {
    return this.#clients.get(node) as RandomClient;
  }

  #note(text: string): void {
    this.journal.push(text);
  }

  get #whole(): boolean {
    return this.#cutOff.size === 0 && this.#daemons.size === nodes.length;
  }

  #act(): void {
    const client = this.#client(this.#prng.pick(nodes));
    const what = this.#prng.pick([
      ...Array<string>(5).fill('deliver'),
      ...Array<string>(2).fill('fault'),
      'administrate',
      ...Array<string>(4).fill('use'),
    ]);
    if (what === 'deliver') this.#deliverSome();
    else if (!client.up) this.#bringBack(client);
    else if (what === 'fault') this.#fault(client);
    else if (what === 'administrate') this.#administrate(client);
    else if (client.idle) this.#use(client);
  }

  #deliverSome(): void {
    for (let left = this.#prng.between(1, 6); left > 0; left--) {
      this.#group.stepOfAny((senders) => this.#prng.below(senders));
      if (this.#prng.chance(0.7)) this.#turns();
    }
  }

  #fault(client: RandomClient): void {
    const { node } = client;
    const here = this.#daemons.has(node) && !this.#cutOff.has(node);
    const whole = this.#cutOff.size === 0;
    switch (this.#prng.pick(['kill', 'kill', 'return', 'return', 'return', 'split', 'heal', 'heal', 'power', 'lose'])) {
      case 'kill':
        if (here) this.#kill(client);
        break;
      case 'return':
        if (!this.#daemons.has(node)) this.#bringDaemon(node);
        break;
      case 'split':
        if (this.#whole) this.#split(node);
        break;
      case 'heal':
        // A daemon comes only where all see it come.
        if (!whole && this.#daemons.size === nodes.length) this.#heal();
        break;
      case 'power':
        if (whole && nodes.every((other) => this.#client(other).up)) this.#cutPower(client);
        break;
      case 'lose':
        if (here && whole) this.#loseGroup(node);
        break;
    }
  }

  #kill(client: RandomClient): void {
    this.#note(`daemon ${client.node} is killed`);
    this.#group.killDaemon(client.node);
    this.#daemons.delete(client.node);
    client.askAgain();
  }

  #split(node: number): void {
    this.#note(`${node} is cut off`);
    this.#cutOff.add(node);
    this.#group.split([node]);
    this.#tellQuorum();
  }

  #loseGroup(node: number): void {
    this.#note(`${node} loses its group`);
    this.#group.loseGroup(node, 'process-down');
    this.#daemons.delete(node);
  }

  #cutPower(client: RandomClient): void {
    this.#note(`${client.node} loses its power`);
    for (const region of client.writing) this.#differ.add(region);
    if (client.copying >= 0) this.#differ.add(client.copying);
    for (const other of this.#clients.values()) if (client.writing.has(other.copying)) other.copySpoilt = true;
    this.#group.cutPower(client.node);
    client.die();
    this.#daemons.delete(client.node);
    this.#unconfirmed.add(client.node);
    this.#tellQuorum();
  }

  #bringBack(client: RandomClient): void {
    const { node } = client;
    if (this.#prng.chance(0.7)) return;
    if (this.#prng.chance(0.5)) {
      const witness = nodes.find((other) => this.#daemons.has(other) && !this.#cutOff.has(other));
      if (witness === undefined || !this.#unconfirmed.delete(node)) return;
      this.#note(`${node} is confirmed dead by ${witness}`);
      const host = this.#group.host(witness);
      host.service.confirmDead(node, null, host.nowMs);
    } else if (this.#cutOff.size === 0) {
      this.#boot(client);
      client.construct(this.#text);
    }
  }

  #boot(client: RandomClient): void {
    this.#note(`${client.node} boots`);
    this.#unconfirmed.delete(client.node);
    client.up = true;
    this.#bringDaemon(client.node);
  }

  #bringDaemon(node: number): void {
    this.#note(`daemon ${node} comes`);
    this.#group.join(node);
    this.#daemons.add(node);
    this.#tellQuorum();
  }

  #heal(): void {
    this.#note('the network heals');
    this.#cutOff.clear();
    this.#group.heal();
    this.#tellQuorum();
  }

  #administrate(client: RandomClient): void {
    // A table is changed while all are there.
    if (client.stage === 'active') client.suspend();
    else if (!this.#whole) return;
    else if (client.stage === 'none') client.construct(this.#text);
    else if (this.#prng.chance(0.2)) client.remove();
    else client.resume();
  }

  #use(client: RandomClient): void {
    const what = this.#prng.pick(['write', 'write', 'write', 'clear', 'recover', 'recover']);
    if (what === 'write') this.#write(client);
    else if (what === 'clear') this.#clear(client);
    else if (client.copying < 0) this.#askForWork(client);
    else if (this.#prng.chance(0.5)) this.#endCopy(client);
  }

  #write(client: RandomClient): void {
    const region = this.#prng.pick([0, 1, 2, 63, 64, 65, 127, 128].filter((one) => one < this.#regions));
    client.write(region, () => {
      this.#note(`${client.node} writes ${region}`);
      for (const other of this.#clients.values()) {
        if (other.copying === region)
          throw new Error(`R4: ${client.node} writes ${region}, which ${other.node} copies`);
      }
    });
  }

  #clear(client: RandomClient): void {
    if (client.writing.size === 0) return;
    const region = this.#prng.pick([...client.writing]);
    this.#note(`${client.node} clears ${region}`);
    client.clear([region]);
  }

  #askForWork(client: RandomClient): void {
    client.askForWork(() => {
      const region = client.copying;
      this.#note(`${client.node} copies ${region}`);
      for (const other of this.#clients.values()) {
        if (other === client) continue;
        if (other.copying === region) throw new Error(`R6: ${other.node} copies ${region} too`);
        if (other.writing.has(region))
          throw new Error(`R4: ${client.node} copies ${region}, which ${other.node} writes`);
      }
    });
  }

  #endCopy(client: RandomClient): void {
    const spoilt = client.copySpoilt;
    const region = client.endCopy();
    this.#note(`${client.node} has copied ${region}${spoilt ? ', which a dead write has spoilt' : ''}`);
    if (!spoilt) this.#differ.delete(region);
  }

  /** Corosync counts hosts, not daemons. */
  #tellQuorum(): void {
    for (const node of this.#daemons) {
      const cut = this.#cutOff.has(node);
      const side = nodes.filter((other) => this.#client(other).up && this.#cutOff.has(other) === cut);
      this.#group.quorum(side.length * 2 > nodes.length, [node]);
    }
  }

  #turns(): void {
    for (const node of nodes) this.#group.host(node).settle();
    for (const client of this.#clients.values()) client.poll();
  }

  #calm(): void {
    for (let left = 3000; left > 0; left--) {
      this.#turns();
      if (this.#group.stepOfAny((senders) => this.#prng.below(senders))) continue;
      this.#turns();
      if (this.#group.next === undefined) return;
    }
    throw new Error('the group does not come to rest');
  }

  /** Every fault ends. */
  #mendAll(): void {
    this.#note('everything is mended');
    if (this.#cutOff.size > 0) this.#heal();
    for (const client of this.#clients.values()) {
      if (!client.up) this.#boot(client);
      else if (!this.#daemons.has(client.node)) this.#bringDaemon(client.node);
    }
    this.#tellQuorum();
    this.#calm();
    for (let round = 0; round < 3; round++) {
      for (const node of nodes) this.#group.host(node).wait(5000);
      this.#calm();
    }
    this.#check();
  }

  /** Every kernel goes on to its end, and the mirror is made whole. */
  #finish(): void {
    const whole = () =>
      this.#followers().every((node) => this.#group.host(node).state(mirrorA).map.syncCount === this.#regions);
    // Of each region two rounds: work and its end.
    for (let left = 3 * this.#regions + 40; left > 0 && !(whole() && this.#atRest()); left--) {
      for (const client of this.#clients.values()) {
        if (!client.idle) continue;
        client.clear([...client.writing]);
        if (client.copying >= 0) this.#endCopy(client);
        else this.#askForWork(client);
      }
      this.#calm();
      this.#check();
      for (const node of nodes) this.#group.host(node).wait(100);
    }
    for (const client of this.#clients.values()) {
      if (client.waitsFor !== null) throw new Error(`the kernel of ${client.node} waits for ever: ${client.waitsFor}`);
    }
    for (const node of this.#followers()) {
      const { map } = this.#group.host(node).state(mirrorA);
      const left = this.#regions - map.syncCount;
      if (left > 0) throw new Error(`${left} regions are never recovered, as ${node} knows them`);
    }
  }

  #atRest(): boolean {
    return [...this.#clients.values()].every((client) => client.waitsFor === null && client.copying < 0);
  }

  #check(): void {
    for (const node of this.#followers()) this.#checkSafe(node);
    for (const side of [true, false]) {
      const [first, ...others] = this.#followers().filter((node) => this.#cutOff.has(node) === side);
      if (first === undefined) continue;
      const seen = this.#seenBy(first);
      for (const other of others) {
        const differs = this.#seenBy(other).map((text, i) => (text === seen[i] ? '' : `${seen[i]} and ${text}`));
        const said = differs.filter((text) => text !== '');
        if (said.length > 0) throw new Error(`${first} and ${other} disagree: ${said.slice(0, 4).join('; ')}`);
      }
    }
  }

  /** Nodes whose kernel uses the log and whose copy of it counts. */
  #followers(): number[] {
    return nodes.filter((node) => {
      const { cluster } = this.#group.host(node).service;
      if (!this.#daemons.has(node) || cluster === null || cluster.exchanging) return false;
      if (!['active', 'suspending'].includes(this.#client(node).stage)) return false;
      const member = cluster.tables.get(mirrorA.uuid)?.members.find((one) => one.node === node);
      return member?.valid === true && this.#group.host(node).log(mirrorA).replica?.following === true;
    });
  }

  /** What may differ is not clean, and what a kernel of this side of the network writes is not either. */
  #checkSafe(node: number): void {
    const { map } = this.#group.host(node).state(mirrorA);
    const onDisk = this.#text.includes('disk');
    const clean = (region: number) => (onDisk ? this.#device.isCleanOnDisk(region) : map.isClean(region));
    for (const region of this.#differ) {
      if (clean(region)) throw new Error(`region ${region} may differ and is clean on ${node}`);
    }
    for (const client of this.#clients.values()) {
      if (!client.up || this.#cutOff.has(node)) continue;
      for (const region of client.writing) {
        if (clean(region)) throw new Error(`region ${region}, which ${client.node} writes, is clean on ${node}`);
      }
    }
  }

  /** All that the nodes must agree on. */
  #seenBy(node: number): string[] {
    const log = this.#group.host(node).log(mirrorA);
    const { map, owners, recoveringRegion, recoveringNode, recoveryDoubted, searchPosition, logFailed } = log.state;
    const recoverer = recoveringNode < 0 ? node : recoveringNode;
    const seen = [
      recoveringRegion < 0
        ? 'no recovery'
        : `recovery of ${recoveringRegion} by ${recoverer}, doubted: ${recoveryDoubted}`,
      `search at ${searchPosition}`,
      `log device failed: ${logFailed}`,
      `generation ${log.life.store?.generation ?? 0}`,
    ];
    for (let region = 0; region < this.#regions; region++) {
      const owned = nodes.filter((owner) => owners.has(owner, region));
      seen.push(`region ${region} clean ${map.isClean(region)} in sync ${map.isInSync(region)} owners ${owned}`);
    }
    return seen;
  }
}

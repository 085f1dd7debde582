/** Every fault that a host of a random run, its daemon, its records, its log devices and its network can have. */
import type { Prng } from '../../ts/sim/prng.js';
import { mirrorA } from './host.js';
import type { RandomClient } from './random-client.js';
import type { RandomHosts } from './random-hosts.js';

const eio = 5;
/** Of a write that fails, bytes that land all the same: none, the header, header and session, and bits behind them. */
const tornBytes = [0, 512, 1024, 1536];
/** Longer than a log is kept that no table names. */
const unnamedMs = 6000;

export class RandomFaults {
  readonly #prng: Prng;
  readonly #hosts: RandomHosts;
  /** Whose records were lost, and what it has nobody may know yet. */
  readonly #forgetful = new Set<RandomClient>();

  constructor(prng: Prng, hosts: RandomHosts) {
    this.#prng = prng;
    this.#hosts = hosts;
  }

  /** One more; `client` is the kernel of a host that has power. */
  strike(client: RandomClient): void {
    const { node } = client;
    const here = this.#hosts.group.isMember(node);
    const usual = [
      ...Array<string>(3).fill('kill'),
      ...Array<string>(5).fill('return'),
      ...Array<string>(2).fill('split'),
      ...Array<string>(3).fill('heal'),
      ...Array<string>(2).fill('power'),
      ...Array<string>(2).fill('path'),
    ];
    switch (this.#prng.pick([...usual, 'kill all', 'lose', 'ahead', 'forget', 'device', 'resend', 'look'])) {
      case 'kill':
        if (here) this.#kill(client);
        break;
      case 'kill all':
        for (const each of this.#hosts.clients) if (this.#hosts.group.isMember(each.node)) this.#kill(each);
        break;
      case 'forget':
        if (here && this.#mayForget(client)) this.#forget(client);
        break;
      case 'return':
        if (!here) this.#hosts.bringDaemon(node);
        break;
      case 'split':
        this.#hosts.rewire(this.#prng.pick([2, 2, 2, 3]));
        break;
      case 'heal':
        this.#hosts.rewire(1);
        break;
      case 'power':
        if (this.#mayDie(node)) this.#cutPower(client);
        break;
      case 'lose':
        if (here) this.#loseGroup(node);
        break;
      case 'ahead':
        if (here) this.#goAhead(client);
        break;
      case 'device':
        this.#turnDevice(this.#prng.pick(['/dev/log', '/dev/two']));
        break;
      case 'path':
        this.#turnPaths(node);
        break;
      case 'resend':
        client.askAgain();
        break;
      case 'look':
        this.#hosts.group.host(node).nowMs += unnamedMs;
        this.#hosts.lookAtTables(client);
        break;
    }
  }

  /** A host without power comes back, or somebody is told that it is dead. */
  bringBack(client: RandomClient): void {
    const { node } = client;
    if (this.#prng.chance(0.7)) return;
    if (this.#prng.chance(0.5)) this.#confirmDeath(node);
    else if (this.#hosts.allUsersHere(node)) this.#hosts.boot(client);
  }

  /** Fencing is by who has quorum. A host whose daemon is away, and of which only the dead one knew, nobody can help. */
  #confirmDeath(node: number): void {
    const witness = this.#prng.pick(this.#hosts.nodes);
    const { service, nowMs } = this.#hosts.group.host(witness);
    const may = this.#hosts.group.isMember(witness) && service.cluster?.orderedQuorate === true;
    if (!may || !this.#knowsAllUsers(witness) || !this.#hosts.unconfirmed.delete(node)) return;
    this.#hosts.note(`${node} is confirmed dead by ${witness}`);
    service.confirmDead(node, null, nowMs);
  }

  #knowsAllUsers(node: number): boolean {
    const { group, clients } = this.#hosts;
    const members = group.host(node).service.cluster?.tables.get(mirrorA.uuid)?.members ?? [];
    const away = clients.filter((client) => client.up && client.hasLog && !group.isMember(client.node));
    return away.every((client) => client.stage === 'suspended' || members.some((one) => one.node === client.node));
  }

  #kill(client: RandomClient): void {
    this.#hosts.note(`daemon ${client.node} is killed`);
    if (this.#prng.chance(0.5)) this.#hosts.endOperations(client.node);
    this.#hosts.group.killDaemon(client.node);
    client.askAgain();
  }

  /** Where nobody is left who knows the log, nothing can help it. */
  #mayForget(client: RandomClient): boolean {
    const followed = this.#hosts.book.followers().some(({ node }) => node !== client.node);
    const rests = client.waitsFor === null && ['active', 'suspended'].includes(client.stage);
    return this.#hosts.allUsersHere(client.node) && followed && rests && client.up && client.nextText === null;
  }

  /** The daemon is started anew and finds no record, though its kernel goes on. */
  #forget(client: RandomClient): void {
    const { group } = this.#hosts;
    this.#hosts.note(`daemon ${client.node} is killed, and its records are lost`);
    this.#hosts.endOperations(client.node);
    group.part(client.node, 'process-down');
    group.host(client.node).powerCut(false);
    this.#hosts.bringDaemon(client.node);
    client.askAgain();
    this.#forgetful.add(client);
    // Sometimes they tell it who has the log before anything else happens.
    if (this.#prng.chance(0.3)) this.#hosts.calm();
  }

  /** The kernel of somebody goes on without a record; only others know that. */
  get #someForgot(): boolean {
    for (const client of this.#forgetful) {
      const member = client.hasLog ? this.#hosts.book.memberOf(client) : undefined;
      if (!client.up || !client.hasLog || member?.settled === true) this.#forgetful.delete(client);
    }
    return this.#forgetful.size > 0;
  }

  /** Its cluster service is started anew, or gone. */
  #loseGroup(node: number): void {
    this.#hosts.note(`${node} loses its group`);
    const reason = this.#prng.pick(['process-down', 'node-down'] as const);
    if (this.#prng.chance(0.5)) this.#hosts.endOperations(node);
    this.#hosts.group.loseGroup(node, reason);
    if (reason === 'node-down') {
      this.#hosts.serviceless.add(node);
      this.#hosts.serviceEnds(node);
    }
    this.#hosts.tellQuorum();
  }

  /** It hears some messages before all others, and is gone before they do. */
  #goAhead(client: RandomClient): void {
    const { node } = client;
    this.#hosts.note(`${node} is ahead of the others`);
    this.#hosts.group.stepAhead(node, this.#prng.between(1, 4), (senders) => this.#prng.below(senders));
    this.#hosts.turn(node);
    for (const each of this.#hosts.clients) each.poll();
    if (this.#prng.chance(0.5) && this.#mayDie(node)) this.#cutPower(client);
    else this.#loseGroup(node);
  }

  /** Those who go on without it have quorum; sometimes nobody goes on. */
  #mayDie(node: number): boolean {
    if (this.#someForgot) return false;
    return this.#hosts.isMajority(this.#hosts.hostsBeside(node) - 1) || this.#prng.chance(0.2);
  }

  #cutPower(client: RandomClient): void {
    const { node } = client;
    this.#hosts.note(`${node} loses its power`);
    if (this.#prng.chance(0.5)) this.#hosts.endOperations(node);
    this.#hosts.book.dies(client);
    this.#hosts.group.cutPower(node);
    client.die();
    this.#hosts.serviceless.delete(node);
    this.#hosts.serviceEnds(node);
    this.#hosts.unconfirmed.add(node);
    this.#hosts.tellQuorum();
  }

  #turnDevice(name: string): void {
    const errno = this.#prng.chance(0.3) ? eio : 0;
    const torn = errno === 0 ? 0 : this.#prng.pick(tornBytes);
    for (const disks of this.#hosts.paths.values())
      Object.assign(disks.get(name) ?? {}, { writeErrno: errno, tornBytes: torn });
    this.#hosts.note(`writes of ${name} ${errno === 0 ? 'work' : 'fail'}`);
  }

  #turnPaths(node: number): void {
    for (const [name, disk] of this.#hosts.paths.get(node) ?? []) {
      if (this.#prng.chance(0.5)) continue;
      const fails = this.#prng.pick(['nothing', 'nothing', 'open', 'read', 'write']);
      disk.openErrno = fails === 'open' ? eio : 0;
      disk.readErrno = fails === 'read' ? eio : 0;
      disk.writeErrno = fails === 'write' ? eio : 0;
      disk.tornBytes = fails === 'write' ? this.#prng.pick(tornBytes) : 0;
      this.#hosts.note(`on the path of ${node} to ${name} fails ${fails}`);
    }
  }
}

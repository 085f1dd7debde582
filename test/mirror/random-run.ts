/**
 * Some hosts with one log, whose messages, requests and faults come in an order that a seed draws. Messages of different senders
 * overtake one another at will, which the simulator's network does rarely, and administrators convert the log meanwhile.
 */
import { Prng } from '../../ts/sim/prng.js';
import { mirrorA } from './host.js';
import { deviceOf, type RandomClient } from './random-client.js';
import { RandomFaults } from './random-faults.js';
import { RandomHosts } from './random-hosts.js';

const stepsMax = 200;
const kinds = ['clustered-core', 'clustered-disk /dev/log', 'clustered-disk /dev/two'];

export class RandomRun {
  /** What happened, for the reader of a failure. */
  readonly journal: string[] = [];
  readonly #prng: Prng;
  readonly #hosts: RandomHosts;
  readonly #faults: RandomFaults;
  /** What the administrators of all hosts load next. */
  #kind: string;

  constructor(seed: number) {
    const prng = new Prng(seed);
    this.#prng = prng;
    this.#kind = prng.pick(kinds);
    const words = prng.pick(['', ' nosync']);
    this.#hosts = new RandomHosts(prng, this.journal, (regions) => textOf(regions, this.#kind, words));
    this.#faults = new RandomFaults(prng, this.#hosts);
  }

  /** Throws what is wrong. */
  run(): void {
    for (let step = 0; step < stepsMax; step++) {
      this.#act();
      if (this.#prng.chance(0.5)) this.#hosts.turns();
      this.#hosts.book.check();
    }
    this.#hosts.mendAll();
    this.#finish();
  }

  #act(): void {
    const client = this.#prng.pick(this.#hosts.clients);
    const what = this.#prng.pick([
      ...Array<string>(8).fill('deliver'),
      ...Array<string>(4).fill('fault'),
      ...Array<string>(2).fill('administrate'),
      ...Array<string>(6).fill('use'),
    ]);
    if (what === 'deliver') this.#hosts.deliverSome();
    else if (!client.up) this.#faults.bringBack(client);
    else if (what === 'fault') this.#faults.strike(client);
    else if (what === 'administrate') {
      // Nobody changes tables while he cannot see both hosts.
      if (!this.#hosts.book.parted) this.#administrate(client);
    } else if (client.idle) this.#use(client);
  }

  #administrate(client: RandomClient): void {
    const what = this.#prng.pick(['convert', 'suspend all', ...Array<string>(12).fill('one')]);
    if (what === 'convert') {
      this.#kind = this.#prng.pick(kinds);
      this.#hosts.note(`the next table: ${this.#kind}`);
    } else if (what === 'suspend all') {
      for (const each of this.#hosts.clients) each.suspend();
    } else if (client.stage === 'active' || client.stage === 'stalled') {
      this.#changeActive(client);
    } else if (this.#prng.chance(0.02)) {
      client.remove();
    } else if (!this.#prng.chance(0.1) || !this.#resumeUnheard(client)) {
      this.#resume(client);
    }
  }

  #resumeUnheard(client: RandomClient): boolean {
    if (client.stage !== 'suspended' || !this.#mayResume(client)) return false;
    if (!this.#isOnlyDevice(client, client.nextText ?? client.text)) return false;
    client.losesDestroy = this.#prng.chance(0.3);
    this.#hosts.note(`${client.node} resumes unheard`);
    return client.resumeUnheard(() => this.#begins(client));
  }

  #changeActive(client: RandomClient): void {
    const { node } = client;
    const loaded = client.nextText !== null;
    if (!loaded && this.#prng.chance(0.2)) {
      if (client.loadBehind(textOf(this.#hosts.regions, this.#kind, ' nosync')))
        this.#hosts.note(`${node} has ${this.#kind} loaded`);
    } else if (loaded && this.#prng.chance(0.1)) {
      this.#hosts.note(`${node} clears its loaded table`);
      client.clearNext(this.#prng.chance(0.7));
    } else {
      this.#suspend(client, this.#prng.pick(['unheard', 'half heard', ...Array<string>(5).fill('heard')]));
    }
  }

  #suspend(client: RandomClient, how: string): void {
    if (this.#prng.chance(0.5)) return;
    if (how === 'unheard') client.suspendUnheard();
    else if (how === 'half heard') client.suspendHalfHeard();
    else client.suspend();
    this.#hosts.note(`${client.node} suspends ${how}: ${client.stage}`);
  }

  /** With a new table where its log is of another kind than the administrators want, and sometimes where it is not. */
  #resume(client: RandomClient): void {
    const { node } = client;
    if (!['none', 'suspended'].includes(client.stage) || client.waitsFor !== null) return;
    if (!this.#mayResume(client)) return;
    const loads = !client.text.includes(` ${this.#kind} 8`) || !client.hasLog || this.#prng.chance(0.3);
    const text =
      client.nextText ?? (loads ? textOf(this.#hosts.regions, this.#kind, client.used ? ' nosync' : '') : client.text);
    if (!this.#isOnlyDevice(client, text)) return;
    client.losesDestroy = this.#prng.chance(0.1);
    if (client.nextText !== null) {
      this.#hosts.note(`${node} takes its loaded table`);
      client.takeNext();
    } else if (loads) {
      if (!this.#hosts.devicesRest) return;
      this.#hosts.note(`${node} loads ${this.#kind}`);
      // Who has used it says that it is in sync: only the log knows better.
      if (!client.load(text)) return;
    }
    this.#hosts.note(`${node} resumes`);
    client.resume(this.#prng.chance(0.3));
  }

  /** Its daemon can know of every kernel that has the log in use: else nobody could say that it is not alone with it. */
  #mayResume({ node, hasLog }: RandomClient): boolean {
    const { cluster } = this.#hosts.group.host(node).service;
    if (this.#hosts.hasMet(node) && this.#hosts.allUsersHere(node)) return true;
    const members = cluster?.tables.get(mirrorA.uuid)?.members ?? [];
    const users = this.#hosts.clients.filter((other) => other.node !== node && other.up && other.hasLog);
    return (
      hasLog && users.every((other) => other.stage === 'suspended' || members.some((one) => one.node === other.node))
    );
  }

  /** Nobody uses the log with another log device: no node could know that. */
  #isOnlyDevice(client: RandomClient, text: string): boolean {
    const device = deviceOf(text);
    if (device === null) return true;
    const users = this.#hosts.clients.filter(({ stage }) => stage !== 'none' && stage !== 'suspended');
    return users.every((other) => other === client || [null, device].includes(deviceOf(other.text)));
  }

  #use(client: RandomClient): void {
    const what = this.#prng.pick([
      ...Array<string>(11).fill('write'),
      ...Array<string>(5).fill('clear'),
      ...Array<string>(9).fill('recover'),
      'fail',
    ]);
    if (what === 'write') this.#write(client);
    else if (what === 'clear') this.#clear(client);
    else if (what === 'fail') this.#failLeg(client);
    else if (client.copying < 0) this.#askForWork(client);
    else if (this.#prng.chance(0.5)) this.#endCopy(client);
  }

  #write(client: RandomClient): void {
    const region = this.#prng.pick([0, 1, 2, 63, 64, 65, 127, 128].filter((one) => one < this.#hosts.regions));
    client.write(
      region,
      () => {
        this.#hosts.note(`${client.node} writes ${region}`);
        this.#hosts.book.writes(client, region);
      },
      () => {
        this.#hosts.note(`${client.node} writes ${region} without a mark`);
        this.#hosts.book.spoils(region);
      },
    );
  }

  #clear(client: RandomClient): void {
    if (client.writing.size === 0) return;
    const region = this.#prng.pick([...client.writing]);
    this.#hosts.note(`${client.node} clears ${region}`);
    client.clear([region]);
  }

  #failLeg(client: RandomClient): void {
    if (client.writing.size === 0) return;
    const region = this.#prng.pick([...client.writing]);
    this.#hosts.note(`a write of ${client.node} to ${region} fails on one leg`);
    this.#hosts.book.spoils(region);
    client.legFails(region);
  }

  #askForWork(client: RandomClient): void {
    client.askForWork(() => this.#begins(client));
  }

  #begins(client: RandomClient): void {
    this.#hosts.note(`${client.node} copies ${client.copying}`);
    this.#hosts.book.copies(client);
  }

  #endCopy(client: RandomClient): void {
    const spoilt = client.copySpoilt;
    const region = client.endCopy();
    this.#hosts.note(`${client.node} has copied ${region}${spoilt ? ', which was written meanwhile' : ''}`);
    this.#hosts.book.hasCopied(client, region, spoilt);
  }

  /** Every kernel goes on to its end, administrators load the last table everywhere, and the mirror is made whole. */
  #finish(): void {
    for (let round = 0; round < 3; round++) {
      this.#recoverAll();
      for (const client of this.#hosts.clients) client.suspend();
      this.#hosts.calm();
      this.#hosts.wait();
      for (const client of this.#hosts.clients) {
        if (client.stage !== 'suspended' || client.waitsFor !== null || !client.hasLog) continue;
        client.losesDestroy = false;
        client.clearNext(true);
        client.load(textOf(this.#hosts.regions, this.#kind, client.used ? ' nosync' : ''));
        client.resume(false);
        this.#hosts.calm();
      }
      this.#hosts.wait();
      this.#resumeStalled();
    }
    for (let round = 0; round < 5; round++) {
      this.#recoverAll();
      this.#hosts.wait();
      this.#restartRecoveries();
    }
    this.#hosts.book.checkWhole();
  }

  /** Another instance was in use, whose suspend nobody heard. */
  #resumeStalled(): void {
    for (const client of this.#hosts.clients) {
      if (client.stage !== 'stalled') continue;
      client.suspend();
      this.#hosts.calm();
      client.resume(false);
      this.#hosts.calm();
    }
    this.#hosts.wait();
  }

  #recoverAll(): void {
    for (let left = 3 * this.#hosts.regions + 40; left > 0; left--) {
      const busy = this.#hosts.clients.filter(
        (client) => (client.canEndCopy && client.copying >= 0) || (client.idle && client.asksForWork),
      );
      if (busy.length === 0) return;
      for (const client of busy) {
        if (client.copying >= 0) this.#endCopy(client);
        else this.#askForWork(client);
      }
      this.#hosts.calm();
      this.#hosts.book.check();
    }
  }

  /** Daemons suspend and resume a device whose kernel rests though there is something to recover (R11). */
  #restartRecoveries(): void {
    for (const client of this.#hosts.clients) {
      const host = this.#hosts.group.host(client.node);
      if (host.restarts.splice(0).length === 0 || !client.idle || host.log(client.log).recoveryRest === null) continue;
      this.#hosts.note(`the recovery of ${client.node} is restarted`);
      client.suspend();
      this.#hosts.calm();
      client.resume(false);
      this.#hosts.calm();
    }
  }
}

function textOf(regions: number, kind: string, words: string): string {
  return `${regions * 8} ${kind} 8${words}`;
}

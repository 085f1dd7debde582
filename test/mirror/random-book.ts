/**
 * What a random run knows of a mirror whose legs are not there: the regions in which they may differ, by what the kernels did to
 * them. And what must hold of the logs on account of it, on every node at every step.
 */
import type { Member, MemberTable } from '../../ts/mirror/member-table.js';
import type { MirrorLog } from '../../ts/mirror/mirror-log.js';
import type { Group } from './cluster-host.js';
import { mirrorA, type TestDisk } from './host.js';
import type { RandomClient } from './random-client.js';

export class RandomBook {
  /** Regions whose legs may differ: none of them may be clean. */
  readonly differ = new Set<number>();
  readonly #group: Group;
  readonly #clients: readonly RandomClient[];
  readonly #deviceOf: (text: string) => TestDisk | null;
  readonly #regions: number;
  /** Both of two hosts go on, each by itself: what must hold of them together does not before they have met. */
  parted = false;
  /** Regions that either has written or copied since, and who. */
  readonly #written = new Map<number, Set<number>>();
  readonly #copied = new Map<number, Set<number>>();

  /** `deviceOf`: the log device that a table names; null: none. */
  constructor(
    group: Group,
    clients: readonly RandomClient[],
    deviceOf: (text: string) => TestDisk | null,
    regions: number,
  ) {
    this.#group = group;
    this.#clients = clients;
    this.#deviceOf = deviceOf;
    this.#regions = regions;
  }

  /** The network breaks between two hosts that both may go on. */
  part(): void {
    if (this.#clients.some(({ hasLog }) => !hasLog)) return;
    this.parted = true;
    for (const client of this.#clients) {
      for (const region of client.writing) by(this.#written, region).add(client.node);
      if (client.copying >= 0) by(this.#copied, client.copying).add(client.node);
    }
  }

  /** Who began a copy apart from the other, who may write there: its end says nothing. */
  readonly #copiesApart = new Set<RandomClient>();

  /** They have heard of each other. What the one has copied the other may have written meanwhile. */
  meet(): void {
    this.parted = false;
    this.#spoilShared();
    for (const client of this.#clients) if (client.copying >= 0) this.#copiesApart.add(client);
    this.#written.clear();
    this.#copied.clear();
  }

  #spoilShared(): void {
    for (const [region, copiers] of this.#copied) {
      const writers = by(this.#written, region);
      if ([...writers].some((writer) => [...copiers].some((copier) => copier !== writer))) this.spoils(region);
    }
  }

  /** A write that has left no mark, or has died under way. */
  spoils(region: number): void {
    this.differ.add(region);
    for (const client of this.#clients) if (client.copying === region) client.copySpoilt = true;
  }

  /** The host of that kernel loses its power. */
  dies(client: RandomClient): void {
    for (const region of client.writing) this.spoils(region);
    if (client.copying >= 0) this.differ.add(client.copying);
    if (!this.parted) return;
    // What the other copies from here on it does not write.
    this.#spoilShared();
    for (const nodes of [...this.#written.values(), ...this.#copied.values()]) nodes.delete(client.node);
  }

  /** A write may be under way. Throws when somebody copies. */
  writes(client: RandomClient, region: number): void {
    if (this.parted) by(this.#written, region).add(client.node);
    else this.#checkWrite(client, region);
  }

  #checkWrite(client: RandomClient, region: number): void {
    for (const other of this.#clients) {
      if (other === client || other.copying !== region) continue;
      if (this.#copiesApart.has(other)) this.spoils(region);
      else throw new Error(`R4: ${client.node} writes ${region}, which ${other.node} copies`);
    }
  }

  /** The kernel was given a region to copy. Throws when somebody is at it. */
  copies(client: RandomClient): void {
    const region = client.copying;
    this.#copiesApart.delete(client);
    if (this.parted) by(this.#copied, region).add(client.node);
    for (const other of this.parted ? [] : this.#clients) {
      if (other === client) continue;
      if (other.copying === region) throw new Error(`R6: ${client.node} copies ${region}, and so does ${other.node}`);
      if (other.writing.has(region)) throw new Error(`R4: ${client.node} copies ${region}, which ${other.node} writes`);
    }
  }

  /** Its copy has gone well. Who writes there without marks may have written meanwhile. */
  hasCopied(client: RandomClient, region: number, spoilt: boolean): void {
    const rests = ['suspended', 'stalled', 'resuming'];
    const writers = this.#clients.filter((other) => other !== client && !rests.includes(other.stage) && !other.quiet);
    if (!spoilt && !writers.some((other) => other.unsynced.has(region))) this.differ.delete(region);
  }

  /** Throws what is wrong with what the nodes know. */
  check(): void {
    if (this.parted) return;
    for (const client of this.followers()) this.#checkSafe(client);
    for (const side of new Set(this.#clients.map(({ node }) => this.#group.sideOf(node)))) {
      const [first, ...others] = this.followers().filter(({ node }) => this.#group.sideOf(node) === side);
      if (first === undefined) continue;
      const seen = this.#seenBy(first);
      for (const other of others) {
        const differs = this.#seenBy(other).map((text, i) => (text === seen[i] ? '' : `${seen[i]} and ${text}`));
        const said = differs.filter((text) => text !== '');
        if (said.length > 0)
          throw new Error(`${first.node} and ${other.node} disagree: ${said.slice(0, 4).join('; ')}`);
      }
    }
  }

  /** The run has ended well: the mirror is whole. */
  checkWhole(): void {
    for (const client of this.#clients) {
      if (client.waitsFor !== null) throw new Error(`the kernel of ${client.node} waits for ever: ${client.waitsFor}`);
    }
    for (const client of this.followers()) {
      if (client.failed) continue;
      const { map } = this.#log(client).state;
      const left = this.#regions - map.syncCount;
      if (left > 0) throw new Error(`${left} regions are never recovered, as ${client.node} knows them`);
      for (const region of this.differ) throw new Error(`region ${region} differs and is in sync on ${client.node}`);
    }
  }

  /** Kernels that use the log, and whose node's copy of it counts. */
  followers(): RandomClient[] {
    return this.#clients.filter((client) => {
      if (!['active', 'suspending'].includes(client.stage) || this.memberOf(client) === undefined) return false;
      return this.#log(client).replica?.following === true;
    });
  }

  #log(client: RandomClient): MirrorLog {
    return this.#group.host(client.node).log(client.log);
  }

  /** Its place, as its own daemon knows it; undefined: that follows nobody. */
  memberOf(client: RandomClient): Member | undefined {
    const { cluster } = this.#group.host(client.node).service;
    if (!this.#group.isMember(client.node) || cluster === null || cluster.exchanging) return undefined;
    return this.#table(client)?.members.find((one) => one.node === client.node && one.valid);
  }

  #table(client: RandomClient): MemberTable | undefined {
    return this.#group.host(client.node).service.cluster?.tables.get(mirrorA.uuid);
  }

  /** What may differ is not clean, and what a kernel writes is not either. */
  #checkSafe(client: RandomClient): void {
    const { node } = client;
    const { map, logFailed } = this.#log(client).state;
    const table = this.#table(client);
    const writer = this.#clients.find((one) => one.node === table?.writer) ?? client;
    // What only an unread device knows is out of sync in a moment.
    const failed = logFailed && table?.deviceAhead !== true;
    const device = failed ? null : this.#deviceOf(client.text) && this.#deviceOf(writer.text);
    const onDevice = (region: number) => device === null || device.isCleanOnDisk(region);
    const quorate = this.#group.host(node).service.cluster?.orderedQuorate === true;
    // Without quorum it cleans nothing, and those on other sides go on.
    for (const region of quorate ? this.differ : []) {
      if (map.isClean(region) && onDevice(region))
        throw new Error(`region ${region} may differ and is clean on ${node}`);
    }
    // Of a member that is on its way in, not all may know yet what it writes; a device knows.
    const settled = table?.members.every((member) => member.settled) ?? true;
    for (const other of this.#clients) {
      // Without quorum it knows of those whom it has met.
      const met = table?.members.some((member) => member.node === other.node && member.present) ?? false;
      if (!other.up || (!quorate && !met)) continue;
      for (const region of other.writing) {
        if ((settled && map.isClean(region)) || (device !== null && onDevice(region)))
          throw new Error(`region ${region}, which ${other.node} writes, is clean on ${node}`);
      }
    }
  }

  /** All that the nodes must agree on. */
  #seenBy(client: RandomClient): string[] {
    const log = this.#log(client);
    const { map, owners, recoveringRegion, recoveringNode, recoveryDoubted, searchPosition } = log.state;
    const recoverer = recoveringNode < 0 ? client.node : recoveringNode;
    const seen = [
      recoveringRegion < 0
        ? 'no recovery'
        : `recovery of ${recoveringRegion} by ${recoverer}, doubted: ${recoveryDoubted}`,
      `search at ${searchPosition}`,
      `generation ${log.life.store?.generation ?? 0}`,
    ];
    for (let region = 0; region < this.#regions; region++) {
      const owned = this.#clients.map(({ node }) => node).filter((owner) => owners.has(owner, region));
      seen.push(`region ${region} clean ${map.isClean(region)} in sync ${map.isInSync(region)} owners ${owned}`);
    }
    return seen;
  }
}

function by(nodes: Map<number, Set<number>>, region: number): Set<number> {
  const before = nodes.get(region) ?? new Set();
  nodes.set(region, before);
  return before;
}

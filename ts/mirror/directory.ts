/**
 * The member tables of all logs in the cluster, also of those that this node does not have: so at the delivery of a `join` every
 * node agrees whether somebody has the log already. Pure; cluster.ts says when.
 */
import { bootKey } from './boot-key.js';
import {
  addMember,
  anyValid,
  chooseWriter,
  decide,
  emptyTable,
  type Member,
  type MemberTable,
  memberOf,
  newMember,
  removeMember,
  vacate,
} from './member-table.js';

/** What a joining node says of the log. */
export interface JoinFacts {
  readonly node: number;
  readonly name: string;
  readonly boot: string;
  readonly regionCount: number;
  readonly regionSizeSectors: number;
  readonly disk: boolean;
  /** R3: what its kernel holds is not known. */
  readonly marksUnknown: boolean;
}

export class Directory {
  readonly tables = new Map<string, MemberTable>();

  tableOf(uuid: string): MemberTable {
    let table = this.tables.get(uuid);
    if (table === undefined) {
      table = emptyTable(uuid);
      this.tables.set(uuid, table);
    }
    return table;
  }

  /** False: the members have a log of another size or kind. */
  join(uuid: string, facts: JoinFacts): boolean {
    const table = this.tableOf(uuid);
    const { regionCount, regionSizeSectors, disk } = facts;
    if (table.members.length === 0) Object.assign(table, { regionCount, regionSizeSectors, disk });
    const same = table.regionCount === regionCount && table.regionSizeSectors === regionSizeSectors;
    if (!same || table.disk !== disk) return false;
    const before = memberOf(table, facts.node);
    const member = newMember(facts.node, facts.name, facts.boot, before?.stage ?? 'joining');
    member.settled = !facts.marksUnknown && (before?.settled ?? true);
    if (table.writer === facts.node && before !== undefined) vacate(table, false);
    addMember(table, member);
    changed(table);
    return true;
  }

  /** Flag 1: its kernel's marks are known; 2: its kernel is resumed by this. True when the node is a member. */
  ready(uuid: string, node: number, flag: number): boolean {
    const table = this.tables.get(uuid);
    const member = memberOf(table, node);
    if (table === undefined || member === undefined) return false;
    if ((flag & 2) === 2) member.stage = 'active';
    member.valid = true;
    member.settled = (flag & 1) === 1;
    changed(table);
    return true;
  }

  halt(uuid: string, node: number): boolean {
    const table = this.tables.get(uuid);
    const member = memberOf(table, node);
    if (table === undefined || member === undefined) return false;
    member.stage = 'halted';
    changed(table);
    return true;
  }

  /** The member that left, as it was; undefined when it was none. */
  leave(uuid: string, node: number): Member | undefined {
    const table = this.tables.get(uuid);
    const member = memberOf(table, node);
    if (table === undefined || member === undefined) return undefined;
    removeMember(table, node, false);
    if (table.members.length === 0) table.lastLeaver = node;
    changed(table);
    return member;
  }

  /** The writer of this epoch has written the device: what a dead one before it left there is known. True when that is news. */
  durable(uuid: string, node: number, epoch: number): boolean {
    const table = this.tables.get(uuid);
    if (table === undefined || !table.writerDied || table.writer !== node || table.epoch !== epoch) return false;
    table.writerDied = false;
    changed(table);
    return true;
  }

  /** Takes a dead node off every table it is in; returns those with the member as it was. */
  died(node: number, boot: string): { readonly uuid: string; readonly member: Member }[] {
    const found: { uuid: string; member: Member }[] = [];
    for (const table of this.tables.values()) {
      const member = memberOf(table, node);
      if (member === undefined || member.boot !== boot) continue;
      if (!anyValid(table) && member.stage !== 'joining') table.doubt = true;
      removeMember(table, node, true);
      decide(table);
      changed(table);
      found.push({ uuid: table.uuid, member });
    }
    return found;
  }

  /** The daemon of a member is not in the group any more. Returns the logs whose tables that changed. */
  absent(node: number, bootId: string, daemonOnly: boolean): string[] {
    const boot = bootKey(bootId);
    const uuids: string[] = [];
    for (const table of this.tables.values()) {
      const member = memberOf(table, node);
      if (member === undefined || member.boot !== boot || !member.present) continue;
      member.present = false;
      member.valid = false;
      if (daemonOnly && table.writer === node) vacate(table, false);
      changed(table);
      uuids.push(table.uuid);
    }
    return uuids;
  }
}

function changed(table: MemberTable): void {
  chooseWriter(table);
  table.generation += 1;
}

/**
 * The member tables of all logs in the cluster, also of those that this node does not have: so at the delivery of a `join` every
 * node agrees whether somebody has the log already. Pure; cluster.ts says when.
 */
import type { Departure, GroupMember } from '../base/group-view.js';
import { leftLogsMax, membersMax } from '../base/limits.js';
import { bootKey } from './boot-key.js';
import {
  addMember,
  anyValid,
  chooseWriter,
  decide,
  emptyTable,
  endBoot,
  hasWriterHere,
  haveCome,
  haveGone,
  isAway,
  isMet,
  isWriter,
  type LogShape,
  leavesDoubt,
  type Member,
  type MemberTable,
  mayHaveGoneOn,
  mayHaveUsed,
  memberOf,
  neverServed,
  newMember,
  quorumLost,
  quorumWon,
  removeMember,
  sameShape,
  tableChanged,
  vacate,
} from './member-table.js';

/** What a joining node says of the log. */
export interface JoinFacts extends Readonly<LogShape> {
  readonly node: number;
  readonly name: string;
  readonly boot: string;
  /** R3: what its kernel holds is not known. */
  readonly marksUnknown: boolean;
}

/** What a leaving node says of the log. */
export interface LeaveFacts {
  /** Regions were out of sync, or will be without it, when it had seen the table of the generation `seen`. */
  readonly outOfSync: boolean;
  readonly seen: number;
  /** ... and had had this many messages that put regions of it out of sync. */
  readonly seenOutOfSync: number;
  /** It was the last, and closed the session of this epoch on its log device; 0: it did not. */
  readonly closedEpoch: number;
  /** Its log device has what it had seen by then. */
  readonly written: boolean;
}

/** A node that was taken off a table. */
export interface Death {
  readonly uuid: string;
  /** As it was. */
  readonly member: Member;
  /** Those who follow may lack what it did. */
  readonly lost: boolean;
}

export class Directory {
  readonly tables = new Map<string, MemberTable>();
  /** Messages of members that put regions out of sync, by log, since daemons have told each other what they know: all count the same. */
  readonly #outOfSync = new Map<string, number>();

  tableOf(uuid: string): MemberTable {
    let table = this.tables.get(uuid);
    if (table === undefined) {
      table = emptyTable(uuid);
      this.tables.set(uuid, table);
    }
    return table;
  }

  /** False: the members have a log of another size or kind, or are too many already. */
  join(uuid: string, facts: JoinFacts): boolean {
    const table = this.tableOf(uuid);
    const { regionCount, regionSizeSectors, disk } = facts;
    if (table.members.length === 0) Object.assign(table, { regionCount, regionSizeSectors, disk });
    if (!sameShape(table, facts)) return false;
    const before = memberOf(table, facts.node);
    if (before === undefined && table.members.length >= membersMax) return false;
    // Its state was lost and nobody has a copy (R3): as if nobody had the log, but for what its kernel holds.
    const anew = facts.marksUnknown && !anyValid(table);
    // What it had found out of sync before it left others may have recovered (R10): it writes there without marks.
    const passed = before === undefined && table.lastLeaver !== -1 && table.lastLeaver !== facts.node;
    if (anew && (passed || (before !== undefined && before.stage !== 'joining'))) table.doubt = true;
    const member = newMember(facts.node, facts.name, facts.boot, anew ? 'joining' : (before?.stage ?? 'joining'));
    member.settled = !facts.marksUnknown && (before?.settled ?? true);
    const passesOn = table.writer === facts.node && before !== undefined;
    if (passesOn) vacate(table, false);
    if (before === undefined) haveCome(table, [member]);
    else member.late = before.late;
    addMember(table, member);
    // It was chosen when the last one left, with this on its way.
    if (before?.valid === true && !anyValid(table)) begunAnew(table);
    if (passesOn) chooseWriter(table, facts.node);
    tableChanged(table, before?.valid === true || anyValid(table));
    return true;
  }

  /**
   * Flag 1: its kernel's marks are known; 2: its kernel is resumed by this; 4, 8: see `restrictAll` of the log. True when the node is a member and its copy is one of
   * what the valid members have: whoever it was taken from may have gone since, and somebody else may have begun anew.
   */
  ready(uuid: string, node: number, flag: number, lineage: number): boolean {
    const table = this.tables.get(uuid);
    const member = memberOf(table, node);
    if (table === undefined || member === undefined || lineage !== table.lineage) return false;
    if (lineage === 0 && table.writer !== node) return false;
    if (lineage === 0) begunHere(table);
    table.doubt = false;
    if ((flag & 2) === 2) member.stage = 'active';
    member.valid = true;
    member.settled = (flag & 1) === 1;
    tableChanged(table);
    return true;
  }

  halt(uuid: string, node: number): boolean {
    const table = this.tables.get(uuid);
    const member = memberOf(table, node);
    if (table === undefined || member === undefined) return false;
    member.stage = 'halted';
    tableChanged(table);
    return true;
  }

  /** Nobody else has the log, and its device is to be closed (R9): of several that leave at once each has seen others. */
  hasAlone(uuid: string, node: number): boolean {
    const table = this.tables.get(uuid);
    const [member, other] = table?.members ?? [];
    return table?.disk === true && other === undefined && member?.node === node && member.valid;
  }

  /** The member that left, as it was; undefined when it was none. */
  leave(uuid: string, node: number, { closedEpoch, written, ...said }: LeaveFacts): Member | undefined {
    const unseen = this.outOfSyncOf(uuid) > said.seenOutOfSync;
    const outOfSync = said.outOfSync || unseen;
    const table = this.tables.get(uuid);
    const member = memberOf(table, node);
    if (table === undefined || member === undefined) return undefined;
    removeMember(table, node, false);
    haveGone(table);
    if (!anyValid(table)) {
      if (member.valid) {
        table.lastLeaver = node;
        const missed = table.outOfSyncSince > said.seen || (table.disk && table.writerDied);
        table.leftOutOfSync = outOfSync || missed;
        table.closedEpoch = closedEpoch;
        table.leftWritten = written && !unseen && !missed;
        // What it knew it takes along; those who are away have an older copy. Of one what it marked is in its own, and what was in sync there
        // is so again; of two each may know marks that the other does not.
        const away = table.members.filter((one) => one.stage !== 'joining' || isAway(one));
        // One that may have gone on alone may have copied what this one wrote meanwhile.
        const apart = !table.disk && away.some(mayHaveGoneOn);
        if (apart || away.length > 1 || (away.length === 1 && table.leftOutOfSync)) table.doubt = true;
      }
      // Its daemon was killed on its way out: what its log device has missed is known to nobody.
      else if (outOfSync && member.stage !== 'joining')
        Object.assign(table, { lastLeaver: node, leftOutOfSync: true, closedEpoch: 0, leftWritten: false });
      // What its kernel wrote nobody knew.
      if (!member.settled && member.stage !== 'joining') table.doubt = true;
      begunAnew(table);
    }
    tableChanged(table, member.valid || anyValid(table));
    if (outOfSync || !member.settled) table.outOfSyncSince = table.generation;
    return member;
  }

  /** The writer of this epoch has written the device: what a dead one before it left there is known. True when that is news. */
  durable(uuid: string, node: number, epoch: number): boolean {
    const table = this.tables.get(uuid);
    if (table === undefined || !table.writerDied || table.writer !== node || table.epoch !== epoch) return false;
    table.writerDied = false;
    table.deviceAhead = false;
    tableChanged(table);
    return true;
  }

  /** The writer of this epoch, who does not follow, has written its last. True when that changes the table. */
  retired(uuid: string, node: number, epoch: number): boolean {
    const table = this.tables.get(uuid);
    if (table === undefined || table.writer !== node || table.epoch !== epoch) return false;
    if (memberOf(table, node)?.valid !== false) return false;
    vacate(table, false);
    tableChanged(table);
    return true;
  }

  /** A member has put regions out of sync: who is about to leave may not have heard it. */
  putOutOfSync(uuid: string, node: number): void {
    if (memberOf(this.tables.get(uuid), node) !== undefined) this.#outOfSync.set(uuid, this.outOfSyncOf(uuid) + 1);
  }

  outOfSyncOf(uuid: string): number {
    return this.#outOfSync.get(uuid) ?? 0;
  }

  /**
   * Daemons are about to tell each other what they know. Those who were away may go on by that, of which this node may not hear: where it does
   * not follow it waits for them from now on.
   */
  meets(members: readonly GroupMember[]): void {
    for (const table of this.tables.values()) {
      if (anyValid(table)) continue;
      for (const member of table.members) if (isMet(member, members)) member.needed = true;
    }
  }

  /** Daemons have told each other what they know: they count anew. */
  met(): void {
    this.#outOfSync.clear();
  }

  /** Of too many logs that nobody has the oldest are forgotten, by all alike: when daemons have met they know the same. */
  forgetOldest(): void {
    const left = [...this.tables.values()].filter(({ members }) => members.length === 0);
    if (left.length <= leftLogsMax) return;
    left.sort((a, b) => a.generation - b.generation || (a.uuid < b.uuid ? -1 : 1));
    for (const { uuid } of left.slice(0, left.length - leftLogsMax)) this.tables.delete(uuid);
  }

  /** The members of the group have quorum anew. `denied`: they were without it, and not only untold. Returns the logs of which they may lack what others did. */
  quorumWon(alone: boolean, denied: boolean): string[] {
    return [...this.tables.values()].filter((table) => quorumWon(table, alone, denied)).map(({ uuid }) => uuid);
  }

  /** They have none. */
  quorumLost(): void {
    for (const table of this.tables.values()) quorumLost(table);
  }

  /** Takes a dead node off every table it is in. */
  died(node: number, boot: string): Death[] {
    const found: Death[] = [];
    for (const table of this.tables.values()) {
      const member = memberOf(table, node);
      if (member === undefined || member.boot !== boot) continue;
      const used = mayHaveUsed(member);
      const wentOn = member.unwatched || (member.needed && !hasWriterHere(table));
      const missed = used && wentOn && anyValid(table);
      const lost = missed && !isWriter(table, node);
      if (missed && !lost) table.deviceAhead = true;
      if (leavesDoubt(table, member)) table.doubt = true;
      removeMember(table, node, true);
      haveGone(table);
      if (!anyValid(table)) begunAnew(table);
      // Nobody says it a second time.
      tableChanged(table, true);
      if (used) table.outOfSyncSince = table.generation;
      found.push({ uuid: table.uuid, member, lost });
    }
    return found;
  }

  /** This node has no group: who was about to join may do so without it. */
  groupLost(self: number): void {
    for (const { members } of this.tables.values())
      for (const member of members) if (member.stage === 'joining' && member.node !== self) member.needed = true;
  }

  /** Daemons that are not in the group any more, of one view. Returns the logs whose tables that changed. */
  departed(departures: readonly Departure[]): string[] {
    return [...this.tables.values()].filter((table) => depart(table, departures)).map(({ uuid }) => uuid);
  }
}

/** True when that changed the table. */
function depart(table: MemberTable, departures: readonly Departure[]): boolean {
  const followed: Member[] = [];
  let changes = false;
  let cutOff = false;
  // Nobody is known to follow, as before daemons have said what they know: any of them may have had the log last.
  const unknown = !anyValid(table);
  for (const { member: gone, reason } of departures) {
    const member = memberOf(table, gone.node);
    if (member === undefined || member.boot !== bootKey(gone.bootId) || !member.present) continue;
    if (unknown && member.stage !== 'joining') member.needed = true;
    // What its daemon has opened nobody has open (R8), and what it opens when it is back is of a later epoch.
    if (!mayGoOn(reason) && neverServed(member)) endBoot(table, member.boot);
    if (member.valid) followed.push(member);
    if (mayGoOn(reason)) {
      member.needed = true;
      cutOff = true;
    }
    member.present = false;
    member.valid = false;
    const daemonOnly = reason === 'leave' || reason === 'process-down';
    if (daemonOnly && table.writer === member.node) vacate(table, false);
    changes = true;
  }
  if (!changes) return false;
  // They may go on together.
  if (!anyValid(table)) {
    for (const member of followed) member.needed = true;
    if (cutOff) surmise(table, departures);
  }
  tableChanged(table, followed.length > 0 || anyValid(table));
  return true;
}

/** Its daemon may be well, and have others with it. */
function mayGoOn(reason: Departure['reason']): boolean {
  return reason === 'node-down' || reason === 'unknown';
}

/**
 * Nobody is left who follows. Who was lost together with members may come to the log where they are, and be the only one who has it
 * when those have been booted anew: it is waited for as if it had joined before.
 */
function surmise(table: MemberTable, departures: readonly Departure[]): void {
  for (const { member: gone, reason } of departures) {
    if (!mayGoOn(reason) || memberOf(table, gone.node) !== undefined) continue;
    const member = newMember(gone.node, gone.name, bootKey(gone.bootId), 'joining');
    addMember(table, Object.assign(member, { present: false, needed: true, surmised: true }));
  }
}

/** Of a daemon that has gone while daemons told each other what they know: `said`: it had done so. */
export interface DepartureMeanwhile extends Departure {
  readonly said: boolean;
}

/**
 * The table was made of what daemons said, and these have gone since they were asked: what follows from that (`depart`) was not in
 * what the others had said before. Of one that had not said anything and was not `together` with those whose table counts the next daemon
 * may go on with the writer's role, by its record: so that stays with it.
 */
export function departMeanwhile(
  table: MemberTable,
  together: ReadonlySet<number>,
  departures: readonly DepartureMeanwhile[],
): void {
  let cutOff = false;
  for (const { member: gone, reason, said } of departures) {
    const member = memberOf(table, gone.node);
    if (member === undefined || member.boot !== bootKey(gone.bootId) || member.present) continue;
    if (mayGoOn(reason)) {
      member.needed = true;
      cutOff = true;
    } else if (table.writer === member.node && (said || together.has(member.node))) vacate(table, false);
  }
  if (cutOff && !anyValid(table)) surmise(table, departures);
  chooseWriter(table);
}

/** The first who has the log has it here, where there is quorum: it goes on nowhere else. */
function begunHere(table: MemberTable): void {
  // Whoever loads a log device writes all of it.
  if (table.disk) Object.assign(table, { leftOutOfSync: false, closedEpoch: 0, leftWritten: true });
  table.members = table.members.filter(({ surmised }) => !surmised);
  for (const member of table.members) member.needed = false;
}

/** Nobody is valid any more: what was taken from those who were is worth what it was when it was whole. */
function begunAnew(table: MemberTable): void {
  table.lineage = 0;
  decide(table);
}

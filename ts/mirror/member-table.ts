/**
 * Who has a log, and in which state: one table a log, the same on every daemon of the group. Pure data and pure steps; it is
 * changed at delivered messages and views only (directory.ts, return-merge.ts), never by time.
 *
 * | column  | meaning                                                                                          |
 * | ------- | ------------------------------------------------------------------------------------------------ |
 * | stage   | `joining`: RESUME is not answered yet; `active`; `halted`: between PRESUSPEND and POSTSUSPEND     |
 * | present | its daemon is in the group. One that is not stays in the table until it is known dead (R7)        |
 * | valid   | its copy of the log follows the ordered stream                                                   |
 * | settled | everything that its kernel holds is among the owners. While one is not, nothing is cleaned or recovered (R3, R4) |
 *
 * The *writer* commits a disk log and loads it for the first member (R8). The role is vacant when it left, when only its
 * daemon ended, or when it is known dead; the lowest valid member that is present has it next, in a new epoch.
 */
import type { GroupMember } from '../base/group-view.js';
import { bootKey } from './boot-key.js';

export type Stage = 'joining' | 'active' | 'halted';

/** A boot that has left or died in this epoch, or had the writer's role. */
export interface BootInEpoch {
  readonly boot: string;
  readonly epoch: number;
}

/** Of a member that was not there since all daemons began again, where its name had no room in their records. */
export const unknownName = '?';

export interface Member {
  readonly node: number;
  name: string;
  /** Short form of the boot id (boot-key.ts). */
  readonly boot: string;
  stage: Stage;
  present: boolean;
  valid: boolean;
  settled: boolean;
  /**
   * It is away and may have gone on without those who are here: their copy counts only when this one has returned or is known
   * dead, or when they have quorum, so that it cannot have gone on.
   */
  needed: boolean;
  /**
   * Nobody waits for it, but what it left behind may be more than those know who are here: it was away while no daemon of theirs ran, and
   * may have begun a core log without them, had its record been lost; or those for whom it waited are gone; or it is the writer of a disk log,
   * and they had no quorum.
   */
  unwatched: boolean;
  /** It has not said that it joins: see `surmise` in directory.ts. */
  surmised: boolean;
  /** It is away, and those who follow went on without it, with quorum. Were it to say the same of them, both sides did. */
  passed: boolean;
  /** It came while others were away, who do not know of it. */
  late: boolean;
  /** Of one that has returned: the generation in which its copy was last right, 0: it never was; and how far it had come. */
  rank: number;
  position: number;
}

/** What all members have alike, from the first of them. */
export interface LogShape {
  regionCount: number;
  regionSizeSectors: number;
  disk: boolean;
}

export function sameShape(one: LogShape, other: LogShape): boolean {
  const { regionCount, regionSizeSectors, disk } = other;
  return one.regionCount === regionCount && one.regionSizeSectors === regionSizeSectors && one.disk === disk;
}

export interface MemberTable extends LogShape {
  readonly uuid: string;
  /** Rises with every change while somebody is valid, and by far when they have quorum anew: who is without it never comes so far. */
  generation: number;
  /** The generation in which somebody began to be valid who took no copy of a valid one; 0: nobody is. */
  lineage: number;
  /** In rising order of their nodes. */
  members: Member[];
  /** -1: vacant. */
  writer: number;
  epoch: number;
  /** The device may know marks that nobody else does: of a writer that is known dead, or of one of whom nothing is known. */
  writerDied: boolean;
  /** And of regions that members have marked, too: the copy that counts was older than the device when it was chosen. */
  deviceAhead: boolean;
  /**
   * What the member that is valid next has may lack what others did: one died while nobody was valid and may have gone on alone,
   * members went on without each other, or no copy is whole. Until somebody is ready who has seen to it: those who are valid already may
   * not live to do that.
   */
  doubt: boolean;
  /** Who left last of those that were valid; -1: not known. */
  lastLeaver: number;
  /** Its copy had regions out of sync. */
  leftOutOfSync: boolean;
  /** The epoch of the session that it closed on its log device; 0: it had none, or could not write it. */
  closedEpoch: number;
  /** The log device has all that it knew, also where it was left open since others were members; or who came behind it has written all of it. */
  leftWritten: boolean;
  /** The generation in which a member was gone last that may have left regions out of sync: of an older table nobody can say that none is. */
  outOfSyncSince: number;
  /** Newest last. A log device that one of them did not close, in no later epoch than its own, is nobody's: behind that it may have come back unheard. */
  ended: BootInEpoch[];
  /** The epoch in which one of them ended last, also of those that are forgotten. */
  endedEpoch: number;
  /** In rising order of their epochs, the one of now included. Who has opened the log device since and is not one of them did it unheard. */
  writers: BootInEpoch[];
}

/** What it may have promised stands on the log device, if anywhere. */
export function isWriter(table: MemberTable, node: number): boolean {
  return table.disk && table.writer === node;
}

/** The rank of a member whose daemon knows nothing of the log. */
export const withoutCopy = -1;

/** Ended boots that are remembered of one log. */
const endedMax = 64;
/** The role may pass on as often before somebody has read the device. */
const pastWritersMax = 16;

export function emptyTable(uuid: string): MemberTable {
  return {
    uuid,
    regionCount: 0,
    regionSizeSectors: 0,
    disk: false,
    generation: 0,
    lineage: 0,
    members: [],
    writer: -1,
    epoch: 0,
    writerDied: false,
    deviceAhead: false,
    doubt: false,
    lastLeaver: -1,
    leftOutOfSync: false,
    closedEpoch: 0,
    leftWritten: false,
    outOfSyncSince: 0,
    ended: [],
    endedEpoch: 0,
    writers: [],
  };
}

export function copyTable(table: MemberTable): MemberTable {
  const { ended, writers } = table;
  return {
    ...table,
    ended: [...ended],
    writers: [...writers],
    members: table.members.map((member) => ({ ...member })),
  };
}

/** It has left, or is dead, and has not come back since that anybody heard of. */
export function hasEnded({ ended }: MemberTable, boot: string): boolean {
  return ended.some((one) => one.boot === boot);
}

export function memberOf(table: MemberTable | undefined, node: number): Member | undefined {
  return table?.members.find((member) => member.node === node);
}

export function newMember(node: number, name: string, boot: string, stage: Stage): Member {
  return {
    node,
    name,
    boot,
    stage,
    present: true,
    valid: false,
    settled: true,
    needed: false,
    unwatched: false,
    surmised: false,
    passed: false,
    late: false,
    rank: 0,
    position: 0,
  };
}

/** Adds the member, in place of one of the same node. */
export function addMember(table: MemberTable, member: Member): void {
  table.ended = table.ended.filter(({ boot }) => boot !== member.boot);
  table.members = [...table.members.filter(({ node }) => node !== member.node), member];
  table.members.sort((a, b) => a.node - b.node);
}

/** Sessions of this boot are over, up to this epoch. */
export function endBoot(table: MemberTable, boot: string): void {
  const { ended, epoch } = table;
  table.ended = [...ended.filter((other) => other.boot !== boot), { boot, epoch }].slice(-endedMax);
}

/** Takes the member off. The writer's role is vacant when it had it. */
export function removeMember(table: MemberTable, node: number, died: boolean): void {
  const boot = memberOf(table, node)?.boot;
  if (boot !== undefined) endBoot(table, boot);
  table.endedEpoch = table.epoch;
  table.members = table.members.filter((member) => member.node !== node);
  if (table.writer === node) vacate(table, died);
}

/** It had the log, and is not there; or was about to have it: its last word, that it is let in, it may have heard alone. */
export function isAway({ present, stage, surmised }: Member): boolean {
  return !present && (stage !== 'joining' || !surmised);
}

/** It was away, and is in the group again. */
export function isMet({ node, boot, stage, present }: Member, members: readonly GroupMember[]): boolean {
  if (present || stage === 'joining') return false;
  return members.some((here) => here.node === node && bootKey(here.bootId) === boot);
}

/** These have come. Whoever is away does not know of them; nor of the leave of one that comes again, for whom it waits. */
export function haveCome(table: MemberTable, newcomers: readonly Member[]): void {
  for (const member of newcomers) member.late = table.members.some(isAway) && !hasEnded(table, member.boot);
}

/** Members are none any more. Who is away waits for those whom it knew; when all of them are gone it may go on, and asks nobody who is here. */
export function haveGone({ members }: MemberTable): void {
  const following = members.filter(({ valid }) => valid);
  if (!following.every(({ late }) => late) || following.length === 0) return;
  for (const member of members) if (isAway(member)) member.unwatched = true;
}

/**
 * Those who follow were without quorum: somebody who is away, and asks nobody who is here, may have had it. What he holds nobody knows then before
 * he says it (R4), nor what those did who were with him. What a writer did his device says.
 */
export function losesTrack(table: MemberTable): boolean {
  const unheard = table.members.filter((one) => one.unwatched && isAway(one) && !isWriter(table, one.node));
  for (const member of unheard) member.settled = false;
  return unheard.length > 0;
}

export function vacate(table: MemberTable, died: boolean): void {
  table.writer = -1;
  if (died) table.writerDied = true;
}

/** The member that answers a joining one; -1: nobody can. */
export function providerOf(table: MemberTable, joining: number): number {
  return table.members.find(({ node, present, valid }) => present && valid && node !== joining)?.node ?? -1;
}

export function anyValid(table: MemberTable): boolean {
  return table.members.some(({ valid }) => valid);
}

/** Its kernel has the log in use, or had it: that it was to join is of a record, and what came of that nobody knows. */
export function mayHaveUsed({ stage, needed, unwatched, surmised }: Member): boolean {
  return stage !== 'joining' || unwatched || (needed && !surmised);
}

/** Its RESUME was not answered, and its kernel holds nothing. */
export function neverServed({ stage, settled, needed }: Member): boolean {
  return stage === 'joining' && settled && !needed;
}

/**
 * It is dead, and what it did nobody knows, since nobody follows. Not of the last one of a disk log that was only about to join: if it has
 * the log elsewhere, the device that is loaded next says so.
 */
export function leavesDoubt(table: MemberTable, member: Member): boolean {
  if (anyValid(table) || !mayHaveUsed(member)) return false;
  return !table.disk || table.members.some(({ stage }) => stage !== 'joining');
}

/** Away, and may have gone on alone. */
export function mayHaveGoneOn({ needed, unwatched }: Member): boolean {
  return needed || unwatched;
}

/** Who left last knew of regions out of sync, and the log device has not all of that. */
export function leftUnwritten({ leftOutOfSync, leftWritten }: MemberTable): boolean {
  return leftOutOfSync && !leftWritten;
}

/** Every kernel's marks are among the owners. */
export function allSettled(table: MemberTable): boolean {
  return table.members.every(({ settled }) => settled);
}

export function anyHalted(table: MemberTable): boolean {
  return table.members.some(({ stage }) => stage === 'halted');
}

/**
 * Nobody follows the stream and the log was in use: who begins, when it can be said. Those who were there when the newest record
 * was written must be back or dead, for one of them may have gone on.
 */
export function decide(table: MemberTable): void {
  if (anyValid(table)) return;
  const returned = table.members.filter(
    ({ present, stage, rank }) => present && stage !== 'joining' && rank !== withoutCopy,
  );
  if (returned.length === 0 || table.members.some(({ needed, present }) => needed && !present)) return;
  let best = returned[0] as Member;
  for (const member of returned) if (isNewer(member, best)) best = member;
  best.valid = true;
  if (best.rank === 0) table.doubt = true;
  if (table.doubt) Object.assign(table, { writerDied: true, deviceAhead: true });
  for (const member of table.members) {
    member.needed = false;
    const mayPromise = !table.disk || isWriter(table, member.node);
    if (mayPromise && isAway(member)) member.unwatched = true;
    // The owners were in the memory of daemons that ended. Of one that is about to join there were none.
    if (member.stage !== 'joining') member.settled = false;
  }
}

function isNewer(member: Member, than: Member): boolean {
  if (member.rank !== than.rank) return member.rank > than.rank;
  return member.position > than.position;
}

/** Changes of the members while quorum is as it is. */
const changesMax = 2 ** 20;

/**
 * Valid members have quorum anew: whoever is away cannot go on. Somebody who has it `alone` is one of two who each may have it:
 * the other may promise marks of a core log too; those of a disk log the one writer promises (R8), who may be the other.
 *
 * `denied`: for a while they had none, and whoever was lost may have had it, gone on and ended since; quorum may come from hosts whose
 * daemons are not there. What the members have does not count then before the others are back or known dead, as when daemons meet.
 */
export function quorumWon(table: MemberTable, alone: boolean, denied: boolean): boolean {
  if (!anyValid(table)) return false;
  if (denied && mayBePassed(table)) {
    for (const member of table.members) {
      if (member.valid) member.rank = table.generation;
      member.valid = false;
    }
    table.lineage = 0;
    return false;
  }
  for (const member of table.members) {
    if (!alone || (table.disk && !isWriter(table, member.node))) member.needed = false;
    if (!member.present) member.passed = true;
  }
  table.generation = (quorumsWon(table) + 1) * changesMax;
  return denied && losesTrack(table);
}

/**
 * They have none now. Whoever else has it may be with the writer of a disk log, who promises marks then, also without those who had quorum
 * before; without him nobody does, and of a core log who was passed waits for these.
 */
export function quorumLost(table: MemberTable): void {
  const writer = memberOf(table, table.writer);
  if (table.disk && anyValid(table) && writer?.present === false) writer.unwatched = true;
}

/** How often those who made the table have had quorum anew. */
export function quorumsWon({ generation }: MemberTable): number {
  return Math.floor(generation / changesMax);
}

/** Who is away can have promised nothing: of a disk log nobody does without the writer, who is here, as far as it knows who that is. */
export function hasWriterHere({ disk, members, writer }: MemberTable): boolean {
  return disk && members.some(({ node, present, valid }) => node === writer && present && valid);
}

/** Others may have promised marks meanwhile; also with a writer that is dead, whose role is here since. */
function mayBePassed(table: MemberTable): boolean {
  if (hasWriterHere(table) && !table.deviceAhead) return false;
  return table.members.some((member) => member.needed && isAway(member));
}

/**
 * After each change of the members. `counted`: it makes the table newer than those that others have. What happens while nobody follows
 * does not, or daemons that wait alone would by and by have a newer one than those who went on without them.
 */
export function tableChanged(table: MemberTable, counted = anyValid(table)): void {
  chooseWriter(table);
  if (!table.members.some(isAway)) for (const member of table.members) member.late = false;
  if (counted) table.generation += 1;
  if (!anyValid(table)) table.lineage = 0;
  else if (table.lineage === 0) table.lineage = table.generation;
}

/** True when the table is the newer one. While nobody follows, the writer's role may pass on without a new generation. */
export function isNewerTable(table: MemberTable, than: MemberTable): boolean {
  if (table.generation !== than.generation) return table.generation > than.generation;
  return table.epoch > than.epoch;
}

/** Who begins to join a log that nobody follows is not counted either: of two tables that are equally new each may lack somebody. */
export function addJoining(table: MemberTable, { members, generation, epoch }: MemberTable): void {
  if (generation !== table.generation || epoch !== table.epoch) return;
  for (const member of members) {
    const heardOf = hasEnded(table, member.boot) || memberOf(table, member.node) !== undefined;
    if (!heardOf && member.stage === 'joining') addMember(table, { ...member });
  }
}

/** Nobody has the log, nor may have it elsewhere: who was about to join when it was lost may have done so there. */
export function isUnused(table: MemberTable): boolean {
  return table.members.every(({ stage, needed, present }) => stage === 'joining' && (present || !needed));
}

/**
 * Gives a vacant writer's role away. The first member of a log has it before it is valid: it loads the device. `after`: who could not,
 * and passes the role on; it goes round.
 */
export function chooseWriter(table: MemberTable, after = -1): void {
  if (table.writer !== -1) return;
  const present = table.members.filter((member) => member.present);
  const valid = present.find((member) => member.valid);
  const next = valid ?? (isUnused(table) ? (present.find(({ node }) => node > after) ?? present[0]) : undefined);
  if (next === undefined) return;
  table.writer = next.node;
  table.epoch += 1;
  noteWriter(table);
}

/** Whoever opens the device in this epoch is heard of. */
export function noteWriter(table: MemberTable): void {
  const boot = memberOf(table, table.writer)?.boot;
  if (boot !== undefined) hearOfWriters(table, [{ boot, epoch: table.epoch }]);
}

/** Somebody here knows that they had the role. */
export function hearOfWriters(table: MemberTable, said: readonly BootInEpoch[]): void {
  const news = said.filter((one) => !hadRole(table, one));
  if (news.length === 0) return;
  table.writers = [...table.writers, ...news].sort((a, b) => a.epoch - b.epoch).slice(-pastWritersMax);
}

export function hadRole({ writers }: MemberTable, { boot, epoch }: BootInEpoch): boolean {
  return writers.some((one) => one.boot === boot && one.epoch === epoch);
}

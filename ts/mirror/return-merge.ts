/**
 * What the group knows of a log when daemons have come to it: one table out of what each of them says. Every member gets the
 * same reports and computes the same table.
 *
 *  - *Somebody follows the stream*: his table counts, and who returns takes a copy. Several sides that each went on alone: the
 *    one with quorum counts (R13). When both had it, one of them counts and nothing is known to be in sync; so also when the daemons of
 *    the other have begun again since, or when they had begun without each other.
 *  - *Nobody follows*: the newest record counts, and decides who must be waited for (`decide`).
 *
 * Whoever has a live instance is a member, known or not. A node that is there with another boot id has died (R7).
 */
import { membersMax } from '../base/limits.js';
import {
  addJoining,
  addMember,
  anyValid,
  chooseWriter,
  copyTable,
  decide,
  hasEnded,
  haveCome,
  haveGone,
  hearOfWriters,
  isNewerTable,
  isUnused,
  isWriter,
  type LogShape,
  leavesDoubt,
  losesTrack,
  type Member,
  type MemberTable,
  mayHaveGoneOn,
  mayHaveUsed,
  memberOf,
  newMember,
  noteWriter,
  quorumLost,
  quorumsWon,
  removeMember,
  type Stage,
  sameShape,
  withoutCopy,
} from './member-table.js';

/** What one daemon says of one log. */
export interface LogReport {
  readonly table: MemberTable;
  /** The stage of its live instance; null: it has none. */
  readonly live: Stage | null;
  /** Its kernel has no table of the log. */
  readonly tableGone: boolean;
  readonly marksUnknown: boolean;
  /** What it is of, and not what was known of the log before; null: it has none. */
  readonly shape: LogShape | null;
  /** Its copy follows the stream. */
  readonly valid: boolean;
  /** A write of it is on its way to the log device, or may be before it hears what comes of the reports. */
  readonly writing: boolean;
  /** The generation in which its copy was last right, and the messages that it has had. */
  readonly rank: number;
  readonly position: number;
}

/** What is said of a log that this host does not use. */
export function reportUnused(table: MemberTable, tableGone: boolean): LogReport {
  const nothing = { live: null, shape: null, marksUnknown: false, valid: false, writing: false, rank: 0, position: 0 };
  return { ...nothing, table, tableGone };
}

/** A report, and who made it. */
export interface Reporter {
  readonly node: number;
  readonly name: string;
  readonly boot: string;
  readonly quorate: boolean;
  /** Undefined: it does not know the log. */
  readonly log: LogReport | undefined;
}

export interface Merged {
  readonly table: MemberTable;
  /** Whose daemons were with those who follow when daemons began to say what they know. */
  readonly together: ReadonlySet<number>;
  /** Members that are there with another boot id: taken off the table already. */
  readonly dead: Member[];
  /** Members that have left, of which the others had not heard: taken off as well. */
  readonly left: Member[];
  /** Others went on too, with quorum of their own or unknown to those who follow. */
  readonly conflict: boolean;
  /** Somebody is dead who may have gone on without those who follow. */
  readonly lost: boolean;
}

type Knower = Reporter & { readonly log: LogReport };

/** `reporters`: all members of the group, in rising order of their nodes; one at least knows the log. */
export function mergeReports(reporters: readonly Reporter[]): Merged {
  const knowers = reporters.filter((reporter): reporter is Knower => reporter.log !== undefined);
  const sides = sidesOf(knowers);
  const here = new Set(reporters.map(({ node }) => node));
  const side = chooseSide(sides, knowers, here);
  const base = side === null ? newestOf(knowers) : (side[0] as Knower);
  const table = copyTable(base.log.table);
  if (side === null) missedIn(table, knowers);
  const epochBefore = table.epoch;
  const epochOfOthers = Math.max(...knowers.map(({ log }) => log.table.epoch));
  for (const { log } of knowers) table.generation = Math.max(table.generation, log.table.generation);
  const away = new Set(base.log.table.members.filter(mayHaveGoneOn).map(({ node }) => node));
  const follows = new Set(side?.map(({ node }) => node) ?? []);
  const together = new Set<number>();
  for (const member of table.members) {
    const awaited = member.stage === 'joining' ? member.needed : !wasAway(knowers, base, member.node);
    if (side === null) member.needed = awaited;
    else if (here.has(member.node)) member.needed = false;
    if (side !== null && member.present) together.add(member.node);
    member.valid = follows.has(member.node);
    member.present = false;
  }
  const forgetful =
    side === null ? [] : table.members.filter((member) => away.has(member.node) && hasForgotten(reporters, member));
  const conflict = forgetful.length > 0 || wentApart(sides, side, knowers);
  if (conflict) table.doubt = true;
  const dead = table.members.filter(({ node, boot }) =>
    reporters.some((reporter) => reporter.node === node && reporter.boot !== boot),
  );
  // Of a disk log nobody promises anything without the writer, who is here.
  const writerThere = table.disk && follows.has(table.writer);
  const wentOn = ({ node, stage, unwatched }: Member) =>
    stage !== 'joining' && (unwatched || (away.has(node) && !writerThere));
  let lost = false;
  let deviceAhead = false;
  for (const member of dead) {
    const missed = side !== null && wentOn(member);
    if (missed && isWriter(table, member.node)) deviceAhead = true;
    else if (missed) lost = true;
    if (leavesDoubt(table, member)) table.doubt = true;
    removeMember(table, member.node, true);
    haveGone(table);
  }
  if (deviceAhead && !lost) table.deviceAhead = true;
  const left = table.members.filter((member) =>
    reporters.some((reporter) => reporter.node === member.node && hasLeft(reporter, member)),
  );
  for (const { node } of left) {
    removeMember(table, node, false);
    const said = knowers.find((one) => one.node === node)?.log.table;
    if (side === null && said !== undefined && said.generation >= base.log.table.generation)
      takeLeave(table, node, said);
  }
  const before = new Set(table.members);
  for (const reporter of reporters) enter(table, reporter);
  const newcomers = table.members.filter((member) => !before.has(member));
  haveCome(table, newcomers);
  if (left.length > 0) haveGone(table);
  if (conflict) unsettle(table);
  const denied = side !== null && !side.some(({ quorate }) => quorate);
  if (denied && losesTrack(table)) lost = true;
  // What it may have promised stands on the log device.
  if (forgetful.some(({ node }) => isWriter(table, node)))
    Object.assign(table, { writerDied: true, deviceAhead: true });
  if (side === null && (hasDoubt(knowers) || mayHaveBeenUsed(table, knowers))) table.doubt = true;
  decide(table);
  if (anyValid(table)) table.generation += 1;
  settleWriter(table, knowers);
  chooseWriter(table);
  if (denied) quorumLost(table);
  // Epochs do not fall: log devices are compared by them.
  if (epochOfOthers > epochBefore) table.epoch = Math.max(table.epoch, epochOfOthers + 1);
  for (const { log } of knowers) hearOfWriters(table, log.table.writers);
  noteWriter(table);
  // Who copies begins again.
  table.lineage = anyValid(table) ? table.generation : 0;
  table.outOfSyncSince = table.generation;
  return { table, together, dead, left, conflict: conflict && side !== null, lost };
}

/** Who has only lost it has a table that is equally new; what it left behind, its own says. */
function takeLeave(table: MemberTable, node: number, said: MemberTable): void {
  const { lastLeaver, leftOutOfSync, closedEpoch, leftWritten } = said;
  if (lastLeaver === node) Object.assign(table, { lastLeaver, leftOutOfSync, closedEpoch, leftWritten });
}

/** What those hold and recover who went on without the ones who follow is known to nobody else before they say it (R4, R6). */
function unsettle(table: MemberTable): void {
  for (const member of table.members) if (!member.valid && member.stage !== 'joining') member.settled = false;
}

/**
 * A writer that is there and does not follow has only just begun again: its role is given away anew, at once or when its last write has
 * ended (R8). And who does not follow and has a write under way has the role until then, whatever those who follow know of that: it
 * might land behind what they write. So has one that went on as the writer without quorum: where it does not hear what comes of the reports it
 * writes when it has it.
 */
function settleWriter(table: MemberTable, knowers: readonly Knower[]): void {
  const writer = memberOf(table, table.writer);
  if (writer?.present === false) return;
  const retires = ({ node, log }: Knower) =>
    log.writing || (node === table.writer && log.valid && isWriter(log.table, node));
  const busy = knowers.find((one) => memberOf(table, one.node)?.valid === false && retires(one));
  if (busy === undefined) {
    if (writer?.valid !== true) table.writer = -1;
    return;
  }
  const keeps = busy.node === table.writer;
  table.writer = busy.node;
  // It has done to the device what those who follow were not told: what it has said counts no more (R1).
  if (!keeps) table.epoch = Math.max(table.epoch, busy.log.table.epoch) + 1;
  else if (anyValid(table)) table.epoch += 1;
}

/** More than one side went on: what each has in sync may differ. */
function wentApart(sides: readonly Knower[][], side: readonly Knower[] | null, knowers: readonly Knower[]): boolean {
  if (sides.filter((one) => one.some(({ quorate }) => quorate)).length > 1) return true;
  if (side !== null)
    return knowers.some((one) => !side.includes(one) && (wentOnWithout(one, side) || hasBefore(one, side, knowers)));
  const using = knowers.filter(had);
  return using.some((one) => using.some((other) => hasPassed(one, [other]) && hasPassed(other, [one])));
}

/** It may have gone on alone, and its daemon knows nothing of that. */
function hasForgotten(reporters: readonly Reporter[], { node, boot, stage }: Member): boolean {
  const reporter = reporters.find((one) => one.node === node && one.boot === boot);
  if (reporter === undefined || stage === 'joining') return false;
  const { log } = reporter;
  if (log === undefined) return true;
  // One that has left knows that it is no member, and one that is about to has its record.
  if (log.live === null) return log.tableGone && memberOf(log.table, node) !== undefined;
  return log.marksUnknown && log.rank === 0;
}

function uses({ log: { live } }: Knower): boolean {
  return live === 'active' || live === 'halted';
}

/** Its kernel uses the log, or did so until it left, of which members have not heard: its daemon was killed in between. */
function had(knower: Knower): boolean {
  const { node, boot, log } = knower;
  return uses(knower) || (log.live === null && log.table.members.some((one) => one.node === node && one.boot === boot));
}

/** Not one of them was there any more when it went on, with quorum. */
function hasPassed({ log }: Knower, others: readonly Knower[]): boolean {
  const known = others.flatMap(({ node, boot }) =>
    log.table.members.filter((one) => one.node === node && one.boot === boot),
  );
  return known.length > 0 && known.every(({ present, passed }) => !present && passed);
}

/**
 * It passed those who follow, also where it has left since. Or its kernel uses a log that those who follow have begun without it, as on a
 * host that was booted while its daemon was away, or after it was taken for dead.
 */
function wentOnWithout(knower: Knower, side: readonly Knower[]): boolean {
  const inUse = uses(knower);
  if ((had(knower) || knower.log.table.doubt) && hasPassed(knower, side)) return true;
  const { table } = (side[0] as Knower).log;
  const known = table.members.find(({ node, boot }) => node === knower.node && boot === knower.boot);
  if (!inUse) return false;
  if (known !== undefined) {
    // It has asked nobody who is here, and others may have been with it who are dead.
    const { log } = knower;
    const others = log.valid || hasUnheard(table, [...log.table.members.filter(mayHaveUsed), ...log.table.ended]);
    return known.unwatched && others && !isWriter(table, known.node);
  }
  const strangers = side.every(({ node, boot }) =>
    knower.log.table.members.every((one) => one.node !== node || one.boot !== boot),
  );
  return strangers || hasEnded(table, knower.boot);
}

/**
 * Those who follow have begun the log without having heard of it, and it knows of members who are none any more; or it knows that regions of a
 * core log were left out of sync, which no device says.
 */
function hasBefore({ log }: Knower, side: readonly Knower[], knowers: readonly Knower[]): boolean {
  const { table } = (side[0] as Knower).log;
  const { members, ended, leftOutOfSync, doubt } = log.table;
  const gone = members.filter(({ boot }) => !knowers.some((one) => one.boot === boot)).filter(mayHaveUsed);
  const left = !table.disk && (leftOutOfSync || doubt) ? ended.slice(-1) : [];
  return hasUnheard(table, [...gone, ...left]);
}

/** One of these boots is none that the table knows. */
function hasUnheard(table: MemberTable, boots: readonly { boot: string }[]): boolean {
  return boots.some(({ boot }) => !hasEnded(table, boot) && !table.members.some((member) => member.boot === boot));
}

/** Somebody knows of a doubt that is younger than every copy here. */
function hasDoubt(knowers: readonly Knower[]): boolean {
  let rank = 0;
  for (const { log } of knowers) if (log.live !== null) rank = Math.max(rank, log.rank);
  return knowers.some(({ log }) => log.table.doubt && log.table.generation > rank);
}

/** Nobody uses the log any more, as those say who were not where there is quorum: others may have had it since. A log device would say so. */
function mayHaveBeenUsed(table: MemberTable, knowers: readonly Knower[]): boolean {
  if (table.disk || table.lastLeaver === -1 || !isUnused(table)) return false;
  return !knowers.some(({ quorate }) => quorate);
}

/** One who followed the stream to the last noted that the member was not there any more, and could not go on. */
function wasAway(knowers: readonly Knower[], base: Knower, node: number): boolean {
  const { generation } = base.log.table;
  return knowers.some(({ log }) => {
    const lastWord = log.live !== null && log.rank === generation && log.table.generation === generation;
    const member = memberOf(log.table, node);
    return lastWord && member?.present === false && !member.needed;
  });
}

/**
 * Takes over what the maker of the newest table has missed and somebody who goes on with the log knows: the maker has not heard of a boot
 * after which others came to it. Members of whom the table says neither that they have the log nor that they had it, and a younger
 * writer.
 */
function missedIn(table: MemberTable, knowers: readonly Knower[]): void {
  const { members } = table;
  for (const { log } of knowers) addJoining(table, log.table);
  for (const { log } of knowers) {
    const uses = log.live !== null && log.live !== 'joining' && (log.valid || log.rank > 0);
    if (!uses) continue;
    for (const member of log.table.members) {
      const { node, boot, stage } = member;
      const heardOf = hasEnded(table, boot) || members.some((other) => other.node === node);
      if (!heardOf && stage !== 'joining') addMember(table, { ...member });
    }
    const { writer, epoch, writerDied } = log.table;
    if (epoch <= table.epoch) continue;
    table.epoch = epoch;
    table.writer = memberOf(table, writer) === undefined ? -1 : writer;
    if (writerDied) table.writerDied = true;
  }
}

/**
 * It knows the log, and that it is no member of it, or that it is about to be one anew. One whose state was lost knows nothing, or what
 * others say. One that was only taken for a member has not become one.
 */
function hasLeft({ log }: Reporter, { node, stage, settled, surmised }: Member): boolean {
  if (surmised) return (log?.live ?? null) === null;
  if (log === undefined) return false;
  // It was about to be one, and its daemon of now knows of nothing that is.
  if (stage === 'joining' && settled && log.live === null) return true;
  if (log.live === 'joining') return stage !== 'joining' && !log.marksUnknown;
  return log.live === null && memberOf(log.table, node) === undefined;
}

/** A reporter's place in the table. */
function enter(table: MemberTable, { node, name, boot, log }: Reporter): void {
  let member = memberOf(table, node);
  const live = log?.live ?? null;
  if (live === 'joining' && isOther(table, node, log?.shape)) {
    // It is refused when it says that it joins.
    table.members = table.members.filter((one) => one !== member);
    return;
  }
  if (member === undefined) {
    if (live === null) return;
    // One too many is refused when it says that it joins. Of sides that meet all who use the log are members.
    if (live === 'joining' && table.members.length >= membersMax) return;
    // As at a join: the first one says how large the log is.
    if (table.members.length === 0) Object.assign(table, log?.shape);
    member = newMember(node, name, boot, live);
    member.settled = live === 'joining';
    addMember(table, member);
  }
  member.name = name;
  member.present = true;
  member.unwatched = false;
  member.passed = false;
  // Nobody has what it may have done; also when its kernel has come to its next daemon with the log already.
  const leaves = live === null && log?.tableGone === false;
  // What it knows nobody has from it: who has an older copy must not be chosen as if that were all.
  const others = table.members.some((one) => one !== member && one.stage !== 'joining');
  const lost = (live === null && (!leaves || others)) || (log?.marksUnknown === true && log.rank === 0);
  if (lost && member.needed && !anyValid(table)) table.doubt = true;
  if (live === null) {
    member.valid = false;
    // Its state was lost, or its kernel has left unheard: which of them, that node finds out (R2, R3). One that is about to leave has its record.
    if (!leaves) member.settled = false;
    member.rank = withoutCopy;
    return;
  }
  if (log === undefined) return;
  member.surmised = false;
  if (member.stage === 'joining') member.needed = false;
  if (log.marksUnknown) member.settled = false;
  // What was answered to its kernel counts, and not what members have heard: a resume of which its daemon had not noted yet that they
  // know, or a halt that waited for them when its daemon was killed, and that its kernel does not repeat.
  if (live !== 'joining') member.stage = live;
  member.rank = log.rank;
  member.position = log.position;
}

/** Others have a log of another size or kind. */
function isOther(table: MemberTable, node: number, shape: LogShape | null | undefined): boolean {
  if (shape == null || table.members.every((member) => member.node === node)) return false;
  return !sameShape(table, shape);
}

/** Those who follow, by whom they follow with. */
function sidesOf(knowers: readonly Knower[]): Knower[][] {
  const sides = new Map<string, Knower[]>();
  for (const knower of knowers) {
    if (!knower.log.valid) continue;
    const key = knower.log.table.members
      .filter(({ valid }) => valid)
      .map(({ node }) => node)
      .join(' ');
    const side = sides.get(key);
    if (side === undefined) sides.set(key, [knower]);
    else side.push(knower);
  }
  return [...sides.values()];
}

/** Null: none of them is known to have the last word. */
function chooseSide(
  sides: readonly Knower[][],
  knowers: readonly Knower[],
  present: ReadonlySet<number>,
): Knower[] | null {
  let best: Knower[] | null = null;
  for (const side of sides) if (best === null || outranks(side, best)) best = side;
  if (best === null || best.some(({ quorate }) => quorate)) return best;
  // Without quorum: whoever it has lost may have gone on.
  const { table } = (best[0] as Knower).log;
  const { generation, members } = table;
  if (knowers.some(({ log }) => log.live !== null && log.rank > generation)) return null;
  // One that did, and has left or lost its record since, has no copy any more: the doubt is what is known, or that they had quorum.
  const wentOn = ({ log }: Knower) => log.table.doubt && log.table.generation > generation;
  if (knowers.some((knower) => wentOn(knower) || quorumsWon(knower.log.table) > quorumsWon(table))) return null;
  // Nor can they have promised anything where the writer of a disk log is not, or one before it was.
  if (table.disk && !table.deviceAhead && best.some(({ node }) => node === table.writer)) return best;
  return members.some(({ node, needed }) => needed && !present.has(node)) ? null : best;
}

function outranks(side: readonly Knower[], than: readonly Knower[]): boolean {
  const quorate = side.some((knower) => knower.quorate);
  if (quorate !== than.some((knower) => knower.quorate)) return quorate;
  const generation = side[0]?.log.table.generation ?? 0;
  const otherGeneration = than[0]?.log.table.generation ?? 0;
  return generation > otherGeneration;
}

/** Who knows the newest table: who loaded the device and is away is not who loads it now (R8). */
function newestOf(knowers: readonly Knower[]): Knower {
  let best = knowers[0] as Knower;
  for (const knower of knowers) if (knowsNewer(knower.log, best.log)) best = knower;
  return best;
}

function knowsNewer(log: LogReport, than: LogReport): boolean {
  if (isNewerTable(log.table, than.table)) return true;
  return !isNewerTable(than.table, log.table) && log.position > than.position;
}

/**
 * Messages about who has a log and in which stage: join, ready, halt, leave, retired. They change the directory on every node, whether
 * it has the log or not; while an exchange is under way they do not count, and who sent one sends it again.
 */
import { bootKey } from './boot-key.js';
import type { Cluster } from './cluster.js';
import type { JoinFacts } from './directory.js';
import { memberOf } from './member-table.js';
import { type LogMessage, MessageType } from './messages.js';
import type { MirrorLog } from './mirror-log.js';

const placeTypes: ReadonlySet<number> = new Set([
  MessageType.join,
  MessageType.ready,
  MessageType.halt,
  MessageType.leave,
  MessageType.retired,
]);

export function isPlaceMessage({ type }: LogMessage): boolean {
  return placeTypes.has(type);
}

/** `log`: this host's official one of the uuid. `tableEnded`: the table that the node had is gone. */
export function deliverPlace(
  cluster: Cluster,
  self: number,
  order: number,
  message: LogMessage,
  log: MirrorLog | undefined,
  tableEnded: (uuid: string, node: number) => void,
): void {
  if (cluster.exchanging) return;
  const { type, node, uuid, flag, regions } = message;
  const { directory } = cluster;
  const own = node === self;
  if (type === MessageType.leave && (flag & 1) === 1) {
    if (own) cluster.removedDelivered(uuid);
    // Who has come again meanwhile has said so with its join.
    if (memberOf(directory.tables.get(uuid), node) === undefined) tableEnded(uuid, node);
    return;
  }
  if (type === MessageType.leave && (flag & 4) === 4 && directory.hasAlone(uuid, node)) {
    if (own) log?.stayToClose(message);
    return;
  }
  if (own && type !== MessageType.ready) log?.replica.requestDelivered(message);
  if (type === MessageType.join) {
    const facts = joinFacts(cluster, message);
    if (facts === null) return;
    if ((flag & 1) === 1) leaveUnheard(cluster, message, log);
    if (!directory.join(uuid, facts)) {
      if (own) log?.life.entry.joinRefused();
      return;
    }
    if ((flag & 1) === 1) tableEnded(uuid, node);
  } else if (type === MessageType.ready) {
    if (!directory.ready(uuid, node, flag, regions[0] as number)) return;
    // One that was said again answers no RESUME: what its kernel does by the answer of the last, the first would undo (R3).
    const last = own && log?.replica.requestDelivered(message) === true;
    if ((flag & 12) !== 0) log?.restrictAll(node, (flag & 4) === 4);
    else log?.restrictionsSaid(node);
    if ((flag & 2) === 2) log?.searchAnew();
    if (last && (flag & 2) === 2) log?.life.delivered(order, message);
  } else if (type === MessageType.retired) {
    if (!directory.retired(uuid, node, flag) && !own) log?.replica.overwritten();
  } else if (type === MessageType.halt) {
    directory.halt(uuid, node);
    if (own) log?.life.delivered(order, message);
  } else {
    if (own) cluster.leaveDelivered(message);
    const seen = message.count > 0 ? (regions[0] as number) : 0;
    const closedEpoch = message.count > 1 ? (regions[1] as number) : 0;
    const seenOutOfSync = message.count > 2 ? (regions[2] as number) : 0;
    const facts = { outOfSync: (flag & 2) === 2, closedEpoch, written: (flag & 8) === 8, seen, seenOutOfSync };
    const member = directory.leave(uuid, node, facts);
    if (own) log?.left();
    else if (member !== undefined) log?.memberGone(member, false);
    if (own) log?.life.delivered(order, message);
  }
  log?.replica.tableChanged();
}

/**
 * A node comes with another table than the one that it is a member with: of that one's end nobody heard, as when its daemon had lost
 * what it knew. It is a leave without a suspend (R2).
 */
function leaveUnheard({ directory }: Cluster, { node, uuid }: LogMessage, log: MirrorLog | undefined): void {
  const before = memberOf(directory.tables.get(uuid), node);
  if (before === undefined || before.stage === 'joining') return;
  const unheard = { outOfSync: true, closedEpoch: 0, written: false, seen: 0, seenOutOfSync: 0 };
  const member = directory.leave(uuid, node, unheard);
  if (member !== undefined) log?.memberGone(member, false);
}

/** The writer has written: what a dead one before it left on the device is known. */
export function deliverDurable(
  { directory, exchanging }: Cluster,
  message: LogMessage,
  log: MirrorLog | undefined,
): void {
  if (exchanging) return;
  const news = directory.durable(message.uuid, message.node, message.regions[0] as number);
  if (news) log?.replica.tableChanged();
}

/** Regions are put out of sync, or dirty for a reason that nobody knows. */
export function deliverOutOfSync({ directory, exchanging }: Cluster, { type, flag, uuid, node }: LogMessage): void {
  const puts = type === MessageType.unknownDirty || (type === MessageType.inSync && flag !== 1);
  if (puts && !exchanging) directory.putOutOfSync(uuid, node);
}

/** Null: its sender is not in the group any more. */
function joinFacts(cluster: Cluster, { node, regions, flag }: LogMessage): JoinFacts | null {
  const member = cluster.memberOfGroup(node);
  if (member === null) return null;
  return {
    node,
    name: member.name,
    boot: bootKey(member.bootId),
    regionCount: regions[0] as number,
    regionSizeSectors: regions[1] as number,
    disk: regions[2] === 1,
    marksUnknown: (flag & 2) === 2,
  };
}

/**
 * What changed in the cluster since the last look, as events for the log: views, quorum, who has which log, who writes a log device. For
 * people; it decides nothing. Whoever sees that something may have changed calls `look`.
 */
import type { DepartureReason, GroupView } from '../base/group-view.js';
import { type Member, type MemberTable, memberOf } from '../mirror/member-table.js';
import { MessageType } from '../mirror/messages.js';
import type { LogEntry } from './log-entry.js';

/** Messages behind which a table may be another one. */
const changing: ReadonlySet<MessageType> = new Set([
  MessageType.join,
  MessageType.halt,
  MessageType.leave,
  MessageType.ready,
  MessageType.retired,
  MessageType.dead,
  MessageType.report,
  MessageType.quorum,
]);

export function mayChange(type: MessageType): boolean {
  return changing.has(type);
}

const departures: Readonly<Record<DepartureReason, string>> = {
  leave: 'it said so',
  'process-down': 'its daemon is gone, or has lost corosync',
  'node-down': 'its host is not heard any more',
  unknown: 'this host was away itself',
};

/** The event of a view; the one without members is said by whoever knows why. */
export function viewEvent({ epoch, members, joined, left }: GroupView): LogEntry | null {
  if (members.length === 0) return null;
  const came = joined.map(({ node, name }) => `${node} ${name}`);
  const gone = left.map(({ member, reason }) => `${member.node} ${member.name} (${departures[reason]})`);
  const parts = [
    `members: ${members.map(({ node, name }) => `${node} ${name}`).join(', ')}`,
    came.length === 0 ? '' : `came: ${came.join(', ')}`,
    gone.length === 0 ? '' : `left: ${gone.join(', ')}`,
  ];
  return {
    level: 'notice',
    event: 'view',
    fields: { view: epoch, text: parts.filter((part) => part !== '').join('; ') },
  };
}

interface Known {
  readonly names: ReadonlyMap<number, string>;
  readonly writer: string;
}

export class ClusterChanges {
  readonly #write: (entry: LogEntry) => void;
  #quorate: boolean | null = null;
  #logs = new Map<string, Known>();

  constructor(write: (entry: LogEntry) => void) {
    this.#write = write;
  }

  look(quorate: boolean, tables: Iterable<MemberTable>): void {
    if (quorate !== this.#quorate && (quorate || this.#quorate === true)) this.#write(quorumEvent(quorate));
    this.#quorate = quorate;
    const logs = new Map<string, Known>();
    for (const table of tables) logs.set(table.uuid, this.#lookAt(table));
    this.#logs = logs;
  }

  #lookAt(table: MemberTable): Known {
    const { uuid } = table;
    const before = this.#logs.get(uuid);
    const names = new Map(table.members.map(({ node, name }) => [node, name]));
    const say = (event: string, text: string) => this.#write({ level: 'notice', event, fields: { uuid, text } });
    for (const [node, name] of names) {
      if (!before?.names.has(node)) say('log-member', `node ${node} (${name}) has the log`);
    }
    for (const [node, name] of before?.names ?? []) {
      if (!names.has(node)) say('log-member-gone', `node ${node} (${name}) does not have the log any more`);
    }
    const writer = table.disk && table.members.length > 0 ? writerText(table) : '';
    if (writer !== '' && writer !== before?.writer) say('log-writer', writer);
    return { names, writer };
  }
}

function quorumEvent(quorate: boolean): LogEntry {
  if (quorate) return { level: 'notice', event: 'quorum', fields: { text: 'this side of the cluster has quorum' } };
  const text = 'this side of the cluster has no quorum: new marks wait or fail, nothing is cleaned or recovered';
  return { level: 'warning', event: 'no-quorum', fields: { text } };
}

function writerText(table: MemberTable): string {
  const writer: Member | undefined = memberOf(table, table.writer);
  if (writer === undefined) return 'nobody writes the log device: new marks wait';
  const who = `node ${writer.node} (${writer.name})`;
  if (!writer.present) return `${who} is to write the log device and is away: new marks wait`;
  return `${who} writes the log device, epoch ${table.epoch}`;
}

/**
 * The ordered transport of a host that is alone: a group of one, without a socket and without a thread.
 *
 * It keeps the shape of rule R1 on purpose, so that the core is the same on a cluster: a message takes effect
 * when it comes back in order, and counts as safe only when it is acknowledged, which is a later call than its
 * delivery. What it leaves out is only the waiting: the one member has everything as soon as it was delivered.
 *
 * It does not decide whether being alone is right. That is settled at start (a host with a corosync
 * configuration never falls back to this), and nothing here looks for peers.
 *
 * Messages are copied into records that are made once and used again, so a turn of the engine allocates nothing
 * after the first few. A record is given back when the flush is over, which keeps one simple rule: what
 * `delivered` gets is valid during that call only.
 */
import type { GroupMember, GroupView } from '../base/group-view.js';
import type { LogMessage } from '../mirror/messages.js';
import type { OrderedTransport, TransportEvents } from './transport.js';

/**
 * Most messages that one flush delivers. More is a loop: a delivery that keeps submitting. All logs (`logsMax`) may
 * announce, sweep and drop their sticky marks in one turn, which is less than 128 messages each.
 */
const flushMessagesMax = 1 << 19;
/** What a record is made for: the kernel's largest group. A larger message makes its record grow once. */
const recordRegions = 32;

export class LocalTransport implements OrderedTransport {
  readonly kind = 'local' as const;
  readonly node: number;
  readonly #events: TransportEvents;
  /** Records [0, used) wait for delivery; those behind are free. */
  readonly #records: LogMessage[] = [];
  #used = 0;
  #order = 0;
  #flushing = false;
  #closed = false;
  #view: GroupView | null;

  constructor(self: GroupMember, events: TransportEvents) {
    this.node = self.node;
    this.#events = events;
    this.#view = { epoch: 1, meeting: '1', members: [self], joined: [self], left: [] };
  }

  submit(message: LogMessage): void {
    if (this.#closed) throw new Error('the local transport is closed');
    if (this.#used === flushMessagesMax) throw new Error(`more than ${flushMessagesMax} messages in one flush`);
    let record = this.#records[this.#used];
    if (record === undefined) {
      record = emptyRecord();
      this.#records.push(record);
    }
    copyMessage(message, record);
    this.#used += 1;
  }

  /**
   * Delivers what was submitted, in order, and what those deliveries submit behind it; then acknowledges. A flush
   * inside a delivery does nothing: the one under way comes to the new messages by itself.
   */
  flush(): void {
    if (this.#closed) throw new Error('the local transport is closed');
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      this.#deliverView();
      let next = 0;
      while (next < this.#used) {
        while (next < this.#used) {
          const record = this.#records[next];
          if (record === undefined) throw new Error('a submitted message has no record');
          next += 1;
          this.#order += 1;
          this.#events.delivered(this.#order, record);
        }
        // May submit again, hence the outer loop; `submit` bounds both.
        this.#events.acknowledged(this.#order);
      }
      this.#used = 0;
    } finally {
      this.#flushing = false;
    }
  }

  close(): void {
    this.#closed = true;
    this.#used = 0;
    this.#records.length = 0;
  }

  #deliverView(): void {
    const view = this.#view;
    if (view === null) return;
    this.#view = null;
    this.#events.quorumChanged(true);
    this.#events.viewChanged(view);
  }
}

function emptyRecord(): LogMessage {
  const regions = new Float64Array(recordRegions);
  return { type: 1, node: 0, uuid: '', seq: 0, flag: 0, regions, count: 0, bytes: new Uint8Array(0), byteCount: 0 };
}

function copyMessage(from: LogMessage, to: LogMessage): void {
  to.type = from.type;
  to.node = from.node;
  to.uuid = from.uuid;
  to.seq = from.seq;
  to.flag = from.flag;
  to.count = from.count;
  if (from.count > from.regions.length) throw new RangeError(`${from.count} regions in ${from.regions.length} entries`);
  if (to.regions.length < from.count) to.regions = new Float64Array(from.count);
  // A loop: `subarray` would allocate a view for every message.
  for (let i = 0; i < from.count; i++) to.regions[i] = from.regions[i] as number;
  to.byteCount = from.byteCount;
  if (to.bytes.length < from.byteCount) to.bytes = new Uint8Array(from.byteCount);
  for (let i = 0; i < from.byteCount; i++) to.bytes[i] = from.bytes[i] as number;
}

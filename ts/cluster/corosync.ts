/**
 * The ordered transport of a cluster: one CPG group of corosync for everything (R14), and libquorum for quorum.
 *
 * This file is the part with time in it: connecting and connecting again, the retry when corosync takes nothing, the event
 * loop. What the group's events mean is `group-session.ts`.
 *
 * Corosync may be absent, stopped or restarted at any time. Nothing here waits for it (R15); while there is no connection the
 * view has no members and there is no quorum, and an attempt is made every few seconds. What is wrong is said once, when it
 * begins, and stands in `state`.
 */
import { randomInt } from 'node:crypto';
import type { GroupMember, GroupView } from '../base/group-view.js';
import type { LogMessage } from '../mirror/messages.js';
import { CpgEvent, CpgField, CpgGroup, readCpgGroupNames } from '../native/cpg-group.js';
import { GroupSession, type SessionCounters } from './group-session.js';
import type { OrderedTransport, TransportEvents } from './transport.js';

/** The one group of all daemons. The number changes when versions could not even refuse each other. */
export const groupName = 'lockstep.mirror.1';

/** Events that one wake takes; the rest comes with the next. */
const eventsOfAWakeMax = 512;
/** Wakes without an event behind each other: the descriptor is broken, and would wake for ever. */
const emptyWakesMax = 1000;
/** How long the others may take to hear that this member leaves. */
const leaveLimitMs = 500;
const retryMsMin = 2;
const retryMsMax = 50;
const reconnectMsMin = 250;
const reconnectMsMax = 5000;
/** An attempt to connect that takes longer is spoken of. It goes on. */
const attemptMsMax = 10_000;

export interface CorosyncReports {
  problem(event: string, text: string): void;
  /** Corosync has another number for this node than it began with: nothing can go on under the old one. */
  nodeChanged(node: number): void;
  /** The nodes that corosync hears have changed; none while it does not answer. Behind the view that it changed. */
  heardChanged(nodes: readonly number[]): void;
  /** Something that was wrong is right again. */
  recovered(event: string, text: string): void;
}

export interface CorosyncOptions {
  readonly self: GroupMember;
  readonly events: TransportEvents;
  readonly reports: CorosyncReports;
  /** Called when events came that somebody was told of: whoever owns the turn ends it, and calls `flush` in it. */
  readonly endTurn: () => void;
  /** Another group than the usual one, for tests. */
  readonly group?: string;
}

export interface CorosyncState {
  readonly connected: boolean;
  readonly quorate: boolean;
  /** Why there is no view, in one sentence; empty: there is one. */
  readonly problem: string;
  readonly epoch: number;
  readonly members: readonly GroupMember[];
  /** Nodes that corosync hears, with or without a daemon. */
  readonly heard: readonly number[];
  /** Nodes whose daemons are in the group and have not introduced themselves yet: no view with them before that. */
  readonly awaited: readonly number[];
  /** Members that have not acknowledged all that was delivered here. */
  readonly behind: readonly { readonly node: number; readonly acknowledged: number }[];
  readonly waitingBytes: number;
  readonly onTheWay: number;
  readonly connections: number;
  readonly counters: Readonly<SessionCounters>;
}

/**
 * What corosync says of itself: this node's number, and the names of all groups of the cluster. May never answer.
 *
 * @throws Error when it says that it cannot.
 */
export function askCorosync(): Promise<{ readonly node: number; readonly groups: readonly string[] }> {
  return new Promise((resolve, reject) => {
    const asked = readCpgGroupNames((problem, groups, node) => {
      if (problem === '') resolve({ node, groups });
      else reject(new Error(`corosync does not answer: ${problem}`));
    });
    if (!asked) reject(new Error('corosync cannot be asked: no descriptor or thread is left'));
  });
}

export class CorosyncTransport implements OrderedTransport {
  readonly kind = 'corosync' as const;
  readonly node: number;
  readonly #options: CorosyncOptions;
  readonly #group: CpgGroup;
  readonly #session: GroupSession;
  #connected = false;
  #closed = false;
  /** Null: nothing was said, or told, since this process began. */
  #quorate: boolean | null = null;
  #quorumTold: boolean | null = null;
  /** The ring that `#quorate` is about, and the last of the group's own events. */
  #quorumRing = 0;
  #ring = 0;
  #heard: readonly number[] = [];
  /** Quorum is to be told although it has not changed; and not before the next ring. */
  #quorumDue = false;
  #ringDue = false;
  #problem = 'corosync has not answered yet';
  #connections = 0;
  #emptyWakes = 0;
  /** Somebody was told of something in this wake. */
  #told = false;
  #reconnectMs = reconnectMsMin;
  #retryMs = retryMsMin;
  #retryTimer: NodeJS.Timeout | null = null;
  #connectTimer: NodeJS.Timeout | null = null;

  constructor(options: CorosyncOptions) {
    this.#options = options;
    this.node = options.self.node;
    this.#group = new CpgGroup(options.group ?? groupName);
    const send = (bytes: Buffer, count: number) => this.#group.send(bytes, count);
    const { self, events, reports } = options;
    const observed: TransportEvents = {
      delivered: (order, message) => {
        this.#told = true;
        events.delivered(order, message);
      },
      acknowledged: (order) => {
        this.#told = true;
        events.acknowledged(order);
      },
      viewChanged: this.#onView,
      quorumChanged: (quorate) => events.quorumChanged(quorate),
    };
    this.#session = new GroupSession(self, observed, { send }, reports);
    this.#connect();
  }

  get state(): CorosyncState {
    const session = this.#session;
    return {
      connected: this.#connected,
      quorate: this.#quorumTold === true,
      problem: this.problem,
      epoch: session.epoch,
      members: session.view,
      heard: this.#heard,
      awaited: session.awaited.map(({ node }) => node),
      behind: session.behind,
      waitingBytes: session.waitingBytes,
      onTheWay: session.onTheWay,
      connections: this.#connections,
      counters: session.counters,
    };
  }

  /** Why there is no view, in one sentence; empty: there is one. */
  get problem(): string {
    if (!this.#connected) return this.#problem;
    if (this.#session.inView) return '';
    const awaited = this.#session.awaited.map(({ node, pid }) => `node ${node} (process ${pid})`);
    if (awaited.length > 0) return `waiting for ${awaited.join(', ')} to introduce themselves`;
    return this.#problem;
  }

  /** There is no view yet, and nothing has failed: it takes milliseconds, or as long as others take to introduce themselves. */
  get entering(): boolean {
    return this.#connected ? !this.#session.inView : !this.#said;
  }

  submit(message: LogMessage): void {
    if (this.#closed) throw new Error('the corosync transport is closed');
    this.#session.submit(message);
  }

  flush(): void {
    if (this.#closed) throw new Error('the corosync transport is closed');
    if (!this.#connected) return;
    if (!this.#session.flush()) {
      this.#retryMs = retryMsMin;
      return;
    }
    if (this.#retryTimer !== null) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null;
      // A connection that is lost takes nothing either; only its events say so.
      this.#drain();
      if (!this.#closed) this.flush();
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, retryMsMax);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#clearTimers();
    this.#group.disconnect(leaveLimitMs);
    this.#connected = false;
  }

  /** Names of the other groups of the cluster: a real cmirrord's are uuids that end in NUL (R14). */
  async foreignGroups(): Promise<string[]> {
    const own = this.#options.group ?? groupName;
    return (await askCorosync()).groups.filter((name) => name !== own);
  }

  // ---- connecting

  #connect(): void {
    this.#clearTimers();
    if (!this.#group.connect(this.#onConnected, this.#onReadable)) {
      this.#failed('no descriptor or thread is left');
      return;
    }
    this.#connectTimer = setTimeout(() => this.#say(`it has not answered for ${attemptMsMax / 1000} s`), attemptMsMax);
  }

  readonly #onConnected = (problem: string): void => {
    if (this.#closed) return;
    this.#clearTimers();
    if (problem !== '') {
      this.#failed(problem);
      return;
    }
    const node = this.#group.node;
    if (node !== this.node) {
      this.close();
      this.#options.reports.nodeChanged(node);
      return;
    }
    this.#connected = true;
    this.#connections += 1;
    this.#emptyWakes = 0;
    if (this.#connections > 1 || this.#said)
      this.#options.reports.recovered('corosync', `corosync answers: node ${node}`);
    this.#said = false;
    this.#problem = 'corosync has not told of a group yet';
    this.#session.connected({ node, pid: process.pid, session: randomInt(1, 2 ** 32) });
    // What came while nobody was told of it.
    this.#onReadable();
  };

  #failed(problem: string): void {
    this.#say(problem);
    this.#connectTimer = setTimeout(() => this.#connect(), this.#reconnectMs);
    this.#reconnectMs = Math.min(this.#reconnectMs * 2, reconnectMsMax);
  }

  #said = false;

  /** Says it once; what is new of it stands in the state. */
  #say(problem: string): void {
    this.#problem = `corosync does not answer: ${problem}`;
    if (this.#said) return;
    this.#said = true;
    this.#options.reports.problem('corosync', this.#problem);
    // Whoever has not been told anything yet is told now: nobody will say for a while that there is quorum.
    setImmediate(() => {
      if (this.#closed || this.#connected) return;
      this.#options.events.quorumChanged(false);
      this.#options.endTurn();
    });
  }

  /** No member any more: the connection is gone, or this member cannot follow the group. */
  #lost(why: string): void {
    this.#clearTimers();
    this.#group.disconnect(0);
    this.#connected = false;
    this.#told = true;
    this.#problem = why;
    this.#said = true;
    this.#options.reports.problem('corosync', `${why}; connecting anew`);
    this.#quorate = false;
    this.#tellQuorum();
    this.#quorumRing = 0;
    this.#ring = 0;
    this.#ringDue = false;
    this.#session.disconnected();
    this.#hear([]);
    if (this.#closed) return;
    this.#connectTimer = setTimeout(() => this.#connect(), this.#reconnectMs);
    this.#reconnectMs = Math.min(this.#reconnectMs * 2, reconnectMsMax);
  }

  #clearTimers(): void {
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    if (this.#connectTimer !== null) clearTimeout(this.#connectTimer);
    this.#retryTimer = null;
    this.#connectTimer = null;
  }

  // ---- events

  readonly #onReadable = (): void => {
    if (this.#drain() > 0) this.#emptyWakes = 0;
    else if (!this.#closed && this.#connected && ++this.#emptyWakes > emptyWakesMax) {
      this.#lost('the connection to corosync wakes for nothing');
    }
  };

  /** Takes what is there, and ends the turn when that was anything. */
  #drain(): number {
    let taken = 0;
    while (taken < eventsOfAWakeMax && this.#connected && !this.#closed) {
      const event = this.#group.next();
      if (event === CpgEvent.none) break;
      taken += 1;
      this.#take(event);
    }
    if (this.#closed || taken === 0) return taken;
    if (this.#session.inView) this.#reconnectMs = reconnectMsMin;
    this.#tellQuorum();
    this.#session.settle();
    // An acknowledgement may have ended everything.
    if (this.#closed) return taken;
    // Most wakes bring a multicast of no consequence: an own one that has come back, or a member's word that others wait for.
    if (this.#told) this.#options.endTurn();
    else this.flush();
    this.#told = false;
    return taken;
  }

  #take(event: CpgEvent): void {
    // A change of the group may be one for whoever asks for the state.
    if (event !== CpgEvent.message) this.#told = true;
    if (event === CpgEvent.message) {
      const { inbox, event: fields } = this.#group;
      const bytes = fields[CpgField.bytes] as number;
      const why = this.#session.multicast(
        fields[CpgField.node] as number,
        fields[CpgField.pid] as number,
        inbox,
        bytes,
      );
      if (why !== '' && !this.#closed) this.#lost(why);
    } else if (event === CpgEvent.configuration) {
      this.#session.configuration(this.#group.configuration());
    } else if (event === CpgEvent.quorum) {
      this.#quorumRing = this.#group.event[CpgField.quorumRing] as number;
      this.#quorate = this.#group.event[CpgField.quorate] === 1;
      this.#tellQuorum();
    } else if (event === CpgEvent.ring) {
      this.#ring = this.#group.event[CpgField.ring] as number;
      this.#ringDue = false;
      this.#hear(this.#group.ringNodes());
      this.#tellQuorum();
    } else {
      this.#lost(`the connection to corosync is lost: ${this.#group.lostReason()}`);
    }
  }

  #hear(nodes: readonly number[]): void {
    this.#heard = nodes;
    this.#options.reports.heardChanged(nodes);
  }

  // ---- quorum

  /**
   * What libquorum says comes in no order with the group's events. A loss of quorum is told at once. That there is quorum is told when
   * the group's own events have come to the ring that has it and nobody is waited for: a member that was cut off alone would
   * take it for its own, while the others that make it up are not in its view yet. Whoever has seen a node leave wants to hear
   * the quorum of what is left, also when it is as before.
   */
  readonly #onView = (view: GroupView): void => {
    if (view.left.some(({ reason }) => reason === 'node-down' || reason === 'unknown')) {
      this.#quorumDue = true;
      // The ring comes behind the configuration that it changed.
      if (view.left.some(({ reason }) => reason === 'node-down')) this.#ringDue = true;
    }
    this.#told = true;
    this.#options.events.viewChanged(view);
    this.#tellQuorum();
  };

  #tellQuorum(): void {
    if (this.#quorate === null || (this.#quorumTold === this.#quorate && !this.#quorumDue)) return;
    if (this.#quorate) {
      const inRing = this.#connected && !this.#ringDue && this.#quorumRing === this.#ring;
      if (!inRing || !this.#session.inView || this.#session.awaited.length > 0) return;
    }
    this.#quorumDue = false;
    this.#quorumTold = this.#quorate;
    this.#told = true;
    this.#options.events.quorumChanged(this.#quorate);
  }
}

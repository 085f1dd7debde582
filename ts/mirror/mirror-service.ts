/**
 * The mirror core's outside: requests in, ordered messages in, time in; everything it wants goes out through
 * `MirrorEffects`. It owns no socket, no timer, no clock and no thread.
 *
 * One turn of the engine: `handle` for every request that waits, then the transport's flush (which calls `deliver` and
 * `acknowledged`), then `endTurn`, then the replies are sent. Device completions go straight to the log that waits
 * for them and are followed by the same flush and `endTurn`. When `nextDeadlineMs` has come: `tick`, and the same again.
 *
 * Messages are submitted inside `start`, `handle`, `deliver`, `tick` and device completions, never inside `endTurn`.
 */
import type { GroupView } from '../base/group-view.js';
import type { RequestView } from '../base/ulog-frames.js';
import { Cluster } from './cluster.js';
import type { MirrorEffects } from './effects.js';
import type { LogStates } from './log-state.js';
import { MessageSender } from './message-sender.js';
import { type LogMessage, MessageType } from './messages.js';
import type { MirrorLog } from './mirror-log.js';
import { MirrorLogs } from './mirror-logs.js';
import { isPlaceMessage } from './place-messages.js';
import { type MirrorSettings, mirrorSettingsDefault } from './settings.js';
import { UnusedLogs } from './unused-logs.js';
import { type MirrorCounters, report, type World } from './world.js';

export type { MirrorSettings } from './settings.js';

export interface MirrorServiceOptions {
  /** This node's number in the cluster; any number on one host. */
  readonly node: number;
  /** Name of this host, for session records (R9). */
  readonly nodeName: string;
  /** Boot id of this host. */
  readonly bootId: string;
  readonly states: LogStates;
  readonly effects: MirrorEffects;
  /** The texts that an earlier daemon of this boot kept by `keepUnusedLog`. */
  readonly unusedLogs?: Iterable<string>;
  /** What is left out is as in `mirrorSettingsDefault`. */
  readonly settings?: Partial<MirrorSettings>;
}

/**
 * The mirror log of one host.
 *
 * ```ts
 * const service = new MirrorService({ node: 1, nodeName: 'a', bootId, states, effects });
 * service.start(now);
 * service.handle(request, now); transport.flush(); service.endTurn(now);
 * ```
 */
export class MirrorService {
  readonly #world: World;
  readonly #logs: MirrorLogs;
  readonly #unused: UnusedLogs;
  #turnEndedMs = 0;

  constructor(options: MirrorServiceOptions) {
    const { node, nodeName, bootId, states, effects } = options;
    this.#world = {
      node,
      nodeName,
      bootId,
      states,
      effects,
      settings: { ...mirrorSettingsDefault, ...options.settings },
      sender: new MessageSender(effects, node),
      counters: {
        marks: 0,
        marksWithoutIo: 0,
        repairs: 0,
        logFailures: 0,
        stickyHits: 0,
        stickyReleases: 0,
        ownersDropped: 0,
      },
      cluster: null,
      epoch: 0,
      nowMs: 0,
      order: 0,
      acknowledgedOrder: 0,
      questions: 0,
      takeOvers: 0,
      placeRequests: 0,
    };
    this.#logs = new MirrorLogs(this.#world);
    this.#unused = new UnusedLogs(options.unusedLogs ?? [], (uuid, table) => effects.keepUnusedLog?.(uuid, table));
    if (this.#world.settings.shared) this.#world.cluster = new Cluster(this.#world, this.#logs.clusterEvents());
  }

  /** The other nodes, for status and checks; null where the transport reaches nobody. */
  get cluster(): Cluster | null {
    return this.#world.cluster;
  }

  /** Takes up what an earlier daemon of this boot left. Once, before anything else. */
  start(_nowMs: number): void {
    this.#logs.restore(this.#world.states.restore());
    for (const table of this.#unused.restored) this.#world.cluster?.remember(table);
  }

  /** One request. It is answered through the effects, now or later. The view may be bound to another frame after. */
  handle(request: RequestView, nowMs: number): void {
    const log = this.#logs.logOf(request);
    if (log === undefined) this.#logs.handle(request, nowMs);
    else log.handle(request, nowMs);
  }

  /** A message at its place in the one order. The record may be used again after the call. */
  deliver(order: number, message: LogMessage, nowMs: number): void {
    this.#world.nowMs = nowMs;
    this.#world.order = order;
    const { cluster } = this.#world;
    const groups = cluster?.deliver(message) === true;
    if (cluster !== null && groups) this.#unused.allMoved(cluster.tables);
    else if (cluster !== null && isPlaceMessage(message)) this.#unused.moved(message.uuid);
    // Nobody has the uuid any more: the sender left behind this message, and nothing of it counts.
    if (!groups) this.#logs.deliver(order, message, nowMs);
  }

  /** Every member of the view has every message up to and including `order`. */
  acknowledged(order: number, _nowMs: number): void {
    this.#world.acknowledgedOrder = Math.max(this.#world.acknowledgedOrder, order);
    for (const log of this.#logs.all) if (log.waiting) log.needsTurn = true;
  }

  /** A view, at its place in the order. */
  viewChanged(view: GroupView, nowMs: number): void {
    this.#world.nowMs = nowMs;
    this.#world.epoch = view.epoch;
    const { cluster } = this.#world;
    cluster?.viewChanged(view);
    if (cluster !== null) this.#unused.allMoved(cluster.tables);
    report(
      this.#world,
      'debug',
      'view',
      '',
      `epoch ${view.epoch}, members ${view.members.map(({ node }) => node).join(' ')}`,
    );
  }

  /**
   * Whether this node's partition has quorum (R13), in no order with messages and views. After a view that somebody is missing from
   * it has to be said again: the core takes it for unknown until then.
   */
  quorumChanged(quorate: boolean, nowMs: number): void {
    this.#world.nowMs = nowMs;
    this.#world.cluster?.quorumChanged(quorate);
  }

  /** A fencing source, or an operator, says that a node is dead (R7); null: in the boot in which it was last seen. */
  confirmDead(node: number, bootId: string | null, nowMs: number): void {
    this.#world.nowMs = nowMs;
    this.#world.cluster?.confirmDead(node, bootId);
  }

  /**
   * From time to time: regions are out of sync and nobody asks for work, though no message says that it is so now. A region that its last
   * holder gives up becomes one that may be recovered, and a kernel that was told of none before asks when it is written to again (R11).
   */
  restartRecoveries(): void {
    for (const log of this.#logs.all) log.restartRecovery();
  }

  /** This node has to restart recovery and cannot do it now (R11): the next one tries. */
  passRestart(uuid: string, nowMs: number): void {
    this.#world.nowMs = nowMs;
    this.#world.sender.numbers(MessageType.passRestart, uuid, 0, 0, []);
  }

  /** All uuids in device-mapper's tables, live and loaded, as somebody saw them between `askedMs` and now (R2). */
  tables(uuids: ReadonlySet<string>, askedMs: number, nowMs: number): void {
    this.#logs.tables(uuids, askedMs, nowMs);
  }

  /** True when `tables` should come again in seconds. */
  get suspectsOrphans(): boolean {
    return this.#logs.suspectsOrphans;
  }

  /** Does what is due: sticky marks that end, log devices that are tried again, the sweep after a restart. */
  tick(nowMs: number): void {
    for (const log of [...this.#logs.all]) {
      if (log.deadlineMs >= 0 && log.deadlineMs <= nowMs) log.tick(nowMs);
    }
  }

  /** Ends a turn: answers what has become safe and starts the commits that are due, one a log. */
  endTurn(nowMs: number): void {
    for (const log of this.#logs.all) if (log.needsTurn) log.endTurn(nowMs);
    const { cluster } = this.#world;
    if (this.#keepsOn && cluster !== null) this.#unused.keep(cluster.tables, (uuid) => this.#logs.uses(uuid));
    this.#turnEndedMs = nowMs;
  }

  /** What a log in use knows is in its own record, but for what is said while daemons tell each other what they know. */
  get #keepsOn(): boolean {
    return this.#unused.waits && this.#world.cluster?.exchanging === false;
  }

  /** When `tick` has something to do next, on the caller's clock; -1: never. */
  nextDeadlineMs(): number {
    let next = this.#keepsOn ? this.#turnEndedMs : -1;
    for (const { deadlineMs } of this.#logs.all) {
      if (deadlineMs >= 0 && (next < 0 || deadlineMs < next)) next = deadlineMs;
    }
    return next;
  }

  /** The log that the request names, by uuid and luid. */
  find(request: RequestView): MirrorLog | undefined {
    return this.#logs.find(request);
  }

  /** Every log, for status. */
  logs(): Iterable<MirrorLog> {
    return this.#logs.all;
  }

  get counters(): Readonly<MirrorCounters> {
    return this.#world.counters;
  }

  /** True when the daemon may end: no log exists, pending ones included. */
  shutdown(): boolean {
    return this.#logs.empty;
  }
}

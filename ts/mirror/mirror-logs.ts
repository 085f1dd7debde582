/**
 * All logs of this host: which one a request means, and which one has the uuid.
 *
 * A log is named by uuid and luid together. Several logs of one uuid may exist (a table reload constructs the next
 * while the last one serves); at most one of them is *official*: resumed, being resumed or being left. Only the
 * official one is spoken to by the ordered stream, which knows uuids only.
 *
 * The kernel does not repeat PRESUSPEND, POSTSUSPEND and DTR that nobody heard: no daemon ran, or its queue was full. A
 * log is therefore believed to be gone when the kernel speaks of its successor, by a RESUME of another luid or a
 * constructor without NUL for the same luid (the address was freed and given away again), and the log itself
 * is quiet: not heard of since a restart, or for `quietMsMax`; to a RESUME also since an earlier one was refused. It
 * leaves first, as if it had been suspended; what its kernel held stays dirty. When its kernel never speaks of a
 * successor, device-mapper's tables tell (orphans.ts).
 */
import { Errno } from '../base/errno.js';
import { logsMax, quietMsMax } from '../base/limits.js';
import {
  DM_ULOG_CTR,
  DM_ULOG_DTR,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  type RequestView,
} from '../base/ulog-frames.js';
import type { ClusterEvents } from './cluster.js';
import { answerConstructor, Constructions, settleMarks, type Wanted } from './constructions.js';
import { type ConstructorArgs, parseConstructor } from './constructor-args.js';
import type { LogDeviceInfo } from './log-device.js';
import { LifeCycle, type LogState } from './log-state.js';
import { decodeMembers } from './member-record.js';
import { type LogMessage, MessageType, namesNoRegion } from './messages.js';
import { MirrorLog } from './mirror-log.js';
import { deliverDurable, deliverOutOfSync, deliverPlace, isPlaceMessage } from './place-messages.js';
import { reconnects } from './reconnect.js';
import { SearchStart } from './resume-bits.js';
import { TableLooks } from './table-looks.js';
import { report, type World } from './world.js';

/** A constructor that waits for the log in its place to leave. Of its repetitions only the last has a waiter. */
interface Successor {
  wanted: Wanted;
  seq: number;
}

export class MirrorLogs {
  /** Every log, in the order in which they were made. */
  readonly all: MirrorLog[] = [];
  readonly #world: World;
  readonly #constructions: Constructions;
  /** Logs by a small number made of their luid, so that finding one allocates nothing. */
  readonly #byLuid = new Map<number, MirrorLog[]>();
  readonly #official = new Map<string, MirrorLog>();
  /** By the log that leaves. */
  readonly #successors = new Map<MirrorLog, Successor>();
  readonly #looks: TableLooks;

  constructor(world: World) {
    this.#world = world;
    this.#looks = new TableLooks(world, this.all, (log) => this.#successors.has(log));
    this.#constructions = new Constructions(world, (wanted, state, info) => this.#made(wanted, state, info));
  }

  /** True when neither a log exists nor one is being made. */
  get empty(): boolean {
    return this.all.length === 0 && this.#constructions.size === 0;
  }

  /** The log that the ordered stream means by this uuid. */
  official(uuid: string): MirrorLog | undefined {
    return this.#official.get(uuid);
  }

  /** This host has the log in use, or is about to: its record has the member table. */
  uses(uuid: string): boolean {
    const replica = this.#official.get(uuid)?.replica;
    return replica !== undefined && replica.phase !== 'outside' && replica.record.hasTable;
  }

  /** A message about membership (place-messages.ts), or about one log. */
  deliver(order: number, message: LogMessage, nowMs: number): void {
    const { cluster, node } = this.#world;
    const log = this.#official.get(message.uuid);
    if (cluster !== null) deliverOutOfSync(cluster, message);
    if (cluster !== null && message.type === MessageType.durable) deliverDurable(cluster, message, log);
    if (cluster !== null && isPlaceMessage(message))
      deliverPlace(cluster, node, order, message, log, (uuid, at) => this.#tableEnded(uuid, at, false));
    else if (log !== undefined && !this.#isNonsense(message, log)) log.deliver(order, message, nowMs);
  }

  /** All members see it and none applies it: their copies stay alike. */
  #isNonsense(message: LogMessage, { uuid, state }: MirrorLog): boolean {
    const { regionCount } = state.geometry;
    if (!namesNoRegion(message, regionCount)) return false;
    const text = `node ${message.node} names a region behind the last of ${regionCount}: nobody does what it says`;
    report(this.#world, 'error', 'message-ignored', uuid, text);
    return true;
  }

  /** What the cluster asks of this host's logs. */
  clusterEvents(): ClusterEvents {
    const live = () => [...this.#official.values()];
    return {
      liveReports: () => live().flatMap((log) => log.report() ?? []),
      withTable: () => new Set(this.all.map(({ uuid }) => uuid)),
      tableChanged: (uuid) => this.#official.get(uuid)?.replica.tableChanged(),
      tableEnded: this.#tableEnded,
      gone: (uuid, member, died) => this.#official.get(uuid)?.memberGone(member, died),
      resync: (uuid, why) => this.#official.get(uuid)?.resync(why),
      groupLost: () => {
        for (const log of live()) {
          log.needsTurn = true;
          log.replica.groupLost();
        }
      },
      exchangeBegun: () => {
        for (const log of live()) log.replica.exchangeBegun();
      },
      exchangeEnded: () => {
        for (const log of live()) log.replica.exchangeEnded();
      },
      operationalChanged: () => {
        for (const log of live()) {
          log.needsTurn = true;
          log.replica.tableChanged();
        }
      },
    };
  }

  /** Also a log that this host has left remembers what that table alone might recover (R10). */
  readonly #tableEnded = (uuid: string, node: number, surmised: boolean): void => {
    for (const log of this.all) if (log.uuid === uuid) log.tableReplaced(node, surmised);
  };

  /** Takes the records of an earlier daemon in and lets each go on. */
  restore(states: readonly LogState[]): void {
    for (const state of states) {
      const parsed = parseConstructor(state.constructorText);
      if (!parsed.ok || !fits(state, parsed.args)) {
        // Its kernel is asked for constructor and marks as if the record had been lost (R3).
        const text = `its constructor makes no sense, the record is removed: "${state.constructorText}"`;
        report(this.#world, 'error', 'state-unreadable', state.identity.uuid, text);
        state.remove();
        continue;
      }
      const log = this.#add(state, parsed.args);
      if (state.lifeCycle !== LifeCycle.pending) this.#official.set(log.uuid, log);
    }
    for (const { uuid, state } of this.all) {
      const stored = decodeMembers(uuid, state.members);
      if (stored === null) continue;
      const disk = state.image !== null;
      this.#world.cluster?.remember(Object.assign(stored.table, state.geometry, { disk }));
    }
    for (const log of [...this.all]) log.life.start();
  }

  /** The log that answers the request by itself; undefined: `handle` has to see it. */
  logOf(request: RequestView): MirrorLog | undefined {
    const { type } = request;
    if (type === DM_ULOG_CTR || type === DM_ULOG_RESUME || !makesSense(request)) return undefined;
    return this.find(request);
  }

  /** What is decided by looking at all logs: a constructor, a RESUME, and a request whose log is not known. */
  handle(request: RequestView, nowMs: number): void {
    const { type, seq } = request;
    if (!makesSense(request)) {
      this.#world.effects.reply(seq, type, -Errno.EINVAL);
      return;
    }
    if (type === DM_ULOG_CTR) {
      this.#construct(request, nowMs);
      return;
    }
    const log = this.find(request);
    if (log === undefined) this.#unknown(request);
    else this.#resume(log, seq, nowMs);
  }

  find(request: RequestView): MirrorLog | undefined {
    const { luidLow, luidHigh } = request;
    const bucket = this.#byLuid.get(luidKey(luidHigh, luidLow));
    if (bucket === undefined) return undefined;
    for (const log of bucket) {
      const { identity } = log.state;
      if (identity.luidLow === luidLow && identity.luidHigh === luidHigh && request.uuidEquals(log.uuidBytes))
        return log;
    }
    return undefined;
  }

  #unknown(request: RequestView): void {
    const { type, seq, luidHigh, luidLow } = request;
    const uuid = type === DM_ULOG_DTR ? request.uuidText() : null;
    const cancelled = uuid !== null && this.#constructions.cancel({ uuid, luidHigh, luidLow });
    if (type === DM_ULOG_PRESUSPEND || type === DM_ULOG_POSTSUSPEND) this.#distrustLost(request);
    if (uuid !== null && !cancelled && !this.all.some((log) => log.uuid === uuid)) this.#world.cluster?.forgotten(uuid);
    if (type === DM_ULOG_RESUME) {
      // An error here fails the request for which the kernel reconnects (reconnect.ts), and that is worse: as it is, the
      // kernel sends that request again and is told to begin anew.
      this.#world.effects.reply(seq, type, 0);
      return;
    }
    const errno = reconnects(type) ? Errno.ESRCH : Errno.EINVAL;
    this.#world.effects.reply(seq, type, cancelled ? 0 : -errno);
  }

  /** An instance that we do not know is suspended: a core log's `nosync` may be older than what happened to it. */
  #distrustLost(request: RequestView): void {
    for (const { state, uuidBytes } of this.all) {
      const fresh = state.lifeCycle === LifeCycle.pending && !state.everResumed && !state.marksUnknown;
      if (!fresh || state.image !== null) continue;
      if (request.uuidEquals(uuidBytes)) state.searchPosition = SearchStart.knowledgeLost;
    }
  }

  /** What device-mapper's tables name. A log that is in none leaves. */
  tables(uuids: ReadonlySet<string>, askedMs: number, nowMs: number): void {
    this.#looks.look(uuids, askedMs, nowMs);
  }

  /** A log may have lost its kernel, and the tables should be looked at again soon. */
  get suspectsOrphans(): boolean {
    return this.#looks.suspects;
  }

  /** True when a kernel that still used the log would have spoken by now. */
  #isQuiet(log: MirrorLog, nowMs: number): boolean {
    return log.silent || nowMs - log.heardAtMs >= quietMsMax;
  }

  #construct(request: RequestView, nowMs: number): void {
    const { seq } = request;
    const wanted = this.#wanted(request);
    if (wanted === null) {
      this.#world.effects.reply(seq, DM_ULOG_CTR, -Errno.EINVAL);
      return;
    }
    const before = this.find(request);
    if (before === undefined) {
      if (this.all.length + this.#constructions.size >= logsMax) {
        report(this.#world, 'error', 'constructor-refused', wanted.identity.uuid, `there are ${logsMax} logs already`);
        this.#world.effects.reply(seq, DM_ULOG_CTR, -Errno.ENOMEM);
        return;
      }
      this.#constructions.begin(wanted, seq);
      return;
    }
    const repeated = this.#successors.get(before);
    if (repeated !== undefined) {
      Object.assign(repeated, { wanted, seq });
      return;
    }
    const { state } = before;
    // A kernel does not repeat a constructor once it has resumed the log: this is another log at the same address.
    const unused = state.lifeCycle === LifeCycle.pending && !state.everResumed;
    const gone = before.silent || state.everResumed || (unused ? state.marksUnknown : this.#isQuiet(before, nowMs));
    const begunAnew = !wanted.marksUnknown && gone;
    if (state.constructorText === wanted.text && !begunAnew) {
      before.silent = false;
      before.heardAtMs = nowMs;
      settleMarks(this.#world, state, wanted.marksUnknown);
      if (wanted.marksUnknown) before.reconnecting();
      answerConstructor(this.#world, wanted, seq, 0);
      return;
    }
    before.silent = false;
    const successor: Successor = { wanted, seq };
    this.#successors.set(before, successor);
    before.life.exit.retire(() => {
      before.life.exit.remove();
      this.#constructions.begin(successor.wanted, successor.seq);
    });
  }

  /** What a CTR asks for; null, and reported, when it makes no sense. */
  #wanted(request: RequestView): Wanted | null {
    const uuid = request.uuidText();
    const text = request.text();
    if (uuid === null || uuid === '' || text === null || text.includes('\0')) return null;
    const parsed = parseConstructor(text);
    if (!parsed.ok) {
      report(this.#world, 'warning', 'constructor-refused', uuid, `"${text}": ${parsed.text}`);
      return null;
    }
    return {
      identity: { uuid, luidHigh: request.luidHigh, luidLow: request.luidLow },
      text,
      args: parsed.args,
      marksUnknown: request.endsWithNul,
      // The constructor that the kernel repeats has no room for data: a name would fail it with -ENOSPC, for ever.
      deviceNameWanted: request.version >= 2 && !request.endsWithNul,
    };
  }

  #made(wanted: Wanted, state: LogState, info: LogDeviceInfo | null): void {
    const log = this.#add(state, wanted.args);
    // The RESUME that follows ends no suspend either.
    if (wanted.marksUnknown) log.reconnecting();
    if (info !== null) log.life.deviceKnown(info);
    if (!wanted.args.oddRegionSize) return;
    const text = `region size ${wanted.args.regionSizeSectors} is not a power of two; the kernel's regions will differ`;
    report(this.#world, 'warning', 'odd-region-size', log.uuid, text);
  }

  /** RESUME: one instance of a uuid at a time. */
  #resume(log: MirrorLog, seq: number, nowMs: number): void {
    log.silent = false;
    log.heardAtMs = nowMs;
    log.needsTurn = true;
    const official = this.#official.get(log.uuid);
    if (official?.life.exit.leaves) {
      official.life.exit.whenLeft(() => this.#resumeLater(log, seq));
      return;
    }
    if (official === undefined || official === log) {
      log.resume(seq);
      return;
    }
    if (!this.#hasGone(official, log, nowMs)) {
      this.#world.effects.reply(seq, DM_ULOG_RESUME, -Errno.EEXIST);
      return;
    }
    const text = 'its suspend was missed: it leaves for the instance that is being resumed';
    report(this.#world, 'notice', 'retired', log.uuid, text);
    official.needsTurn = true;
    official.life.exit.retire(() => this.#resumeLater(log, seq));
  }

  /** Its suspend was missed: see above. Notes that the RESUME of `next` was refused when it has not gone. */
  #hasGone(official: MirrorLog, next: MirrorLog, nowMs: number): boolean {
    if (official.silent) return true;
    const refused = next.refusedAtMs > official.heardAtMs;
    if (refused && this.#isQuiet(official, nowMs)) return true;
    if (!refused) next.refusedAtMs = nowMs;
    return false;
  }

  /** A RESUME that has waited for an instance to leave; its own may be gone by now, or go. */
  #resumeLater(log: MirrorLog, seq: number): void {
    if (!this.all.includes(log)) this.#world.effects.reply(seq, DM_ULOG_RESUME, -Errno.EINVAL);
    else if (log.life.exit.goes) this.#world.effects.reply(seq, DM_ULOG_RESUME, -Errno.ENOENT);
    else this.#resume(log, seq, log.heardAtMs);
  }

  #add(state: LogState, args: ConstructorArgs): MirrorLog {
    const log: MirrorLog = new MirrorLog(this.#world, state, args, {
      predecessors: () => this.#predecessors(log),
      successors: () => this.#neverResumed(log),
      official: (taken) => {
        if (taken) this.#official.set(log.uuid, log);
        else if (this.#official.get(log.uuid) === log) this.#official.delete(log.uuid);
      },
      replaced: () => (this.#official.get(log.uuid) ?? log) !== log,
      destroyed: () => this.#remove(log),
    });
    this.all.push(log);
    const key = luidKey(state.identity.luidHigh, state.identity.luidLow);
    const bucket = this.#byLuid.get(key);
    if (bucket === undefined) this.#byLuid.set(key, [log]);
    else bucket.push(log);
    return log;
  }

  #remove(log: MirrorLog): void {
    const { luidHigh, luidLow } = log.state.identity;
    const key = luidKey(luidHigh, luidLow);
    const rest = (this.#byLuid.get(key) ?? []).filter((other) => other !== log);
    if (rest.length === 0) this.#byLuid.delete(key);
    else this.#byLuid.set(key, rest);
    this.#successors.delete(log);
    this.#looks.removed(log);
    const index = this.all.indexOf(log);
    if (index >= 0) this.all.splice(index, 1);
  }

  *#predecessors(log: MirrorLog): Iterable<LogState> {
    for (const other of this.all) {
      const { state } = other;
      const hasLeft = state.lifeCycle === LifeCycle.pending && state.everResumed;
      if (other !== log && other.uuid === log.uuid && hasLeft) yield state;
    }
  }

  *#neverResumed(log: MirrorLog): Iterable<LogState> {
    for (const other of this.all) {
      if (other !== log && other.uuid === log.uuid && !other.state.everResumed) yield other.state;
    }
  }
}

function makesSense({ type, wellFormed }: RequestView): boolean {
  return type >= DM_ULOG_CTR && type <= DM_ULOG_IS_REMOTE_RECOVERING && wellFormed;
}

/** What the record holds is what its constructor asks for. */
function fits({ geometry, image }: LogState, args: ConstructorArgs): boolean {
  const sameSize = geometry.regionCount === args.regionCount && geometry.regionSizeSectors === args.regionSizeSectors;
  return sameSize && (image !== null) === (args.kind === 'disk');
}

/** A luid folded into a small integer: kernel addresses differ in their middle bits. */
function luidKey(high: number, low: number): number {
  return ((low >>> 3) ^ high) & 0x3fffffff;
}

/**
 * The engine: connector, ordered transport, mirror core and log devices on one thread, in turns.
 *
 * A turn begins with what happened (requests came, a device completed, a deadline passed), lets the core decide,
 * flushes the transport, starts the commits that are due, and sends the replies, all of them in one call:
 *
 * | event             | core                  | then                                                  |
 * | ----------------- | --------------------- | ----------------------------------------------------- |
 * | frames to read    | `handle` each         | flush -> deliver, acknowledged; `endTurn`; send; timer |
 * | device completion | its `LogDeviceEvents` | the same                                              |
 * | deadline          | `tick`                | the same                                              |
 *
 * Nothing here waits, and nothing on the way of a question allocates. It runs in a worker in the daemon and in a
 * test's own thread alike: threads, signals and processes are not its business.
 */

import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Errno } from '../base/errno.js';
import type { GroupMember } from '../base/group-view.js';
import {
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  type RequestView,
} from '../base/ulog-frames.js';
import { whyUnavailable } from '../cluster/availability.js';
import { LocalTransport } from '../cluster/local.js';
import type { OrderedTransport, TransportEvents } from '../cluster/transport.js';
import { Connector } from '../connector/connector.js';
import { ReplySlots } from '../connector/reply-slots.js';
import { TableWatch } from '../connector/table-watch.js';
import type { MirrorEffects, MirrorReport } from '../mirror/effects.js';
import type { LogDevice, LogDeviceEvents } from '../mirror/log-device.js';
import { LifeCycle } from '../mirror/log-state.js';
import { LostRequests, lostWindowDefault } from '../mirror/lost-requests.js';
import type { LogMessage } from '../mirror/messages.js';
import type { MirrorLog } from '../mirror/mirror-log.js';
import { MirrorService } from '../mirror/mirror-service.js';
import { corosyncBuiltIn } from '../native/cpg-group.js';
import { FrameChannel } from '../native/frame-channel.js';
import { NativeLogStates } from '../native/log-state.js';
import { LogDevices } from '../storage/log-devices.js';
import { capSysAdmin, hasCapability } from './capability.js';
import { ClusterHost } from './cluster-host.js';
import { servedAlone, writeClusterRecord } from './cluster-record.js';
import type { DaemonConfig } from './config.js';
import { makeFolder } from './folders.js';
import type { LogEntry } from './log-entry.js';
import type { LostNodesEvents } from './lost-nodes.js';
import { RateLimitedLog } from './rate-limit.js';
import { type DaemonStatus, logStatus, type RegionStatus, regionStatus, requestCountsByName } from './status.js';
import { TurnTimer } from './turn-timer.js';
import { packageVersion } from './version.js';

/**
 * Turns that requests alone may fill before devices and deadlines are looked at: some 200 us. Whoever hears a reply asks
 * again at once; the next request is often there when the replies have left, and the way through the event loop is saved.
 */
const turnsOfAWakeMax = 16;
/** More frames than this in a turn, and the turn is the last of its wake. */
const framesOfATurnMax = 64;
/** An entry more often than this is counted in the engine, before it costs the main thread anything. */
const logLimit = { burst: 50, windowMs: 10_000 };

/** Requests that the core answers with -ESRCH before a log is resumed. */
const reconnecting: ReadonlySet<number> = new Set([
  DM_ULOG_MARK_REGION,
  DM_ULOG_IN_SYNC,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
]);

/** What the engine tells its owner. */
export interface EngineEvents extends LostNodesEvents {
  log(entry: LogEntry): void;
  /** Once: the socket is open and what was restored is on its devices again, or its device failed. */
  ready(restoredLogs: number): void;
}

export class Engine {
  readonly #config: DaemonConfig;
  readonly #events: EngineEvents;
  readonly #log: RateLimitedLog;
  readonly #states: NativeLogStates;
  readonly #channel: FrameChannel;
  readonly #replies: ReplySlots;
  readonly #connector: Connector;
  readonly #transport: OrderedTransport;
  readonly #devices: LogDevices;
  readonly #service: MirrorService;
  readonly #timer: TurnTimer;
  readonly #tables: TableWatch;
  /** Why the transport of the configuration carries nothing for good, or null. Then `local` serves what is there. */
  readonly #unavailable: string | null;
  /** What this host has to do about others; null where its logs are served alone. */
  readonly #cluster: ClusterHost | null;
  readonly #startedMs = performance.now();
  readonly #restoredLogs: number;
  #turns = 0;
  #ready = false;
  #closed = false;

  /**
   * Restores, then opens the socket: no request comes before what the last daemon knew is known again.
   *
   * @throws Error with a code when the state folder or the socket cannot be had (`KernelSocketError` for the latter).
   */
  constructor(config: DaemonConfig, events: EngineEvents) {
    this.#config = config;
    this.#events = events;
    this.#log = new RateLimitedLog((entry) => events.log(entry), logLimit);
    makeFolder(dirname(config.stateDirectory), 0o700);
    this.#states = new NativeLogStates({
      directory: config.stateDirectory,
      bootId: config.bootId,
      memoryBytesMax: config.logMemoryBytesMax,
      reserveWhole: config.transport === 'corosync',
      stickyMax: config.stickyMax,
      onProblem: (text) => this.#write({ level: 'error', event: 'state-unreadable', fields: { text } }),
    });
    this.#channel = openChannel(config);
    this.#replies = new ReplySlots(this.#channel);
    this.#devices = new LogDevices({ writer: config.logWriter, endTurn: () => this.#endTurn(performance.now()) });
    // Logs that an earlier daemon of this boot ran alone are served on until their kernel leaves them: it writes already.
    this.#unavailable = whyUnavailable(config.transport) ?? whyAlone(config);
    const clustered = config.transport === 'corosync' && this.#unavailable === null;
    this.#cluster = clustered ? this.#openCluster() : null;
    this.#transport = this.#cluster?.transport ?? new LocalTransport(self(config), this.#transportEvents());
    if (config.transport === 'local') writeClusterRecord(config, config);
    this.#service = new MirrorService({
      node: config.node,
      nodeName: config.nodeName,
      bootId: config.bootId,
      states: this.#states,
      effects: this.#effects(),
      unusedLogs: this.#cluster?.unusedLogs.read() ?? [],
      settings: {
        shared: clustered,
        stickyIdleMs: config.stickyIdleMs,
        stickyMax: config.stickyMax,
        cleanCommitMs: config.cleanCommitMs,
        logRetryMs: config.logRetryMs,
        forceForeignSession: config.forceForeignSession,
        onQuorumLoss: config.failWithoutQuorum ? 'fail' : 'wait',
      },
    });
    const lost = new LostRequests(this.#states, lostWindowDefault, (seq) => this.#replies.askAgain(seq));
    this.#connector = new Connector(this.#channel, this.#replies, this.#service, lost, this.#turnAway);
    this.#timer = new TurnTimer(this.#onDeadline, () => performance.now());
    this.#tables = this.#tableWatch();
    const nowMs = performance.now();
    this.#service.start(nowMs);
    this.#restoredLogs = this.#logCount();
    this.#channel.onReadable(this.#onReadable);
    // At once and not when frames come: all that the kernel waits for may be what the last daemon took with it.
    this.#connector.receive(nowMs);
    this.#endTurn(nowMs);
    // A simulated kernel's tables are not device-mapper's, and only root may ask for those.
    if (config.kernel.kind === 'connector' && process.geteuid?.() === 0) this.#tables.start();
    this.#cluster?.start();
  }

  /** True when no log exists and everything is closed; false, and nothing changed, when there are logs. */
  stop(): boolean {
    if (!this.#service.shutdown()) return false;
    this.close();
    return true;
  }

  /** Gives everything up where it stands, as a kill would; the state records stay. Twice is fine. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#log.end();
    this.#timer.cancel();
    this.#tables.close();
    this.#channel.close();
    if (this.#cluster === null) this.#transport.close();
    else this.#cluster.close();
    this.#devices.close();
    this.#states.close();
  }

  get logCount(): number {
    return this.#logCount();
  }

  status(): DaemonStatus {
    const logs = [...this.#service.logs()];
    const { marks, marksWithoutIo, ...core } = this.#service.counters;
    return {
      version: packageVersion,
      pid: process.pid,
      node: this.#config.node,
      nodeName: this.#config.nodeName,
      bootId: this.#config.bootId,
      kernel: this.#config.kernel.kind,
      stateDirectory: this.#config.stateDirectory,
      uptimeMs: Math.round(performance.now() - this.#startedMs),
      transport: this.#config.transport,
      corosyncBuiltIn,
      unavailable: this.#unavailable,
      cluster: this.#cluster?.status() ?? null,
      logs: logs.map((log) => ({
        ...logStatus(log.state, this.#config.node),
        cluster: this.#cluster?.logStatus(log) ?? null,
      })),
      counters: {
        requests: requestCountsByName(this.#connector.requestCounts, this.#connector.malformed),
        replies: {
          succeeded: this.#replies.succeeded,
          failed: this.#replies.failed,
          dropped: this.#replies.dropped,
        },
        marks,
        marksWithoutIo,
        core,
        devices: { ...this.#devices.counters },
        frames: this.#channel.counters(),
        turns: this.#turns,
      },
      memory: {
        stateBytes: this.#states.mappedBytes,
        heapBytes: process.memoryUsage().heapUsed,
        residentBytes: process.memoryUsage.rss(),
      },
    };
  }

  /** How a region stands, for `lockstep why`; null: no such log, or no such region. */
  region(uuid: string, luid: string, region: number): RegionStatus | null {
    return regionStatus(this.#service.logs(), this.#config.node, uuid, luid, region);
  }

  /** See `ClusterHost.confirmDead`. */
  confirmDead(node: number, boot: string | null, by: string): string {
    if (this.#cluster === null) return 'this daemon serves its logs alone: it knows of no other node';
    const nowMs = performance.now();
    const refusal = this.#cluster.confirmDead(node, boot, by, nowMs);
    this.#endTurn(nowMs);
    return refusal;
  }

  /** What must not reach the core, or not yet, where logs are shared. */
  readonly #turnAway = (request: RequestView): boolean => {
    if (this.#cluster === null && this.#unavailable === null) return false;
    if (request.type === DM_ULOG_RESUME) {
      // One that is in use is resumed again by a kernel that has found a daemon again: it goes on, and waits with its group.
      if (this.#pendingLog(request) === null) return false;
      this.#resumeWhenPossible(request);
      return true;
    }
    const why = this.#whyNoGroup();
    // The core's -ESRCH would make the kernel construct and resume the log again, two seconds a request, for nothing: but for one that
    // writes already (R3), which would take the error for a region out of sync.
    const log = why !== null && reconnecting.has(request.type) ? this.#pendingLog(request) : null;
    if (log === null || log.state.marksUnknown) return false;
    this.#replies.reply(request.seq, request.type, -Errno.ENOENT);
    return true;
  };

  /** Why no log can be resumed now; null: it can. */
  #whyNoGroup(): string | null {
    if (this.#unavailable !== null) return this.#unavailable;
    return this.#cluster?.problem || null;
  }

  /** A RESUME waits for the group, if that is being entered, and for the names of corosync's groups (R14): milliseconds. */
  #resumeWhenPossible(request: RequestView): void {
    if (this.#cluster === null) {
      this.#refuseResume(request, this.#unavailable ?? '');
      return;
    }
    const copy = request.copied();
    void this.#cluster.whyNotResume(copy.uuidText() ?? '').then((why) => {
      if (this.#closed) return;
      const nowMs = performance.now();
      if (why === '') this.#service.handle(copy, nowMs);
      else this.#refuseResume(copy, why);
      this.#endTurn(nowMs);
    });
  }

  /**
   * The log stays constructed and serves nothing: its kernel gets errors, and nobody writes alone what others share. A kernel that writes
   * already (R3) would write without marks by that: it gets no answer, and asks again.
   */
  #refuseResume(request: RequestView, why: string): void {
    if (this.#pendingLog(request)?.state.marksUnknown === true) {
      const text = `RESUME of log ${request.uuidText() ?? '?'} waits, its kernel writes already: ${why}`;
      this.#write({ level: 'error', event: 'resume-waits', fields: { text, transport: this.#config.transport } });
      return;
    }
    this.#replies.reply(request.seq, DM_ULOG_RESUME, -Errno.ENOTCONN);
    const text = `Cannot join the group of log ${request.uuidText() ?? '?'}: ${why}`;
    this.#write({ level: 'error', event: 'resume-refused', fields: { text, transport: this.#config.transport } });
  }

  /** The log that the request names, if it is not in use. */
  #pendingLog(request: RequestView): MirrorLog | null {
    const log = this.#service.find(request);
    return log?.state.lifeCycle === LifeCycle.pending ? log : null;
  }

  readonly #onReadable = (): void => {
    if (this.#closed) return;
    const nowMs = performance.now();
    for (let turn = 0; turn < turnsOfAWakeMax; turn++) {
      const frames = this.#connector.receive(nowMs);
      if (frames === 0 && turn > 0) return;
      this.#endTurn(nowMs);
      if (frames > framesOfATurnMax || this.#closed) return;
    }
  };

  readonly #onDeadline = (): void => {
    const nowMs = performance.now();
    this.#service.tick(nowMs);
    this.#endTurn(nowMs);
  };

  #tableWatch(): TableWatch {
    const tables = (uuids: ReadonlySet<string>, askedMs: number): boolean => {
      const nowMs = performance.now();
      this.#service.tables(uuids, askedMs, nowMs);
      this.#endTurn(nowMs);
      return this.#service.suspectsOrphans;
    };
    const failed = (text: string): void => this.#write({ level: 'warning', event: 'tables-unread', fields: { text } });
    return new TableWatch({ tables, failed }, () => performance.now());
  }

  #endTurn(nowMs: number): void {
    if (this.#closed) return;
    this.#turns += 1;
    this.#transport.flush();
    this.#service.endTurn(nowMs);
    this.#cluster?.endTurn();
    this.#replies.send();
    this.#timer.arm(this.#service.nextDeadlineMs(), nowMs);
    if (!this.#ready) this.#checkReady();
  }

  #checkReady(): void {
    for (const log of this.#service.logs()) if (log.restoring) return;
    this.#ready = true;
    this.#events.ready(this.#restoredLogs);
  }

  #logCount(): number {
    let count = 0;
    for (const _ of this.#service.logs()) count += 1;
    return count;
  }

  #transportEvents(): TransportEvents {
    return {
      delivered: (order: number, message: LogMessage) => this.#service.deliver(order, message, performance.now()),
      acknowledged: (order: number) => this.#service.acknowledged(order, performance.now()),
      viewChanged: (view) => this.#service.viewChanged(view, performance.now()),
      quorumChanged: (quorate) => this.#service.quorumChanged(quorate, performance.now()),
    };
  }

  #openCluster(): ClusterHost {
    return new ClusterHost({
      config: this.#config,
      self: self(this.#config),
      events: this.#transportEvents(),
      lost: this.#events,
      endTurn: () => this.#endTurn(performance.now()),
      write: (entry) => this.#write(entry),
      service: () => this.#service,
    });
  }

  #effects(): MirrorEffects {
    const replies = this.#replies;
    return {
      reply: (seq, type, error) => replies.reply(seq, type, error),
      replyValue: (seq, type, value) => replies.replyValue(seq, type, value),
      replyPair: (seq, type, first, second) => replies.replyPair(seq, type, first, second),
      replyText: (seq, type, text) => replies.replyText(seq, type, text),
      submit: (message: LogMessage) => this.#transport.submit(message),
      device: (events: LogDeviceEvents, shared: boolean): LogDevice => this.#devices.device(events, shared),
      lost: () => this.#cluster?.memberLost(),
      restartRecovery: (uuid) => this.#cluster?.restartRecovery(uuid),
      keepUnusedLog: (uuid, table) => this.#cluster?.unusedLogs.keep(uuid, table),
      report: (report: MirrorReport) =>
        this.#write({ level: report.level, event: report.event, fields: { uuid: report.uuid, text: report.text } }),
    };
  }

  #write(entry: LogEntry): void {
    this.#log.write(entry, performance.now());
  }
}

function self({ node, nodeName, bootId }: DaemonConfig): GroupMember {
  return { node, name: nodeName, bootId, incarnation: String(process.pid) };
}

/** Logs that an earlier daemon served alone are served on so; then nothing else is, until the daemon is started again. */
function whyAlone(config: DaemonConfig): string | null {
  if (config.transport === 'local' || !servedAlone(config)) return null;
  return 'this daemon goes on with logs that were served without a cluster; start it again when they are inactive';
}

/** The socket that requests come from could not be opened: an exit code of its own. */
export class KernelSocketError extends Error {}

function openChannel(config: DaemonConfig): FrameChannel {
  const { kernel } = config;
  try {
    if (kernel.kind === 'simulated') return FrameChannel.listen(kernel.path);
    if (!hasCapability(capSysAdmin)) throw new Error('needs CAP_SYS_ADMIN: the kernel drops replies without it');
    return FrameChannel.connector({ receiveBufferBytes: config.receiveBufferBytes });
  } catch (error) {
    const where = kernel.kind === 'connector' ? 'the kernel connector' : kernel.path;
    const reason = error instanceof Error ? error.message : String(error);
    throw new KernelSocketError(`cannot open ${where}: ${reason}`, { cause: error });
  }
}

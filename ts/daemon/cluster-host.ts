/**
 * The engine's side of a cluster: the corosync transport, and what a host has to do about the others beyond the ordered stream: tell
 * the main thread which hosts are lost so that it can ask whether they are dead (R7), look for original cmirrords (R14), restart
 * its kernel's recovery (R11), and say how the cluster stands.
 *
 * It decides nothing about logs: that is the mirror core's. All of it happens in the engine's turns.
 */
import type { ClusterStatus, LogClusterStatus, LogWait } from '../admin/daemon-status.js';
import { waitsText } from '../admin/wait-texts.js';
import type { GroupMember } from '../base/group-view.js';
import { askCorosync, CorosyncTransport } from '../cluster/corosync.js';
import type { TransportEvents } from '../cluster/transport.js';
import { LifeCycle } from '../mirror/log-state.js';
import { MessageType } from '../mirror/messages.js';
import type { MirrorLog } from '../mirror/mirror-log.js';
import type { MirrorService } from '../mirror/mirror-service.js';
import { activeLog } from '../mirror/recovery-restarts.js';
import { restartRecovery } from '../native/dm-restart.js';
import { ClusterChanges, mayChange, viewEvent } from './cluster-changes.js';
import { writeClusterRecord } from './cluster-record.js';
import type { DaemonConfig } from './config.js';
import { ForeignGroups } from './foreign-groups.js';
import type { LogEntry } from './log-entry.js';
import { type GroupFacts, LastingWaits, waitsOf } from './log-waits.js';
import { LostNodes, type LostNodesEvents } from './lost-nodes.js';
import { DeviceRestarts } from './recovery-restarts.js';
import { UnusedLogFiles } from './unused-log-files.js';
import { upMs } from './up-time.js';

/** How long a RESUME waits for this host to enter its group; its kernel asks again after 15 s. */
const enterMsMax = 10_000;
const enterLookMs = 20;
/** Between two looks at all logs: a wait that is the same at two lasts, and is spoken of; recovery that rests is started anew (R11). */
const logsLookMs = 2_000;

export interface ClusterHostOptions {
  readonly config: DaemonConfig;
  readonly self: GroupMember;
  readonly events: TransportEvents;
  readonly lost: LostNodesEvents;
  readonly endTurn: () => void;
  readonly write: (entry: LogEntry) => void;
  /** The core; it is not there yet when this is made. */
  readonly service: () => MirrorService;
}

export class ClusterHost {
  readonly transport: CorosyncTransport;
  /** What the core keeps of logs that this host does not use. */
  readonly unusedLogs: UnusedLogFiles;
  readonly #options: ClusterHostOptions;
  readonly #lost: LostNodes;
  readonly #foreign: ForeignGroups;
  readonly #restarts: DeviceRestarts | null;
  readonly #changes: ClusterChanges;
  readonly #waits: LastingWaits;
  readonly #logsTimer: NodeJS.Timeout;
  #quorate = false;
  /** Who is lost may have changed in this turn. */
  #lookDue = false;
  /** Who has which log may have. */
  #changesDue = false;
  /** When the view of now began, on the wall clock. */
  #viewMs = Date.now();

  constructor(options: ClusterHostOptions) {
    this.#options = options;
    const { config, write } = options;
    writeClusterRecord(config, config);
    this.#lost = new LostNodes(options.lost);
    this.#foreign = this.#foreignGroups();
    this.#restarts = this.#recoveryRestarts();
    this.unusedLogs = new UnusedLogFiles(config.stateDirectory, config.bootId, (text) =>
      write({ level: 'warning', event: 'members-not-kept', fields: { text } }),
    );
    this.#changes = new ClusterChanges(write);
    this.#waits = new LastingWaits((uuid, waits) => this.#tellWaits(uuid, waits));
    this.#logsTimer = setInterval(() => this.#lookAtLogs(), logsLookMs).unref();
    this.transport = new CorosyncTransport({
      self: options.self,
      events: this.#observed(),
      reports: {
        problem: (event, text) => write({ level: 'error', event, fields: { text } }),
        recovered: (event, text) => write({ level: 'notice', event, fields: { text } }),
        heardChanged: () => {
          this.#lookDue = true;
        },
        nodeChanged: (node) => {
          writeClusterRecord(config, { transport: 'corosync', node });
          throw new Error(
            `corosync calls this node ${node}; this daemon began as node ${config.node} and has to begin anew`,
          );
        },
      },
      endTurn: options.endTurn,
    });
  }

  /** Once, when the core has taken up what an earlier daemon left. */
  start(): void {
    this.#restarts?.takeUp();
  }

  /** At the end of a turn. */
  endTurn(): void {
    if (!this.#lookDue && !this.#changesDue) return;
    const { cluster } = this.#options.service();
    // While the members tell each other what they know, the tables are of before.
    if (cluster === null || (cluster.exchanging && this.#quorate)) return;
    if (this.#changesDue) this.#changes.look(this.#quorate && cluster.orderedQuorate, cluster.tables.values());
    this.#changesDue = false;
    if (!this.#lookDue) return;
    this.#lookDue = false;
    const now = { lostMs: Date.now(), lostUpMs: upMs() };
    this.#lost.look(cluster.tables.values(), this.transport.state.heard, this.#quorate, now);
  }

  close(): void {
    clearInterval(this.#logsTimer);
    this.#foreign.close();
    this.#restarts?.close();
    this.transport.close();
  }

  /** Why no log can be resumed now; empty: it can. */
  get problem(): string {
    return this.transport.problem;
  }

  /** Why this log cannot be resumed; empty: nothing speaks against it. Waits for a group that is being entered. */
  async whyNotResume(uuid: string): Promise<string> {
    for (const endMs = performance.now() + enterMsMax; this.transport.entering && performance.now() < endMs; ) {
      await new Promise((resolve) => setTimeout(resolve, enterLookMs));
    }
    return this.problem || this.#foreign.whyNot(uuid);
  }

  /** The core says that a member is lost. */
  memberLost(): void {
    this.#lookDue = true;
  }

  restartRecovery(uuid: string): void {
    this.#restarts?.want(uuid);
  }

  /**
   * Somebody says that a node is dead, in the boot in which it was lost; null: whichever that is. Returns why that cannot be;
   * empty: all members are told.
   */
  confirmDead(node: number, boot: string | null, by: string, nowMs: number): string {
    const refusal = this.#whyNotDead(node, boot);
    if (refusal !== '') return refusal;
    const lost = this.#lost.find(node);
    const text = `node ${node} (${lost?.name}) is dead, says ${by}: what it marked is resynced`;
    this.#options.write({ level: 'notice', event: 'dead-confirmed', fields: { node, text } });
    this.#options.service().confirmDead(node, null, nowMs);
    return '';
  }

  #whyNotDead(node: number, boot: string | null): string {
    const { members, heard } = this.transport.state;
    if (node === this.transport.node) return `node ${node} is this host`;
    const member = members.find((one) => one.node === node);
    if (member !== undefined) return `node ${node} (${member.name}) is a member of the cluster now`;
    if (heard.includes(node)) return `node ${node} is not dead: corosync hears it`;
    if (heard.length === 0) return this.problem || 'corosync has not said yet whom it hears';
    const lost = this.#lost.find(node);
    if (lost === null) return `node ${node} is not lost: no log waits for it`;
    if (boot !== null && boot !== lost.boot) return `node ${node} was lost in another boot than the one that ended`;
    return '';
  }

  status(): ClusterStatus {
    const { cluster } = this.#options.service();
    const { connected, quorate, problem, epoch, members, heard, awaited, behind, ...rest } = this.transport.state;
    const { waitingBytes, connections, counters } = rest;
    const lost = this.#lost.list.map(({ node, name, lostMs }) => ({
      node,
      name,
      since: new Date(lostMs).toISOString(),
    }));
    return {
      connected,
      problem,
      quorate,
      agreedQuorate: cluster?.orderedQuorate ?? false,
      view: epoch,
      viewSince: new Date(this.#viewMs).toISOString(),
      exchanging: cluster?.exchanging ?? false,
      fencing: this.#options.config.fencing?.kind ?? null,
      members: members.map(({ node, name }) => ({ node, name })),
      heard: [...heard],
      awaited: [...awaited],
      behind: behind.map(({ node }) => node),
      lost,
      waitingBytes,
      connections,
      counters: { ...counters },
    };
  }

  logStatus(log: MirrorLog): LogClusterStatus | null {
    const { uuid } = log;
    const table = this.#options.service().cluster?.tables.get(uuid);
    if (table === undefined) return null;
    const members = table.members.map(({ node, name, stage, present, valid, settled, needed }) => {
      return { node, name, stage, present, valid, settled, needed, recoversAlone: log.recoversAlone(node) };
    });
    const waitsNow = waitsOf(log, this.#groupFacts());
    const waits = waitsNow.map(({ code, nodes }) => ({ code, nodes }));
    const sinceMs = this.#waits.sinceMs(uuid, waitsNow);
    const waitedMs = sinceMs < 0 ? 0 : Math.round(performance.now() - sinceMs);
    const foreign = this.#foreign.has(uuid);
    return { members, writer: table.writer, writerEpoch: table.epoch, foreign, waits, waitedMs };
  }

  #groupFacts(): GroupFacts {
    const { cluster } = this.#options.service();
    const { awaited, behind, counters } = this.transport.state;
    return {
      node: this.transport.node,
      inGroup: cluster?.inGroup ?? false,
      quorate: this.#quorate && (cluster?.orderedQuorate ?? false),
      exchanging: cluster?.exchanging ?? false,
      awaited,
      behind,
      messagesDelivered: counters.messagesDelivered,
    };
  }

  #lookAtLogs(): void {
    const facts = this.#groupFacts();
    this.#options.service().restartRecoveries();
    const logs = [...this.#options.service().logs()];
    this.#waits.look(
      logs.map((log) => ({ uuid: log.uuid, waits: waitsOf(log, facts) })),
      performance.now(),
    );
  }

  #tellWaits(uuid: string, waits: readonly LogWait[]): void {
    const { write, service } = this.#options;
    if (waits.length === 0) {
      write({ level: 'notice', event: 'goes-on', fields: { uuid, text: 'what waited was answered' } });
      return;
    }
    const names = new Map(
      service()
        .cluster?.tables.get(uuid)
        ?.members.map(({ node, name }) => [node, name]),
    );
    write({ level: 'warning', event: 'waits', fields: { uuid, text: waitsText(waits, names) } });
  }

  #observed(): TransportEvents {
    const { events } = this.#options;
    return {
      delivered: (order, message) => {
        events.delivered(order, message);
        if (message.type === MessageType.report || message.type === MessageType.dead) this.#lookDue = true;
        if (mayChange(message.type)) this.#changesDue = true;
      },
      acknowledged: (order) => events.acknowledged(order),
      viewChanged: (view) => {
        this.#viewMs = Date.now();
        const said = viewEvent(view);
        if (said !== null) this.#options.write(said);
        events.viewChanged(view);
        this.#lookDue = true;
        this.#changesDue = true;
      },
      quorumChanged: (quorate) => {
        this.#quorate = quorate;
        events.quorumChanged(quorate);
        this.#lookDue = true;
        this.#changesDue = true;
      },
    };
  }

  #foreignGroups(): ForeignGroups {
    const { write, service } = this.#options;
    return new ForeignGroups({
      ask: async () => (await askCorosync()).groups,
      served: function* () {
        for (const { uuid, state } of service().logs()) if (state.lifeCycle !== LifeCycle.pending) yield uuid;
      },
      found: (uuid) => {
        const text =
          'an original cmirrord has this log too, on some host of this cluster: neither knows what the other marks; deactivate it there';
        write({ level: 'error', event: 'foreign-cmirrord', fields: { uuid, text } });
      },
      gone: (uuid) => {
        const text = 'no original cmirrord has this log any more; resync it if it was written there';
        write({ level: 'notice', event: 'foreign-cmirrord-gone', fields: { uuid, text } });
      },
    });
  }

  /** Null where there is no device-mapper to ask: a simulated kernel's devices are not this host's, and only root may. */
  #recoveryRestarts(): DeviceRestarts | null {
    const { config, write, service } = this.#options;
    if (!config.restartRecovery || config.kernel.kind !== 'connector' || process.geteuid?.() !== 0) return null;
    return new DeviceRestarts({
      stateDirectory: config.stateDirectory,
      bootId: config.bootId,
      restart: restartRecovery,
      log: (uuid) => activeLog(service().logs(), uuid),
      report: (level, event, uuid, text) => write({ level, event, fields: { uuid, text } }),
      passOn: (uuid) => {
        service().passRestart(uuid, performance.now());
        this.#options.endTurn();
      },
    });
  }
}

/**
 * One daemon process of the simulator: the real mirror core over counted native state, with a turn of the engine as the
 * daemon has it: take all frames that wait, handle each, deliver the messages, end the turn, send the replies.
 *
 * It can be killed between any two effects (see kill.ts), stopped for a while (frames pile up), started again over
 * the memory that the last one left, or over nothing.
 */

import { Errno } from '../../base/errno.js';
import type { GroupMember, GroupView } from '../../base/group-view.js';
import { frameBytesMax, frameHeaderBytes } from '../../base/limits.js';
import {
  encodeAck,
  encodePairReply,
  encodeReply,
  encodeTextReply,
  encodeValueReply,
  RequestView,
} from '../../base/ulog-frames.js';
import type { MirrorEffects, MirrorReport } from '../../mirror/effects.js';
import type { LogDevice, LogDeviceEvents } from '../../mirror/log-device.js';
import { LifeCycle, serves } from '../../mirror/log-state.js';
import { LostRequests, type LostWindow } from '../../mirror/lost-requests.js';
import type { LogMessage } from '../../mirror/messages.js';
import { MirrorService } from '../../mirror/mirror-service.js';
import { activeLog, RecoveryRestarts, type RestartEnd } from '../../mirror/recovery-restarts.js';
import type { MirrorSettings } from '../../mirror/settings.js';
import { NativeLogStates } from '../../native/log-state.js';
import type { Prng } from '../prng.js';
import type { Timeline } from '../timeline.js';
import { CountedStates } from './counted-state.js';
import { describeLog } from './describe.js';
import { KillSwitch, SimulatedKill } from './kill.js';
import { type DeviceWorld, SimulatedLogDevice } from './log-device.js';
import type { LogDisk } from './log-disk.js';
import { OpenRequests, type ReplyRecord, type RequestRecord } from './requests.js';
import type { MessageStream, StreamEnds } from './stream.js';

const timerLateMs = 0.001;
/** Between two attempts to restart recovery, as lockstepd has it. */
const restartRetryMs = 5_000;
/** Between two looks for logs whose recovery rests. */
const restLookMs = 2_000;

/** A simulated kernel has few requests in flight, and every answer is an event. */
const lostWindow: LostWindow = { below: 48, above: 48 };

export interface DaemonWatch {
  requestArrived(request: RequestRecord): void;
  /** Called at the instant of the reply, after everything that was stored before it. */
  replied(request: RequestRecord, reply: ReplyRecord): void;
  submitted(message: LogMessage): void;
  delivered(order: number, message: LogMessage): void;
  acknowledged(order: number): void;
  viewChanged(view: GroupView): void;
  quorumChanged(quorate: boolean): void;
  reported(report: MirrorReport): void;
  /** A member is lost, and somebody should find out whether it is dead. */
  lost(node: number, boot: string): void;
  died(): void;
  violation(rule: string, text: string): never;
}

export interface RestartWorld {
  readonly intents: () => readonly string[];
  readonly store: (uuids: readonly string[]) => void;
  readonly restart: (uuid: string, resumeOnly: boolean, ended: (end: RestartEnd) => void) => void;
}

export interface DaemonWorld {
  readonly self: GroupMember;
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly settings: Partial<MirrorSettings>;
  readonly stickyMax: number;
  readonly devices: Pick<DeviceWorld, 'node' | 'find' | 'confirmed' | 'landedLate' | 'writes'>;
  readonly watch: DaemonWatch;
  readonly stream: (ends: StreamEnds) => MessageStream;
  /** The host has lost its power, and the process with it. */
  readonly isDark: () => boolean;
  /** Other hosts have the logs too. */
  readonly shared: boolean;
  /** The helper thread that restarts recovery (R11), and the file where its intents stand; null: it is switched off. */
  readonly restarts: RestartWorld | null;
  /** What the daemons of this boot keep of logs that the host does not use: it outlives them. */
  readonly unusedLogs: Map<string, string>;
  /** A frame on its way to the kernel. */
  readonly toKernel: (frame: Buffer, length: number) => void;
}

interface Frame {
  readonly bytes: Buffer;
  readonly length: number;
  /** Null when nobody can be answered. */
  readonly request: RequestRecord | null;
}

export class DaemonProcess {
  readonly states: CountedStates;
  readonly kill = new KillSwitch();
  alive = true;
  turns = 0;
  /** Rises whenever it does something, dies included. */
  entries = 0;
  /** When its process is gone: a write that it has begun is over first. */
  exitMs = 0;
  readonly #world: DaemonWorld;
  readonly #service: MirrorService;
  readonly #stream: MessageStream;
  readonly #lost: LostRequests;
  readonly #view = new RequestView();
  readonly #scratch = Buffer.alloc(frameBytesMax);
  readonly #devices: SimulatedLogDevice[] = [];
  readonly #requests = new OpenRequests();
  readonly #restarts: RecoveryRestarts | null;
  #inbox: Frame[] = [];
  #replies: { bytes: Buffer; length: number }[] = [];
  #turnComes = false;
  #tickMs = -1;
  /** What happened while the process was stopped; null while it runs. */
  #stopped: (() => void)[] | null = null;

  /** `last` is the process before it on this boot, whose memory it takes over; null: it finds nothing. */
  constructor(world: DaemonWorld, last: DaemonProcess | null) {
    this.#world = world;
    this.states =
      last === null
        ? new CountedStates(
            new NativeLogStates({
              directory: null,
              bootId: world.self.bootId,
              memoryBytesMax: 2 ** 28,
              stickyMax: world.stickyMax,
            }),
            this.kill,
          )
        : last.states.outlive(this.kill);
    this.#lost = new LostRequests(this.states, lostWindow, (seq) => this.#askAgain(seq));
    this.#service = new MirrorService({
      node: world.self.node,
      nodeName: world.self.name,
      bootId: world.self.bootId,
      states: this.states,
      effects: this.#effects(),
      settings: world.settings,
      unusedLogs: world.unusedLogs.values(),
    });
    this.#stream = world.stream(this.#ends(world.self));
    this.#restarts = this.#recoveryRestarts();
  }

  /** Requests that were taken and not answered. */
  get unanswered(): number {
    return this.#requests.size + this.#inbox.length;
  }

  /** See `OpenRequests.forgotten`. */
  forgotten(): readonly RequestRecord[] {
    return this.#requests.forgotten();
  }

  get running(): boolean {
    return this.alive && this.#stopped === null;
  }

  start(): void {
    this.#enter(() => {
      this.#service.start(this.#world.timeline.nowMs);
      this.#restarts?.takeUp(this.#world.restarts?.intents() ?? []);
      if (this.#restarts !== null) this.#lookForRest();
      this.#stream.start();
      this.#lost.reachable();
      this.#endTurn();
    });
  }

  /** A frame from the kernel. The caller hands the bytes over. */
  frame(bytes: Buffer, length: number, request: RequestRecord | null): void {
    if (!this.alive) return;
    this.#inbox.push({ bytes, length, request });
    if (this.#turnComes) return;
    this.#turnComes = true;
    this.#world.timeline.after(this.#world.prng.real(0.01, 0.2), () => {
      this.#run(() => {
        this.#turnComes = false;
        this.#turn();
      });
    });
  }

  /** What somebody saw in device-mapper's tables between `askedMs` and now; `then` hears whether to look again soon. */
  tables(uuids: ReadonlySet<string>, askedMs: number, then: (soon: boolean) => void): void {
    this.#run(() => {
      this.kill.point();
      this.#service.tables(uuids, askedMs, this.#world.timeline.nowMs);
      this.#endTurn();
      then(this.#service.suspectsOrphans);
    });
  }

  /** SIGKILL now. */
  die(): void {
    if (!this.alive) return;
    this.kill.dead = true;
    this.#died();
  }

  /** SIGSTOP, and SIGCONT after a while. */
  stop(ms: number): void {
    if (!this.alive || this.#stopped !== null) return;
    this.#stopped = [];
    this.#world.timeline.after(ms, () => {
      const waiting = this.#stopped ?? [];
      this.#stopped = null;
      for (const action of waiting) if (this.alive) this.#enter(action);
    });
  }

  /** The copy of this log is what all members have. */
  follows(uuid: string): boolean {
    for (const log of this.#service.logs()) {
      if (log.uuid === uuid && serves(log.state))
        return log.replica.phase === 'following' || !log.replica.rights.shared;
    }
    return false;
  }

  /** Daemons say what they know, and it has not heard all of them. */
  get exchanging(): boolean {
    return this.#service.cluster?.exchanging === true;
  }

  /** Logs that members believe this host to use; nothing while they say what they know. */
  memberships(): Iterable<string> {
    return this.#service.cluster?.ownMemberships() ?? [];
  }

  /** What the kernels of all members hold is known (R3); until then nothing is cleaned or recovered. */
  settled(uuid: string): boolean {
    const table = this.#service.cluster?.tables.get(uuid);
    return table === undefined || table.members.every(({ settled }) => settled);
  }

  /** Nothing speaks against recovery of this log, as its status says. */
  handsOut(uuid: string): boolean {
    for (const { uuid: name, state, replica } of this.#service.logs()) {
      if (name === uuid && state.lifeCycle === LifeCycle.active)
        return replica.rights.operational && replica.rights.mayHandOut;
    }
    return false;
  }

  /** How far its copy of this log is; null: it has none. */
  phase(uuid: string): string | null {
    for (const log of this.#service.logs()) if (log.uuid === uuid && serves(log.state)) return log.replica.phase;
    for (const log of this.#service.logs()) {
      if (log.uuid === uuid && log.state.lifeCycle === LifeCycle.resuming) return log.replica.phase;
    }
    return null;
  }

  /** A request of this type was taken and is not answered. */
  awaits(type: number): boolean {
    return this.#requests.awaits(type);
  }

  /** It may begin to write the log device at any time (R8). */
  writes(uuid: string): boolean {
    for (const log of this.#service.logs())
      if (log.uuid === uuid && serves(log.state) && log.replica.writes) return true;
    return false;
  }

  /** It restarts recovery, or will try again. */
  get restartsRecovery(): boolean {
    return this.#restarts?.busy === true;
  }

  /** Something comes back to the process outside its turns. */
  outside(action: () => void): void {
    this.#run(() => {
      action();
      this.#endTurn();
    });
  }

  /** A fencing source says that a node is dead (R7). */
  confirmDead(node: number, bootId: string | null): void {
    this.#run(() => {
      this.#service.confirmDead(node, bootId, this.#world.timeline.nowMs);
      this.#endTurn();
    });
  }

  /** Who has which log, as this daemon has it, for people. */
  describe(uuid: string): string {
    return describeLog(this.#service.logs(), uuid);
  }

  shutdown(): boolean {
    return this.#service.shutdown();
  }

  /** Runs now, or when the process goes on. */
  #run(action: () => void): void {
    if (!this.alive) return;
    if (this.#stopped !== null) this.#stopped.push(action);
    else this.#enter(action);
  }

  #enter(action: () => void): void {
    if (!this.alive) return;
    this.entries += 1;
    try {
      action();
      if (this.kill.dead) this.#died();
    } catch (error) {
      if (!(error instanceof SimulatedKill)) throw error;
      this.#died();
    }
  }

  #died(): void {
    if (!this.alive) return;
    this.alive = false;
    this.entries += 1;
    this.#inbox = [];
    let exitMs = this.#world.timeline.nowMs;
    for (const device of this.#devices) exitMs = Math.max(exitMs, device.abandon(this.#world.isDark()));
    this.exitMs = exitMs;
    this.#stream.died(exitMs);
    this.#world.watch.died();
  }

  #turn(): void {
    this.turns += 1;
    const frames = this.#inbox;
    this.#inbox = [];
    this.#noteTaken(frames);
    for (const frame of frames) {
      if (!this.#view.bind(frame.bytes, 0, frame.length)) continue;
      if (frame.request !== null) this.#note(frame.request);
      this.#service.handle(this.#view, this.#world.timeline.nowMs);
    }
    this.#endTurn();
  }

  #noteTaken(frames: readonly Frame[]): void {
    const honest = frames.filter(({ request }) => request !== null && !request.hostile);
    const first = honest[0]?.request;
    const last = honest.at(-1)?.request;
    if (first && last) this.#lost.taken(first.seq, last.seq);
  }

  #askAgain(seq: number): void {
    const bytes = Buffer.alloc(frameHeaderBytes);
    this.#replies.push({ bytes, length: encodeAck(bytes, 0, seq, -Errno.EAGAIN) });
  }

  #note(request: RequestRecord): void {
    this.#requests.take(request);
    this.#world.watch.requestArrived(request);
  }

  /** Delivers, acknowledges, lets the core start its commits, sends what was answered. */
  #endTurn(): void {
    this.#stream.flush();
    this.#service.endTurn(this.#world.timeline.nowMs);
    if (this.#stream.pending) this.#stream.flush();
    for (const reply of this.#replies) {
      this.kill.point();
      this.#world.toKernel(reply.bytes, reply.length);
    }
    this.#replies = [];
    this.#armTick();
  }

  /** What the ordered stream calls. */
  #ends(self: GroupMember): StreamEnds {
    const { timeline, watch } = this.#world;
    return {
      self,
      delivered: (order, message) => {
        this.kill.point();
        this.#service.deliver(order, message, timeline.nowMs);
        watch.delivered(order, message);
      },
      acknowledged: (order) => {
        this.kill.point();
        watch.acknowledged(order);
        this.#service.acknowledged(order, timeline.nowMs);
      },
      viewChanged: (view) => {
        watch.viewChanged(view);
        this.#service.viewChanged(view, timeline.nowMs);
      },
      quorumChanged: (quorate) => {
        watch.quorumChanged(quorate);
        this.#service.quorumChanged(quorate, timeline.nowMs);
      },
      run: (action) =>
        this.#run(() => {
          action();
          this.#endTurn();
        }),
    };
  }

  #armTick(): void {
    const dueMs = this.#service.nextDeadlineMs();
    if (dueMs < 0 || (this.#tickMs >= 0 && this.#tickMs <= dueMs)) return;
    this.#tickMs = dueMs;
    // A timer comes late, never early; exactly on time, rounding could make it early.
    this.#world.timeline.at(dueMs + timerLateMs, () => {
      this.#run(() => {
        if (this.#tickMs === dueMs) this.#tickMs = -1;
        this.#service.tick(this.#world.timeline.nowMs);
        this.#endTurn();
      });
    });
  }

  #effects(): MirrorEffects {
    return {
      reply: (seq, type, error) =>
        this.#answer(seq, type, { error, first: 0, second: 0, text: '' }, (frame) =>
          encodeReply(frame, 0, seq, type, error),
        ),
      replyValue: (seq, type, value) =>
        this.#answer(seq, type, { error: 0, first: value, second: 0, text: '' }, (frame) =>
          encodeValueReply(frame, 0, seq, type, value),
        ),
      replyPair: (seq, type, first, second) =>
        this.#answer(seq, type, { error: 0, first, second, text: '' }, (frame) =>
          encodePairReply(frame, 0, seq, type, first, second),
        ),
      replyText: (seq, type, text) =>
        this.#answer(seq, type, { error: 0, first: 0, second: 0, text }, (frame) =>
          encodeTextReply(frame, 0, seq, type, text),
        ),
      submit: (message) => {
        this.kill.point();
        this.#world.watch.submitted(message);
        this.#stream.submit(message);
      },
      device: (events, shared) => this.#device(events, shared),
      restartRecovery: (uuid) => {
        this.kill.point();
        this.#restarts?.want(uuid);
      },
      keepUnusedLog: (uuid, table) => {
        this.kill.point();
        this.#world.unusedLogs.set(uuid, table);
      },
      lost: (node, _name, boot) => {
        this.kill.point();
        this.#world.watch.lost(node, boot);
      },
      report: (report) => this.#world.watch.reported(report),
    };
  }

  #lookForRest(): void {
    this.#world.timeline.after(restLookMs, () => {
      if (!this.alive) return;
      this.outside(() => this.#service.restartRecoveries());
      this.#lookForRest();
    });
  }

  #recoveryRestarts(): RecoveryRestarts | null {
    const { restarts, timeline, watch } = this.#world;
    if (restarts === null) return null;
    return new RecoveryRestarts({
      store: (uuids) => {
        this.kill.point();
        restarts.store(uuids);
        return true;
      },
      restart: restarts.restart,
      later: (action) => timeline.after(restartRetryMs, () => this.outside(action)),
      passOn: (uuid) => timeline.after(0, () => this.outside(() => this.#service.passRestart(uuid, timeline.nowMs))),
      log: (uuid) => activeLog(this.#service.logs(), uuid),
      report: (level, event, uuid, text) => watch.reported({ level, event, uuid, text }),
    });
  }

  #answer(seq: number, type: number, reply: ReplyRecord, encode: (frame: Buffer) => number): void {
    this.kill.point();
    const request = this.#requests.find(seq);
    if (request === undefined)
      this.#world.watch.violation('reply', `an answer to request ${seq}, which nobody waits for`);
    if (request.type !== type)
      this.#world.watch.violation('reply', `request ${seq} of type ${request.type} answered as ${type}`);
    this.#requests.answered(request);
    this.#world.watch.replied(request, reply);
    const length = encode(this.#scratch);
    const bytes = Buffer.allocUnsafe(length);
    this.#scratch.copy(bytes, 0, 0, length);
    this.#replies.push({ bytes, length });
  }

  #device(events: LogDeviceEvents, shared: boolean): LogDevice {
    const { timeline, prng, devices, watch } = this.#world;
    const writes = (disk: LogDisk) => {
      if (shared !== this.#world.shared)
        watch.violation('R8-one-writer', `writes ${disk.name} by the path of a host that is alone`);
      devices.writes(disk);
    };
    const enter = (call: () => void) =>
      this.#run(() => {
        call();
        this.#endTurn();
      });
    const device = new SimulatedLogDevice({ timeline, prng, ...devices, writes, enter }, events);
    this.#devices.push(device);
    return device;
  }
}

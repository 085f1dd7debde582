/**
 * The simulated host: one virtual clock, log disks, legs, a kernel, a daemon process, and the checkers that look at all of
 * it after every step. It offers what can happen to a host as methods (kill, power cut, restart); when they happen
 * is decided in faults.ts, how a whole run goes in run.ts.
 */
import {
  DM_ULOG_CTR,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  FrameOffset,
  requestNames,
} from '../base/ulog-frames.js';
import { LifeCycle } from '../mirror/log-state.js';
import type { LogMessage } from '../mirror/messages.js';
import { MessageType } from '../mirror/messages.js';
import type { RegionMap } from '../regions/region-map.js';
import { Administrator } from './administrator.js';
import { KernelTruth } from './checks/kernel-truth.js';
import { forEachNotClean, readLogBytes } from './checks/log-bytes.js';
import { OrphanChecks } from './checks/orphan-checks.js';
import { checkReply } from './checks/reply-checks.js';
import { checkStep } from './checks/step-checks.js';
import { Evaluations, Inconclusive, Violation } from './checks/violation.js';
import type { CheckWorld } from './checks/world.js';
import type { CountedStates } from './daemon/counted-state.js';
import { LogDisk } from './daemon/log-disk.js';
import { DaemonProcess, type DaemonWatch, daemonNode } from './daemon/process.js';
import { type ReplyRecord, type RequestRecord, recordRequest } from './daemon/requests.js';
import { Journal } from './journal.js';
import { Kernel } from './kernel/kernel.js';
import type { KernelObserver, ObservedTarget } from './kernel/world.js';
import { SimMirror } from './mirror.js';
import { Prng } from './prng.js';
import { type MirrorPlan, planScenario, type Scenario } from './scenario.js';
import { TableLooks } from './table-looks.js';
import { Timeline } from './timeline.js';
import { VersionLegs } from './version-legs.js';
import { Workload } from './workload.js';

/** What is done to frames on their way, while it lasts. */
export interface WireFaults {
  requestLost: number;
  requestTwice: number;
  replyLost: number;
  /** Replies are late by this much. */
  replyLateMs: number;
  /** Sends find nobody, though the daemon lives: its receive queue is full. */
  overrun: boolean;
}

/** Number of the log device that is too small. */
const smallDiskIndex = 99;
const wireMs = 0.02;
/** A daemon that was stopped is punctual again after this long. */
const punctualAfterMs = 2500;

export class Simulation implements CheckWorld {
  readonly seed: number;
  readonly timeline = new Timeline();
  readonly prng: Prng;
  readonly scenario: Scenario;
  readonly mirrors = new Map<string, SimMirror>();
  readonly plans = new Map<string, MirrorPlan>();
  readonly evaluations = new Evaluations();
  readonly truth = new KernelTruth();
  readonly journal = new Journal();
  readonly orphans = new OrphanChecks(this);
  readonly workload: Workload;
  readonly administrator: Administrator;
  readonly wire: WireFaults = { requestLost: 0, requestTwice: 0, replyLost: 0, replyLateMs: 0, overrun: false };
  /** How often things happened: faults, transitions. */
  readonly counts = new Map<string, number>();
  readonly node = daemonNode;
  readonly stickyIdleMs: number;
  readonly stickyMax: number;
  kernel: Kernel | null = null;
  daemon: DaemonProcess | null = null;
  states: CountedStates | null = null;
  requests = 0;
  hostileRequests = 0;
  /** What happens after the daemon died, unless it died on purpose: a restart after a while. */
  restartMs: () => number;
  /** What happens when the kernel's constructor of a reconnect reaches the daemon, once. */
  atReconnect: (() => void) | null = null;
  /** What happens when the daemon has let the writes of a log drain that cannot be loaded, once. */
  atDraining: (() => void) | null = null;
  /** The machine has no power. */
  dark = false;
  /** No fault comes any more. */
  healing = false;
  readonly #disks = new Map<string, LogDisk>();
  readonly #tableLooks = new TableLooks(this);
  #bootId = '';
  #boots = 0;
  #lateUntilMs = 0;
  #lastDaemon: DaemonProcess | null = null;
  /** Messages of the daemon of now; the transport delivers them in this order. */
  #submitted = 0;
  #checkedChanges = -1;
  #passed = 0;
  /** Steps in which the daemon did something. */
  #lastEffects = 0;
  #lifeCycles = new Map<string, LifeCycle>();

  constructor(seed: number) {
    this.seed = seed;
    this.prng = new Prng(seed);
    this.scenario = planScenario(this.prng.fork());
    this.stickyIdleMs = this.scenario.stickyIdleMs;
    this.stickyMax = this.scenario.stickyMax;
    this.restartMs = () => this.prng.real(1, 3000);
    this.scenario.mirrors.forEach((plan, index) => {
      this.addMirror(plan, index);
    });
    this.workload = new Workload(this.timeline, this.prng.fork());
    this.administrator = new Administrator(this);
  }

  get nowMs(): number {
    return this.timeline.nowMs;
  }

  /** When the daemon was late last, by a start or a stop. */
  get lateUntilMs(): number {
    return this.#lateUntilMs;
  }

  get daemonPunctual(): boolean {
    return this.daemon?.running === true && this.nowMs > this.#lateUntilMs;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  note(what: string, numbers: readonly number[], detail: () => string): void {
    this.journal.add(this.nowMs, what, numbers, detail);
  }

  /** One event of the world, then the checkers. False when nothing can happen any more. */
  step(): boolean {
    if (!this.timeline.step()) return false;
    const changes = this.#changes();
    if (changes === this.#checkedChanges) return true;
    this.#checkedChanges = changes;
    checkStep(this);
    this.orphans.step();
    this.#watchLifeCycles();
    return true;
  }

  /** Rises with everything that a checker of the whole world looks at. */
  #changes(): number {
    let changes = this.truth.changes + this.#lastEffects;
    const passed = this.daemon?.kill.passed ?? 0;
    if (passed !== this.#passed) {
      this.#passed = passed;
      this.#lastEffects += 1;
      changes += 1;
    }
    for (const mirror of this.mirrors.values()) changes += mirror.legs.changes + (mirror.disk?.changes ?? 0);
    return changes;
  }

  addMirror(plan: MirrorPlan, index: number, bytes?: number): SimMirror {
    const legs = new VersionLegs(this.timeline, this.prng.fork(), plan.sectorsMax, plan.regionSectors);
    const disk = plan.disk ? this.#addDisk(plan, index, bytes) : null;
    const deviceWord = disk === null ? '' : plan.nameByNumbers ? disk.identity : disk.name;
    const mirror = new SimMirror({ ...plan, deviceWord }, disk, legs, plan.sectors);
    this.mirrors.set(plan.uuid, mirror);
    this.plans.set(plan.uuid, plan);
    return mirror;
  }

  /** A mirror that is tried once and is none of those whose end is checked. */
  makeSmall(plan: MirrorPlan): SimMirror {
    const legs = new VersionLegs(this.timeline, this.prng.fork(), plan.sectorsMax, plan.regionSectors);
    const disk = this.#addDisk(plan, smallDiskIndex, 1024 + 512);
    return new SimMirror({ ...plan, deviceWord: disk.name }, disk, legs, plan.sectors);
  }

  diskWell(mirror: SimMirror): boolean {
    return mirror.disk === null || mirror.disk.fault === null;
  }

  /** Power on: a kernel, then a daemon; the mirrors are activated as soon as the daemon answers. */
  boot(first: boolean): void {
    this.dark = false;
    this.#boots += 1;
    this.#bootId = `${this.seed}-boot-${this.#boots}`;
    this.#lastDaemon = null;
    this.kernel = this.#makeKernel();
    this.startDaemon();
    this.administrator.activateAll(first);
  }

  startDaemon(): void {
    if (this.dark || this.daemon?.alive === true) return;
    const daemon = new DaemonProcess(
      {
        timeline: this.timeline,
        prng: this.prng.fork(),
        bootId: this.#bootId,
        settings: {
          stickyIdleMs: this.stickyIdleMs,
          stickyMax: this.stickyMax,
          cleanCommitMs: this.scenario.cleanCommitMs,
        },
        stickyMax: this.stickyMax,
        devices: {
          find: (name) => this.#disks.get(name),
          confirmed: () => {},
          landedLate: (disk) => this.#landedLate(disk),
        },
        watch: this.#watch(),
        acknowledgeMsMax: this.scenario.acknowledgeMsMax,
        toKernel: (frame, length) => this.#toKernel(frame, length),
      },
      this.#lastDaemon,
    );
    this.#lastDaemon = daemon;
    this.#submitted = 0;
    this.daemon = daemon;
    this.states = daemon.states;
    this.note('start', [this.states.live.size], () => `daemon, ${this.states?.live.size} records`);
    this.#late(punctualAfterMs);
    daemon.start();
    this.#tableLooks.of(daemon);
  }

  stopDaemon(ms: number): void {
    this.daemon?.stop(ms);
    this.#late(ms + punctualAfterMs);
  }

  /** The daemon's state is deleted with it; the kernel lives on (R3). */
  loseState(): void {
    const last = this.#lastDaemon;
    if (last === null || last.alive) return;
    last.states.drop();
    this.#lastDaemon = null;
    this.states = null;
    for (const mirror of this.mirrors.values()) {
      for (const target of [mirror.device?.live, mirror.device?.loaded]) {
        if (target !== null && target !== undefined) this.truth.of(target.log).marksLost = true;
      }
    }
  }

  powerCut(offMs: number): void {
    this.note('power-cut', [offMs], () => `off for ${offMs.toFixed(0)} ms`);
    this.dark = true;
    this.kernel?.halt();
    this.kernel = null;
    const daemon = this.daemon;
    daemon?.die();
    for (const disk of new Set(this.#disks.values())) disk.cut(this.prng);
    this.#lastDaemon?.states.drop();
    this.#lastDaemon = null;
    this.states = null;
    this.truth.forgetAll();
    for (const mirror of this.mirrors.values()) {
      if (mirror.legs.inFlight > 0) this.count('cut-with-writes-in-flight');
      mirror.legs.cut();
      if (mirror.legs.differingSectors > 0) this.count('cut-left-legs-differing');
      mirror.device = null;
      mirror.busy = false;
      mirror.quiet = false;
      mirror.needsReload = false;
      mirror.writing.clear();
    }
    this.timeline.after(offMs, () => this.boot(false));
  }

  /** Takes every fault away. Users stop; what they began goes on. */
  heal(): void {
    this.note('heal', [], () => '');
    this.healing = true;
    this.workload.stopped = true;
    this.restartMs = () => 5;
    Object.assign(this.wire, { requestLost: 0, requestTwice: 0, replyLost: 0, replyLateMs: 0, overrun: false });
    for (const disk of this.#disks.values()) {
      disk.fault = null;
      disk.stalledUntilMs = 0;
    }
    for (const mirror of this.mirrors.values()) mirror.legs.broken = false;
    this.atReconnect = null;
    this.atDraining = null;
    this.daemon?.kill.disarm();
    this.startDaemon();
  }

  /** Gives native memory back. */
  close(): void {
    this.#lastDaemon?.states.drop();
    this.#lastDaemon = null;
  }

  /** Where everything stands, for a run that does not end. */
  describe(): string {
    const mirrors = [...this.mirrors.values()].map((mirror) => {
      const live = mirror.device?.live;
      const state = live === null || live === undefined ? undefined : this.states?.find(live.log.key);
      const map = state?.map.inner;
      return (
        `${mirror.shape.uuid}: busy=${mirror.busy} reload=${mirror.needsReload} outstanding=${mirror.device?.outstanding}` +
        ` suspended=${mirror.device?.suspended} log-failed=${live?.logFailed} leg-failed=${live?.legFailed}` +
        ` life-cycle=${state?.lifeCycle} in-sync=${map?.syncCount}/${map?.regionCount} device-failed=${state?.logFailed}` +
        ` marks-unknown=${state?.marksUnknown} recovering=${state?.recoveringRegion} hint=${live?.log.hint}`
      );
    });
    return `daemon alive=${this.daemon?.alive} running=${this.daemon?.running}; ${mirrors.join('; ')}`;
  }

  /** Puts a frame that no kernel sent, or has sent before, before the daemon. */
  inject(frame: Buffer, length: number, hostile = true): void {
    const daemon = this.daemon;
    if (daemon?.alive !== true) return;
    const request = recordRequest(frame, length, hostile);
    this.note(hostile ? 'hostile' : 'again', [request?.type ?? -1, request?.seq ?? 0], () => describe(request));
    this.timeline.after(wireMs, () => daemon.frame(frame, length, request));
  }

  #addDisk(plan: MirrorPlan, index: number, bytes?: number): LogDisk {
    const regions = Math.ceil(plan.sectorsMax / plan.regionSectors);
    const block = plan.logicalBlockBytes;
    const needed =
      Math.ceil((1024 + Math.ceil(regions / 8)) / block) * block + Math.ceil(plan.spareBytes / block) * block;
    const disk = new LogDisk({
      name: `/dev/sim/log${index}`,
      minor: index,
      bytes: bytes ?? needed,
      logicalBlockBytes: block,
    });
    this.#disks.set(disk.name, disk);
    this.#disks.set(disk.identity, disk);
    return disk;
  }

  #makeKernel(): Kernel {
    const prng = this.prng.fork();
    const kernel: Kernel = new Kernel(
      {
        nowMs: () => this.nowMs,
        after: (delayMs, action) => {
          this.timeline.after(delayMs, () => {
            if (!kernel.threads.halted) action();
          });
        },
        send: (frame, length) => this.#fromKernel(frame, length),
        wakeDelayMs: () => prng.real(0, this.scenario.wakeMsMax),
      },
      this.#observer(),
      // Numbers wrap at 32 bits. Addresses are used again soon after they were freed: a luid is unique only while its log lives.
      { firstSeq: (prng.below(1000) - 500) >>> 0, luid: () => this.#freshLuid(prng) },
    );
    return kernel;
  }

  #freshLuid(prng: Prng): { high: number; low: number } {
    const taken = new Set<number>();
    for (const device of this.kernel?.devices ?? []) {
      for (const log of [device.live?.log, device.loaded?.log, device.building]) if (log) taken.add(log.luidLow);
    }
    for (;;) {
      const low = 0x1000 + 0x400 * prng.below(12);
      if (!taken.has(low)) return { high: 0xffff8880, low };
    }
  }

  #fromKernel(frame: Buffer, length: number): boolean {
    const daemon = this.daemon;
    if (daemon?.alive !== true || this.wire.overrun) return false;
    const request = recordRequest(frame, length, false);
    if (request === null) throw new Error('the kernel sent a frame without a header');
    this.requests += 1;
    this.note('request', [request.type, request.seq, request.luidLow, ...request.values], () => describe(request));
    this.#sent(request);
    if (this.wire.requestLost > 0 && this.prng.chance(this.wire.requestLost)) {
      this.count('request-lost');
      return true;
    }
    const bytes = Buffer.allocUnsafe(length);
    frame.copy(bytes, 0, 0, length);
    this.timeline.after(wireMs, () => daemon.frame(bytes, length, request));
    if (this.wire.requestTwice > 0 && this.prng.chance(this.wire.requestTwice)) {
      this.count('request-twice');
      this.timeline.after(wireMs, () => daemon.frame(bytes, length, request));
    }
    return true;
  }

  #sent(request: RequestRecord): void {
    this.truth.sent(request);
    const mirror = this.mirrors.get(request.uuid);
    if (mirror === undefined) return;
    if (request.type === DM_ULOG_SET_REGION_SYNC && request.values[1] === 0)
      mirror.mayRecover.add(request.values[0] ?? 0);
    if (request.type === DM_ULOG_RESUME) this.#allowRecovery(mirror, request);
  }

  /** What a resume may hand out for recovery: what is not clean on the log device now. */
  #allowRecovery(mirror: SimMirror, request: RequestRecord): void {
    const state = this.states?.find(request.key);
    if (mirror.disk === null || state?.lifeCycle === LifeCycle.active) return;
    const count = state?.geometry.regionCount ?? mirror.regionCount;
    const found = readLogBytes(mirror.disk.seen, count);
    const words = (state?.constructorText ?? '').split(' ');
    mirror.mayRecoverAll = words.includes('sync') || (!found.valid && !words.includes('nosync'));
    mirror.mayRecover.clear();
    // After a failure memory is written and the device not read; and this log, or the one before it, may still be writing
    // its last commit.
    const served = state?.lifeCycle === LifeCycle.halted || state?.lifeCycle === LifeCycle.leaving;
    const reads = !served && !state?.logFailed && !this.#othersServe(request);
    const dirty: number[] = [];
    const known = Math.min(count, found.regionCount);
    forEachNotClean(mirror.disk.seen, known, (region) => {
      dirty.push(region);
      mirror.mayRecover.add(region);
    });
    forEachNotClean(mirror.disk.durable, known, (region) => mirror.mayRecover.add(region));
    for (let region = known; region < count && !words.includes('nosync'); region++) {
      dirty.push(region);
      mirror.mayRecover.add(region);
    }
    if (reads) mirror.reads.set(request.seq, dirty);
    for (const other of this.states?.live.values() ?? []) {
      if (other.identity.uuid === request.uuid && other.logFailed) allowDirty(mirror, other.map.inner);
    }
  }

  /** A write of a daemon that is gone: what a RESUME reads now is not what was there when it was sent. */
  #landedLate(disk: LogDisk): void {
    this.count('late-write-landed');
    this.note('late-write', [disk.minor], () => disk.name);
    for (const mirror of this.mirrors.values()) {
      if (mirror.disk !== disk) continue;
      const { valid } = readLogBytes(disk.seen, mirror.regionCount);
      if (!valid) mirror.mayRecoverAll = true;
      forEachNotClean(disk.seen, mirror.regionCount, (region) => mirror.mayRecover.add(region));
      mirror.reads.clear();
    }
  }

  /** Another luid's log of the same mirror has not left. */
  #othersServe(request: RequestRecord): boolean {
    for (const [key, state] of this.states?.live ?? []) {
      const left = state.lifeCycle === LifeCycle.pending;
      if (key !== request.key && state.identity.uuid === request.uuid && !left) return true;
    }
    return false;
  }

  #toKernel(frame: Buffer, length: number): void {
    const kernel = this.kernel;
    if (kernel === null) return;
    // A real kernel takes a reply inside the daemon's send and loses none. Of RESUME none is lost here either: a reconnect
    // whose RESUME was answered and not heard looks like one that is over, and no daemon can tell.
    const mayBeLost = length < FrameOffset.dataSize || frame.readUInt32LE(FrameOffset.type) !== DM_ULOG_RESUME;
    if (mayBeLost && this.wire.replyLost > 0 && this.prng.chance(this.wire.replyLost)) {
      this.count('reply-lost');
      return;
    }
    const lateMs = this.wire.replyLateMs > 0 && this.prng.chance(0.3) ? this.wire.replyLateMs : 0;
    if (lateMs > 0) this.count('reply-late');
    this.timeline.after(wireMs + lateMs, () => kernel.receive(frame, 0, length));
  }

  #watch(): DaemonWatch {
    return {
      requestArrived: (request) => this.#arrived(request),
      replied: (request, reply) => this.#replied(request, reply),
      submitted: (message) => this.#messageSubmitted(message),
      delivered: () => {},
      acknowledged: (order) => this.truth.markAcknowledged(order),
      reported: (report) => {
        this.count(`report ${report.event}`);
        if (report.event === 'orphaned') this.orphans.decided(report.uuid);
        this.note(
          'report',
          [report.event.length],
          () => `${report.level} ${report.event} ${report.uuid} ${report.text}`,
        );
      },
      died: () => this.#daemonDied(),
      violation: (rule, text) => {
        throw new Violation(rule, text);
      },
    };
  }

  #arrived(request: RequestRecord): void {
    this.orphans.heard(request.key);
    const truth = this.truth.of(request);
    request.markOrder = truth.markOrder;
    const known = this.states?.find(request.key) !== undefined;
    if (request.type === DM_ULOG_CTR && request.endsWithNul) {
      this.count('reconnect');
      const { atReconnect } = this;
      this.atReconnect = null;
      atReconnect?.();
      if (!known && this.mirrors.has(request.uuid)) truth.marksLost = true;
    }
    this.note('handled', [request.seq], () => describe(request));
  }

  #replied(request: RequestRecord, reply: ReplyRecord): void {
    this.note('reply', [request.type, request.seq, reply.error, reply.first, reply.second], () => {
      const data = reply.text === '' ? `${reply.first} ${reply.second}` : JSON.stringify(reply.text);
      return `${describe(request)} -> ${reply.error} ${data}`;
    });
    this.evaluations.check('one-answer', true, () => '');
    checkReply(this, request, reply);
    if (request.hostile) return;
    const state = this.states?.find(request.key);
    if (request.type === DM_ULOG_PRESUSPEND && state?.draining === true) {
      const { atDraining } = this;
      this.atDraining = null;
      atDraining?.();
    }
    this.truth.replied(request, reply, state?.map.inner);
  }

  #messageSubmitted(message: LogMessage): void {
    this.#submitted += 1;
    this.count(`message ${message.type}`);
    if (message.type !== MessageType.mark) return;
    for (let i = 0; i < message.count; i++) {
      this.truth.markSubmitted(message.uuid, message.regions[i] as number, this.#submitted);
    }
  }

  #daemonDied(): void {
    this.note('died', [], () => `daemon, after ${this.daemon?.kill.passed} effects`);
    this.truth.daemonDied();
    if (this.dark) return;
    const last = this.#lastDaemon;
    this.timeline.after(this.restartMs(), () => {
      if (this.#lastDaemon === last || this.#lastDaemon === null) this.startDaemon();
    });
  }

  #observer(): KernelObserver {
    return {
      questionFailed: (log, region, { error, unheard }) => {
        this.count('question given up by the kernel');
        // Given up for an answer that the daemon gave: that is the daemon's to answer for.
        if (unheard) this.truth.of(log).givenUp.add(region);
        this.note('given-up', [region, error], () => `IN_SYNC of region ${region} of ${log.uuid}: ${error}`);
      },
      flushFailed: (log) => this.truth.flushFailed(this.truth.of(log)),
      writeIssued: (log, write, toAllLegs) => {
        this.#checkLogged(log, write.region, toAllLegs);
        this.truth.writeIssued(this.truth.of(log), write.region, toAllLegs);
        this.count(toAllLegs ? 'write to all legs' : 'write to the default leg');
        this.note(
          'write',
          [write.region, write.stamp],
          () => `region ${write.region} stamp ${write.stamp} ${toAllLegs ? 'all' : 'default'}`,
        );
      },
      writeEnded: (log, write, toAllLegs) => {
        this.truth.writeEnded(this.truth.of(log), write.region, toAllLegs);
        this.note('written', [write.region, write.stamp], () => `region ${write.region} stamp ${write.stamp}`);
      },
      recoveryStarted: (log, region) => {
        this.truth.of(log).copying = region;
        this.truth.changes += 1;
        this.note('copy', [region], () => `region ${region} of ${log.uuid}`);
      },
      recoveryEnded: (log, region, ok) => {
        this.count(ok ? 'region recovered' : 'recovery failed');
        this.note('copied', [region, ok ? 1 : 0], () => `region ${region} of ${log.uuid} ${ok}`);
      },
      lifeCycle: (log, step, error) => {
        this.count(`${step} ${error === 0 ? 'answered' : 'failed'}`);
        this.note('life', [step.length, error], () => `${step} ${log.uuid} (${log.luidLow}) -> ${error}`);
        // Its copies are over by then, also one whose end could not be reported: the kernel does not repeat that.
        if (step === 'postsuspend') this.truth.of(log).copying = -1;
        if (step === 'destroy') this.truth.forget(log);
      },
      say: (text) => this.note('kernel', [], () => text),
    };
  }

  /**
   * The reconnect's RESUME found nobody: the kernel has taken the region for out of sync and writes to it, to one leg or
   * all, although no daemon knows. Nothing on this side can log that write.
   */
  #checkLogged(log: ObservedTarget, region: number, toAllLegs: boolean): void {
    const truth = this.truth.of(log);
    if (truth.marked.has(region) || !truth.givenUp.has(region)) return;
    const state = this.states?.find(log.key);
    const known =
      !toAllLegs && state !== undefined && !state.map.inner.isClean(region) && !state.map.inner.isInSync(region);
    if (!known) throw new Inconclusive('unlogged write after a reconnect without RESUME');
  }

  #late(ms: number): void {
    this.#lateUntilMs = Math.max(this.#lateUntilMs, this.nowMs + ms);
  }

  /** Counts which way the records go through their life. */
  #watchLifeCycles(): void {
    for (const [key, state] of this.states?.live ?? []) {
      const last = this.#lifeCycles.get(key);
      if (last === state.lifeCycle) continue;
      this.#lifeCycles.set(key, state.lifeCycle);
      if (last !== undefined) this.count(`${lifeCycleName(last)} -> ${lifeCycleName(state.lifeCycle)}`);
    }
  }
}

/** A device that failed does not know what memory knows: that is resynced too. */
function allowDirty(mirror: SimMirror, map: RegionMap): void {
  let region = map.nextDirty(0);
  while (region >= 0) {
    mirror.mayRecover.add(region);
    region = region + 1 < map.regionCount ? map.nextDirty(region + 1) : -1;
  }
}

function lifeCycleName(value: LifeCycle): string {
  return Object.entries(LifeCycle).find(([, number]) => number === value)?.[0] ?? String(value);
}

function describe(request: RequestRecord | null): string {
  if (request === null) return 'a frame without a header';
  const data = request.text === '' ? request.values.join(' ') : JSON.stringify(request.text);
  return `${requestNames[request.type] ?? request.type} #${request.seq} ${request.uuid} (${request.luidLow}) ${data}`;
}

/**
 * A host for tests of the mirror core: the real service over real native state, with requests as frames, an effect
 * recorder, a transport that delivers when told, and log devices in memory whose operations end when told.
 *
 * `ask` is the usual way: one request, one turn, every device operation, the answer. Tests about what happens in
 * between use `send`, `deliver`, `acknowledge`, `endTurn` and the disk's `complete`.
 */
import type { GroupView } from '../../ts/base/group-view.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_FLUSH,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  RequestView,
} from '../../ts/base/ulog-frames.js';
import { encodeRequest, encodeValues } from '../../ts/base/ulog-kernel-frames.js';
import type { MirrorEffects, MirrorReport } from '../../ts/mirror/effects.js';
import type { LogDevice, LogDeviceEvents } from '../../ts/mirror/log-device.js';
import type { LogImage } from '../../ts/mirror/log-image.js';
import type { LogState } from '../../ts/mirror/log-state.js';
import { LifeCycle } from '../../ts/mirror/log-state.js';
import type { LogMessage } from '../../ts/mirror/messages.js';
import type { MirrorLog } from '../../ts/mirror/mirror-log.js';
import { MirrorService, type MirrorSettings } from '../../ts/mirror/mirror-service.js';
import { NativeLogStates } from '../../ts/native/log-state.js';

export interface Answer {
  readonly seq: number;
  readonly type: number;
  readonly error: number;
  readonly values: readonly number[];
  readonly text: string;
}

/** One log instance as the kernel names it. */
export interface Luid {
  readonly uuid: string;
  readonly luid: number;
}

export const mirrorA: Luid = { uuid: 'LVM-mirror-a', luid: 0x1000 };

/** A log device in memory. Writes count when they are completed; a power cut loses what was not. */
export class TestDisk {
  readonly bytes: Buffer;
  logicalBlockBytes = 512;
  identity: string;
  minor = 7;
  /** Errno of the next operations of each kind; 0: they work. */
  openErrno = 0;
  readErrno = 0;
  writeErrno = 0;
  /** Of a write that fails, bytes of the area that are written all the same. */
  tornBytes = 0;
  /** Operations that wait, oldest first. */
  readonly waiting: (() => void)[] = [];
  writes = 0;
  bytesWritten = 0;

  /** Of so many bytes, or of those. */
  constructor(size: number | Buffer, identity = '253:7') {
    this.bytes = typeof size === 'number' ? Buffer.alloc(size) : size;
    this.identity = identity;
  }

  /** Another path to the same device: with operations and errors of its own. */
  path(): TestDisk {
    const path = new TestDisk(this.bytes, this.identity);
    path.minor = this.minor;
    path.logicalBlockBytes = this.logicalBlockBytes;
    return path;
  }

  /** Ends the oldest operation; false when there is none. */
  complete(): boolean {
    const operation = this.waiting.shift();
    operation?.();
    return operation !== undefined;
  }

  isCleanOnDisk(region: number): boolean {
    return (((this.bytes[1024 + (region >> 3)] as number) >> (region & 7)) & 1) === 1;
  }

  get headerRegions(): number {
    return Number(this.bytes.readBigUInt64LE(8));
  }
}

class TestDevice implements LogDevice {
  readonly #host: Host;
  readonly #events: LogDeviceEvents;
  #disk: TestDisk | undefined;
  #era = 0;

  constructor(host: Host, events: LogDeviceEvents) {
    this.#host = host;
    this.#events = events;
  }

  open(name: string): void {
    const disk = this.#host.disks.get(name);
    this.#disk = disk;
    this.#later(disk, () => {
      if (disk === undefined) return this.#events.opened(2, null, '');
      if (disk.openErrno !== 0) return this.#events.opened(disk.openErrno, null, '');
      const { identity, minor, logicalBlockBytes, bytes } = disk;
      return this.#events.opened(0, { identity, major: 253, minor, bytes: bytes.length, logicalBlockBytes }, '');
    });
  }

  read(offset: number, length: number): void {
    const disk = this.#disk;
    this.#later(disk, () => {
      const errno = disk?.readErrno ?? 9;
      this.#events.read(
        errno,
        offset,
        errno === 0 && disk !== undefined ? disk.bytes.subarray(offset, offset + length) : Buffer.alloc(0),
      );
    });
  }

  write(image: LogImage, durable: boolean): void {
    if (!durable) throw new Error('a write of a log without a barrier');
    const disk = this.#disk;
    const runs: [number, Buffer][] = [];
    for (let run = 0; run < image.runCount; run++) {
      const bytes = Buffer.alloc(image.runBytes(run));
      image.encodeRun(run, bytes);
      runs.push([image.runOffset(run), bytes]);
    }
    this.#later(disk, () => {
      const errno = disk?.writeErrno ?? 9;
      if (errno === 0 && disk !== undefined) {
        disk.writes += 1;
        for (const [offset, bytes] of runs) {
          bytes.copy(disk.bytes, offset);
          disk.bytesWritten += bytes.length;
        }
      }
      if (errno !== 0 && disk !== undefined) {
        for (const [offset, bytes] of runs)
          if (offset < disk.tornBytes)
            bytes.copy(disk.bytes, offset, 0, Math.min(bytes.length, disk.tornBytes - offset));
      }
      this.#events.written(errno);
    });
  }

  close(): void {
    this.#era += 1;
  }

  #later(disk: TestDisk | undefined, operation: () => void): void {
    this.#era += 1;
    const era = this.#era;
    const life = this.#host.lives;
    const waiting = disk?.waiting ?? this.#host.strayOperations;
    waiting.push(() => {
      if (era === this.#era && life === this.#host.lives) operation();
    });
  }
}

export interface HostOptions {
  readonly settings?: Partial<MirrorSettings>;
  readonly nodeName?: string;
  readonly stickyMax?: number;
  readonly ownersMax?: number;
  /** On a cluster: this node, and where its messages go. */
  readonly node?: number;
  readonly bootId?: string;
  readonly submit?: (message: LogMessage) => void;
  /** Log devices that other hosts have too. */
  readonly disks?: Map<string, TestDisk>;
}

export class Host {
  readonly disks: Map<string, TestDisk>;
  /** Daemons that this host has had: operations of an earlier one end nowhere. */
  lives = 0;
  readonly strayOperations: (() => void)[] = [];
  readonly answers: Answer[] = [];
  readonly reports: MirrorReport[] = [];
  /** Logs whose devices were to be suspended and resumed (R11). */
  readonly restarts: string[] = [];
  /** Submitted and not yet delivered. */
  readonly messages: LogMessage[] = [];
  /** Every message ever submitted. */
  submitted = 0;
  nowMs = 1000;
  states: NativeLogStates;
  /** What a daemon keeps of logs that this host does not use. */
  unusedLogs = new Map<string, string>();
  service: MirrorService;
  readonly #options: HostOptions;
  readonly #view = new RequestView();
  #seq = 0;
  #order = 0;
  #acknowledged = 0;

  constructor(options: HostOptions = {}) {
    this.#options = options;
    this.disks = options.disks ?? new Map();
    this.states = this.#newStates();
    this.service = this.#start();
  }

  /** Sends a request frame; returns its seq. Nothing else happens. */
  send(type: number, log: Luid, payload: Buffer | readonly number[] = [], version = 3): number {
    this.#seq += 1;
    this.sendAs(this.#seq, type, log, payload, version);
    return this.#seq;
  }

  /** The same with a seq of one's own. */
  sendAs(seq: number, type: number, log: Luid, payload: Buffer | readonly number[] = [], version = 3): void {
    const frame = Buffer.alloc(2048);
    const bytes = Buffer.isBuffer(payload) ? payload : encodeValues(payload);
    const uuid = Buffer.from(log.uuid);
    const length = encodeRequest(frame, 0, {
      seq,
      type,
      luidHigh: 0xffff8881,
      luidLow: log.luid,
      uuid,
      payload: bytes,
      version,
    });
    if (!this.#view.bind(frame, 0, length)) throw new Error('a frame without a header');
    this.service.handle(this.#view, this.nowMs);
  }

  /** A request, its turn, and everything that follows from it; the answer, or undefined when there is none yet. */
  ask(type: number, log: Luid, payload: Buffer | readonly number[] = [], version = 3): Answer | undefined {
    const seq = this.send(type, log, payload, version);
    this.settle();
    return this.answerTo(seq);
  }

  answerTo(seq: number): Answer | undefined {
    return this.answers.find((answer) => answer.seq === seq);
  }

  construct(log: Luid, text: string, options: { nul?: boolean; version?: number } = {}): Answer | undefined {
    const payload = Buffer.from(options.nul === true ? `${text}\0` : text);
    return this.ask(DM_ULOG_CTR, log, payload, options.version ?? 3);
  }

  /** A constructed and resumed log. */
  resumed(log: Luid, text: string): MirrorLog {
    for (const answer of [this.construct(log, text), this.ask(DM_ULOG_RESUME, log)]) {
      if (answer?.error !== 0) throw new Error(`not resumed: ${JSON.stringify(answer)}`);
    }
    return this.log(log);
  }

  suspend(log: Luid): void {
    this.ask(DM_ULOG_PRESUSPEND, log);
    this.ask(DM_ULOG_POSTSUSPEND, log);
  }

  mark(log: Luid, ...regions: number[]): Answer | undefined {
    return this.ask(DM_ULOG_MARK_REGION, log, regions);
  }

  clear(log: Luid, ...regions: number[]): Answer | undefined {
    return this.ask(DM_ULOG_CLEAR_REGION, log, regions);
  }

  flush(log: Luid, ...regions: number[]): Answer | undefined {
    return this.ask(DM_ULOG_FLUSH, log, regions);
  }

  log(wanted: Luid): MirrorLog {
    for (const log of this.service.logs()) {
      const { identity } = log.state;
      if (identity.uuid === wanted.uuid && identity.luidLow === wanted.luid) return log;
    }
    throw new Error(`no log ${wanted.uuid} ${wanted.luid}`);
  }

  state(wanted: Luid): LogState {
    return this.log(wanted).state;
  }

  /** Delivers what was submitted; not acknowledged yet. */
  deliver(): void {
    for (let message = this.messages.shift(); message !== undefined; message = this.messages.shift()) {
      this.#order += 1;
      this.service.deliver(this.#order, message, this.nowMs);
    }
  }

  acknowledge(): void {
    if (this.#acknowledged === this.#order) return;
    this.#acknowledged = this.#order;
    this.service.acknowledged(this.#order, this.nowMs);
  }

  /** The end of a turn of the engine. */
  turn(): void {
    this.deliver();
    this.acknowledge();
    this.service.endTurn(this.nowMs);
  }

  /** Turns, device operations and ticks that are due until nothing is left to do now. */
  settle(): void {
    this.turn();
    while (this.#completeOne() || this.#tickDue()) this.turn();
  }

  /** Lets time pass, ticking whenever the service wants it. */
  wait(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const dueMs = this.service.nextDeadlineMs();
      if (dueMs < 0 || dueMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.service.tick(this.nowMs);
      this.settle();
    }
    this.nowMs = untilMs;
  }

  /** SIGKILL and a new daemon over the same memory. Device operations under way never end. */
  restart(settle = true): void {
    this.states = NativeLogStates.fromMemoryOf(this.states);
    this.#begin(settle);
  }

  /** A power cut: only what was written stays. */
  powerCut(settle = true): void {
    this.states = this.#newStates();
    this.unusedLogs.clear();
    this.#begin(settle);
  }

  #begin(settle: boolean): void {
    this.messages.length = 0;
    this.lives += 1;
    if (this.#options.disks === undefined) for (const disk of this.disks.values()) disk.waiting.length = 0;
    this.service = this.#start();
    if (settle) this.settle();
  }

  #tickDue(): boolean {
    const dueMs = this.service.nextDeadlineMs();
    if (dueMs < 0 || dueMs > this.nowMs) return false;
    this.service.tick(this.nowMs);
    return true;
  }

  #completeOne(): boolean {
    const stray = this.strayOperations.shift();
    stray?.();
    if (stray !== undefined) return true;
    for (const disk of this.disks.values()) if (disk.complete()) return true;
    return false;
  }

  #newStates(): NativeLogStates {
    return new NativeLogStates({
      directory: null,
      bootId: this.#bootId,
      memoryBytesMax: 2 ** 30,
      ...(this.#options.stickyMax === undefined ? {} : { stickyMax: this.#options.stickyMax }),
      ...(this.#options.ownersMax === undefined ? {} : { ownersMax: this.#options.ownersMax }),
    });
  }

  get #bootId(): string {
    return this.#options.bootId ?? '00000000-0000-4000-8000-000000000001';
  }

  #start(): MirrorService {
    const service = new MirrorService({
      node: this.#options.node ?? 1,
      nodeName: this.#options.nodeName ?? 'alpha',
      bootId: this.#bootId,
      states: this.states,
      effects: this.#effects(),
      settings: this.#options.settings ?? {},
      unusedLogs: this.unusedLogs.values(),
    });
    if (this.#options.submit === undefined) service.viewChanged(viewOfOne(1), this.nowMs);
    service.start(this.nowMs);
    return service;
  }

  #effects(): MirrorEffects {
    const answer = (seq: number, type: number, error: number, values: readonly number[], text: string) => {
      this.answers.push({ seq, type, error, values, text });
    };
    return {
      reply: (seq, type, error) => answer(seq, type, error, [], ''),
      replyValue: (seq, type, value) => answer(seq, type, 0, [value], ''),
      replyPair: (seq, type, first, second) => answer(seq, type, 0, [first, second], ''),
      replyText: (seq, type, text) => answer(seq, type, 0, [], text),
      submit: (message) => {
        this.submitted += 1;
        const { count, byteCount } = message;
        const bytes = Uint8Array.from(message.bytes.subarray(0, byteCount));
        const copy = { ...message, regions: message.regions.slice(0, count), bytes };
        if (this.#options.submit === undefined) this.messages.push(copy);
        else this.#options.submit(copy);
      },
      device: (events) => new TestDevice(this, events),
      restartRecovery: (uuid) => this.restarts.push(uuid),
      keepUnusedLog: (uuid, table) => this.unusedLogs.set(uuid, table),
      report: (report) => this.reports.push(report),
    };
  }
}

/** A host with one resumed disk log of `regions` regions of 8 sectors, all in sync. */
export function hostWithDisk(regions = 64, options: HostOptions = {}): { host: Host; disk: TestDisk } {
  const host = new Host(options);
  const disk = new TestDisk(1024 * 1024);
  host.disks.set('/dev/log', disk);
  host.resumed(mirrorA, `${regions * 8} clustered-disk /dev/log 8 nosync`);
  return { host, disk };
}

/** A host with one resumed core log, all in sync unless `words` says otherwise. */
export function hostWithCore(regions = 64, words = 'nosync', options: HostOptions = {}): Host {
  const host = new Host(options);
  host.resumed(mirrorA, `${regions * 8} clustered-core 8 ${words}`);
  return host;
}

export { LifeCycle };

/** The view of a host that is alone. */
export function viewOfOne(epoch: number): GroupView {
  const self = { node: 1, name: 'alpha', bootId: '00000000-0000-4000-8000-000000000001', incarnation: '1' };
  return { epoch, meeting: String(epoch), members: [self], joined: [self], left: [] };
}

/**
 * The simulated kernel on a daemon's mirror core, in virtual time, for short scripts like those of
 * test/vm/scenarios/frames.sh: one device, one write at a time, the daemon killed and started, its log device or a leg failing.
 * Everything that the kernel asks is kept as it would be recorded.
 */
import {
  DM_ULOG_CLEAR_REGION,
  encodeAck,
  encodePairReply,
  encodeReply,
  encodeTextReply,
  encodeValueReply,
  RequestView,
} from '../../ts/base/ulog-frames.js';
import { Kernel } from '../../ts/sim/kernel/kernel.js';
import type { MappedDevice } from '../../ts/sim/kernel/mapped-device.js';
import { type Blocking, Wait } from '../../ts/sim/kernel/threads.js';
import type { LogTable } from '../../ts/sim/kernel/userspace-log.js';
import type { KernelObserver, KernelWorld, Legs } from '../../ts/sim/kernel/world.js';
import { type Answer, Host, TestDisk } from '../mirror/host.js';
import type { RecordedLine } from '../vm/frame-text.mjs';

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

const hopMs = 1;
const legMs = 2;
const regionSectors = 128;
const sectorsOfMost = 1024;

export class ScriptedKernel {
  readonly recorded: RecordedLine[] = [];
  readonly device: MappedDevice;
  readonly #kernel: Kernel;
  readonly #host = new Host();
  readonly #view = new RequestView();
  readonly #uuid: string;
  #events: Event[] = [];
  #order = 0;
  #nowMs = 1000;
  #daemonRuns = true;
  #luids = 0;
  #recordsLost = false;
  /** Writes of the second leg and of the log device fail while these are set. */
  legFails = false;

  constructor(uuid: string) {
    this.#uuid = uuid;
    for (const name of ['254:32', '253:0']) this.#host.disks.set(name, new TestDisk(65536, name));
    const world: KernelWorld = {
      nowMs: () => this.#nowMs,
      after: (delayMs, action) => this.#after(delayMs, action),
      send: (frame, length) => this.#send(frame, length),
      wakeDelayMs: () => 0,
    };
    const luid = () => {
      this.#luids += 1;
      return { high: 0xffff8881, low: this.#luids * 4096 };
    };
    this.#kernel = new Kernel(world, silent, { firstSeq: 1, luid });
    this.device = this.#kernel.addDevice(this.#legs());
  }

  table(log: string, sectors = sectorsOfMost): LogTable {
    const integratedFlush = log.startsWith('integrated_flush ');
    return { uuid: this.#uuid, arguments: log.replace('integrated_flush ', ''), integratedFlush, sectors };
  }

  /** Runs the script and everything that follows from it. */
  run(script: Blocking): void {
    let ended = false;
    this.#kernel.run(
      (function* () {
        yield* script;
        ended = true;
      })(),
    );
    while (!ended && this.#step()) {
      /* virtual time */
    }
    if (!ended) throw new Error('the script waits for something that never comes');
  }

  note(text: string): void {
    this.recorded.push({ kind: '!', bytes: Buffer.alloc(0), text });
  }

  *create(log: string): Blocking {
    yield* this.load(log);
    yield* this.device.resume();
  }

  *load(log: string, sectors = sectorsOfMost): Blocking {
    const error = yield* this.device.load(this.table(log, sectors));
    if (error !== 0) throw new Error(`the table was refused: ${error}`);
  }

  *sleep(ms: number): Blocking {
    const wait = new Wait(this.#kernel.threads);
    this.#after(ms, () => wait.finish());
    yield wait;
  }

  /** A write into the middle of a region; ends a while after it did. */
  *writeTo(region: number): Blocking {
    const wait = this.submit(region);
    yield wait;
    yield* this.sleep(1500);
  }

  submit(region: number): Wait {
    const wait = new Wait(this.#kernel.threads);
    const sector = region * regionSectors + 32;
    this.device.submit({ sector, sectors: 8, stamp: 1, region: 0, done: () => wait.finish() });
    return wait;
  }

  *remove(): Blocking {
    yield* this.device.suspend();
    yield* this.device.remove();
    yield* this.sleep(100);
  }

  kill(): void {
    this.#daemonRuns = false;
  }

  /** The state records of the daemon that was killed. */
  loseRecords(): void {
    this.#recordsLost = true;
  }

  /** As a host left them that died while they were written. */
  markOnDisk(...regions: number[]): void {
    const { bytes } = this.#host.disks.get('254:32') as TestDisk;
    for (const region of regions)
      bytes.writeUInt8(bytes.readUInt8(1024 + (region >> 3)) & ~(1 << (region & 7)), 1024 + (region >> 3));
  }

  logFails(fails: boolean): void {
    const disk = this.#host.disks.get('253:0') as TestDisk;
    disk.openErrno = disk.readErrno = disk.writeErrno = fails ? 5 : 0;
  }

  start(): void {
    this.#host.nowMs = this.#nowMs;
    if (this.#recordsLost) this.#host.powerCut();
    else this.#host.restart();
    this.#recordsLost = false;
    this.#daemonRuns = true;
  }

  #after(delayMs: number, action: () => void): void {
    this.#order += 1;
    this.#events.push({ atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order, action });
  }

  /** The next event, or the daemon's next deadline. */
  #step(): boolean {
    const [next] = this.#events.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    if (next === undefined) return false;
    if (this.#daemonRuns) {
      this.#host.wait(Math.max(0, next.atMs - this.#host.nowMs));
      this.#takeAnswers();
    }
    // An answer may have come in before it.
    this.#nowMs = next.atMs;
    this.#events.splice(this.#events.indexOf(next), 1);
    next.action();
    return true;
  }

  #send(frame: Buffer, length: number): boolean {
    if (!this.#daemonRuns) return false;
    const bytes = Buffer.from(frame.subarray(0, length));
    this.recorded.push({ kind: '>', bytes, text: '' });
    this.#after(hopMs, () => {
      if (!this.#daemonRuns || !this.#view.bind(bytes, 0, length)) return;
      this.#host.nowMs = this.#nowMs;
      this.#host.service.handle(this.#view, this.#nowMs);
      this.#host.settle();
      this.#takeAnswers();
    });
    return true;
  }

  #takeAnswers(): void {
    for (const answer of this.#host.answers.splice(0)) {
      const frame = Buffer.alloc(2048);
      const length = encodeAnswer(frame, answer);
      this.#after(hopMs, () => this.#kernel.receive(frame, 0, length));
    }
  }

  #legs(): Legs {
    return {
      legCount: 2,
      write: (leg, _write, done) => {
        const fails = this.legFails && leg === 1;
        this.#after(legMs, () => done(!fails));
      },
      copy: (_from, _sector, _sectors, done) => this.#after(legMs, () => done([])),
    };
  }
}

function encodeAnswer(frame: Buffer, { seq, type, error, values, text }: Answer): number {
  const [first, second] = values;
  if (type === DM_ULOG_CLEAR_REGION) return encodeAck(frame, 0, seq, error);
  if (text !== '') return encodeTextReply(frame, 0, seq, type, text);
  if (first !== undefined && second !== undefined) return encodePairReply(frame, 0, seq, type, first, second);
  if (first !== undefined) return encodeValueReply(frame, 0, seq, type, first);
  return encodeReply(frame, 0, seq, type, error);
}

const silent: KernelObserver = {
  writeIssued: () => {},
  writeEnded: () => {},
  recoveryStarted: () => {},
  recoveryEnded: () => {},
  questionFailed: () => {},
  flushFailed: () => {},
  lifeCycle: () => {},
  say: () => {},
};

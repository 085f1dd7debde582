/**
 * The simulated kernel's region hash and log against a daemon that answers from a script: the order of requests, what
 * is marked and what is not, and how a write waits. Virtual time, no daemon.
 */
import { describe, expect, it } from 'vitest';
import {
  encodePairReply,
  encodeReply,
  encodeTextReply,
  encodeValueReply,
  RequestView,
  requestNames,
} from '../../ts/base/ulog-frames.js';
import { Kernel } from '../../ts/sim/kernel/kernel.js';
import type { MappedDevice } from '../../ts/sim/kernel/mapped-device.js';
import type { Blocking } from '../../ts/sim/kernel/threads.js';
import type { LogTable } from '../../ts/sim/kernel/userspace-log.js';
import type { KernelObserver, Legs, Write } from '../../ts/sim/kernel/world.js';
import { Timeline } from '../../ts/sim/timeline.js';

const regionSectors = 8;
const regions = 10;

const nobody: KernelObserver = {
  writeIssued: () => {},
  writeEnded: () => {},
  recoveryStarted: () => {},
  recoveryEnded: () => {},
  questionFailed: () => {},
  flushFailed: () => {},
  lifeCycle: () => {},
  say: () => {},
};

interface Answer {
  error?: number;
  value?: number;
  pair?: [number, number];
  text?: string;
}

/** A daemon of a few lines: everything in sync unless said otherwise. */
class ScriptedDaemon {
  readonly timeline = new Timeline();
  readonly asked: string[] = [];
  readonly written: string[] = [];
  readonly outOfSync = new Set<number>();
  listening = true;
  hint = regions;
  /** Answers that replace the usual one, by request name. */
  readonly answers = new Map<string, (values: number[]) => Answer | null>();
  readonly kernel: Kernel;
  readonly device: MappedDevice;
  /** Ends of leg writes and copies that are held back. */
  readonly held: (() => void)[] = [];
  holdLegs = false;
  failingLeg = -1;
  readonly #view = new RequestView();

  constructor(integratedFlush = false) {
    const legs: Legs = {
      legCount: 2,
      write: (leg, write, done) => {
        this.written.push(`write ${leg} ${write.sector}`);
        this.#end(() => done(leg !== this.failingLeg));
      },
      copy: (from, sector, sectors, done) => {
        this.written.push(`copy ${from} ${sector}+${sectors}`);
        this.#end(() => done([]));
      },
    };
    const world = {
      nowMs: () => this.timeline.nowMs,
      after: (delayMs: number, action: () => void) => this.timeline.after(delayMs, action),
      send: (frame: Buffer, length: number) => this.#send(frame, length),
      wakeDelayMs: () => 0,
    };
    this.kernel = new Kernel(world, nobody, { firstSeq: 1, luid: () => ({ high: 1, low: 0x1000 }) });
    this.device = this.kernel.addDevice(legs);
    const table: LogTable = {
      uuid: 'LVM-test',
      arguments: 'clustered-core 8 nosync',
      integratedFlush,
      sectors: regions * regionSectors - 3,
    };
    this.command(this.device.load(table));
    this.command(this.device.resume());
    this.asked.length = 0;
  }

  command(command: Blocking<unknown>, ms = 100): void {
    this.kernel.run(command);
    this.run(ms);
  }

  /** Lets this much time pass. */
  run(ms: number): void {
    const endMs = this.timeline.nowMs + ms;
    let over = false;
    this.timeline.at(endMs, () => {
      over = true;
    });
    while (!over) this.timeline.step();
  }

  write(region: number, done: (ok: boolean) => void = () => {}): void {
    const write: Write = { sector: region * regionSectors, sectors: 1, stamp: 1, region, done };
    this.device.submit(write);
  }

  /** Requests since the last call. */
  takeAsked(): string[] {
    return this.asked.splice(0);
  }

  #end(done: () => void): void {
    if (this.holdLegs) this.held.push(done);
    else this.timeline.after(1, done);
  }

  #send(frame: Buffer, length: number): boolean {
    if (!this.listening) return false;
    this.#view.bind(frame, 0, length);
    const { seq, type } = this.#view;
    const into = new Float64Array(64);
    const count = this.#view.readRegions(into);
    const values = count > 0 && type !== 1 ? Array.from(into.subarray(0, count)) : [];
    const name = requestNames[type] ?? '';
    this.asked.push([name, ...values].join(' '));
    const script = this.answers.get(name);
    const answer = script === undefined ? this.#usual(name, values) : script(values);
    if (answer === null) return true;
    const out = Buffer.alloc(2048);
    const bytes = encode(out, seq, type, answer);
    this.timeline.after(0.1, () => this.kernel.receive(out, 0, bytes));
    return true;
  }

  #usual(name: string, values: number[]): Answer {
    switch (name) {
      case 'GET_REGION_SIZE':
        return { value: regionSectors };
      case 'IN_SYNC':
        return { value: this.outOfSync.has(values[0] ?? -1) ? 0 : 1 };
      case 'GET_SYNC_COUNT':
        return { value: regions - this.outOfSync.size };
      case 'GET_RESYNC_WORK': {
        const region = [...this.outOfSync][0];
        return { pair: region === undefined ? [0, 0] : [1, region] };
      }
      case 'SET_REGION_SYNC':
        if (values[1] === 1) this.outOfSync.delete(values[0] ?? -1);
        else this.outOfSync.add(values[0] ?? -1);
        return {};
      case 'IS_REMOTE_RECOVERING':
        return { pair: [0, this.hint] };
      default:
        return {};
    }
  }
}

function encode(out: Buffer, seq: number, type: number, answer: Answer): number {
  if (answer.value !== undefined) return encodeValueReply(out, 0, seq, type, answer.value);
  if (answer.pair !== undefined) return encodePairReply(out, 0, seq, type, answer.pair[0], answer.pair[1]);
  if (answer.text !== undefined) return encodeTextReply(out, 0, seq, type, answer.text);
  return encodeReply(out, 0, seq, type, answer.error ?? 0);
}

describe('a write', () => {
  it('to a region in sync is marked and flushed before any leg is written, and cleared after', () => {
    const daemon = new ScriptedDaemon();
    const order: string[] = [];
    daemon.answers.set('FLUSH', () => {
      order.push(`legs written before the flush: ${daemon.written.length}`);
      return {};
    });
    daemon.write(3, () => order.push('done'));
    daemon.run(50);
    expect(order.slice(0, 2)).toEqual(['legs written before the flush: 0', 'done']);
    expect(daemon.written).toEqual(['write 0 24', 'write 1 24']);
    expect(daemon.takeAsked()).toEqual(['IN_SYNC 3', 'IN_SYNC 3', 'MARK_REGION 3', 'FLUSH', 'CLEAR_REGION 3', 'FLUSH']);
    expect(daemon.device.live?.hash.entries.size).toBe(0);
  });

  it('to a region that is dirty already asks nothing', () => {
    const daemon = new ScriptedDaemon();
    daemon.holdLegs = true;
    daemon.write(3);
    daemon.run(10);
    daemon.takeAsked();
    daemon.write(3);
    daemon.run(10);
    expect(daemon.takeAsked()).toEqual([]);
    expect(daemon.written.length).toBe(4);
  });

  it('to a region out of sync goes to the default leg, unmarked, and its entry stays', () => {
    const daemon = new ScriptedDaemon();
    daemon.answers.set('GET_RESYNC_WORK', () => ({ pair: [0, 0] }));
    daemon.outOfSync.add(4);
    daemon.write(4);
    daemon.run(50);
    expect(daemon.written).toEqual(['write 0 32']);
    expect(daemon.takeAsked().filter((line) => /MARK|FLUSH|CLEAR/.test(line))).toEqual([]);
    expect(daemon.device.live?.hash.entries.get(4)?.state).toBe('nosync');
  });

  it('keeps to its entry: in sync by now, written to the default leg all the same until the table goes', () => {
    const daemon = new ScriptedDaemon();
    daemon.answers.set('GET_RESYNC_WORK', () => ({ pair: [0, 0] }));
    daemon.outOfSync.add(4);
    daemon.write(4);
    daemon.run(50);
    daemon.outOfSync.clear();
    daemon.write(4);
    daemon.run(50);
    expect(daemon.written).toEqual(['write 0 32', 'write 0 32']);
  });

  it('marks newest first, 32 a group', () => {
    const daemon = new ScriptedDaemon();
    for (const region of [1, 2, 3]) daemon.write(region);
    daemon.run(5);
    expect(daemon.takeAsked()).toContain('MARK_REGION 3 2 1');
  });
});

describe('questions about remote recovery', () => {
  it('are asked once in 250 ms; in between the write comes again after 200 ms', () => {
    const daemon = new ScriptedDaemon();
    daemon.command(daemon.device.suspend());
    daemon.hint = 0;
    daemon.answers.set('GET_SYNC_COUNT', () => ({ value: 0 }));
    daemon.command(daemon.device.resume());
    daemon.takeAsked();
    daemon.write(1);
    daemon.write(2);
    daemon.run(30);
    expect(daemon.takeAsked().filter((line) => line.startsWith('IS_REMOTE'))).toEqual(['IS_REMOTE_RECOVERING 1']);
    expect(daemon.written).toEqual(['write 0 8', 'write 1 8']);
    daemon.run(600);
    expect(daemon.written.length).toBe(4);
  });

  it('are not asked below the hint', () => {
    const daemon = new ScriptedDaemon();
    daemon.write(9);
    daemon.run(20);
    expect(daemon.takeAsked().filter((line) => line.startsWith('IS_REMOTE'))).toEqual([]);
  });
});

describe('recovery', () => {
  it('copies one region at a time from the default leg, clears it and reports it', () => {
    const daemon = new ScriptedDaemon();
    daemon.command(daemon.device.suspend());
    daemon.outOfSync.add(9).add(2);
    daemon.command(daemon.device.resume(), 500);
    expect(daemon.written).toEqual(['copy 0 72+5', 'copy 0 16+8']);
    const asked = daemon.takeAsked();
    expect(asked.filter((line) => line.startsWith('SET_REGION'))).toEqual([
      'SET_REGION_SYNC 9 1',
      'SET_REGION_SYNC 2 1',
    ]);
    expect(asked.indexOf('SET_REGION_SYNC 9 1')).toBeLessThan(asked.indexOf('CLEAR_REGION 9'));
  });

  it('holds writes to its region until the copy is over', () => {
    const daemon = new ScriptedDaemon();
    daemon.command(daemon.device.suspend());
    daemon.holdLegs = true;
    daemon.outOfSync.add(2);
    daemon.hint = 2;
    daemon.command(daemon.device.resume(), 300);
    daemon.write(2);
    daemon.run(300);
    expect(daemon.written).toEqual(['copy 0 16+8']);
    daemon.holdLegs = false;
    for (const end of daemon.held.splice(0)) end();
    daemon.run(300);
    expect(daemon.written.slice(1)).toEqual(['write 0 16', 'write 1 16']);
  });
});

describe('failures', () => {
  it('of a flush hold every write until the table is replaced', () => {
    const daemon = new ScriptedDaemon();
    let done = 0;
    daemon.answers.set('FLUSH', () => ({ error: -5 }));
    daemon.write(3, () => {
      done += 1;
    });
    daemon.run(50);
    daemon.answers.delete('FLUSH');
    daemon.write(5, () => {
      done += 1;
    });
    daemon.run(500);
    expect(done).toBe(0);
    expect(daemon.written).toEqual([]);
    daemon.command(
      daemon.device.load({ uuid: 'LVM-test', arguments: 'clustered-core 8', integratedFlush: false, sectors: 77 }),
    );
    daemon.command(daemon.device.resume(), 500);
    expect(done).toBe(2);
  });

  it('of a leg put the region out of sync and hold the write', () => {
    const daemon = new ScriptedDaemon();
    daemon.failingLeg = 1;
    daemon.answers.set('GET_RESYNC_WORK', () => ({ pair: [0, 0] }));
    daemon.write(3);
    daemon.run(100);
    expect(daemon.takeAsked()).toContain('SET_REGION_SYNC 3 0');
    expect(daemon.device.live?.holding).toBe(true);
    expect(daemon.device.live?.hash.entries.get(3)?.state).toBe('nosync');
  });

  it('of a group of marks try them one by one', () => {
    const daemon = new ScriptedDaemon();
    daemon.answers.set('MARK_REGION', (values) => (values.length > 1 ? { error: -22 } : {}));
    for (const region of [1, 2]) daemon.write(region);
    daemon.run(50);
    expect(daemon.takeAsked().filter((line) => line.startsWith('MARK'))).toEqual([
      'MARK_REGION 2 1',
      'MARK_REGION 2',
      'MARK_REGION 1',
    ]);
  });
});

describe('the log client', () => {
  it('asks again after 15 s under a new number and drops the late answer', () => {
    const daemon = new ScriptedDaemon();
    let asked = 0;
    daemon.answers.set('IN_SYNC', () => {
      asked += 1;
      return asked === 1 ? null : { value: 1 };
    });
    daemon.write(3);
    daemon.run(14_000);
    expect(asked).toBe(1);
    daemon.run(2000);
    expect(asked).toBeGreaterThan(1);
    expect(daemon.kernel.client.counters.resent).toBe(1);
  });

  it('reconnects with the constructor and its NUL, takes no data with the answer, resumes, and goes on', () => {
    const daemon = new ScriptedDaemon();
    daemon.listening = false;
    daemon.write(3);
    daemon.run(100);
    daemon.listening = true;
    let refused = true;
    daemon.answers.set('CTR', () => {
      const answer = refused ? { text: '253:4\0' } : {};
      refused = false;
      return answer;
    });
    daemon.run(5000);
    expect(daemon.takeAsked().slice(0, 4)).toEqual(['CTR', 'CTR', 'RESUME', 'IN_SYNC 3']);
    expect(daemon.kernel.client.counters.noRoom).toBe(1);
  });

  it('sends again at once when told to', () => {
    const daemon = new ScriptedDaemon();
    let times = 0;
    daemon.answers.set('IN_SYNC', () => {
      times += 1;
      return times < 4 ? { error: -11 } : { value: 1 };
    });
    daemon.write(3);
    daemon.run(20);
    expect(daemon.kernel.client.counters.again).toBe(3);
  });
});

describe('the integrated flush', () => {
  it('carries the marks, and lets clears wait three seconds', () => {
    const daemon = new ScriptedDaemon(true);
    daemon.write(3);
    daemon.run(1000);
    expect(daemon.takeAsked()).toEqual(['IN_SYNC 3', 'IN_SYNC 3', 'FLUSH 3', 'CLEAR_REGION 3']);
    daemon.run(3000);
    expect(daemon.takeAsked()).toEqual(['FLUSH']);
  });

  it('runs the waiting flush before POSTSUSPEND', () => {
    const daemon = new ScriptedDaemon(true);
    daemon.write(3);
    daemon.run(100);
    daemon.takeAsked();
    daemon.command(daemon.device.suspend());
    expect(daemon.takeAsked()).toEqual(['PRESUSPEND', 'FLUSH', 'POSTSUSPEND']);
  });
});

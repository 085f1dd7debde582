/** State records (R2): what a restarted daemon finds, of this boot and of others, after any kill. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LifeCycle, type LogState } from '../../ts/mirror/log-state.js';
import { NativeLogStates } from '../../ts/native/log-state.js';
import { ChildScript, TestFolder } from './child-script.js';

const bootId = '6a1e0d5c-0000-4000-8000-00000000000a';
const identity = { uuid: 'LVM-some uuid', luidHigh: 0xffff8881, luidLow: 0x23456780 };
const geometry = { regionCount: 5000, regionSizeSectors: 1024 };
const text = '5120000 clustered-disk 253:4 1024';
const memoryBytesMax = 64 * 2 ** 20;

let folder: TestFolder;
let directory: string;
beforeEach(() => {
  folder = new TestFolder();
  directory = folder.file('state');
});
afterEach(() => folder.remove());

function open(boot: string = bootId, problems: string[] = []): NativeLogStates {
  return new NativeLogStates({ directory, bootId: boot, memoryBytesMax, onProblem: (line) => problems.push(line) });
}

function create(states: NativeLogStates, disk = true, who = identity): LogState {
  const made = states.create(who, geometry, text, disk);
  if (!made.ok) throw new Error(made.text);
  return made.state;
}

function records(): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.state'));
}

/** What a test changes in a record, and what it must find again. */
function change(state: LogState, active: LifeCycle = LifeCycle.active): void {
  state.map.fillClean(0, 5000, true);
  state.map.hold(new Float64Array([3, 4999]), 2);
  state.map.markDirty(new Float64Array([3, 4999]), 2);
  state.map.setInSync(17, true);
  state.lifeCycle = active;
  state.recoveringRegion = 12;
  state.searchPosition = 5001;
  state.inSyncLatched = true;
  state.marksUnknown = true;
  state.everResumed = true;
  state.logFailed = true;
  state.resumeCount = 2 ** 40;
}

function expectChanged(state: LogState): void {
  expect(state.restored).toBe(true);
  expect(state.identity).toEqual(identity);
  expect(state.geometry).toEqual(geometry);
  expect(state.constructorText).toBe(text);
  expect([state.map.cleanCount, state.map.syncCount, state.map.heldCount]).toEqual([4998, 1, 2]);
  expect([state.map.nextHeld(0), state.map.nextHeld(4), state.map.nextDirty(4)]).toEqual([3, 4999, 4999]);
  expect(state.map.isInSync(17)).toBe(true);
  expect(state.lifeCycle).toBe(LifeCycle.active);
  expect([state.recoveringRegion, state.searchPosition, state.resumeCount]).toEqual([12, 5001, 2 ** 40]);
  expect([state.inSyncLatched, state.marksUnknown, state.everResumed, state.logFailed]).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect([state.owners.size, state.sticky.size]).toEqual([0, 0]);
  expect(state.image?.areaBytes).toBe(2048);
}

describe('a state record', () => {
  it('is fresh at first', () => {
    const state = create(open(), false);
    expect(state.restored).toBe(false);
    expect(state.lifeCycle).toBe(LifeCycle.pending);
    expect([state.recoveringRegion, state.searchPosition, state.resumeCount]).toEqual([-1, 0, 0]);
    expect([state.inSyncLatched, state.marksUnknown, state.everResumed, state.logFailed]).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect([state.map.cleanCount, state.map.syncCount, state.map.heldCount]).toEqual([0, 0, 0]);
    expect(state.image).toBeNull();
  });

  it('outlives a SIGKILL', async () => {
    const child = new ChildScript(
      `const states = new NativeLogStates({ directory: args[0], bootId: args[1], memoryBytesMax: 1e9 });
       const identity = JSON.parse(args[2]);
       const { state } = states.create(identity, { regionCount: 5000, regionSizeSectors: 1024 }, args[3], true);
       (${change.toString()})(state, 3);
       console.log('stored');
       setInterval(() => state.map.isHeld(3), 1000);`,
      [directory, bootId, JSON.stringify(identity), text],
    );
    await child.printed('stored');
    child.process.kill('SIGKILL');
    expect(await child.ended).toEqual({ code: null, signal: 'SIGKILL' });
    const restored = open().restore();
    expect(restored).toHaveLength(1);
    expectChanged(restored[0] as LogState);
  });

  it('is whole or is not there, whenever the kill comes', async () => {
    for (let round = 0; round < 8; round++) {
      const child = new ChildScript(
        `const states = new NativeLogStates({ directory: args[0], bootId: args[1], memoryBytesMax: 1e9 });
         console.log('ready');
         for (let i = 0; ; i++) {
           const who = { uuid: 'u' + (i % 7), luidHigh: 0, luidLow: i % 5 };
           const made = states.create(who, { regionCount: 40000, regionSizeSectors: 8 }, 'text', true);
           if (i % 3 !== 0 || !made.ok) states.dropMemory();
         }`,
        [directory, bootId],
      );
      await child.printed('ready');
      await new Promise((resolve) => setTimeout(resolve, 7 * round));
      child.process.kill('SIGKILL');
      await child.ended;
      const problems: string[] = [];
      const states = open(bootId, problems);
      for (const state of states.restore()) expect(state.constructorText).toBe('text');
      expect(problems).toEqual([]);
      expect(readdirSync(directory).filter((name) => name.startsWith('.new'))).toEqual([]);
      states.dropMemory();
      states.close();
    }
  });

  it('of another boot is deleted', () => {
    const before = open();
    change(create(before));
    before.close();
    expect(records()).toHaveLength(1);
    expect(open('another boot').restore()).toEqual([]);
    expect(records()).toEqual([]);
  });

  it('that cannot be read is put aside and reported', () => {
    const before = open();
    create(before);
    create(before, true, { ...identity, luidLow: 1 });
    before.close();
    const broken = folder.file(`state/${records()[0]}`);
    const bytes = readFileSync(broken);
    bytes.writeUInt32LE(99, 8);
    writeFileSync(broken, bytes);
    writeFileSync(folder.file('state/short.state'), 'short');
    mkdirSync(folder.file('state/folder.state'));
    const problems: string[] = [];
    expect(open(bootId, problems).restore()).toHaveLength(1);
    expect(problems.sort()).toEqual([
      expect.stringContaining('unknown version'),
      expect.stringContaining('folder.state'),
      expect.stringContaining('short.state: file is shorter'),
    ]);
    expect(existsSync(`${broken}.unreadable`)).toBe(true);
    expect(existsSync(folder.file('state/short.state.unreadable'))).toBe(true);
  });

  it('that was removed is not found again, and throws', () => {
    const states = open();
    const state = create(states);
    const used = states.mappedBytes;
    state.remove();
    state.remove();
    expect(states.mappedBytes).toBeLessThan(used);
    expect(() => state.map.isHeld(1)).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
    expect(() => {
      state.lifeCycle = LifeCycle.active;
    }).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
    create(states).map.hold(new Float64Array([1]), 1);
    states.close();
    expect(open().restore()[0]?.map.heldCount).toBe(1);
  });

  it('refuses words that cannot be', () => {
    const state = create(open());
    expect(() => {
      state.recoveringRegion = 5000;
    }).toThrow(RangeError);
    expect(() => {
      state.searchPosition = 5002;
    }).toThrow(RangeError);
    expect(() => {
      state.lifeCycle = 6 as LifeCycle;
    }).toThrow(RangeError);
    expect(() => {
      state.resumeCount = -1;
    }).toThrow(RangeError);
    expect([state.recoveringRegion, state.searchPosition, state.lifeCycle]).toEqual([-1, 0, LifeCycle.pending]);
  });
});

describe('the state folder', () => {
  it('is made closed to others, with files closed to others', () => {
    create(open());
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(folder.file(`state/${records()[0]}`)).mode & 0o777).toBe(0o600);
  });

  it('serves one daemon at a time, and the next after a kill', async () => {
    const child = new ChildScript(
      `const states = new NativeLogStates({ directory: args[0], bootId: args[1], memoryBytesMax: 1e9 });
       console.log('open');
       setInterval(() => states.mappedBytes, 1000);`,
      [directory, bootId],
    );
    await child.printed('open');
    expect(() => open()).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    child.process.kill('SIGKILL');
    await child.ended;
    open().close();
    const first = open();
    expect(() => open()).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    first.close();
    open();
  });

  it('is refused when others may look into it, and when it is none', () => {
    mkdirSync(directory);
    chmodSync(directory, 0o750);
    expect(() => open()).toThrow(expect.objectContaining({ code: 'EACCES' }));
    directory = folder.file('no/such/folder');
    expect(() => open()).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});

describe('the memory limit', () => {
  it('covers all records and names both sizes', () => {
    const states = new NativeLogStates({ directory: null, bootId, memoryBytesMax: 100_000 });
    expect(create(states).geometry.regionCount).toBe(5000);
    const big = states.create({ ...identity, luidLow: 1 }, { regionCount: 2 ** 32, regionSizeSectors: 8 }, text, false);
    expect(big).toMatchObject({ ok: false, errno: 12 });
    expect(big.ok ? '' : big.text).toMatch(/needs 16\d{8} bytes, limit is 100000, in use 20480/);
    for (let luidLow = 2; luidLow < 5; luidLow++) create(states, false, { ...identity, luidLow });
    expect(states.create({ ...identity, luidLow: 9 }, geometry, text, false)).toMatchObject({ ok: false, errno: 12 });
  });

  it('leaves a sparse log of 2^32 regions below 100 MiB', () => {
    const states = new NativeLogStates({ directory, bootId, memoryBytesMax: 2 ** 32 });
    const made = states.create(identity, { regionCount: 2 ** 32, regionSizeSectors: 8 }, text, true);
    if (!made.ok) throw new Error(made.text);
    const { map } = made.state;
    map.fillClean(0, 2 ** 32, true);
    map.fillInSync(0, 2 ** 32, true);
    for (let region = 0; region < 2 ** 32; region += 2 ** 24) {
      map.hold(new Float64Array([region]), 1);
      map.markDirty(new Float64Array([region]), 1);
    }
    expect(map.nextOutOfSync(0)).toBe(-1);
    expect([map.cleanCount, map.heldCount]).toEqual([2 ** 32 - 256, 256]);
    expect(statSync(folder.file(`state/${records()[0]}`)).blocks * 512).toBeLessThan(16 * 2 ** 20);
    states.close();
    const [again] = new NativeLogStates({ directory, bootId, memoryBytesMax: 2 ** 32 }).restore();
    expect([again?.map.cleanCount, again?.map.heldCount]).toEqual([2 ** 32 - 256, 256]);
    expect(statSync(folder.file(`state/${records()[0]}`)).blocks * 512).toBeLessThan(16 * 2 ** 20);
  });
});

describe('anonymous memory', () => {
  it('is found again as after a kill, and the old handles are dead', () => {
    const before = new NativeLogStates({ directory: null, bootId, memoryBytesMax });
    const old = create(before);
    change(old);
    const after = NativeLogStates.fromMemoryOf(before);
    const [state] = after.restore();
    expectChanged(state as LogState);
    expect(after.mappedBytes).toBeGreaterThan(0);
    expect(() => old.map.isHeld(3)).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
    expect(() => {
      old.searchPosition = 1;
    }).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
    expect(() => before.restore()).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
    expect(() => NativeLogStates.fromMemoryOf(before)).toThrow(
      expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }),
    );
  });

  it('is gone after a power cut', () => {
    const before = new NativeLogStates({ directory: null, bootId, memoryBytesMax });
    change(create(before));
    before.dropMemory();
    expect(before.mappedBytes).toBe(0);
    expect(NativeLogStates.fromMemoryOf(before).restore()).toEqual([]);
  });

  it('works the same over a folder', () => {
    const before = open();
    change(create(before));
    const after = NativeLogStates.fromMemoryOf(before);
    expectChanged(after.restore()[0] as LogState);
    after.dropMemory();
    expect(records()).toEqual([]);
  });
});

it('keeps the number of the newest request for the next daemon of this boot, whatever lies there', () => {
  let states = open();
  expect(states.lastRequest).toBe(-1);
  for (const seq of [0, 7, 0xffffffff]) {
    states.noteRequest(seq);
    expect(states.lastRequest).toBe(seq);
  }
  states.close();
  states = open();
  expect(states.lastRequest).toBe(0xffffffff);
  expect(states.restore()).toEqual([]);
  states.close();
  states = open('another-boot');
  expect(states.lastRequest).toBe(-1);
  states.noteRequest(12);
  states.close();
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(4096), Buffer.from('nonsense')]) {
    writeFileSync(`${directory}/last-request`, bytes);
    states = open('another-boot');
    expect(states.lastRequest).toBe(-1);
    states.close();
  }
});

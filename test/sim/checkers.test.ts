/** Every checker of the simulator fires on a world made wrong by hand, and stays silent on the same world unspoilt. */
import { describe, expect, it } from 'vitest';
import { resendsMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
} from '../../ts/base/ulog-frames.js';
import { LifeCycle } from '../../ts/mirror/log-state.js';
import { checkReply } from '../../ts/sim/checks/reply-checks.js';
import { checkStep } from '../../ts/sim/checks/step-checks.js';
import { Violation } from '../../ts/sim/checks/violation.js';
import { OpenRequests, type RequestRecord } from '../../ts/sim/daemon/requests.js';
import { LegPort } from '../../ts/sim/leg-port.js';
import { SimMirror } from '../../ts/sim/mirror.js';
import { Prng } from '../../ts/sim/prng.js';
import { Timeline } from '../../ts/sim/timeline.js';
import { VersionLegs } from '../../ts/sim/version-legs.js';
import { log, logBytes, regions, uuid, World } from './sound-world.js';

interface Case {
  readonly rule: string;
  readonly title: string;
  /** Makes a world in which the rule holds; `act` then looks. */
  readonly prepare: (world: World) => void;
  readonly spoil: (world: World) => void;
  readonly act: (world: World) => void;
}

const cases: readonly Case[] = [
  {
    rule: 'R16-flush-failed',
    title: 'what was held when a FLUSH failed is believed to be in sync after its CLEAR',
    prepare: (world) => {
      world.mark(3);
      world.kernel.doubtful.add(3);
    },
    spoil: (world) => void world.state.map.inner.held.delete(3),
    act: (world) => world.answer(DM_ULOG_IS_CLEAN, [1], { first: 1 }),
  },
  {
    rule: 'R2-draining',
    title: 'writes are held back after PRESUSPEND',
    prepare: (world) => {
      world.state.lifeCycle = LifeCycle.resuming;
      world.kernel.letDrain = true;
    },
    spoil: () => {},
    act: (world) => world.answer(DM_ULOG_IN_SYNC, [3], { first: world.mirror.quiet ? 0 : 1 }),
  },
  {
    rule: 'R2-draining',
    title: 'recovery elsewhere is claimed after PRESUSPEND',
    prepare: (world) => {
      world.state.lifeCycle = LifeCycle.resuming;
      world.kernel.letDrain = true;
    },
    spoil: () => {},
    act: (world) =>
      world.answer(DM_ULOG_IS_REMOTE_RECOVERING, [3], { first: world.mirror.quiet ? 1 : 0, second: regions }),
  },
  {
    rule: 'R1-flush-disk',
    title: 'a flush is answered and the mark is not on the device',
    prepare: (world) => world.mark(3),
    spoil: (world) => world.setBit(3, true),
    act: (world) => world.answer(DM_ULOG_FLUSH, []),
  },
  {
    rule: 'R1-flush-disk',
    title: 'a flush is answered and the device holds an unflushed clean bit of the region',
    prepare: (world) => world.mark(3),
    spoil: (world) => world.disk.put(1024, logBytes(false).subarray(1024)),
    act: (world) => world.answer(DM_ULOG_FLUSH, []),
  },
  {
    rule: 'R1-flush-core',
    title: 'a flush is answered before the mark was acknowledged',
    prepare: (world) => world.mark(3),
    spoil: (world) => world.truth.markSubmitted(uuid, 3, 7),
    act: (world) => world.answer(DM_ULOG_FLUSH, []),
  },
  {
    rule: 'R2-store-before-reply',
    title: 'a mark is answered before it is stored',
    prepare: (world) => world.mark(3),
    spoil: (world) => world.state.map.inner.held.delete(3),
    act: (world) => world.answer(DM_ULOG_MARK_REGION, [3]),
  },
  {
    rule: 'R2-store-before-reply',
    title: 'a clear is answered before it is stored',
    prepare: () => {},
    spoil: (world) => world.state.map.inner.held.add(3),
    act: (world) => world.answer(DM_ULOG_CLEAR_REGION, [3]),
  },
  {
    rule: 'R2-store-before-reply',
    title: 'a region is handed out before that is stored',
    prepare: (world) => {
      world.state.map.inner.sync.delete(5);
      world.state.recoveringRegion = 5;
    },
    spoil: (world) => {
      world.state.recoveringRegion = -1;
    },
    act: (world) => world.answer(DM_ULOG_GET_RESYNC_WORK, [], { first: 1, second: 5 }),
  },
  {
    rule: 'R2-store-before-reply',
    title: 'the end of a recovery is answered before it is stored',
    prepare: () => {},
    spoil: (world) => world.state.map.inner.sync.delete(5),
    act: (world) => world.answer(DM_ULOG_SET_REGION_SYNC, [5, 1]),
  },
  {
    rule: 'R2-store-before-reply',
    title: 'a destructor is answered and the record is there',
    prepare: (world) => {
      world.state.identity.luidLow = 1;
    },
    spoil: (world) => {
      world.state.identity.luidLow = log.luidLow;
    },
    act: (world) => world.answer(DM_ULOG_DTR, []),
  },
  {
    rule: 'R2-store-before-reply',
    title: 'a halt is answered before it is stored',
    prepare: (world) => {
      world.state.lifeCycle = LifeCycle.halted;
    },
    spoil: (world) => {
      world.state.lifeCycle = LifeCycle.active;
    },
    act: (world) => world.answer(DM_ULOG_PRESUSPEND, []),
  },
  {
    rule: 'R2-held-after-kill',
    title: 'a region with a writer is not stored as held',
    prepare: (world) => {
      world.mark(3);
      world.kernel.open.set(3, 1);
    },
    spoil: (world) => world.state.map.inner.held.delete(3),
    act: checkStep,
  },
  {
    rule: 'R3-marks-unknown',
    title: 'a log that lost its state goes on as if it had not',
    prepare: (world) => {
      world.kernel.marksLost = true;
      world.state.marksUnknown = true;
    },
    spoil: (world) => {
      world.state.marksUnknown = false;
    },
    act: (world) => world.answer(DM_ULOG_CTR, []),
  },
  {
    rule: 'R3-reconnect',
    title: 'a constructor is repeated, and nothing notes that its RESUME may find nobody',
    prepare: (world) => {
      world.state.marksUnknown = true;
    },
    spoil: (world) => {
      world.state.marksUnknown = false;
    },
    act: (world) => world.answer(DM_ULOG_CTR, [], {}, null, true),
  },
  {
    rule: 'R4-hand-out',
    title: 'a region is handed out while halted',
    prepare: (world) => {
      world.state.map.inner.sync.delete(5);
      world.state.recoveringRegion = 5;
    },
    spoil: (world) => {
      world.state.lifeCycle = LifeCycle.halted;
    },
    act: (world) => world.answer(DM_ULOG_GET_RESYNC_WORK, [], { first: 1, second: 5 }),
  },
  {
    rule: 'R4-hand-out',
    title: 'a second region is handed out while one is copied',
    prepare: (world) => {
      world.state.map.inner.sync.delete(5);
      world.state.recoveringRegion = 5;
    },
    spoil: (world) => {
      world.kernel.copying = 6;
    },
    act: (world) => world.answer(DM_ULOG_GET_RESYNC_WORK, [], { first: 1, second: 5 }),
  },
  {
    rule: 'R5-sticky',
    title: 'a region out of sync is sticky',
    prepare: (world) => {
      world.state.map.inner.clean.delete(3);
      world.state.sticky.regions.set(3, 9500);
    },
    spoil: (world) => world.state.map.inner.sync.delete(3),
    act: checkStep,
  },
  {
    rule: 'R5-sticky-ends',
    title: 'a mark stays sticky for too long',
    prepare: (world) => {
      world.state.map.inner.clean.delete(3);
      world.state.sticky.regions.set(3, 9500);
    },
    spoil: (world) => world.state.sticky.regions.set(3, 1000),
    act: checkStep,
  },
  {
    rule: 'R5-sticky-ends',
    title: 'a suspended log has a dirty region that nobody holds',
    prepare: (world) => {
      world.state.lifeCycle = LifeCycle.pending;
    },
    spoil: (world) => {
      world.state.map.inner.clean.delete(3);
      world.setBit(3, false);
    },
    act: (world) => world.answer(DM_ULOG_POSTSUSPEND, []),
  },
  {
    rule: 'R6-assignment',
    title: 'the record forgot which region the kernel copies',
    prepare: (world) => {
      world.kernel.copying = 4;
      world.state.recoveringRegion = 4;
    },
    spoil: (world) => {
      world.state.recoveringRegion = -1;
    },
    act: checkStep,
  },
  {
    rule: 'R6-assignment',
    title: 'another region is handed out before the end of the first was reported',
    prepare: (world) => {
      world.mirror.mayRecoverAll = true;
      world.state.map.inner.sync.delete(5);
      world.state.recoveringRegion = 5;
      world.kernel.handedOut = 5;
    },
    spoil: (world) => {
      world.kernel.handedOut = 4;
    },
    act: (world) => world.answer(DM_ULOG_GET_RESYNC_WORK, [], { first: 1, second: 5 }),
  },
  {
    rule: 'R9-bytes',
    title: 'a byte of the header that must be zero is not',
    prepare: (world) => {
      world.state.lifeCycle = LifeCycle.pending;
    },
    spoil: (world) => {
      world.disk.durable[100] = 1;
    },
    act: (world) => world.answer(DM_ULOG_POSTSUSPEND, []),
  },
  {
    rule: 'R9-bytes',
    title: 'a bit on the device is not that of memory',
    prepare: (world) => {
      world.state.lifeCycle = LifeCycle.pending;
    },
    spoil: (world) => world.setBit(7, false),
    act: (world) => world.answer(DM_ULOG_POSTSUSPEND, []),
  },
  {
    rule: 'R9-session',
    title: 'a suspended log is not closed on the device',
    prepare: (world) => {
      world.state.lifeCycle = LifeCycle.pending;
    },
    spoil: (world) => world.disk.durable.set(logBytes(false)),
    act: (world) => world.answer(DM_ULOG_POSTSUSPEND, []),
  },
  {
    rule: 'R9-session',
    title: 'a resumed log counts as closed',
    prepare: (world) => world.disk.durable.set(logBytes(false)),
    spoil: (world) => world.disk.durable.set(logBytes(true)),
    act: (world) => world.answer(DM_ULOG_RESUME, []),
  },
  {
    rule: 'R10-halted',
    title: 'IN_SYNC answers the bit while halted',
    prepare: (world) => {
      world.state.lifeCycle = LifeCycle.halted;
      world.state.map.inner.sync.delete(2);
    },
    spoil: () => {},
    act: (world) => world.answer(DM_ULOG_IN_SYNC, [2], { first: world.mirror.quiet ? 0 : 1 }),
  },
  {
    rule: 'R12-latch',
    title: 'IN_SYNC answers the bit after the latch',
    prepare: (world) => {
      world.kernel.latched = true;
      world.state.map.inner.sync.delete(2);
    },
    spoil: () => {},
    act: (world) => world.answer(DM_ULOG_IN_SYNC, [2], { first: world.mirror.quiet ? 0 : 1 }),
  },
  {
    rule: 'R16-status',
    title: 'STATUS hides a failed log device',
    prepare: (world) => {
      world.state.logFailed = false;
    },
    spoil: (world) => {
      world.state.logFailed = true;
    },
    act: (world) => world.answer(DM_ULOG_STATUS_INFO, [], { text: '3 clustered-disk 253:3 A' }),
  },
  {
    rule: 'R17-bounds',
    title: 'more sticky marks than allowed',
    prepare: () => {},
    spoil: (world) => {
      world.state.sticky.size = 5;
      world.state.map.inner.clean.delete(3);
      world.state.sticky.regions.set(3, 9500);
    },
    act: checkStep,
  },
  {
    rule: 'R18-hint',
    title: 'the hint is 0',
    prepare: () => {},
    spoil: () => {},
    act: (world) =>
      world.answer(DM_ULOG_IS_REMOTE_RECOVERING, [2], { first: 0, second: world.mirror.quiet ? 0 : regions }),
  },
  {
    rule: 'in-sync-answer',
    title: 'IS_CLEAN lies',
    prepare: () => {},
    spoil: () => {},
    act: (world) => world.answer(DM_ULOG_IS_CLEAN, [2], { first: world.mirror.quiet ? 0 : 1 }),
  },
  {
    rule: 'in-sync-answer',
    title: 'GET_SYNC_COUNT lies',
    prepare: () => {},
    spoil: () => {},
    act: (world) => world.answer(DM_ULOG_GET_SYNC_COUNT, [], { first: world.mirror.quiet ? 3 : regions }),
  },
  {
    rule: 'clean-under-writer',
    title: 'a region is clean in memory under a writer',
    prepare: (world) => {
      world.mark(3);
      world.kernel.open.set(3, 1);
    },
    spoil: (world) => world.state.map.inner.clean.add(3),
    act: checkStep,
  },
  {
    rule: 'clean-on-disk-under-writer',
    title: 'a region is clean on the device under a writer',
    prepare: (world) => {
      world.mark(3);
      world.kernel.open.set(3, 1);
    },
    spoil: (world) => world.setBit(3, true),
    act: checkStep,
  },
  {
    rule: 'resync-only-dirty',
    title: 'a region that was clean is resynced',
    prepare: (world) => {
      world.mirror.mayRecoverAll = false;
      world.mirror.mayRecover.add(5);
      world.state.map.inner.sync.delete(5);
      world.state.recoveringRegion = 5;
    },
    spoil: (world) => world.mirror.mayRecover.delete(5),
    act: (world) => world.answer(DM_ULOG_GET_RESYNC_WORK, [], { first: 1, second: 5 }),
  },
  {
    rule: 'identity',
    title: 'a log without a record is answered',
    prepare: () => {},
    spoil: (world) => {
      world.state.identity.luidLow = 1;
    },
    act: (world) => world.answer(DM_ULOG_FLUSH, []),
  },
];

describe('a checker', () => {
  it.each(cases.map((entry) => [entry.rule, entry.title, entry] as const))('%s: %s', (rule, _title, entry) => {
    const sound = new World();
    entry.prepare(sound);
    entry.act(sound);
    const spoilt = new World();
    entry.prepare(spoilt);
    entry.spoil(spoilt);
    // Cases whose answer itself is the lie read this flag.
    spoilt.mirror.quiet = true;
    let found: unknown = null;
    try {
      entry.act(spoilt);
    } catch (error) {
      found = error;
    }
    expect(found).toBeInstanceOf(Violation);
    expect((found as Violation).rule).toBe(rule);
  });

  it('sees legs that differ in a region that is clean, or counts as in sync', () => {
    for (const [rule, spoil] of [
      ['clean-while-legs-differ', (world: World) => world.state.map.inner.clean.add(3)],
      ['clean-while-legs-differ', (world: World) => world.setBit(3, true)],
      ['in-sync-while-legs-differ', (world: World) => world.state.map.inner.sync.add(3)],
    ] as const) {
      const world = new World();
      const timeline = new Timeline();
      const legs = new VersionLegs(regions * 8, 8);
      const port = new LegPort(timeline, new Prng(1), legs);
      const shared = { shape: world.mirror.shape, disk: world.disk, legs, locked: new Set<number>() };
      const mirror = new SimMirror(shared, port, regions * 8);
      mirror.device = world.mirror.device;
      world.mirrors.set(uuid, mirror);
      port.write(0, { sector: 24, sectors: 1, stamp: 9, region: 3, done: () => {} }, () => {});
      while (timeline.step());
      world.setBit(3, false);
      world.state.map.inner.clean.delete(3);
      world.state.map.inner.sync.delete(3);
      checkStep(world);
      spoil(world);
      expect(() => checkStep(world)).toThrow(rule);
    }
  });

  it('lets a mark that was promised once be announced again while its flush is repeated, on a cluster alone (R13)', () => {
    const world = new World();
    world.mark(3);
    world.truth.markSubmitted(uuid, 3, 7);
    world.alone = false;
    const answered = () => world.answer(DM_ULOG_FLUSH, []);
    expect(answered).toThrow('R1-flush-core');
    world.kernel.flushed.add(3);
    answered();
    // The copy that it has taken since does not know it.
    world.state.owned.delete(3);
    answered();
    world.truth.markAcknowledged(7);
    expect(answered).toThrow('R1-flush-core');
    world.state.owned.add(3);
    world.truth.markSubmitted(uuid, 3, 8);
    world.alone = true;
    expect(answered).toThrow('R1-flush-core');
  });

  it('holds a RESUME to what was dirty when it came', () => {
    const resumed = (spoil: (world: World) => void, cleanThen: ReadonlySet<number> | null) => {
      const world = new World();
      world.state.lifeCycle = LifeCycle.active;
      world.disk.durable.set(logBytes(false));
      world.state.map.inner.clean.delete(3);
      spoil(world);
      world.answer(DM_ULOG_RESUME, [], {}, cleanThen);
    };
    const nothing = () => {};
    resumed(nothing, new Set([3]));
    resumed((world) => world.setBit(3, false), null);
    expect(() => resumed(nothing, null)).toThrow('R9-bytes');
    expect(() => resumed(nothing, new Set([4]))).toThrow('R9-bytes');
    expect(() => resumed((world) => world.kernel.flushed.add(3), new Set([3]))).toThrow('R9-bytes');
  });

  it('sees a repetition that was taken and never answered', () => {
    const open = new OpenRequests();
    const made = (seq: number, type: number): RequestRecord => {
      const rest = {
        values: [],
        text: '',
        endsWithNul: false,
        markOrder: 0,
        open: 0,
        ordinal: 0,
        cleanThen: null,
        delivered: true,
        hostile: false,
      };
      return { seq, type, ...log, ...rest };
    };
    const [first, second] = [made(1, DM_ULOG_FLUSH), made(2, DM_ULOG_FLUSH)];
    for (const request of [first, second]) open.take(request);
    open.answered(first);
    expect(open.forgotten()).toEqual([second]);
    open.answered(second);
    expect(open.forgotten()).toEqual([]);
    // The same frame twice waits for two answers.
    for (let i = 0; i < 2; i++) open.take(first);
    open.answered(first);
    expect(open.forgotten()).toEqual([first]);
    open.answered(first);
    // The daemon need not remember more repetitions than it has room for, nor two constructors.
    for (let i = 0; i <= resendsMax; i++) open.take(made(10 + i, DM_ULOG_RESUME));
    expect(open.forgotten().map(({ seq }) => seq)).not.toContain(10);
    expect(open.forgotten().map(({ seq }) => seq)).toContain(11);
    for (const seq of [30, 31]) open.take(made(seq, DM_ULOG_CTR));
    expect(open.forgotten().map(({ seq }) => seq)).not.toContain(30);
    expect(open.forgotten().map(({ seq }) => seq)).toContain(31);
    // The frame of one constructor twice: the second takes the place of the first.
    const again = made(32, DM_ULOG_CTR);
    for (let i = 0; i < 2; i++) open.take(again);
    expect(open.forgotten()).toContain(again);
    open.answered(again);
    expect(open.forgotten()).not.toContain(again);
  });

  it('sees a request that makes no sense and was answered', () => {
    const world = new World();
    const request = {
      seq: 1,
      type: DM_ULOG_MARK_REGION,
      ...log,
      values: [99],
      text: '',
      endsWithNul: false,
      markOrder: 0,
      open: 1,
      ordinal: 0,
      cleanThen: null,
      delivered: true,
      hostile: true,
    };
    checkReply(world, request, { error: -22, first: 0, second: 0, text: '' });
    expect(() => checkReply(world, request, { error: 0, first: 0, second: 0, text: '' })).toThrow('refused-request');
  });
});

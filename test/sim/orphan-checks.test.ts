/** The checker of logs whose mirror left unheard: silent while all is well, and not when a log stays or a live one goes. */
import { describe, expect, it } from 'vitest';
import { OrphanChecks, type OrphanWorld } from '../../ts/sim/checks/orphan-checks.js';
import { Evaluations } from '../../ts/sim/checks/violation.js';
import type { CountedState, CountedStates } from '../../ts/sim/daemon/counted-state.js';
import type { MappedDevice } from '../../ts/sim/kernel/mapped-device.js';

const uuid = 'LVM-left';
const key = `${uuid}/1/4096`;
/** Longer than a look, another, and what lies between them. */
const longMs = 72_000;

interface Slots {
  live: { log: { key: string; uuid: string } } | null;
  loaded: null;
  building: { key: string; uuid: string } | null;
}

/** One record, and one device that may have its log in a table. */
class World implements OrphanWorld {
  readonly evaluations = new Evaluations();
  readonly state = { key, identity: { uuid }, everResumed: true, removed: false };
  readonly live = new Map([[key, this.state as unknown as CountedState]]);
  readonly states = { live: this.live } as unknown as CountedStates;
  readonly device: Slots = { live: { log: { key, uuid } }, loaded: null, building: null };
  readonly kernel = { devices: [this.device as unknown as MappedDevice] };
  readonly checks = new OrphanChecks(this);
  nowMs = 1000;
  lateUntilMs = 0;
  daemonPunctual = true;
  /** Whether members believe that this host uses the log. */
  member = false;

  memberships(): Iterable<string> {
    return this.member ? [uuid] : [];
  }

  stepAfter(ms: number): void {
    this.nowMs += ms;
    this.checks.step();
  }
}

describe('the checker of orphans', () => {
  it('lets a log stay that a table names', () => {
    const world = new World();
    for (let i = 0; i < 5; i++) world.stepAfter(longMs);
    expect(world.evaluations.counts.size).toBe(0);
  });

  it('sees a log that stays though no table names it, and not before its time', () => {
    const world = new World();
    world.device.live = null;
    world.stepAfter(0);
    world.stepAfter(60_000);
    world.checks.heard(key);
    world.stepAfter(60_000);
    world.lateUntilMs = world.nowMs;
    world.stepAfter(70_000);
    expect(() => world.stepAfter(longMs - 70_000)).toThrow('R2-orphan-leaves');
  });

  it('gives a log that was never resumed ten minutes more', () => {
    const world = new World();
    world.device.live = null;
    world.state.everResumed = false;
    world.stepAfter(0);
    world.stepAfter(600_000);
    expect(() => world.stepAfter(longMs)).toThrow('R2-orphan-leaves');
  });

  it('sees a log that was noticed and does not leave', () => {
    const world = new World();
    world.device.live = null;
    world.stepAfter(0);
    world.stepAfter(10_000);
    world.checks.decided(uuid);
    world.stepAfter(59_000);
    expect(() => world.stepAfter(2000)).toThrow('R2-orphan-leaves');
  });

  it('sees a host that stays a member of a log of which it has neither a table nor a record', () => {
    const world = new World();
    world.member = true;
    world.live.clear();
    for (let i = 0; i < 3; i++) world.stepAfter(longMs);
    world.device.live = null;
    world.stepAfter(0);
    world.stepAfter(longMs);
    expect(() => world.stepAfter(5000)).toThrow('R2-orphan-leaves');
    world.member = false;
    world.stepAfter(0);
  });

  it('counts a log that left in time', () => {
    const world = new World();
    world.device.live = null;
    world.stepAfter(0);
    world.stepAfter(6_000);
    world.checks.decided(uuid);
    world.state.removed = true;
    world.live.clear();
    world.stepAfter(1);
    expect(world.evaluations.counts.get('R2-orphan-leaves')).toBe(1);
  });

  it('sees a live log, or one under construction, that is taken for an orphan', () => {
    const world = new World();
    expect(() => world.checks.decided(uuid)).toThrow('R2-no-false-orphan');
    world.device.building = world.device.live?.log ?? null;
    world.device.live = null;
    expect(() => world.checks.decided(uuid)).toThrow('R2-no-false-orphan');
    world.device.building = null;
    world.checks.decided(uuid);
  });

  it('sees a table whose record was lost that is taken for gone', () => {
    const world = new World();
    world.live.clear();
    expect(() => world.checks.decided(uuid)).toThrow('R2-no-false-orphan');
    world.device.live = null;
    world.checks.decided(uuid);
  });
});

/** Suspending one of several members while the others go on (R10). */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { LifeCycle } from '../../ts/mirror/log-state.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';

function twoMembers(): Group {
  const { group } = groupWith(core, [1, 2]);
  return group;
}

describe('a kernel that reconnects while it suspends', () => {
  test('still suspends: nothing is recovered before its POSTSUSPEND, and all is in sync for it', () => {
    const group = twoMembers();
    expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values).toEqual([0, 64]);

    expect(group.host(2).construct(mirrorA, core, { nul: true })?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);

    expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([0]);
  });

  test('also when its daemon was killed before the RESUME', () => {
    const group = twoMembers();
    group.ask(2, DM_ULOG_PRESUSPEND, mirrorA);
    group.host(2).construct(mirrorA, core, { nul: true });
    group.killDaemon(2);
    group.join(2);
    group.settle();
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    expect(group.host(2).construct(mirrorA, core, { nul: true })?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
  });

  test('also when the next daemon hears nothing but the RESUME: no work is asked for while a kernel suspends', () => {
    const group = twoMembers();
    group.ask(2, DM_ULOG_PRESUSPEND, mirrorA);
    group.host(2).construct(mirrorA, core, { nul: true });
    group.killDaemon(2);
    group.join(2);
    group.settle();
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });

  test('also when the next daemon heard the PRESUSPEND: the RESUME that the one before had is sent again behind it', () => {
    const group = twoMembers();
    group.host(2).construct(mirrorA, core, { nul: true });
    group.host(2).send(DM_ULOG_RESUME, mirrorA);
    group.killDaemon(2);
    group.join(2);
    group.settle();
    expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });

  test('a RESUME whose kernel asks for work is a resume: POSTSUSPEND came when no daemon ran', () => {
    const group = twoMembers();
    group.ask(2, DM_ULOG_PRESUSPEND, mirrorA);
    group.killDaemon(2);
    group.join(2);
    group.settle();
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
    expect(group.host(2).state(mirrorA).lifeCycle).toBe(LifeCycle.active);
    expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [4])?.error).toBe(0);
  });

  test('a RESUME without that is a resume: its POSTSUSPEND was lost', () => {
    const group = twoMembers();
    group.ask(2, DM_ULOG_PRESUSPEND, mirrorA);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([0]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });
});

describe('before all members have acknowledged it', () => {
  test('PRESUSPEND is not answered: others may be told to recover', () => {
    const group = twoMembers();
    group.acknowledges = false;
    const seq = group.host(2).send(DM_ULOG_PRESUSPEND, mirrorA);
    group.settle();
    expect(group.host(2).state(mirrorA).lifeCycle).toBe(LifeCycle.active);
    expect(group.host(2).answerTo(seq)).toBeUndefined();
    group.acknowledge();
    group.settle();
    expect(group.host(2).answerTo(seq)?.error).toBe(0);
    expect(group.host(2).state(mirrorA).lifeCycle).toBe(LifeCycle.halted);
  });

  test('a region is not handed out: others would still let their kernels write there (R4)', () => {
    const group = twoMembers();
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    group.acknowledges = false;
    const seq = group.host(1).send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
    group.settle();
    expect(group.host(1).answerTo(seq)).toBeUndefined();
    expect(group.host(2).state(mirrorA).recoveringRegion).toBe(4);
    group.acknowledge();
    group.settle();
    expect(group.host(1).answerTo(seq)?.values).toEqual([1, 4]);
  });

  test.each([true, false])(
    'a flush is not that waits for the end of a copy: who has not heard it would take for copied what is written then (R4; sent before: %s)',
    (before) => {
      const group = twoMembers();
      group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
      expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
      group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [4]);
      const two = group.host(2);
      const flush = () => {
        const seq = two.send(DM_ULOG_FLUSH, mirrorA);
        group.settle();
        return seq;
      };
      const early = before ? flush() : 0;
      group.acknowledges = false;
      group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1]);
      expect(two.state(mirrorA).map.isInSync(4)).toBe(true);
      const seq = before ? early : flush();
      expect(two.answerTo(seq)).toBeUndefined();
      group.acknowledge();
      group.settle();
      expect(two.answerTo(seq)?.error).toBe(0);
    },
  );
});

describe('a CLEAR behind POSTSUSPEND', () => {
  test('is refused and counts: a mark of no kernel would keep others from recovering the region', () => {
    const group = twoMembers();
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [4])?.error).toBe(0);
    group.ask(2, DM_ULOG_PRESUSPEND, mirrorA);
    expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [4])?.error).toBe(-Errno.ENOENT);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.host(2).state(mirrorA).map.isHeld(4)).toBe(false);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });

  test('what was not cleared is still held', () => {
    const group = twoMembers();
    group.ask(2, DM_ULOG_FLUSH, mirrorA, [4, 5]);
    group.ask(2, DM_ULOG_PRESUSPEND, mirrorA);
    group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA);
    group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [5]);
    group.ask(2, DM_ULOG_RESUME, mirrorA);
    expect(group.host(2).state(mirrorA).map.isHeld(4)).toBe(true);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
  });
});

describe('regions that one kernel alone may recover (R10)', () => {
  function leftWithRestriction(): Group {
    const group = twoMembers();
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    group.ask(2, DM_ULOG_PRESUSPEND, mirrorA);
    group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    return group;
  }

  test("are everybody's when its table is gone", () => {
    const group = leftWithRestriction();
    expect(group.ask(2, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });

  test('also when there was no group at that moment', () => {
    const group = leftWithRestriction();
    group.loseGroup(2);
    expect(group.ask(2, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    group.join(2);
    group.settle();
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });

  test('hold up no write of that kernel: it may recover nothing any more, for a suspend that nobody heard and that waits for its writes', () => {
    const group = leftWithRestriction();
    group.ask(2, DM_ULOG_RESUME, mirrorA);
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_RESUME]) group.ask(1, type, mirrorA);
    expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values?.[0]).toBe(1);
    expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values?.[0]).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
  });

  test('are not when it is resumed again', () => {
    const group = leftWithRestriction();
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });
});

describe('between the two questions before a write', () => {
  test('a region goes out of sync: the kernel that was told to go on writes with a mark (R10)', () => {
    const group = twoMembers();
    expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values?.[0]).toBe(0);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
    // Of another region it did not ask, and it has not latched below it.
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [4])?.error).toBe(0);
    expect(group.host(1).state(mirrorA).owners.has(2, 4)).toBe(true);
  });

  test.each([
    ['marks of its own: over', [], [9], 0],
    ['marks before it: over', [9], [], 0],
    ['clears alone, of another thread: not over', [], [], 1],
  ])('a flush of %s', (_title, marks, flush, inSync) => {
    const { group } = groupWith('512 clustered-core 8', [1, 2]);
    group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values).toEqual([0, 0]);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    if (marks.length > 0) group.ask(2, DM_ULOG_MARK_REGION, mirrorA, marks);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, flush)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([inSync]);
  });

  test('a daemon that starts does not know what it was told', () => {
    const { group } = groupWith('512 clustered-core 8', [1, 2]);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([0]);
    group.killDaemon(2);
    group.join(2);
    group.settle();
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [9])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([0]);
  });
});

test('a kernel whose PRESUSPEND nobody heard may end its writes to what it holds, which nobody else recovers (R4)', () => {
  const { group } = groupWith('512 clustered-core 8', [1, 2]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [4]);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values).toEqual([0, 0]);
  expect(group.ask(1, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
  expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [5])?.values).toEqual([1, 0]);
  expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values).toEqual([1, 0]);
  const work = group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values;
  expect(work?.[0]).toBe(1);
  expect(work?.[1]).not.toBe(4);
});

describe('a halt that members have heard and that waits for one that copies', () => {
  /** The first copies region 4 while the second suspends; 5 is out of sync, too. */
  function waiting(): { group: Group; presuspend: number } {
    const group = twoMembers();
    for (const region of [4, 5]) group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 0]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
    const presuspend = group.host(2).send(DM_ULOG_PRESUSPEND, mirrorA);
    group.settle();
    expect(group.host(2).answerTo(presuspend)).toBeUndefined();
    return { group, presuspend };
  }

  test('is over with its daemon: the kernel does not repeat it, and its writes wait for what is recovered', () => {
    const { group } = waiting();
    group.killDaemon(2);
    group.join(2);
    group.settle();
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1])?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
  });

  test('stays one when somebody comes to the group', () => {
    const { group, presuspend } = waiting();
    group.killDaemon(1);
    group.join(1);
    group.settle();
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1])?.error).toBe(0);
    expect(group.host(2).answerTo(presuspend)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
  });
});

describe('a kernel that goes on with a log whose RESUME was refused, and suspends it', () => {
  /** Its RESUME was refused, its PRESUSPEND as well; then it reconnects. */
  function reconnected(): Group {
    const { group } = groupWith(core, [1], { nodes: [1, 2] });
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    group.host(2).construct(mirrorA, core);
    expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(-Errno.EINVAL);
    expect(group.host(2).construct(mirrorA, core, { nul: true })?.error).toBe(0);
    group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    return group;
  }

  test('still suspends: nothing holds its writes up, and nobody recovers under them (R10)', () => {
    const group = reconnected();
    expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values).toEqual([0, 64]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([0]);
  });

  test('has resumed when it asks for work: its POSTSUSPEND was lost', () => {
    const group = reconnected();
    group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA);
    expect(group.host(2).state(mirrorA).lifeCycle).toBe(LifeCycle.active);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([0]);
  });
});

test('a RESUME of before the suspend that comes again, for want of an answer, ends no suspend', () => {
  const { group, device } = groupWith('512 clustered-disk /dev/log 8 nosync', [1, 2]);
  const host = group.host(2);
  // What was marked is not on the device yet.
  host.send(DM_ULOG_FLUSH, mirrorA, [4]);
  for (let steps = 0; steps < 50 && device.waiting.length === 0; steps++) {
    group.step();
    for (const node of [1, 2]) group.host(node).turn();
  }
  const resumes = [host.send(DM_ULOG_RESUME, mirrorA)];
  const suspended = host.send(DM_ULOG_PRESUSPEND, mirrorA);
  for (let steps = 0; steps < 20; steps++) {
    group.step();
    for (const node of [1, 2]) group.host(node).turn();
  }
  expect(host.answerTo(suspended)?.error).toBe(0);
  expect(host.answerTo(resumes[0] as number)).toBeUndefined();
  resumes.push(host.send(DM_ULOG_RESUME, mirrorA));
  host.turn();
  expect(host.state(mirrorA).lifeCycle).toBe(LifeCycle.halted);
  group.settle();
  expect(resumes.map((seq) => host.answerTo(seq)?.error)).toEqual([0, 0]);
  expect(host.state(mirrorA).lifeCycle).toBe(LifeCycle.halted);
});

describe('a suspend that no daemon has heard of', () => {
  /** Nothing is in sync. */
  const unsynced = () => groupWith('512 clustered-core 8 sync', [1, 2]).group;

  /** What a round of the kernel's worker asks for one write; the first region is out of sync. */
  function mustWait(group: Group, node: number, region: number): boolean {
    group.ask(node, DM_ULOG_GET_SYNC_COUNT, mirrorA);
    const reply = group.ask(node, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [region]);
    expect(reply?.values?.[1]).toBe(0);
    return reply?.values?.[0] === 1;
  }

  test('shows when rounds ask for no work: its writes go on under marks, as nobody may recover what they wait for', () => {
    const group = unsynced();
    expect(mustWait(group, 2, 4)).toBe(true);
    expect(mustWait(group, 2, 4)).toBe(false);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [4])?.error).toBe(0);
    expect(mustWait(group, 2, 5)).toBe(false);
    // R4: what it holds is recovered by nobody, though it is wished.
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [4])?.error).toBe(0);
    group.settle();
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });

  test('what another copies at the moment is waited for all the same', () => {
    const group = unsynced();
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
    for (let i = 0; i < 3; i++) expect(mustWait(group, 2, 0)).toBe(true);
  });

  test('is not seen in a kernel that asks for work, nor in one that copies', () => {
    const group = unsynced();
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
    for (let i = 0; i < 3; i++) {
      expect(mustWait(group, 1, 4)).toBe(true);
      expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
      expect(mustWait(group, 2, 5)).toBe(true);
    }
  });

  test('one that was taken for it is believed again when it asks for work', () => {
    const group = unsynced();
    group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA);
    mustWait(group, 2, 4);
    expect(mustWait(group, 2, 4)).toBe(false);
    group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA);
    expect(mustWait(group, 2, 4)).toBe(true);
  });

  test('several questions of one round, and counts of another thread, show nothing', () => {
    const group = unsynced();
    group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA);
    const asks = () => group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values;
    for (let i = 0; i < 3; i++) expect(asks()).toEqual([1, 0]);
    group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA);
    for (let i = 0; i < 3; i++) group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA);
    expect(asks()).toEqual([1, 0]);
  });
});

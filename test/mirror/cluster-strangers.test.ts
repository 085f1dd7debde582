/** Hosts that have a log and do not know of each other, and hosts that know of one that they do not have. */
import { describe, expect, test } from 'vitest';
import {
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { Group, groupWith } from './cluster-host.js';
import { loseRecord, reconnect, recoverAll } from './cluster-kernel.js';
import { mirrorA, TestDisk } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

function made(): Group {
  const group = new Group([1, 2], { stickyMax: 0 });
  group.disks.set('/dev/log', new TestDisk(1024 * 1024));
  return group;
}
test.each([true, false])(
  'both began a core log apart, each with quorum, and meet; the record of one is lost: %s',
  (lost) => {
    const group = made();
    group.split([2]);
    group.settle();
    group.resume(mirrorA, core, [1]);
    group.resume(mirrorA, core, [2]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [9, 0]);
    if (lost) {
      group.part(2, 'process-down');
      group.host(2).powerCut(false);
    }
    group.heal();
    if (lost) group.join(2);
    group.settle();
    if (lost) {
      group.host(2).construct(mirrorA, core, { nul: true });
      expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    }
    const { map } = group.host(1).state(mirrorA);
    expect([map.isInSync(9), map.isInSync(5)]).toEqual([false, false]);
  },
);

test.each([
  [core, true],
  [core, false],
  [disk, true],
] as const)(
  'who knew of one that has it in use was booted anew, and begins it: %s, its record is lost: %s',
  (text, lost) => {
    const group = made();
    group.resume(mirrorA, text, [2]);
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [9, 0]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.part(2, 'process-down');
    group.host(2).restart(false);
    if (lost) group.host(2).powerCut(false);
    group.cutPower(1);
    group.join(1);
    group.settle();
    if (!lost) {
      group.host(1).construct(mirrorA, text);
      group.host(1).send(DM_ULOG_RESUME, mirrorA);
      group.settle();
      group.join(2);
      group.settle();
    } else {
      group.join(2);
      group.settle();
      group.host(1).construct(mirrorA, text);
      group.host(1).send(DM_ULOG_RESUME, mirrorA);
      group.settle();
      recoverAll(group, 1);
      group.host(2).construct(mirrorA, text, { nul: true });
      expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    }
    const { map } = group.host(1).state(mirrorA);
    expect([map.isInSync(9), map.isInSync(5)]).toEqual([false, false]);
  },
);

test.each([core, disk])(
  'the switch was out: who alone has the log goes on with quorum, although a third host, that never had it, stays away: %s',
  (text) => {
    const { group } = groupWith(text, [1], { nodes: [1, 2, 3] });
    group.tellsQuorum = false;
    // Each is alone.
    group.rewire((node) => node);
    group.quorum(false);
    group.settle();
    // 1 and 2 hear each other again; 3 has lost power with the switch.
    group.rewire((node) => (node === 3 ? 3 : 0));
    group.settle();
    group.quorum(true, [1, 2]);
    group.settle();
    expect(group.host(1).log(mirrorA).replica.phase).toBe('following');
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  },
);

describe('a core log whose host begins it anew: its record was lost, and the daemon of the other one does not run', () => {
  function begunAlone(): Group {
    const { group } = groupWith(core, [1, 2]);
    loseRecord(group, 2);
    group.settle();
    group.killDaemon(1);
    group.join(2);
    group.settle();
    reconnect(group, 2, core);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    return group;
  }
  const expectDoubted = (group: Group) => {
    const { map } = group.host(1).state(mirrorA);
    expect([map.isInSync(5), map.isClean(5)]).toEqual([false, false]);
  };

  test('it dies in a write, and comes back when the other has gone on', () => {
    const group = begunAlone();
    group.cutPower(2);
    group.join(1);
    group.settle();
    group.join(2);
    group.settle();
    expectDoubted(group);
  });

  test('its death is confirmed', () => {
    const group = begunAlone();
    group.cutPower(2);
    group.join(1);
    group.settle();
    group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
    group.settle();
    expectDoubted(group);
  });

  test('its daemon comes back when the other has gone on', () => {
    const group = begunAlone();
    loseRecord(group, 2);
    group.settle();
    group.join(1);
    group.settle();
    group.join(2);
    group.settle();
    expectDoubted(group);
  });

  test('its record is there after all: nothing is resynced', () => {
    const { group } = groupWith(core, [1, 2]);
    for (const node of [2, 1]) {
      group.killDaemon(node);
      group.settle();
    }
    for (const node of [1, 2]) {
      group.join(node);
      group.settle();
    }
    const { map } = group.host(1).state(mirrorA);
    expect(map.syncCount).toBe(map.regionCount);
  });
});

test.each([true, false])(
  'so it is of one that had been cut off, and went on alone when no daemon of the others ran: cut off before: %s',
  (before) => {
    const { group } = groupWith(core, [1, 2, 3]);
    group.tellsQuorum = false;
    if (before) {
      group.split([3]);
      group.quorum(false, [3]);
      group.quorum(true, [1, 2]);
      group.settle();
    }
    for (const node of [1, 2]) group.killDaemon(node);
    group.settle();
    // Their hosts are heard again, and vote.
    group.rewire(() => 0);
    loseRecord(group, 3);
    group.join(3);
    group.quorum(true, [3]);
    group.settle();
    reconnect(group, 3, core);
    expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.cutPower(3);
    for (const node of [1, 2]) group.join(node);
    group.settle();
    group.quorum(true);
    group.join(3);
    group.settle();
    group.quorum(true);
    group.settle();
    expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
  },
);

describe('a core log is begun anew where nobody has heard of it, and who knows of it was cut off', () => {
  function begunAnew(group: Group, cutOff: number, booted: readonly number[]): void {
    const own = (quorate: boolean, nodes: readonly number[]) => {
      group.quorum(quorate, nodes);
      group.settle();
    };
    group.tellsQuorum = false;
    group.split([cutOff]);
    own(false, [cutOff]);
    for (const node of booted) group.cutPower(node);
    for (const node of booted) group.join(node);
    own(true, booted);
    group.resume(mirrorA, core, [2]);
    group.heal();
    group.quorum(true);
    group.settle();
    group.wait(5000);
  }

  test.each(['who had it died', 'who had it died and was booted', 'who had it left regions out of sync'])(
    '%s: everything is resynced',
    (how) => {
      const dies = how !== 'who had it left regions out of sync';
      const group = new Group([1, 2, 3], { stickyMax: 0 });
      group.quorum(true);
      group.settle();
      group.resume(mirrorA, core, dies ? [2] : [2, 3]);
      expect(group.ask(dies ? 2 : 3, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
      if (!dies) {
        group.cutPower(3);
        group.settle();
        group.join(3);
        group.settle();
        for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
          expect(group.ask(2, type, mirrorA)?.error).toBe(0);
      }
      if (how === 'who had it died and was booted') {
        group.cutPower(2);
        group.settle();
        group.join(2);
        group.settle();
      }
      begunAnew(group, 1, [2, 3]);
      expect(group.host(2).state(mirrorA).map.isInSync(7)).toBe(false);
    },
  );

  test('who had it has left it, in sync: nothing is resynced', () => {
    const group = new Group([1, 2, 3], { stickyMax: 0 });
    group.quorum(true);
    group.settle();
    group.resume(mirrorA, core, [2]);
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
      expect(group.ask(2, type, mirrorA)?.error).toBe(0);
    begunAnew(group, 1, [2, 3]);
    const { map } = group.host(2).state(mirrorA);
    expect(map.syncCount).toBe(map.regionCount);
  });
});

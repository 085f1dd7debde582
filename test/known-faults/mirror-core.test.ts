/**
 * Faults of `cmirrord` that live in the mirror core, each driven here as it was driven there. The numbers are those of
 * docs/dirty-log.md, section 8, which names all tests; many of them stand with their subject in test/mirror.
 */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
} from '../../ts/base/ulog-frames.js';
import type { NativeRegionOwners } from '../../ts/native/region-owners.js';
import { type Host, hostWithCore, hostWithDisk, LifeCycle, mirrorA, TestDisk } from '../mirror/host.js';

const successor = { uuid: mirrorA.uuid, luid: 0x2000 };

describe('fault 1: a FLUSH repeated after its server died is a no-op -> it waits for a write of its own', () => {
  test.each([
    ['before the mark was delivered', 0],
    ['with the write on its way to the device', 1],
  ])('killed %s', (_when, turns) => {
    const { host, disk } = hostWithDisk();
    host.send(DM_ULOG_MARK_REGION, mirrorA, [5]);
    const lost = host.send(DM_ULOG_FLUSH, mirrorA);
    for (let turn = 0; turn < turns; turn++) host.turn();
    expect(disk.waiting).toHaveLength(turns);
    host.restart(false);
    expect([host.answerTo(lost), disk.isCleanOnDisk(5)]).toEqual([undefined, true]);

    const again = host.send(DM_ULOG_FLUSH, mirrorA);
    host.turn();
    while (disk.isCleanOnDisk(5)) {
      expect(host.answerTo(again)).toBeUndefined();
      expect(disk.complete()).toBe(true);
      host.turn();
    }
    host.settle();
    expect([host.answerTo(again)?.error, disk.isCleanOnDisk(5)]).toEqual([0, false]);
  });

  test('not killed: the repetition after 15 s waits for the write that the first one waits for', () => {
    const { host, disk } = hostWithDisk();
    host.send(DM_ULOG_MARK_REGION, mirrorA, [5]);
    const first = host.send(DM_ULOG_FLUSH, mirrorA);
    host.turn();
    host.nowMs += 15_000;
    const again = host.send(DM_ULOG_FLUSH, mirrorA);
    host.turn();
    expect([host.answerTo(first), host.answerTo(again), disk.isCleanOnDisk(5)]).toEqual([undefined, undefined, true]);
    disk.complete();
    host.turn();
    expect([host.answerTo(first)?.error, host.answerTo(again)?.error]).toEqual([0, 0]);
    expect(disk.isCleanOnDisk(5)).toBe(false);
  });

  test('nor is a FLUSH a no-op after one whose write has failed', () => {
    const { host, disk } = hostWithDisk();
    disk.writeErrno = Errno.EIO;
    expect(host.flush(mirrorA, 5)?.error).toBe(-Errno.EIO);
    expect(host.flush(mirrorA)?.error).toBe(-Errno.EIO);
  });
});

describe('fault 3: marks are never pruned, not even at destroy -> they end with their log', () => {
  test('its memory is given back, and a log of the same name and address begins without marks', () => {
    const { host } = hostWithDisk(100_000);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_DTR, mirrorA);
    const withoutLogs = host.states.mappedBytes;
    for (let round = 0; round < 50; round++) {
      host.resumed(mirrorA, '800000 clustered-core 8 nosync');
      const { map, owners } = host.state(mirrorA);
      expect([map.heldCount, map.cleanCount, owners.size]).toEqual([0, 100_000, 0]);
      host.flush(mirrorA, ...Array.from({ length: 32 }, (_, i) => 3000 * i + round));
      expect([map.heldCount, owners.size]).toEqual([32, 32]);
      host.ask(DM_ULOG_DTR, mirrorA);
      expect((owners as NativeRegionOwners).closed).toBe(true);
    }
    expect([...host.service.logs()]).toEqual([]);
    expect(host.states.mappedBytes).toBe(withoutLogs);
  });
});

describe('fault 9: RESUME sleeps up to 3 s in the only thread -> nothing sleeps, and no log waits for another', () => {
  test('suspended and resumed at once, while another log waits for its device', () => {
    const { host, disk } = hostWithDisk();
    const other = { uuid: 'LVM-slow', luid: 0x3000 };
    const slow = new TestDisk(1 << 20);
    host.disks.set('/dev/slow', slow);
    host.construct(other, '512 clustered-disk /dev/slow 8');
    const held = host.send(DM_ULOG_RESUME, other);
    host.turn();
    expect(slow.waiting).toHaveLength(1);

    const startMs = host.nowMs;
    for (let round = 0; round < 3; round++) {
      const asked = [
        host.send(DM_ULOG_FLUSH, mirrorA, [round]),
        host.send(DM_ULOG_PRESUSPEND, mirrorA),
        host.send(DM_ULOG_POSTSUSPEND, mirrorA),
      ];
      for (host.turn(); disk.complete(); ) host.turn();
      asked.push(host.send(DM_ULOG_RESUME, mirrorA));
      for (host.turn(); disk.complete(); ) host.turn();
      asked.push(host.send(DM_ULOG_IN_SYNC, mirrorA, [60]));
      host.turn();
      expect(asked.map((seq) => host.answerTo(seq)?.error)).toEqual([0, 0, 0, 0, 0]);
    }
    expect([host.nowMs, host.answerTo(held)]).toEqual([startMs, undefined]);
    host.settle();
    expect(host.answerTo(held)?.error).toBe(0);
  });
});

describe('fault 10: marks stand in a linear list -> one mark costs the same, however many there are', () => {
  const marks = 128 * 1024;
  const scratch = marks;

  function hostHolding(count: number): Host {
    const host = hostWithCore(2 * marks, 'nosync', { stickyMax: 0 });
    for (let from = 0; from < count; from += 32) {
      host.mark(mirrorA, ...Array.from({ length: 32 }, (_, i) => from + i));
      host.answers.length = 0;
    }
    expect(host.state(mirrorA).owners.size).toBe(count);
    return host;
  }

  /** Marks and clears 32 new regions at a time, as the slow requests of the original were; microseconds. */
  function batch(host: Host): number {
    const submitted = host.submitted;
    const begin = performance.now();
    for (let from = scratch; from < scratch + 64 * 32; from += 32) {
      const regions = Array.from({ length: 32 }, (_, i) => from + i);
      host.send(DM_ULOG_MARK_REGION, mirrorA, regions);
      host.turn();
      host.send(DM_ULOG_CLEAR_REGION, mirrorA, regions);
      host.turn();
    }
    const end = performance.now();
    // One message for the marks of a request, and one for their release.
    expect(host.submitted - submitted).toBe(128);
    expect(host.answers.filter((answer) => answer.error === 0)).toHaveLength(128);
    host.answers.length = 0;
    return (end - begin) * 1000;
  }

  const median = (list: number[]) => list.sort((a, b) => a - b)[list.length >> 1] as number;

  test('with 128 Ki marks and with 1 Ki, in turn', () => {
    const [few, many] = [hostHolding(1024), hostHolding(marks)];
    const [fewUs, manyUs]: [number[], number[]] = [[], []];
    for (let round = 0; round < 21; round++) {
      fewUs.push(batch(few));
      manyUs.push(batch(many));
    }
    // A list would take 128 times as long; the caches of a busy machine are allowed for.
    expect(median(manyUs) / median(fewUs)).toBeLessThan(8);
    expect(many.state(mirrorA).owners.size).toBe(marks);
  });
});

describe('fault 20: during a resync writes wait for regions out of sync -> none waits for a region that nobody else recovers', () => {
  test('the answer is no for every region, and what is recovered raises the hint', () => {
    const host = hostWithCore(64, '');
    const remote = (region: number) => host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [region])?.values;
    // Its own kernel recovers region 0, and holds the writes to it itself.
    expect(host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
    for (let region = 0; region < 64; region++) expect(remote(region)).toEqual([0, 0]);
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
    expect(remote(1)).toEqual([0, 1]);
  });

  test('a region that a write asked for comes first', () => {
    const host = hostWithCore(64, '');
    host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [40]);
    expect(host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 40]);
  });
});

describe('fault 26: converting the type of a log crashes -> the next table takes over, in both directions', () => {
  test('core, disk, core under one uuid, with marks held', () => {
    const host = hostWithCore();
    host.disks.set('/dev/log', new TestDisk(1 << 20));
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
    host.flush(mirrorA, 7);
    host.construct(successor, '512 clustered-disk /dev/log 8 nosync');
    host.suspend(mirrorA);
    expect(host.ask(DM_ULOG_RESUME, successor)?.error).toBe(0);
    expect(host.ask(DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_STATUS_INFO, successor)?.text).toBe('3 clustered-disk 253:7 A');
    // What was out of sync in the last log is so in the new one, whatever the types.
    expect([host.state(successor).map.isInSync(5), host.state(successor).map.syncCount]).toEqual([false, 63]);

    host.ask(DM_ULOG_SET_REGION_SYNC, successor, [6, 0]);
    host.construct(mirrorA, '512 clustered-core 8 nosync');
    host.suspend(successor);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_DTR, successor)?.error).toBe(0);
    expect(host.ask(DM_ULOG_STATUS_INFO, mirrorA)?.text).toBe('1 clustered-core');
    const { map } = host.state(mirrorA);
    expect([map.isInSync(5), map.isInSync(6), host.state(mirrorA).lifeCycle]).toEqual([false, false, LifeCycle.active]);
  });
});

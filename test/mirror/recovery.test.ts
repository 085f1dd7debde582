/** Recovery assignment, wishes, hints (R18), the latch (R12) and what a halted log says (R10). */
import { describe, expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { type Host, hostWithCore, hostWithDisk, mirrorA } from './host.js';

function work(host: Host): readonly number[] | undefined {
  return host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values;
}

function setSync(host: Host, region: number, inSync: number): void {
  host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [region, inSync]);
}

function remote(host: Host, region: number): readonly number[] | undefined {
  return host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [region])?.values;
}

function recoverAll(host: Host): number[] {
  const order: number[] = [];
  for (let found = work(host); found?.[0] === 1; found = work(host)) {
    order.push(found[1] as number);
    setSync(host, found[1] as number, 1);
    host.ask(DM_ULOG_CLEAR_REGION, mirrorA, [found[1] as number]);
  }
  return order;
}

describe('assignment', () => {
  test('regions in order, the same again until its end is reported', () => {
    const host = hostWithCore(4, '');
    expect([work(host), work(host)]).toEqual([
      [1, 0],
      [1, 0],
    ]);
    expect(host.state(mirrorA).recoveringRegion).toBe(0);
    setSync(host, 0, 1);
    expect(work(host)).toEqual([1, 1]);
    setSync(host, 1, 1);
    expect(recoverAll(host)).toEqual([2, 3]);
    expect(work(host)).toEqual([0, 0]);
    expect(host.state(mirrorA).map.cleanCount).toBe(4);
  });

  test('wishes first, the newest first, each once, and none that is in sync', () => {
    const host = hostWithCore(8, '');
    for (const region of [6, 3, 6, 5]) remote(host, region);
    setSync(host, 3, 1);
    expect(recoverAll(host)).toEqual([5, 6, 0, 1, 2, 4, 7]);
  });

  test('a recovery that failed is not begun again before the next resume', () => {
    const host = hostWithCore(3, '');
    expect(work(host)).toEqual([1, 0]);
    setSync(host, 0, 0);
    expect(recoverAll(host)).toEqual([1, 2]);
    expect(work(host)).toEqual([0, 0]);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_RESUME, mirrorA);
    expect(recoverAll(host)).toEqual([0]);
  });

  test('a region that a failed write put out of sync is found in this search already', () => {
    const host = hostWithCore(4, '');
    work(host);
    setSync(host, 0, 1);
    expect(work(host)).toEqual([1, 1]);
    setSync(host, 1, 1);
    setSync(host, 0, 0);
    expect(recoverAll(host)).toEqual([0, 2, 3]);
  });

  test('fault 4: it is lost with the one who recovers, and recovery stops -> it outlives the daemon, and recovery goes on (R6)', () => {
    const host = hostWithCore(8, '');
    expect(work(host)).toEqual([1, 0]);
    host.restart();
    expect(host.state(mirrorA).recoveringRegion).toBe(0);
    expect(work(host)).toEqual([1, 0]);
    setSync(host, 0, 1);
    expect(work(host)).toEqual([1, 1]);
  });

  test('on a disk log a region that is set out of sync is dirty on the device when that is answered', () => {
    const { host, disk } = hostWithDisk(64);
    setSync(host, 9, 0);
    expect([disk.isCleanOnDisk(9), host.state(mirrorA).map.isInSync(9)]).toEqual([false, false]);
  });
});

describe('R18', () => {
  test('the hint is the first region out of sync, and the region count when there is none', () => {
    const host = hostWithCore(4, '');
    expect(remote(host, 3)).toEqual([0, 0]);
    setSync(host, 0, 1);
    setSync(host, 2, 1);
    expect(remote(host, 3)).toEqual([0, 1]);
    setSync(host, 1, 1);
    expect(remote(host, 3)).toEqual([0, 3]);
    setSync(host, 3, 1);
    expect(remote(host, 3)).toEqual([0, 4]);
    setSync(host, 1, 0);
    expect(remote(host, 1)).toEqual([0, 1]);
  });

  test('fault 21: the hint of a nosync mirror never rises -> it is the region count from the start', () => {
    expect(remote(hostWithCore(4, 'nosync'), 0)).toEqual([0, 4]);
  });
});

describe('R12', () => {
  test('fault 23: a region that lost a leg counts as never synced, and writes go to one leg -> IN_SYNC stays 1 until the next resume', () => {
    const host = hostWithCore(2, '');
    recoverAll(host);
    expect(host.reports.map((report) => report.event)).toContain('resync-done');
    setSync(host, 1, 0);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.values).toEqual([1]);
    expect(host.ask(DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([1]);
    host.restart();
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.values).toEqual([1]);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_RESUME, mirrorA);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.values).toEqual([0]);
  });
});

describe('R10', () => {
  test('halted: nothing is handed out, IN_SYNC is 1, nobody recovers and the hint is the region count', () => {
    const host = hostWithCore(4, '');
    host.ask(DM_ULOG_PRESUSPEND, mirrorA);
    expect(work(host)).toEqual([0, 0]);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [2])?.values).toEqual([1]);
    expect(remote(host, 2)).toEqual([0, 4]);
    expect(host.mark(mirrorA, 2)?.error).toBe(0);
    expect(host.flush(mirrorA)?.error).toBe(0);
  });

  test('it is so after a restart too', () => {
    const host = hostWithCore(4, '');
    host.ask(DM_ULOG_PRESUSPEND, mirrorA);
    host.restart();
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [2])?.values).toEqual([1]);
    expect(remote(host, 2)).toEqual([0, 4]);
  });
});

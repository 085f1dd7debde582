/** A table reload: the next instance of a uuid is constructed while the last one serves, and takes its place. */
import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { quietMsMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_DTR,
  DM_ULOG_IN_SYNC,
  DM_ULOG_MARK_REGION,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { Host, hostWithCore, hostWithDisk, LifeCycle, mirrorA, TestDisk } from './host.js';

const next = { uuid: mirrorA.uuid, luid: 0x2000 };
const diskText = '512 clustered-disk /dev/log 8';

test('fault 29: an active mirror cannot be changed -> the next table of a disk log goes on from its device', () => {
  const { host } = hostWithDisk(64);
  expect(host.construct(next, diskText)?.error).toBe(0);
  host.flush(mirrorA, 5);
  host.clear(mirrorA, 5);
  host.flush(mirrorA, 6);
  host.suspend(mirrorA);
  expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(0);
  expect(host.ask(DM_ULOG_DTR, mirrorA)?.error).toBe(0);
  const { map } = host.state(next);
  expect([map.syncCount, map.isInSync(5), map.isInSync(6), map.heldCount]).toEqual([63, true, false, 0]);
  expect(host.mark(next, 7)?.error).toBe(0);
});

test('one instance at a time: EEXIST, and the first is not disturbed', () => {
  const host = hostWithCore();
  host.construct(next, '512 clustered-core 8');
  expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(-Errno.EEXIST);
  expect(host.state(mirrorA).lifeCycle).toBe(LifeCycle.active);
  expect(host.state(next).lifeCycle).toBe(LifeCycle.pending);
});

test('the luid decides which one a request means', () => {
  const host = hostWithCore();
  host.construct(next, '512 clustered-core 8 nosync');
  host.suspend(mirrorA);
  host.ask(DM_ULOG_RESUME, next);
  expect(host.ask(DM_ULOG_MARK_REGION, mirrorA, [3])?.error).toBe(-Errno.ESRCH);
  expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [3])?.error).toBe(-Errno.ESRCH);
  expect(host.state(next).map.cleanCount).toBe(64);
});

test('a core log starts from nothing: the new table may have other legs', () => {
  const host = hostWithCore();
  host.construct(next, '512 clustered-core 8');
  host.suspend(mirrorA);
  host.ask(DM_ULOG_RESUME, next);
  expect(host.state(next).map.syncCount).toBe(0);
});

test('nosync is not believed against what the last instance knew', () => {
  const host = hostWithCore();
  host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
  host.construct(next, '512 clustered-core 8 nosync');
  host.suspend(mirrorA);
  host.ask(DM_ULOG_RESUME, next);
  const { map } = host.state(next);
  expect([map.syncCount, map.isInSync(7), map.isClean(7)]).toEqual([63, false, false]);
});

test('nor by a log device that is new to the log', () => {
  const { host } = hostWithDisk(64);
  const disk = new TestDisk(1024 * 1024, '253:8');
  disk.minor = 8;
  host.disks.set('/dev/other', disk);
  host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
  host.flush(mirrorA, 9);
  host.construct(next, '512 clustered-disk /dev/other 8 nosync');
  host.suspend(mirrorA);
  expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(0);
  const { map } = host.state(next);
  expect([map.syncCount, map.isInSync(7), disk.isCleanOnDisk(7), disk.isCleanOnDisk(9)]).toEqual([
    63,
    false,
    false,
    true,
  ]);
});

test('RESUME waits for a leave that is under way', () => {
  const { host, disk } = hostWithDisk(64);
  host.construct(next, diskText);
  host.ask(3, mirrorA);
  const leaving = host.send(4, mirrorA);
  host.turn();
  const resuming = host.send(DM_ULOG_RESUME, next);
  host.turn();
  expect(disk.waiting).toHaveLength(1);
  expect(host.answerTo(leaving)).toBeUndefined();
  expect(host.answerTo(resuming)).toBeUndefined();
  host.settle();
  expect([host.answerTo(leaving)?.error, host.answerTo(resuming)?.error]).toEqual([0, 0]);
});

test('the suspend was missed while no daemon ran: a restored log that is silent makes room', () => {
  const { host, disk } = hostWithDisk(64);
  host.construct(next, diskText);
  host.flush(mirrorA, 5);
  host.restart();
  expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(0);
  expect(host.state(mirrorA).lifeCycle).toBe(LifeCycle.pending);
  expect(host.state(next).map.isInSync(5)).toBe(false);
  expect(disk.isCleanOnDisk(5)).toBe(false);
});

test('one that has spoken since the restart does not', () => {
  const { host } = hostWithDisk(64);
  host.construct(next, diskText);
  host.restart();
  host.mark(mirrorA, 5);
  expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(-Errno.EEXIST);
});

test('a freed address is given away again: a constructor without NUL begins anew', () => {
  const host = hostWithCore();
  host.mark(mirrorA, 5);
  host.restart();
  expect(host.construct(mirrorA, '512 clustered-core 8')?.error).toBe(0);
  const state = host.state(mirrorA);
  expect([state.lifeCycle, state.everResumed, state.map.heldCount]).toEqual([LifeCycle.pending, false, 0]);
});

test('the suspend was lost on the way: a quiet log makes room for the second RESUME, a talking one does not', () => {
  const { host } = hostWithDisk(64);
  host.construct(next, diskText);
  const resume = () => host.ask(DM_ULOG_RESUME, next)?.error;
  expect(resume()).toBe(-Errno.EEXIST);
  host.wait(quietMsMax - 1000);
  host.mark(mirrorA, 5);
  host.wait(quietMsMax);
  expect([resume(), resume()]).toEqual([-Errno.EEXIST, 0]);
  expect(host.state(next).map.isInSync(5)).toBe(false);
});

test('an address given away after a lost DTR: the constructor without NUL begins anew', () => {
  const host = hostWithCore();
  host.mark(mirrorA, 5);
  host.construct(mirrorA, '512 clustered-core 8 nosync', { nul: true });
  expect(host.state(mirrorA).map.heldCount).toBe(1);
  host.construct(mirrorA, '512 clustered-core 8 nosync');
  expect([host.state(mirrorA).map.heldCount, host.state(mirrorA).everResumed]).toEqual([0, false]);
});

test('nosync is not believed when the last instance is one that we do not know', () => {
  const host = new Host();
  host.construct(next, '512 clustered-core 8 nosync');
  host.restart();
  expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(-Errno.EINVAL);
  host.restart();
  host.ask(DM_ULOG_RESUME, next);
  expect(host.state(next).map.syncCount).toBe(0);
});

test('an instance that is destroyed before the next one could load its device leaves word that it knew more', () => {
  const { host, disk } = hostWithDisk(64);
  disk.writeErrno = Errno.EIO;
  host.flush(mirrorA, 5);
  host.construct(next, `${diskText} nosync`);
  host.suspend(mirrorA);
  disk.readErrno = Errno.EIO;
  expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(-Errno.EIO);
  expect(host.ask(DM_ULOG_DTR, mirrorA)?.error).toBe(0);
  host.restart();
  Object.assign(disk, { writeErrno: 0, readErrno: 0 });
  expect(disk.isCleanOnDisk(5)).toBe(true);
  host.wait(10_000);
  expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(0);
  const { map } = host.state(next);
  expect([map.syncCount, disk.isCleanOnDisk(5), disk.isCleanOnDisk(6)]).toEqual([0, false, false]);
});

test('nor is nosync believed by a core log when the log before it was destroyed first', () => {
  const host = hostWithCore();
  host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
  host.construct(next, '512 clustered-core 8 nosync');
  host.suspend(mirrorA);
  host.ask(DM_ULOG_DTR, mirrorA);
  host.ask(DM_ULOG_RESUME, next);
  expect(host.state(next).map.syncCount).toBe(0);
});

test('a log in sync takes nothing along', () => {
  const host = hostWithCore();
  host.construct(next, '512 clustered-core 8 nosync');
  host.suspend(mirrorA);
  host.ask(DM_ULOG_DTR, mirrorA);
  host.ask(DM_ULOG_RESUME, next);
  expect(host.state(next).map.syncCount).toBe(64);
});

test('both instances are resumed at once while the first leaves for the second: one at a time, both are answered', () => {
  const { host } = hostWithDisk(64);
  host.construct(next, diskText);
  host.flush(mirrorA, 5);
  host.restart();
  const seqs = [host.send(DM_ULOG_RESUME, next), host.send(DM_ULOG_RESUME, mirrorA)];
  host.settle();
  expect(seqs.map((seq) => host.answerTo(seq)?.error)).toEqual([0, -Errno.EEXIST]);
  expect([host.state(next).lifeCycle, host.state(mirrorA).lifeCycle]).toEqual([LifeCycle.active, LifeCycle.pending]);
  expect(host.mark(next, 7)?.error).toBe(0);
});

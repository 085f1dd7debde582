/** R2: a log that no device-mapper table names leaves, when two looks agree and its kernel was silent between them. */
import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { DM_ULOG_IN_SYNC, DM_ULOG_MARK_REGION } from '../../ts/base/ulog-frames.js';
import { type Host, hostWithCore, hostWithDisk, mirrorA } from './host.js';

const none = new Set<string>();
const named = new Set([mirrorA.uuid]);

/** A look that takes `ms`. */
function look(host: Host, uuids: ReadonlySet<string>, ms = 1): void {
  const askedMs = host.nowMs;
  host.wait(ms);
  host.service.tables(uuids, askedMs, host.nowMs);
  host.settle();
}

const logCount = (host: Host) => [...host.service.logs()].length;

test('its DTR was lost with the last daemon: it leaves, and what was held stays dirty', () => {
  const { host, disk } = hostWithDisk();
  host.flush(mirrorA, 5);
  host.restart();
  look(host, none);
  expect([logCount(host), host.service.suspectsOrphans]).toEqual([1, true]);
  host.wait(6000);
  look(host, none);
  expect([logCount(host), host.service.suspectsOrphans]).toEqual([0, false]);
  expect(host.reports.map(({ event }) => event)).toContain('orphaned');
  expect([disk.isCleanOnDisk(5), disk.isCleanOnDisk(6)]).toEqual([false, true]);
  expect(host.service.shutdown()).toBe(true);
  expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.error).toBe(-Errno.ESRCH);
});

test('one look decides nothing, and neither do two at once', () => {
  const host = hostWithCore();
  for (let looks = 0; looks < 10; looks++) look(host, none);
  expect(logCount(host)).toBe(1);
});

test('a table that is there again is none that was missing', () => {
  const host = hostWithCore();
  look(host, none);
  host.wait(6000);
  look(host, named);
  host.wait(6000);
  look(host, none);
  expect(logCount(host)).toBe(1);
});

test('a request between the looks, or during the second, means that its kernel has it', () => {
  const host = hostWithCore();
  look(host, none);
  host.wait(3000);
  host.ask(DM_ULOG_MARK_REGION, mirrorA, [1]);
  host.wait(3000);
  look(host, none);
  expect(logCount(host)).toBe(1);
  host.wait(6000);
  const askedMs = host.nowMs;
  host.wait(1);
  host.ask(DM_ULOG_MARK_REGION, mirrorA, [1]);
  host.service.tables(none, askedMs, host.nowMs);
  host.settle();
  expect(logCount(host)).toBe(1);
});

test('a log that was constructed and not resumed is given minutes', () => {
  const host = hostWithCore();
  const next = { uuid: 'LVM-next', luid: 0x2000 };
  host.construct(next, '512 clustered-core 8');
  look(host, named);
  host.wait(60_000);
  look(host, named);
  expect(logCount(host)).toBe(2);
  host.wait(600_000);
  look(host, named);
  expect([...host.service.logs()].map(({ uuid }) => uuid)).toEqual([mirrorA.uuid]);
});

test('its device is gone too: it leaves all the same', () => {
  const { host, disk } = hostWithDisk();
  host.mark(mirrorA, 5);
  disk.writeErrno = Errno.EIO;
  disk.openErrno = Errno.ENXIO;
  host.wait(1);
  look(host, none);
  host.wait(6000);
  look(host, none);
  expect(logCount(host)).toBe(0);
});

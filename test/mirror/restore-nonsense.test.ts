/** State records that are sound as files and whose constructor makes no sense: reported, and no end of the daemon. */
import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { DM_ULOG_IN_SYNC } from '../../ts/base/ulog-frames.js';
import { hostWithCore, mirrorA } from './host.js';

const other = { uuid: 'LVM-other', luidHigh: 0, luidLow: 0x3000 };

test.each([
  ['no constructor', 'nonsense', false],
  ['another size', '1024 clustered-core 8', false],
  ['another kind', '512 clustered-core 8', true],
])('%s', (_, text, disk) => {
  const host = hostWithCore();
  const made = host.states.create(other, { regionCount: 64, regionSizeSectors: 8 }, text, disk);
  expect(made.ok).toBe(true);
  host.restart();
  expect([...host.service.logs()].map((log) => log.uuid)).toEqual([mirrorA.uuid]);
  expect(host.reports.map((report) => [report.event, report.uuid])).toContainEqual(['state-unreadable', other.uuid]);
  expect(host.ask(DM_ULOG_IN_SYNC, { uuid: other.uuid, luid: other.luidLow }, [1])?.error).toBe(-Errno.ESRCH);
  expect(host.states.restore().length).toBe(1);
});

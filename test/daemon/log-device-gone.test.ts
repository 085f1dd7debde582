/** A daemon that comes back to find its log device gone: it says so, serves on, and repairs the log when it is back (R16). */
import { renameSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from './daemon-process.js';
import { readLogArea } from './log-area.js';

const log = { uuid: 'LVM-log-device-gone', luid: 3 };
const regionCount = 64;
const EIO = -5;

let folder: DaemonFolder;
beforeEach(() => {
  folder = new DaemonFolder();
});
afterEach(() => folder.remove());

it('flushes fail until the device is back, then everything is written again', async () => {
  writeFileSync(folder.log, '');
  truncateSync(folder.log, 1 << 16);
  const away = `${folder.log}.away`;
  let daemon = folder.start();
  await daemon.ready();
  let kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.ctr(log, `${regionCount * 8} clustered-disk ${folder.log} 8 nosync`)).result).toBe(0);
  expect((await kernel.resume(log)).result).toBe(0);
  expect((await kernel.flush(log, [1])).result).toBe(0);
  await daemon.kill('SIGKILL');
  kernel.close();
  renameSync(folder.log, away);

  daemon = folder.start();
  // A device that failed holds nobody up: other logs have theirs.
  await daemon.ready();
  kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.flush(log, [2])).result).toBe(EIO);
  expect((await kernel.statusInfo(log)).text()).toMatch(/ D$/);
  let status = await daemon.status();
  expect(status.logs[0]?.logFailed).toBe(true);
  expect(status.counters.devices.openFailures).toBeGreaterThan(0);
  // Reads and marks are answered from memory meanwhile.
  expect((await kernel.isClean(log, 2)).value(0)).toBe(0);

  renameSync(away, folder.log);
  await daemon.said(/log-repaired/);
  expect((await kernel.statusInfo(log)).text()).toMatch(/ A$/);
  expect((await kernel.flush(log, [3])).result).toBe(0);
  expect(readLogArea(folder.log, regionCount).dirty).toEqual([1, 2, 3]);
  status = await daemon.status();
  expect(status.counters.core.repairs).toBe(1);
  kernel.close();
});

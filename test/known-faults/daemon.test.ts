/**
 * Faults of `cmirrord` shown on a whole daemon: what stands on a log device after the host went down, and dumps of logs
 * whose type is changed. Real processes, real frames, real files.
 */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { KernelClient } from '../connector/kernel-client.js';
import { configWith } from '../daemon/daemon-config.js';
import { DaemonFolder, type DaemonProcess } from '../daemon/daemon-process.js';

let folder: DaemonFolder;
beforeEach(() => {
  folder = new DaemonFolder();
});
afterEach(() => folder.remove());

function makeLogFile(bytes: number): void {
  writeFileSync(folder.log, '');
  truncateSync(folder.log, bytes);
}

it('fault 12: a log of 16 Mi regions on 8 MiB is resynced in full at each activation -> only what was marked', async () => {
  const regionCount = 2 ** 24;
  const log = { uuid: 'LVM-large', luid: 0x1000 };
  makeLogFile(8 << 20);
  const text = (words: string) => `${regionCount * 8} clustered-disk ${folder.log} 8 ${words}`;
  const first = folder.start('--boot-id', 'first-boot');
  await first.ready();
  const kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.ctr(log, text('nosync'))).result).toBe(0);
  expect((await kernel.resume(log)).result).toBe(0);
  expect((await kernel.flush(log, [0, 9_000_000, regionCount - 1])).result).toBe(0);
  await first.kill('SIGKILL');
  kernel.close();

  const second = folder.start('--boot-id', 'second-boot');
  await second.ready();
  const rebooted = await KernelClient.connect(folder.socket);
  expect((await rebooted.ctr(log, text(''))).result).toBe(0);
  expect((await rebooted.resume(log)).result).toBe(0);
  expect((await rebooted.syncCount(log)).value(0)).toBe(regionCount - 3);
  rebooted.close();
});

it('fault 12: a device that is cut off is read as no log -> it is refused, in words, and not touched', async () => {
  makeLogFile(1 << 20);
  const before = readFileSync(folder.log);
  const daemon = folder.start();
  await daemon.ready();
  const kernel = await KernelClient.connect(folder.socket);
  const log = { uuid: 'LVM-cut-off', luid: 0x1000 };
  expect((await kernel.ctr(log, `${2 ** 24} clustered-disk ${folder.log} 1`)).result).toBe(-Errno.EINVAL);
  await daemon.said(/constructor-refused .*2098176.*1048576/);
  expect(readFileSync(folder.log).equals(before)).toBe(true);
  kernel.close();
});

/** `cmirrord` on a simulated kernel: its signals and its dump. */
function startCmirrord(): DaemonProcess {
  const script = join(folder.path, 'cmirrord.mjs');
  const module = new URL('../../dist/daemon/daemon.js', import.meta.url);
  const config = configWith({
    personality: 'cmirrord',
    kernel: { kind: 'simulated', path: folder.socket },
    stateDirectory: folder.state,
    logTarget: 'stderr',
  });
  writeFileSync(
    script,
    `import { runDaemon } from ${JSON.stringify(module)};\nprocess.exit(await runDaemon(${JSON.stringify(config)}));`,
  );
  return folder.run([], script);
}

it('fault 26: crashes at a change of type, and in debug output -> each table is taken over, each dump is whole', async () => {
  makeLogFile(1 << 20);
  const daemon = startCmirrord();
  await daemon.ready();
  const kernel = await KernelClient.connect(folder.socket);
  // The longest names there may be, and more logs than the original's buffers had room for.
  const uuid = (index: number) => `LVM-${index}-`.padEnd(128, 'x');
  for (let index = 1; index < 60; index++) {
    const log = { uuid: uuid(index), luid: index };
    expect((await kernel.ctr(log, '4096 clustered-core 8 nosync block_on_error')).result).toBe(0);
    expect((await kernel.resume(log)).result).toBe(0);
  }
  const core = '4096 clustered-core 8 nosync';
  const disk = `4096 clustered-disk ${folder.log} 8 nosync block_on_error`;
  let before = { uuid: uuid(0), luid: 0x1000 };
  expect((await kernel.ctr(before, core)).result).toBe(0);
  expect((await kernel.resume(before)).result).toBe(0);
  for (const [round, text] of [disk, core, disk, disk, core, core].entries()) {
    expect((await kernel.flush(before, [round, 511])).result).toBe(0);
    const next = { uuid: uuid(0), luid: before.luid + 0x800 };
    expect((await kernel.ctr(next, text)).result).toBe(0);
    expect((await kernel.presuspend(before)).result).toBe(0);
    expect((await kernel.postsuspend(before)).result).toBe(0);
    expect((await kernel.resume(next)).result).toBe(0);
    expect((await kernel.dtr(before)).result).toBe(0);
    const type = text === core ? /^1 clustered-core$/ : /^3 clustered-disk \d+:\d+ A$/;
    expect((await kernel.statusInfo(next)).text()).toMatch(type);
    before = next;

    daemon.stderr = '';
    daemon.child.kill(round % 2 === 0 ? 'SIGUSR1' : 'SIGUSR2');
    await daemon.said(/frames: .*\n/);
    for (let index = 0; index < 60; index++) expect(daemon.stderr).toContain(`log ${uuid(index)} luid `);
  }
  expect(daemon.child.exitCode).toBeNull();
  kernel.close();
});

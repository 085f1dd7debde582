/**
 * A daemon that is killed while its kernel lives on: the next one answers as if nothing had happened, and what stands
 * on the log device is exact before and after. Real processes, real frames, a real file as log device.
 */
import { spawn } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from './daemon-process.js';
import { readLogArea } from './log-area.js';

const regionCount = 1000;
const log = { uuid: 'LVM-kill-and-restart', luid: 0x1000 };
const header = { magic: 0x4d695272, version: 2, regionCount };

let folder: DaemonFolder;
let constructorText: string;

beforeEach(() => {
  folder = new DaemonFolder();
  writeFileSync(folder.log, '');
  truncateSync(folder.log, 1 << 20);
  constructorText = `${regionCount * 1024} clustered-disk ${folder.log} 1024 nosync`;
});
afterEach(() => folder.remove());

it('keeps every mark over SIGKILL, answers repeats, and writes exactly the changed bits', async () => {
  let daemon = folder.start();
  await daemon.ready();
  let kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.ctr(log, constructorText)).result).toBe(0);
  expect((await kernel.resume(log)).result).toBe(0);
  expect(readLogArea(folder.log, regionCount)).toEqual({ ...header, dirty: [] });

  expect((await kernel.mark(log, [3, 100, 999])).result).toBe(0);
  expect((await kernel.flush(log)).result).toBe(0);
  expect(readLogArea(folder.log, regionCount).dirty).toEqual([3, 100, 999]);

  // Marked and answered, not flushed: known to the state record alone.
  expect((await kernel.mark(log, [500])).result).toBe(0);
  expect(await daemon.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
  kernel.close();

  daemon = folder.start();
  await daemon.ready();
  expect(daemon.stderr).toMatch(/ready restoredLogs=1/);
  // Ready means written: the unflushed mark is on the device too.
  expect(readLogArea(folder.log, regionCount)).toEqual({ ...header, dirty: [3, 100, 500, 999] });

  // What the kernel does when it finds its daemon again: CTR with NUL, RESUME, then goes on.
  kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.ctr(log, `${constructorText}\0`)).result).toBe(0);
  expect((await kernel.resume(log)).result).toBe(0);
  const before = (await daemon.status()).counters;
  expect((await kernel.mark(log, [3])).result).toBe(0);
  expect((await kernel.flush(log)).result).toBe(0);
  const after = (await daemon.status()).counters;
  expect(after.devices.commits).toBe(before.devices.commits);
  expect(after.marksWithoutIo).toBe(before.marksWithoutIo + 1);

  expect((await kernel.mark(log, [200])).result).toBe(0);
  expect((await kernel.flush(log)).result).toBe(0);
  expect(readLogArea(folder.log, regionCount).dirty).toEqual([3, 100, 200, 500, 999]);
  expect((await kernel.isClean(log, 500)).value(0)).toBe(0);
  expect((await kernel.inSync(log, 500)).value(0)).toBe(1);

  // A clean end: everything cleared, suspended, destroyed; the log device is clean.
  expect((await kernel.clear(log, [3, 100, 200, 500, 999])).result).toBe(0);
  expect((await kernel.presuspend(log)).result).toBe(0);
  expect((await kernel.postsuspend(log)).result).toBe(0);
  expect(readLogArea(folder.log, regionCount)).toEqual({ ...header, dirty: [] });
  expect((await kernel.dtr(log)).result).toBe(0);
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(kernel.unexpected).toEqual([]);
  kernel.close();
});

it('finds dirty regions out of sync at the next resume when the host went down with it', async () => {
  const daemon = folder.start('--boot-id', 'first-boot');
  await daemon.ready();
  const kernel = await KernelClient.connect(folder.socket);
  await kernel.ctr(log, constructorText);
  await kernel.resume(log);
  expect((await kernel.flush(log, [7, 8])).result).toBe(0);
  await daemon.kill('SIGKILL');
  kernel.close();

  const next = folder.start('--boot-id', 'second-boot');
  await next.ready();
  expect(next.stderr).toMatch(/ready restoredLogs=0/);
  const rebooted = await KernelClient.connect(folder.socket);
  expect((await rebooted.ctr(log, constructorText)).result).toBe(0);
  expect((await rebooted.resume(log)).result).toBe(0);
  expect((await rebooted.syncCount(log)).value(0)).toBe(regionCount - 2);
  expect((await rebooted.inSync(log, 7)).value(0)).toBe(0);
  expect((await rebooted.inSync(log, 9)).value(0)).toBe(1);
  const work = await rebooted.resyncWork(log);
  expect([work.value(0), work.value(1)]).toEqual([1, 7]);
  rebooted.close();
});

it('keeps a core log over SIGKILL', async () => {
  let daemon = folder.start();
  await daemon.ready();
  let kernel = await KernelClient.connect(folder.socket);
  await kernel.ctr(log, '4096 clustered-core 1024');
  await kernel.resume(log);
  const work = await kernel.resyncWork(log);
  expect([work.value(0), work.value(1)]).toEqual([1, 0]);
  await kernel.setRegionSync(log, 0, 1);
  await kernel.mark(log, [0]);
  await kernel.flush(log);
  await daemon.kill('SIGKILL');
  kernel.close();

  daemon = folder.start();
  await daemon.ready();
  kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.syncCount(log)).value(0)).toBe(1);
  expect((await kernel.isClean(log, 0)).value(0)).toBe(0);
  const next = await kernel.resyncWork(log);
  expect([next.value(0), next.value(1)]).toEqual([1, 1]);
  expect((await kernel.statusInfo(log)).text()).toBe('1 clustered-core');
  kernel.close();
});

/** What the simulated kernel's process says of itself. */
interface Progress {
  readonly event: string;
  readonly writes: number;
  readonly errors: number;
  readonly again: number;
  readonly resent: number;
  readonly slowestMs: number;
}

const kernelProgram = fileURLToPath(new URL('../../dist/bin/simulated-kernel.js', import.meta.url));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it('fault 5: what died with the last daemon is repeated after 15 s -> the kernel is asked to repeat it at once', async () => {
  let daemon = folder.start();
  await daemon.ready();
  const legs = ['leg0', 'leg1'].flatMap((name) => ['--leg', join(folder.path, name)]);
  const words = ['--socket', folder.socket, ...legs, '--size', '16M', '--nosync', '--log-device', folder.log];
  const kernel = spawn(process.execPath, [kernelProgram, ...words, '--hot', '0', '--wide', '1', '--depth', '8'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let last: Progress | null = null;
    createInterface({ input: kernel.stdout }).on('line', (line) => {
      last = JSON.parse(line) as Progress;
    });
    const progress = async (done: (now: Progress) => boolean): Promise<Progress> => {
      const endMs = Date.now() + 60_000;
      for (;;) {
        if (last?.writes !== undefined && done(last)) return last;
        if (Date.now() > endMs) throw new Error(`no such progress; the last was ${JSON.stringify(last)}`);
        await sleep(20);
      }
    };
    await progress((now) => now.writes > 100);
    for (let kills = 0; kills < 3; kills++) {
      // Stopped first: what the kernel sends lies in the socket that dies, and it goes on waiting for it.
      daemon.child.kill('SIGSTOP');
      await sleep(300);
      const before = await progress(() => true);
      await daemon.kill('SIGKILL');
      daemon = folder.start();
      await daemon.ready();
      const after = await progress((now) => now.writes > before.writes + 100);
      expect(after.again).toBeGreaterThan(before.again);
      expect(after.resent).toBe(0);
    }
    kernel.kill('SIGTERM');
    const end = await progress((now) => now.event === 'done');
    expect(end.errors).toBe(0);
    // Two starts of a process, a hang limit's worth of luck, and no time-out of 15 s among them.
    expect(end.slowestMs).toBeLessThan(14_000);
    console.log(`slowest write over three kills: ${end.slowestMs} ms; asked again ${end.again} times`);
  } finally {
    kernel.kill('SIGKILL');
  }
});

/** SIGTERM and its kin, with and without logs; SIGUSR1 and the status file. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DaemonStatus } from '../../ts/daemon/status.js';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from './daemon-process.js';

const log = { uuid: 'LVM-signals', luid: 0xffff_0000, luidHigh: 0xffff_8881 };

let folder: DaemonFolder;
beforeEach(() => {
  folder = new DaemonFolder();
});
afterEach(() => folder.remove());

describe('a signal to stop', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const)(
    '%s ends a daemon without logs, code 0',
    async (signal) => {
      const pidFile = join(folder.path, 'pid');
      const daemon = folder.start('--pid-file', pidFile);
      await daemon.ready();
      expect(readFileSync(pidFile, 'utf8')).toBe(`${daemon.child.pid}\n`);
      expect(await daemon.kill(signal)).toEqual({ code: 0, signal: null });
      expect(existsSync(pidFile)).toBe(false);
      expect(existsSync(folder.socket)).toBe(false);
    },
  );

  it('that comes several times at once ends it in order all the same', async () => {
    const pidFile = join(folder.path, 'pid');
    const daemon = folder.start('--pid-file', pidFile);
    await daemon.ready();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const) daemon.child.kill(signal);
    const more = setInterval(() => daemon.child.kill('SIGTERM'), 1);
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
    clearInterval(more);
    expect(existsSync(pidFile)).toBe(false);
  });

  it('is refused while a log exists, again and again, and the daemon serves on', async () => {
    const daemon = folder.start();
    await daemon.ready();
    const kernel = await KernelClient.connect(folder.socket);
    await kernel.ctr(log, '4096 clustered-core 1024');
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGTERM'] as const) {
      const told = daemon.stderr.length;
      daemon.child.kill(signal);
      await daemon.said(new RegExp(`^[^]{${told}}[^]*Cluster logs exist\\. {2}Refusing to exit\\.`));
    }
    expect((await kernel.resume(log)).result).toBe(0);
    expect((await kernel.mark(log, [1])).result).toBe(0);
    await kernel.clear(log, [1]);
    await kernel.presuspend(log);
    await kernel.postsuspend(log);
    expect((await kernel.dtr(log)).result).toBe(0);
    expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    kernel.close();
  });
});

describe('status', () => {
  it('by SIGUSR1 is one line of JSON whose counters are what was done', async () => {
    const daemon = folder.start();
    await daemon.ready();
    const kernel = await KernelClient.connect(folder.socket);
    expect((await daemon.status()).logs).toEqual([]);
    await kernel.ctr(log, '4096 clustered-core 1024 nosync');
    await kernel.resume(log);
    await kernel.mark(log, [1, 2]);
    await kernel.flush(log);
    await kernel.mark(log, [2]);
    await kernel.mark(log, [4]);
    const status = await daemon.status();
    expect(status.pid).toBe(daemon.child.pid);
    expect(status.logs).toMatchObject([
      {
        uuid: log.uuid,
        luid: 'ffff8881ffff0000',
        type: 'core',
        lifeCycle: 'active',
        restored: false,
        regionCount: 4,
        dirtyCount: 2,
        inSyncCount: 4,
        heldCount: 2,
        stickyCount: 0,
        marksUnknown: false,
        logFailed: false,
      },
    ]);
    expect(status.counters.requests).toEqual({ CTR: 1, RESUME: 1, MARK_REGION: 3, FLUSH: 1 });
    // Region 4 is outside: counted as a request and answered with an error.
    expect(status.counters.replies).toEqual({ succeeded: 5, failed: 1, dropped: 0 });
    expect(status.counters.marksWithoutIo).toBe(1);
    expect(status.counters.frames.received).toBe(6);
    kernel.close();
  });

  it('stands in the status file, whole, and is renewed', async () => {
    const file = join(folder.path, 'status.json');
    const daemon = folder.start('--status-file', file, '--status-interval-ms', '20');
    await daemon.ready();
    const kernel = await KernelClient.connect(folder.socket);
    await kernel.ctr(log, '4096 clustered-core 1024 nosync');
    let status: DaemonStatus | null = null;
    for (let tries = 0; tries < 500 && status?.logs.length !== 1; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (existsSync(file)) status = JSON.parse(readFileSync(file, 'utf8')) as DaemonStatus;
    }
    expect(status?.logs[0]?.uuid).toBe(log.uuid);
    expect(daemon.stdout).toBe('');
    kernel.close();
  });

  it('that cannot be written is reported, counted, and harms nobody', async () => {
    const daemon = folder.start('--status-file', join(folder.path, 'none', 'file'), '--status-interval-ms', '5');
    await daemon.said(/status-file-failed .*ENOENT/);
    const kernel = await KernelClient.connect(folder.socket);
    expect((await kernel.ctr(log, '4096 clustered-core 1024')).result).toBe(0);
    kernel.close();
  });
});

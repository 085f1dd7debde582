/**
 * A state folder on a file system that is full, or not to be written: told at the start, and refused by name later, while logs
 * that are there already go on. Needs root, to mount one.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from './daemon-process.js';

const enospc = -28;
const text = '1024000 clustered-core 1024 nosync';
const logOf = (number: number) => ({ uuid: `LVM-${number}`, luid: number * 16 });

const mountable =
  process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

describe.skipIf(!mountable)(`a state folder (${mountable ? 'mounted here' : 'needs root and mount'})`, () => {
  let folder: DaemonFolder;
  beforeEach(() => {
    folder = new DaemonFolder();
    mkdirSync(folder.state, { mode: 0o700 });
  });
  afterEach(async () => {
    spawnSync('umount', ['-l', folder.state]);
    await folder.remove();
  });

  function mount(options: string): void {
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `mode=700,${options}`, 'tmpfs', folder.state]);
    expect(`${mounted.stderr}`).toBe('');
  }

  it('that becomes full refuses the next log by name; the others go on, and there is room when one ends', async () => {
    mount('size=256k');
    const daemon = folder.start();
    await daemon.ready();
    const kernel = await KernelClient.connect(folder.socket);
    let made = 0;
    let result = 0;
    while (result === 0 && made < 100) {
      result = (await kernel.ctr(logOf(made + 1), text)).result;
      if (result === 0) made += 1;
    }
    expect(result).toBe(enospc);
    expect(made).toBeGreaterThan(2);
    await daemon.said(new RegExp(`constructor-refused uuid=LVM-${made + 1} text=".*: No space left on device`));
    expect((await kernel.resume(logOf(1))).result).toBe(0);
    expect((await kernel.mark(logOf(1), [3, 500, 999])).result).toBe(0);
    expect((await kernel.flush(logOf(1))).result).toBe(0);
    expect((await kernel.dtr(logOf(2))).result).toBe(0);
    expect((await kernel.ctr(logOf(made + 1), text)).result).toBe(0);

    await daemon.kill('SIGKILL');
    const next = folder.start();
    await next.said(new RegExp(` ready .*restoredLogs=${made}`));
    const held = (await next.status()).logs.find(({ uuid }) => uuid === 'LVM-1')?.heldCount;
    expect(held).toBe(3);
    kernel.close();
  });

  it('with everything beside it full does not keep a daemon from taking up the logs of the one before', async () => {
    mount('size=512k');
    const run = (pid: string) =>
      folder.run([
        ...['--transport', 'local', '--simulated-kernel', folder.socket],
        ...['--state-dir', join(folder.state, 'logs'), '--pid-file', join(folder.state, pid)],
      ]);
    const fill = () => spawnSync('sh', ['-c', 'cat /dev/zero >>"$0" 2>/dev/null', join(folder.state, 'filler')]);
    let daemon = run('pid');
    await daemon.ready();
    let kernel = await KernelClient.connect(folder.socket);
    expect((await kernel.ctr(logOf(1), text)).result).toBe(0);
    expect((await kernel.resume(logOf(1))).result).toBe(0);
    for (const pid of ['pid', 'another pid']) {
      fill();
      await daemon.kill('SIGKILL');
      kernel.close();
      fill();
      daemon = run(pid);
      await daemon.said(/ ready .*restoredLogs=1/);
      kernel = await KernelClient.connect(folder.socket);
      expect((await kernel.mark(logOf(1), [3, 500, 999])).result).toBe(0);
    }
    kernel.close();
  });

  it.each([
    ['read-only', 'size=64k,ro', 'Read-only file system'],
    ['full', 'size=64k', 'No space left on device'],
  ])('that is %s at the start is told, code 1', async (kind, options, reason) => {
    mount(options);
    if (kind === 'full') spawnSync('sh', ['-c', 'cat /dev/zero >"$0" 2>/dev/null', join(folder.state, 'filler')]);
    const daemon = folder.start();
    expect((await daemon.exited).code).toBe(1);
    expect(daemon.stderr).toContain(`start-failed text="state folder ${folder.state}: ${reason}`);
  });
});

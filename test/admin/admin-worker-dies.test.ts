/**
 * The admin worker runs out of its heap while a kernel writes: the kernel's requests are answered as before, the worker comes
 * back, and its death and return are events. Real daemon, real heap limit; the worker is the real one with something beside
 * it that eats memory.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ControlClient } from '../../ts/admin/control-client.js';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from '../daemon/daemon-process.js';
import { controlSocket, startWithAdmin, until } from './admin-daemon.js';

/** The kernel asks again after this; an answer that comes later is none. */
const kernelMsMax = 15_000;
const log = { uuid: 'LVM-admin-dies', luid: 0x1000 };

let folder: DaemonFolder;
beforeEach(() => {
  folder = new DaemonFolder();
});
afterEach(() => folder.remove());

/** MARK, FLUSH and CLEAR of one region after the other until `stop`; how long each round took. */
async function load(kernel: KernelClient, stopped: () => boolean): Promise<number[]> {
  const roundsMs: number[] = [];
  for (let region = 0; !stopped(); region = (region + 1) % 1000) {
    const fromMs = performance.now();
    const results = await Promise.all([kernel.mark(log, [region]), kernel.flush(log), kernel.clear(log, [region])]);
    expect(results.map(({ result }) => result)).toEqual([0, 0, 0]);
    roundsMs.push(performance.now() - fromMs);
  }
  return roundsMs;
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

it('out of memory under load: requests go on, it comes back, and both are events', async () => {
  const go = join(folder.path, 'go');
  const daemon = startWithAdmin(
    folder,
    `import { existsSync } from 'node:fs';
     await import(real);
     const kept = [];
     if (workerData.restarts === 0) setInterval(() => {
       if (!existsSync(${JSON.stringify(go)})) return;
       for (let i = 0; i < 8; i++) kept.push(new Array(1e5).fill(kept));
     }, 1);`,
  );
  await daemon.ready();
  const kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.ctr(log, '1024000 clustered-core 1024 nosync')).result).toBe(0);
  expect((await kernel.resume(log)).result).toBe(0);

  let calm = false;
  setTimeout(() => {
    calm = true;
  }, 1_000);
  const before = await load(kernel, () => calm);

  writeFileSync(go, '');
  let back = false;
  const during = load(kernel, () => back);
  await daemon.said(/admin-died .*\n/);
  await daemon.said(/admin-restarted .*\n/);
  back = true;
  const roundsMs = await during;
  console.log(
    `rounds: ${before.length} before, p99 ${percentile(before, 0.99).toFixed(1)} ms; ${roundsMs.length} while the worker ` +
      `died, p99 ${percentile(roundsMs, 0.99).toFixed(1)} ms, longest ${Math.max(...roundsMs).toFixed(1)} ms`,
  );
  expect(roundsMs.length).toBeGreaterThan(0);
  expect(Math.max(...roundsMs)).toBeLessThan(kernelMsMax);
  expect(kernel.unexpected).toEqual([]);

  const client = await ControlClient.connect(controlSocket(folder));
  const result = await client.status();
  expect(result.fresh).toBe(true);
  expect(result.admin.restarts).toBe(1);
  expect(result.status?.logs.map(({ uuid }) => uuid)).toEqual([log.uuid]);
  // The history is the daemon's: what was before the death is still there.
  const names = (await client.events(0)).events.map(({ event }) => event);
  expect(names).toEqual(expect.arrayContaining(['ready', 'resumed', 'admin-died', 'admin-restarted']));
  expect(daemon.stderr).toMatch(/admin-died .*memory/);
  client.close();
  kernel.close();
});

it('a worker that always dies is started ever more seldom, and the daemon serves on', async () => {
  const daemon = startWithAdmin(folder, `throw new Error('no room at all');`);
  await daemon.ready();
  await daemon.said(/admin-died .*nextMs=100\n/);
  await daemon.said(/admin-died .*nextMs=200\n/);
  await daemon.said(/admin-died .*nextMs=400\n/);
  const kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.ctr(log, '1024000 clustered-core 1024 nosync')).result).toBe(0);
  expect((await kernel.dtr(log)).result).toBe(0);
  kernel.close();
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
});

it('the socket goes away with a daemon that ends, and is taken over from one that was killed', async () => {
  const first = folder.start();
  await first.ready();
  const path = controlSocket(folder);
  await until(() => existsSync(path), 'the first socket');
  await first.kill('SIGKILL');
  expect(existsSync(path)).toBe(true);
  const second = folder.start();
  await second.said(/ control-socket .*\n/);
  const client = await ControlClient.connect(path);
  expect((await client.status()).status?.pid).toBe(second.child.pid);
  client.close();
  expect(await second.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(existsSync(path)).toBe(false);
});

it('a socket that another daemon listens on is left alone', async () => {
  const first = folder.start();
  await first.said(/ control-socket .*\n/);
  const second = folder.run([
    ...['--transport', 'local', '--simulated-kernel', join(folder.path, 'kernel2')],
    ...['--state-dir', join(folder.path, 'state2')],
  ]);
  await second.said(/control-socket-failed .*another daemon listens there/);
  const client = await ControlClient.connect(controlSocket(folder));
  expect((await client.status()).status?.pid).toBe(first.child.pid);
  client.close();
});

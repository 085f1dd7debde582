/** Status of many logs: whole, bounded in what a client that does not read it costs, and the kernel does not wait for it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ControlClient } from '../../ts/admin/control-client.js';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from '../daemon/daemon-process.js';
import { controlSocket, RawClient, until } from './admin-daemon.js';

const logCount = 1000;

let folder: DaemonFolder;
let kernel: KernelClient;

beforeEach(async () => {
  folder = new DaemonFolder();
  const daemon = folder.start();
  await daemon.said(/ control-socket .*\n/);
  kernel = await KernelClient.connect(folder.socket);
  for (let i = 0; i < logCount; i++) {
    const log = { uuid: `LVM-${'0123456789abcdef'.repeat(4)}-${i}`, luid: 0x1000 + i * 8 };
    expect((await kernel.ctr(log, '81920 clustered-core 1024 nosync')).result).toBe(0);
    expect((await kernel.resume(log)).result).toBe(0);
  }
});
afterEach(async () => {
  kernel.close();
  await folder.remove();
});

it('is whole, again and again, and a reader that does not read it is dropped', async () => {
  const path = controlSocket(folder);
  const deaf = await RawClient.connect(path);
  deaf.socket.pause();
  deaf.send('{"v":1,"id":1,"command":"status"}\n');

  const client = await ControlClient.connect(path);
  const mine = { uuid: `LVM-${'0123456789abcdef'.repeat(4)}-7`, luid: 0x1000 + 7 * 8 };
  let longestMs = 0;
  const asked = (async () => {
    for (let i = 0; i < 20; i++) {
      const { status, fresh } = await client.status();
      expect(fresh).toBe(true);
      expect(status?.logs.length).toBe(logCount);
    }
  })();
  let done = false;
  asked.finally(() => {
    done = true;
  });
  for (let region = 0; !done; region = (region + 1) % 80) {
    const fromMs = performance.now();
    expect((await kernel.mark(mine, [region])).result).toBe(0);
    expect((await kernel.flush(mine)).result).toBe(0);
    longestMs = Math.max(longestMs, performance.now() - fromMs);
    await kernel.clear(mine, [region]);
  }
  await asked;
  console.log(`longest mark and flush beside 20 statuses of ${logCount} logs: ${longestMs.toFixed(1)} ms`);
  expect(kernel.unexpected).toEqual([]);

  // Its answer is larger than what a socket holds.
  await until(async () => (await client.status()).admin.slow === 1, 'the client that does not read to be dropped');
  const { events } = await client.events(0);
  const all = [...events, ...(await client.events(events.at(-1)?.seq ?? 0)).events];
  expect((await client.status()).admin.clients).toBe(1);
  expect(all.length).toBeGreaterThan(0);
  client.close();
  deaf.socket.destroy();
});

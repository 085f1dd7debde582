/** Devices that are opened all at once: what a daemon with many disk logs does when it starts again. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NativeLogDevice } from '../../ts/native/log-device.js';

test('200 devices at once: each is opened', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-many-'));
  const path = join(folder, 'log');
  writeFileSync(path, '');
  truncateSync(path, 4096);
  const devices: NativeLogDevice[] = [];
  const opening = Array.from({ length: 200 }, () => {
    return new Promise<number>((resolve) => {
      const events = { opened: resolve, read: () => {}, written: () => {} };
      const device = new NativeLogDevice(events, { writer: 'uring' });
      devices.push(device);
      device.open(path);
    });
  });
  expect((await Promise.all(opening)).filter((errno) => errno !== 0)).toEqual([]);
  for (const device of devices) device.close();
  rmSync(folder, { recursive: true });
});

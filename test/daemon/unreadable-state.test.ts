/** State records that cannot be read: put aside, reported, and the mirror they belonged to is not trusted (R3). */
import {
  closeSync,
  copyFileSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from './daemon-process.js';

const log = { uuid: 'LVM-unreadable', luid: 9 };
const other = { uuid: 'LVM-sound', luid: 10 };
const text = '4096 clustered-core 1024 nosync';

let folder: DaemonFolder;
beforeEach(async () => {
  folder = new DaemonFolder();
  const daemon = folder.start();
  await daemon.ready();
  const kernel = await KernelClient.connect(folder.socket);
  for (const one of [log, other]) {
    expect((await kernel.ctr(one, text)).result).toBe(0);
    expect((await kernel.resume(one)).result).toBe(0);
    expect((await kernel.flush(one, [1])).result).toBe(0);
  }
  await daemon.kill('SIGKILL');
  kernel.close();
});
afterEach(() => folder.remove());

function recordOf(uuid: string): string {
  const name = readdirSync(folder.state).find((file) => readFileSync(join(folder.state, file)).includes(uuid));
  if (name === undefined) throw new Error(`no record of ${uuid} among ${readdirSync(folder.state)}`);
  return join(folder.state, name);
}

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

describe.each([
  ['another magic', (path: string) => overwrite(path, 0, Buffer.from('NOTSTATE'))],
  [
    'a flipped bit in its uuid',
    (path: string) => overwrite(path, readFileSync(path).indexOf(log.uuid), Buffer.from('X')),
  ],
  ['its end cut off', (path: string) => truncateSync(path, 5000)],
  ['nothing in it', (path: string) => truncateSync(path, 0)],
])('a record with %s', (_name, damage) => {
  it('is put aside and reported; its log, and only that, has unknown marks', async () => {
    damage(recordOf(log.uuid));
    const daemon = folder.start();
    await daemon.ready();
    expect(daemon.stderr).toMatch(/state-unreadable/);
    expect(daemon.stderr).toMatch(/ready restoredLogs=1/);
    expect(readdirSync(folder.state).filter((file) => file.endsWith('.unreadable'))).toHaveLength(1);

    const kernel = await KernelClient.connect(folder.socket);
    expect((await kernel.isClean(other, 1)).value(0)).toBe(0);
    expect((await kernel.mark(log, [1])).result).toBeLessThan(0);
    expect((await kernel.ctr(log, `${text}\0`)).result).toBe(0);
    expect((await kernel.resume(log)).result).toBe(0);
    const status = await daemon.status();
    expect(status.logs.find((one) => one.uuid === log.uuid)?.marksUnknown).toBe(true);
    expect(status.logs.find((one) => one.uuid === other.uuid)?.marksUnknown).toBe(false);
    // Nobody knows what its kernel is writing: no region may be called clean.
    for (let region = 0; region < 4; region++) expect((await kernel.isClean(log, region)).value(0)).toBe(0);
    kernel.close();
  });
});

it('a copy that somebody has saved beside its record is put aside, and the log goes on', async () => {
  copyFileSync(recordOf(log.uuid), join(folder.state, '0-saved.state'));
  const daemon = folder.start();
  await daemon.ready();
  expect(daemon.stderr).toMatch(/0-saved\.state: a copy of a record that is here/);
  expect(daemon.stderr).toMatch(/ready restoredLogs=2/);
  const kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.isClean(log, 1)).value(0)).toBe(0);
  expect((await kernel.flush(log, [2])).result).toBe(0);
  expect((await daemon.status()).logs.map((one) => one.uuid).sort()).toEqual([other.uuid, log.uuid]);
  kernel.close();
});

it('a file with a name like a record and no record in it is put aside, another is left alone', async () => {
  const stranger = recordOf(log.uuid).replace(/[^/]*(\.[^.]+)$/, 'stranger$1');
  writeFileSync(stranger, 'hello');
  writeFileSync(join(folder.state, 'notes'), 'hello');
  const daemon = folder.start();
  await daemon.ready();
  expect(daemon.stderr).toMatch(/state-unreadable .*stranger/);
  expect(daemon.stderr).toMatch(/ready restoredLogs=2/);
  const files = readdirSync(folder.state);
  expect(files).toContain('notes');
  expect(files.filter((file) => file.endsWith('.unreadable'))).toHaveLength(1);
});

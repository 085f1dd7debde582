/**
 * A daemon whose transport cannot run, as `cmirrord` without a cluster: it starts, takes constructors and refuses every
 * RESUME with an error and a line that says why (fault 31 of the original: it said success). And what an earlier daemon of
 * this boot served alone is served on.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { cmirrordConfig } from '../../ts/daemon/cmirrord.js';
import type { DaemonConfig } from '../../ts/daemon/config.js';
import type { HostFacts } from '../../ts/daemon/host-facts.js';
import { KernelClient } from '../connector/kernel-client.js';
import { configWith, otherHost } from './daemon-config.js';
import { DaemonFolder, type DaemonProcess } from './daemon-process.js';

const log = { uuid: 'LVM-alone', luid: 7 };
const text = '4096 clustered-core 1024 nosync';

let folder: DaemonFolder;
beforeEach(() => {
  folder = new DaemonFolder();
});
afterEach(() => folder.remove());

function startWith(transport: DaemonConfig['transport']): DaemonProcess {
  const script = join(folder.path, `${transport}.mjs`);
  const module = new URL('../../dist/daemon/daemon.js', import.meta.url);
  const config = configWith({
    personality: 'cmirrord',
    kernel: { kind: 'simulated', path: folder.socket },
    stateDirectory: folder.state,
    transport,
    logTarget: 'stderr',
  });
  writeFileSync(
    script,
    `import { runDaemon } from ${JSON.stringify(module)};\nprocess.exit(await runDaemon(${JSON.stringify(config)}));`,
  );
  return folder.run([], script);
}

describe('the transport of cmirrord', () => {
  const transportWith = (file: string, facts: Partial<HostFacts> = {}) => {
    const path = join(folder.path, 'lockstep.toml');
    writeFileSync(path, file);
    const read = cmirrordConfig({ ...otherHost, configVariable: path, ...facts }, true);
    if ('problems' in read) throw new Error(read.problems.join());
    return read.config.transport;
  };

  it('is corosync whatever the host has, unless the file says local', () => {
    for (const corosyncConfigured of [false, true]) {
      expect(transportWith('', { corosyncConfigured })).toBe('corosync');
      expect(transportWith('transport = "auto"', { corosyncConfigured })).toBe('corosync');
      expect(transportWith('transport = "corosync"', { corosyncConfigured })).toBe('corosync');
      expect(transportWith('transport = "local"', { corosyncConfigured })).toBe('local');
    }
  });
});

it('fault 31: a RESUME without a group is success -> it is refused, and nothing after it pretends that the log runs', async () => {
  const daemon = startWith('corosync');
  await daemon.ready();
  const kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.ctr(log, text)).result).toBe(0);
  for (let tries = 0; tries < 2; tries++) {
    expect((await kernel.resume(log)).result).toBe(-Errno.ENOTCONN);
    // Not -ESRCH, which makes the kernel reconnect for ever.
    expect((await kernel.mark(log, [1])).result).toBe(-Errno.ENOENT);
    expect((await kernel.flush(log, [1])).result).toBeLessThan(0);
    expect((await kernel.ctr(log, `${text}\0`)).result).toBe(0);
  }
  await daemon.said(/resume-refused .*Cannot join the group of log LVM-alone: corosync /);
  daemon.child.kill('SIGTERM');
  await daemon.said(/Cluster logs exist\. {2}Refusing to exit\./);
  daemon.child.kill('SIGUSR2');
  await daemon.said(/Dump of 1 logs.*\n.*log LVM-alone luid 0000000000000007: core, pending, /);
  expect((await kernel.dtr(log)).result).toBe(0);
  expect(await daemon.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  kernel.close();
});

it('a log that an earlier daemon served alone is served on until its kernel leaves it', async () => {
  const first = startWith('local');
  await first.ready();
  const kernel = await KernelClient.connect(folder.socket);
  await kernel.ctr(log, text);
  expect((await kernel.resume(log)).result).toBe(0);
  expect((await kernel.flush(log, [1])).result).toBe(0);
  await first.kill('SIGKILL');
  kernel.close();

  const second = startWith('corosync');
  await second.said(/ready .*restoredLogs=1/);
  const again = await KernelClient.connect(folder.socket);
  expect((await again.isClean(log, 1)).value(0)).toBe(0);
  expect((await again.flush(log, [2])).result).toBe(0);
  await again.presuspend(log);
  await again.postsuspend(log);
  expect((await again.resume(log)).result).toBe(-Errno.ENOTCONN);
  again.close();
});

it('a log whose RESUME was refused is asked for again by a daemon that may serve: its writes go on', async () => {
  const first = startWith('corosync');
  await first.ready();
  const kernel = await KernelClient.connect(folder.socket);
  await kernel.ctr(log, text);
  expect((await kernel.resume(log)).result).toBe(-Errno.ENOTCONN);
  await first.kill('SIGKILL');
  kernel.close();

  const second = startWith('local');
  await second.ready();
  const again = await KernelClient.connect(folder.socket);
  // On -ESRCH, and on nothing else, the kernel constructs and resumes again, and repeats the request.
  expect((await again.mark(log, [1])).result).toBe(-Errno.ESRCH);
  expect((await again.ctr(log, `${text}\0`)).result).toBe(0);
  expect((await again.resume(log)).result).toBe(0);
  expect((await again.mark(log, [1])).result).toBe(0);
  expect((await again.flush(log, [1])).result).toBe(0);
  again.close();
});

it('R3: a kernel that uses a log which this daemon does not know waits for the group: any error it would take for a region out of sync', async () => {
  const daemon = startWith('corosync');
  await daemon.ready();
  const kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.inSync(log, 3)).result).toBe(-Errno.ESRCH);
  expect((await kernel.ctr(log, `${text}\0`)).result).toBe(0);
  const resumed = kernel.resume(log);
  await daemon.said(/resume-waits .*RESUME of log LVM-alone waits, its kernel writes already: corosync /);
  expect((await kernel.inSync(log, 3)).result).toBe(-Errno.ESRCH);
  const answer = await Promise.race([resumed, new Promise((resolve) => setTimeout(() => resolve('none'), 200))]);
  expect(answer).toBe('none');
  kernel.close();
});

it('a log whose address another one had, of whose end nobody heard, is served on too', async () => {
  const before = { uuid: 'LVM-before', luid: log.luid };
  const first = startWith('local');
  await first.ready();
  const kernel = await KernelClient.connect(folder.socket);
  await kernel.ctr(before, text);
  expect((await kernel.resume(before)).result).toBe(0);
  await kernel.presuspend(before);
  await kernel.postsuspend(before);
  await kernel.ctr(log, text);
  expect((await kernel.resume(log)).result).toBe(0);
  await first.kill('SIGKILL');
  kernel.close();

  const second = startWith('corosync');
  await second.said(/ready .*restoredLogs=2/);
  const again = await KernelClient.connect(folder.socket);
  expect((await again.ctr(log, `${text}\0`)).result).toBe(0);
  expect((await again.resume(log)).result).toBe(0);
  again.close();
});

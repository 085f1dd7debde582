/** `lockstep` as a user runs it, against a real daemon that a kernel's requests have brought into known states. */
import { renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { controlSocket } from '../admin/admin-daemon.js';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder, type DaemonProcess } from '../daemon/daemon-process.js';
import { lockstep, lockstepAs, Watched } from './lockstep-process.js';

const disk = { uuid: 'LVM-disk', luid: 0x1000 };
const core = { uuid: 'LVM-core', luid: 0x2000 };

let folder: DaemonFolder;
let daemon: DaemonProcess;
let kernel: KernelClient;
let socket: string[];

beforeEach(async () => {
  folder = new DaemonFolder();
  writeFileSync(folder.log, '');
  truncateSync(folder.log, 1 << 20);
  daemon = folder.start();
  await daemon.said(/ control-socket .*\n/);
  kernel = await KernelClient.connect(folder.socket);
  socket = ['--socket', controlSocket(folder)];
  expect((await kernel.ctr(disk, `1024000 clustered-disk ${folder.log} 1024 nosync`)).result).toBe(0);
  expect((await kernel.resume(disk)).result).toBe(0);
  expect((await kernel.ctr(core, '102400 clustered-core 1024')).result).toBe(0);
  expect((await kernel.resume(core)).result).toBe(0);
});
afterEach(async () => {
  kernel.close();
  await folder.remove();
});

async function statusJson(...logs: string[]) {
  const ran = await lockstep('status', '--json', ...socket, ...logs);
  expect(ran.stderr).toBe('');
  return { code: ran.code, view: JSON.parse(ran.stdout) };
}

describe('status', () => {
  it('counts what the kernel did, in JSON and in words', async () => {
    expect((await kernel.mark(disk, [3, 4, 999])).result).toBe(0);
    expect((await kernel.clear(disk, [4])).result).toBe(0);
    const { code, view } = await statusJson();
    expect(code).toBe(0);
    expect(view).toMatchObject({ schema: 'lockstep-status-1', problems: [] });
    expect(view.daemon).toMatchObject({ pid: daemon.child.pid, engineAnswers: true });
    expect(view.totals).toMatchObject({ logs: 2, regions: 1100, dirtyRegions: 103, inSyncRegions: 1000, resyncing: 1 });
    const [first, second] = view.logs;
    expect(first).toMatchObject({ uuid: 'LVM-disk', type: 'disk', state: 'active', regions: 1000, dirtyRegions: 3 });
    expect(first).toMatchObject({ heldRegions: 2, inSyncPercent: 100, resync: null });
    expect(first.logDevice).toMatchObject({ name: folder.log, state: 'ok' });
    expect(second).toMatchObject({ uuid: 'LVM-core', type: 'core', logDevice: null, inSyncPercent: 0 });
    expect(second.resync).not.toBeNull();

    const ran = await lockstep('status', ...socket);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/^LVM-disk +disk +active +1000 +[23] .*2 written.* 100 % +- +\S+ ok$/m);
    expect(ran.stdout).toMatch(/^LVM-core +core +active +100 +100 +100 out of sync +0 % .* -$/m);
    expect(ran.stdout).toMatch(/^2 logs, 1100 regions, 10[23] dirty, 90.9 % in sync, 1 resyncing$/m);
  });

  it('of one log shows no other, and says which there are when there is none of that name', async () => {
    const { view } = await statusJson('LVM-c');
    expect(view.logs.map(({ uuid }: { uuid: string }) => uuid)).toEqual(['LVM-core']);
    const unknown = await lockstep('status', ...socket, 'nosuch');
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(unknown.stderr).toMatch(/no log "nosuch"; there are: LVM-disk, LVM-core/);
    expect((await lockstep('status', ...socket, 'LVM')).stderr).toMatch(/fits several logs: LVM-disk, LVM-core/);
  });

  it('has a rate and an end while a resync runs, and exit code 0', async () => {
    let region = 0;
    const recover = async () => {
      const work = await kernel.resyncWork(core);
      expect(work.value(0)).toBe(1);
      expect((await kernel.setRegionSync(core, work.value(1), 1)).result).toBe(0);
      region += 1;
    };
    await recover();
    await statusJson();
    for (let i = 0; i < 20; i++) {
      await recover();
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    const { code, view } = await statusJson('LVM-core');
    expect(code).toBe(0);
    expect(view.logs[0].inSyncRegions).toBe(region);
    expect(view.logs[0].resync.regionsPerSecond).toBeGreaterThan(0);
    expect(view.logs[0].resync.secondsLeft).toBeGreaterThan(0);
    expect((await lockstep('status', ...socket)).stdout).toMatch(/iB\/s, .* left/);
  });

  it('names trouble and ends with 1: marks that are not known', async () => {
    const lost = { uuid: 'LVM-lost', luid: 0x3000 };
    expect((await kernel.ctr(lost, '102400 clustered-core 1024\0')).result).toBe(0);
    expect((await kernel.resume(lost)).result).toBe(0);
    const { code, view } = await statusJson();
    expect(code).toBe(1);
    expect(view.problems).toMatchObject([{ code: 'marks-unknown', log: 'LVM-lost' }]);
    const ran = await lockstep('status', ...socket);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/^! LVM-lost: .*dmsetup suspend NAME && dmsetup resume NAME/m);
  });

  it('names trouble and ends with 1: a log device that has failed', async () => {
    await daemon.kill('SIGKILL');
    kernel.close();
    renameSync(folder.log, `${folder.log}.away`);
    daemon = folder.start();
    await daemon.said(/ control-socket .*\n/);
    kernel = await KernelClient.connect(folder.socket);
    const { code, view } = await statusJson();
    expect(code).toBe(1);
    expect(view.problems).toMatchObject([{ code: 'log-failed', log: 'LVM-disk' }]);
    expect(view.logs[0].logDevice).toMatchObject({ name: folder.log, state: 'failed' });
    expect((await lockstep('events', ...socket, 'LVM-disk')).stdout).toMatch(/ error +log-failed LVM-disk: /);
    renameSync(`${folder.log}.away`, folder.log);
    await daemon.said(/log-repaired/);
    expect((await statusJson('LVM-disk')).view).toMatchObject({ problems: [], logs: [{ logDevice: { state: 'ok' } }] });
  });

  it('--watch goes on over the death of the daemon and ends at SIGINT', async () => {
    const watched = new Watched('status', '--watch', '--interval', '0.1', ...socket);
    await watched.says(/LVM-disk/);
    await daemon.kill('SIGKILL');
    await watched.says(/no daemon runs: nobody listens on/);
    const next = folder.start();
    await next.said(/ control-socket .*\n/);
    await watched.says(new RegExp(`pid ${next.child.pid}`));
    expect(await watched.stop()).toBe(0);
  });
});

describe('why', () => {
  async function reasons(log: string, region: number) {
    const ran = await lockstep('why', '--json', ...socket, log, String(region));
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const answer = JSON.parse(ran.stdout);
    return { ...answer, codes: answer.reasons.map(({ code }: { code: string }) => code) };
  }

  it('tells held, just cleared, clean and out of sync apart', async () => {
    expect((await kernel.mark(disk, [3, 4])).result).toBe(0);
    expect(await reasons('LVM-disk', 3)).toMatchObject({ clean: false, inSync: true, held: true, codes: ['held'] });
    expect((await kernel.clear(disk, [4])).result).toBe(0);
    expect(await reasons('LVM-disk', 5)).toMatchObject({ clean: true, codes: ['clean'], firstSector: 5120 });
    expect(await reasons('LVM-core', 7)).toMatchObject({ clean: false, inSync: false, codes: ['waits-for-recovery'] });
    const work = await kernel.resyncWork(core);
    expect(await reasons('LVM-core', work.value(1))).toMatchObject({ recovering: true, codes: ['recovering'] });
    expect((await kernel.setRegionSync(core, work.value(1), 0)).result).toBe(0);
    expect(await reasons('LVM-core', work.value(1))).toMatchObject({ codes: ['recovery-failed'] });
    expect((await kernel.setRegionSync(disk, 9, 0)).result).toBe(0);
    expect(await reasons('LVM-disk', 9)).toMatchObject({ codes: ['failed-write'] });
    expect((await kernel.presuspend(core)).result).toBe(0);
    expect((await reasons('LVM-core', 7)).codes).toEqual(['halted', 'waits-for-recovery']);
    const ran = await lockstep('why', ...socket, 'LVM-d', '3');
    expect(ran.stdout).toMatch(
      /^region 3 of LVM-disk: dirty and in sync\nsectors 3072 to 4095 .*\n- this host's kernel holds it/,
    );
  });

  it('knows the end of a log', async () => {
    const ran = await lockstep('why', ...socket, 'LVM-disk', '1000');
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toMatch(/region 1000: LVM-disk has regions 0 to 999/);
  });
});

describe('events', () => {
  it('are what the daemon reported, of a level, of a log', async () => {
    const all = await lockstep('events', ...socket);
    expect(all.code).toBe(0);
    expect(all.stdout).toMatch(/^\S+Z info +resumed LVM-disk: 1000 of 1000 regions in sync/m);
    expect(all.stdout).not.toMatch(/ debug /);
    expect((await lockstep('events', '--level', 'debug', ...socket)).stdout).toMatch(/ debug +view/);
    const lines = (await lockstep('events', '--json', ...socket, 'LVM-core')).stdout.trim().split('\n');
    const events = lines.map((line) => JSON.parse(line));
    expect(events.length).toBeGreaterThan(0);
    for (const { fields } of events) expect(fields.uuid).toBe('LVM-core');
  });

  it('followed, come as they happen, and say when the daemon is another', async () => {
    const watched = new Watched('events', '--follow', ...socket);
    await watched.says(/resumed LVM-core/);
    expect((await kernel.ctr({ uuid: 'bad', luid: 9 }, '1024 clustered-none 8')).result).not.toBe(0);
    await watched.says(/constructor-refused bad: .*clustered-none/);
    await daemon.kill('SIGKILL');
    await watched.says(/waiting for it/, 'stderr');
    const next = folder.start();
    await next.ready();
    await watched.says(/-- the daemon is another one now/);
    await watched.says(/restoredLogs=2/);
    expect(await watched.stop()).toBe(0);
  });

  it('of one kind in a row are all there, in order', async () => {
    for (let i = 0; i < 30; i++) {
      // The engine lets fifty of a kind through in ten seconds.
      await kernel.ctr({ uuid: `bad-${i}`, luid: 9 }, '1024 clustered-none 8');
    }
    const ran = await lockstep('events', '--json', ...socket);
    const events = ran.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.filter(({ event }) => event === 'constructor-refused').length).toBe(30);
    expect(events.map(({ seq }) => seq)).toEqual([...events.map(({ seq }) => seq)].sort((a, b) => a - b));
  });
});

describe('without a daemon', () => {
  it.each([['status'], ['events'], ['why', 'x', '1']])(
    'fault 30: a missing daemon gives a cryptic error -> %s ends with 3 and says what was looked for',
    async (...argv) => {
      const path = join(folder.path, 'nobody');
      const ran = await lockstepAs({ LOCKSTEP_SOCKET: path }, ...argv);
      expect(ran).toMatchObject({ code: 3, stdout: '' });
      expect(ran.stderr).toMatch(/^lockstep: no daemon runs( as this user)?: there is no /);
      expect(ran.stderr).toContain(`${path} (another one: --socket PATH)\n`);
    },
  );

  it('doctor says so and fails, and tells what it can', async () => {
    const ran = await lockstep('doctor', '--socket', join(folder.path, 'nobody'));
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/^fail {2}daemon +no daemon runs/m);
    expect(ran.stdout).toMatch(/^ +-> systemctl start lockstepd/m);
  });

  it('doctor finds the configuration file that keeps it from starting, and the pid file that it names', async () => {
    const file = join(folder.path, 'its.toml');
    writeFileSync(file, 'transprot = "local"\n');
    const ran = await lockstepAs({ LOCKSTEP_CONFIG: file }, 'doctor', '--socket', join(folder.path, 'nobody'));
    expect(ran.stdout).toMatch(/^fail {2}config +.*its\.toml:1: unknown key transprot, did you mean transport\?$/m);
    const pidFile = join(folder.path, 'its.pid');
    const words = ['--pid-file', pidFile, '--state-dir', join(folder.path, 'other', 'logs')];
    await folder.start(...words, '--simulated-kernel', join(folder.path, 'other kernel')).ready();
    writeFileSync(file, `cmirrord_pid_file = "${pidFile}"\n`);
    const again = await lockstepAs({ LOCKSTEP_CONFIG: file }, 'doctor', '--socket', join(folder.path, 'nobody'));
    expect(again.stdout).toMatch(/^ok {4}config +.*its\.toml is good$/m);
    expect(again.stdout).toMatch(/^ok {4}two-daemons +one daemon holds .*its\.pid by lockstepd \d+$/m);
  });
});

it('doctor looks at the daemon that it is told of', async () => {
  const ran = await lockstep('doctor', '--json', ...socket);
  const { schema, checks } = JSON.parse(ran.stdout);
  expect(schema).toBe('lockstep-doctor-1');
  const of = (name: string) => checks.find(({ check }: { check: string }) => check === name);
  expect(of('daemon')).toMatchObject({ result: 'ok' });
  expect(of('log-device')).toMatchObject({ result: 'ok' });
  expect(of('log-device').text).toContain('1 MiB, its 1000 regions take 1.1 KiB');
  expect(of('state').text).toContain(folder.state);
  for (const { result, remedy } of checks) expect(remedy !== '').toBe(result !== 'ok');
});

it('Ctrl-C ends a command that waits for a daemon which does not answer', async () => {
  daemon.child.kill('SIGSTOP');
  const asking = new Watched('status', ...socket);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(asking.child.exitCode).toBe(null);
  await asking.stop();
  expect(asking.child.signalCode).toBe('SIGINT');
  daemon.child.kill('SIGCONT');
});

it('a reader that goes away ends it quietly', async () => {
  const { spawnSync } = await import('node:child_process');
  const { program } = await import('./lockstep-process.js');
  const shell = spawnSync(
    'bash',
    [
      '-c',
      '"$0" "$1" status --watch --interval 0.1 --socket "$2" | head -n 1',
      process.execPath,
      program,
      socket[1] ?? '',
    ],
    {
      encoding: 'utf8',
      timeout: 60_000,
    },
  );
  expect(shell.signal).toBe(null);
  expect(shell.stdout).toMatch(/^\d{4}-/);
  expect(shell.stderr).toBe('');
});

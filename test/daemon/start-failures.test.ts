/** Everything that keeps a daemon from starting, by exit code; and two daemons that must not be one kernel's. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from './daemon-process.js';

let folder: DaemonFolder;
beforeEach(() => {
  folder = new DaemonFolder();
});
afterEach(() => folder.remove());

describe('the command line', () => {
  it.each([['--help'], ['-h']])('%s prints the usage on stdout, code 0', async (option) => {
    const daemon = folder.run([option]);
    expect((await daemon.exited).code).toBe(0);
    expect(daemon.stdout).toMatch(/^Usage: lockstepd \[options\]/);
    expect(daemon.stderr).toBe('');
  });

  it('--version prints one line, code 0', async () => {
    const daemon = folder.run(['--version']);
    expect((await daemon.exited).code).toBe(0);
    expect(daemon.stdout).toMatch(/^lockstepd \d+\.\d+\.\d+\n$/);
  });

  it.each([[['--unknown']], [['operand']], [['--log-writer', 'none']]])('%j: usage on stderr, code 2', async (argv) => {
    const daemon = folder.run(argv);
    expect((await daemon.exited).code).toBe(2);
    expect(daemon.stderr).toMatch(/Usage: lockstepd/);
    expect(daemon.stdout).toBe('');
  });
});

describe('the socket for the simulated kernel', () => {
  it('in a folder that is open to others is refused, code 3', async () => {
    chmodSync(folder.path, 0o755);
    const daemon = folder.start();
    expect((await daemon.exited).code).toBe(3);
    expect(daemon.stderr).toMatch(/start-failed .*cannot open/);
  });

  it('in a folder that does not exist is refused, code 3', async () => {
    const socket = join(folder.path, 'none', 'kernel');
    const daemon = folder.run(['--transport', 'local', '--simulated-kernel', socket, '--state-dir', folder.state]);
    expect((await daemon.exited).code).toBe(3);
  });

  it('of a living daemon is not taken from it, code 3', async () => {
    const first = folder.start();
    await first.ready();
    const other = join(folder.path, 'other state');
    const argv = ['--transport', 'local', '--simulated-kernel', folder.socket, '--state-dir', other];
    const second = folder.run(argv);
    expect((await second.exited).code).toBe(3);
    const kernel = await KernelClient.connect(folder.socket);
    expect((await kernel.ctr({ uuid: 'LVM-a', luid: 1 }, '4096 clustered-core 1024')).result).toBe(0);
    kernel.close();
  });

  it('of a killed daemon is taken over', async () => {
    const first = folder.start();
    await first.ready();
    await first.kill('SIGKILL');
    expect(existsSync(folder.socket)).toBe(true);
    const second = folder.start();
    await second.ready();
  });
});

describe('a second daemon', () => {
  it('with the same pid file is refused, code 2, and leaves the first alone', async () => {
    const pidFile = join(folder.path, 'pid');
    const first = folder.start('--pid-file', pidFile);
    await first.ready();
    const second = folder.run([
      ...['--transport', 'local', '--simulated-kernel', join(folder.path, 'second')],
      ...['--state-dir', join(folder.path, 'state 2'), '--pid-file', pidFile],
    ]);
    expect((await second.exited).code).toBe(2);
    expect(second.stderr).toMatch(/pid-file-held .*another daemon/);
    expect(existsSync(pidFile)).toBe(true);
    expect(existsSync(join(folder.path, 'second'))).toBe(false);
    expect((await first.kill('SIGTERM')).code).toBe(0);
  });

  it('with the same state folder is refused, code 1, and leaves the first alone', async () => {
    const first = folder.start();
    await first.ready();
    const socket = join(folder.path, 'second');
    const second = folder.run(['--transport', 'local', '--simulated-kernel', socket, '--state-dir', folder.state]);
    expect((await second.exited).code).toBe(1);
    expect(second.stderr).toMatch(/start-failed/);
    expect((await first.kill('SIGTERM')).code).toBe(0);
  });

  it('takes over a pid file whose daemon was killed', async () => {
    const pidFile = join(folder.path, 'pid');
    const first = folder.start('--pid-file', pidFile);
    await first.ready();
    await first.kill('SIGKILL');
    expect(existsSync(pidFile)).toBe(true);
    await folder.start('--pid-file', pidFile).ready();
  });
});

describe('the state folder', () => {
  it('is made, closed to others, when it does not exist', async () => {
    const deep = join(folder.path, 'a', 'b', 'logs');
    const argv = ['--transport', 'local', '--simulated-kernel', folder.socket, '--state-dir', deep];
    await folder.run(argv).ready();
    expect(existsSync(deep)).toBe(true);
  });

  it('that the kernel makes nothing in is refused, code 1', async () => {
    // Node's own way to make it never returns here.
    const argv = ['--transport', 'local', '--simulated-kernel', folder.socket, '--state-dir', '/proc/none/logs'];
    const daemon = folder.run(argv);
    expect((await daemon.exited).code).toBe(1);
    expect(daemon.stderr).toMatch(/start-failed .*\/proc\/none/);
  });

  it('that is open to others is refused, code 1', async () => {
    mkdirSync(folder.state);
    chmodSync(folder.state, 0o777);
    const daemon = folder.start();
    expect((await daemon.exited).code).toBe(1);
    expect(daemon.stderr).toMatch(/start-failed/);
  });

  it('that is a file is refused, code 1', async () => {
    writeFileSync(folder.state, '');
    const daemon = folder.start();
    expect((await daemon.exited).code).toBe(1);
  });
});

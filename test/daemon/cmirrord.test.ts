/**
 * The `cmirrord` personality, from outside: command line, streams, exit codes, the background, the pid file's lock as
 * LVM2 looks for it, signals, log. What needs the kernel's connector runs as root where no dm-log-userspace is loaded.
 */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseCommand } from '../../ts/bin/cmirrord-options.js';
import { Cmirrord, lookAt, until, whyNoConnector } from './cmirrord-process.js';

const usage = /^Usage: cmirrord \[options\]\n {3}-f, --foreground .*\n {3}-h, --help .*\n$/;
const noConnector = whyNoConnector();

let cmirrord: Cmirrord;
beforeEach(() => {
  cmirrord = new Cmirrord();
});
afterEach(() => cmirrord.remove());

describe('the command line', () => {
  it.each([
    [[], 'daemon'],
    [['-f'], 'foreground'],
    [['--foreground'], 'foreground'],
    [['-h'], 'help'],
    [['-fh'], 'help'],
    [['--help', '--bad'], 'help'],
    [['--bad', '--help'], 'wrong'],
    [['-d'], 'wrong'],
    [['operand'], 'wrong'],
    [['-f', 'operand'], 'wrong'],
    [['--foreground=yes'], 'wrong'],
  ])('%j means %s', (argv, command) => {
    expect(parseCommand(argv)).toBe(command);
  });

  it.each([['-h'], ['--help']])('%s: usage on stdout, code 0', async (option) => {
    const { code, stdout, stderr } = await cmirrord.run([option]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(usage);
  });

  it.each([['--version'], ['operand'], ['-x']])('%s: usage on stderr, code 2', async (word) => {
    const { code, stdout, stderr } = await cmirrord.run([word]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(usage);
  });
});

describe('a configuration that cannot be used', () => {
  it('is told on stdout: code 1 from the background, 2 in the foreground', async () => {
    cmirrord.configure('transprot = "local"\n');
    const problem = /lockstep\.toml:3: unknown key transprot, did you mean transport\?/;
    const background = await cmirrord.run([]);
    expect(background).toMatchObject({ code: 1, stderr: '' });
    expect(background.stdout).toMatch(problem);
    const foreground = await cmirrord.run(['-f']);
    expect(foreground).toMatchObject({ code: 2, stderr: '' });
    expect(foreground.stdout).toMatch(problem);
    expect(existsSync(cmirrord.pidFile)).toBe(false);
  });

  it('that is named and not there is told too', async () => {
    const none = join(cmirrord.folder, 'none.toml');
    Object.assign(cmirrord, { config: none });
    expect((await cmirrord.run([])).stdout).toContain(`${none}: there is no such file`);
  });
});

describe.skipIf(process.getuid?.() !== 0)('an ordinary user (skipped unless root, who can be one)', () => {
  it('cannot open the connector: code 3 in the foreground, 1 and the reason on stdout from the background', async () => {
    chmodSync(cmirrord.folder, 0o777);
    const nobody = { uid: 65_534 };
    const foreground = await cmirrord.run(['-f'], nobody);
    expect(foreground.stdout).toMatch(/cannot open the kernel connector/);
    expect(foreground.code).toBe(3);
    const background = await cmirrord.run([], nobody);
    expect(background.stdout).toMatch(/cannot open the kernel connector.*\(exit code 3\)/);
    expect(background).toMatchObject({ code: 1, stderr: '' });
    expect(existsSync(cmirrord.pidFile)).toBe(false);
  });
});

describe.skipIf(noConnector !== null)(`on the connector (${noConnector ?? 'here'})`, () => {
  it('serves in the background, on its own, when its parent ends with 0', async () => {
    expect(await cmirrord.run([])).toEqual({ code: 0, stdout: '', stderr: '' });
    const pid = cmirrord.holder();
    expect(pid).toBeGreaterThan(0);
    const seen = lookAt(pid);
    expect(seen).toMatchObject({ name: 'cmirrord', group: pid, session: pid, terminal: 0, umask: '0000', folder: '/' });
    expect(seen.files).toEqual(['/dev/null', '/dev/null', '/dev/null']);
    expect(seen.parent).not.toBe(process.pid);
    expect(readFileSync(cmirrord.pidFile, 'utf8')).toBe(`${pid}\n`);
    // It needs nobody who listens: the pipe to its parent is closed.
    process.kill(pid, 'SIGTERM');
    await until('the daemon is gone', () => cmirrord.holder() === 0);
    expect(existsSync(cmirrord.pidFile)).toBe(false);
  });

  it('a second one is refused by the lock: 1 from the background, 2 in the foreground, and the first serves on', async () => {
    expect((await cmirrord.run([])).code).toBe(0);
    const pid = cmirrord.holder();
    const refused = `Cannot lock lockfile [${cmirrord.pidFile}], Resource temporarily unavailable`;
    const background = await cmirrord.run([]);
    expect(background).toMatchObject({ code: 1, stderr: '' });
    expect(background.stdout).toContain(refused);
    const foreground = await cmirrord.run(['-f']);
    expect(foreground).toMatchObject({ code: 2, stderr: '' });
    expect(foreground.stdout).toContain(refused);
    expect(cmirrord.holder()).toBe(pid);
  });

  it('fault 30: whether a daemon runs is not seen -> a killed one leaves its file unlocked, and the next locks it', async () => {
    expect((await cmirrord.run([])).code).toBe(0);
    process.kill(cmirrord.holder(), 'SIGKILL');
    await until('the lock is free', () => cmirrord.holder() === 0);
    expect(existsSync(cmirrord.pidFile)).toBe(true);
    expect((await cmirrord.run([])).code).toBe(0);
    expect(cmirrord.holder()).toBeGreaterThan(0);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const)(
    '%s ends it with 0 in the foreground',
    async (signal) => {
      const { child, said, ended } = cmirrord.foreground();
      await until('it serves', () => said.text.includes('ready'));
      expect(said.text).toMatch(/^Starting cmirrord:\n Built: [A-Z][a-z]{2} [ \d]\d \d{4} \d\d:\d\d:\d\d\n/);
      child.kill(signal);
      expect(await ended).toBe(0);
      expect(existsSync(cmirrord.pidFile)).toBe(false);
    },
  );

  it.each(['SIGUSR1', 'SIGUSR2'] as const)('%s dumps to the log, SIGPIPE is ignored', async (signal) => {
    const { child, said, ended } = cmirrord.foreground();
    await until('it serves', () => said.text.includes('ready'));
    child.kill('SIGPIPE');
    child.kill(signal);
    await until('the dump', () => /Dump of 0 logs, up \d+ s:\nrequests: .*\nreplies: /.test(said.text));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  // A link to a journal that does not run stands in the way, too.
  const hasSyslog = lstatSync('/dev/log', { throwIfNoEntry: false }) !== undefined;
  it.skipIf(hasSyslog)(
    'writes to the system log (skipped where there is one: a test may not take its place)',
    async () => {
      const log = join(cmirrord.folder, 'log');
      writeFileSync(log, '');
      // Node has no datagrams to paths; Python, which the build needs anyway, has.
      const listener = spawn('python3', ['-c', listenerSource, log], { stdio: ['pipe', 'ignore', 'inherit'] });
      await until('the listener is there', () => existsSync('/dev/log'));
      try {
        expect((await cmirrord.run([])).code).toBe(0);
        const pid = cmirrord.holder();
        process.kill(pid, 'SIGTERM');
        await until('the end is logged', () => readFileSync(log, 'utf8').includes('stopped'));
        const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1);
        for (const line of lines) {
          expect(line).toMatch(/^<(27|28|29|30)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d cmirrord\[\d+\]: /);
          expect(line).toContain(`cmirrord[${pid}]: `);
        }
        expect(lines[0]).toMatch(/^<29>.*: Starting cmirrord:$/);
        expect(lines[1]).toMatch(/^<29>.*: {2}Built: /);
      } finally {
        listener.stdin.end();
        await new Promise((resolve) => listener.on('close', resolve));
      }
    },
  );
});

/** Binds /dev/log until stdin ends, and copies what comes to a file. */
const listenerSource = `
import os, select, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('/dev/log')
try:
    with open(sys.argv[1], 'a', buffering=1) as out:
        while True:
            ready, _, _ = select.select([s, sys.stdin], [], [])
            if s in ready: out.write(s.recv(9000).decode() + '\\n')
            elif sys.stdin in ready: break
finally:
    os.unlink('/dev/log')
`;

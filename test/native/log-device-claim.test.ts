/**
 * The claim on a log device: one opening at a time, in one process or several, and a write in flight of a killed
 * process keeps it. The slow device is a loop device over a file on a file system that is frozen meanwhile; that needs
 * root, loop devices and mkfs.ext4, and is skipped without them, with the reason in the title.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LogWriterKind, NativeLogDevice } from '../../ts/native/log-device.js';
import { ChildScript, TestFolder } from './child-script.js';

interface Opened {
  readonly errno: number;
  readonly reason: string;
}

/** Opens with a claim; the result comes when the claim is there, or was given up. */
function claim(path: string, claimWaitMs?: number, writer: LogWriterKind = 'uring') {
  let device: NativeLogDevice | undefined;
  const opened = new Promise<Opened>((resolve) => {
    const events = {
      opened: (errno: number, _info: unknown, reason: string) => resolve({ errno, reason }),
      read: () => {},
      written: () => {},
    };
    device = new NativeLogDevice(events, claimWaitMs === undefined ? { writer } : { writer, claimWaitMs });
    device.open(path, true);
  });
  return { opened, close: () => device?.close() };
}

function command(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

let folder: TestFolder;
beforeEach(() => {
  folder = new TestFolder();
});
afterEach(() => folder.remove());

function file(name: string, bytes: number): string {
  const path = folder.file(name);
  writeFileSync(path, '');
  truncateSync(path, bytes);
  return path;
}

describe('a claim', () => {
  it('fails after its limit while another one stands, and says so', async () => {
    const path = file('log', 65536);
    const first = claim(path);
    expect((await first.opened).errno).toBe(0);
    const second = claim(path, 30);
    const { errno, reason } = await second.opened;
    expect(errno).toBe(16);
    expect(reason).toMatch(/^is in use: .*killed daemon/);
    first.close();
    second.close();
  });

  it('is given the moment the other one is closed, and a look needs none', async () => {
    const path = file('log', 65536);
    const first = claim(path);
    await first.opened;
    const second = claim(path);
    const looked = await new Promise<number>((resolve) => {
      const device = new NativeLogDevice({ opened: resolve, read() {}, written() {} }, { writer: 'thread' });
      device.open(path, false);
    });
    expect(looked).toBe(0);
    expect(await Promise.race([second.opened, delay(100, 'waits')])).toBe('waits');
    first.close();
    expect((await second.opened).errno).toBe(0);
    second.close();
  });

  it('that is given up while it waits stands in nobody’s way', async () => {
    const path = file('log', 65536);
    const first = claim(path);
    await first.opened;
    const second = claim(path);
    expect(await Promise.race([second.opened, delay(20, 'waits')])).toBe('waits');
    second.close();
    first.close();
    const third = claim(path);
    expect((await third.opened).errno).toBe(0);
    third.close();
  });

  it('of many devices that wait holds up no other device', async () => {
    const held = Array.from({ length: 20 }, (_, index) => claim(file(`held${index}`, 65536)));
    for (const { opened } of held) await opened;
    const waiting = held.map((_, index) => claim(folder.file(`held${index}`)));
    const free = claim(file('free', 65536));
    expect((await free.opened).errno).toBe(0);
    expect(await Promise.race([...waiting.map(({ opened }) => opened), delay(1, 'all wait')])).toBe('all wait');
    for (const { close } of [...waiting, ...held, free]) close();
  });
});

/** Why a device that stalls cannot be made, or ''. */
function probe(): string {
  if (process.getuid?.() !== 0) return 'not root';
  try {
    command('losetup', '--find');
    command('mkfs.ext4', '-V');
    return '';
  } catch (error) {
    return `no loop device or mkfs.ext4: ${(error as Error).message.split('\n')[0]}`;
  }
}

const reason = probe();

describe.skipIf(reason !== '')(`a device that stalls${reason && ` (skipped: ${reason})`}`, () => {
  let stalling = '';
  let mount = '';
  let below = '';
  let frozen = false;

  beforeEach(() => {
    below = command('losetup', '--find', '--show', file('below', 32 << 20));
    command('mkfs.ext4', '-q', '-O', '^has_journal', below);
    mount = folder.file('mount');
    mkdirSync(mount);
    command('mount', below, mount);
    const path = `${mount}/disk`;
    writeFileSync(path, Buffer.alloc(1 << 20));
    stalling = command('losetup', '--find', '--show', '--direct-io=on', path);
  });
  afterEach(() => {
    if (frozen) command('fsfreeze', '--unfreeze', mount);
    frozen = false;
    command('losetup', '--detach', stalling);
    command('umount', '--lazy', mount);
    command('losetup', '--detach', below);
  });

  it.each<LogWriterKind>(['uring', 'thread'])('keeps the claim of a killed process: %s', async (writer) => {
    const child = new ChildScript(
      `const map = NativeRegionMap.anonymous(10_000);
       const image = NativeLogImage.of(map);
       const device = new NativeLogDevice({
         opened(errno) { console.log('opened ' + errno); },
         read() {},
         written(errno) { console.log('written ' + errno); },
       }, { writer: args[1] });
       device.open(args[0], true);
       process.stdin.once('data', () => { image.planAll(); device.write(image, true); console.log('in flight'); });`,
      [stalling, writer],
    );
    await child.printed('opened 0');
    command('fsfreeze', '--freeze', mount);
    frozen = true;
    child.process.stdin?.write('go\n');
    await child.printed('in flight');
    await delay(200);
    expect(child.stdout).not.toContain('written');
    child.process.kill('SIGKILL');
    // A process whose thread is in the write ends with that write; one with a ring ends at once.
    if (writer === 'uring') await child.ended;
    const next = claim(stalling, undefined, writer);
    expect(await Promise.race([next.opened, delay(1500, 'waits')])).toBe('waits');
    command('fsfreeze', '--unfreeze', mount);
    frozen = false;
    expect((await next.opened).errno).toBe(0);
    next.close();
    await child.ended;
  });
});

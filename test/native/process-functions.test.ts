/** The pid-file lock as LVM2 sees it, memory locking, and the readiness socket's absence. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockMemory, lockPidFile, notifySystemd, setIoFlusher } from '../../ts/native/process.js';
import { ChildScript, runScript, TestFolder } from './child-script.js';

let folder: TestFolder;
let path: string;
beforeEach(() => {
  folder = new TestFolder();
  path = folder.file('cmirrord.pid');
});
afterEach(() => folder.remove());

describe('the pid file', () => {
  it('holds the pid and a lock, and is removed at the end', () => {
    writeFileSync(path, '4194304 and something longer\n');
    const lock = lockPidFile(path);
    expect(lock.path).toBe(path);
    // Before the file is read: a record lock goes with the first close of any descriptor of the file.
    const locks = readFileSync('/proc/locks', 'utf8');
    expect(locks).toMatch(new RegExp(`POSIX +ADVISORY +WRITE ${process.pid} .*:${statSync(path).ino} 0 EOF`));
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
    lock.close();
    lock.close();
    expect(existsSync(path)).toBe(false);
  });

  it('is refused while another process has it, and free after a SIGKILL', async () => {
    const child = new ChildScript(`lockPidFile(args[0]); console.log('locked'); setInterval(() => {}, 1000);`, [path]);
    await child.printed('locked');
    expect(() => lockPidFile(path)).toThrow(expect.objectContaining({ code: 'EAGAIN' }));
    expect(readFileSync(path, 'utf8')).toBe(`${child.process.pid}\n`);
    child.process.kill('SIGKILL');
    await child.ended;
    expect(existsSync(path)).toBe(true);
    lockPidFile(path).close();
  });

  it('is removed when the process ends by itself, and left unlocked by process.exit', async () => {
    expect((await runScript(`lockPidFile(args[0]); gc();`, [path])).code).toBe(0);
    expect(existsSync(path)).toBe(false);
    expect((await runScript(`lockPidFile(args[0]); process.exit(0);`, [path])).code).toBe(0);
    lockPidFile(path).close();
  });

  it('has the mode that others can read', () => {
    const before = process.umask(0o022);
    const lock = lockPidFile(path);
    process.umask(before);
    expect(statSync(path).mode & 0o777).toBe(0o644);
    lock.close();
  });

  it('cannot be made: the reason is the code', () => {
    expect(() => lockPidFile(folder.file('no/file'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(() => lockPidFile(folder.path)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
  });
});

const { LD_PRELOAD: preloaded } = process.env;

it('memory is locked as far as the process may', () => {
  const { lockedBytes, failures, errno } = lockMemory();
  if (failures === 0) {
    expect(errno).toBe(0);
    expect(lockedBytes).toBeGreaterThan(2 ** 20);
    // The address sanitizer makes locking a no-operation that succeeds.
    if (preloaded?.includes('asan')) return;
    const locked = Number(readFileSync('/proc/self/status', 'utf8').match(/VmLck:\s+(\d+) kB/)?.[1]);
    expect(locked * 1024).toBeGreaterThanOrEqual(lockedBytes);
  } else {
    expect([1, 11, 12]).toContain(errno);
  }
});

it('the io flusher flag is set, or there is a reason', () => {
  expect([0, 1, 22]).toContain(setIoFlusher());
});

it('nobody is notified without a socket to notify', () => {
  Reflect.deleteProperty(process.env, 'NOTIFY_SOCKET');
  expect(notifySystemd('READY=1')).toBe(false);
  Object.assign(process.env, { NOTIFY_SOCKET: folder.file('nobody') });
  expect(() => notifySystemd('READY=1')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  Object.assign(process.env, { NOTIFY_SOCKET: 'relative' });
  expect(() => notifySystemd('READY=1')).toThrow(expect.objectContaining({ code: 'EAFNOSUPPORT' }));
  Reflect.deleteProperty(process.env, 'NOTIFY_SOCKET');
});

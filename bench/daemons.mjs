/**
 * Starts what answers the simulated kernel's frames: lockstepd as a process of its own, the same with its main and admin
 * thread kept busy, or the C responder. Each has a folder of its own on a tmpfs for its socket and state, as in use.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { program, root, start } from './programs.mjs';

const memoryFolder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const startMsMax = 120_000;

/** Resolves with the first line that `wanted` takes; fails when the process ends before, with what it said. */
export function lineOf(child, streams, wanted) {
  return new Promise((resolve, reject) => {
    let said = '';
    const failed = (why) => reject(new Error(`${child.spawnargs.slice(3).join(' ')}: ${why}\n${said.slice(-2000)}`));
    const timer = setTimeout(() => failed('hung at its start'), startMsMax);
    for (const stream of streams) {
      createInterface({ input: stream }).on('line', (line) => {
        said += `${line}\n`;
        if (!wanted(line)) return;
        clearTimeout(timer);
        resolve(line);
      });
    }
    child.on('exit', (code) => {
      clearTimeout(timer);
      failed(`ended with ${code}`);
    });
  });
}

/** A running answerer: `socket` to send to, `end()` when done. */
class Answerer {
  constructor(child, folder) {
    this.child = child;
    this.folder = folder;
    this.socket = join(folder, 'kernel');
  }

  get pid() {
    return this.child.pid;
  }

  get cpuNs() {
    return cpuNsOf(this.pid);
  }

  async end() {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const gone = new Promise((resolve) => this.child.once('exit', resolve));
      this.child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
    folders.delete(this.folder);
  }
}

/** A daemon's own status (SIGUSR1); one question at a time. */
export function statusOf(child) {
  const line = new Promise((resolve) => {
    const lines = createInterface({ input: child.stdout });
    lines.once('line', (text) => {
      lines.close();
      resolve(JSON.parse(text));
    });
  });
  child.kill('SIGUSR1');
  return line;
}

/** Processor time of all threads of a process, as the scheduler counts it. */
export function cpuNsOf(pid) {
  const folder = `/proc/${pid}/task`;
  const spent = (task) => Number(readFileSync(`${folder}/${task}/schedstat`, 'utf8').split(' ')[0]);
  return readdirSync(folder).reduce((sum, task) => sum + spent(task), 0);
}

class Daemon extends Answerer {
  status() {
    return statusOf(this.child);
  }
}

const folders = new Set();
// What a scenario that failed has left.
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function folderNew() {
  const folder = mkdtempSync(join(memoryFolder, 'lockstep-bench-'));
  folders.add(folder);
  return folder;
}

/** lockstepd, as installed. */
export async function startDaemon(on, more = []) {
  const folder = folderNew();
  const args = [
    join(root, 'dist', 'bin', 'lockstepd.js'),
    ...['--simulated-kernel', join(folder, 'kernel'), '--transport', 'local'],
    ...['--state-dir', join(folder, 'state'), '--pid-file', join(folder, 'pid'), ...more],
  ];
  const child = start(on, process.execPath, args);
  await lineOf(child, [child.stderr], (line) => line.includes('ready'));
  return new Daemon(child, folder);
}

/**
 * The same daemon with wrapped thread entries; its engine counts collections and allocated bytes. With `adminAfterMs` the main
 * thread is kept computing 20 ms of every 50, and so is the admin thread, so many milliseconds later.
 */
export async function startCountedDaemon(on, { adminAfterMs } = {}) {
  const folder = folderNew();
  const args = [join(root, 'bench', 'counted-daemon.mjs'), folder];
  if (adminAfterMs !== undefined) args.push(String(adminAfterMs));
  const child = start(on, process.execPath, args);
  await lineOf(child, [child.stderr], (line) => line.includes('ready'));
  const daemon = new Answerer(child, folder);
  const lines = createInterface({ input: child.stdout });
  const ask = (order) => {
    const answer = new Promise((resolve) => lines.once('line', (text) => resolve(JSON.parse(text))));
    child.stdin.write(`${order}\n`);
    return answer;
  };
  /** From here on what the engine allocates is counted. */
  daemon.startCounting = () => ask('start');
  /** What it allocated since: `{ allocatedBytes, collections, collectionMs }`. */
  daemon.counted = () => ask('stop');
  return daemon;
}

/** The C responder; with `log` it writes durably as the daemon does. */
export async function startResponder(on, { log, blocks } = {}) {
  const folder = folderNew();
  const disk = log === undefined ? [] : ['--log', log, '--blocks', String(blocks)];
  const child = start(on, program('responder'), ['--socket', join(folder, 'kernel'), ...disk]);
  await lineOf(child, [child.stdout], (line) => line === 'ready');
  return new Answerer(child, folder);
}

/** A real daemon in a folder of its own: started from what was built, watched, killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DaemonStatus } from '../../ts/daemon/status.js';

const program = fileURLToPath(new URL('../../dist/bin/lockstepd.js', import.meta.url));
const waitMsMax = 30_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class DaemonProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';
  #changed: () => void = () => {};

  /** `before` is put before the command: what runs it somewhere else, in the same process. */
  constructor(argv: readonly string[], script: string = program, before: readonly string[] = []) {
    const [command = '', ...words] = [...before, process.execPath, script, ...argv];
    this.child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (bytes: Buffer) => {
      this.stdout += bytes.toString();
      this.#changed();
    });
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.stderr += bytes.toString();
      this.#changed();
    });
    this.exited = new Promise((resolve) => {
      // `close` and not `exit`: then all output has come.
      this.child.on('close', (code, signal) => {
        resolve({ code, signal });
        this.#changed();
      });
    });
  }

  /** Waits until stderr (or stdout) matches, or fails with what came instead. */
  async said(pattern: RegExp, where: 'stderr' | 'stdout' = 'stderr'): Promise<string> {
    const deadline = Date.now() + waitMsMax;
    for (;;) {
      const match = pattern.exec(this[where]);
      if (match !== null) return match[0];
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(
          `the daemon ended (${this.child.exitCode}) without saying ${pattern}; it said:\n${this.stderr}`,
        );
      }
      if (Date.now() > deadline) throw new Error(`the daemon did not say ${pattern}; it said:\n${this.stderr}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  ready(): Promise<string> {
    return this.said(/ ready .*\n/);
  }

  /** Asks for status by SIGUSR1 and reads the line. */
  async status(): Promise<DaemonStatus> {
    const before = this.stdout.length;
    this.child.kill('SIGUSR1');
    const deadline = Date.now() + waitMsMax;
    while (!this.stdout.slice(before).includes('\n')) {
      if (Date.now() > deadline) throw new Error(`no status; the daemon said:\n${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return JSON.parse(this.stdout.slice(before)) as DaemonStatus;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.exited;
  }
}

/** A folder with a space in its name, closed to others, that goes away with its daemons. */
export class DaemonFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'lockstep daemon '));
  readonly socket = join(this.path, 'kernel');
  readonly state = join(this.path, 'state');
  /** In a folder without one: a log device's name is a word of the constructor. */
  readonly #logFolder = mkdtempSync(join(tmpdir(), 'lockstep-log-'));
  readonly log = join(this.#logFolder, 'log');
  readonly #daemons: DaemonProcess[] = [];

  start(...argv: string[]): DaemonProcess {
    const base = ['--transport', 'local', '--simulated-kernel', this.socket, '--state-dir', this.state];
    return this.run([...base, ...argv]);
  }

  run(argv: readonly string[], script?: string): DaemonProcess {
    const daemon = new DaemonProcess(argv, script);
    this.#daemons.push(daemon);
    return daemon;
  }

  async remove(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.kill();
    rmSync(this.path, { recursive: true, force: true });
    rmSync(this.#logFolder, { recursive: true, force: true });
  }
}

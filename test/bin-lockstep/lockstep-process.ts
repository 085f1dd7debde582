/** The real `lockstep`, run to its end or watched. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const program = fileURLToPath(new URL('../../dist/bin/lockstep.js', import.meta.url));
const waitMsMax = 60_000;

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Standard streams are pipes: not a terminal. */
export function lockstep(...argv: string[]): Promise<Ran> {
  return lockstepAs({}, ...argv);
}

export function lockstepAs(env: Record<string, string>, ...argv: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...argv], { env: { ...process.env, LOCKSTEP_SOCKET: '', ...env } });
    const ran = { stdout: '', stderr: '' };
    child.stdout.on('data', (bytes: Buffer) => {
      ran.stdout += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      ran.stderr += bytes.toString();
    });
    child.on('close', (code) => resolve({ code, ...ran }));
  });
}

/** One that goes on until it is stopped. */
export class Watched {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';

  constructor(...argv: string[]) {
    this.child = spawn(process.execPath, [program, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (bytes: Buffer) => {
      this.stdout += bytes.toString();
    });
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.stderr += bytes.toString();
    });
  }

  async says(pattern: RegExp, where: 'stdout' | 'stderr' = 'stdout'): Promise<void> {
    const deadline = Date.now() + waitMsMax;
    while (!pattern.test(this[where])) {
      if (Date.now() > deadline)
        throw new Error(`lockstep did not say ${pattern}; it said:\n${this.stdout}${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  stop(): Promise<number | null> {
    return new Promise((resolve) => {
      this.child.on('close', (code) => resolve(code));
      this.child.kill('SIGINT');
    });
  }
}

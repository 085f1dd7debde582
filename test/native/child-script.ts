/**
 * Runs a script with the built handles in a process of its own, for tests of what happens when a process ends, is
 * killed, or should not end. The script finds the handles' folder in `native` and its arguments in `args`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const native = new URL('../../dist/native/', import.meta.url).href;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class ChildScript {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(body: string, args: readonly string[] = []) {
    const script = `const native = ${JSON.stringify(native)};
      const args = process.argv.slice(1);
      const { addon } = await import(native + 'addon.js');
      const { FrameChannel } = await import(native + 'frame-channel.js');
      const { NativeLogDevice } = await import(native + 'log-device.js');
      const { NativeLogImage } = await import(native + 'log-image.js');
      const { NativeLogStates } = await import(native + 'log-state.js');
      const { NativeRegionMap } = await import(native + 'region-map.js');
      const { lockPidFile } = await import(native + 'process.js');
      ${body}`;
    this.process = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', script, '--', ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.process.stdout?.on('data', (data: Buffer) => {
      this.stdout += data;
    });
    this.process.stderr?.on('data', (data: Buffer) => {
      this.stderr += data;
    });
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code, signal) => resolve({ code, signal }));
    });
  }

  /** Waits until the script has printed `text`; fails when it ends before. */
  async printed(text: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = () => this.stdout.includes(text) && resolve();
      this.process.stdout?.on('data', look);
      this.process.on('close', () => reject(new Error(`ended before it printed ${text}: ${this.stderr}`)));
      look();
    });
  }
}

/** Runs the script to its end. */
export async function runScript(
  body: string,
  args: readonly string[] = [],
): Promise<Ended & { stdout: string; stderr: string }> {
  const child = new ChildScript(body, args);
  const ended = await child.ended;
  return { ...ended, stdout: child.stdout, stderr: child.stderr };
}

/** A folder for one test, closed to others, with a space in its name. */
export class TestFolder {
  readonly path: string;

  constructor() {
    const parent = mkdtempSync(join(tmpdir(), 'lockstep-native-'));
    this.path = join(parent, 'a folder');
    mkdirSync(this.path, { mode: 0o700 });
  }
  file(name: string): string {
    return join(this.path, name);
  }
  remove(): void {
    rmSync(join(this.path, '..'), { recursive: true, force: true });
  }
}

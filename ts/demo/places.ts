/**
 * Files of one demonstration: a folder for legs, log and sockets, and a folder for the daemon's state records on a tmpfs,
 * where they would be on a real host. Made, filled and removed here.
 */
import { randomFillSync } from 'node:crypto';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { open, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const logFileBytes = 1 << 20;
const chunkBytes = 4 << 20;
const memoryFolder = '/dev/shm';

export class Places {
  readonly folder: string;
  readonly stateFolder: string;
  readonly legs: readonly [string, string];
  /** Relative to the folder: a mirror's table separates its words by blanks, which a temporary folder may have. */
  readonly logName = './log';
  readonly logDevice: string;
  readonly socket: string;
  readonly statusFile: string;
  readonly #stateRoot: string;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'lockstep-demo-'));
    this.#stateRoot = mkdtempSync(join(writable(memoryFolder) ? memoryFolder : tmpdir(), 'lockstep-demo-state-'));
    this.stateFolder = join(this.#stateRoot, 'logs');
    this.legs = [join(this.folder, 'leg-a'), join(this.folder, 'leg-b')];
    this.logDevice = join(this.folder, this.logName);
    const sockets = join(this.folder, 'kernel');
    mkdirSync(sockets, { mode: 0o700 });
    this.socket = join(sockets, 'socket');
    this.statusFile = join(this.folder, 'status.json');
  }

  /** Leg A holds something, leg B nothing; the log device is empty. */
  async make(bytes: number): Promise<void> {
    for (const path of [...this.legs, this.logDevice]) await writeFile(path, '');
    await truncate(this.legs[1], bytes);
    await truncate(this.logDevice, logFileBytes);
    const leg = await open(this.legs[0], 'w');
    const chunk = randomFillSync(Buffer.alloc(Math.min(chunkBytes, bytes)));
    for (let at = 0; at < bytes; at += chunk.length) {
      // Each chunk begins with its own place, so that a copy that lands elsewhere shows.
      chunk.writeDoubleLE(at, 0);
      await leg.write(chunk, 0, chunk.length, at);
    }
    await leg.close();
  }

  /** What a reboot does to a tmpfs. */
  forgetState(): void {
    rmSync(this.#stateRoot, { recursive: true, force: true });
    mkdirSync(this.#stateRoot, { mode: 0o700 });
  }

  remove(): void {
    for (const path of [this.folder, this.#stateRoot]) rmSync(path, { recursive: true, force: true });
  }
}

function writable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

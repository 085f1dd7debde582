/**
 * Log devices of the bench: files on a disk, written out before anything is measured, so that no write allocates. In
 * /var/tmp, which is on a disk by convention; the path goes into a constructor's text, so it must have no blanks.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const parent = '/var/tmp';
const blockBytes = 4096;
const headBytes = 1024;
const chunk = Buffer.alloc(1 << 20);

/** Blocks of 4 KiB that a log of so many regions takes. */
export const logBlocks = (regions) => Math.ceil((headBytes + regions / 8) / blockBytes);

/** Bytes of the smallest write that makes a mark durable: a block, or the whole area of a small log. */
export const leastBytes = (regions) => Math.min(blockBytes, Math.ceil((headBytes + regions / 8) / 512) * 512);

export class LogFiles {
  #folder = mkdtempSync(join(parent, 'lockstep-bench-'));
  #count = 0;

  constructor() {
    process.on('exit', () => this.remove());
  }

  /** A new file with room for a log of so many regions. */
  file(regions) {
    this.#count += 1;
    const path = join(this.#folder, `log-${this.#count}`);
    this.wipe(path, regions);
    return path;
  }

  /** Makes it an empty device again, in place: no log there, no region marked. */
  wipe(path, regions) {
    const fd = openSync(path, existsSync(path) ? 'r+' : 'w');
    let left = logBlocks(regions) * blockBytes;
    for (; left > 0; left -= chunk.length) writeSync(fd, chunk, 0, Math.min(left, chunk.length));
    fsyncSync(fd);
    closeSync(fd);
  }

  /** Device and file system that they lie on, for the report. */
  get place() {
    const options = ['--output=source,fstype', this.#folder];
    return execFileSync('df', options, { encoding: 'utf8' }).trim().split('\n').at(-1).replace(/ +/, ', ');
  }

  /** Why nothing durable can be measured here, or ''. */
  get reasonAgainst() {
    return this.place.endsWith('tmpfs') ? `${parent} is no disk (${this.place})` : '';
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

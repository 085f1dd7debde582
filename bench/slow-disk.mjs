/**
 * A guest's disk that is slow on purpose: 200 MB/s and 1 ms a flush, like a disk with a volatile cache behind a bus. Its
 * bytes are in memory; it is served over NBD by a process of its own (slow-disk-server.mjs). Has the methods that
 * runInMachine (test/vm/machine.mjs) asks of disks.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const serverProgram = fileURLToPath(new URL('slow-disk-server.mjs', import.meta.url));

export class SlowDisk {
  #folder = mkdtempSync(join(tmpdir(), 'lockstep-slow-'));
  #mebibytes;
  #server = null;

  constructor(mebibytes) {
    this.#mebibytes = mebibytes;
  }

  /** No image file: nobody looks at it afterwards. */
  paths = [];

  start() {
    const socket = join(this.#folder, 'disk');
    const server = fork(serverProgram, [String(this.#mebibytes), socket], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('message', resolve);
      server.once('exit', (code) => reject(new Error(`the slow disk's server ended with ${code}`)));
    });
  }

  arguments() {
    const socket = join(this.#folder, 'disk').replaceAll(',', ',,');
    const file = `file.driver=nbd,file.server.type=unix,file.server.path=${socket}`;
    return ['-blockdev', `driver=raw,node-name=slow,${file}`, '-device', 'virtio-blk-pci,drive=slow,serial=slow'];
  }

  async settle() {}

  remove() {
    this.#server?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

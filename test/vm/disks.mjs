/**
 * The disks of virtual machines: image files, and for those with a volatile cache a server process each. Disks outlive
 * the machine that uses them, so that another can boot on what a power cut or a kill has left.
 *
 * A disk is given as its size in MiB, or as an object:
 *
 *   mebibytes   size
 *   volatile    true: what no flush covered is lost, torn or kept by chance at a power cut
 *   destageMs   what was written that long before a cut is not lost: a cache that is written back by itself
 *   shared      true: several machines use it at once; what they write goes around this machine's cache, where its file system can
 *   device      more properties of the QEMU device, for example 'logical_block_size=4096'
 */
import { fork } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const serverProgram = fileURLToPath(new URL('disk-server.mjs', import.meta.url));
/** What a Unix socket's path has room for. */
const socketPathBytesMax = 107;
const orderLimitMs = 60_000;

const open = new Set();
process.on('exit', () => {
  for (const disks of open) disks.remove();
});

/** A value inside a QEMU option list. */
const comma = (text) => text.replaceAll(',', ',,');

export class Disks {
  #folder = mkdtempSync(join(tmpdir(), 'lockstep-disks-'));
  #list;

  constructor(specs) {
    open.add(this);
    this.#list = specs.map((given, i) => {
      const spec = typeof given === 'number' ? { mebibytes: given } : given;
      const path = join(this.#folder, `disk${i}`);
      writeFileSync(path, '');
      truncateSync(path, spec.mebibytes << 20);
      return { ...spec, path, socket: spec.volatile ? join(this.#folder, `socket${i}`) : '', server: null };
    });
  }

  /** Image files, in the guest's order. Of volatile disks they are right after `settle` or `cut`, until the next boot. */
  get paths() {
    return this.#list.map(({ path }) => path);
  }

  /** False where the folder's file system has no way around this machine's cache. */
  get direct() {
    return this.#list.every(({ path }) => opensDirect(path));
  }

  /** Starts what is not running yet. */
  async start() {
    for (const disk of this.#list) {
      if (!disk.volatile || disk.server !== null) continue;
      if (Buffer.byteLength(disk.socket) > socketPathBytesMax)
        throw new Error(`path too long for a socket: ${disk.socket}`);
      disk.server = fork(serverProgram, [disk.path, disk.socket, String(disk.destageMs ?? '')], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      await answer(disk);
    }
  }

  /** Arguments for QEMU; after `start`. */
  arguments() {
    return this.#list.flatMap(({ path, socket, shared, device }, i) => {
      const plain = `file.driver=file,file.filename=${comma(path)}`;
      const sharing = `,file.locking=off${opensDirect(path) ? ',cache.direct=on' : ''}`;
      const file = socket
        ? `file.driver=nbd,file.server.type=unix,file.server.path=${comma(socket)}`
        : `${plain}${shared ? sharing : ''}`;
      return [
        ...['-blockdev', `driver=raw,node-name=disk${i},${file}`],
        ...['-device', `virtio-blk-pci,drive=disk${i},serial=disk${i}${device ? `,${device}` : ''}`],
      ];
    });
  }

  /** The power stayed on: everything that was written is in the image files. */
  async settle() {
    for (const disk of this.#list) if (disk.server) await ordered(disk, { settle: true });
  }

  /**
   * The power fails, on all disks at once. The machine must be dead.
   * @param {number} seed
   * @param {number} atMs when it died, by Date.now()
   * @returns {Promise<{ unflushedWrites: number, lostSectors: number }[]>} of each disk; zeroes for those that lose nothing
   */
  async cut(seed, atMs) {
    const reports = [];
    for (const [i, disk] of this.#list.entries()) {
      const report = disk.server
        ? await ordered(disk, { cut: seed + i, atMs })
        : { unflushedWrites: 0, lostSectors: 0 };
      reports.push(report);
    }
    return reports;
  }

  /** Ends the servers and deletes the images. */
  remove() {
    open.delete(this);
    for (const { server } of this.#list) server?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function opensDirect(path) {
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_DIRECT));
    return true;
  } catch {
    return false;
  }
}

function ordered(disk, order) {
  disk.server.send(order);
  return answer(disk);
}

/** The server's next message; it must not end before. */
function answer({ server, path }) {
  return new Promise((resolve, reject) => {
    const done = (end, value) => {
      clearTimeout(timer);
      server.off('message', told);
      server.off('exit', ended);
      end(value);
    };
    const told = (message) => done(resolve, message);
    const ended = (code) => done(reject, new Error(`the server of ${path} ended with ${code}`));
    const timer = setTimeout(() => done(reject, new Error(`hung: the server of ${path}`)), orderLimitMs);
    server.on('message', told);
    server.on('exit', ended);
  });
}

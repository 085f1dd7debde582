/**
 * A network that only some virtual machines share: a switch in this process, to which each machine's QEMU connects over a Unix
 * socket of its own. Nothing of it touches this machine's own network, and no port is taken.
 *
 * Machines are told apart by number, from 1; the last byte of a machine's address on the wire is its number. A machine can be
 * unplugged (`unplug`) and plugged in again. Frames for a machine that does not take them are lost, as on any network.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why machines can have no network here; '' when they can. */
export function reasonAgainstNetwork() {
  const { stdout } = spawnSync('qemu-system-x86_64', ['-M', 'none', '-netdev', 'help'], { encoding: 'utf8' });
  return /^stream$/m.test(stdout ?? '') ? '' : 'this QEMU connects to no Unix socket (-netdev stream, from 7.2)';
}

/** What QEMU puts before each frame: its length, 32 bits, big-endian. */
const lengthBytes = 4;
/** What may wait for a machine that takes nothing; beyond it frames are lost. */
const waitingBytesMax = 4 << 20;
/** First byte of an address on the wire, lowest bit: for all, or for many. */
const forMany = 1;
const addressLastByte = 5;

const open = new Set();
process.on('exit', () => {
  for (const network of open) network.remove();
});

export class Network {
  #folder = mkdtempSync(join(tmpdir(), 'lockstep-net-'));
  /** Of each machine: its server, and its connection while it runs. */
  #ports = new Map();

  constructor() {
    open.add(this);
  }

  /** Arguments for the QEMU of machine `number`; it can connect from now on. */
  async arguments(number) {
    if (!this.#ports.has(number)) await this.#listen(number);
    const address = `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`;
    return [
      ...['-netdev', `stream,id=net,server=off,addr.type=unix,addr.path=${this.#path(number).replaceAll(',', ',,')}`],
      ...['-device', `virtio-net-pci,netdev=net,mac=${address},romfile=`],
    ];
  }

  /** `unplugged`: nothing reaches this machine, and nothing comes from it. */
  unplug(number, unplugged = true) {
    this.#ports.get(number).unplugged = unplugged;
  }

  remove() {
    open.delete(this);
    for (const { server, socket } of this.#ports.values()) {
      socket?.destroy();
      server.close();
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #path(number) {
    return join(this.#folder, `machine${number}`);
  }

  #listen(number) {
    const port = { server: createServer(), socket: null, unplugged: false };
    this.#ports.set(number, port);
    port.server.on('connection', (socket) => {
      port.socket = socket;
      let rest = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        rest = this.#forward(port, rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk);
      });
      // A machine that is killed resets its connection.
      socket.on('error', () => {});
      socket.on('close', () => {
        if (port.socket === socket) port.socket = null;
      });
    });
    return new Promise((resolve, reject) => {
      port.server.on('error', reject);
      port.server.listen(this.#path(number), resolve);
    });
  }

  /** Passes on all whole frames; returns the rest. */
  #forward(from, bytes) {
    let at = 0;
    while (bytes.length - at >= lengthBytes) {
      const end = at + lengthBytes + bytes.readUInt32BE(at);
      if (end > bytes.length) break;
      if (!from.unplugged) this.#send(from, bytes.subarray(at, end));
      at = end;
    }
    return bytes.subarray(at);
  }

  #send(from, framed) {
    const address = framed.subarray(lengthBytes, lengthBytes + addressLastByte + 1);
    const to = address[0] & forMany ? [...this.#ports.values()] : [this.#ports.get(address[addressLastByte])];
    for (const port of to) {
      if (!port?.socket || port === from || port.unplugged) continue;
      if (port.socket.writableLength < waitingBytesMax) port.socket.write(framed);
    }
  }
}

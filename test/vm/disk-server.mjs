/**
 * The process behind one disk with a volatile write cache: `fork`ed with IMAGE, SOCKET and, where the cache is
 * written back by itself, the milliseconds after which it is, it serves the image over
 * NBD on the Unix socket and takes its orders from the parent as messages. A process of its own, so that the parent's
 * work does not slow the disk down.
 *
 * | message             | does                                                        | answers                          |
 * | ------------------- | ----------------------------------------------------------- | -------------------------------- |
 * | { cut: seed, atMs } | power cut: drops the connections and part of what no flush  | { unflushedWrites, lostSectors } |
 * |                     | covered, writes the image. atMs: Date.now() of the cut      |                                  |
 * | { settle: true }    | the power stayed on: everything is kept, writes the image   | {}                               |
 *
 * It ends with its parent. The image file is right only after an answer.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { Prng } from '../../dist/sim/prng.js';
import { serveNbd } from './nbd.mjs';
import { VolatileCache } from './volatile-cache.mjs';

const [image, socketPath, destageMs] = process.argv.slice(2);
const cache = new VolatileCache(readFileSync(image), destageMs ? Number(destageMs) : undefined);
/** What the connections of one power-on see; a cut leaves them with one that is gone. */
let disk = poweredOn();
const sockets = new Set();

function poweredOn() {
  return {
    gone: false,
    bytes: cache.bytes,
    read: (offset, length) => cache.read(offset, length),
    write: (offset, data, durable) => cache.write(offset, data, durable, Date.now()),
    flush: () => cache.flush(),
  };
}

const server = createServer((socket) => {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  serveNbd(socket, disk).catch((error) => {
    console.error(`disk ${image}: ${error.stack}`);
    process.exit(1);
  });
});

process.on('message', (order) => {
  if (order.cut !== undefined) {
    disk.gone = true;
    for (const socket of sockets) socket.destroy();
    const report = cache.cut(new Prng(order.cut), order.atMs);
    disk = poweredOn();
    writeFileSync(image, cache.medium);
    process.send(report);
  } else if (order.settle) {
    cache.flush();
    writeFileSync(image, cache.medium);
    process.send({});
  }
});
process.on('disconnect', () => process.exit(0));
server.listen(socketPath, () => process.send({ ready: true }));

/**
 * The process behind a slow disk: `fork`ed with MEBIBYTES and SOCKET, it serves zeroes to begin with over NBD. Writes take
 * their time at 200 MB/s, flushes 1 ms; a wait of less than a millisecond is owed and added to the next. Ends with its parent.
 */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveNbd } from '../test/vm/nbd.mjs';

const bytesAMs = 200_000;
const flushMs = 1;

const [mebibytes, socketPath] = process.argv.slice(2);
const bytes = Buffer.alloc(Number(mebibytes) << 20);
let freeAt = 0;

/** Takes the disk for so long. Timers are of whole milliseconds: what is below is owed. */
async function take(ms) {
  const now = performance.now();
  freeAt = Math.max(now, freeAt) + ms;
  const wait = Math.floor(freeAt - now);
  if (wait > 0) await sleep(wait);
}

const disk = {
  gone: false,
  bytes: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
  async write(offset, data, durable) {
    data.copy(bytes, offset);
    await take(data.length / bytesAMs + (durable ? flushMs : 0));
  },
  flush: () => take(flushMs),
};

createServer((socket) => {
  serveNbd(socket, disk).catch((error) => {
    console.error(`slow disk: ${error.stack}`);
    process.exit(1);
  });
}).listen(socketPath, () => process.send({ ready: true }));
process.on('disconnect', () => process.exit(0));

/**
 * The server's side of the NBD protocol (fixed newstyle, simple replies), as far as QEMU and other clients of one
 * disk need it: read, write, flush, FUA. One export, whatever its name; no TLS, no structured replies, no trimming.
 *
 * Requests are served one after another in the order in which they came.
 */

const magic = { hello: 0x4e42444d41474943n, option: 0x49484156454f5054n, optionReply: 0x3e889045565a9n };
const requestMagic = 0x25609513;
const replyMagic = 0x67446698;
const option = { exportName: 1, abort: 2, info: 6, go: 7 };
const optionReply = { ack: 1, info: 3, unsupported: 0x80000001 };
/** Fixed newstyle, and no 124 zero bytes for clients that agree. */
const handshakeFlags = 1 | 2;
/** Has flags, takes flush, takes FUA. */
const exportFlags = 1 | 4 | 8;
const command = { read: 0, write: 1, disconnect: 2, flush: 3 };
const fua = 1;
const invalid = 22;
const requestBytesMax = 32 << 20;
const optionBytesMax = 64 << 10;

/** Reads whole pieces from a stream. `read` resolves to null at its end. */
class Pieces {
  #chunks = [];
  #length = 0;
  #ended = false;
  #wake = () => {};

  constructor(socket) {
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end).on('close', end).on('error', end);
  }

  async read(bytes) {
    while (this.#length < bytes) {
      if (this.#ended) return null;
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#chunks = all.length > bytes ? [all.subarray(bytes)] : [];
    this.#length = all.length - bytes;
    return all.subarray(0, bytes);
  }
}

/**
 * Serves one connection until the client goes, `disk.gone` says so, or the client talks nonsense.
 * @param {import('node:net').Socket} socket
 * @param {{ bytes: number, gone: boolean, read(offset: number, length: number): Buffer,
 *   write(offset: number, data: Buffer, durable: boolean): Promise<void> | void, flush(): Promise<void> | void }} disk
 */
export async function serveNbd(socket, disk) {
  const pieces = new Pieces(socket);
  if (await handshake(socket, pieces, disk)) while (await serveRequest(socket, pieces, disk));
  socket.destroy();
}

async function handshake(socket, pieces, disk) {
  const hello = Buffer.alloc(18);
  hello.writeBigUInt64BE(magic.hello, 0);
  hello.writeBigUInt64BE(magic.option, 8);
  hello.writeUInt16BE(handshakeFlags, 16);
  socket.write(hello);
  const flags = await pieces.read(4);
  if (flags === null) return false;
  const zeroes = (flags.readUInt32BE(0) & 2) === 0;
  for (;;) {
    const head = await pieces.read(16);
    if (head === null || head.readBigUInt64BE(0) !== magic.option) return false;
    const [kind, length] = [head.readUInt32BE(8), head.readUInt32BE(12)];
    if (length > optionBytesMax || (await pieces.read(length)) === null) return false;
    if (kind === option.exportName) {
      socket.write(Buffer.concat([exportInfo(disk).subarray(2), Buffer.alloc(zeroes ? 124 : 0)]));
      return true;
    }
    if (kind === option.go || kind === option.info) {
      sendOptionReply(socket, kind, optionReply.info, exportInfo(disk));
      sendOptionReply(socket, kind, optionReply.ack);
      if (kind === option.go) return true;
    } else if (kind === option.abort) {
      sendOptionReply(socket, kind, optionReply.ack);
      return false;
    } else {
      sendOptionReply(socket, kind, optionReply.unsupported);
    }
  }
}

/** Information of type 0: size and flags. */
function exportInfo(disk) {
  const info = Buffer.alloc(12);
  info.writeBigUInt64BE(BigInt(disk.bytes), 2);
  info.writeUInt16BE(exportFlags, 10);
  return info;
}

function sendOptionReply(socket, kind, type, data = Buffer.alloc(0)) {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(magic.optionReply, 0);
  head.writeUInt32BE(kind, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  socket.write(Buffer.concat([head, data]));
}

/** False when the connection is over. */
async function serveRequest(socket, pieces, disk) {
  const head = await pieces.read(28);
  if (head === null || head.readUInt32BE(0) !== requestMagic) return false;
  const [flags, kind, length] = [head.readUInt16BE(4), head.readUInt16BE(6), head.readUInt32BE(24)];
  const offset = Number(head.readBigUInt64BE(16));
  if (kind === command.disconnect || length > requestBytesMax) return false;
  const data = kind === command.write ? await pieces.read(length) : null;
  if (disk.gone || (kind === command.write && data === null)) return false;
  const reply = Buffer.alloc(16);
  reply.writeUInt32BE(replyMagic, 0);
  head.copy(reply, 8, 8, 16);
  const wrong = kind !== command.flush && (offset + length > disk.bytes || offset % 512 !== 0 || length % 512 !== 0);
  let payload = Buffer.alloc(0);
  if (wrong) reply.writeUInt32BE(invalid, 4);
  else if (kind === command.read) payload = Buffer.from(disk.read(offset, length));
  else if (kind === command.write) await disk.write(offset, Buffer.from(data), (flags & fua) !== 0);
  else if (kind === command.flush) await disk.flush();
  else reply.writeUInt32BE(invalid, 4);
  socket.write(payload.length > 0 ? Buffer.concat([reply, payload]) : reply);
  return true;
}

/**
 * Recorded frames as text, and the conversation that they are.
 *
 * A file has one line a frame: `> ` and the bytes of a request, `< ` and those of an answer, hexadecimal, runs of at
 * least four zero bytes as `[COUNT]`; `! ` and what the script did next; `#` and a remark.
 */

const requestNames = [
  ...['NONE', 'CTR', 'DTR', 'PRESUSPEND', 'POSTSUSPEND', 'RESUME', 'GET_REGION_SIZE', 'IS_CLEAN', 'IN_SYNC', 'FLUSH'],
  ...['MARK_REGION', 'CLEAR_REGION', 'GET_RESYNC_WORK', 'SET_REGION_SYNC', 'GET_SYNC_COUNT', 'STATUS_INFO'],
  ...['STATUS_TABLE', 'IS_REMOTE_RECOVERING'],
];
const offset = { luid: 36, uuid: 44, type: 188, size: 192, payload: 196 };
const zerosMin = 4;
const typeMask = 0xff;
const constructor = 1;

/** One recorded line, shorter. */
export function packed(line) {
  if (!/^[<>] /.test(line)) return line;
  return line.slice(0, 2) + line.slice(2).replace(/^(?:..)*$/, (hex) => packedHex(hex.match(/../g) ?? []));
}

function packedHex(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    let zeros = 0;
    while (bytes[at + zeros] === '00') zeros += 1;
    if (zeros >= zerosMin) text += `[${zeros}]`;
    else text += zeros > 0 ? '00'.repeat(zeros) : bytes[at];
    at += Math.max(1, zeros);
  }
  return text;
}

/** Every line that is no remark: `{ kind: '>' | '<' | '!', bytes, text }`. */
export function parseFrames(content) {
  const lines = content.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [kind, text] = [line[0], line.slice(2)];
    const hex = kind === '!' ? '' : text.replace(/\[(\d+)\]/g, (_, count) => '00'.repeat(Number(count)));
    return { kind, bytes: Buffer.from(hex, 'hex'), text };
  });
}

/**
 * What was asked, a line each, `! ` lines between: type, and regions or text. Luids are instance 1, 2, ... in the order
 * in which they appear; a request that comes twice in a row stands once.
 */
export function conversation(frames) {
  const luids = [];
  const lines = [];
  for (const { kind, bytes, text } of frames) {
    if (kind === '!') lines.push(`! ${text}`);
    if (kind !== '>') continue;
    const luid = bytes.toString('hex', offset.luid, offset.uuid);
    if (!luids.includes(luid)) luids.push(luid);
    const line = `${luids.indexOf(luid) + 1} ${requestText(bytes)}`;
    if (lines.at(-1) !== line) lines.push(line);
  }
  return lines;
}

function requestText(bytes) {
  const type = bytes.readUInt32LE(offset.type) & typeMask;
  const payload = bytes.subarray(offset.payload, offset.payload + bytes.readUInt32LE(offset.size));
  const words = [requestNames[type] ?? `TYPE_${type}`];
  if (type === constructor) words.push(JSON.stringify(payload.toString()));
  else for (let at = 0; at < payload.length; at += 8) words.push(String(payload.readBigUInt64LE(at)));
  return words.join(' ');
}

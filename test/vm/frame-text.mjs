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
const offset = { cnSeq: 24, luid: 36, uuid: 44, type: 188, size: 192, payload: 196 };
const zerosMin = 4;
const typeMask = 0xff;
const constructorType = 1;
const destructorType = 2;

/**
 * A recording as it is kept: shorter, and without the answers that a daemon sends at its start to whatever the kernel may
 * have asked before. Nobody has asked, and there are many.
 */
export function packed(content) {
  const lines = content.trimEnd().split('\n');
  const asked = new Set(lines.flatMap((line) => (line.startsWith('> ') ? [sequence(line)] : [])));
  const kept = [];
  for (const line of lines) {
    if (line.startsWith('! ')) kept.push(line);
    else if (line.startsWith('> ') || asked.has(sequence(line)))
      kept.push(line.slice(0, 2) + packedHex(line.slice(2).match(/../g) ?? []));
  }
  return `${kept.join('\n')}\n`;
}

const sequence = (line) => Buffer.from(line.slice(2), 'hex').readUInt32LE(offset.cnSeq);

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
 * What was asked, a line each: instance of the log, type, and regions or text; `! ` lines between. Instances are numbered
 * as they appear, and each has its own list: they run side by side in the kernel, in no order. A luid is an address in the
 * kernel, so after the destructor another instance may have the same. A request that comes again at once stands once.
 *
 * One question is left out. A constructor ends with a round of the mirror's worker, which asks for the count; that round
 * runs beside what the constructor's caller does next, so it comes before RESUME or after it, or as one with the first
 * round of the resume. The simulated kernel's worker runs from the resume on and never asks it.
 */
export function conversation(frames) {
  const notes = [];
  const instances = [];
  /** Those that have not been destroyed, by luid. */
  const alive = new Map();
  for (const { kind, bytes, text } of frames) {
    if (kind === '!') {
      notes.push(`! ${text}`);
      for (const { lines } of instances) lines.push(`! ${text}`);
    }
    if (kind !== '>') continue;
    const luid = bytes.toString('hex', offset.luid, offset.uuid);
    if (!alive.has(luid)) {
      const instance = { number: instances.length + 1, lines: [...notes] };
      instances.push(instance);
      alive.set(luid, instance);
    }
    const { number, lines } = alive.get(luid);
    const line = `${number} ${requestText(bytes)}`;
    if (lines.at(-1) !== line) lines.push(line);
    if (requestType(bytes) === destructorType) alive.delete(luid);
  }
  return instances.flatMap(({ number, lines }) => withoutConstructorRound(number, lines));
}

function withoutConstructorRound(number, lines) {
  const asked = lines.indexOf(`${number} GET_SYNC_COUNT`);
  const recovery = lines.indexOf(`${number} GET_RESYNC_WORK`);
  return recovery >= 0 && recovery < asked ? lines : lines.filter((_, at) => at !== asked);
}

const requestType = (bytes) => bytes.readUInt32LE(offset.type) & typeMask;

function requestText(bytes) {
  const type = requestType(bytes);
  const payload = bytes.subarray(offset.payload, offset.payload + bytes.readUInt32LE(offset.size));
  const words = [requestNames[type] ?? `TYPE_${type}`];
  if (type === constructorType) words.push(JSON.stringify(payload.toString()));
  else for (let at = 0; at < payload.length; at += 8) words.push(String(payload.readBigUInt64LE(at)));
  return words.join(' ');
}

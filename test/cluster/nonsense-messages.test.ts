/**
 * Messages that the codec takes and no member of this version would send: what they name is nonsense. They may end a membership, they
 * must not end a daemon, and what all members have had they must have made the same of.
 */
import { expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
} from '../../ts/base/ulog-frames.js';
import { emptyMessage, encodedBytesMax, encodeMessage, MessageReader } from '../../ts/cluster/message-codec.js';
import { type LogMessage, MessageType } from '../../ts/mirror/messages.js';
import { Prng } from '../../ts/sim/prng.js';
import { type Group, groupWith } from '../mirror/cluster-host.js';
import { mirrorA } from '../mirror/host.js';

const seeds = 150;
const first = 1;
const odd = [
  0,
  1,
  2,
  3,
  4,
  5,
  7,
  8,
  31,
  32,
  63,
  64,
  65,
  127,
  128,
  255,
  4095,
  2 ** 20,
  2 ** 31,
  2 ** 32 - 2,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 40,
  Number.MAX_SAFE_INTEGER,
];
const types = Object.values(MessageType);

function spoilJson(prng: Prng, value: unknown): unknown {
  if (Array.isArray(value)) {
    const list = [...value];
    if (list.length === 0) return prng.chance(0.3) ? [prng.pick(odd)] : list;
    const at = prng.below(list.length);
    if (prng.chance(0.15)) list.push(list[at]);
    else if (prng.chance(0.1)) list.splice(at, 1);
    else list[at] = spoilJson(prng, list[at]);
    return list;
  }
  if (typeof value === 'object' && value !== null) {
    const copy: Record<string, unknown> = { ...value };
    const key = prng.pick(Object.keys(copy));
    if (prng.chance(0.08)) delete copy[key];
    else copy[key] = spoilJson(prng, copy[key]);
    return copy;
  }
  if (typeof value === 'number') return prng.pick([...odd, -1, value + 1, value - 1, 0.5]);
  if (typeof value === 'boolean') return prng.chance(0.8) ? !value : 7;
  if (value === null) return prng.pick(['active', 'joining', 'halted']);
  return prng.pick(['', 'active', 'halted', 'joining', 'x'.repeat(200), 'node1', 'node2', 'é\u0000']);
}

function spoilBytes(prng: Prng, message: LogMessage): void {
  const bytes = Buffer.from(message.bytes.subarray(0, message.byteCount));
  if (message.type === MessageType.report && prng.chance(0.9)) {
    let said: unknown = JSON.parse(bytes.toString('utf8'));
    for (let times = prng.between(1, 3); times > 0; times--) said = spoilJson(prng, said);
    const text = Buffer.from(JSON.stringify(said) ?? 'null', 'utf8');
    message.bytes = text;
    message.byteCount = text.length;
    return;
  }
  for (let times = prng.between(1, 4); times > 0 && bytes.length > 0; times--) {
    const at = prng.below(bytes.length);
    bytes[at] = prng.below(256);
  }
  const cut = prng.chance(0.2) ? prng.below(bytes.length + 1) : bytes.length;
  message.bytes = bytes.subarray(0, cut);
  message.byteCount = cut;
}

function spoil(prng: Prng, message: LogMessage): void {
  const what = prng.below(8);
  if (what === 0) message.type = prng.pick(types);
  else if (what === 1) message.flag = prng.pick(odd);
  else if (what === 2)
    message.uuid = prng.pick(['', 'LVM-mirror-b', mirrorA.uuid, `${mirrorA.uuid}\u0000`, '\ufffd'.repeat(128)]);
  else if (what === 3 || message.byteCount === 0) {
    const count = prng.below(5);
    message.regions = Float64Array.from({ length: count }, () => prng.pick([...odd, prng.below(64)]));
    message.count = count;
  } else if (what < 7) spoilBytes(prng, message);
  else {
    spoilBytes(prng, message);
    message.flag = prng.pick(odd);
  }
}

/** As the wire gives it to those who hear it; null: it is refused, and its sender goes. */
function overTheWire(message: LogMessage): LogMessage | null {
  const buffer = Buffer.alloc(encodedBytesMax(message));
  let end = 0;
  try {
    end = encodeMessage(message, buffer, 0, null);
  } catch {
    return null;
  }
  const reader = new MessageReader();
  reader.open(buffer, 0, end, message.node);
  return reader.next() ? { ...emptyMessage(), ...reader.message } : null;
}

function tamperWith(group: Group, prng: Prng, chance: number): void {
  group.tamper = (message) => {
    if (!prng.chance(chance)) return;
    const spoiled = { ...message, regions: message.regions.slice(0, message.count) };
    try {
      spoil(prng, spoiled);
    } catch {
      return;
    }
    const heard = overTheWire(spoiled);
    if (heard !== null) Object.assign(message, heard);
  };
}

function act(group: Group, prng: Prng): void {
  const node = prng.pick([1, 2, 3]);
  const what = prng.below(24);
  const region = prng.below(64);
  const ask = (type: number, payload: readonly number[] = []) => group.host(node).send(type, mirrorA, payload);
  if (what < 5) ask(DM_ULOG_MARK_REGION, [region]);
  else if (what < 9) ask(DM_ULOG_FLUSH, [region]);
  else if (what < 12) ask(DM_ULOG_CLEAR_REGION, [region]);
  else if (what < 14) ask(DM_ULOG_GET_RESYNC_WORK);
  else if (what < 16) ask(DM_ULOG_SET_REGION_SYNC, [region, prng.below(2)]);
  else if (what === 16) ask(DM_ULOG_IN_SYNC, [region]);
  else if (what === 17) ask(DM_ULOG_IS_REMOTE_RECOVERING, [region]);
  else if (what === 18) ask(DM_ULOG_STATUS_INFO);
  else if (what === 19) {
    ask(DM_ULOG_PRESUSPEND);
    group.settle();
    if (prng.chance(0.5)) ask(DM_ULOG_POSTSUSPEND);
  } else if (what === 20) {
    group.killDaemon(node);
    if (prng.chance(0.5)) group.settle();
    group.join(node);
  } else if (what === 21) {
    group.loseGroup(node);
    if (prng.chance(0.5)) group.settle();
    group.join(node);
  } else if (what === 22) {
    const other = prng.pick([1, 2, 3]);
    group.host(node).service.confirmDead(other, null, group.host(node).nowMs);
  } else group.quorum(prng.chance(0.7));
}

test(`nonsense ends no daemon: ${seeds} seeds`, { timeout: 600_000 }, () => {
  const found: string[] = [];
  for (let seed = first; seed < first + seeds; seed++) {
    const prng = new Prng(seed);
    const text = prng.chance(0.5) ? '512 clustered-disk /dev/log 8 nosync' : '512 clustered-core 8 sync';
    const { group } = groupWith(text, [1, 2, 3], { settings: { stickyMax: prng.pick([0, 64]) } });
    tamperWith(group, prng, prng.pick([0.05, 0.2, 0.5]));
    try {
      for (let step = 0; step < 60; step++) {
        act(group, prng);
        if (prng.chance(0.6)) group.settle();
        if (prng.chance(0.1)) group.wait(300);
      }
    } catch (error) {
      const { message, stack = '' } = error as Error;
      if (/does not come to rest/.test(message)) found.push(`seed ${seed}: ${message}`);
      else found.push(`seed ${seed}: ${message} ${stack.split('\n').slice(1, 5).join(' | ')}`);
    }
  }
  expect(found).toEqual([]);
});

/**
 * Requests that no honest kernel sends: each must be refused with an error and change nothing; and questions that come
 * twice. They carry sequence numbers of their own, far from the kernel's.
 */
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_SET_REGION_SYNC,
  FrameOffset,
} from '../base/ulog-frames.js';
import { encodeRequest, encodeValues } from '../base/ulog-kernel-frames.js';
import type { Host } from './host.js';
import type { SimMirror } from './mirror.js';

const firstSeq = 0xf0000000;
const frameBytes = 2048;
const nothing = Buffer.alloc(0);

interface NamedLog {
  readonly uuid: string;
  readonly luidHigh: number;
  readonly luidLow: number;
  readonly regionCount: number;
}

/** What one frame says: a log, a type and a payload. */
interface Hostile {
  readonly type: number;
  readonly payload: Buffer;
  readonly uuid: string;
  readonly luidHigh: number;
  readonly luidLow: number;
}

export function injectHostile(host: Host): boolean {
  const logs = [...host.mirrors.values()].flatMap((mirror) => mirror.device?.live?.log ?? []);
  if (logs.length === 0 || host.daemon?.running !== true) return false;
  for (let i = 0; i < 6; i++) {
    const frame = Buffer.alloc(frameBytes);
    const hostile = choose(host, host.prng.pick(logs));
    host.hostileRequests += 1;
    const length = encodeRequest(frame, 0, {
      ...hostile,
      uuid: Buffer.from(hostile.uuid),
      seq: firstSeq + host.hostileRequests,
    });
    if (host.prng.chance(0.15)) contradict(frame);
    host.inject(frame.subarray(0, length), length);
  }
  return true;
}

/** A question that the kernel has asked before comes a second time, of a region that is out of sync when there is one. */
export function repeatQuestion(host: Host, mirror: SimMirror): void {
  const log = mirror.device?.live?.log;
  const map = log === undefined ? undefined : host.states?.find(log.key)?.map.inner;
  if (log === undefined || map === undefined || host.daemon?.running !== true) return;
  const region = Math.max(0, map.nextOutOfSync(0));
  const frame = Buffer.alloc(frameBytes);
  host.hostileRequests += 1;
  const { uuidBytes: uuid, luidHigh, luidLow } = log;
  const seq = firstSeq + host.hostileRequests;
  const payload = encodeValues([region]);
  const length = encodeRequest(frame, 0, { seq, type: DM_ULOG_IN_SYNC, luidHigh, luidLow, uuid, payload });
  host.inject(frame.subarray(0, length), length, false);
}

/** Requests that name a region, and what follows it in their payload. */
const regionRequests: readonly (readonly [number, readonly number[]])[] = [
  [DM_ULOG_IS_CLEAN, []],
  [DM_ULOG_IN_SYNC, []],
  [DM_ULOG_MARK_REGION, []],
  [DM_ULOG_CLEAR_REGION, []],
  [DM_ULOG_FLUSH, []],
  [DM_ULOG_SET_REGION_SYNC, [1]],
  [DM_ULOG_IS_REMOTE_RECOVERING, []],
];

const anyRequests = [
  ...regionRequests.map(([type]) => type),
  DM_ULOG_DTR,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_GET_RESYNC_WORK,
];

const badConstructors = [
  '',
  'x',
  '100',
  '100 clustered-core',
  '100 clustered-disk',
  '100 clustered-disk /dev/none',
  '0 clustered-core 8',
  '100 clustered_core 8',
  '100 clustered-core 0',
  '100 clustered-core 8 sync sync sync',
];

function choose(host: Host, log: NamedLog): Hostile {
  const { prng } = host;
  const [type, tail] = prng.pick(regionRequests);
  const { uuid, luidHigh, luidLow } = log;
  const region = prng.below(log.regionCount);
  switch (prng.below(6)) {
    case 0: {
      const outside = prng.pick([log.regionCount, log.regionCount + 1, 2 ** 40, -1]);
      const alone =
        type === DM_ULOG_SET_REGION_SYNC ||
        type === DM_ULOG_IN_SYNC ||
        type === DM_ULOG_IS_CLEAN ||
        type === DM_ULOG_IS_REMOTE_RECOVERING;
      return { type, uuid, luidHigh, luidLow, payload: encodeValues([...(alone ? [] : [region]), outside, ...tail]) };
    }
    case 1:
      return {
        type,
        uuid,
        luidHigh,
        luidLow,
        payload: encodeValues([region, ...tail]).subarray(0, prng.between(1, 7)),
      };
    case 2:
      return { type: prng.pick(anyRequests), uuid: `${uuid}-none`, luidHigh, luidLow, payload: encodeValues([region]) };
    case 3: {
      // The luid of a table that is gone: nothing may reach the one that took its place.
      const stale = { luidHigh, luidLow: luidLow + 8 };
      const any = prng.pick(anyRequests);
      const tailOf = regionRequests.find(([known]) => known === any)?.[1];
      return { type: any, uuid, ...stale, payload: tailOf === undefined ? nothing : encodeValues([region, ...tailOf]) };
    }
    case 4:
      return { type: prng.pick([0, 18, 200, 255]), uuid, luidHigh, luidLow, payload: nothing };
    default:
      return {
        type: DM_ULOG_CTR,
        uuid: `${uuid}-bad`,
        luidHigh,
        luidLow,
        payload: Buffer.from(prng.pick(badConstructors)),
      };
  }
}

/** Makes the lengths inside the frame disagree. */
function contradict(frame: Buffer): void {
  frame.writeUInt32LE(frame.readUInt32LE(FrameOffset.dataSize) + 400, FrameOffset.dataSize);
}

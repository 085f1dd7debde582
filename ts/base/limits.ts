/**
 * Every limit of the TypeScript side, in one place, with the arithmetic that ties them together.
 *
 * `cpp/core/limits.h` holds the same numbers for the native side; a test compares the two files. What happens
 * when a limit is reached is written where the limit is used.
 */

/** Bytes of a kernel log request's header (`dm_ulog_request`). */
export const requestHeaderBytes = 160;
/** Bytes before that header: netlink header (16) and connector header (20). */
export const frameHeaderBytes = 36;
/** Offset of a frame's payload. */
export const framePayloadOffset = frameHeaderBytes + requestHeaderBytes;
/** The longest frame that is received or sent. */
export const frameBytesMax = 2048;
export const payloadBytesMax = frameBytesMax - framePayloadOffset;
/** Regions that fit a frame; the kernel sends at most 32. */
export const payloadRegionsMax = Math.floor(payloadBytesMax / 8);
/** Bytes of a uuid, without its NUL. */
export const uuidBytesMax = 128;
/** Bytes of a constructor's text, without its NUL: what a 1024-byte request has room for. */
export const constructorBytesMax = 864;
/** Bytes of a device name in a constructor's answer, NUL included (`DM_NAME_LEN`). */
export const deviceNameBytesMax = 128;

/** Regions of one log. */
export const regionCountMax = 2 ** 32;
/** Logs of one daemon, pending ones included. Beyond it a constructor gets -ENOMEM. */
export const logsMax = 4096;

/** Where the clean bits of a disk log begin, and the block in which changes are written. */
export const logBitsOffset = 1024;
export const logBlockBytes = 4096;
/** The longest single read of a log device. */
export const logReadBytesMax = 1024 * 1024;

/** Regions that one message of the ordered stream carries. */
export const messageRegionsMax = 256;
/** Sequence numbers remembered for one pending operation; the oldest is dropped, its waiter in the kernel is gone. */
export const resendsMax = 8;
/** Different flushes of one log that wait; further ones join the newest. */
export const flushWaitersMax = 64;
/**
 * Sequence numbers of one of them; the oldest is forgotten. The kernel has two flushes of a log in flight, its worker's and a
 * delayed one, so this holds four hours of their repetitions.
 */
export const flushSeqsMax = 1024;
/** SET_REGION_SYNC requests of one log on their way through the stream; further ones get -EAGAIN. */
export const syncChangesMax = 64;
/** Priority wishes of one log; the oldest is forgotten (the ordinary search finds its region). */
export const wishesMax = 1024;
/** A log whose kernel has said nothing for so long may be gone, when that kernel speaks of another in its place. */
export const quietMsMax = 10_000;
/** Bytes of a log's member table in its state record. */
export const memberTableBytesMax = 880;
/** Members of one log: what such a table has room for. A further one is refused. */
export const membersMax = 58;
/** Regions found out of sync by this kernel that a state record names; of more it says "more". */
export const foundMax = 256;
/** Logs that nobody has, of which it is remembered who had them last. Most of them are gone for good. */
export const leftLogsMax = 1024;
/** Where a report of what a daemon knows of all logs goes on in the next message. */
export const reportBytesMax = 2 ** 20;
/** Regions that one chunk of a transfer covers at most: 128 KiB of bits, twice. */
export const chunkRegionsMax = 2 ** 20;
/** Owners that one chunk of a transfer carries; where there are more, it covers fewer regions. */
export const chunkOwnersMax = 8192;
/** Regions of one log that only one node may recover (R10); further ones bar all others from recovering anything. */
export const restrictedMax = 65_536;
/** Regions that one step of the sweep after a restart looks at. */
export const sweepRegionsMax = 4096;
/** Regions whose release is on its way when a sweep waits for that: the group may take nothing for long. */
export const sweptOnTheWayMax = 65_536;
/** Regions of one read of a log device that it alone has as dirty and that are named to all members; when there are more all is resynced. */
export const foundOnDeviceMax = 2 ** 20;
/** Regions that are gathered from the map at a time: announced, one batch a turn, at a restart; marked dirty at a resume. */
export const announceRegionsMax = 16_384;

if (payloadRegionsMax > messageRegionsMax) {
  throw new RangeError('a frame full of regions must fit one message');
}
if (constructorBytesMax + framePayloadOffset > frameBytesMax) {
  throw new RangeError('a constructor must fit a frame');
}

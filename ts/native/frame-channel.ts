/**
 * Request and reply datagrams, drained and sent in batches: the kernel's connector socket, or the same frames
 * over a local socket for the simulated kernel.
 *
 * It moves frames and throws away what is not one; it knows nothing of what they mean. One drain and one send
 * serve both kinds of socket. Frames lie in slots of fixed size in memory shared with C++: slot `i` starts at
 * `slotStart + i * slotStride`, which is 4 modulo 8, so that luid (offset 36) and payload (offset 196) are
 * aligned to 8 bytes.
 *
 * ```ts
 * const channel = FrameChannel.listen('/run/lockstep/sim/kernel');
 * channel.onReadable(() => {
 *   let count: number;
 *   do {
 *     count = channel.drain();
 *     for (let i = 0; i < count; i++) handle(channel.slots, slotOffset(i), channel.lengths[i]);
 *   } while (count === slotCount);
 * });
 * ```
 */
import { addon } from './addon.js';

export const slotCount = 256;
export const slotStride = 2056;
export const slotStart = 4;
/** Largest frame; a longer datagram is dropped and counted as truncated. */
export const slotFrameBytesMax = 2048;

/** Where the frame of slot `index` starts in `slots` or `outSlots`. */
export function slotOffset(index: number): number {
  return slotStart + index * slotStride;
}

/** Everything the channel has seen since it was opened. */
export interface FrameCounters {
  /** Frames handed out by `drain`, malformed ones included. */
  readonly received: number;
  /** Frames that went to the socket, late ones included. */
  readonly sent: number;
  /** Dropped: not from the kernel (connector), or with another message id than 7:1. */
  readonly foreign: number;
  /** Dropped: longer than a slot. */
  readonly truncated: number;
  /** Dropped: its netlink or connector header is wrong, or it is too short for a request header: nobody can be answered. */
  readonly unanswerable: number;
  /** Handed out with a negative length: a header that can be answered, and something wrong after it. */
  readonly malformed: number;
  /** The socket's receive queue ran over (ENOBUFS); requests were lost and the kernel sends them again. */
  readonly overruns: number;
  /** Outgoing frames that found neither room in the socket nor in the queue, or no peer. */
  readonly dropped: number;
  /** Outgoing frames that wait for the socket now. */
  readonly queued: number;
  /** Clients that were let in (listening side). */
  readonly accepted: number;
  /** Clients that were turned away for their uid (listening side). */
  readonly refused: number;
  /** Errors that stopped the loop's watcher and after which it was started again. */
  readonly pollRestarts: number;
}

/** Options of the kernel's connector socket. */
export interface ConnectorOptions {
  /** Size of the receive buffer, forced beyond the system's limit when allowed. Default 8 MiB. */
  readonly receiveBufferBytes?: number;
}

export interface FrameChannel {
  /** `slotCount` slots for incoming frames, valid until the next `drain`. */
  readonly slots: Buffer;
  /** Length of each incoming frame; `-length` marks a malformed one whose header can be answered. */
  readonly lengths: Int32Array;
  /** `slotCount` slots for outgoing frames; free again when `send` returns. */
  readonly outSlots: Buffer;
  /** Length of each outgoing frame, 1 to `slotFrameBytesMax`. */
  readonly outLengths: Int32Array;
  readonly closed: boolean;

  /**
   * Takes in all that waits, at most `slotCount` frames, and returns their number. Call again while it returns
   * `slotCount`. Never blocks. An overrun is counted, and reading goes on until the socket is empty: only that
   * ends a connector socket's congestion.
   */
  drain(): number;

  /**
   * Sends the first `count` out slots in order; returns how many were dropped (0 in a sound world). What would
   * block is queued, at most 1024 frames, and sent when the socket takes it; the queue goes first.
   */
  send(count: number): number;

  /**
   * Calls `callback` from the loop of the calling thread whenever frames wait or a client came or went. Keeps
   * the loop alive. At most once a channel. What the callback throws is an uncaught exception.
   */
  onReadable(callback: () => void): void;

  /**
   * Calls `callback` when the peer is gone: on the connecting side once and for good (nothing is sent or received
   * any more), on the listening side each time a client leaves. Needs `onReadable`; comes after the readable
   * call-back that drained the last frames, or from inside the `drain` that met the end of the stream.
   */
  onClosed(callback: () => void): void;

  /** True while there is somebody to send to: always for the connector. */
  readonly connected: boolean;

  counters(): FrameCounters;

  /** Closes socket and watcher, removes a listening socket's file. Twice is fine; other calls throw afterwards. */
  close(): void;
}

export interface NativeFrameChannelConstructor {
  connector(receiveBufferBytes: number): FrameChannel;
  listen(path: string): FrameChannel;
  connect(path: string): FrameChannel;
}

const receiveBufferBytesDefault = 8 * 1024 * 1024;

export const FrameChannel = {
  /**
   * Opens the kernel's connector socket and joins group 7. Only messages of the kernel (sender port id 0) with
   * id 7:1 are handed out.
   *
   * @throws Error with code EPERM without CAP_NET_ADMIN, EPROTONOSUPPORT where the kernel has no connector.
   */
  connector(options: ConnectorOptions = {}): FrameChannel {
    return addon.FrameChannel.connector(options.receiveBufferBytes ?? receiveBufferBytesDefault);
  },

  /**
   * Listens on a local socket (SOCK_SEQPACKET). One client at a time: a new one replaces the old. Its uid must
   * be ours or root's. The folder must be ours and closed to others (mode 0700).
   *
   * @throws Error with code EACCES for an open folder, EADDRINUSE when somebody listens there already, ENOENT
   * when the folder does not exist.
   */
  listen(path: string): FrameChannel {
    return addon.FrameChannel.listen(path);
  },

  /**
   * Connects to a listening channel.
   *
   * @throws Error with code ECONNREFUSED or ENOENT when nobody listens.
   */
  connect(path: string): FrameChannel {
    return addon.FrameChannel.connect(path);
  },
} as const;

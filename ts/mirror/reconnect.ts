/**
 * The answer -ESRCH, and what it makes the kernel do: for the requests below it takes it as "no daemon", waits two
 * seconds, sends the constructor with its NUL until that succeeds, then RESUME, then the request again. So a daemon that
 * knows a log less well than its kernel believes can ask for both instead of failing the request.
 *
 * That matters most for IN_SYNC: any error counts as "not in sync", and the kernel then writes to the default leg alone
 * and without a mark, also in a region that the log device has as clean. Two cases ask for it:
 *
 *  - the log is not known at all: its state was lost while its kernel lived (R3), and no send failed;
 *  - the log is known and not resumed, while its kernel writes: the RESUME was sent when no daemon ran, which the kernel
 *    does not repeat.
 *
 * A log that has left still gets the clears and the flush that its kernel had on their way: those are refused as
 * ever, or the kernel would resume a mirror that it has suspended.
 */
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
} from '../base/ulog-frames.js';

/** Only the kernel of a mirror that is in use sends these. */
const ofLiveMirror: ReadonlySet<number> = new Set([
  DM_ULOG_IN_SYNC,
  DM_ULOG_MARK_REGION,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
]);

const reconnecting: ReadonlySet<number> = new Set([
  ...ofLiveMirror,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_STATUS_INFO,
]);

/** True when the kernel reconnects on -ESRCH to a request of this type. */
export function reconnects(type: number): boolean {
  return reconnecting.has(type);
}

/** The same, and the request shows that its kernel takes the log for resumed. */
export function reconnectsLive(type: number): boolean {
  return ofLiveMirror.has(type);
}

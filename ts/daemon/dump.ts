/**
 * The dump that `cmirrord` writes into its log at SIGUSR1 and SIGUSR2: one line a log, then the counters, all at error
 * level so that no filter of the system log swallows what somebody asked for. Counts in the place of whole bitmaps: a
 * map of millions of regions is no log line.
 */
import type { LogEntry } from './log-entry.js';
import type { DaemonStatus, LogStatus } from './status.js';

export function dumpEntries(status: DaemonStatus): LogEntry[] {
  const { counters } = status;
  const line = (text: string): LogEntry => ({ level: 'error', event: '', fields: { text } });
  return [
    line(`Dump of ${status.logs.length} logs, up ${Math.round(status.uptimeMs / 1000)} s:`),
    ...status.logs.map((log) => line(logLine(log))),
    line(`requests: ${pairs(counters.requests)}`),
    line(`replies: ${pairs(counters.replies)}, marks ${counters.marks}, without IO ${counters.marksWithoutIo}`),
    line(`log devices: ${pairs(counters.devices)}`),
    line(`frames: ${pairs(counters.frames)}`),
  ];
}

function logLine(log: LogStatus): string {
  const failed = log.logFailed ? ', log device failed' : '';
  const unknown = log.marksUnknown ? ', marks unknown' : '';
  return (
    `log ${log.uuid} luid ${log.luid}: ${log.type}, ${log.lifeCycle}, ${log.inSyncCount}/${log.regionCount} regions in sync, ` +
    `${log.dirtyCount} marked, ${log.heldCount} held by the kernel, ${log.stickyCount} kept, ` +
    `recovering ${log.recoveringRegion < 0 ? 'none' : log.recoveringRegion}, region size ${log.regionSizeSectors}, ` +
    `resumed ${log.resumeCount} times${failed}${unknown}`
  );
}

function pairs(counts: object): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

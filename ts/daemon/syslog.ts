/**
 * Log lines to the system log, as `syslog(3)` writes them: `<priority>time ident[pid]: text`, one datagram a line.
 *
 * Never waits: a mirror may lie under the disk that the system log writes to, and a daemon that waits for its log would
 * then wait for itself. A line for which there is no room is counted, and the next line that finds room says how many
 * are missing. No socket is kept, so a system log that was restarted is met again.
 */
import { sendDatagram } from '../native/process.js';

export const syslogSocket = '/dev/log';
/** LOG_DAEMON. */
const facility = 3 << 3;
/** What system logs take as one line; a longer one is cut here and not by them. */
const lineBytesMax = 8192;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export interface SyslogOptions {
  readonly ident: string;
  readonly pid: number;
  readonly now: () => Date;
  /** Sends one datagram, 0 or an errno; the real one unless a test listens. */
  readonly send?: (text: string) => number;
}

export type SyslogLine = (level: number, text: string) => void;

export function syslogWriter(options: SyslogOptions): SyslogLine {
  const send = options.send ?? ((text: string) => sendDatagram(syslogSocket, text));
  let lost = 0;
  const line = (level: number, text: string): boolean =>
    send(cut(`<${facility | level}>${timeOf(options.now())} ${options.ident}[${options.pid}]: ${text}`)) === 0;
  return (level, text) => {
    if (lost > 0 && line(4, `${lost} log lines were lost: the system log did not take them`)) lost = 0;
    if (lost > 0 || !line(level, text)) lost += 1;
  };
}

/** `Nov  1 08:05:00`, local time: what the system log's protocol has always had. */
function timeOf(now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = String(now.getDate()).padStart(2, ' ');
  return `${months[now.getMonth()]} ${day} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= lineBytesMax ? text : bytes.subarray(0, lineBytesMax).toString();
}

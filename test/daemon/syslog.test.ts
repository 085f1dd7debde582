/** Lines to the system log: what stands in a datagram, and that a log that does not read is never waited for. */
import { describe, expect, it } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { syslogWriter } from '../../ts/daemon/syslog.js';
import { sendDatagram } from '../../ts/native/process.js';

function writer(results: number[]) {
  const sent: string[] = [];
  const write = syslogWriter({
    ident: 'cmirrord',
    pid: 77,
    now: () => new Date(2026, 10, 1, 8, 5, 0),
    send: (text) => {
      const errno = results.shift() ?? 0;
      if (errno === 0) sent.push(text);
      return errno;
    },
  });
  return { sent, write };
}

describe('a line', () => {
  it('has priority, time, identity and pid as syslog(3) writes them', () => {
    const { sent, write } = writer([]);
    write(3, 'read failed');
    write(5, 'Starting cmirrord:');
    expect(sent).toEqual([
      '<27>Nov  1 08:05:00 cmirrord[77]: read failed',
      '<29>Nov  1 08:05:00 cmirrord[77]: Starting cmirrord:',
    ]);
  });

  it('is cut where system logs cut', () => {
    const { sent, write } = writer([]);
    write(3, 'x'.repeat(20_000));
    expect(sent[0]).toHaveLength(8192);
  });

  it('that finds no room is counted, and the next one that does says so', () => {
    const { sent, write } = writer([Errno.EAGAIN, Errno.EAGAIN, Errno.EAGAIN]);
    for (const text of ['a', 'b', 'c', 'd', 'e']) write(5, text);
    expect(sent.map((line) => line.replace(/^.*: /, ''))).toEqual(['the system log did not take them', 'd', 'e']);
    expect(sent[0]).toMatch(/3 log lines were lost/);
  });
});

it('nobody at the socket is an errno and no exception', () => {
  expect(sendDatagram('/no/such/socket', 'text')).toBe(Errno.ENOENT);
});

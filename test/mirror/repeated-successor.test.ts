/** A constructor that replaces a log, sent again while that log still leaves on a slow device. */
import { expect, test } from 'vitest';
import { DM_ULOG_CTR, DM_ULOG_DTR, DM_ULOG_RESUME } from '../../ts/base/ulog-frames.js';
import { hostWithDisk, LifeCycle, mirrorA } from './host.js';

const sameText = '512 clustered-disk /dev/log 8 nosync';
const otherText = '512 clustered-disk /dev/log 8';
const next = { uuid: mirrorA.uuid, luid: 0x2000 };

test('the same text: not taken for the log that leaves', () => {
  const { host } = hostWithDisk();
  host.restart();
  const first = host.send(DM_ULOG_CTR, mirrorA, Buffer.from(sameText));
  host.turn();
  const again = host.send(DM_ULOG_CTR, mirrorA, Buffer.from(sameText));
  host.turn();
  expect([host.answerTo(first), host.answerTo(again)]).toEqual([undefined, undefined]);
  host.settle();
  expect(host.answerTo(again)?.error).toBe(0);
  const { lifeCycle, restored, everResumed } = host.state(mirrorA);
  expect([lifeCycle, restored, everResumed]).toEqual([LifeCycle.pending, false, false]);
  expect([...host.service.logs()].length).toBe(1);
});

test('another text: one successor, and the log resumes', () => {
  const { host } = hostWithDisk();
  host.send(DM_ULOG_CTR, mirrorA, Buffer.from(otherText));
  host.turn();
  const again = host.send(DM_ULOG_CTR, mirrorA, Buffer.from(otherText));
  host.settle();
  expect(host.answerTo(again)?.error).toBe(0);
  expect([...host.service.logs()].length).toBe(1);
  expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
});

test('a core log: repeated in one batch, answered 0', () => {
  const { host } = hostWithDisk();
  host.construct(next, '512 clustered-core 8');
  host.suspend(mirrorA);
  host.ask(DM_ULOG_RESUME, next);
  const first = host.send(DM_ULOG_CTR, next, Buffer.from('512 clustered-core 16'));
  const again = host.send(DM_ULOG_CTR, next, Buffer.from('512 clustered-core 16'));
  host.settle();
  expect(host.answerTo(again)?.error).toBe(0);
  expect(host.answerTo(first)?.error ?? 0).toBe(0);
});

test('a RESUME in between finds no log', () => {
  const { host } = hostWithDisk();
  host.send(DM_ULOG_CTR, mirrorA, Buffer.from(otherText));
  const resuming = host.send(DM_ULOG_RESUME, mirrorA);
  host.settle();
  expect(host.answerTo(resuming)?.error).toBeLessThan(0);
  expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
});

test('a RESUME that waits for another instance, destroyed meanwhile', () => {
  const { host } = hostWithDisk();
  host.construct(next, sameText);
  host.send(3, mirrorA);
  host.send(4, mirrorA);
  host.turn();
  const resuming = host.send(DM_ULOG_RESUME, next);
  const destroying = host.send(DM_ULOG_DTR, next);
  host.settle();
  expect(host.answerTo(destroying)?.error).toBe(0);
  expect(host.answerTo(resuming)?.error).toBeLessThan(0);
});

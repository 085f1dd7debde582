/** Requests are at-least-once: the same again answers all and does nothing twice. */
import { expect, test } from 'vitest';
import { flushSeqsMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { Host, hostWithCore, hostWithDisk, mirrorA, TestDisk } from './host.js';

/** Sends the same request three times within one turn and expects three equal answers and `messages` messages. */
function thrice(host: Host, type: number, payload: readonly number[], messages: number): void {
  const before = host.submitted;
  const seqs = [0, 1, 2].map(() => host.send(type, mirrorA, payload));
  host.settle();
  const answers = seqs.map((seq) => host.answers.filter((answer) => answer.seq === seq));
  expect(answers.map((list) => list.length)).toEqual([1, 1, 1]);
  const [first] = answers[0] ?? [];
  for (const [answer] of answers) expect(answer).toEqual({ ...first, seq: answer?.seq });
  expect(first?.error).toBe(0);
  expect(host.submitted - before).toBe(messages);
}

test.each([
  ['MARK_REGION', DM_ULOG_MARK_REGION, [1, 2], 1],
  ['FLUSH with regions', DM_ULOG_FLUSH, [1, 2], 1],
  ['GET_RESYNC_WORK', DM_ULOG_GET_RESYNC_WORK, [], 1],
  ['SET_REGION_SYNC', DM_ULOG_SET_REGION_SYNC, [3, 1], 1],
  ['IS_REMOTE_RECOVERING', DM_ULOG_IS_REMOTE_RECOVERING, [3], 1],
  ['PRESUSPEND', DM_ULOG_PRESUSPEND, [], 1],
  ['POSTSUSPEND', DM_ULOG_POSTSUSPEND, [], 1],
])('%s', (_name, type, payload, messages) => {
  thrice(hostWithCore(64, ''), type, payload, messages);
});

test('CLEAR_REGION of a region that sticks, and of one that does not', () => {
  const { host } = hostWithDisk();
  host.flush(mirrorA, 1);
  thrice(host, DM_ULOG_CLEAR_REGION, [1], 0);
  const plain = hostWithDisk(64, { settings: { stickyMax: 0 } }).host;
  plain.flush(mirrorA, 1);
  thrice(plain, DM_ULOG_CLEAR_REGION, [1], 1);
});

test('FLUSH of a disk log: one write', () => {
  const { host, disk } = hostWithDisk();
  host.mark(mirrorA, 1);
  const before = disk.writes;
  thrice(host, DM_ULOG_FLUSH, [], 0);
  expect(disk.writes - before).toBe(1);
});

test('CTR and RESUME of a disk log: one device, one load', () => {
  const host = new Host();
  const disk = new TestDisk(65536);
  host.disks.set('/dev/log', disk);
  const text = Buffer.from('512 clustered-disk /dev/log 8');
  const constructors = [0, 1, 2].map(() => host.send(DM_ULOG_CTR, mirrorA, text));
  expect(disk.waiting).toHaveLength(1);
  host.settle();
  for (const seq of constructors) expect(host.answerTo(seq)).toMatchObject({ error: 0, text: '/dev/log\0' });
  const resumes = [0, 1, 2].map(() => host.send(DM_ULOG_RESUME, mirrorA));
  expect(disk.waiting).toHaveLength(1);
  host.settle();
  for (const seq of resumes) expect(host.answerTo(seq)?.error).toBe(0);
  expect(host.state(mirrorA).resumeCount).toBe(1);
  expect(host.submitted).toBe(1);
});

test('DTR of a log that serves', () => {
  const { host } = hostWithDisk();
  const seqs = [0, 1, 2].map(() => host.send(DM_ULOG_DTR, mirrorA));
  host.settle();
  for (const seq of seqs) expect(host.answerTo(seq)?.error).toBe(0);
});

test('the frame itself twice is answered twice', () => {
  const { host } = hostWithDisk();
  for (let i = 0; i < 2; i++) host.sendAs(77, DM_ULOG_FLUSH, mirrorA, [1]);
  host.settle();
  expect(host.answers.filter((answer) => answer.seq === 77)).toHaveLength(2);
});

test('the oldest of more numbers than are kept is forgotten: its waiter gave up long ago', () => {
  const { host } = hostWithDisk();
  const seqs = Array.from({ length: flushSeqsMax + 2 }, () => host.send(DM_ULOG_FLUSH, mirrorA, [1]));
  host.settle();
  expect(seqs.map((seq) => host.answerTo(seq) !== undefined)).toEqual(seqs.map((_, index) => index >= 2));
});

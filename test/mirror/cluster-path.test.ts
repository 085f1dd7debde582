/** Each host has a path of its own to the log device, and that of one may be broken. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
} from '../../ts/base/ulog-frames.js';
import { LifeCycle } from '../../ts/mirror/log-state.js';
import { Group } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const device = '/dev/log';
const broken = '/dev/broken';

/** None of the hosts `without` reaches the log device. */
function hosts(nodes: readonly number[], without: readonly number[]): { group: Group; path: TestDisk } {
  const group = new Group(nodes, { stickyMax: 0 });
  const path = new TestDisk(1024 * 1024);
  group.disks.set(device, new TestDisk(1024 * 1024));
  group.disks.set(broken, path);
  for (const node of nodes) {
    const name = without.includes(node) ? broken : device;
    group.host(node).construct(mirrorA, `512 clustered-disk ${name} 8 nosync`);
  }
  group.settle();
  path.openErrno = Errno.EIO;
  return { group, path };
}

function waitUntil(group: Group, done: () => boolean): void {
  for (let i = 0; i < 60 && !done(); i++) {
    group.wait(1000);
    group.settle();
  }
}

describe('a first member that does not reach the log device', () => {
  test.each([
    { nodes: [1, 2], without: [1] },
    { nodes: [1, 2, 3], without: [1, 2] },
    { nodes: [1, 2, 3], without: [2, 3] },
    { nodes: [1, 2, 3, 4], without: [1, 3, 4] },
  ])('$without of $nodes: does not keep the log from those who do', ({ nodes, without }) => {
    const { group } = hosts(nodes, without);
    const resumes = nodes.map((node) => ({ node, seq: group.host(node).send(DM_ULOG_RESUME, mirrorA) }));
    group.settle();
    const whole = resumes.filter(({ node }) => !without.includes(node));
    waitUntil(group, () => whole.every(({ node, seq }) => group.host(node).answerTo(seq) !== undefined));
    for (const { node, seq } of whole) expect(group.host(node).answerTo(seq)?.error).toBe(0);
    // They have a copy of those who reach it, and serve.
    for (const node of nodes) expect(group.host(node).state(mirrorA).lifeCycle).toBe(LifeCycle.active);
    for (const node of nodes) expect(group.ask(node, DM_ULOG_FLUSH, mirrorA, [node])?.error).toBe(0);
  });

  test('nobody reaches it: all go on trying, and the first one that does has it', () => {
    const { group, path } = hosts([1, 2, 3], [1, 2, 3]);
    const seqs = [1, 2, 3].map((node) => group.host(node).send(DM_ULOG_RESUME, mirrorA));
    for (let i = 0; i < 60; i++) {
      group.wait(1000);
      group.settle();
    }
    expect(group.host(1).answerTo(seqs[0] as number)?.error).toBe(-Errno.EIO);
    for (const node of [1, 2, 3]) {
      expect(group.host(node).state(mirrorA).lifeCycle).toBe(LifeCycle.resuming);
      expect(group.ask(node, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([0]);
      expect(group.ask(node, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values).toEqual([1, 0]);
    }
    path.openErrno = 0;
    waitUntil(group, () => [1, 2, 3].every((node) => group.host(node).state(mirrorA).lifeCycle === LifeCycle.active));
    for (const node of [1, 2, 3]) expect(group.ask(node, DM_ULOG_FLUSH, mirrorA, [node])?.error).toBe(0);
  });

  test('alone it keeps the role, and one that comes later has it at the next try', () => {
    const { group } = hosts([1, 2], [1]);
    group.host(1).send(DM_ULOG_RESUME, mirrorA);
    for (let i = 0; i < 30; i++) group.wait(1000);
    const { epoch } = group.host(1).service.cluster?.tables.get(mirrorA.uuid) ?? {};
    expect(epoch).toBe(1);
    const seq = group.host(2).send(DM_ULOG_RESUME, mirrorA);
    group.settle();
    waitUntil(group, () => group.host(2).answerTo(seq) !== undefined);
    expect(group.host(2).answerTo(seq)?.error).toBe(0);
  });

  test('may be suspended while it waits', () => {
    const { group } = hosts([1, 2], [1, 2]);
    for (const node of [1, 2]) group.host(node).send(DM_ULOG_RESUME, mirrorA);
    for (let i = 0; i < 20; i++) {
      group.wait(1000);
      group.settle();
    }
    for (const node of [1, 2]) {
      group.ask(node, DM_ULOG_PRESUSPEND, mirrorA);
      group.ask(node, DM_ULOG_POSTSUSPEND, mirrorA);
      expect(group.host(node).state(mirrorA).lifeCycle).toBe(LifeCycle.pending);
    }
    expect(group.host(1).service.cluster?.tables.get(mirrorA.uuid)?.members).toEqual([]);
  });
});

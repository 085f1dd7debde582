/**
 * PRESUSPEND is heard, the daemon is killed, and POSTSUSPEND and RESUME come while none runs: the kernel sends each once. It is at work
 * again, and says so: no kernel that suspends asks for resync work.
 */
import { expect, test } from 'vitest';
import {
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
} from '../../ts/base/ulog-frames.js';
import { LifeCycle } from '../../ts/mirror/log-state.js';
import { groupWith } from './cluster-host.js';
import { type Host, hostWithCore, mirrorA } from './host.js';

const core = '512 clustered-core 8';

test.each(['RESUME is heard', 'both are lost', 'RESUME alone is lost'])('on a cluster: %s', (how) => {
  const { group } = groupWith(core, [1, 2]);
  expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  if (how === 'RESUME alone is lost') expect(group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  group.killDaemon(1);
  group.join(1);
  group.settle();
  if (how === 'RESUME is heard') expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  // The kernel asks as it does after every resume.
  let work = group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA);
  if (work?.error === -3) {
    group.host(1).construct(mirrorA, core, { nul: true });
    expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    work = group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA);
  }
  group.wait(60_000);
  for (let i = 0; work?.values[0] !== 1 && i < 3; i++) work = group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA);
  const second = group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA);
  const { lifeCycle } = group.host(1).state(mirrorA);
  expect([work?.values[0] === 1 || second?.values[0] === 1, lifeCycle]).toEqual([true, LifeCycle.active]);
});

test.each(['RESUME is heard', 'both are lost'])('on one host: %s', (how) => {
  const host: Host = hostWithCore(64, '');
  expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  host.restart();
  if (how === 'RESUME is heard') expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  for (let i = 0; i < 3; i++) host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  const work = host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  expect([work?.values[0], host.state(mirrorA).lifeCycle]).toEqual([1, LifeCycle.active]);
  expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [60])?.values).toEqual([0]);
});

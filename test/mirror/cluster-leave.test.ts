/** A host leaves while others know less than they should. */

import { expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
} from '../../ts/base/ulog-frames.js';
import { groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';

test('a suspend whose daemon was killed in its middle ends, though another host does not know what its kernel holds', () => {
  const { group } = groupWith(core, [1, 2]);
  // The state of node 2 is lost under its kernel (R3).
  group.part(2, 'process-down');
  group.host(2).powerCut(false);
  group.join(2);
  expect(group.host(2).construct(mirrorA, core, { nul: true })?.error).toBe(0);
  const resumed = group.host(2).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect(group.host(2).answerTo(resumed)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  group.killDaemon(1);
  const left = group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.join(1);
  group.settle();
  group.wait(10_000);
  expect(group.host(1).answerTo(left)?.error).toBe(0);
});

test('who does what one does for all leaves before it could: the next one cleans what nobody marks any more', () => {
  const { group } = groupWith('512 clustered-disk /dev/log 8 nosync', [1, 2, 3]);
  for (const type of [DM_ULOG_MARK_REGION, DM_ULOG_FLUSH]) group.ask(2, type, mirrorA, [6]);
  group.quorum(false);
  group.settle();
  group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [6]);
  group.wait(1000);
  // Node 1 has not heard that they have quorum again.
  group.quorum(true, [2, 3]);
  group.settle();
  group.wait(1000);
  expect(group.host(2).state(mirrorA).map.isClean(6)).toBe(false);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(1, type, mirrorA)?.error).toBe(0);
  group.wait(1000);
  for (const node of [2, 3]) expect(group.host(node).state(mirrorA).map.isClean(6)).toBe(true);
});

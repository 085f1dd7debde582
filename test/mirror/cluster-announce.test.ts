/** What a kernel holds is said to all members in steps: what happens to it between them. */

import { expect, test } from 'vitest';
import { messageRegionsMax } from '../../ts/base/limits.js';
import { DM_ULOG_CLEAR_REGION, DM_ULOG_FLUSH, DM_ULOG_MARK_REGION } from '../../ts/base/ulog-frames.js';
import { Group } from './cluster-host.js';
import { mirrorA } from './host.js';

test('what is cleared before it was announced does not stick: nobody knows that this node has it', () => {
  const regions = 20_480;
  const group = new Group([1, 2]);
  group.resume(mirrorA, `${8 * regions} clustered-core 8 nosync`, [1, 2]);
  const last = regions - 1;
  const all: number[] = [];
  for (let region = 0; region < regions; region++) all.push(region);
  const host = group.host(2);
  for (let at = 0; at < regions; at += 128) host.send(DM_ULOG_MARK_REGION, mirrorA, all.slice(at, at + 128));
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  // All daemons are started anew: what members owned was in their memory.
  group.killDaemon(1);
  group.killDaemon(2);
  group.join(1);
  group.join(2);
  // Its copy follows, there is quorum, and the second step of its announcement has not been made.
  while (!host.log(mirrorA).replica.rights.operational) {
    if (!group.step()) throw new Error('node 2 does not come');
    group.host(1).settle();
  }
  // The kernel clears a region and marks it again; between the two the announcement is made.
  expect(host.log(mirrorA).state.map.isHeld(last)).toBe(true);
  host.send(DM_ULOG_CLEAR_REGION, mirrorA, [last]);
  host.turn();
  host.service.tick(host.nowMs);
  const flush = host.send(DM_ULOG_FLUSH, mirrorA, [last]);
  group.settle();
  expect(host.answerTo(flush)?.error).toBe(0);
  group.wait(1000);
  expect(host.state(mirrorA).map.isHeld(last)).toBe(true);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.isClean(last)).toBe(false);
});

test('a sweep waits for a group that takes nothing', () => {
  const regions = 2 ** 18;
  const text = `${8 * regions} clustered-core 8 nosync`;
  const group = new Group([1]);
  group.resume(mirrorA, text, [1]);
  const host = group.host(1);
  host.state(mirrorA).map.fillClean(0, regions, false);
  group.killDaemon(1);
  group.join(1);
  while (!host.log(mirrorA).regionFacts(0).sweeping) {
    host.turn();
    if (!group.step()) throw new Error('node 1 does not sweep');
  }
  // Whatever it says from here on stays on its way.
  for (let ticks = 0; ticks < 1000; ticks++) {
    host.turn();
    host.service.tick(host.nowMs);
  }
  expect(host.submitted * messageRegionsMax).toBeLessThan(regions / 2);
  group.settle();
  expect(host.state(mirrorA).map.cleanCount).toBe(regions);
});

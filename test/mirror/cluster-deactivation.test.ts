/** All hosts deactivate a mirror, or suspend it, at once or one after the other, as LVM has it: what was in sync stays so, whoever comes first then. */
import { describe, expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
} from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { resume } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';
const nodes = [1, 2, 3];

function onAll(group: Group, type: number, together: boolean): void {
  const seqs = nodes.map((node) => {
    const seq = group.host(node).send(type, mirrorA);
    if (!together) group.settle();
    return [node, seq] as const;
  });
  group.settle();
  for (const [node, seq] of seqs) expect([node, group.host(node).answerTo(seq)?.error]).toEqual([node, 0]);
}

/** Each host has a region that it writes to the last: it is cleared as the kernel drains. */
function suspendAll(group: Group, together: boolean): void {
  for (const node of nodes) expect(group.ask(node, DM_ULOG_FLUSH, mirrorA, [node])?.error).toBe(0);
  onAll(group, DM_ULOG_PRESUSPEND, together);
  for (const node of nodes) group.ask(node, DM_ULOG_CLEAR_REGION, mirrorA, [node]);
  onAll(group, DM_ULOG_POSTSUSPEND, together);
}

function inSync(group: Group, node: number): boolean {
  const { map } = group.host(node).state(mirrorA);
  return map.syncCount === map.regionCount;
}

describe.each([true, false])('at once: %s', (together) => {
  test.each([core, disk])('deactivated and activated again: %s', (text) => {
    const { group } = groupWith(text, nodes);
    suspendAll(group, together);
    onAll(group, DM_ULOG_DTR, together);
    group.resume(mirrorA, text, nodes);
    expect(inSync(group, 1)).toBe(true);
  });

  test.each(nodes)(
    'deactivated, and all hosts shut down: %s comes first, and the log device is closed (R9)',
    (first) => {
      const { group } = groupWith(disk, nodes);
      suspendAll(group, together);
      onAll(group, DM_ULOG_DTR, together);
      for (const node of nodes) group.cutPower(node);
      group.settle();
      group.join(first);
      group.settle();
      group.resume(mirrorA, disk, [first]);
      expect(inSync(group, first)).toBe(true);
    },
  );

  test.each([core, disk].flatMap((text) => nodes.map((first) => [text, first] as const)))(
    'suspended and resumed: %s, %s first',
    (text, first) => {
      const { group } = groupWith(text, nodes);
      suspendAll(group, together);
      for (const node of [first, ...nodes.filter((other) => other !== first)]) resume(group, node);
      for (const node of nodes) expect(inSync(group, node)).toBe(true);
    },
  );
});

test('the last one to leave waits for quorum before it closes the log device', () => {
  const { group } = groupWith(disk, [1, 2], { nodes });
  for (const node of [1, 2]) expect(group.ask(node, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  const seqs = [1, 2].map((node) => group.host(node).send(DM_ULOG_POSTSUSPEND, mirrorA));
  group.quorum(false);
  group.settle();
  expect(seqs.map((seq, i) => group.host(i + 1).answerTo(seq)?.error)).toEqual([0, undefined]);
  group.quorum(true);
  group.settle();
  expect(group.host(2).answerTo(seqs[1] as number)?.error).toBe(0);
});

test('its daemon is killed before it has closed it: nobody believes the device', () => {
  const { group } = groupWith(disk, [1, 2]);
  for (const node of [1, 2]) {
    expect(group.ask(node, DM_ULOG_FLUSH, mirrorA, [node])?.error).toBe(0);
    expect(group.ask(node, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  }
  for (const node of [1, 2]) group.host(node).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.quorum(false);
  group.settle();
  group.killDaemon(2);
  group.settle();
  group.join(2);
  group.quorum(true);
  group.settle();
  for (const node of [1, 2]) resume(group, node);
  const { map } = group.host(1).state(mirrorA);
  expect([map.isInSync(1), map.isInSync(2)]).toEqual([false, false]);
});

/**
 * R10: a leg fails for a moment under writes, and kernels find more regions out of sync than their records name. Members name them all: what
 * was in sync stays so, and everything is recovered, once.
 */
import { describe, expect, test } from 'vitest';
import { DM_ULOG_DTR, DM_ULOG_IS_REMOTE_RECOVERING, DM_ULOG_SET_REGION_SYNC } from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { recoverAll, restartDaemon, suspend, suspendAndResume } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const regions = 1024;
const core = `${8 * regions} clustered-core 8 nosync`;
const disk = `${8 * regions} clustered-disk /dev/log 8 nosync`;
/** A record names 256. */
const many = 300;

/** What has been with the log before: nothing; all had it and left; all daemons were started anew. */
const histories: readonly (readonly [string, (group: Group, text: string) => void])[] = [
  ['in use for the first time', () => {}],
  [
    'in use before',
    (group, text) => {
      for (const node of [1, 2, 3]) {
        suspend(group, node);
        group.ask(node, DM_ULOG_DTR, mirrorA);
      }
      group.resume(mirrorA, text, [1, 2, 3]);
    },
  ],
  [
    'with daemons that all began anew',
    (group) => {
      for (const node of [1, 2, 3]) group.killDaemon(node);
      for (const node of [1, 2, 3]) group.join(node);
      group.settle();
    },
  ],
];
const cases = [core, disk].flatMap((text) => histories.map(([history, happen]) => ({ text, history, happen })));

function find(group: Group, node: number, first: number): void {
  for (let region = first; region < first + many; region++)
    expect(group.ask(node, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 0])?.error).toBe(0);
}

test.each([core, disk])('the daemon of a host that has the log alone is started anew: %s', (text) => {
  const { group } = groupWith(text, [1], { nodes: [1, 2] });
  find(group, 1, 0);
  restartDaemon(group, 1);
  expect(group.host(1).state(mirrorA).map.syncCount).toBe(regions - many);
  expect(recoverAll(group, 1)).toHaveLength(many);
});

/** R11: the look for recovery that rests, and what daemons make of it. */
function restartRecoveries(group: Group): void {
  for (const node of [1, 2, 3]) group.host(node).service.restartRecoveries();
  group.settle();
  for (const node of [1, 2, 3]) {
    const { restarts } = group.host(node);
    if (restarts.length > 0) suspendAndResume(group, node);
    restarts.length = 0;
  }
}

describe.each(cases)('$text, $history', ({ text, happen }) => {
  const begun = (): Group => {
    const { group } = groupWith(text, [1, 2, 3]);
    happen(group, text);
    return group;
  };
  const inSync = (group: Group) => group.host(3).state(mirrorA).map.syncCount;

  test('one host: its recovery is restarted, its mirror suspended and resumed, its daemon started anew', () => {
    const group = begun();
    find(group, 1, 0);
    restartRecoveries(group);
    expect(inSync(group)).toBe(regions - many);
    suspendAndResume(group, 1);
    expect(inSync(group)).toBe(regions - many);
    restartDaemon(group, 1);
    expect(inSync(group)).toBe(regions - many);
    expect(recoverAll(group, 1)).toHaveLength(many);
    expect(inSync(group)).toBe(regions);
  });

  test('two hosts, no region by both: each recovers its own, once', () => {
    const group = begun();
    find(group, 1, 0);
    find(group, 2, 500);
    expect([recoverAll(group, 1).length, recoverAll(group, 2).length]).toEqual([many, many]);
    expect(inSync(group)).toBe(regions);
  });

  test('also where their daemons restart recovery, and a third host that resumes waits for nothing that is in sync', () => {
    const group = begun();
    find(group, 1, 0);
    find(group, 2, 500);
    for (let round = 0; round < 3; round++) {
      restartRecoveries(group);
      if (round === 0) suspendAndResume(group, 3);
      expect(group.ask(3, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [900])?.values[0]).toBe(0);
      for (const node of [1, 2, 3]) recoverAll(group, node);
    }
    expect(inSync(group)).toBe(regions);
  });
});

test.each([core, disk])('cut off, its kernel finds one more, and says so again when it is back: %s', (text) => {
  const { group } = groupWith(text, [1, 2, 3], { settings: { foundMax: 2 } });
  for (const region of [3, 4, 5]) expect(group.ask(3, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 0])?.error).toBe(0);
  group.tellsQuorum = false;
  group.split([3]);
  group.quorum(false, [3]);
  group.quorum(true, [1, 2]);
  group.settle();
  const seq = group.host(3).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [9, 0]);
  group.settle();
  expect(group.host(3).answerTo(seq)).toBeUndefined();
  group.heal();
  group.settle();
  group.quorum(true);
  group.settle();
  expect(group.host(3).answerTo(seq)?.error).toBe(0);
  const { map } = group.host(1).state(mirrorA);
  expect([map.isInSync(9), map.syncCount]).toEqual([false, regions - 4]);
});

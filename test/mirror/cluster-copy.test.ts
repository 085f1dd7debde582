/** Copies of a log for a node that joins while the others go on: what is said meanwhile, and copies that cannot be taken. */
import { expect, test } from 'vitest';
import { chunkRegionsMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { type LogMessage, MessageType } from '../../ts/mirror/messages.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const first = 3;
const last = chunkRegionsMax + 70;
/** Two chunks. */
const large = `${(chunkRegionsMax + 100) * 8} clustered-core 8 nosync`;
const small = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

function facts(group: Group, node: number, region: number): unknown[] {
  const { map, owners } = group.host(node).state(mirrorA);
  return [map.isClean(region), map.isInSync(region), owners.has(1, region), owners.has(2, region)];
}

/** Steps until a message of this type is next, or none is left. */
function stepUntilNext(group: Group, type: MessageType): LogMessage | undefined {
  for (let i = 0; i < 1000 && group.next !== undefined && group.next.type !== type; i++) group.step();
  return group.next?.type === type ? group.next : undefined;
}

test('what is said between a question and its answer is applied behind the answer, in every chunk', () => {
  const { group } = groupWith(large, [1], { nodes: [1, 2] });
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [first + 1, last + 1]);
  group.host(2).construct(mirrorA, large);
  group.settle();
  const resume = group.host(2).send(DM_ULOG_RESUME, mirrorA);
  const one = group.host(1);
  for (const chunk of [0, 1]) {
    expect(stepUntilNext(group, MessageType.want)?.regions[0]).toBe(chunk * chunkRegionsMax);
    // Behind the question and before the answer, of regions in the chunk that is asked for and in the other one.
    one.send(DM_ULOG_MARK_REGION, mirrorA, [first + 10 * chunk, last + 10 * chunk]);
    one.send(DM_ULOG_CLEAR_REGION, mirrorA, [chunk === 0 ? first + 1 : last + 1]);
    one.send(DM_ULOG_SET_REGION_SYNC, mirrorA, [first + 2 + 10 * chunk, 0]);
    one.send(DM_ULOG_SET_REGION_SYNC, mirrorA, [last + 2 + 10 * chunk, 0]);
    group.step();
  }
  group.settle();
  expect(group.host(2).answerTo(resume)?.error).toBe(0);
  for (let offset = 0; offset < 15; offset++) {
    for (const region of [first + offset, last + offset])
      expect([region, ...facts(group, 2, region)]).toEqual([region, ...facts(group, 1, region)]);
  }
  expect(facts(group, 2, first)).toEqual([false, true, true, false]);
  expect(facts(group, 2, last + 10)).toEqual([false, true, true, false]);
  expect(facts(group, 2, last + 2)).toEqual([false, false, false, false]);
  expect(facts(group, 2, last + 1)).toEqual([true, true, false, false]);
  expect(group.host(2).state(mirrorA).map.syncCount).toBe(chunkRegionsMax + 100 - 4);
});

test('a copy that cannot be taken is asked for three times, and again when the members change', () => {
  const { group } = groupWith(small, [1], { nodes: [1, 2, 3] });
  group.host(2).construct(mirrorA, small);
  let asked = 0;
  group.tamper = (message) => {
    if (message.type === MessageType.want) asked += 1;
    // The half of a chunk is none.
    if (message.type === MessageType.chunk) Object.assign(message, { byteCount: Math.floor(message.byteCount / 2) });
  };
  const resume = group.host(2).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect(asked).toBe(3);
  expect(group.host(2).reports.filter(({ event }) => event === 'copy-failed')).toHaveLength(3);
  expect(group.host(2).answerTo(resume)).toBeUndefined();
  group.ask(2, DM_ULOG_RESUME, mirrorA);
  expect(asked).toBe(4);
  group.tamper = null;
  group.resume(mirrorA, small, [3]);
  expect(group.host(2).answerTo(resume)?.error).toBe(0);
});

test('it is asked for again when the kernel does, of whom nobody may ever hear otherwise', () => {
  const { group } = groupWith(small, [1, 2]);
  group.tamper = (message) => {
    if (message.type === MessageType.chunk) Object.assign(message, { byteCount: Math.floor(message.byteCount / 2) });
  };
  group.killDaemon(2);
  group.join(2);
  const first = group.host(2).send(DM_ULOG_FLUSH, mirrorA, [5]);
  group.settle();
  expect([group.host(2).answerTo(first), group.host(2).log(mirrorA).replica.phase]).toEqual([undefined, 'waiting']);
  group.tamper = null;
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  expect(group.host(2).answerTo(first)?.error).toBe(0);
});

test('the answer to a table that is gone is none to the next one', () => {
  const { group } = groupWith(small, [1], { nodes: [1, 2] });
  const [one, two] = [group.host(1), group.host(2)];
  two.construct(mirrorA, small);
  two.send(DM_ULOG_RESUME, mirrorA);
  expect(stepUntilNext(group, MessageType.chunk)).toBeDefined();
  const late = group.takeNext();
  for (const type of [DM_ULOG_POSTSUSPEND, DM_ULOG_DTR]) two.send(type, mirrorA);
  const next = { ...mirrorA, luid: 0x2000 };
  two.construct(next, small);
  two.send(DM_ULOG_RESUME, next);
  one.send(DM_ULOG_FLUSH, mirrorA, [5]);
  expect(stepUntilNext(group, MessageType.want)).toBeDefined();
  group.step();
  group.putNext(late);
  group.settle();
  expect(group.host(2).log(next).replica.phase).toBe('following');
  expect([one.state(mirrorA), two.state(next)].map(({ map }) => map.isClean(5))).toEqual([false, false]);
});

test('R16: that the log device works again is known to who takes a copy, also when who said it has gone since', () => {
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  group.resume(mirrorA, disk, [2, 1]);
  const three = group.host(3);
  three.construct(mirrorA, disk);
  device.writeErrno = 5;
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(-5);
  expect([1, 2].map((node) => group.host(node).state(mirrorA).logFailed)).toEqual([true, true]);
  device.writeErrno = 0;
  three.send(DM_ULOG_RESUME, mirrorA);
  while (group.next?.type !== MessageType.want) group.step();
  const two = group.host(2);
  two.wait(3000);
  // The question of node 3 is delivered; the answer of node 1 gets its place behind all else.
  group.step();
  const answers: ReturnType<typeof group.takeNext>[] = [];
  for (let well = false; !well; ) {
    const next = group.takeNext();
    if (next.message.type === MessageType.chunk) {
      answers.push(next);
      continue;
    }
    well = next.message.type === MessageType.logState;
    group.putNext(next);
    group.step();
    two.settle();
  }
  expect(three.log(mirrorA).replica.phase).toBe('copying');
  group.part(2, 'process-down');
  two.restart(false);
  for (const sent of answers) group.putNext(sent);
  group.settle();
  group.wait(10_000);
  group.join(2);
  group.settle();
  expect([1, 3].map((node) => group.ask(node, DM_ULOG_FLUSH, mirrorA, [7])?.error)).toEqual([0, 0]);
});

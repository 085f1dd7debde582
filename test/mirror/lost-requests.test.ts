/** Which requests a daemon that starts asks for again, and in which order. */
import { expect, it } from 'vitest';
import { LostRequests, type RequestMemory } from '../../ts/mirror/lost-requests.js';

const window = { below: 3, above: 2 };

function begin(last: number) {
  const memory: RequestMemory & { noted: number[] } = {
    lastRequest: last,
    noted: [],
    noteRequest: (seq) => memory.noted.push(seq),
  };
  const asked: number[] = [];
  return { lost: new LostRequests(memory, window, (seq) => asked.push(seq)), asked, memory };
}

it('asks for what lies around the last request that the daemon before it took, once, newest first', () => {
  const { lost, asked, memory } = begin(100);
  lost.reachable();
  expect(asked).toEqual([102, 101, 100, 99, 98, 97]);
  lost.reachable();
  lost.taken(103, 110);
  expect(asked).toHaveLength(6);
  expect(memory.noted).toEqual([110]);
});

it('asks for what lies below the first request when no earlier one is known', () => {
  const { lost, asked, memory } = begin(-1);
  lost.reachable();
  expect(asked).toEqual([]);
  lost.taken(50, 57);
  expect(asked).toEqual([49, 48, 47]);
  lost.taken(58, 58);
  expect(asked).toHaveLength(3);
  expect(memory.noted).toEqual([57, 58]);
});

it('goes on past the end of 32 bits, both ways', () => {
  const high = begin(0xffffffff);
  high.lost.reachable();
  expect(high.asked).toEqual([1, 0, 0xffffffff, 0xfffffffe, 0xfffffffd, 0xfffffffc]);
  const low = begin(-1);
  low.lost.taken(1, 1);
  expect(low.asked).toEqual([0, 0xffffffff, 0xfffffffe]);
  const first = begin(0);
  first.lost.reachable();
  expect(first.asked).toEqual([2, 1, 0, 0xffffffff, 0xfffffffe, 0xfffffffd]);
});

/** What a daemon says of its kernel at start depends on one line of /proc/net/connector. */
import { expect, it } from 'vitest';
import { logModuleListens } from '../../ts/daemon/host-facts.js';

const head = 'Name            ID\ncn_proc         1:1\n';

it('the log module listens when its line is there', () => {
  expect(logModuleListens(`${head}dmlogusr        7:1\n`)).toBe(true);
});

it.each([
  ['no connector', null],
  ['no line', head],
  ['another id', `${head}dmlogusr        7:10\n`],
])('not with %s', (_, text) => {
  expect(logModuleListens(text)).toBe(false);
});

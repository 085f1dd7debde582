/** Capabilities as /proc tells them. */
import { expect, it } from 'vitest';
import { capSysAdmin, hasCapability } from '../../ts/daemon/capability.js';

it.each([
  ['Name:\tnode\nCapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n', true],
  ['Name:\tnode\nCapEff:\t0000000000200000\n', true],
  ['Name:\tnode\nCapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n', false],
  ['Name:\tnode\nCapEff:\t0000000000100000\n', false],
  ['Name:\tnode\n', true],
])('%j', (status, has) => {
  expect(hasCapability(capSysAdmin, status)).toBe(has);
});

/** R14, R15: a corosync that stands still is not asked again and again: each question keeps a descriptor and a place in a helper's queue. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ForeignGroups } from '../../ts/daemon/foreign-groups.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function silent(): { groups: ForeignGroups; open: () => number } {
  let open = 0;
  const groups = new ForeignGroups({
    // Its answer never comes.
    ask: () => {
      open += 1;
      return new Promise(() => {});
    },
    served: () => ['LVM-a'],
    found: () => {},
    gone: () => {},
  });
  return { groups, open: () => open };
}

it('one question is under way, however long there is no answer', async () => {
  const { groups, open } = silent();
  await vi.advanceTimersByTimeAsync(3_600_000);
  groups.close();
  expect(open()).toBeLessThanOrEqual(2);
});

it('nor by a kernel that asks for its RESUME again every 15 s', async () => {
  const { groups, open } = silent();
  for (let resumes = 0; resumes < 40; resumes++) {
    const refused = groups.whyNot('LVM-a');
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await refused).toMatch(/has not named its groups/);
  }
  groups.close();
  expect(open()).toBeLessThanOrEqual(2);
});

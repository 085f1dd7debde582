/** R14: logs that an original cmirrord has too. What real corosync says of real groups stands in the tests of the cluster. */
import { expect, it, vi } from 'vitest';
import { ForeignGroups } from '../../ts/daemon/foreign-groups.js';

function watching(ask: () => Promise<readonly string[]>, served: readonly string[] = ['LVM-a', 'LVM-b']) {
  const said: string[] = [];
  const groups = new ForeignGroups({
    ask,
    served: () => served,
    found: (uuid) => said.push(`found ${uuid}`),
    gone: (uuid) => said.push(`gone ${uuid}`),
  });
  return { groups, said };
}

it('a log with a group of its name and a NUL is not resumed, others are', async () => {
  const { groups } = watching(async () => ['lockstep.mirror.1', 'LVM-a\0', 'LVM-bb\0', 'LVM-c']);
  expect(await groups.whyNot('LVM-a')).toMatch(/an original cmirrord has it/);
  for (const uuid of ['LVM-b', 'LVM-c', '']) expect(await groups.whyNot(uuid)).toBe('');
  groups.close();
});

it('a name that does not fit is cut as the original cuts it', async () => {
  const uuid = 'x'.repeat(130);
  const { groups } = watching(async () => ['x'.repeat(128)]);
  expect(await groups.whyNot(uuid)).not.toBe('');
  groups.close();
});

it('nothing is resumed while corosync cannot say', async () => {
  const { groups } = watching(() => Promise.reject(new Error('corosync does not answer: cpg_initialize')));
  expect(await groups.whyNot('LVM-a')).toBe('corosync does not answer: cpg_initialize');
  groups.close();
});

it('nor when it never answers', async () => {
  vi.useFakeTimers();
  const { groups } = watching(() => new Promise(() => {}));
  const asked = groups.whyNot('LVM-a');
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await asked).toBe('corosync has not named its groups for 10 s');
  groups.close();
  vi.useRealTimers();
});

it('one that appears while the log is served is told, and its end; an answer that fails changes nothing', async () => {
  let names: readonly string[] | null = ['LVM-b\0'];
  const { groups, said } = watching(async () => {
    if (names === null) throw new Error('gone');
    return names;
  });
  await groups.look();
  await groups.look();
  expect(said.splice(0)).toEqual(['found LVM-b']);
  expect([groups.has('LVM-a'), groups.has('LVM-b')]).toEqual([false, true]);
  names = null;
  await groups.look();
  expect(groups.has('LVM-b')).toBe(true);
  names = [];
  await groups.look();
  expect(said).toEqual(['gone LVM-b']);
  groups.close();
});

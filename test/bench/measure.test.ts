/** The bench's arithmetic: medians, noise, the order of turns, and what counts as met. */
import { expect, test } from 'vitest';
import { budgets, missingKeys, verdict } from '../../bench/budgets.mjs';
import { compare, median, noiseOf, percentiles, row, unrestOf } from '../../bench/measure.mjs';

test('medians and percentiles', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  const found = percentiles(Array.from({ length: 1001 }, (_, i) => 1000 - i));
  expect(found).toEqual({ samples: 1001, min: 0, p50: 500, p90: 900, p99: 990, p999: 999, max: 1000 });
});

test('noise: a steady difference counts, and so does one that goes to and fro', () => {
  expect(noiseOf([1, 1, 1])).toBe(0);
  expect(noiseOf([1.1, 1.1, 1.1])).toBeCloseTo(0.1);
  expect(noiseOf([0.8, 1, 1.2, 0.8, 1.2])).toBeCloseTo(0.2);
});

test('both sides take turns, the order of a pair is swapped, the subject meets itself first', async () => {
  const order: string[] = [];
  const side = (name: string, value: number) => () => {
    order.push(name);
    return Promise.resolve({ value, samples: 1 });
  };
  const compared = await compare({
    rounds: 3,
    subject: side('s', 12),
    limit: side('l', 10),
    figure: (one: { value: number }) => one.value,
  });
  expect(order.join('')).toBe('ssssss' + 'sl' + 'ls' + 'sl');
  expect(compared.value).toBeCloseTo(1.2);
  expect(compared.noise).toBe(0);
});

test('a percentile is shown only where the samples bear it', () => {
  const how = { unit: 'us', figure: (one: { p50: number }) => one.p50 };
  const few = row('few', [{ samples: 100, p50: 1, p90: 2, p99: 3, p999: 4 }], how);
  expect([few.p50, few.p90, few.p99, few.p999]).toEqual([1, 2, undefined, undefined]);
  const many = row('many', [{ samples: 5000, p50: 1, p90: 2, p99: 3, p999: 4, rate: 9 }], how);
  expect(many.p999).toBe(4);
  expect([few.rate, many.rate]).toEqual([undefined, 9]);
});

test('verdicts', () => {
  const atMost = { aim: 1.25, direction: '<=', floor: 2.5, noise: 0.1 };
  expect(verdict({ ...atMost, value: 1.1 })).toBe('met');
  expect(verdict({ ...atMost, value: 1.25 })).toBe('met within noise');
  expect(verdict({ ...atMost, value: 1.25, noise: 0 })).toBe('met');
  expect(verdict({ ...atMost, value: 1.3 })).toBe('missed within noise');
  expect(verdict({ ...atMost, value: 2 })).toBe('missed');
  expect(verdict({ ...atMost, value: 2.6 })).toBe('below its floor');
  const atLeast = { aim: 0.8, direction: '>=', floor: 0.4, noise: 0.1 };
  expect(verdict({ ...atLeast, value: 0.9 })).toBe('met');
  expect(verdict({ ...atLeast, value: 0.85 })).toBe('met within noise');
  expect(verdict({ ...atLeast, value: 0.75 })).toBe('missed within noise');
  expect(verdict({ ...atLeast, value: 0.5 })).toBe('missed');
  expect(verdict({ ...atLeast, value: 0.39 })).toBe('below its floor');
});

test('noise hides no figure below its floor, and says nothing else beyond one half', () => {
  const atMost = { aim: 3, direction: '<=', floor: 6, noise: 12 };
  expect(verdict({ ...atMost, value: 1 })).toBe('too noisy');
  expect(verdict({ ...atMost, value: 5 })).toBe('too noisy');
  expect(verdict({ ...atMost, value: 7 })).toBe('below its floor');
  expect(verdict({ ...atMost, value: Number.NaN })).toBe('below its floor');
  expect(verdict({ ...atMost, value: 1, noise: Number.NaN })).toBe('too noisy');
});

test('an aim that must be passed is not met by reaching it', () => {
  const more = { aim: 1, direction: '>', floor: 0.5, noise: 0 };
  expect(verdict({ ...more, value: 1 })).toBe('missed');
  expect(verdict({ ...more, value: 1.01 })).toBe('met');
  expect(verdict({ ...more, value: 1.01, noise: 0.01 })).toBe('met within noise');
});

test('a key that is neither measured nor skipped is found', () => {
  const ratios = { scan_vs_memory: {} };
  expect(missingKeys('bitmap', { results: [], ratios })).toEqual(['mark_ns_batched']);
  expect(missingKeys('bitmap', { results: [{ key: 'mark_ns_batched', skipped: 'no addon' }], ratios })).toEqual([]);
  expect(missingKeys('bitmap', { results: [{ key: 'mark_ns_batched' }], ratios })).toEqual(['mark_ns_batched']);
  expect(missingKeys('placement', { results: [{ key: 'inline_vs_task' }], ratios: {} })).toEqual(['batch_vs_task']);
  expect(missingKeys('flush', { skipped: 'no disk', results: [], ratios: {} })).toEqual([]);
  expect(missingKeys('flush', { results: [], ratios: {} })).toHaveLength(4);
});

test('a limit whose median is far from its fastest was not alone on the machine', () => {
  expect(
    unrestOf([
      { p50: 70, min: 50 },
      { p50: 90, min: 60 },
      { p50: 80, min: 40 },
    ]),
  ).toBe(0);
  expect(
    unrestOf([
      { p50: 4000, min: 80 },
      { p50: 4000, min: 50 },
      { p50: 70, min: 60 },
    ]),
  ).toBeCloseTo(79);
});

test('what must not be there at all has no floor below that', () => {
  const { cluster: { remark_messages: budget } = {} } = budgets;
  const none = { ...budget, noise: 0 } as Parameters<typeof verdict>[0];
  expect(verdict({ ...none, value: 0 })).toBe('met');
  expect(verdict({ ...none, value: 1 })).toBe('below its floor');
});

test('every scenario has a title and a way to run', async () => {
  for (const name of Object.keys(budgets)) {
    const scenario = (await import(`../../bench/scenarios/${name}.mjs`)) as { title: string; run: unknown };
    expect(scenario.title).toMatch(/./);
    expect(scenario.run).toBeTypeOf('function');
  }
});

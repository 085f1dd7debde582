/** The verdict of the demonstration says no to every figure that must not be: made by hand, one at a time. */
import { expect, test } from 'vitest';
import { type Figures, problems, table } from '../../ts/demo/verdict.js';

const good: Figures = {
  writes: 20_000,
  loadSeconds: 5,
  ioErrors: 0,
  marks: 1000,
  marksWithoutIo: 900,
  logBytes: 410_000,
  regions: 512,
  restartResynced: 0,
  cuts: 1,
  sectorsDifferingBefore: 40,
  regionsDifferingBefore: 6,
  differingButClean: 0,
  regionsMarked: 14,
  regionsResynced: 14,
  sectorsCompared: 524_288,
  sectorsDifferingAfter: 0,
};

test('good figures have no problems and make a table', () => {
  expect(problems(good)).toEqual([]);
  expect(table(good)).toEqual([
    '  writes a second                            4 000',
    '  writes, of these failed                    20 000, 0',
    '  marks that needed no IO                    900 of 1 000 (90 %)',
    '  log bytes a write                          20.5',
    '  resynced after the SIGKILL                 0 of 512 regions',
    '  sectors that differed after the power cut  40',
    '  resynced after the power cut               14 of 512 regions',
    '  legs identical                             yes: 524 288 sectors compared, 0 differ',
  ]);
});

test.each<[string, Partial<Figures>]>([
  ['1 writes failed', { ioErrors: 1 }],
  ['nothing was written', { writes: 0 }],
  ["the daemon's restart made 3 regions be copied", { restartResynced: 3 }],
  ['no power cut left the legs different, so nothing was shown', { sectorsDifferingBefore: 0 }],
  ['2 regions differed and the log called them clean', { differingButClean: 2 }],
  ['512 regions were resynced, but only 14 were marked', { regionsResynced: 512 }],
  ['6 regions differed, but only 5 were resynced', { regionsResynced: 5 }],
  ['the legs were not compared', { sectorsCompared: 0 }],
  ['1 sectors differ after the resync', { sectorsDifferingAfter: 1 }],
])('%s', (text, change) => {
  expect(problems({ ...good, ...change })).toEqual([text]);
});

test('legs that differ are not called identical', () => {
  expect(table({ ...good, sectorsDifferingAfter: 7 }).at(-1)).toContain('NO: 524 288 sectors compared, 7 differ');
});

/** The table of known faults in docs/dirty-log.md against the titles of the tests: every fault has its place, every test its row. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const faultsKnown = 33;

/** `fault N: what the original does -> what is done here`, as a title of a test, in either language. */
const titled = /['"`](?:[\w ]+: )?fault (\d+): [^\n]+ -> /g;

/** The files whose tests name a fault, by fault. */
function filesByFault(): Map<number, Set<string>> {
  const found = new Map<number, Set<string>>();
  for (const folder of ['test/', 'cpp/tests/']) {
    for (const name of readdirSync(new URL(folder, root), { recursive: true }) as string[]) {
      if (!/\.test\.ts$|_test\.cc$/.test(name)) continue;
      for (const [, number] of read(folder + name).matchAll(titled)) {
        const files = found.get(Number(number)) ?? new Set();
        found.set(Number(number), files.add(folder + name));
      }
    }
  }
  return found;
}

const section = read('docs/dirty-log.md').split('### 8.1 ')[1]?.split('### 8.2 ')[0] ?? '';
const rows = [...section.matchAll(/^\| (\d+) \|(.*)\|$/gm)].map(([, number, rest]) => ({
  number: Number(number),
  cells: (rest ?? '').split(' | '),
}));
/** Faults of one host have four columns, those that need more nodes two. */
const ofOneHost = rows.filter(({ cells }) => cells.length === 3);
const ofTheCluster = rows.filter(({ cells }) => cells.length === 1);

it('every known fault stands in one of the tables, once', () => {
  const numbers = rows.map(({ number }) => number).sort((a, b) => a - b);
  expect(numbers).toEqual(Array.from({ length: faultsKnown }, (_, i) => i + 1));
  expect(ofOneHost.length + ofTheCluster.length).toBe(faultsKnown);
  expect(ofOneHost.length).toBeGreaterThan(ofTheCluster.length);
});

it('each of one host is named by the tests that its row says, and by no other', () => {
  const found = filesByFault();
  for (const { number, cells } of ofOneHost) {
    const said = [...(cells[2] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) =>
      name.startsWith('cpp/') ? name : `test/${name}.test.ts`,
    );
    expect([number, ...said.sort()]).toEqual([number, ...[...(found.get(number) ?? [])].sort()]);
  }
  for (const { number } of ofTheCluster) expect([number, found.has(number)]).toEqual([number, false]);
});

it('the scenarios that are named exist', () => {
  const [introduction = ''] = section.split('\n| nr |');
  const [, list = ''] = introduction.split('on the real kernel: ');
  const names = [...list.matchAll(/`([\w-]+)` to \d+/g)].map(([, name]) => `${name}.mjs`);
  expect(names.length).toBeGreaterThan(5);
  expect(readdirSync(new URL('test/vm/scenarios/', root))).toEqual(expect.arrayContaining(names));
});

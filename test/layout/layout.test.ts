/** The layout rules find what they are there to find: each tree here breaks one of them, and the tree as it stands none. */
import { describe, expect, it } from 'vitest';
import { checkLayout } from '../../tools/layout.mjs';

/** A small tree that breaks nothing. */
const sound: Record<string, string> = {
  'cpp/sources.list': 'cpp/core/bits.cc # the only one\n',
  'cpp/core/bits.cc': '#include "core/bits.h"\n',
  'cpp/core/bits.h': '',
  'ts/base/limits.ts': 'export const most = 1;\n',
  'ts/mirror/log.ts': "import { most } from '../base/limits.js';\nexport const log = most;\n",
  'ts/native/map.ts': "import type { log } from '../mirror/log.js';\nexport type Log = typeof log;\n",
  'ts/sim/run.ts': "import { log } from '../mirror/log.js';\nexport const run = log;\n",
  'ts/bin/sim.ts': "import { run } from '../sim/run.js';\nrun;\n",
  'docs/DESIGN.md': 'words\n',
};

function problems(changed: Record<string, string>): string[] {
  const tree = { ...sound, ...changed };
  return checkLayout(Object.keys(tree), (path: string) => tree[path] ?? '');
}

// In pieces, or this file would break the rules itself.
const marker = ['TO', 'DO'].join('');
const narrow = ['it', 'only'].join('.');

describe('layout rules', () => {
  it('the tree as it stands keeps them', () => {
    expect(checkLayout()).toEqual([]);
  });

  it('a sound tree has no problem', () => {
    expect(problems({})).toEqual([]);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'a core imports another',
      { 'ts/dlm/lock.ts': "import { log } from '../mirror/log.js';\n" },
      /dlm must not import mirror/,
    ],
    [
      'a core imports an edge',
      { 'ts/mirror/a.ts': "import { b } from '../storage/b.js';\n" },
      /mirror must not import storage/,
    ],
    [
      'base imports anything',
      { 'ts/base/a.ts': "import { log } from '../mirror/log.js';\n" },
      /base must not import mirror/,
    ],
    [
      'a program imports the simulator',
      { 'ts/bin/lockstepd.ts': "import { run } from '../sim/run.js';\n" },
      /bin must not import sim/,
    ],
    [
      'an edge imports the simulator',
      { 'ts/storage/a.ts': "export { run } from '../sim/run.js';\n" },
      /storage must not import sim/,
    ],
    [
      'the product imports a test',
      { 'ts/daemon/a.ts': "import { a } from '../../test/a.js';\n" },
      /daemon must not import a.ts/,
    ],
    ['an import for its effect', { 'ts/mirror/a.ts': "import '../storage/b.js';\n" }, /mirror must not import storage/],
    [
      'an import at run time',
      { 'ts/mirror/a.ts': "await import('../storage/b.js');\n" },
      /mirror must not import storage/,
    ],
    [
      'a handle imports values of a core',
      { 'ts/native/a.ts': "import { log } from '../mirror/log.js';\n" },
      /native may import types only/,
    ],
    ['a room that nobody knows', { 'ts/utils/a.ts': '' }, /the room ts\/utils is not in the layout/],
    [
      'a circle',
      { 'ts/base/a.ts': "import { b } from './b.js';\n", 'ts/base/b.ts': "import { a } from './a.js';\n" },
      /circle: ts\/base\/a.ts -> ts\/base\/b.ts -> ts\/base\/a.ts/,
    ],
    [
      'a core reads a clock',
      { 'ts/mirror/a.ts': 'export const now = Date.now();\n' },
      /mirror\/a.ts:1: a core has no IO, clock/,
    ],
    [
      'a core does IO',
      { 'ts/regions/a.ts': "import { readFileSync } from 'node:fs';\n" },
      /regions\/a.ts:1: a core has no IO/,
    ],
    ['a source that is not listed', { 'cpp/os/a.cc': '' }, /cpp\/os\/a.cc: not in cpp\/sources.list/],
    [
      'a listed source that is not there',
      { 'cpp/sources.list': 'cpp/core/bits.cc\ncpp/core/gone.cc\n' },
      /gone.cc does not exist/,
    ],
    ['the C++ core includes an edge', { 'cpp/core/bits.h': '#include "os/fd.h"\n' }, /core must not include os\/fd.h/],
    [
      'an edge includes the binding',
      { 'cpp/os/a.h': '#include "binding/instance.h"\n' },
      /os must not include binding/,
    ],
    ['something unfinished', { 'ts/base/a.ts': `// ${marker}: later\n` }, /ts\/base\/a.ts: unfinished mark/],
    [
      'a path of one machine',
      { 'docs/DESIGN.md': `see ${['', 'root', 'notes'].join('/')}\n` },
      /DESIGN.md: a path of one machine/,
    ],
    ['a file that is named and not there', { 'docs/DESIGN.md': 'see `cpp/core/gone.h`\n' }, /names cpp\/core\/gone.h/],
    ['tests narrowed by hand', { 'test/base/a.test.ts': `${narrow}('x', () => {});\n` }, /tests narrowed by hand/],
  ])('find %s', (_what, changed, expected) => {
    const found = problems(changed);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });
});

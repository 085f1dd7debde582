/** lockstep.toml: what it sets, and every way to be wrong, told with file, line and what would be right. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { nearestName, parseConfig, readConfigFile } from '../../ts/daemon/config-file.js';
import { configKeyNames, shownBytes } from '../../ts/daemon/config-keys.js';

const folder = mkdtempSync(join(tmpdir(), 'lockstep config '));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function problemsOf(text: string): readonly string[] {
  return parseConfig(text, 'a.toml').problems;
}

it('an empty file sets nothing', () => {
  expect(parseConfig('', 'a.toml')).toEqual({ values: new Map(), problems: [] });
});

it('values stand under their dotted names, with the line they come from', () => {
  const { values, problems } = parseConfig(
    '# ours\ntransport = "local"\n\n[limits]\nlog_memory_max = "512 MiB"\n[kernel]\nreceive_buffer = 65536\n',
    'a.toml',
  );
  expect(problems).toEqual([]);
  expect([...values]).toEqual([
    ['transport', { value: 'local', source: 'a.toml:2' }],
    ['limits.log_memory_max', { value: 512 * 2 ** 20, source: 'a.toml:5' }],
    ['kernel.receive_buffer', { value: 65536, source: 'a.toml:7' }],
  ]);
});

describe('a problem names file, line, key, what was found and what is allowed', () => {
  it.each([
    ['transport = "token-ring"', 'a.toml:1: transport must be one of "auto", "local", "corosync", found "token-ring"'],
    ['transport = 1', 'a.toml:1: transport must be one of "auto", "local", "corosync", found 1'],
    ['\nstate_dir = "logs"', 'a.toml:2: state_dir must be an absolute path, found "logs"'],
    ['node_name = "a b"', 'a.toml:1: node_name must be a name of 1 to 64 bytes without blanks, found "a b"'],
    ['node_name = ""', 'a.toml:1: node_name must be a name of 1 to 64 bytes without blanks, found ""'],
    ['[log]\nverbose = "yes"', 'a.toml:2: log.verbose must be true or false, found "yes"'],
    [
      '[marks]\nsticky_idle_ms = -1',
      'a.toml:2: marks.sticky_idle_ms must be a whole number from 0 to 3600000, found -1',
    ],
    ['[marks]\nsticky_max = 2.5', 'a.toml:2: marks.sticky_max must be a whole number from 0 to 1048576, found 2.5'],
    [
      '[limits]\nlog_memory_max = "4 GB"',
      'a.toml:2: limits.log_memory_max must be bytes from 1 MiB to 1 TiB, as in 8388608 or "8 MiB", found "4 GB"',
    ],
    ['limits = 3', 'a.toml:1: limits must be a table, [limits] with its keys below, found 3'],
    ['[[log]]\nverbose = true', 'a.toml:1: log must be a table, [log] with its keys below, found a list'],
    ['[limits]\nlog_memory_max = [1]', /found a list$/],
    ['[limits.log_memory_max]\nx = 1', /found a table$/],
    ['state_dir = 2026-01-01', /found a date$/],
  ])('%j', (text, problem) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    if (typeof problem === 'string') expect(problems[0]).toBe(problem);
    else expect(problems[0]).toMatch(problem);
  });
});

describe('an unknown name is told with the nearest', () => {
  it.each([
    ['transprot = "local"', 'a.toml:1: unknown key transprot, did you mean transport?'],
    ['[limit]\nlog_memory_max = 5', 'a.toml:1: unknown table [limit], did you mean [limits]?'],
    ['[marks]\nstiky_max = 5', 'a.toml:2: unknown key marks.stiky_max, did you mean marks.sticky_max?'],
    ['[log]\nsticky_max = 5', 'a.toml:2: unknown key log.sticky_max, did you mean marks.sticky_max?'],
    ['receive_buffer = 5', 'a.toml:1: unknown key receive_buffer, did you mean kernel.receive_buffer?'],
    ['colour = "red"', 'a.toml:1: unknown key colour'],
    ['[colours]\nsky = "blue"', 'a.toml:1: unknown table [colours]'],
  ])('%j', (text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  it('and near is near', () => {
    expect(nearestName('transport', configKeyNames)).toBe('transport');
    expect(nearestName('zzz', configKeyNames)).toBeNull();
  });
});

it.each([
  ['transport = local\n', /^a\.toml:1:\d+: not TOML: /],
  ['[limits\n', /^a\.toml:1:\d+: not TOML: /],
  ['\ntransport = "local"\ntransport = "auto"\n', /^a\.toml:3:\d+: not TOML: /],
  ['[marks]\nsticky_max = 99999999999999999999\n', /^a\.toml:2:\d+: not TOML: /],
])('%j is not TOML, at its place', (text, problem) => {
  const problems = problemsOf(text);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(problem);
});

it('tells all problems at once', () => {
  expect(problemsOf('a = 1\n[marks]\nsticky_max = "x"\n[log]\ntarget = "printer"\n')).toHaveLength(3);
});

describe('the file itself', () => {
  it('may be missing, and must be a readable file of a sound size', () => {
    expect(readConfigFile(join(folder, 'none.toml'))).toBeNull();
    mkdirSync(join(folder, 'is a folder'));
    expect(readConfigFile(join(folder, 'is a folder'))?.problems[0]).toMatch(
      /is a folder: illegal operation on a directory$/,
    );
    writeFileSync(join(folder, 'large.toml'), `# ${'x'.repeat(2 ** 20)}\n`);
    expect(readConfigFile(join(folder, 'large.toml'))?.problems[0]).toMatch(/longer than/);
    expect(readConfigFile('/dev/zero')?.problems[0]).toBe('/dev/zero: longer than 1048576 bytes');
    writeFileSync(join(folder, 'good.toml'), 'transport = "local"\n');
    expect(readConfigFile(join(folder, 'good.toml'))?.values.get('transport')?.value).toBe('local');
  });
});

it('sizes are shown in the largest unit that fits', () => {
  expect([1, 1024, 1536, 8 * 2 ** 20, 2 ** 40].map(shownBytes)).toEqual(['1', '1 KiB', '1536', '8 MiB', '1 TiB']);
});

/**
 * The manual pages and the sample configuration against what they are about: the parsers' options, the keys and their
 * defaults, and scdoc where it is installed.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { optionNames, usageText } from '../../ts/bin/cmirrord-options.js';
import { parseConfig } from '../../ts/daemon/config-file.js';
import { configKeyNames } from '../../ts/daemon/config-keys.js';
import { effectiveValues } from '../../ts/daemon/config-values.js';
import { otherHost } from './daemon-config.js';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const hasScdoc = spawnSync('scdoc', ['-v']).error === undefined;

describe('cmirrord(8)', () => {
  const page = read('docs/cmirrord.8.scd');

  it('has every option of the parser, and no other', () => {
    const options = page.slice(page.indexOf('# OPTIONS'), page.indexOf('# SIGNALS'));
    const named = [...options.matchAll(/^\*--([a-z-]+)\*/gm)].map((match) => match[1]);
    expect(named.sort()).toEqual([...optionNames].sort());
    for (const name of optionNames) expect(usageText).toContain(`--${name}`);
  });
});

/** Keys of the page under their tables, in its order. */
function keysOfPage(page: string): string[] {
  const keys: string[] = [];
  let table = '';
  for (const line of page.slice(page.indexOf('# KEYS'), page.indexOf('# EXAMPLE')).split('\n')) {
    const header = /^## \[(\w+)\]$/.exec(line);
    if (header !== null) table = `${header[1]}.`;
    const key = /^\*(\w+)\*$/.exec(line);
    if (key !== null) keys.push(`${table}${key[1]}`);
  }
  return keys;
}

describe('lockstep.toml(5)', () => {
  const page = read('docs/lockstep.toml.5.scd');

  it('has every key, and no other, in the order of --print-config', () => {
    expect(keysOfPage(page)).toEqual(configKeyNames);
  });

  it('has an example that is good', () => {
    const example = page.split('```')[1] ?? '';
    expect(example).toContain('transport');
    expect(parseConfig(example, 'example').problems).toEqual([]);
  });
});

describe('the sample configuration', () => {
  const sample = read('packaging/lockstep.toml');

  it('sets nothing as it is delivered', () => {
    expect(parseConfig(sample, 'sample')).toEqual({ values: new Map(), problems: [] });
  });

  it('names every key, and where it has a default that one', () => {
    const uncommented = sample.replaceAll(/^#(?=[\w[])/gm, '');
    const { values, problems } = parseConfig(uncommented, 'sample');
    // The default is the host's own name, which no sample can know.
    expect(problems).toEqual([expect.stringMatching(/node_name must be a name/)]);
    expect(['node_name', ...values.keys()].sort()).toEqual([...configKeyNames].sort());
    const defaults = effectiveValues(new Map(), { ...otherHost, root: true });
    for (const [key, { value }] of values) {
      const fallback = defaults.get(key)?.value;
      if (fallback !== null) expect([key, value]).toEqual([key, fallback]);
    }
  });
});

describe('every page', () => {
  const pages = readdirSync(new URL('docs/', root)).filter((name) => name.endsWith('.scd'));

  it.skipIf(!hasScdoc).each(pages)('%s is taken by scdoc (skipped without it)', (name) => {
    const made = spawnSync('scdoc', { input: read(`docs/${name}`), encoding: 'utf8' });
    expect(made.stderr).toBe('');
    expect(made.status).toBe(0);
    expect(made.stdout).toMatch(/^\.TH /m);
  });
});

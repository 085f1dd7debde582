/** Every mutant is a change of this very tree: one that no longer applies would be missed for the wrong reason. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = fileURLToPath(new URL('.', import.meta.url));
const patches = readdirSync(folder).filter((name) => name.endsWith('.patch'));
const hasGit = spawnSync('git', ['--version']).status === 0;

describe('the mutants', () => {
  it.skipIf(!hasGit).each(patches)('%s applies', (name) => {
    const { status, stderr } = spawnSync('git', ['apply', '--check', '--recount', `${folder}${name}`], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  it.each(patches)('%s says first which rule it breaks, and touches no test', (name) => {
    const text = readFileSync(`${folder}${name}`, 'utf8');
    expect(text).toMatch(/^# \S/);
    const touched = [...text.matchAll(/^\+\+\+ b\/(.*)$/gm)].map((match) => match[1]);
    expect(touched.length).toBeGreaterThan(0);
    for (const path of touched) expect(path).toMatch(/^(?:ts\/(?!sim\/)|cpp\/)/);
  });
});

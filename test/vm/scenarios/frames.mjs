/**
 * Frames of an unmodified kernel during short scripts, held against the fixtures in test/fixtures/frames: so the
 * fixtures, which the simulated kernel is held against without any machine, stay what a real kernel says.
 * With LOCKSTEP_RECORD=1 they are written anew, but for their remarks.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { conversation, packed, parseFrames } from '../frame-text.mjs';
import { program } from '../programs/programs.mjs';
import { guestScript } from './script.mjs';

const fixture = (name) => fileURLToPath(new URL(`../../fixtures/frames/${name}.txt`, import.meta.url));
const names = [
  ...['resync', 'writes', 'integrated', 'reload', 'kills', 'sizes', 'restart', 'lost', 'power-cut', 'log-failure'],
  'leg-failure',
];

/** What stands before the frames of a fixture: its script. */
const remarks = (name) =>
  (existsSync(fixture(name)) ? readFileSync(fixture(name), 'utf8') : '')
    .split('\n')
    .filter((line) => line.startsWith('#'))
    .map((line) => `${line}\n`)
    .join('');

export default {
  name: 'frames',
  programs: [
    ['dmsetup', 'dmsetup'],
    ['gcc', 'gcc'],
  ],
  async run({ machine, check, long }) {
    const inspect = (_disks, results) => {
      for (const name of names) {
        const text = packed(readFileSync(`${results}/frames.${name}`, 'utf8'));
        if (process.env.LOCKSTEP_RECORD === '1') writeFileSync(fixture(name), remarks(name) + text);
        const [found, wanted] = [text, readFileSync(fixture(name), 'utf8')].map((each) =>
          conversation(parseFrames(each)).join('\n'),
        );
        check(`frames of ${name} are those of the fixture`, found === wanted, `found\n${found}\nwanted\n${wanted}`);
      }
    };
    const result = await machine({
      script: guestScript('frames', long),
      disksMiB: [1, 1, 1],
      environment: { SHIM: program('frame-shim') },
      cpus: 1,
      limitMs: 900_000,
      inspect,
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
  },
};

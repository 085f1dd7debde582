/** `--boot-id`: what does not fit a state record is wrong usage, and no dead engine. */
import { expect, test } from 'vitest';
import { parseOptions } from '../../ts/bin/lockstepd-options.js';
import { otherHost } from './daemon-config.js';

const host = { ...otherHost, root: true };

test('64 bytes fit, 65 do not', () => {
  expect(parseOptions(['--boot-id', 'b'.repeat(64)], host, () => null)).toMatchObject({ kind: 'run' });
  expect(parseOptions(['--boot-id', 'ü'.repeat(33)], host, () => null)).toMatchObject({
    kind: 'wrong',
    showUsage: true,
  });
});

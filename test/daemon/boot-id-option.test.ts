/** `--boot-id`: what does not fit a state record is wrong usage, and no dead engine. */
import { expect, test } from 'vitest';
import { type HostFacts, parseOptions } from '../../ts/bin/lockstepd-options.js';

const host: HostFacts = {
  root: true,
  runtimeDirectory: null,
  homeDirectory: '/root',
  hostName: 'alpha',
  bootId: '00000000-1111-2222-3333-444444444444',
  corosyncConfigured: false,
  journalStream: false,
};

test('64 bytes fit, 65 do not', () => {
  expect(parseOptions(['--boot-id', 'b'.repeat(64)], host)).toMatchObject({ kind: 'run' });
  expect(parseOptions(['--boot-id', 'ü'.repeat(33)], host)).toMatchObject({ kind: 'wrong', showUsage: true });
});

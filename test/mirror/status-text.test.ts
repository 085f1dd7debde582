/** Status strings, byte for byte; trailing spaces count. */
import { expect, test } from 'vitest';
import { type ConstructorArgs, parseConstructor } from '../../ts/mirror/constructor-args.js';
import { statusInfo, statusTable } from '../../ts/mirror/status-text.js';

const device = { major: 253, minor: 7 };

function args(text: string): ConstructorArgs {
  const parsed = parseConstructor(`8192 ${text}`);
  if (!parsed.ok) throw new Error(parsed.text);
  return parsed.args;
}

test.each([
  ['clustered-core 1024', 'clustered-core 1024  '],
  ['clustered-core 1024 nosync', 'clustered-core 1024 nosync  '],
  ['clustered-core 1024 sync', 'clustered-core 1024 sync  '],
  ['clustered-core 1024 block_on_error', 'clustered-core 1024 block_on_error '],
  ['clustered-core 1024 nosync block_on_error', 'clustered-core 1024 nosync block_on_error '],
  ['clustered-disk 253:7 1024', 'clustered-disk 253:7 1024  '],
  ['clustered-disk /dev/log 0x400 sync block_on_error', 'clustered-disk 253:7 1024 sync block_on_error '],
])('TABLE of "%s"', (text, expected) => {
  expect(statusTable(args(text), device)).toBe(expected);
});

test('INFO', () => {
  expect(statusInfo(args('clustered-core 1024'), device, false)).toBe('1 clustered-core');
  expect(statusInfo(args('clustered-disk 253:7 1024'), device, false)).toBe('3 clustered-disk 253:7 A');
  expect(statusInfo(args('clustered-disk 253:7 1024'), device, true)).toBe('3 clustered-disk 253:7 D');
});

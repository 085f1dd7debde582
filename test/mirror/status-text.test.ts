/** Status strings, byte for byte; trailing spaces count. */
import { expect, test } from 'vitest';
import { type ConstructorArgs, parseConstructor } from '../../ts/mirror/constructor-args.js';
import { packDevice, statusInfo, statusTable, unpackDevice } from '../../ts/mirror/status-text.js';

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

test('the numbers that a state record keeps', () => {
  for (const numbers of [device, { major: 0, minor: 0 }, { major: 4095, minor: 1048575 }]) {
    expect(unpackDevice(packDevice(numbers))).toEqual(numbers);
  }
  expect(unpackDevice(0)).toBeNull();
  expect(packDevice({ major: 4095, minor: 1048575 })).toBe(2 ** 32);
});

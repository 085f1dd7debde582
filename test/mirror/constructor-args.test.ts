/** The constructor's grammar, case by case. */
import { describe, expect, test } from 'vitest';
import { parseConstructor, parseNumber } from '../../ts/mirror/constructor-args.js';

describe('numbers', () => {
  test.each([
    ['1', 1],
    ['1024', 1024],
    ['0x400', 1024],
    ['0X10', 16],
    ['010', 8],
    ['9007199254740991', 9007199254740991],
  ])('%s is %d', (text, value) => {
    expect(parseNumber(text)).toBe(value);
  });

  test.each(['', '0', '00', '0x0', '0x', '08', '1k', '-1', '+1', '1.5', ' 1', '253:3', '9007199254740992', '1e3'])(
    '"%s" is none',
    (text) => {
      expect(parseNumber(text)).toBeNull();
    },
  );
});

describe('accepted', () => {
  test.each([
    [
      '1000 clustered-core 8',
      { kind: 'core', regionCount: 125, regionSizeSectors: 8, sync: 'default', deviceName: null },
    ],
    ['1001 clustered-core 8', { regionCount: 126 }],
    ['7 clustered-core 1024', { regionCount: 1 }],
    ['0x1000 clustered-core 010', { targetSectors: 4096, regionSizeSectors: 8 }],
    ['1000 clustered-core 8 nosync', { sync: 'nosync', blockOnError: false }],
    ['1000 clustered-core 8 sync', { sync: 'sync' }],
    ['1000 clustered-core 8 block_on_error', { sync: 'default', blockOnError: true }],
    ['1000 clustered-core 8 nosync block_on_error', { sync: 'nosync', blockOnError: true }],
    ['1000 clustered-core 8 block_on_error sync', { sync: 'sync', blockOnError: true }],
    ['1000 clustered-core 8 sync nosync', { sync: 'nosync' }],
    ['1000 clustered-core 8 whatever', { sync: 'default', blockOnError: false }],
    ['1000 clustered-core 8 ', { regionCount: 125 }],
    ['1000 clustered-core 1000', { regionSizeSectors: 1000, oddRegionSize: true }],
    ['1000 clustered-core 1024', { oddRegionSize: false }],
    ['1000 clustered-disk /dev/mapper/log 8', { kind: 'disk', deviceName: '/dev/mapper/log' }],
    ['1000 clustered-disk 253:3 8', { kind: 'disk', deviceName: '253:3' }],
    ['1000 clustered-disk 12345 8', { kind: 'disk', deviceName: '12345' }],
    [
      '1000 clustered-disk 253:3 0x10 nosync block_on_error ',
      { regionSizeSectors: 16, sync: 'nosync', blockOnError: true },
    ],
  ])('"%s"', (text, expected) => {
    expect(parseConstructor(text)).toMatchObject({ ok: true, args: expected });
  });
});

describe('refused', () => {
  test.each([
    '',
    '   ',
    '1000',
    '0 clustered-core 8',
    'x clustered-core 8',
    '1000 clustered_core 8',
    '1000 clustered_disk /dev/log 8',
    '1000 core 8',
    '1000 disk /dev/log 8',
    '1000 Clustered-core 8',
    '1000 clustered-core',
    '1000 clustered-core 0',
    '1000 clustered-core -8',
    '1000 clustered-core nosync',
    '1000 clustered-core 8 nosync block_on_error extra',
    '1000 clustered-disk',
    '1000 clustered-disk /dev/log',
    '1000 clustered-disk /dev/log nosync',
    '1000 clustered-disk /dev/log 0',
    '1000 clustered-disk /dev/log 8 nosync block_on_error extra',
    `1000 clustered-disk /dev/${'x'.repeat(123)} 8`,
    '8589934592 clustered-core 1',
  ])('"%s"', (text) => {
    const parsed = parseConstructor(text);
    expect(parsed.ok).toBe(false);
    expect(parsed).toHaveProperty('text');
  });

  test('2^32 regions are the most', () => {
    expect(parseConstructor('4294967296 clustered-core 1')).toMatchObject({ ok: true, args: { regionCount: 2 ** 32 } });
    // One sector more than 2^32 - 1 regions of 1 GiB: the quotient is not a number that a double has.
    const sectors = (2 ** 32 - 1) * 2 ** 21 + 1;
    expect(parseConstructor(`${sectors} clustered-core 2097152`)).toMatchObject({ args: { regionCount: 2 ** 32 } });
    expect(parseConstructor(`${2 ** 53 - 1} clustered-core 2097152`)).toMatchObject({ args: { regionCount: 2 ** 32 } });
    expect(parseConstructor('4294967297 clustered-core 1')).toMatchObject({ ok: false });
  });
});

/** The limits of both languages are the same numbers. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as limits from '../../ts/base/limits.js';

const header = readFileSync(new URL('../../cpp/core/limits.h', import.meta.url), 'utf8');

/** A constant that the header writes as a number or as a power of two. */
function native(name: string): number {
  const found = new RegExp(`${name} = (?:uint64_t\\{1\\} << )?([0-9]+);`).exec(header);
  if (found === null) throw new Error(`no ${name} in limits.h`);
  const value = Number(found[1]);
  return found[0].includes('<<') ? 2 ** value : value;
}

test.each([
  ['region_count_max', limits.regionCountMax],
  ['block_bytes', limits.logBlockBytes],
  ['log_bits_offset', limits.logBitsOffset],
  ['log_read_bytes_max', limits.logReadBytesMax],
  ['uuid_bytes_max', limits.uuidBytesMax],
  ['ctor_text_bytes_max', limits.constructorBytesMax],
  ['frame_bytes_max', limits.frameBytesMax],
  ['request_header_bytes', limits.requestHeaderBytes],
])('%s', (name, value) => {
  expect(native(name)).toBe(value);
});

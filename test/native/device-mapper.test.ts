/** Questions to device-mapper: answered once, later, also where there is none or nobody may ask. */
import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { RestartOutcome, restartRecovery } from '../../ts/native/dm-restart.js';
import { readMirrorLogs } from '../../ts/native/dm-tables.js';

/** No control device, no driver behind it, or not ours to ask. */
const cannotAsk: readonly number[] = [Errno.ENOENT, Errno.ENODEV, Errno.ENXIO, Errno.EACCES, Errno.EPERM];

test('the tables are read, or an errno says why not', async () => {
  const [errno, uuids] = await new Promise<[number, readonly string[]]>((answered) => {
    expect(readMirrorLogs((...answer) => answered(answer))).toBe(true);
  });
  expect([0, ...cannotAsk]).toContain(errno);
  expect(Array.isArray(uuids)).toBe(true);
});

test('recovery of a log that no table names is not restarted', async () => {
  for (const resumeOnly of [false, true]) {
    const [errno, outcome] = await new Promise<[number, RestartOutcome]>((ended) => {
      expect(restartRecovery('LVM-nobody-has-this', resumeOnly, (...answer) => ended(answer))).toBe(true);
    });
    expect([0, ...cannotAsk]).toContain(errno);
    expect(outcome).toBe(RestartOutcome.absent);
  }
});

test('wrong arguments throw', () => {
  expect(() => restartRecovery(7 as unknown as string, false, () => {})).toThrow(TypeError);
  expect(() => restartRecovery('LVM-x', false, null as unknown as () => void)).toThrow(TypeError);
});

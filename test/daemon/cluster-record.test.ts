/** What the daemons of one boot leave each other about the cluster, and what those of another boot left. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readClusterRecord, servedAlone, writeClusterRecord } from '../../ts/daemon/cluster-record.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lockstep record '));
  mkdirSync(join(folder, 'logs'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const place = (bootId = 'boot-1') => ({ stateDirectory: join(folder, 'logs'), bootId });
const leaveLog = () => writeFileSync(join(folder, 'logs', 'a.state'), '');

it('is of this boot or of none', () => {
  expect(readClusterRecord(place())).toBeNull();
  writeClusterRecord(place(), { transport: 'corosync', node: 7 });
  expect(readClusterRecord(place())).toEqual({ transport: 'corosync', node: 7 });
  expect(readClusterRecord(place('boot-2'))).toBeNull();
});

it('logs of this boot were served alone unless the record says otherwise', () => {
  leaveLog();
  // A daemon that wrote no record knew of no cluster.
  expect(servedAlone(place())).toBe(true);
  writeClusterRecord(place(), { transport: 'local', node: 1 });
  expect(servedAlone(place())).toBe(true);
  writeClusterRecord(place(), { transport: 'corosync', node: 1 });
  expect(servedAlone(place())).toBe(false);
});

it('logs that another boot left mean nothing', () => {
  leaveLog();
  for (const transport of ['corosync', 'local'] as const) {
    writeClusterRecord(place('boot-0'), { transport, node: 1 });
    expect(servedAlone(place())).toBe(false);
  }
});

it('no log, nobody served', () => {
  expect(servedAlone(place())).toBe(false);
  writeClusterRecord(place(), { transport: 'local', node: 1 });
  expect(servedAlone(place())).toBe(false);
});

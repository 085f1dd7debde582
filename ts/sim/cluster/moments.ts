/**
 * In the middle of what things happen between hosts: counted, so that a long run shows that it has been everywhere. It judges nothing.
 */
import { DM_ULOG_FLUSH, DM_ULOG_PRESUSPEND } from '../../base/ulog-frames.js';
import type { Host } from '../host.js';

export type Death = 'node' | 'daemon' | 'service';

const deaths: readonly Death[] = ['node', 'daemon', 'service'];
const moments = ['exchange', 'transfer', 'load', 'suspend', 'recovery', 'open flush', 'write to a log device', 'rest'];

/** From then on a confirmation of a death is late: others have done much meanwhile. */
export const lateFencingMs = 5_000;

/** What runs of several hosts must have met. */
export const wantedMoments: readonly string[] = [
  ...deaths.flatMap((death) => moments.map((moment) => `${death} dies: ${moment}`)),
  'daemon is back in the same boot',
  'node is back in another boot',
  'join while another is taken in',
  'partition: a side with quorum',
  'partition: a side without quorum',
  'partition: two sides with quorum',
  'group: message lost with its ring',
  'group: message late',
  'fencing late',
  'log device fails on one host',
  'report flush-failed',
];

/** And runs in which recovery is restarted (R11). */
export const wantedRestarts: readonly string[] = [
  'restart: restarted',
  'restart: inactive-table',
  'restart: daemon dies, intent stored',
  'restart: daemon dies, suspended',
  'restart: daemon dies, resumed',
  'restart: a table is loaded while suspended',
];

/** Something of this host is about to die. */
export function countDeath(host: Host, death: Death): void {
  let rest = true;
  const count = (moment: string) => {
    rest = false;
    host.count(`${death} dies: ${moment}`);
  };
  const { daemon, mirrors, node } = host;
  if (daemon?.exchanging) count('exchange');
  if (daemon?.awaits(DM_ULOG_FLUSH)) count('open flush');
  if (daemon?.awaits(DM_ULOG_PRESUSPEND)) count('suspend');
  const phases = [...mirrors.keys()].map((uuid) => daemon?.phase(uuid));
  if (phases.includes('copying')) count('transfer');
  if (phases.includes('loading')) count('load');
  for (const [uuid, { disk }] of mirrors) {
    if ((host.liveTruth(uuid)?.copying ?? -1) >= 0) count('recovery');
    if ((disk?.underWay.get(node) ?? 0) > 0) count('write to a log device');
  }
  if (rest) host.count(`${death} dies: rest`);
}

/** A host asks to be taken in: is another one just now? */
export function countJoin(host: Host, uuid: string): void {
  const others = host.sim.hosts.filter((other) => other !== host);
  if (others.some(({ daemon }) => daemon?.alive && daemon.phase(uuid) === 'copying'))
    host.count('join while another is taken in');
}

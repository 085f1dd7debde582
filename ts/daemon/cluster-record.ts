/**
 * What a daemon of this boot leaves for the next one about the cluster: this node's number, and by which transport the
 * logs of the state folder were served. One line in a file beside that folder.
 *
 * Corosync says the number; where it does not answer in time it is what it said last in this boot, then what
 * corosync.conf has for this host. A number that turns out wrong later ends the daemon, which is started again and knows
 * better: nothing was sent under the wrong one, for that takes corosync.
 */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import { type TransportKind, whyUnavailable } from '../cluster/availability.js';
import { askCorosync } from '../cluster/corosync.js';
import { nodeList, ownNode } from '../cluster/corosync-conf.js';
import type { DaemonConfig } from './config.js';
import { makeFolder } from './folders.js';

/** How long corosync may take at the start. Its answer takes a millisecond, or does not come. */
const askMsMax = 2000;
const corosyncConf = '/etc/corosync/corosync.conf';

type Place = Pick<DaemonConfig, 'stateDirectory' | 'bootId'>;

interface ClusterRecord {
  readonly transport: TransportKind;
  /** 0: never heard of. */
  readonly node: number;
}

function recordPath({ stateDirectory }: Place): string {
  return join(dirname(stateDirectory), 'cluster');
}

/** Null: there is none of this boot. */
export function readClusterRecord(place: Place): ClusterRecord | null {
  const [transport, node, bootId] = readOrEmpty(recordPath(place)).trim().split(' ');
  if (bootId !== place.bootId || !/^\d{1,10}$/.test(node ?? '')) return null;
  return transport === 'local' || transport === 'corosync' ? { transport, node: Number(node) } : null;
}

export function writeClusterRecord(place: Place, { transport, node }: ClusterRecord): void {
  const path = recordPath(place);
  const before = readClusterRecord(place);
  // A daemon that comes back where no room is left writes nothing that stands there already: mirrors wait for it.
  if (before?.transport === transport && before.node === node) return;
  makeFolder(dirname(path), 0o700);
  try {
    writeFileSync(`${path}.new`, `${transport} ${node} ${place.bootId}\n`);
    renameSync(`${path}.new`, path);
  } catch (error) {
    if (error instanceof Error) error.message = `cannot write ${path}: ${error.message}`;
    throw error;
  }
}

/** True when a daemon of this boot served logs alone that are still there. */
export function servedAlone(place: Place): boolean {
  const record = readClusterRecord(place);
  if (record?.transport === 'corosync') return false;
  // One of another boot: no daemon of this boot has run, and all that lies there is of the other one.
  if (record === null && readOrEmpty(recordPath(place)).trim() !== '') return false;
  // Where there is none at all a daemon was there that knew no other transport.
  try {
    return readdirSync(place.stateDirectory).some((name) => name.endsWith('.state'));
  } catch {
    return false;
  }
}

/** The configuration with the node's number in the cluster, where it has one. */
export async function withNodeNumber(config: DaemonConfig): Promise<DaemonConfig> {
  if (config.transport !== 'corosync' || whyUnavailable('corosync') !== null || servedAlone(config)) return config;
  const node = (await askedNode()) || (readClusterRecord(config)?.node ?? 0) || configuredNode(config);
  return node === 0 ? config : { ...config, node };
}

/** 0 when it says nothing in time. */
async function askedNode(): Promise<number> {
  let timer: NodeJS.Timeout | null = null;
  const late = new Promise<number>((resolve) => {
    timer = setTimeout(() => resolve(0), askMsMax);
  });
  const asked = askCorosync().then(
    ({ node }) => node,
    () => 0,
  );
  const node = await Promise.race([asked, late]);
  if (timer !== null) clearTimeout(timer);
  return node;
}

function configuredNode(config: DaemonConfig): number {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  return ownNode(nodeList(readOrEmpty(corosyncConf)), config.nodeName, new Set(addresses));
}

/** Where there is no such file nothing is known, whatever the reason. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

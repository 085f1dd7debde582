/**
 * `lockstep fence-confirm NODE`: an operator says that a lost host is dead (R7). The one command that changes something; so it says
 * what that is, and does it only with `--yes`.
 */
import { askDaemon, statusOf } from './ask-daemon.js';
import type { ClusterStatus, DaemonStatus } from './daemon-status.js';
import { Exit, type Terminal, UsageError } from './terminal.js';

export interface FenceOptions {
  readonly socket: string;
  /** Number or name of the node. */
  readonly node: string;
  readonly yes: boolean;
}

export function fenceConfirmCommand(options: FenceOptions, terminal: Terminal): Promise<Exit> {
  return askDaemon(options.socket, async (client) => {
    const status = await statusOf(client, options.socket);
    if (status.cluster === null) throw new UsageError('this daemon serves its logs alone: it knows of no other node');
    const node = nodeOf(options.node, status.cluster);
    const logs = status.logs.filter((log) => log.cluster?.members.some((member) => member.node === node));
    if (!options.yes) {
      terminal.out(`${explanation(node, status, logs.length)}\n`);
      return Exit.usage;
    }
    const refusal = await client.confirmDead(node);
    if (refusal !== '') {
      terminal.err(`lockstep: refused: ${refusal}\n`);
      return Exit.trouble;
    }
    terminal.out(`node ${node} is confirmed dead; all members of the cluster are told\n`);
    return Exit.ok;
  });
}

function nodeOf(text: string, cluster: ClusterStatus): number {
  const number = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : 0;
  if (number > 0 && number < 2 ** 32) return number;
  const named = [...cluster.lost, ...cluster.members].filter(({ name }) => name === text);
  const nodes = new Set(named.map(({ node }) => node));
  const [node] = nodes;
  if (node !== undefined && nodes.size === 1) return node;
  const lost = cluster.lost.map((one) => `${one.node} (${one.name})`).join(', ');
  throw new UsageError(`${text} is no node; lost: ${lost || 'none'}`);
}

function explanation(node: number, { cluster }: DaemonStatus, logs: number): string {
  const lost = cluster?.lost.find((one) => one.node === node);
  if (lost === undefined) return `node ${node} is not lost: there is nothing to confirm`;
  return [
    `node ${node} (${lost.name}) is lost since ${lost.since} and has ${logs} of the logs of this host.`,
    'With --yes all members of the cluster are told that it is DEAD: that it is switched off, or was booted again, and writes',
    'to no shared disk any more. What it had marked is put out of sync and copied anew, and what rests because of it goes on.',
    'If it is alive after all, cut off and still writing, both legs of its mirrors come apart: look at the machine first.',
    'Nothing was done.',
  ].join('\n');
}

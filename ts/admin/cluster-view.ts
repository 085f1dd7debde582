/** The cluster's part of `lockstep status`: who is there, who has which log, who is waited for, and what is wrong with it. Pure. */
import type { ClusterStatus, DaemonStatus, LogClusterStatus, LogStatus } from './daemon-status.js';
import type { ClusterView, LogView, Problem, ResyncWait, WaitReason } from './status-view.js';
import { waitsText } from './wait-texts.js';

export function clusterView({ cluster, node }: DaemonStatus): ClusterView | null {
  if (cluster === null) return null;
  const { problem, quorate, agreedQuorate, exchanging, fencing, members, heard, awaited, lost } = cluster;
  const { view, viewSince, behind } = cluster;
  const there = new Set([...members.map((member) => member.node), ...awaited]);
  const withoutDaemon = heard.filter((one) => !there.has(one));
  return {
    node,
    problem: problem === '' ? null : problem,
    quorate: quorate && agreedQuorate,
    view,
    viewSince,
    exchanging,
    fencing,
    members,
    withoutDaemon,
    awaited,
    behind,
    lost,
  };
}

export function logClusterView(log: LogStatus, cluster: ClusterStatus | null): LogView['cluster'] {
  const { cluster: shared, type, recoveringNode } = log;
  if (shared === null) return null;
  const waitsFor = shared.members.flatMap((member) => {
    const why = waitReason(member, cluster);
    return why === null ? [] : [{ node: member.node, name: member.name, why }];
  });
  return {
    members: shared.members,
    writer: type === 'core' || shared.writer < 0 ? null : shared.writer,
    writerEpoch: type === 'core' ? null : shared.writerEpoch,
    recoverer: recoveringNode < 0 ? null : recoveringNode,
    waitsFor,
    waits: shared.waits,
    waitedMs: shared.waitedMs,
    resyncWaitsFor: log.inSyncCount < log.regionCount ? resyncWaits(shared, cluster) : [],
  };
}

function waitReason(member: LogClusterStatus['members'][number], cluster: ClusterStatus | null): WaitReason | null {
  if (!member.present) {
    if (member.needed) return 'needed';
    return cluster?.heard.includes(member.node) ? 'daemon' : 'lost';
  }
  if (!member.valid) return 'copy';
  return member.settled ? null : 'marks';
}

/** Why no region is handed out for recovery (R4, R10, R13); empty: nothing speaks against it. */
function resyncWaits({ members }: LogClusterStatus, cluster: ClusterStatus | null): readonly ResyncWait[] {
  if (cluster === null || cluster.problem !== '') return [{ node: null, why: 'group' }];
  if (!cluster.quorate || !cluster.agreedQuorate) return [{ node: null, why: 'quorum' }];
  const alone = members.filter(({ recoversAlone }) => recoversAlone).length;
  return members.flatMap(({ node, stage, settled, recoversAlone }): ResyncWait[] => {
    if (!settled) return [{ node, why: 'marks' }];
    if (stage === 'halted') return [{ node, why: 'suspended' }];
    return recoversAlone && alone > 1 ? [{ node, why: 'table' }] : [];
  });
}

export function clusterProblems({ cluster, unavailable }: DaemonStatus): Problem[] {
  const problems: Problem[] = [];
  const add = (code: string, text: string) => problems.push({ code, log: null, text });
  if (unavailable !== null) add('cluster-unavailable', unavailable);
  if (cluster === null) return problems;
  if (cluster.problem !== '') add('no-group', `this host is in no group: ${cluster.problem}`);
  else if (!cluster.quorate)
    add(
      'no-quorum',
      'this part of the cluster has no quorum: new writes to clean regions wait, or fail (on_quorum_loss)',
    );
  for (const { node, name } of cluster.lost) add('host-lost', `host ${name} (node ${node}) ${lostText(node, cluster)}`);
  return problems;
}

/** Without quorum it is this side that may be cut off: nobody is asked to call the others dead. */
function lostText(node: number, { quorate, fencing }: ClusterStatus): string {
  if (!quorate) return 'is not heard from this side, which has no quorum: the others may well go on';
  const asked = fencing === null ? 'no fencing is configured' : `${fencing} is asked whether it is dead`;
  return `is lost, ${asked}: its regions stay marked until it is back or lockstep fence-confirm ${node}`;
}

/** A wait of this length is no moment any more. */
const waitedMsLong = 4_000;

export function logClusterProblems({ logs }: DaemonStatus): Problem[] {
  return logs.flatMap(({ uuid, cluster }) => {
    if (cluster === null) return [];
    const problems: Problem[] = [];
    if (cluster.foreign) {
      const text = 'an original cmirrord has this log too: neither knows what the other marks; deactivate it there';
      problems.push({ code: 'foreign-cmirrord', log: uuid, text });
    }
    if (cluster.waitedMs >= waitedMsLong) {
      const names = new Map(cluster.members.map(({ node, name }) => [node, name]));
      const seconds = Math.round(cluster.waitedMs / 1000);
      const text = `requests of this host wait for ${seconds} s: ${waitsText(cluster.waits, names)}`;
      problems.push({ code: 'waits', log: uuid, text });
    }
    return problems;
  });
}

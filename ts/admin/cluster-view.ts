/** The cluster's part of `lockstep status`: who is there, who has which log, who is waited for, and what is wrong with it. Pure. */
import type { ClusterStatus, DaemonStatus, LogClusterStatus, LogStatus } from './daemon-status.js';
import type { ClusterView, LogView, Problem, WaitReason } from './status-view.js';

export function clusterView({ cluster, node }: DaemonStatus): ClusterView | null {
  if (cluster === null) return null;
  const { problem, quorate, agreedQuorate, exchanging, fencing, members, heard, awaited, lost } = cluster;
  const there = new Set([...members.map((member) => member.node), ...awaited]);
  const withoutDaemon = heard.filter((one) => !there.has(one));
  return {
    node,
    problem: problem === '' ? null : problem,
    quorate: quorate && agreedQuorate,
    exchanging,
    fencing,
    members,
    withoutDaemon,
    awaited,
    lost,
  };
}

export function logClusterView({ cluster: log, type }: LogStatus, cluster: ClusterStatus | null): LogView['cluster'] {
  if (log === null) return null;
  const waitsFor = log.members.flatMap((member) => {
    const why = waitReason(member, cluster);
    return why === null ? [] : [{ node: member.node, name: member.name, why }];
  });
  return { members: log.members, writer: type === 'core' || log.writer < 0 ? null : log.writer, waitsFor };
}

function waitReason(member: LogClusterStatus['members'][number], cluster: ClusterStatus | null): WaitReason | null {
  if (!member.present) {
    if (member.needed) return 'needed';
    return cluster?.heard.includes(member.node) ? 'daemon' : 'lost';
  }
  if (!member.valid) return 'copy';
  return member.settled ? null : 'marks';
}

export function clusterProblems({ cluster, unavailable }: DaemonStatus): Problem[] {
  const problems: Problem[] = [];
  const add = (code: string, text: string) => problems.push({ code, log: null, text });
  if (unavailable !== null) add('cluster-unavailable', unavailable);
  if (cluster === null) return problems;
  if (cluster.problem !== '') add('no-group', `this host is in no group: ${cluster.problem}`);
  else if (!cluster.quorate)
    add('no-quorum', 'this part of the cluster has no quorum: new writes to clean regions wait');
  for (const { node, name } of cluster.lost) {
    const asked =
      cluster.fencing === null ? 'no fencing is configured' : `${cluster.fencing} is asked whether it is dead`;
    add(
      'host-lost',
      `host ${name} (node ${node}) is lost, ${asked}: its regions stay marked until it is back or lockstep fence-confirm ${node}`,
    );
  }
  return problems;
}

export function logClusterProblems({ logs }: DaemonStatus): Problem[] {
  return logs.flatMap(({ uuid, cluster }) => {
    if (!cluster?.foreign) return [];
    const text = 'an original cmirrord has this log too: neither knows what the other marks; deactivate it there';
    return [{ code: 'foreign-cmirrord', log: uuid, text }];
  });
}

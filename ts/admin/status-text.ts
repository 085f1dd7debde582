/** `lockstep status` for people: a line on the daemon, a table of the logs, totals, and what is wrong. Pure. */
import type { LogView, StatusView, WaitReason } from './status-view.js';
import { type Column, tableLines } from './text-table.js';
import { resyncWaitTexts, waitsText } from './wait-texts.js';

const columns: readonly Column[] = [
  { title: 'LOG', widthMin: 12 },
  { title: 'TYPE', dropOrder: 6 },
  { title: 'STATE' },
  { title: 'REGIONS', right: true, dropOrder: 3 },
  { title: 'DIRTY', right: true },
  { title: 'WHY DIRTY', dropOrder: 5 },
  { title: 'IN SYNC', right: true },
  { title: 'RESYNC', dropOrder: 2 },
  { title: 'LOG DEVICE', widthMin: 10, dropOrder: 4 },
];

/** @param width characters of a line, null: as wide as need be. */
export function statusLines(view: StatusView, width: number | null): string[] {
  const { daemon, totals, logs, problems } = view;
  const head = `lockstepd ${daemon.version} on ${daemon.host}, pid ${daemon.pid}, up ${duration(daemon.uptimeMs / 1000)}`;
  const cluster = clusterLines(view);
  if (logs.length === 0) return [head, ...cluster, 'no logs', ...problemLines(view)];
  const rows = logs.map((log) => row(log, view));
  const sum =
    `${totals.logs} ${totals.logs === 1 ? 'log' : 'logs'}, ${totals.regions} regions, ${totals.dirtyRegions} dirty, ` +
    `${totals.inSyncPercent} % in sync${totals.resyncing > 0 ? `, ${totals.resyncing} resyncing` : ''}` +
    `${problems.length > 0 ? `, ${problems.length} in trouble` : ''}`;
  return [head, ...cluster, ...tableLines(columns, rows, width), sum, ...memberLines(view), ...problemLines(view)];
}

function problemLines({ problems, logs }: StatusView): string[] {
  return problems.map(({ log, text }) => {
    const name = logs.find(({ uuid }) => uuid === log)?.name ?? log;
    return `! ${name === null ? '' : `${name}: `}${text}`;
  });
}

function clusterLines({ cluster }: StatusView): string[] {
  if (cluster === null) return [];
  const members = cluster.members.map(
    ({ node, name }) => `${node} ${name}${node === cluster.node ? ' (this host)' : ''}`,
  );
  const state = [
    cluster.problem === null ? '' : 'in no group',
    cluster.quorate ? 'quorum' : 'NO QUORUM',
    cluster.exchanging && cluster.problem === null ? 'members tell each other what they know' : '',
  ].filter((part) => part !== '');
  const lost = cluster.lost.map(({ node, name, since }) => `${node} ${name} since ${timeText(since)}`);
  const bare = cluster.withoutDaemon.join(', ');
  const coming = cluster.awaited.join(', ');
  const fencing = cluster.fencing ?? 'none, an operator confirms that a lost host is dead';
  return [
    `cluster: ${state.join(', ')}; members: ${members.join(', ') || 'none'}`,
    `view ${cluster.view} since ${timeText(cluster.viewSince)}; fencing: ${fencing}`,
    ...(bare === '' ? [] : [`without a daemon: node ${bare}`]),
    ...(coming === '' ? [] : [`coming in: node ${coming}`]),
    ...(lost.length === 0 ? [] : [`lost: ${lost.join(', ')}`]),
  ];
}

/** Who has each log, and what waits for whom; only where logs are shared. */
function memberLines({ logs, cluster }: StatusView): string[] {
  if (cluster === null) return [];
  return logs.flatMap((log) => {
    const { uuid, name, cluster: shared, recoveringRegion } = log;
    if (shared === null || shared.members.length === 0) return [];
    const members = shared.members.map((member) => {
      const waits = shared.waitsFor.find(({ node }) => node === member.node);
      const notes = [
        member.node === shared.writer ? 'writer' : '',
        member.node === shared.recoverer ? `resyncs region ${recoveringRegion}` : '',
        member.stage === 'active' ? '' : member.stage,
        waits === undefined ? '' : waitTexts[waits.why],
      ].filter((part) => part !== '');
      return `${member.name}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`;
    });
    return [`  ${name ?? uuid}: ${members.join(', ')}`, ...waitLines(log)];
  });
}

function waitLines({ cluster }: LogView): string[] {
  if (cluster === null) return [];
  const names = new Map(cluster.members.map(({ node, name }) => [node, name]));
  const { waits, waitedMs, resyncWaitsFor } = cluster;
  const lasts = waitedMs >= 1000 ? ` for ${duration(waitedMs / 1000)}` : '';
  const rests = resyncWaitsFor.map(({ node, why }) => resyncWaitTexts[why](names.get(node ?? -1) ?? `node ${node}`));
  return [
    ...(waits.length === 0 ? [] : [`    waits${lasts}: ${waitsText(waits, names)}`]),
    ...(rests.length === 0 ? [] : [`    resync waits: ${rests.join('; ')}`]),
  ];
}

function timeText(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ');
}

const waitTexts: Readonly<Record<WaitReason, string>> = {
  needed: 'waited for: nobody else has the log whole',
  lost: 'lost, its marks stay',
  daemon: 'its daemon is away',
  copy: 'takes a copy',
  marks: 'its marks are awaited',
};

function row(log: LogView, view: StatusView): string[] {
  // Two instances of one uuid stand side by side during a table reload.
  const twice = view.logs.filter(({ uuid }) => uuid === log.uuid).length > 1;
  return [
    (log.name ?? log.uuid) + (twice ? ` ${log.luid.slice(-6)}` : ''),
    log.type,
    log.marksUnknown ? `${log.state}, marks unknown` : log.state,
    String(log.regions),
    String(log.dirtyRegions),
    whyDirty(log),
    `${log.inSyncPercent} %`,
    resyncText(log),
    log.logDevice === null ? '-' : `${log.logDevice.name} ${log.logDevice.state}`,
  ];
}

function whyDirty(log: LogView): string {
  const outOfSync = log.regions - log.inSyncRegions;
  const parts = [
    log.heldRegions > 0 ? `${log.heldRegions} written` : '',
    log.stickyRegions > 0 ? `${log.stickyRegions} just written` : '',
    outOfSync > 0 ? `${outOfSync} out of sync` : '',
  ].filter((part) => part !== '');
  return log.dirtyRegions === 0 ? '-' : parts.join(', ') || 'being released';
}

function resyncText(log: LogView): string {
  if (log.resync === null) return '-';
  if (log.cluster !== null && log.cluster.resyncWaitsFor.length > 0) return 'waits';
  const { regionsPerSecond, secondsLeft } = log.resync;
  if (regionsPerSecond === null) return 'rate not known yet';
  if (secondsLeft === null) return `${bytesText(0)}/s, stands still`;
  return `${bytesText(regionsPerSecond * log.regionSizeSectors * 512)}/s, ${duration(secondsLeft)} left`;
}

export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : Math.round(value * 10) / 10} ${units[unit]}`;
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

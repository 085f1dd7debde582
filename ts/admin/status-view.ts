/**
 * What `lockstep status` shows, as data: the daemon's own words put into the terms of an operator, with totals and with what
 * is wrong. It is what `--json` prints; the manual page has the fields. Pure.
 */
import { clusterProblems, clusterView, logClusterProblems, logClusterView } from './cluster-view.js';
import type { ClusterStatus, LogClusterStatus, LogStatus, LogWait } from './daemon-status.js';
import type { DmNames } from './dm-names.js';
import type { AdminCounters, StatusResult } from './protocol.js';
import { rateKey } from './resync-rates.js';

/** Changes when a field's meaning does; new fields may come without. */
export const statusSchema = 'lockstep-status-1';

export interface Problem {
  /** Stable name. */
  readonly code: string;
  /** The log's uuid; null: the daemon's own. */
  readonly log: string | null;
  readonly text: string;
}

export interface LogView {
  readonly uuid: string;
  /** Name of the device-mapper device, null where it was not found. */
  readonly name: string | null;
  readonly luid: string;
  readonly type: 'core' | 'disk';
  readonly state: LogStatus['lifeCycle'];
  readonly regions: number;
  readonly regionSizeSectors: number;
  readonly dirtyRegions: number;
  /** Marked by this host's kernel and not cleared: being written. */
  readonly heldRegions: number;
  /** Cleared, and marked a moment longer. */
  readonly stickyRegions: number;
  readonly inSyncRegions: number;
  /** Rounded down: 100 means every region. */
  readonly inSyncPercent: number;
  /** Being copied, by this host's kernel or, on a cluster, by that of `cluster.recoverer`. */
  readonly recoveringRegion: number | null;
  /** Null: nothing to resync. */
  readonly resync: { readonly regionsPerSecond: number | null; readonly secondsLeft: number | null } | null;
  readonly logDevice: {
    readonly name: string;
    readonly numbers: string | null;
    readonly state: 'ok' | 'failed';
  } | null;
  readonly marksUnknown: boolean;
  readonly inSyncLatched: boolean;
  readonly restored: boolean;
  readonly resumes: number;
  /** Null where logs are served alone. */
  readonly cluster: {
    readonly members: LogClusterStatus['members'];
    /** The node that writes the log device, null: nobody now, or a core log. */
    readonly writer: number | null;
    /** Rises whenever the role is given away; null: a core log. */
    readonly writerEpoch: number | null;
    /** The node whose kernel copies a region now, null: nobody. */
    readonly recoverer: number | null;
    /** Who holds the log up, and how. */
    readonly waitsFor: readonly { readonly node: number; readonly name: string; readonly why: WaitReason }[];
    /** What requests of this host's kernel wait for now, and for how long at least. */
    readonly waits: readonly LogWait[];
    readonly waitedMs: number;
    /** Why nothing is recovered although there is something to recover. */
    readonly resyncWaitsFor: readonly ResyncWait[];
  } | null;
}

/**
 * `group`: this host is in none, `quorum`: there is none, `marks`: what the kernel of `node` holds is not known, `suspended`: that mirror is
 * being suspended or is suspended, `table`: it writes regions without marks that nobody can name, as the kernel of another host does, and
 * neither recovers before one of the two has another table.
 */
export interface ResyncWait {
  readonly node: number | null;
  readonly why: 'group' | 'quorum' | 'marks' | 'suspended' | 'table';
}

/**
 * `lost`: its host is gone and not known dead, `daemon`: its host is there and its daemon is not, `copy`: it takes a copy of the log,
 * `marks`: what its kernel holds is not known yet. `needed`: nobody has the log whole without it.
 */
export type WaitReason = 'needed' | 'lost' | 'daemon' | 'copy' | 'marks';

export interface ClusterView {
  readonly node: number;
  /** Why this host is in no group; null: it is. */
  readonly problem: string | null;
  readonly quorate: boolean;
  /** Number of the view, counted by this daemon, and when it began. */
  readonly view: number;
  readonly viewSince: string;
  /** The members are telling each other what they know. */
  readonly exchanging: boolean;
  readonly fencing: ClusterStatus['fencing'];
  readonly members: ClusterStatus['members'];
  /** Hosts that corosync hears and that run no daemon of ours. */
  readonly withoutDaemon: readonly number[];
  /** Hosts whose daemons have come and have not introduced themselves yet. */
  readonly awaited: readonly number[];
  /** Members that have not acknowledged all messages yet. */
  readonly behind: readonly number[];
  readonly lost: ClusterStatus['lost'];
}

export interface StatusView {
  readonly schema: typeof statusSchema;
  readonly time: string;
  readonly daemon: {
    readonly version: string;
    readonly pid: number;
    readonly host: string;
    readonly uptimeMs: number;
    /** Age of what is shown; above some seconds the engine does not answer. */
    readonly ageMs: number;
    readonly engineAnswers: boolean;
    readonly residentBytes: number;
    readonly requests: number;
    readonly failedReplies: number;
    readonly receiveOverruns: number;
    readonly admin: AdminCounters;
  };
  readonly totals: {
    readonly logs: number;
    readonly regions: number;
    readonly dirtyRegions: number;
    readonly heldRegions: number;
    readonly inSyncRegions: number;
    readonly inSyncPercent: number;
    readonly resyncing: number;
  };
  readonly logs: readonly LogView[];
  readonly transport: 'local' | 'corosync';
  readonly corosyncBuiltIn: boolean;
  /** Null where logs are served alone. */
  readonly cluster: ClusterView | null;
  /** Exit code 1 when there is one. */
  readonly problems: readonly Problem[];
}

/** Null: the engine has not said anything yet. */
export function statusView(
  result: StatusResult,
  names: DmNames,
  time: string,
  unheard: readonly Problem[] = [],
): StatusView | null {
  const { status } = result;
  if (status === null) return null;
  const logs = status.logs.map((log) => logView(log, result, names));
  const sum = (count: (log: LogView) => number) => logs.reduce((total, log) => total + count(log), 0);
  const regions = sum((log) => log.regions);
  const inSyncRegions = sum((log) => log.inSyncRegions);
  return {
    schema: statusSchema,
    time,
    daemon: {
      version: status.version,
      pid: status.pid,
      host: status.nodeName,
      uptimeMs: status.uptimeMs,
      ageMs: result.ageMs,
      engineAnswers: result.fresh,
      residentBytes: status.memory.residentBytes,
      requests: Object.values(status.counters.requests).reduce((total, count) => total + count, 0),
      failedReplies: status.counters.replies.failed,
      receiveOverruns: status.counters.frames.overruns,
      admin: result.admin,
    },
    totals: {
      logs: logs.length,
      regions,
      dirtyRegions: sum((log) => log.dirtyRegions),
      heldRegions: sum((log) => log.heldRegions),
      inSyncRegions,
      inSyncPercent: percent(inSyncRegions, regions),
      resyncing: logs.filter((log) => log.resync !== null).length,
    },
    transport: status.transport,
    corosyncBuiltIn: status.corosyncBuiltIn,
    cluster: clusterView(status),
    logs,
    problems: [
      ...daemonProblems(result),
      ...clusterProblems(status),
      ...logs.flatMap((log) => logProblems(log, stalled(log, result))),
      ...logClusterProblems(status),
      ...unheard,
    ],
  };
}

function logView(log: LogStatus, result: StatusResult, names: DmNames): LogView {
  const rate = result.rates[rateKey(log)];
  const resyncs = log.lifeCycle === 'active' && log.inSyncCount < log.regionCount;
  return {
    uuid: log.uuid,
    name: names.get(log.uuid) ?? null,
    luid: log.luid,
    type: log.type,
    state: log.lifeCycle,
    regions: log.regionCount,
    regionSizeSectors: log.regionSizeSectors,
    dirtyRegions: log.dirtyCount,
    heldRegions: log.heldCount,
    stickyRegions: log.stickyCount,
    inSyncRegions: log.inSyncCount,
    inSyncPercent: percent(log.inSyncCount, log.regionCount),
    recoveringRegion: log.recoveringRegion < 0 ? null : log.recoveringRegion,
    resync: resyncs
      ? {
          regionsPerSecond: rate === undefined ? null : round(rate.regionsPerSecond),
          secondsLeft: rate?.secondsLeft == null ? null : Math.ceil(rate.secondsLeft),
        }
      : null,
    logDevice:
      log.logDevice === null
        ? null
        : { name: log.logDevice, numbers: log.logDeviceNumbers, state: log.logFailed ? 'failed' : 'ok' },
    marksUnknown: log.marksUnknown,
    inSyncLatched: log.inSyncLatched,
    restored: log.restored,
    resumes: log.resumeCount,
    cluster: logClusterView(log, result.status?.cluster ?? null),
  };
}

/**
 * Mirrors of this kernel that no log of the daemon is known for. Another daemon served them, or the records are lost; a mirror
 * that nobody uses may ask for nothing for hours, and its marks are unknown without anybody being told.
 */
export function unheardMirrors(mirrors: DmNames, { status, fresh }: StatusResult): Problem[] {
  if (status === null || !fresh || status.kernel === 'simulated') return [];
  const known = new Set(status.logs.map(({ uuid }) => uuid));
  return [...mirrors].flatMap(([uuid, name]) => {
    if (known.has(uuid)) return [];
    const text = `the mirror ${name} has not asked this daemon for anything yet; dmsetup status ${name} makes it ask`;
    return [{ code: 'unheard', log: uuid, text }];
  });
}

function daemonProblems(result: StatusResult): Problem[] {
  if (result.fresh) return [];
  const text = `the engine does not answer; this is how things stood ${Math.round(result.ageMs / 1000)} s ago`;
  return [{ code: 'engine-silent', log: null, text }];
}

/** Long enough without progress, and no region under way: a kernel between two regions takes milliseconds. */
const stalledMsMin = 10_000;

function stalled(log: LogView, { rates }: StatusResult): boolean {
  const rate = rates[rateKey(log)];
  if (log.resync === null || rate === undefined || log.recoveringRegion !== null || log.marksUnknown) return false;
  if (log.cluster !== null && log.cluster.resyncWaitsFor.length > 0) return false;
  return rate.regionsPerSecond === 0 && rate.spanMs >= stalledMsMin;
}

function logProblems(log: LogView, isStalled: boolean): Problem[] {
  const problems: Problem[] = [];
  const add = (code: string, text: string) => problems.push({ code, log: log.uuid, text });
  const name = log.name ?? 'NAME';
  if (log.logDevice?.state === 'failed') {
    add(
      'log-failed',
      `log device ${log.logDevice.name} has failed: writes to regions that are not marked yet wait, until it is back and the table is loaded anew (lockstepd(8), DIAGNOSTICS)`,
    );
  }
  if (log.marksUnknown) {
    add(
      'marks-unknown',
      `what the kernel writes is not known (its daemon's state was lost), so nothing is cleaned or resynced; dmsetup suspend ${name} && dmsetup resume ${name} ends that`,
    );
  }
  if (log.state === 'resuming' && log.restored) {
    add('resuming', 'a restarted daemon has not loaded it yet: its mirror waits');
  }
  if (isStalled) {
    add(
      'resync-stalled',
      `regions are out of sync and the kernel asks for no work; a leg may have failed (dmsetup status ${name}); if none has, dmsetup suspend ${name} && dmsetup resume ${name} makes it ask`,
    );
  }
  return problems;
}

/** Two digits, rounded down. */
function percent(part: number, whole: number): number {
  return whole === 0 ? 100 : Math.floor((part / whole) * 10_000) / 100;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

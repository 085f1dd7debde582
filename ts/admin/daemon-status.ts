/**
 * What the daemon tells about itself and its logs: plain data, made in the engine, read by the admin worker and by
 * `lockstep`. Every number is counted where it happens; nothing is estimated.
 *
 * Types only. How a status is made stands in `daemon/status.ts`.
 */
import type { SessionCounters } from '../cluster/group-session.js';
import type { LifeCycle } from '../mirror/log-state.js';
import type { Stage } from '../mirror/member-table.js';
import type { MirrorCounters } from '../mirror/world.js';
import type { FrameCounters } from '../native/frame-channel.js';
import type { LogDeviceCounters } from '../storage/log-devices.js';

export interface LogStatus {
  readonly uuid: string;
  /** 16 hexadecimal digits. */
  readonly luid: string;
  readonly type: 'core' | 'disk';
  readonly lifeCycle: keyof typeof LifeCycle;
  readonly restored: boolean;
  readonly regionCount: number;
  readonly regionSizeSectors: number;
  readonly dirtyCount: number;
  readonly inSyncCount: number;
  readonly heldCount: number;
  readonly stickyCount: number;
  readonly ownedCount: number;
  /** Region under recovery, one for all hosts that have the log, and the node whose kernel copies it; -1: none. */
  readonly recoveringRegion: number;
  readonly recoveringNode: number;
  readonly inSyncLatched: boolean;
  readonly marksUnknown: boolean;
  readonly logFailed: boolean;
  readonly resumeCount: number;
  readonly everResumed: boolean;
  /** The log device as the constructor names it; null for a core log. */
  readonly logDevice: string | null;
  /** `major:minor` of the log device, null while it is not known. */
  readonly logDeviceNumbers: string | null;
  /** Null where logs are served alone. */
  readonly cluster: LogClusterStatus | null;
}

/** The members of a log, as this daemon knows them; they agree but for what is on its way. */
export interface LogClusterStatus {
  readonly members: readonly {
    readonly node: number;
    readonly name: string;
    readonly stage: Stage;
    /** Its daemon is in the group. */
    readonly present: boolean;
    /** Its copy of the log follows the group. */
    readonly valid: boolean;
    /** All that its kernel holds is known. */
    readonly settled: boolean;
    /** The log goes on only when it is back or known dead. */
    readonly needed: boolean;
    /** Its kernel writes regions without marks that nobody can name: no other host recovers before it has another table (R10). */
    readonly recoversAlone: boolean;
  }[];
  /** The node that writes the log device; -1: nobody now. */
  readonly writer: number;
  readonly writerEpoch: number;
  /** R14: an original cmirrord has it too. */
  readonly foreign: boolean;
  /** What requests of this host's kernel wait for now, the graver first; and for how long at least. */
  readonly waits: readonly LogWait[];
  readonly waitedMs: number;
}

/**
 * `group`: this host is in none, `exchange`: the members tell each other what they know, `quorum`, `needed`: nobody has the log whole
 * without these nodes, `copy`: this host takes theirs, `load`: the log device is read, `writer`: it is away or there is none, `recovery`:
 * they copy a region that this kernel wants to write, `suspend`: a suspend waits for the end of that, `acknowledgement`: they have
 * not said that they have the marks, `log-failed`, `log-write`: of the writer, `order`: for what is on its way through the group.
 */
export type WaitCode =
  | 'group'
  | 'exchange'
  | 'quorum'
  | 'needed'
  | 'copy'
  | 'load'
  | 'writer'
  | 'recovery'
  | 'suspend'
  | 'acknowledgement'
  | 'log-failed'
  | 'log-write'
  | 'order';

export interface LogWait {
  readonly code: WaitCode;
  readonly nodes: readonly number[];
}

export interface ClusterStatus {
  readonly connected: boolean;
  /** Why this host is in no group; empty: it is. */
  readonly problem: string;
  /** What corosync says here, and what the members of the group go by. */
  readonly quorate: boolean;
  readonly agreedQuorate: boolean;
  /** Number of the view, counted by this daemon, and when it began. */
  readonly view: number;
  readonly viewSince: string;
  /** The members are telling each other what they know. */
  readonly exchanging: boolean;
  /** Who is asked whether a lost host is dead; null: nobody. */
  readonly fencing: 'command' | 'dlm' | 'pacemaker' | null;
  readonly members: readonly { readonly node: number; readonly name: string }[];
  /** Nodes that corosync hears, with or without a daemon. */
  readonly heard: readonly number[];
  /** Nodes whose daemons are in the group and have not introduced themselves yet. */
  readonly awaited: readonly number[];
  /** Members that have not acknowledged all messages. */
  readonly behind: readonly number[];
  /** Hosts with logs that are gone and not known dead. */
  readonly lost: readonly { readonly node: number; readonly name: string; readonly since: string }[];
  /** What corosync has not taken yet. */
  readonly waitingBytes: number;
  readonly connections: number;
  readonly counters: Readonly<SessionCounters>;
}

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  readonly node: number;
  readonly nodeName: string;
  readonly bootId: string;
  /** Where requests come from. */
  readonly kernel: 'connector' | 'simulated';
  readonly stateDirectory: string;
  readonly uptimeMs: number;
  readonly transport: 'local' | 'corosync';
  readonly corosyncBuiltIn: boolean;
  /** Why the transport carries nothing until the daemon is started anew; null: it does. */
  readonly unavailable: string | null;
  /** Null where logs are served alone. */
  readonly cluster: ClusterStatus | null;
  readonly logs: readonly LogStatus[];
  readonly counters: {
    /** Requests by name; `UNKNOWN` for types without one, `MALFORMED` for frames answered without the core. */
    readonly requests: Readonly<Record<string, number>>;
    readonly replies: { readonly succeeded: number; readonly failed: number; readonly dropped: number };
    /** Sound MARK requests and FLUSH requests with regions; those of them that needed neither message nor write. */
    readonly marks: number;
    readonly marksWithoutIo: number;
    readonly core: Omit<MirrorCounters, 'marks' | 'marksWithoutIo'>;
    readonly devices: LogDeviceCounters;
    readonly frames: FrameCounters;
    readonly turns: number;
  };
  readonly memory: { readonly stateBytes: number; readonly heapBytes: number; readonly residentBytes: number };
}

/** One region of one log, as it stood between two requests. */
export interface RegionStatus {
  /** The log at the same moment. */
  readonly log: Omit<LogStatus, 'cluster'>;
  readonly region: number;
  readonly clean: boolean;
  readonly inSync: boolean;
  /** This host's kernel has marked it and not cleared it. */
  readonly held: boolean;
  /** The kernel has cleared it; it stays marked for a moment in case it is written again. */
  readonly sticky: boolean;
  /** Its release is on its way through the ordered stream. */
  readonly releasing: boolean;
  /** This node, and other nodes, own a mark of it. */
  readonly ownedHere: boolean;
  readonly ownedElsewhere: boolean;
  /** The other nodes that own a mark of it, as far as they have the log. */
  readonly owners: readonly number[];
  /** A write waits for its recovery. */
  readonly wished: boolean;
  /** A kernel is copying it: the log says whose. */
  readonly recovering: boolean;
  /** The search for resync work has passed it: it is not handed out before the next resume. */
  readonly behindSearch: boolean;
  /** Dirty regions that nobody holds are still being looked for after a restart. */
  readonly sweeping: boolean;
}

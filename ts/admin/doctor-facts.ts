/**
 * What `lockstep doctor` looks at, read from /proc, /sys and the daemon, and nothing changed. Judging is doctor-checks.ts's
 * business. What cannot be read is null: a check then says so instead of guessing.
 */
import { readFileSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { NativeLogDevice } from '../native/log-device.js';
import { pidFileHolder } from '../native/process.js';
import { askDaemon, statusOf } from './ask-daemon.js';
import type { DaemonStatus, LogStatus } from './daemon-status.js';

export interface PidFileFact {
  readonly path: string;
  /** 0: nobody; null: it could not be looked at. */
  readonly holder: number | null;
  /** Name of the program that holds it. */
  readonly program: string;
}

export interface NetlinkSocket {
  readonly portId: number;
  readonly queuedBytes: number;
  readonly drops: number;
}

export interface DaemonFact {
  readonly pid: number;
  readonly version: string;
  readonly logs: readonly LogStatus[];
  readonly simulated: boolean;
  readonly transport: DaemonStatus['transport'];
  /** Why it is in no group, in one sentence; empty: it is, or serves its logs alone. */
  readonly groupProblem: string;
  readonly stateDirectory: string;
  readonly overruns: number;
  /** Effective capabilities, as the kernel's bit mask; null: not to be read. */
  readonly capabilities: bigint | null;
  readonly swappedKib: number | null;
  /** Soft limit of locked memory in bytes; Infinity: none. */
  readonly memlockBytes: number | null;
  /** memory.swap.max of its control group; Infinity: none. */
  readonly swapMaxBytes: number | null;
  /** A mount namespace that is not the first process's; null: not to be told. */
  readonly ownMounts: boolean | null;
}

/** What lockstep.toml says, as far as it concerns this command; whoever calls has read it. */
export interface ConfigFact {
  readonly path: string;
  readonly present: boolean;
  readonly problems: readonly string[];
  /** Where daemons of this configuration have their locks. */
  readonly pidFiles: readonly string[];
  /** Null: not set. */
  readonly stateDirectory: string | null;
}

export interface DoctorFacts {
  readonly config: ConfigFact;
  readonly kernel: string;
  readonly root: boolean;
  readonly capabilities: bigint | null;
  readonly moduleLoaded: boolean;
  /** In the modules folder of this kernel, or built in; null: there is no such folder. */
  readonly modulePresent: boolean | null;
  readonly mirrorTarget: boolean | null;
  /** /proc/net/connector, null: the kernel or this network namespace has none. */
  readonly connector: string | null;
  readonly pidFiles: readonly PidFileFact[];
  readonly corosyncConfigured: boolean;
  readonly receiveBufferMax: number | null;
  /** Members of connector group 7; null: not to be read. */
  readonly listeners: readonly NetlinkSocket[] | null;
  readonly ioUring: boolean;
  readonly ioUringDisabled: string | null;
  readonly memlockBytes: number | null;
  readonly swaps: readonly string[];
  readonly stateDirectory: string;
  /** Null: there is none yet. */
  readonly stateMount: { readonly tmpfs: boolean; readonly freeBytes: number } | null;
  readonly daemon: DaemonFact | null;
  /** Why there is none. */
  readonly daemonProblem: string;
  /** Bytes of each log device or file, by its name in the constructor; null: it could not be looked at. */
  readonly logBytes: ReadonlyMap<string, number | null>;
}

const netlinkConnector = 11;
const groupBit = 1 << 6;
const tmpfsMagics = [0x01021994, 0x858458f6];

/** @param stateDirectoryGiven null: the daemon's, or where that would be. */
export async function doctorFacts(
  socket: string,
  stateDirectoryGiven: string | null,
  config: ConfigFact,
): Promise<DoctorFacts> {
  const { daemon, daemonProblem } = await daemonFact(socket);
  const stateDirectory =
    stateDirectoryGiven ?? daemon?.stateDirectory ?? config.stateDirectory ?? join(dirname(socket), 'logs');
  return {
    config,
    kernel: release(),
    root: process.getuid?.() === 0,
    capabilities: capabilitiesOf('self'),
    moduleLoaded: exists('/sys/module/dm_log_userspace'),
    modulePresent: modulePresent('dm-log-userspace'),
    mirrorTarget: exists('/sys/module/dm_mirror') ? true : modulePresent('dm-mirror'),
    connector: text('/proc/net/connector'),
    pidFiles: config.pidFiles.map(pidFileFact),
    corosyncConfigured: exists('/etc/corosync/corosync.conf'),
    receiveBufferMax: number(text('/proc/sys/net/core/rmem_max')),
    listeners: listeners(text('/proc/net/netlink')),
    ioUring: hasIoUring(),
    ioUringDisabled: text('/proc/sys/kernel/io_uring_disabled')?.trim() ?? null,
    memlockBytes: memlock('self'),
    swaps: (text('/proc/swaps') ?? '')
      .split('\n')
      .slice(1)
      .filter(Boolean)
      .map((line) => line.split(/\s+/)[0] ?? ''),
    stateDirectory,
    stateMount: stateMount(stateDirectory),
    daemon,
    daemonProblem,
    logBytes: new Map(
      (daemon?.logs ?? []).flatMap((log) => (log.logDevice === null ? [] : [[log.logDevice, logBytes(log)]])),
    ),
  };
}

async function daemonFact(socket: string): Promise<{ daemon: DaemonFact | null; daemonProblem: string }> {
  try {
    const status = await askDaemon(socket, (client) => statusOf(client, socket));
    const { pid } = status;
    const daemon: DaemonFact = {
      pid,
      version: status.version,
      logs: status.logs,
      simulated: status.kernel === 'simulated',
      transport: status.transport,
      groupProblem: status.cluster?.problem ?? '',
      stateDirectory: status.stateDirectory,
      overruns: status.counters.frames.overruns,
      capabilities: capabilitiesOf(String(pid)),
      swappedKib: number(/^VmSwap:\s*(\d+)/m.exec(text(`/proc/${pid}/status`) ?? '')?.[1] ?? null),
      memlockBytes: memlock(String(pid)),
      swapMaxBytes: swapMax(pid),
      ownMounts: ownMounts(pid),
    };
    return { daemon, daemonProblem: '' };
  } catch (error) {
    return { daemon: null, daemonProblem: error instanceof Error ? error.message : String(error) };
  }
}

function pidFileFact(path: string): PidFileFact {
  try {
    const holder = pidFileHolder(path);
    return { path, holder, program: holder > 0 ? (text(`/proc/${holder}/comm`)?.trim() ?? '') : '' };
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return { path, holder: missing ? 0 : null, program: '' };
  }
}

function capabilitiesOf(pid: string): bigint | null {
  const match = /^CapEff:\s*([0-9a-f]+)/m.exec(text(`/proc/${pid}/status`) ?? '');
  return match?.[1] === undefined ? null : BigInt(`0x${match[1]}`);
}

/** Listed by depmod, or built in; where depmod never ran, null. */
function modulePresent(name: string): boolean | null {
  const folder = `/lib/modules/${release()}`;
  const lists = [text(`${folder}/modules.dep`), text(`${folder}/modules.builtin`)];
  if (lists.every((list) => list === null)) return null;
  const file = new RegExp(`/${name.replaceAll('-', '[-_]')}\\.ko`, 'm');
  return lists.some((list) => list !== null && file.test(list));
}

/** Columns: sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode. */
export function listeners(table: string | null): NetlinkSocket[] | null {
  if (table === null) return null;
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((cells) => Number(cells[1]) === netlinkConnector && (Number.parseInt(cells[3] ?? '0', 16) & groupBit) !== 0)
    .map((cells) => ({ portId: Number(cells[2]), queuedBytes: Number(cells[4]), drops: Number(cells[8]) }));
}

/** The daemon's own writer is made, as it would make it; it opens nothing. */
function hasIoUring(): boolean {
  const device = new NativeLogDevice({ opened: () => {}, read: () => {}, written: () => {} }, { writer: 'uring' });
  const { writer } = device;
  device.close();
  return writer === 'uring';
}

function memlock(pid: string): number | null {
  const soft = /^Max locked memory\s+(\S+)/m.exec(text(`/proc/${pid}/limits`) ?? '')?.[1];
  if (soft === undefined) return null;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

function swapMax(pid: number): number | null {
  const group = /^0::(.*)$/m.exec(text(`/proc/${pid}/cgroup`) ?? '')?.[1];
  const limit = group === undefined ? null : text(`/sys/fs/cgroup${group}/memory.swap.max`);
  if (limit === null) return null;
  return limit.trim() === 'max' ? Number.POSITIVE_INFINITY : Number(limit);
}

function ownMounts(pid: number): boolean | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`) !== readlinkSync('/proc/1/ns/mnt');
  } catch {
    return null;
  }
}

function stateMount(path: string): DoctorFacts['stateMount'] {
  try {
    const { type, bavail, bsize } = statfsSync(path);
    return { tmpfs: tmpfsMagics.includes(type), freeBytes: bavail * bsize };
  } catch {
    return null;
  }
}

function logBytes({ logDevice, logDeviceNumbers }: LogStatus): number | null {
  try {
    const named = /^\d+:\d+$/.test(logDevice ?? '') ? logDevice : null;
    const status = named === null ? statSync(logDevice ?? '') : null;
    if (status?.isFile() === true) return status.size;
    const size = text(`/sys/dev/block/${named ?? logDeviceNumbers}/size`);
    return size === null ? null : Number(size) * 512;
  } catch {
    return null;
  }
}

function number(value: string | null): number | null {
  return value === null || !/^\s*\d+\s*$/.test(value) ? null : Number(value);
}

function exists(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch {
    return false;
  }
}

function text(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/**
 * Judges what `lockstep doctor` has found. `fail`: mirrors cannot be served, or not safely. `warn`: they can, and something
 * will hurt under load, after a crash or later. Each that is not `ok` comes with a remedy. Pure.
 */
import { logBitsOffset } from '../base/limits.js';
import type { DaemonFact, DoctorFacts } from './doctor-facts.js';
import { bytesText } from './status-text.js';

export interface Check {
  /** Stable name. */
  readonly check: string;
  readonly result: 'ok' | 'warn' | 'fail';
  readonly text: string;
  /** What to do; '' where nothing is to be done. */
  readonly remedy: string;
}

const sysAdmin = 21n;
const needed: readonly (readonly [string, bigint])[] = [
  ['CAP_NET_ADMIN', 12n],
  ['CAP_SYS_ADMIN', sysAdmin],
  ['CAP_SYS_RESOURCE', 24n],
];
/** What the daemon asks for. */
const receiveBufferBytes = 8 * 2 ** 20;
/** Node, the addon and their libraries: what is locked. */
const lockedBytes = 96 * 2 ** 20;
const startRemedy = 'systemctl start lockstepd, or, where there is no such unit, lockstepd itself';
const stateFreeBytes = 16 * 2 ** 20;

export function checksOf(facts: DoctorFacts): Check[] {
  return [
    daemonCheck(facts),
    configCheck(facts),
    moduleCheck(facts),
    mirrorCheck(facts),
    connectorCheck(facts),
    listenersCheck(facts),
    capabilityCheck(facts),
    twoDaemonsCheck(facts),
    corosyncCheck(facts),
    bufferCheck(facts),
    dropsCheck(facts),
    swapCheck(facts),
    memlockCheck(facts),
    ...mountsChecks(facts),
    ioUringCheck(facts),
    stateCheck(facts),
    ...logChecks(facts),
  ];
}

const ok = (check: string, text: string): Check => ({ check, result: 'ok', text, remedy: '' });
const warn = (check: string, text: string, remedy: string): Check => ({ check, result: 'warn', text, remedy });
const fail = (check: string, text: string, remedy: string): Check => ({ check, result: 'fail', text, remedy });

function daemonCheck({ daemon, daemonProblem }: DoctorFacts): Check {
  if (daemon === null) {
    const remedy = `${startRemedy}; where a daemon runs elsewhere: --socket PATH`;
    return fail('daemon', daemonProblem, remedy);
  }
  const kernel = daemon.simulated ? ', for a simulated kernel' : '';
  return ok('daemon', `lockstepd ${daemon.version} runs as pid ${daemon.pid}, logs: ${daemon.logs.length}${kernel}`);
}

function configCheck({ config: { path, present, problems } }: DoctorFacts): Check {
  const [first, ...more] = problems;
  if (first === undefined) return ok('config', present ? `${path} is good` : `there is no ${path}: the defaults hold`);
  const rest = more.length === 0 ? '' : `, and ${more.length} more`;
  return fail('config', `${first}${rest}`, 'no daemon starts with it; lockstepd --check-config tells everything');
}

/** A daemon of a simulated kernel needs nothing of the real one. */
function graver({ daemon }: DoctorFacts): typeof fail {
  return daemon?.simulated === true ? warn : fail;
}

function moduleCheck(facts: DoctorFacts): Check {
  if (facts.moduleLoaded) return ok('module', 'dm_log_userspace is loaded');
  if (facts.modulePresent === true) {
    return graver(facts)(
      'module',
      'dm_log_userspace is there and not loaded',
      'modprobe dm-log-userspace, and a line in /etc/modules-load.d',
    );
  }
  const unsure = facts.modulePresent === null ? ' as far as can be told' : '';
  const text = `kernel ${facts.kernel} has no dm_log_userspace${unsure}`;
  return graver(facts)(
    'module',
    text,
    'a kernel with CONFIG_DM_LOG_USERSPACE; some distributions have it in an extra modules package',
  );
}

function mirrorCheck(facts: DoctorFacts): Check {
  if (facts.mirrorTarget === true) return ok('mirror', 'the kernel has the mirror target');
  const remedy = 'modprobe dm-mirror; a kernel with CONFIG_DM_MIRROR';
  if (facts.mirrorTarget === null) return warn('mirror', 'whether the kernel has dm_mirror cannot be told', remedy);
  return graver(facts)('mirror', `kernel ${facts.kernel} has no dm_mirror`, remedy);
}

function connectorCheck(facts: DoctorFacts): Check {
  if (facts.connector === null) {
    const text =
      'there is no /proc/net/connector: the kernel has no connector, or this is not the first network namespace';
    return graver(facts)(
      'connector',
      text,
      'run on the host itself and not in a container with a network of its own; a kernel with CONFIG_CONNECTOR',
    );
  }
  if (/^dmlogusr\s+7:1\b/m.test(facts.connector)) return ok('connector', 'the kernel speaks dmlogusr 7:1');
  return graver(facts)(
    'connector',
    '/proc/net/connector does not list dmlogusr 7:1',
    'modprobe dm-log-userspace; another module may use that id',
  );
}

function listenersCheck(facts: DoctorFacts): Check {
  const { listeners } = facts;
  if (listeners === null)
    return warn('listeners', '/proc/net/netlink cannot be read', 'run as root on the host itself');
  const pids = listeners.map(({ portId }) => portId).join(', ');
  if (listeners.length > 1) {
    const text = `${listeners.length} sockets answer this kernel (port ids ${pids}): the first reply wins, and mirrors are corrupted`;
    return fail('listeners', text, 'stop all of these daemons but one');
  }
  if (listeners.length === 1) return ok('listeners', `one socket answers this kernel (port id ${pids})`);
  return graver(facts)('listeners', 'nobody answers this kernel: mirrors wait', startRemedy);
}

function capabilityCheck(facts: DoctorFacts): Check {
  const daemon = facts.daemon !== null && !facts.daemon.simulated ? facts.daemon : null;
  const mask = daemon?.capabilities ?? facts.capabilities;
  const whose = daemon === null ? 'this user' : `the daemon (pid ${daemon.pid})`;
  if (mask === null) return warn('capabilities', `those of ${whose} cannot be read`, 'run as root');
  const missing = needed.filter(([, bit]) => (mask & (1n << bit)) === 0n).map(([name]) => name);
  if (missing.length === 0) return ok('capabilities', `${whose} has what the connector needs`);
  const silent = missing.includes('CAP_SYS_ADMIN') ? ': without it the kernel drops every answer, silently' : '';
  const worse = facts.daemon?.simulated === true || !silent ? warn : fail;
  return worse(
    'capabilities',
    `${whose} lacks ${missing.join(', ')}${silent}`,
    'run the daemon as root, or with the CapabilityBoundingSet of lockstepd.service',
  );
}

function twoDaemonsCheck({ pidFiles }: DoctorFacts): Check {
  const unknown = pidFiles.filter(({ holder }) => holder === null).map(({ path }) => path);
  if (unknown.length > 0) return warn('two-daemons', `cannot look at ${unknown.join(', ')}`, 'run as root');
  const held = pidFiles.filter(({ holder }) => holder !== 0);
  const holders = new Set(held.map(({ holder }) => holder));
  const text = held.map(({ path, holder, program }) => `${path} by ${program || 'pid'} ${holder}`).join(', ');
  if (holders.size > 1)
    return fail('two-daemons', `two daemons hold pid files: ${text}`, 'stop one: both answer the same kernel');
  return ok('two-daemons', held.length === 0 ? 'no pid file is locked' : `one daemon holds ${text}`);
}

function corosyncCheck({ corosyncConfigured, daemon }: DoctorFacts): Check {
  const exists = '/etc/corosync/corosync.conf exists';
  if (daemon?.transport === 'corosync') {
    const { groupProblem } = daemon;
    if (groupProblem !== '')
      return warn(
        'cluster',
        `the daemon is in no group, and resumes no log: ${groupProblem}`,
        'corosync-quorumtool -s',
      );
    if (corosyncConfigured)
      return ok('cluster', 'the daemon shares its logs with the hosts of its cluster, by corosync');
    return warn(
      'cluster',
      'the daemon wants to share its logs by corosync, and there is no /etc/corosync/corosync.conf: it resumes no log',
      'where no other host uses these mirrors: transport = "local" in lockstep.toml; else set corosync up',
    );
  }
  if (!corosyncConfigured) return ok('cluster', 'no corosync configuration: this host is alone');
  if (daemon === null) {
    const remedy =
      'where no other host uses them: transport = "local" in lockstep.toml; where others do: lockstep.toml(5)';
    return warn('cluster', `${exists}: this host may share its mirrors`, remedy);
  }
  return warn(
    'cluster',
    `${exists}, and the daemon serves its mirrors as the only host (transport = "local")`,
    'nothing, where that is true; another host that writes to them now corrupts them',
  );
}

function bufferCheck(facts: DoctorFacts): Check {
  const { receiveBufferMax: max, capabilities } = facts;
  if (max === null)
    return warn('receive-buffer', '/proc/sys/net/core/rmem_max cannot be read', 'run on the host itself');
  // SO_RCVBUFFORCE passes the limit.
  const mask = facts.daemon?.capabilities ?? capabilities;
  const forced = mask !== null && (mask & (1n << 12n)) !== 0n;
  if (max >= receiveBufferBytes) return ok('receive-buffer', `rmem_max is ${bytesText(max)}`);
  if (forced)
    return ok(
      'receive-buffer',
      `rmem_max is ${bytesText(max)}; the daemon may and does pass it (${bytesText(receiveBufferBytes)})`,
    );
  return warn(
    'receive-buffer',
    `rmem_max is ${bytesText(max)}, the daemon wants ${bytesText(receiveBufferBytes)}`,
    `sysctl -w net.core.rmem_max=${receiveBufferBytes}`,
  );
}

function dropsCheck({ listeners, daemon }: DoctorFacts): Check {
  const drops = (listeners ?? []).reduce((sum, socket) => sum + socket.drops, 0) + (daemon?.overruns ?? 0);
  if (drops === 0) return ok('drops', 'no request was dropped for want of room');
  const text = `${drops} requests were dropped for want of room; the kernel repeats each after 2 or 15 s`;
  return warn('drops', text, 'a larger receive buffer, or more CPU for the daemon (lockstep status shows its load)');
}

function swapCheck({ swaps, daemon }: DoctorFacts): Check {
  if (daemon !== null && daemon.swappedKib !== null && daemon.swappedKib > 0) {
    return fail(
      'swap',
      `${daemon.swappedKib} KiB of the daemon are swapped out: a mirror may wait for itself`,
      'MemorySwapMax=0 in its unit, then restart it',
    );
  }
  if (swaps.length === 0) return ok('swap', 'there is no swap');
  if (daemon?.swapMaxBytes === 0) return ok('swap', 'the daemon may not be swapped out (MemorySwapMax=0)');
  return warn(
    'swap',
    `swap on ${swaps.join(', ')}, and nothing keeps the daemon out of it`,
    'MemorySwapMax=0 in its unit; never swap on a mirror that it serves',
  );
}

function memlockCheck(facts: DoctorFacts): Check {
  const whose = facts.daemon === null ? 'this user' : 'the daemon';
  const bytes = facts.daemon === null ? facts.memlockBytes : facts.daemon.memlockBytes;
  const mask = facts.daemon === null ? facts.capabilities : facts.daemon.capabilities;
  if (bytes === null) return warn('memlock', `the limit of ${whose} cannot be read`, 'run as root');
  const unlimited = mask !== null && (mask & (1n << 14n)) !== 0n;
  if (unlimited || bytes >= lockedBytes) return ok('memlock', `${whose} may lock its code in memory`);
  return warn(
    'memlock',
    `${whose} may lock ${bytesText(bytes)}, its code takes about ${bytesText(lockedBytes)}`,
    'LimitMEMLOCK=infinity in its unit',
  );
}

/** A daemon that unmounts a file system of its own mirror as it ends waits for itself. */
function mountsChecks({ daemon }: DoctorFacts): Check[] {
  if (daemon === null || daemon.simulated || daemon.ownMounts === null) return [];
  if (!daemon.ownMounts) return [ok('mounts', 'the daemon has the mounts of the host')];
  const text =
    'the daemon has a mount namespace of its own: where mounts do not propagate, file systems on its mirrors stay mounted in it';
  return [warn('mounts', text, 'no ProtectSystem, ProtectHome, PrivateTmp or the like in its unit; no container')];
}

function ioUringCheck({ ioUring, ioUringDisabled }: DoctorFacts): Check {
  if (ioUring) return ok('io_uring', 'disk logs are written through io_uring');
  const why =
    ioUringDisabled !== null && ioUringDisabled !== '0' ? ` (kernel.io_uring_disabled=${ioUringDisabled})` : '';
  return warn(
    'io_uring',
    `no io_uring${why}: a thread a disk log writes instead, which costs 20 to 50 us a commit`,
    'sysctl kernel.io_uring_disabled=0 where policy allows it',
  );
}

function stateCheck({ stateDirectory, stateMount, daemon }: DoctorFacts): Check {
  if (stateMount === null) {
    const text = `${stateDirectory} is not there, or not to be read`;
    return daemon === null
      ? warn('state', text, 'the daemon makes it; --state-dir DIR where it is elsewhere')
      : fail(
          'state',
          text,
          'restarts need it: --state-dir DIR where it is elsewhere; otherwise suspend and resume the mirrors',
        );
  }
  const { tmpfs, freeBytes } = stateMount;
  if (freeBytes < stateFreeBytes) {
    return fail(
      'state',
      `${stateDirectory} has ${bytesText(freeBytes)} left: in a full one large logs take no new marks, and writes to their mirrors fail`,
      'make room on that file system',
    );
  }
  if (tmpfs) return ok('state', `${stateDirectory} is on a tmpfs with ${bytesText(freeBytes)} left`);
  return warn(
    'state',
    `${stateDirectory} is not on a tmpfs: state records cost disk writes, and the disk may be behind a mirror`,
    'a folder below /run (--state-dir)',
  );
}

function logChecks({ daemon, logBytes }: DoctorFacts): Check[] {
  const disks = (daemon?.logs ?? []).filter((log) => log.logDevice !== null);
  return disks.map((log) => logCheck(log, logBytes.get(log.logDevice ?? '') ?? null));
}

function logCheck(log: DaemonFact['logs'][number], bytes: number | null): Check {
  const check = 'log-device';
  const room = logBitsOffset + Math.ceil(log.regionCount / 8);
  const name = `${log.logDevice} of ${log.uuid}`;
  if (log.logFailed)
    return fail(check, `${name} has failed`, 'lockstep events; when the device is back it is written again by itself');
  if (bytes === null) return warn(check, `${name} cannot be looked at`, 'run as root');
  if (bytes < room)
    return fail(
      check,
      `${name}: ${bytes} bytes, ${log.regionCount} regions take ${room}`,
      'a larger log device, or a larger region size',
    );
  return ok(check, `${name}: ${bytesText(bytes)}, its ${log.regionCount} regions take ${bytesText(room)}`);
}

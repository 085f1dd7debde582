/**
 * What the host is, as far as defaults depend on it: looked up once, so that everything which decides on it is a function
 * that tests can ask about hosts they do not run on.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { corosyncBuiltIn } from '../native/cpg-group.js';

export interface HostFacts {
  readonly root: boolean;
  /** $XDG_RUNTIME_DIR, or null. */
  readonly runtimeDirectory: string | null;
  /** $XDG_CONFIG_HOME, or null. */
  readonly configHome: string | null;
  /** $LOCKSTEP_CONFIG: a configuration file in the place of the usual one, or null. */
  readonly configVariable: string | null;
  readonly homeDirectory: string;
  readonly hostName: string;
  readonly bootId: string;
  /** True when /etc/corosync/corosync.conf exists: the host may be one of several. */
  readonly corosyncConfigured: boolean;
  /** True when this build can run the cluster transport. */
  readonly corosyncBuiltIn: boolean;
  /** True when stderr goes to the journal (JOURNAL_STREAM is set). */
  readonly journalStream: boolean;
}

export function hostFacts(): HostFacts {
  const { XDG_RUNTIME_DIR, XDG_CONFIG_HOME, LOCKSTEP_CONFIG, JOURNAL_STREAM } = process.env;
  return {
    root: process.getuid?.() === 0,
    runtimeDirectory: XDG_RUNTIME_DIR || null,
    configHome: XDG_CONFIG_HOME || null,
    configVariable: LOCKSTEP_CONFIG || null,
    homeDirectory: homedir(),
    hostName: hostname(),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    corosyncConfigured: existsSync('/etc/corosync/corosync.conf'),
    corosyncBuiltIn,
    journalStream: JOURNAL_STREAM !== undefined,
  };
}

/** Whether the kernel's module is there to ask, by the text of /proc/net/connector; null where there is none. */
export function logModuleListens(connectorFile: string | null): boolean {
  return connectorFile !== null && /^dmlogusr\s+7:1\b/m.test(connectorFile);
}

export function connectorFile(): string | null {
  try {
    return readFileSync('/proc/net/connector', 'utf8');
  } catch {
    return null;
  }
}

/** Where lockstep.toml lies when nobody says otherwise. */
export function configFileDefault(host: HostFacts): string {
  if (host.root) return '/etc/lockstep/lockstep.toml';
  return `${host.configHome ?? `${host.homeDirectory}/.config`}/lockstep/lockstep.toml`;
}

/** On a tmpfs where there is one. Elsewhere it costs writes, not safety: records of another boot are ignored. */
export function stateDirectoryDefault(host: HostFacts): string {
  if (host.root) return '/run/lockstep/logs';
  if (host.runtimeDirectory !== null) return `${host.runtimeDirectory}/lockstep/logs`;
  return `${host.homeDirectory}/.local/state/lockstep/logs`;
}

/**
 * The daemon as `cmirrord`: no options but lockstep.toml, its pid file, its log. What the command line said is only
 * whether it stays in the foreground.
 *
 * The transport is corosync whatever the host has, since that is what `cmirrord` is for: a host that is alone has to
 * be called so, by `transport = "local"` in lockstep.toml. As with the original the daemon starts all the same, so that
 * LVM2 finds it running; RESUME of a log is what fails, and says why.
 */
import { statSync } from 'node:fs';
import type { DaemonConfig } from './config.js';
import { readConfigFile } from './config-file.js';
import { daemonConfig, effectiveValues } from './config-values.js';
import { configFileDefault, type HostFacts } from './host-facts.js';
import type { LogEntry } from './log-entry.js';

export type CmirrordConfig = { readonly config: DaemonConfig } | { readonly problems: readonly string[] };

export function cmirrordConfig(host: HostFacts, foreground: boolean): CmirrordConfig {
  const path = host.configVariable ?? configFileDefault(host);
  const file = readConfigFile(path);
  if (file === null && host.configVariable !== null) return { problems: [`${path}: there is no such file`] };
  if (file !== null && file.problems.length > 0) return { problems: file.problems };
  const values = effectiveValues(file?.values ?? new Map(), host);
  const config = daemonConfig(values, {
    personality: 'cmirrord',
    kernel: { kind: 'connector' },
    transport: values.get('transport')?.value === 'local' ? 'local' : 'corosync',
    bootId: host.bootId,
    forceForeignSession: false,
    pidFileGiven: false,
  });
  return { config: { ...config, logTarget: foreground ? 'stdout' : 'syslog' } };
}

/** What `cmirrord` says when it starts, and what an administrator should know about the transport. */
export function startEntries(config: DaemonConfig, host: HostFacts): LogEntry[] {
  const line = (level: LogEntry['level'], text: string): LogEntry => ({ level, event: '', fields: { text } });
  const entries = [line('notice', 'Starting cmirrord:'), line('notice', ` Built: ${builtText()}`)];
  if (config.transport === 'local' && host.corosyncConfigured) {
    const text =
      'transport "local" although /etc/corosync/corosync.conf exists: no other host may write to the same mirrors';
    entries.push({ level: 'warning', event: 'alone-by-order', fields: { text } });
  }
  return entries;
}

/** When this program was compiled, as C writes it: `Nov 21 2026 08:23:31`. */
function builtText(): string {
  const [, month, day, year, time] = statSync(new URL(import.meta.url))
    .mtime.toString()
    .split(' ');
  return `${month} ${Number(day) < 10 ? ` ${Number(day)}` : day} ${year} ${time}`;
}

/** A host that the tests do not run on, and the configuration of a daemon on it, made as the real ones are. */
import type { DaemonConfig } from '../../ts/daemon/config.js';
import { daemonConfig, effectiveValues } from '../../ts/daemon/config-values.js';
import type { HostFacts } from '../../ts/daemon/host-facts.js';

export const otherHost: HostFacts = {
  root: false,
  runtimeDirectory: '/run/user/1000',
  configHome: null,
  configVariable: null,
  homeDirectory: '/home/ada',
  hostName: 'alpha',
  bootId: '00000000-1111-2222-3333-444444444444',
  corosyncConfigured: false,
  corosyncBuiltIn: true,
  journalStream: false,
};

/** Defaults for a simulated kernel, and what the test sets. */
export function configWith(changes: Partial<DaemonConfig> & Pick<DaemonConfig, 'kernel'>): DaemonConfig {
  const config = daemonConfig(effectiveValues(new Map(), otherHost), {
    personality: 'lockstepd',
    kernel: changes.kernel,
    transport: 'local',
    bootId: 'boot-1',
    forceForeignSession: false,
    pidFileGiven: false,
  });
  return { ...config, ...changes };
}

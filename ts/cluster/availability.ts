/**
 * Which transports there are, and which of them this build can run. What is not available is never replaced by
 * another: two hosts that are each alone on a shared mirror are the corruption that cluster logs exist to prevent.
 */

export type TransportKind = 'local' | 'corosync';

/** Why a transport cannot carry a log, in one sentence; null when it can. */
export function whyUnavailable(kind: TransportKind): string | null {
  if (kind === 'local') return null;
  return 'cluster transport is not built into this version';
}

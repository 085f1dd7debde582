/**
 * Which transports there are, and which of them this build can run. What is not available is never replaced by
 * another: two hosts that are each alone on a shared mirror are the corruption that cluster logs exist to prevent.
 */
import { corosyncBuiltIn } from '../native/cpg-group.js';

export type TransportKind = 'local' | 'corosync';

/** Why a build cannot run a transport, in one sentence; null when it can. */
export function whyUnavailable(kind: TransportKind, builtIn = corosyncBuiltIn): string | null {
  if (kind === 'local' || builtIn) return null;
  return 'corosync is not built into this version (the Debian packages libcpg-dev and libquorum-dev were missing)';
}

/** Which capabilities this process has in effect, as the kernel numbers them. */
import { readFileSync } from 'node:fs';

/** Needed for replies on the connector: without it the kernel drops them, and says nothing. */
export const capSysAdmin = 21;

/** True too when it cannot be found out: then the kernel has the last word. */
export function hasCapability(capability: number, status = readFileSync('/proc/self/status', 'utf8')): boolean {
  const effective = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
  if (effective === undefined) return true;
  return ((BigInt(`0x${effective}`) >> BigInt(capability)) & 1n) === 1n;
}

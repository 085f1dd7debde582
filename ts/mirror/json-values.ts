/** What is looked at in JSON that another host, or an earlier daemon, has written: it may be anything. */

/** Of 32 bits, and the highest is nobody's. */
export const nodeMax = 2 ** 32 - 2;

export function isObject<Name extends string>(said: unknown): said is Record<Name, unknown> {
  return typeof said === 'object' && said !== null;
}

/** Far above everything that is counted, and far below where adding one is not exact any more: nobody can be led there. */
const countMax = 2 ** 52;

export function isCount(said: unknown): said is number {
  return Number.isSafeInteger(said) && (said as number) >= 0 && (said as number) <= countMax;
}

export function areCounts(said: unknown): said is number[] {
  return Array.isArray(said) && said.every(isCount);
}

export function isNode(said: unknown): said is number {
  return isCount(said) && said <= nodeMax;
}

/** -1 is none. */
export function isNodeOrNone(said: unknown): boolean {
  return said === -1 || isNode(said);
}

/** Milliseconds on CLOCK_MONOTONIC, which nobody sets: the same in every thread and process of this host. */
export function upMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/**
 * Computes and allocates for 20 ms of every 50 on the calling thread, as long as the thread lives. All threads that do this,
 * of whatever process, do it in the same 20 ms: how two of them happen to meet would otherwise decide a percentile.
 */
const busyMs = 20;
const periodMs = 50;

export function keepBusy() {
  const compute = () => {
    const end = performance.now() + busyMs;
    let kept = [];
    while (performance.now() < end) {
      kept.push({ text: String(kept.length) });
      if (kept.length === 10_000) kept = [];
    }
    waitForNext();
  };
  const waitForNext = () => setTimeout(compute, periodMs - (Date.now() % periodMs));
  waitForNext();
}

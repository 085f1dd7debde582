/**
 * Computes and allocates for 20 ms of every 50 on the calling thread, as long as the thread lives. By the clock: threads that
 * do this, of whatever process, meet in the same 20 ms, or never when they are told to begin `afterMs` of 20 to 30 apart. How
 * two of them happen to meet would otherwise decide a percentile.
 */
const busyMs = 20;
const periodMs = 50;

export function keepBusy(afterMs = 0) {
  const compute = () => {
    const end = performance.now() + busyMs;
    let kept = [];
    while (performance.now() < end) {
      kept.push({ text: String(kept.length) });
      if (kept.length === 10_000) kept = [];
    }
    waitForNext();
  };
  const waitForNext = () => setTimeout(compute, periodMs - ((Date.now() + periodMs - afterMs) % periodMs));
  waitForNext();
}

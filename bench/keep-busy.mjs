/** Computes and allocates for 20 ms of every 50 on the calling thread, as long as the thread lives. */
const busyMs = 20;
const periodMs = 50;

export function keepBusy() {
  setInterval(() => {
    const end = performance.now() + busyMs;
    let kept = [];
    while (performance.now() < end) {
      kept.push({ text: String(kept.length) });
      if (kept.length === 10_000) kept = [];
    }
  }, periodMs);
}

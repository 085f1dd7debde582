/**
 * What the figures are measured against: aim and direction of every key. The floor is half as good as the aim: twice the
 * time, half the rate. A run that is below a floor fails.
 */
const atMost = (aim) => ({ aim, direction: '<=', floor: aim * 2 });
const atLeast = (aim) => ({ aim, direction: '>=', floor: aim / 2 });
const moreThan = (aim) => ({ aim, direction: '>', floor: aim / 2 });

export const budgets = {
  bitmap: { scan_vs_memory: atLeast(0.85), mark_ns_batched: atMost(10) },
  flush: {
    flush_vs_c: atMost(1.25),
    submit_to_callback_vs_raw: atMost(1.3),
    flush_growth: atMost(1.2),
    bytes_per_changed_block: atMost(4608),
  },
  placement: {},
  connector: {
    in_sync_vs_floor_p50: atMost(1.35),
    in_sync_vs_floor_rate_64: atLeast(0.75),
    in_sync_vs_floor_p999: atMost(3),
    remark_vs_floor_p50: atMost(1.35),
    vm_remark_vs_floor_p50: atMost(2),
  },
  growth: {},
  mirror: {
    disk_vs_cmirrord_d1: atLeast(5),
    core_vs_responder_d1: atLeast(0.7),
    core_vs_responder_d16: atLeast(0.45),
    disk_vs_kernel_disk_2e22: moreThan(1),
    disk_growth_2e24_vs_2e12: atLeast(0.9),
  },
};

/** A subject that differs from itself by more than this says nothing about anything else. */
const noiseMax = 0.5;

/**
 * How a measured ratio stands: `below its floor`, `too noisy` to say, `met`, `in the noise` of its aim, or `missed`. Noise
 * is no excuse for a figure below its floor.
 */
export function verdict({ value, aim, direction, floor, noise }) {
  const reaches = (bound, figure) => {
    if (direction === '<=') return figure <= bound;
    return direction === '>' ? figure > bound : figure >= bound;
  };
  if (!reaches(floor, value)) return 'below its floor';
  if (!(noise <= noiseMax)) return 'too noisy';
  if (reaches(aim, value)) return 'met';
  const better = direction === '<=' ? value / (1 + noise) : value * (1 + noise);
  return reaches(aim, better) ? 'in the noise' : 'missed';
}

/** Keys of a scenario that its report neither has a figure for nor a word why not; a skipped scenario says it for all. */
export function missingKeys(scenario, { skipped, results, ratios }) {
  if (skipped) return [];
  const told = new Set(results.flatMap((row) => (row.skipped ? [row.key] : [])));
  return Object.keys(budgets[scenario]).filter((key) => ratios[key] === undefined && !told.has(key));
}

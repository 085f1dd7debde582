/**
 * What the figures are measured against: aim and direction of every key, and in a line what it is. The floor is half as good
 * as the aim: twice the time, half the rate. A run that is below a floor fails.
 */
const atMost = (aim, what) => ({ aim, direction: '<=', floor: aim * 2, what });
const atLeast = (aim, what) => ({ aim, direction: '>=', floor: aim / 2, what });
/** Nothing of it at all: there is no half of that. */
const none = (what) => ({ aim: 0, direction: '<=', floor: 0, what });
const moreThan = (aim, what) => ({ aim, direction: '>', floor: aim / 2, what });

/** A figure of a guest, where the processor may be emulated: comparable with its like only, and not measured again. */
const inGuest = (budget) => ({ ...budget, guest: true });

export const budgets = {
  bitmap: {
    scan_vs_memory: atLeast(
      0.85,
      'speed of the search over an all-clean map of 512 MiB, over that of the fastest plain read',
    ),
    mark_ns_batched: atMost(10, 'nanoseconds a region, 256 random regions a call, the native call included'),
  },
  flush: {
    flush_vs_c: atMost(1.25, 'MARK + FLUSH of a fresh region, p50, over a C responder with the same write inline'),
    submit_to_callback_vs_raw: atMost(
      1.3,
      'one changed block, submit to call-back, p50, over pwritev2(RWF_DSYNC) of 4 KiB',
    ),
    flush_growth: atMost(1.2, 'MARK + FLUSH of a fresh region, p50, with 2^24 regions over 2^12'),
    bytes_per_changed_block: atMost(4608, 'bytes written for a block of the log in which one region has changed'),
  },
  placement: {},
  connector: {
    in_sync_vs_floor_p50: atMost(1.35, 'IN_SYNC, one at a time on one core, p50, over the C floor'),
    in_sync_vs_floor_rate_64: atLeast(0.75, 'IN_SYNC, 64 under way, requests a second, over the C floor'),
    in_sync_vs_floor_p999: atMost(
      3,
      'IN_SYNC beside a busy main and a busy admin thread, p99.9, over the C floor beside them',
    ),
    remark_vs_floor_p50: atMost(1.35, 'MARK + FLUSH of a region already held, one core, p50, over the C floor'),
    vm_remark_vs_floor_p50: inGuest(
      atMost(2, 'writes to regions already held, real kernel in a guest, p50, over the C responder'),
    ),
  },
  growth: {},
  mirror: {
    disk_vs_cmirrord_d1: inGuest(atLeast(5, 'disk log, one write at a time, writes a second, over a real cmirrord')),
    core_vs_responder_d1: inGuest(
      atLeast(0.7, 'core log, one write at a time, writes a second, over a stateless C responder'),
    ),
    core_vs_responder_d16: inGuest(atLeast(0.45, 'the same with 16 under way')),
    disk_vs_kernel_disk_2e22: inGuest(
      moreThan(1, "2^22 regions, fresh ones, 16 under way, slow log disk, over the kernel's own disk log"),
    ),
    disk_growth_2e24_vs_2e12: inGuest(atLeast(0.9, 'the same writes with 2^24 regions over those with 2^12')),
  },
  cluster: {
    marks_vs_cpg_rate: atLeast(
      8,
      'fresh marks a second that three hosts commit, 64 writes under way on each, over raw multicasts: as large and as many under way as theirs',
    ),
    ordered_mark_p50_vs_cpg_p50: atMost(
      1.5,
      'MARK + FLUSH of a fresh region on three hosts, p50, over a C program that waits for the answers of all members',
    ),
    remark_messages: none('messages and log writes of three hosts that write to hot regions again and again'),
  },
  join: {
    transfer_bytes_vs_bitmap: atMost(
      1.05,
      'bytes multicast for a host that joins, over the bytes of the bitmap; regions clean or not by chance',
    ),
    transfer_bytes_vs_bitmap_empty: atMost(0.01, 'the same where nothing is marked'),
  },
  failover: {},
};

/**
 * When a scenario came: a run of before has not got it, and every run since then has.
 * @type {Record<string, string>}
 */
export const since = {
  cluster: '2026-11-22T05:00:00Z',
  join: '2026-11-22T05:00:00Z',
  failover: '2026-11-22T05:00:00Z',
};

/** Rows of results that are reported without an aim, and are not to get lost either. */
export const printed = {
  placement: ['inline_vs_task', 'batch_vs_task'],
  mirror: ['lockstepd_disk_2e12', 'kernel_disk_2e12'],
  cluster: ['marks_vs_cpg_64'],
  failover: ['first_write_after_kill_ms'],
};

/** What such a row is, where its name does not say it. */
export const printedWhat = {
  marks_vs_cpg_64: 'the same marks a second over raw multicasts of one mark each, 64 under way on each host',
  first_write_after_kill_ms:
    'from the death of the host that writes the log, confirmed by an operator at once, to a write of the others',
};

/** A subject that differs from itself by more than this says nothing about anything else. */
const noiseMax = 0.5;

/**
 * How a measured ratio stands: `below its floor`, `too noisy` to say, `met`, `missed`, or either of them `within noise` where the
 * figure would be on the other side of its aim were it by its noise worse, or better. Noise is no excuse for a figure below
 * its floor.
 */
export function verdict({ value, aim, direction, floor, noise }) {
  const reaches = (bound, figure) => {
    if (direction === '<=') return figure <= bound;
    return direction === '>' ? figure > bound : figure >= bound;
  };
  if (!reaches(floor, value)) return 'below its floor';
  if (!(noise <= noiseMax)) return 'too noisy';
  const [higher, lower] = [value * (1 + noise), value / (1 + noise)];
  const [better, worse] = direction === '<=' ? [lower, higher] : [higher, lower];
  if (reaches(aim, value)) return reaches(aim, worse) ? 'met' : 'met within noise';
  return reaches(aim, better) ? 'missed within noise' : 'missed';
}

/** Keys of a scenario that its report neither has a figure for nor a word why not; a skipped scenario says it for all. */
export function missingKeys(scenario, { skipped, results, ratios }) {
  if (skipped) return [];
  const told = new Set(results.flatMap((row) => (row.skipped ? [row.key] : [])));
  const shown = new Set(results.map(({ key }) => key));
  return [
    ...Object.keys(budgets[scenario]).filter((key) => ratios[key] === undefined && !told.has(key)),
    ...(printed[scenario] ?? []).filter((key) => !shown.has(key)),
  ];
}

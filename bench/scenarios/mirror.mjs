/**
 * Writes through dm-mirror of an unmodified kernel in a guest: fio, 4 KiB, random. Subject and limits take turns in one boot,
 * by bench/guest/mirrors.sh.
 *
 * | key                       | subject                       | against                                                    |
 * | ------------------------- | ----------------------------- | ---------------------------------------------------------- |
 * | core_vs_responder_d1, d16 | lockstepd, core log           | peers/responder.c on the connector, RAM legs               |
 * | disk_vs_kernel_disk_2e22  | lockstepd, disk log, 2^22     | the kernel's disk log; fresh regions, depth 16, slow log   |
 * | disk_growth_2e24_vs_2e12  | lockstepd, disk log, 2^24     | the same with 2^12 regions                                 |
 * | disk_vs_cmirrord_d1       | lockstepd, disk log           | the daemon that --peer-cmirrord names                      |
 */
import { guestRatio, guestRow, peerSkipped } from '../guest-figures.mjs';

export const title = 'writes through dm-mirror, a real kernel in a guest';

const slowLog = 'fresh regions, depth 16, log disk of 200 MB/s and 1 ms a flush';

export async function run({ guest }) {
  const { skipped, figures, accelerator, results: folder } = await guest();
  if (skipped) return { skipped, results: [], ratios: {} };
  const ratio = (subject, limit) => guestRatio(figures, subject, limit, 'rate');
  const results = [];
  for (const depth of ['d1', 'd16']) {
    const of = `core_vs_responder_${depth}`;
    results.push(guestRow(figures, `lockstepd-core-${depth}`, { of, note: `processor: ${accelerator}` }));
    results.push(guestRow(figures, `responder-core-${depth}`, { of }));
  }
  results.push(guestRow(figures, 'kernel-core-d1', { note: 'the kernel alone, for scale' }));
  const of = 'disk_vs_kernel_disk_2e22';
  results.push(guestRow(figures, 'lockstepd-disk-2e22', { of, note: slowLog }));
  results.push(guestRow(figures, 'kernel-disk-2e22', { of }));
  results.push(guestRow(figures, 'lockstepd-disk-2e24', { of: 'disk_growth_2e24_vs_2e12', note: slowLog }));
  results.push(guestRow(figures, 'lockstepd-disk-2e12', { of: 'disk_growth_2e24_vs_2e12' }));
  const everywhere = { note: 'the same, all over the mirror: as many blocks of the log as writes under way' };
  results.push(guestRow(figures, 'lockstepd-disk-2e22-scattered', everywhere));
  results.push(guestRow(figures, 'kernel-disk-2e22-scattered'));
  results.push(guestRow(figures, 'kernel-disk-2e12', { note: 'one write in the kernel for a map of one block' }));
  const cmirrord = figures.has('cmirrord-disk-d1');
  if (cmirrord) {
    results.push(guestRow(figures, 'lockstepd-disk-d1', { of: 'disk_vs_cmirrord_d1' }));
    results.push(guestRow(figures, 'cmirrord-disk-d1', { of: 'disk_vs_cmirrord_d1' }));
  } else {
    results.push({ key: 'disk_vs_cmirrord_d1', skipped: peerSkipped(folder) });
  }
  return {
    results,
    ratios: {
      ...(cmirrord ? { disk_vs_cmirrord_d1: ratio('lockstepd-disk-d1', 'cmirrord-disk-d1') } : {}),
      core_vs_responder_d1: ratio('lockstepd-core-d1', 'responder-core-d1'),
      core_vs_responder_d16: ratio('lockstepd-core-d16', 'responder-core-d16'),
      disk_vs_kernel_disk_2e22: ratio('lockstepd-disk-2e22', 'kernel-disk-2e22'),
      disk_growth_2e24_vs_2e12: ratio('lockstepd-disk-2e24', 'lockstepd-disk-2e12'),
    },
  };
}

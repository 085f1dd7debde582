/**
 * Boots one guest for all scenarios that want figures of a real kernel, and reads what fio measured there. The guest's
 * processor is emulated where KVM boots no stock kernel: its figures are compared with each other only.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, noiseOf, row } from './measure.mjs';
import { program, root } from './programs.mjs';
import { SlowDisk } from './slow-disk.mjs';

/** Ten times what a long run takes. */
const limitMs = 6_000_000;

/** What the guest is to measure, by scenario. */
export const guestParts = { connector: ['remark'], mirror: ['core', 'disk'] };

/** One boot; resolves to the figures by name, or to `{ skipped }`. */
export async function measureInGuest({ quick, parts, peer, say }) {
  const { reasonAgainst } = await import('../test/vm/kernel.mjs');
  const { runInMachine } = await import('../test/vm/machine.mjs');
  const skipped = reasonAgainst([
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
  ]);
  if (skipped) return { skipped };
  const environment = {
    PARTS: parts.join(' '),
    ROUNDS: quick ? '2' : '5',
    SELF_ROUNDS: quick ? '1' : '3',
    WARMUP_SECONDS: quick ? '6' : '15',
    SECONDS_A_RUN: quick ? '2' : '4',
    // Below the 4096 regions of the small map.
    FRESH: quick ? '1000' : '4000',
    RESPONDER: program('responder'),
    PEER: peer ?? '',
  };
  const results = join(root, 'out', 'bench', 'guest');
  const slow = new SlowDisk(16);
  try {
    const script = readFileSync(new URL('guest/mirrors.sh', import.meta.url), 'utf8');
    const onLine = (line) => say(`guest: ${line}`);
    const end = await runInMachine({ script, disks: slow, environment, limitMs, results, onLine, say });
    if (end.status !== 0) throw new Error(`the guest ended with ${end.status} ${end.reason}`);
    const machine = { ...JSON.parse(readFileSync(join(results, 'machine.json'), 'utf8')), emulator: emulator() };
    const { accelerator } = end;
    return { figures: readFigures(results), accelerator, machine: { ...machine, accelerator }, results };
  } finally {
    slow.remove();
  }
}

/** `QEMU emulator version 7.2.22 (...)` -> `QEMU 7.2.22` */
function emulator() {
  const text = execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' });
  return `QEMU ${/version ([\d.]+)/.exec(text)?.[1] ?? 'of unknown version'}`;
}

/** name -> rounds of { samples, rate, p50, p90, p99, p999 } in nanoseconds from the call to the end, in the order of rounds. */
function readFigures(results) {
  const figures = new Map();
  for (const file of readdirSync(results).sort()) {
    const [, name] = /^\d+-(.+)\.json$/.exec(file) ?? [];
    if (!name) continue;
    const text = readFileSync(join(results, file), 'utf8');
    const { write } = JSON.parse(text.slice(text.indexOf('{'))).jobs[0];
    const { '50.000000': p50, '90.000000': p90, '99.000000': p99, '99.900000': p999 } = write.lat_ns.percentile;
    const one = { samples: write.total_ios, rate: write.iops, p50, p90, p99, p999 };
    figures.set(name, [...(figures.get(name) ?? []), one]);
  }
  return figures;
}

const figureOf = { rate: (one) => one.rate, p50: (one) => one.p50 };

/** The median of the rounds' ratios, and the noise of the subject against itself (`-again`). */
export function guestRatio(figures, subject, limit, by) {
  const figure = figureOf[by];
  const [ours, theirs] = [figures.get(subject), figures.get(limit)];
  const again = figures.get(`${subject}-again`) ?? [];
  return {
    value: median(ours.map((one, round) => figure(one) / figure(theirs[round]))),
    noise: noiseOf(again.map((one, round) => figure(one) / figure(ours[round]))),
  };
}

/** A row of writes a second, with latencies in microseconds; with `by: 'p50'` the median latency is its figure. */
export function guestRow(figures, name, { of, note, by = 'rate' } = {}) {
  const shown =
    by === 'p50' ? { unit: 'us', figure: (one) => one.p50 / 1e3 } : { unit: 'writes/s', figure: figureOf.rate };
  return row(name.replaceAll('-', '_'), figures.get(name), { ...shown, scale: 1e-3, of, note });
}

/** Why no real cmirrord took part. */
export function peerSkipped(results) {
  const told = join(results, 'cmirrord.skipped');
  return existsSync(told) ? readFileSync(told, 'utf8').trim() : 'no peer: --peer-cmirrord PATH names one';
}

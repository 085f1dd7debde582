/** The report as text: a table of keys against their aims, and one of results, for every scenario. */
import { verdict } from './budgets.mjs';

/** Four digits that matter, without an exponent. */
export function figure(value) {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) < 0.0005) return '0';
  if (value !== 0 && Math.abs(value) < 1000) return Number(value.toPrecision(3)).toString();
  return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
}

/** What a verdict is a verdict on: `0.97 (aim >= 0.85, floor 0.425, noise 0.02)`. */
export function ratioText({ value, aim, direction, floor, noise }) {
  return `${figure(value)} (aim ${direction} ${figure(aim)}, floor ${figure(floor)}, noise ${figure(noise)})`;
}

/** What a first attempt had where it was below a floor; '' when there was only one. */
export function attemptText(firstAttempt) {
  if (!firstAttempt) return '';
  const low = Object.entries(firstAttempt).map(([key, value]) => `${key} ${figure(value)}`);
  return ` (second attempt; the first was below a floor: ${low.join(', ')})`;
}

/** Of a scenario that was measured in a run of its own; '' of all others. */
export function apartText(apart) {
  return apart ? `measured apart: ${machineText(apart)}` : '';
}

function resultLine(row) {
  if (row.skipped) return `  ${row.key.padEnd(44)} skipped: ${row.skipped}`;
  const shares = ['p50', 'p90', 'p99', 'p999'].filter((name) => typeof row[name] === 'number');
  const rate = typeof row.rate === 'number' && !row.unit.endsWith('/s') ? [`${figure(row.rate)}/s`] : [];
  const tail = [...shares.map((name) => `${name} ${figure(row[name])}`), ...rate].join('  ');
  const value = `${figure(row.value)} ${row.unit}`;
  const line = `  ${row.key.padEnd(44)} ${value.padStart(22)}   n=${row.samples}${tail ? `   ${tail}` : ''}`;
  return row.note ? `${line}\n  ${''.padEnd(46)}${row.note}` : line;
}

export function machineText({ machine, guest, commit, clean, time, quick }) {
  const place = `${machine.cpu}, ${machine.cores} cores${machine.virtual ? ', virtual' : ''}, ${machine.memoryGiB} GiB`;
  const nice = machine.nice ? `, nice ${machine.nice}` : '';
  const stolen = machine.stolenShare;
  const share = stolen === undefined ? '' : `, ${figure(stolen * 100)} % of the processors' time taken by the host`;
  const load = `load ${machine.load.join(' ')} before, ${(machine.loadAfter ?? []).join(' ')} after${share}`;
  const what = `commit ${commit}${clean ? '' : ' and changes'}${quick ? ', quick form' : ''}, ${time}`;
  return `${place}; Linux ${machine.kernel}, governor ${machine.governor}, node ${machine.node}${nice}; ${load}; ${what}${guestText(guest)}`;
}

/** The guest of the figures that need a real kernel. */
function guestText(guest) {
  if (!guest) return '';
  return `; guest: Linux ${guest.kernel}, ${guest.cores} cores, ${guest.memoryMiB} MiB, ${guest.emulator}, ${guest.accelerator}`;
}

export function textReport(report) {
  const lines = [machineText(report)];
  for (const [name, { title, results, ratios, skipped, failed, firstAttempt, apart }] of Object.entries(
    report.scenarios,
  )) {
    lines.push(
      '',
      `${name}: ${title}${skipped ? `: skipped: ${skipped}` : ''}${failed ? `: ${failed}` : ''}${attemptText(firstAttempt)}`,
    );
    if (apart) lines.push(`  ${apartText(apart)}`);
    for (const [key, ratio] of Object.entries(ratios)) {
      lines.push(`  ${verdict(ratio).padEnd(19)} ${key.padEnd(27)} ${ratioText(ratio)}`);
    }
    for (const row of results) lines.push(resultLine(row));
  }
  return lines.join('\n');
}

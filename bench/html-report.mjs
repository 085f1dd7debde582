/**
 * The report as one page that stands alone: tables and charts from the JSON, no script, no network. A reader sees for each
 * key what was measured, against what, on which cores, every round of both sides, and the noise.
 */
import { verdict } from './budgets.mjs';
import { escaped, linesChart, roundsChart } from './charts.mjs';
import { apartText, attemptText, figure, machineText } from './text-report.mjs';

const style = `
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-top: 1px solid #d5dbe1; padding-top: 1rem }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; font-weight: 600 }
table { border-collapse: collapse; width: 100%; font-size: .88rem } th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e4e8ec }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.met { color: #2d6a1f } .missed { color: #a04000 } .below { color: #b00020; font-weight: 600 } .noise { color: #6b5900 }
.note { color: #5a6875; font-size: .82rem } svg { width: 100%; max-width: 42rem; display: block; margin: .4rem 0 }
svg text { font-size: 11px; fill: #44525f } svg .grid { stroke: #dfe4e9 } .scroll { overflow-x: auto }
.legend span { margin-right: 1.2rem; font-size: .85rem } .legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em }
`;

const classes = {
  met: 'met',
  missed: 'missed',
  'met within noise': 'noise',
  'missed within noise': 'noise',
  'too noisy': 'noise',
  'below its floor': 'below',
};

const cells = (tag, values) =>
  values.map(([text, kind = '']) => `<${tag}${kind ? ` class="${kind}"` : ''}>${text}</${tag}>`).join('');
const table = (head, rows) =>
  `<div class="scroll"><table><thead><tr>${cells('th', head)}</tr></thead><tbody>${rows
    .map((row) => `<tr>${cells('td', row)}</tr>`)
    .join('')}</tbody></table></div>`;

function ratiosTable(ratios) {
  const rows = Object.entries(ratios).map(([key, ratio]) => {
    const word = verdict(ratio);
    const { value, aim, direction, floor, noise } = ratio;
    const figures = [figure(value), `${escaped(direction)} ${figure(aim)}`, figure(floor), figure(noise)];
    const what = ratio.what ? `<br><span class="note">${escaped(ratio.what)}</span>` : '';
    return [[`${escaped(key)}${what}`], ...figures.map((text) => [text, 'n']), [word, classes[word]]];
  });
  const head = [['key'], ['value', 'n'], ['aim', 'n'], ['floor', 'n'], ['noise', 'n'], ['']];
  return rows.length > 0 ? table(head, rows) : '';
}

const shares = ['p50', 'p90', 'p99', 'p999'];

function resultsTable(results) {
  const rows = results.map((row) => {
    if (row.skipped) return [[escaped(row.key)], [`skipped: ${escaped(row.skipped)}`, 'note']];
    const note = row.note ? `<br><span class="note">${escaped(row.note)}</span>` : '';
    const share = (name) => [typeof row[name] === 'number' ? figure(row[name]) : '', 'n'];
    const value = [`${figure(row.value)} ${escaped(row.unit)}`, 'n'];
    return [[`${escaped(row.key)}${note}`], value, [String(row.samples), 'n'], ...[...shares, 'rate'].map(share)];
  });
  const names = [...shares, 'a second'].map((name) => [name, 'n']);
  return rows.length > 0 ? table([['result'], ['median of rounds', 'n'], ['samples', 'n'], ...names], rows) : '';
}

/** A table of growth: a row a size, a column a series; medians, and the fastest and slowest round. */
function growthTable(rows) {
  const [{ axis }] = rows;
  const series = [...new Set(rows.map((row) => row.series))];
  const xs = [...new Set(rows.map((row) => row.x))].sort((a, b) => a - b);
  const head = series.map((name) => {
    const { unit } = rows.find((row) => row.series === name);
    return [`${escaped(name)}, ${escaped(unit)}`, 'n'];
  });
  const cell = (x, name) => {
    const row = rows.find((each) => each.x === x && each.series === name);
    if (row === undefined) return ['', 'n'];
    const { value, rounds = [value] } = row;
    const range = `${figure(Math.min(...rounds))} to ${figure(Math.max(...rounds))}`;
    const note = row.note ? `; ${escaped(row.note)}` : '';
    return [`${figure(value)}<br><span class="note">${range}${note}</span>`, 'n'];
  };
  const lines = xs.map((x) => [[String(x)], ...series.map((name) => cell(x, name))]);
  return table([[escaped(axis)], ...head], lines);
}

function charts(results) {
  const parts = [];
  const keys = [...new Set(results.flatMap(({ of }) => of ?? []))];
  for (const key of keys) parts.push(`<h3>${escaped(key)}</h3>${roundsChart(results.filter(({ of }) => of === key))}`);
  const tables = [...new Set(results.flatMap(({ table: name }) => name ?? []))];
  for (const name of tables) {
    const rows = results.filter(({ table: of }) => of === name);
    parts.push(`<h3>${escaped(name)}</h3>${linesChart(rows)}${growthTable(rows)}`);
  }
  return parts.join('');
}

function section([name, { title, results, ratios, skipped, failed, firstAttempt, apart }]) {
  const heading = `<h2 id="${escaped(name)}">${escaped(name)}: ${escaped(title)}</h2>`;
  if (skipped) return `${heading}<p>Skipped: ${escaped(skipped)}.</p>`;
  if (failed) return `${heading}<p class="below">${escaped(failed)}</p>`;
  const where = apart ? `<p class="note">${escaped(apartText(apart))}</p>` : '';
  const again = firstAttempt ? `<p class="note">${escaped(attemptText(firstAttempt))}</p>` : '';
  return `${heading}${where}${again}${ratiosTable(ratios)}${charts(results)}${resultsTable(results.filter((row) => !row.table))}`;
}

export function htmlReport(report) {
  const intro =
    'Subject and limit take turns in one run; a value is the median of the rounds of the ratio of each pair, which is not the ' +
    'ratio of the two medians. Noise is what the subject differs from itself, measured the same way before; a difference inside ' +
    'it is no difference: a figure that is so near its aim is met or missed "within noise", and with more than 0.5 of it nothing is said. The floor is half as good as the aim. Percentiles of ' +
    'round trips are in microseconds. Dots are rounds, bars are medians. Charts of growth have logarithmic axes; their strokes ' +
    'reach from the fastest round to the slowest.';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Lockstep: benchmarks</title><style>${style}</style></head><body>
<h1>Lockstep: benchmarks</h1><p>${escaped(machineText(report))}</p><p class="note">${intro}</p>
${Object.entries(report.scenarios).map(section).join('\n')}
</body></html>
`;
}

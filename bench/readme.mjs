/**
 * README's benchmark table, from the committed full run: `node bench/readme.mjs [--check]`. It stands between two marks and
 * is never written by hand; a test compares the two.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { budgets, printed, printedWhat, verdict } from './budgets.mjs';
import { root } from './programs.mjs';
import { apartText, figure, machineText } from './text-report.mjs';

const readme = join(root, 'README.md');
const results = join(root, 'bench', 'results');
const begin = '<!-- benchmark table: npm run bench:readme -->';
const end = '<!-- end of the benchmark table -->';

/** The last full run, or null where none is committed; names begin with the day. */
export function lastReport() {
  if (!existsSync(results)) return null;
  const last = readdirSync(results)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .at(-1);
  return { name: last, report: JSON.parse(readFileSync(join(results, last), 'utf8')) };
}

const tableRow = (...cells) => `|${cells.map((text) => (text === '' ? ' ' : ` ${text} `)).join('|')}|`;

/** Of a scenario that the run is older than. */
const notInRun = { ratios: {}, results: [], skipped: 'the run is older than this scenario' };

/** A key with an aim. What it is is told by the run: what today's code would measure may be something else. */
function keyRow(scenario, key, { ratios, results, skipped }) {
  const ratio = ratios[key];
  if (ratio === undefined) {
    const { direction, aim, what } = budgets[scenario][key];
    const why = skipped ?? results.find((row) => row.key === key)?.skipped;
    return tableRow(scenario, key, what, '', `${direction} ${figure(aim)}`, '', `skipped: ${why}`);
  }
  const aim = `${ratio.direction} ${figure(ratio.aim)}`;
  return tableRow(scenario, key, ratio.what ?? '', figure(ratio.value), aim, figure(ratio.noise), verdict(ratio));
}

/** What is shown without an aim: ratios, and times of a second; other rows are in the page. */
const printedUnits = ['times faster', 'ms'];

function printedRows(scenario, { results }) {
  const wanted = printed[scenario] ?? [];
  return results
    .filter(({ key, unit }) => wanted.includes(key) && printedUnits.includes(unit))
    .map(({ key, value, unit }) => {
      const what = printedWhat[key] ? `${printedWhat[key]}, ${unit}` : unit;
      return tableRow(scenario, key, what, figure(value), '', '', 'printed');
    });
}

export function readmeTable({ name, report }) {
  const rows = Object.keys(budgets).flatMap((scenario) => {
    const found = report.scenarios[scenario] ?? notInRun;
    return [
      ...Object.keys(budgets[scenario]).map((key) => keyRow(scenario, key, found)),
      ...printedRows(scenario, found),
    ];
  });
  const apart = new Map();
  for (const [scenario, { apart: run }] of Object.entries(report.scenarios)) {
    if (run) apart.set(apartText(run), [...(apart.get(apartText(run)) ?? []), scenario]);
  }
  const page = name.replace(/\.json$/, '.html');
  return [
    '| scenario | key | what | value | aim | noise | |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
    ...[...apart].flatMap(([text, scenarios]) => [`${scenarios.join(', ')}: ${text}.`, '']),
    `${machineText(report)}. All figures and charts: [bench/results/${page}](bench/results/${page}).`,
  ].join('\n');
}

/** README's text with the table in its place. */
export function withTable(text, table) {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error('README.md has no place for the benchmark table');
  return `${text.slice(0, from + begin.length)}\n${table}\n${text.slice(to)}`;
}

if (process.argv[1] === import.meta.filename) {
  const text = readFileSync(readme, 'utf8');
  const wanted = withTable(text, readmeTable(lastReport()));
  if (process.argv.includes('--check')) {
    if (wanted !== text)
      console.error('README.md: the benchmark table is not that of the last run: npm run bench:readme');
    process.exitCode = wanted === text ? 0 : 1;
  } else if (wanted !== text) {
    writeFileSync(readme, wanted);
  }
}

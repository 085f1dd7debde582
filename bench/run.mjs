/**
 * `npm run bench -- [NAME...] [--quick] [--json FILE]`: runs the scenarios of bench/scenarios, prints a table each.
 *
 * A scenario is a file that exports `title` and `run({ quick })`, which resolves to rows of
 * { key, value, unit, samples, note? }. Limit and subject alternate within one run; values are medians of rounds.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
});

const folder = new URL('./scenarios/', import.meta.url);
const names = readdirSync(folder).map((file) => file.replace(/\.mjs$/, ''));
const unknown = positionals.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`no scenario ${unknown.join(', ')}; there are: ${names.join(', ')}`);
  process.exit(2);
}

const report = {
  machine: { cpu: cpus()[0]?.model.trim(), cores: cpus().length, kernel: release(), node: process.version },
  commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: folder, encoding: 'utf8' }).trim(),
  scenarios: {},
};
for (const name of positionals.length > 0 ? positionals : names) {
  const scenario = await import(new URL(`${name}.mjs`, folder).href);
  console.log(`\n${name}: ${scenario.title}`);
  const rows = await scenario.run({ quick: values.quick });
  for (const row of rows) {
    const figure = `${row.value.toPrecision(4)} ${row.unit}`;
    console.log(`  ${row.key.padEnd(34)} ${figure.padStart(18)}   n=${row.samples}${row.note ? `   ${row.note}` : ''}`);
  }
  report.scenarios[name] = { results: rows };
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);

/**
 * The committed report: README says what its JSON says, the page is made from it and stands alone, and a browser shows it.
 * The browser part is skipped where no
 * Chromium is installed, all of it where no full run is committed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { budgets, missingKeys, since, verdict } from '../../bench/budgets.mjs';
import { htmlReport } from '../../bench/html-report.mjs';
import { lastReport, readmeTable, withTable } from '../../bench/readme.mjs';

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const programs = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];
const { PATH = '' } = process.env;
const folders = [...PATH.split(':'), '/usr/bin'];
const chromium = programs
  .flatMap((name) => folders.map((folder) => join(folder, name)))
  .find((file) => existsSync(file));

/** Null where no full run is committed: what is said about it is then skipped. */
const last = lastReport();
const testOfRun = test.skipIf(last === null);
const theRun = () => {
  if (last === null) throw new Error('no full run is committed');
  return last;
};

testOfRun('README has the table of the last full run', () => {
  const text = readFileSync(path('README.md'), 'utf8');
  expect(withTable(text, readmeTable(theRun()))).toBe(text);
});

testOfRun('the last run is a full one, of every scenario that there was, on a committed tree', () => {
  const { report } = theRun();
  expect(report.quick).toBe(false);
  expect(report.clean).toBe(true);
  const newer = (name: string) => (since[name] ?? '') > report.time;
  const expected = Object.keys(budgets).filter((name) => !newer(name) || report.scenarios[name] !== undefined);
  expect(Object.keys(report.scenarios)).toEqual(expected);
  expect(report.commit).toMatch(/^[0-9a-f]{7,}$/);
  for (const [name, { ratios, failed, apart, ...rest }] of Object.entries(report.scenarios)) {
    expect([apart?.quick, apart?.clean]).toEqual(apart ? [false, true] : [undefined, undefined]);
    expect(failed).toBeUndefined();
    expect(missingKeys(name, { ratios, ...rest })).toEqual([]);
    for (const { value } of Object.values(ratios)) expect(Number.isFinite(value)).toBe(true);
  }
});

testOfRun('the design page tells of every key that misses its aim', () => {
  const design = readFileSync(path('docs/DESIGN.md'), 'utf8');
  const ratios = Object.values(theRun().report.scenarios).flatMap((scenario) => Object.entries(scenario.ratios));
  const missed = ratios.filter(([, ratio]) => !verdict(ratio).startsWith('met')).map(([key]) => key);
  expect(missed.filter((key) => !design.includes(`\`${key}\``))).toEqual([]);
});

testOfRun('the committed page is that of the JSON, and needs nothing else', () => {
  const { name, report } = theRun();
  const page = htmlReport(report);
  expect(readFileSync(path(`bench/results/${name.replace(/\.json$/, '.html')}`), 'utf8')).toBe(page);
  expect(page).not.toMatch(/\b(?:src|href)="(?!#)|url\(|<script|@import/);
});

testOfRun('names in a report are text, not markup', () => {
  const row = { key: '<b>"x"&', value: 1, unit: '<u>', samples: 1, note: '<i>', of: '<b>"x"&', rounds: [1] };
  const { report } = theRun();
  const page = htmlReport({ ...report, scenarios: { bitmap: { title: '<em>', results: [row], ratios: {} } } });
  expect(page).not.toMatch(/<b>|<u>|<i>|<em>/);
});

test.skipIf(chromium === undefined || last === null)(
  'Chromium shows the page: every section, every chart with a size',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'lockstep-page-'));
    try {
      const { report } = theRun();
      // The page has no script of its own; this one, added here, looks at what was laid out.
      const probe = `<script>document.title = JSON.stringify({
      sections: document.querySelectorAll('h2').length,
      charts: [...document.querySelectorAll('svg')].map((each) => Math.round(each.getBoundingClientRect().height)),
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    })</script></body>`;
      const file = join(folder, 'page.html');
      writeFileSync(file, htmlReport(report).replace('</body>', probe));
      const options = [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        `--user-data-dir=${folder}/profile`,
        '--dump-dom',
      ];
      const shown = spawnSync(chromium as string, [...options, `file://${file}`], {
        encoding: 'utf8',
        timeout: 100_000,
      });
      const title = /<title>(.*?)<\/title>/s.exec(shown.stdout)?.[1]?.replaceAll('&quot;', '"') ?? '';
      const found = JSON.parse(title) as { sections: number; charts: number[]; overflow: number };
      expect(found.sections).toBe(Object.keys(report.scenarios).length);
      expect(found.charts.length).toBeGreaterThan(5);
      for (const height of found.charts) expect(height).toBeGreaterThan(60);
      expect(found.overflow).toBe(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

testOfRun('a scenario that the run is older than is named in the table, one that was measured apart says where', () => {
  const { name, report } = theRun();
  const { cluster: _, ...without } = report.scenarios;
  const older = readmeTable({ name, report: { ...report, scenarios: without } });
  expect(older).toMatch(/^\| cluster \| remark_messages \| .* \| skipped: the run is older than this scenario \|$/m);
  const machine = { cpu: 'another', cores: 64, memoryGiB: 1, kernel: '1.2.3', governor: 'none', node: 'v20', load: [] };
  const apart = { machine, commit: 'abcdef0', clean: true, time: '2030-01-01T00:00:00Z', quick: false };
  const ratio = { value: 9, aim: 8, direction: '>=', floor: 4, noise: 0.01 };
  const cluster = { title: 'measured apart', apart, results: [], ratios: { marks_vs_cpg_rate: ratio } };
  const scenarios = { ...without, cluster };
  const table = readmeTable({ name, report: { ...report, scenarios } });
  expect(table).toMatch(/^\| cluster \| marks_vs_cpg_rate \|.*\| 9 \| >= 8 \| 0.01 \| met \|$/m);
  expect(table).toMatch(/^cluster: measured apart: another, 64 cores.*commit abcdef0, 2030-01-01/m);
  expect(htmlReport({ ...report, scenarios })).toContain('measured apart: another, 64 cores');
});

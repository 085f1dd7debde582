/**
 * Runs a list of stages one after another and prints what each took against its budget, with the CPU time of it,
 * which says more where others want the processors.
 *
 * A stage is a command, or several. It has a budget in minutes (what it usually takes, generously) and a hang
 * limit of ten times that: past it the whole process group is killed and the stage that hung is named. A budget
 * that is overrun is printed and fails nothing: machines differ. The end of what a failed stage printed is printed
 * again before the table.
 *
 * A whole run can have an end (`endsBy`, or LOCKSTEP_ENDS_BY from the run around it): a stage whose budget does not fit
 * into what is left is skipped and says so. A slow machine then ends with what it has done instead of being cut off.
 *
 * A stage says how many tests it ran through `counts`, which reads the stage's output; without it the stage counts
 * as one. The closing line `N passed, N failed, N skipped` adds them up.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

const OUTPUT_KEPT_BYTES = 4 << 20;

/** Of a stage that failed: what a test runner says of one failure, with its summary, and once more of the run inside it. */
const END_SHOWN_LINES = 70;

/** Runs one command with its output passed on and kept; resolves to { status, output, hung }. */
export function run(command, args, { env = {}, limitMs = 0, cwd = root, quiet = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    let hung = false;
    const keep = (sink) => (chunk) => {
      if (!quiet) sink.write(chunk);
      output = (output + chunk).slice(-OUTPUT_KEPT_BYTES);
    };
    child.stdout.on('data', keep(process.stdout));
    child.stderr.on('data', keep(process.stderr));
    const timer =
      limitMs > 0
        ? setTimeout(() => {
            hung = true;
            killGroup(child);
          }, limitMs)
        : null;
    const forward = () => killGroup(child);
    process.once('SIGINT', forward);
    process.once('SIGTERM', forward);
    const done = (status) => {
      if (timer) clearTimeout(timer);
      process.off('SIGINT', forward);
      process.off('SIGTERM', forward);
      resolve({ status, output, hung });
    };
    child.on('error', (error) => {
      output += `${error.message}\n`;
      process.stderr.write(`${error.message}\n`);
      done(127);
    });
    child.on('close', (code) => done(code ?? 128));
  });
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}

/** So many of a list, others each day: what is worth running again and again, and takes too long to run whole every time. */
export function byTurns(all, count) {
  const day = Math.floor(Date.now() / 86_400_000);
  return Array.from({ length: Math.min(count, all.length) }, (_, i) => all[(day * count + i) % all.length]);
}

/** When the run around this one wants to be through, in ms since the epoch; Infinity when nobody waits. */
export function givenEnd() {
  return Number(process.env.LOCKSTEP_ENDS_BY ?? Infinity);
}

/**
 * Runs the stages. A stage: { name, budgetMinutes, commands: [[command, ...args]], env?, counts?(output),
 * skip?(): reason or '' }. Goes on after a failure so that one run shows all of them, but for `required` stages.
 * Resolves to the number of failed tests.
 */
export async function runStages(title, stages, { endsBy = givenEnd() } = {}) {
  const rows = [];
  for (const stage of stages) {
    rows.push(await runStage(stage, (endsBy - Date.now()) / 60_000));
    if (stage.required && rows.at(-1).failed > 0) break;
  }
  for (const row of rows) if (row.failed > 0) printEnd(row);
  printTable(title, rows);
  const total = (key) => rows.reduce((sum, row) => sum + row[key], 0);
  console.log(`${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`);
  return total('failed');
}

async function runStage(stage, minutesLeft) {
  const tooLate = stage.budgetMinutes > minutesLeft ? `too late: ${minutesLeft.toFixed(1)} minutes are left` : '';
  const reason = tooLate || ((await stage.skip?.()) ?? '');
  if (reason) {
    console.log(`\n== ${stage.name}: skipped: ${reason}`);
    return {
      name: stage.name,
      budget: stage.budgetMinutes,
      minutes: 0,
      cpuMinutes: 0,
      passed: 0,
      failed: 0,
      skipped: 1,
      note: reason,
    };
  }
  console.log(`\n== ${stage.name}`);
  const started = performance.now();
  const cpuBefore = childrenCpuMinutes();
  let output = '';
  let failure = '';
  for (const [command, ...args] of stage.commands) {
    const limitMs = stage.budgetMinutes * 10 * 60_000;
    const result = await run(command, args, { env: stage.env, limitMs });
    output += result.output;
    if (result.hung) failure = `hung: ${[command, ...args].join(' ')}`;
    else if (result.status !== 0) failure = `exit ${result.status}: ${[command, ...args].join(' ')}`;
    if (failure) break;
  }
  const counted = stage.counts?.(output) ?? { passed: failure ? 0 : 1, failed: 0, skipped: 0 };
  if (failure && counted.failed === 0) counted.failed = 1;
  const minutes = (performance.now() - started) / 60_000;
  const cpuMinutes = childrenCpuMinutes() - cpuBefore;
  return { name: stage.name, budget: stage.budgetMinutes, minutes, cpuMinutes, ...counted, note: failure, output };
}

/** User and system time of all child processes that have ended, and of theirs; ticks are 1/100 s to every program. */
function childrenCpuMinutes() {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100 / 60;
}

/** Again, beside the table: whoever is shown only the end of a long run sees there what failed. */
function printEnd({ name, output }) {
  const lines = output.trimEnd().split('\n');
  const shown = lines.slice(-END_SHOWN_LINES);
  console.log(`\n== ${name} failed; the last ${shown.length} of its ${lines.length} lines:`);
  console.log(shown.join('\n'));
}

function printTable(title, rows) {
  const width = Math.max(...rows.map((row) => row.name.length), title.length);
  console.log(`\n${title.padEnd(width)}   min    cpu  budget  passed  failed  skipped`);
  for (const row of rows) {
    const cells = [row.minutes, row.cpuMinutes].map((n) => n.toFixed(1).padStart(5));
    cells.push(row.budget.toFixed(1).padStart(6));
    const counts = [row.passed, row.failed, row.skipped].map((n) => String(n).padStart(6));
    const over = row.minutes > row.budget ? '  over budget' : '';
    console.log(
      `${row.name.padEnd(width)} ${cells.join('  ')}  ${counts.join('  ')}${over}${row.note ? `  ${row.note}` : ''}`,
    );
  }
  const sum = (key) => rows.reduce((minutes, row) => minutes + row[key], 0).toFixed(1);
  const sums = [sum('minutes').padStart(5), sum('cpuMinutes').padStart(5), sum('budget').padStart(6)];
  console.log(`${'all'.padEnd(width)} ${sums.join('  ')}`);
}

/** Counts of a closing line `N passed, N failed[, N skipped]` anywhere in the output; the last one counts. */
export function closingLine(output) {
  const found = [...output.matchAll(/(\d+) passed, (\d+) failed(?:, (\d+) skipped)?/g)].at(-1);
  return found ? { passed: +found[1], failed: +found[2], skipped: +(found[3] ?? 0) } : null;
}

/** Counts of a vitest run from its summary line. */
export function vitestCounts(output) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes are control characters.
  const line = output.replaceAll(/\x1b\[[0-9;]*m/g, '').match(/^\s*Tests\s+(.*)$/m)?.[1] ?? '';
  const of = (word) => +(line.match(new RegExp(`(\\d+) ${word}`))?.[1] ?? 0);
  return { passed: of('passed'), failed: of('failed'), skipped: of('skipped') };
}

/** Counts of a ctest run from its summary line. */
export function ctestCounts(output) {
  const found = output.match(/tests passed, (\d+) tests failed out of (\d+)/);
  if (!found) return null;
  return { passed: +found[2] - +found[1], failed: +found[1], skipped: 0 };
}

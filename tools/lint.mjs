/**
 * Formatters, linters, types, layout rules: `npm run lint`. `--no-tidy` leaves out clang-tidy, the slow part;
 * `--turns N` gives it N files, others each day.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { checkLayout } from './layout.mjs';
import { byTurns, root, run } from './stages.mjs';

const { values } = parseArgs({ options: { 'no-tidy': { type: 'boolean' }, turns: { type: 'string' } } });

const node = process.execPath;
const cpp = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'cpp/*.cc', 'cpp/*.h'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter(Boolean);

const checks = [
  ['biome', 'node_modules/.bin/biome', ['check', '--error-on-warnings']],
  ['types', node, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.check.json']],
  ['clang-format', 'clang-format', ['--dry-run', '-Werror', ...cpp]],
];
if (!values['no-tidy']) {
  const sources = cpp.filter(
    (path) => path.endsWith('.cc') && !path.startsWith('cpp/tests') && !path.startsWith('cpp/fuzz'),
  );
  const tidied = values.turns ? byTurns(sources, Number(values.turns)) : sources;
  checks.push(['compile commands', 'cmake', ['--preset', 'tidy', '--log-level=ERROR']]);
  checks.push([
    'clang-tidy',
    'sh',
    ['-c', `printf '%s\\0' "$@" | xargs -0 -n 1 -P 2 clang-tidy -p out/tidy --quiet`, 'sh', ...tidied],
  ]);
}

let failed = 0;
for (const [name, command, args] of checks) {
  const { status, output } = await run(command, args, { quiet: true });
  console.log(`${name}: ${status === 0 ? 'clean' : `exit ${status}`}`);
  if (status !== 0) {
    failed += 1;
    console.log(output.slice(-8000));
  }
}
const problems = checkLayout();
console.log(`layout: ${problems.length === 0 ? 'clean' : `${problems.length} problems`}`);
for (const problem of problems) console.log(`  ${problem}`);
process.exitCode = failed + problems.length > 0 ? 1 : 0;

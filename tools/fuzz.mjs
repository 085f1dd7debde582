/**
 * Runs the libFuzzer targets of cpp/fuzz, all or those whose name contains a given word, as many at a time as there are
 * processors: `--seconds N` each (a smoke), or `--runs N` each (the long form).
 * Corpora live below out/fuzz-corpus and grow from run to run; a finding's input is kept there too.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { root, run } from './stages.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string' }, runs: { type: 'string' } },
});
const amount = values.runs ? `-runs=${values.runs}` : `-max_total_time=${values.seconds ?? 15}`;

for (const args of [
  ['--preset', 'fuzz'],
  ['--build', '--preset', 'fuzz'],
]) {
  const built = await run('cmake', args);
  if (built.status !== 0) process.exit(built.status);
}

const targets = readdirSync(`${root}cpp/fuzz`)
  .filter((name) => name.endsWith('.cc'))
  .map((name) => name.slice(0, -3))
  .filter((name) => positionals.length === 0 || positionals.some((word) => name.includes(word)))
  .sort();
let failed = 0;

async function fuzz(target) {
  const corpus = `${root}out/fuzz-corpus/${target}`;
  mkdirSync(corpus, { recursive: true });
  const result = await run(
    `${root}out/fuzz/${target}`,
    [amount, '-print_final_stats=1', '-verbosity=0', `-artifact_prefix=${corpus}/finding-`, corpus],
    { quiet: true },
  );
  const runs = result.output.match(/number_of_executed_units: (\d+)/)?.[1] ?? '0';
  console.log(`${target}: ${runs} runs, ${result.status === 0 ? 'no finding' : 'FINDING'}`);
  if (result.status !== 0) {
    failed += 1;
    console.log(result.output.slice(-4000));
  }
}

const waiting = [...targets];
async function work() {
  for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) await fuzz(target);
}
await Promise.all(Array.from({ length: availableParallelism() }, work));
console.log(`${targets.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 || targets.length === 0 ? 1 : 0;

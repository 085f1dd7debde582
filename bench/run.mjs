/**
 * `npm run bench -- [NAME...] [options]`: runs the scenarios of bench/scenarios and reports. All of them without NAME.
 *
 *   --quick                small samples, for a look and for CI; figures of a full run are those that count
 *   --json FILE            the report as JSON, from which everything else is made; default out/bench/report.json
 *   --html FILE            the report as one page; default out/bench/report.html
 *   --peer-cmirrord PATH   a real cmirrord takes part in `mirror`
 *   --no-guest             no virtual machine: what needs one is skipped
 *   --from FILE            measures nothing, reports what FILE says
 *   --onto FILE            reports what FILE says, with what is measured now in the place of what it has of these scenarios;
 *                          they say when and on what commit that was
 *
 * A scenario is a file that exports `title` and `run(context)`, which resolves to { results, ratios, skipped? }: rows of
 * { key, value, unit, samples, rounds?, p50?.. } and { KEY: { value, noise } }; aims are added from budgets.mjs. A key of
 * the budgets is measured, or there is a row that says why not; anything else is a failure of the scenario. One
 * with a key below its floor is run once more: machines have bad minutes. The report keeps what the first attempt had
 * there. Exit 1 when it is below again.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { budgets, missingKeys, verdict } from './budgets.mjs';
import { guestParts, measureInGuest } from './guest-figures.mjs';
import { htmlReport } from './html-report.mjs';
import { describeCommit, describeMachine, processorTime } from './machine.mjs';
import { seed } from './measure.mjs';
import { built } from './programs.mjs';
import { textReport } from './text-report.mjs';

const names = Object.keys(budgets);
const fullRounds = 5;
const quickRounds = 3;

const optionTable = {
  quick: { type: 'boolean', default: false },
  json: { type: 'string' },
  html: { type: 'string' },
  'peer-cmirrord': { type: 'string' },
  guest: { type: 'boolean', default: true },
  from: { type: 'string' },
  onto: { type: 'string' },
};

function readArguments(args) {
  const { values, positionals } = parseArgs({
    args,
    options: optionTable,
    allowPositionals: true,
    allowNegative: true,
  });
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no scenario ${unknown.join(', ')}; there are: ${names.join(', ')}`);
  const peer = values['peer-cmirrord'];
  if (peer !== undefined && !existsSync(peer)) throw new Error(`--peer-cmirrord ${peer}: there is no such file`);
  return { ...values, chosen: positionals.length > 0 ? names.filter((name) => positionals.includes(name)) : names };
}

/** One guest for all scenarios that want one; booted when the first asks. */
function guestFor({ chosen, quick, guest, ...options }) {
  const parts = chosen.flatMap((name) => guestParts[name] ?? []);
  const peer = options['peer-cmirrord'];
  const say = (text) => console.log(`        ${text}`);
  const ask = () => {
    if (!guest) return { skipped: 'no guest was wanted (--no-guest)' };
    ask.asked ??= measureInGuest({ quick, parts, peer, say });
    return ask.asked;
  };
  return ask;
}

async function runScenario(name, context) {
  const scenario = await import(new URL(`./scenarios/${name}.mjs`, import.meta.url).href);
  const { results, ratios, skipped } = await scenario.run(context);
  const judged = Object.fromEntries(
    Object.entries(budgets[name]).flatMap(([key, budget]) =>
      ratios[key] === undefined ? [] : [[key, { ...budget, ...ratios[key] }]],
    ),
  );
  const report = { title: scenario.title, ...(skipped ? { skipped } : {}), results, ratios: judged };
  const missing = missingKeys(name, report);
  if (missing.length > 0) throw new Error(`${name}: neither measured nor skipped: ${missing.join(', ')}`);
  return report;
}

/** What goes wrong in one scenario does not take the figures of the others along. */
function failure(error) {
  console.error(error.stack);
  return { title: 'failed', failed: error.message, results: [], ratios: {} };
}

async function measureScenario(name, context) {
  const first = await runScenario(name, context).catch(failure);
  const low = tooLow(first);
  // The guest has been booted and is gone.
  if (!low.some((key) => !budgets[name][key].guest)) return first;
  console.error(`bench: ${name}: below a floor: ${low.join(', ')}; once more`);
  const firstAttempt = Object.fromEntries(low.map((key) => [key, first.ratios[key].value]));
  return { ...(await runScenario(name, context).catch(failure)), firstAttempt };
}

const tooLow = ({ ratios }) => Object.keys(ratios).filter((key) => verdict(ratios[key]) === 'below its floor');

async function measure(options) {
  const rounds = options.quick ? quickRounds : fullRounds;
  const selves = options.quick ? 2 : rounds;
  const context = { quick: options.quick, rounds, selves, guest: guestFor(options) };
  const report = { machine: describeMachine(), ...describeCommit(), seed, quick: options.quick, scenarios: {} };
  const before = processorTime();
  for (const name of options.chosen) {
    console.error(`bench: ${name}`);
    report.scenarios[name] = await measureScenario(name, context);
  }
  const guest = await context.guest.asked?.catch(() => null);
  if (guest?.machine) report.guest = guest.machine;
  const after = processorTime();
  report.machine.loadAfter = describeMachine().load;
  report.machine.stolenShare = (after.stolen - before.stolen) / (after.all - before.all || 1);
  return report;
}

/** Scenarios of another run in a report, in their usual order. */
function addedTo(report, { machine, commit, clean, time, quick, scenarios }) {
  const apart = { machine, commit, clean, time, quick };
  const added = Object.entries(scenarios).map(([name, found]) => [name, { ...found, apart }]);
  const all = { ...report.scenarios, ...Object.fromEntries(added) };
  return { ...report, scenarios: Object.fromEntries(names.flatMap((name) => (all[name] ? [[name, all[name]]] : []))) };
}

function write(path, fallback, text) {
  if (path === undefined) mkdirSync(built, { recursive: true });
  const where = path ?? join(built, fallback);
  writeFileSync(where, text);
  console.log(`bench: written: ${where}`);
}

async function main(args) {
  let options;
  try {
    options = readArguments(args);
  } catch (error) {
    console.error(`bench: ${error.message}`);
    return 2;
  }
  const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
  const now = options.from ? read(options.from) : await measure(options);
  const report = options.onto ? addedTo(read(options.onto), now) : now;
  console.log(textReport(report));
  write(options.json, 'report.json', `${JSON.stringify(report, null, 1)}\n`);
  write(options.html, 'report.html', htmlReport(report));
  const low = Object.values(report.scenarios).flatMap(tooLow);
  if (low.length > 0) console.error(`bench: below the floor: ${low.join(', ')}`);
  const failed = Object.keys(report.scenarios).filter((name) => report.scenarios[name].failed !== undefined);
  if (failed.length > 0) console.error(`bench: failed: ${failed.join(', ')}`);
  return low.length > 0 || failed.length > 0 ? 1 : 0;
}

// What was started and made is cleaned up by `exit` handlers, which a signal alone would not run.
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
]) {
  process.on(signal, () => process.exit(128 + number));
}
process.exit(await main(process.argv.slice(2)));

/**
 * A virtual machine for a person: `npm run vm`, a shell there, or `npm run vm -- COMMAND [ARGUMENT...]`, one command.
 * `--help` names the options.
 *
 * The machine is that of the scenarios (machine.mjs): this host's own files, read-only, on an unmodified Debian kernel that has
 * dm-mirror and dm-log-userspace, as root, in the repository. `lockstepd`, `lockstep` and `cmirrord` are those of the checkout.
 * Whatever is done there is gone when the shell ends, but for files in $RESULTS (out/vm/shell here). Exit code: that of the
 * command; 125 when the machine failed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { reasonAgainst } from './kernel.mjs';
import { runInMachine } from './machine.mjs';

const path = (relative) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const usage = `Usage: npm run vm -- [options] [COMMAND [ARGUMENT...]]
   --disk MIB      a scratch disk, the first one is /dev/vda; may come often; by default 64, 64 and 4
   --memory MIB    1536 by default
   --help          this text
Without a command: a shell.`;
const machineFailed = 125;

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function refuse(text) {
  console.error(`vm: ${text}`);
  return 2;
}

const wholes = (texts, min, max) => texts.map(Number).every((n) => Number.isSafeInteger(n) && n >= min && n <= max);

async function main(args) {
  // What follows the first word that is no option belongs to the command.
  const options = { disk: { type: 'string', multiple: true }, memory: { type: 'string' }, help: { type: 'boolean' } };
  let at = 0;
  while (at < args.length && args[at].startsWith('-') && args[at] !== '--')
    at += /^--(disk|memory)$/.test(args[at]) ? 2 : 1;
  const command = args.slice(args[at] === '--' ? at + 1 : at);
  let values;
  try {
    ({ values } = parseArgs({ args: args.slice(0, at), options }));
  } catch (error) {
    return refuse(`${error.message}\n${usage}`);
  }
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const { disk = ['64', '64', '4'], memory = '1536' } = values;
  if (!wholes(disk, 1, 1 << 20)) return refuse(`--disk ${disk.join(' ')}: MiB, a whole number`);
  if (!wholes([memory], 256, 1 << 20)) return refuse(`--memory ${memory}: MiB, a whole number from 256`);
  const reason = reasonAgainst();
  if (reason) return refuse(reason);
  if (!existsSync(path('dist/bin/lockstepd.js'))) return refuse('the daemon is not built: npm run setup');
  if (command.length === 0 && !process.stdin.isTTY)
    return refuse(`a shell needs a terminal; a command does not\n${usage}`);
  return inMachine(command, disk.map(Number), Number(memory));
}

async function inMachine(command, disksMiB, memoryMiB) {
  const terminal = command.length === 0;
  if (terminal) console.error('vm: booting; `exit` or Ctrl-D ends the machine');
  const { columns, rows } = process.stdout;
  const result = await runInMachine({
    script: `${readFileSync(new URL('guest/shell.sh', import.meta.url), 'utf8')}\n${terminal ? 'shell' : command.map(quoted).join(' ')}\n`,
    environment: { COLUMNS: String(columns || 80), LINES: String(rows || 24), TERM: process.env.TERM ?? 'linux' },
    disksMiB,
    memoryMiB,
    terminal,
    limitMs: Number.POSITIVE_INFINITY,
    results: path('out/vm/shell'),
    say: (text) => console.error(`vm: ${text}`),
    onLine: (line) => {
      if (!line.startsWith('@')) console.log(line);
    },
  });
  if (result.status >= 0) return result.status;
  console.error(`vm: ${result.reason}`);
  return machineFailed;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));

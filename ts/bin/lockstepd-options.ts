/**
 * The command line of `lockstepd`: options over configuration file over defaults, and every way in which they can be
 * wrong.
 *
 * A function of the arguments, of what it may know of the host (`HostFacts`) and of the file that it names, so that
 * tests can ask about hosts that they do not run on. It opens nothing else and makes nothing.
 */
import { parseArgs } from 'node:util';
import type { DaemonConfig } from '../daemon/config.js';
import { type ConfigFile, type FoundValue, type FoundValues, readConfigFile } from '../daemon/config-file.js';
import { type ConfigKey, checkValue, configKeys, type KeyRule } from '../daemon/config-keys.js';
import {
  chooseTransport,
  combinationProblems,
  daemonConfig,
  effectiveValues,
  merged,
  printedConfig,
} from '../daemon/config-values.js';
import { configFileDefault, type HostFacts } from '../daemon/host-facts.js';

export type ParsedOptions =
  | { readonly kind: 'run'; readonly config: DaemonConfig }
  /** Something to print on stdout, and nothing to run. */
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  /** `text` says what is wrong; `showUsage` whether the usage text helps. Exit code 2 either way. */
  | { readonly kind: 'wrong'; readonly text: string; readonly showUsage: boolean };

export const usageText = `Usage: lockstepd [options]

   --config FILE               configuration; default /etc/lockstep/lockstep.toml for root, else
                               ~/.config/lockstep/lockstep.toml; options here win over it
   --check-config              say whether configuration and options can be used, and end: 0 or 2
   --print-config              print what holds, and where each value comes from, and end
   --simulated-kernel PATH     serve a simulated kernel on this socket instead of the real one;
                               its folder must be yours and have mode 0700
   --transport local           this host is alone; needed where corosync is configured
   --state-dir DIR             records that outlive a killed daemon; best on a tmpfs
   --pid-file PATH             locked while the daemon runs
   --log-writer HOW            auto, uring or thread: how disk logs are written (auto)
   --force-foreign-session     take over disk logs that another host did not close
   --boot-id ID                instead of the kernel's, for tests
   --status-file PATH          status as JSON, replaced at SIGUSR1 and every --status-interval-ms
   --status-interval-ms N      0: only at SIGUSR1 (0)
   --journal                   prefix log lines with journald's levels
   --verbose                   log debug lines too
   --help                      this text
   --version                   the version

SIGTERM, SIGINT, SIGQUIT and SIGHUP end the daemon when no log exists; otherwise it says so and stays.
SIGUSR1 writes status to stdout as one line of JSON.
`;

const optionTable = {
  config: { type: 'string' },
  'check-config': { type: 'boolean' },
  'print-config': { type: 'boolean' },
  'simulated-kernel': { type: 'string' },
  transport: { type: 'string' },
  'state-dir': { type: 'string' },
  'pid-file': { type: 'string' },
  'log-writer': { type: 'string' },
  'force-foreign-session': { type: 'boolean' },
  'boot-id': { type: 'string' },
  'status-file': { type: 'string' },
  'status-interval-ms': { type: 'string' },
  journal: { type: 'boolean' },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;
type Values = ReturnType<typeof parseArgs<{ options: typeof optionTable }>>['values'];

/** Names of all options, for the test that compares them with the manual page. */
export const optionNames: readonly string[] = Object.keys(optionTable);

/** Options that set a key of the file. */
const optionKeys = {
  transport: 'transport',
  'state-dir': 'state_dir',
  'pid-file': 'pid_file',
  'log-writer': 'log_device.writer',
  'status-file': 'status.file',
  'status-interval-ms': 'status.interval_ms',
} as const satisfies Partial<Record<keyof typeof optionTable, ConfigKey>>;

/** What a state record and a session record have room for. */
const bootIdBytesMax = 64;

export function parseOptions(
  argv: readonly string[],
  host: HostFacts,
  readFile: (path: string) => ConfigFile | null = readConfigFile,
): ParsedOptions {
  let values: Values;
  try {
    values = parseArgs({ args: [...argv], options: optionTable, strict: true, allowPositionals: false }).values;
  } catch (error) {
    return wrongUsage(error instanceof Error ? error.message : String(error));
  }
  if (values.help === true) return { kind: 'help' };
  if (values.version === true) return { kind: 'version' };
  const empty = Object.entries(values).find(([, value]) => value === '');
  if (empty !== undefined) return wrongUsage(`--${empty[0]} needs a value`);
  const options = optionValues(values);
  if (typeof options === 'string') return wrongUsage(options);
  const bootId = values['boot-id'] ?? host.bootId;
  if (Buffer.byteLength(bootId) > bootIdBytesMax) return wrongUsage(`--boot-id: at most ${bootIdBytesMax} bytes`);

  const path = values.config ?? host.configVariable ?? configFileDefault(host);
  const named = values.config !== undefined || host.configVariable !== null;
  const file = readFile(path);
  if (file === null && named) return refused([`${path}: there is no such file`]);
  if (file !== null && file.problems.length > 0) return refused(file.problems);
  return configure(values, merged(file?.values ?? new Map(), options), { host, bootId, path, read: file !== null });
}

interface Surroundings {
  readonly host: HostFacts;
  readonly bootId: string;
  /** The configuration file, and whether it is there. */
  readonly path: string;
  readonly read: boolean;
}

function configure(values: Values, found: FoundValues, around: Surroundings): ParsedOptions {
  const effective = effectiveValues(found, around.host);
  const problems = combinationProblems(effective);
  if (problems.length > 0) return refused(problems);
  if (values['print-config'] === true) return { kind: 'print', text: printedConfig(effective) };
  const transport = chooseTransport(effective, around.host);
  if ('problem' in transport) return refused([transport.problem]);
  if (values['check-config'] === true) {
    return { kind: 'print', text: `${around.path}: ${around.read ? 'good' : 'not there, the defaults hold'}\n` };
  }
  const simulated = values['simulated-kernel'];
  return {
    kind: 'run',
    config: daemonConfig(effective, {
      personality: 'lockstepd',
      kernel: simulated === undefined ? { kind: 'connector' } : { kind: 'simulated', path: simulated },
      transport: transport.kind,
      bootId: around.bootId,
      forceForeignSession: values['force-foreign-session'] ?? false,
      pidFileGiven: values['pid-file'] !== undefined,
    }),
  };
}

/** Options as values of keys, or what is wrong with one. */
function optionValues(values: Values): FoundValues | string {
  const found = new Map<ConfigKey, FoundValue>();
  for (const [option, key] of Object.entries(optionKeys) as [keyof typeof optionKeys, ConfigKey][]) {
    const given = values[option];
    if (given === undefined) continue;
    const rule: KeyRule = configKeys[key];
    // Paths may be relative here, to where the user stands; in a file they may not.
    const checked = rule.kind === 'path' ? { value: given } : checkValue(rule, asNumber(rule, given));
    if ('problem' in checked) return `--${option} ${given}: ${checked.problem}`;
    found.set(key, { value: checked.value, source: `--${option}` });
  }
  if (values.journal === true) found.set('log.target', { value: 'journal', source: '--journal' });
  if (values.verbose === true) found.set('log.verbose', { value: true, source: '--verbose' });
  return found;
}

function asNumber(rule: KeyRule, given: string): unknown {
  return rule.kind === 'milliseconds' && /^\d{1,9}$/.test(given) ? Number(given) : given;
}

function wrongUsage(text: string): ParsedOptions {
  return { kind: 'wrong', text, showUsage: true };
}

/** A configuration that cannot be used: one line a problem, and no usage text, which would hide them. */
function refused(problems: readonly string[]): ParsedOptions {
  return { kind: 'wrong', text: problems.join('\nlockstepd: '), showUsage: false };
}

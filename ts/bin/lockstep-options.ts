/**
 * The command line of `lockstep`: arguments to a command, and every way in which they can be wrong. A pure function of the
 * arguments and of where the control socket would be; it opens nothing.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { DoctorOptions } from '../admin/doctor-command.js';
import { type EventsOptions, type Level, levels } from '../admin/events-command.js';
import type { FenceOptions } from '../admin/fence-command.js';
import type { LogFileOptions } from '../admin/log-command.js';
import type { StatusOptions } from '../admin/status-command.js';
import type { WhyOptions } from '../admin/why-command.js';
import { regionCountMax } from '../base/limits.js';

export interface UserFacts {
  readonly root: boolean;
  /** $XDG_RUNTIME_DIR, or null. */
  readonly runtimeDirectory: string | null;
  readonly homeDirectory: string;
  /** $LOCKSTEP_SOCKET, or null. */
  readonly socket: string | null;
}

export type Command =
  | { readonly kind: 'status'; readonly options: StatusOptions }
  | { readonly kind: 'events'; readonly options: EventsOptions }
  | { readonly kind: 'why'; readonly options: WhyOptions }
  | { readonly kind: 'log dump'; readonly options: LogFileOptions }
  | { readonly kind: 'log check'; readonly options: LogFileOptions }
  | { readonly kind: 'doctor'; readonly options: DoctorOptions }
  | { readonly kind: 'fence-confirm'; readonly options: FenceOptions }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  /** Exit code 2. `usage` is what to show with it. */
  | { readonly kind: 'wrong'; readonly text: string; readonly usage: string };

type OptionTable = NonNullable<ParseArgsConfig['options']>;

const everywhere = { help: { type: 'boolean', short: 'h' } } as const;
const socket = { socket: { type: 'string' } } as const;
const json = { json: { type: 'boolean' } } as const;

interface CommandSpec {
  readonly arguments: string;
  readonly summary: string;
  readonly options: OptionTable;
  /** Lines of the usage text, one an option but those that every command has. */
  readonly help: readonly string[];
}

const socketHelp = '--socket PATH        control socket of the daemon to ask';

/** Every command with its options: parser, usage text, manual page and completion agree with this table. */
export const commandTable: Readonly<Record<CommandName, CommandSpec>> = {
  status: {
    arguments: '[LOG...]',
    summary: 'how the daemon and its logs stand; exit code 1 when there is trouble',
    options: {
      ...everywhere,
      ...socket,
      ...json,
      watch: { type: 'boolean', short: 'w' },
      interval: { type: 'string' },
    },
    help: [
      '--json               one JSON object, or with --watch one a line',
      '-w, --watch          again and again until interrupted',
      '--interval SECONDS   between two looks (2)',
      socketHelp,
    ],
  },
  events: {
    arguments: '[LOG]',
    summary: 'what happened, oldest first',
    options: {
      ...everywhere,
      ...socket,
      ...json,
      follow: { type: 'boolean', short: 'f' },
      level: { type: 'string' },
    },
    help: [
      '-f, --follow         go on with what happens from now on, also over a restart of the daemon',
      `--level LEVEL        this and graver: ${levels.join(', ')} (info)`,
      '--json               one JSON object a line',
      socketHelp,
    ],
  },
  why: {
    arguments: 'LOG REGION',
    summary: 'who holds a region, and why it is not clean',
    options: { ...everywhere, ...socket, ...json },
    help: ['--json               one JSON object', socketHelp],
  },
  'log dump': {
    arguments: 'FILE',
    summary: 'what stands on a log device: header, session, dirty regions; needs no daemon',
    options: { ...everywhere, ...json, limit: { type: 'string' } },
    help: [
      '--limit N            ranges of dirty regions at most, 0: all (1000)',
      '--json               one JSON object',
    ],
  },
  'log check': {
    arguments: 'FILE',
    summary: 'whether that is sound; exit code 1 when it is not',
    options: { ...everywhere, ...json, 'region-count': { type: 'string' } },
    help: ['--region-count N     regions that the mirror has', '--json               one JSON object'],
  },
  doctor: {
    arguments: '',
    summary: 'whether this host is fit to serve mirrors; exit code 1 when it is not',
    options: { ...everywhere, ...socket, ...json, 'state-dir': { type: 'string' } },
    help: [
      '--state-dir DIR      folder of the state records; default: as the daemon has it',
      '--json               one JSON object',
      socketHelp,
    ],
  },
  'fence-confirm': {
    arguments: 'NODE',
    summary: 'says that a lost host is dead, so that its regions are resynced',
    options: { ...everywhere, ...socket, yes: { type: 'boolean' } },
    help: ['--yes                do it; without, only say what it would do', socketHelp],
  },
};

export type CommandName = 'status' | 'events' | 'why' | 'log dump' | 'log check' | 'doctor' | 'fence-confirm';
export const commandNames = Object.keys(commandTable) as readonly CommandName[];

/** Options before the command. */
const topOptions = { ...everywhere, ...socket, version: { type: 'boolean' } } as const;
export const topOptionNames: readonly string[] = Object.keys(topOptions);

export const usageText = `Usage: lockstep COMMAND [ARGUMENTS]

${commandNames.map((name) => `   ${`${name} ${commandTable[name].arguments}`.padEnd(22)} ${commandTable[name].summary}`).join('\n')}

   lockstep COMMAND --help    its options
   lockstep --help            this text
   lockstep --version         the version

LOG is a log's uuid, the beginning of one, or the name of its device-mapper device; FILE a log device or a file;
NODE the number or the name of a host. Nothing but fence-confirm changes anything.
`;

function commandUsage(name: CommandName): string {
  const { arguments: words, summary, help } = commandTable[name];
  const lines = [...help, '-h, --help           this text'].map((line) => `   ${line}`);
  return `Usage: lockstep ${name} [options]${words === '' ? '' : ` ${words}`}\n\n${summary}\n\n${lines.join('\n')}\n`;
}

/** Where the daemon of this user listens. */
export function socketDefault(user: UserFacts): string {
  if (user.socket !== null) return user.socket;
  if (user.root) return '/run/lockstep/control.sock';
  if (user.runtimeDirectory !== null) return `${user.runtimeDirectory}/lockstep/control.sock`;
  return `${user.homeDirectory}/.local/state/lockstep/control.sock`;
}

/** What is wrong, with the usage that helps. */
class Wrong extends Error {
  readonly usage: string;
  constructor(text: string, usage: string) {
    super(text);
    this.usage = usage;
  }
}

export function parseCommand(argv: readonly string[], user: UserFacts): Command {
  try {
    return parse(argv, user);
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return { kind: 'wrong', text: error.message, usage: error.usage };
  }
}

function parse(argv: readonly string[], user: UserFacts): Command {
  const { top, rest } = splitTop(argv);
  const before = read(top, topOptions, usageText, 0, 0);
  if (before.values.help === true) return { kind: 'help', text: usageText };
  if (before.values.version === true) return { kind: 'version' };
  const [first, second] = rest;
  if (first === undefined) throw new Wrong('which command?', usageText);
  const twoWords = first === 'log';
  const name = twoWords ? `log ${second ?? ''}`.trim() : first;
  if (twoWords && (second === '--help' || second === '-h')) return { kind: 'help', text: usageText };
  if (!Object.hasOwn(commandTable, name)) {
    const text = name === 'log' ? 'log: dump or check?' : `"${name}" is no command`;
    throw new Wrong(text, usageText);
  }
  const base = before.values.socket === undefined ? user : { ...user, socket: text(before.values.socket) };
  return parseOne(name as CommandName, rest.slice(twoWords ? 2 : 1), base);
}

/** Options in front of the command are those of no command; `--socket` has a value. */
function splitTop(argv: readonly string[]): { top: readonly string[]; rest: readonly string[] } {
  let at = 0;
  while (at < argv.length && argv[at]?.startsWith('-')) at += argv[at] === '--socket' ? 2 : 1;
  return { top: argv.slice(0, at), rest: argv.slice(at) };
}

function parseOne(name: CommandName, argv: readonly string[], user: UserFacts): Command {
  const usage = commandUsage(name);
  const table = commandTable[name];
  if (argv.includes('--help') || argv.includes('-h')) return { kind: 'help', text: usage };
  const [min, max] = {
    status: [0, 64],
    events: [0, 1],
    why: [2, 2],
    'log dump': [1, 1],
    'log check': [1, 1],
    doctor: [0, 0],
    'fence-confirm': [1, 1],
  }[name] as [number, number];
  const { values, positionals } = read(argv, table.options, usage, min, max, table.arguments);
  const where = values.socket === undefined ? socketDefault(user) : text(values.socket);
  const asJson = values.json === true;
  const [one = '', two = ''] = positionals;
  switch (name) {
    case 'status': {
      const seconds = number(values.interval ?? '2', '--interval', 0.1, 86_400, usage);
      const watch = values.watch === true;
      if (values.interval !== undefined && !watch) throw new Wrong('--interval goes with --watch', usage);
      const options = { socket: where, json: asJson, watch, intervalMs: seconds * 1000, logs: positionals };
      return { kind: name, options };
    }
    case 'events': {
      const level = text(values.level ?? 'info');
      if (!(levels as readonly string[]).includes(level)) {
        throw new Wrong(`--level ${level}: one of ${levels.join(', ')}`, usage);
      }
      const follow = values.follow === true;
      const log = positionals[0] ?? null;
      return { kind: name, options: { socket: where, json: asJson, follow, level: level as Level, log } };
    }
    case 'why': {
      const region = whole(two, 'REGION', 0, regionCountMax - 1, usage);
      return { kind: name, options: { socket: where, json: asJson, log: one, region } };
    }
    case 'log dump': {
      const limit = whole(values.limit ?? '1000', '--limit', 0, Number.MAX_SAFE_INTEGER, usage);
      return { kind: name, options: { path: one, json: asJson, limit, regionCount: null } };
    }
    case 'log check': {
      const given = values['region-count'];
      const regionCount = given === undefined ? null : whole(given, '--region-count', 1, regionCountMax, usage);
      return { kind: name, options: { path: one, json: asJson, limit: 0, regionCount } };
    }
    case 'doctor': {
      const given = values['state-dir'];
      const stateDirectory = given === undefined ? null : text(given);
      return { kind: name, options: { socket: where, json: asJson, stateDirectory } };
    }
    case 'fence-confirm':
      return { kind: name, options: { socket: where, node: one, yes: values.yes === true } };
  }
}

type Value = string | boolean | undefined;

/** Of any command; its table says which can be there. */
type ValueName =
  | 'help'
  | 'version'
  | 'socket'
  | 'json'
  | 'watch'
  | 'interval'
  | 'follow'
  | 'level'
  | 'limit'
  | 'region-count'
  | 'state-dir'
  | 'yes';
type Values = { readonly [name in ValueName]?: Value };

function read(argv: readonly string[], options: OptionTable, usage: string, min: number, max: number, names = '') {
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...argv], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new Wrong(error instanceof Error ? (error.message.split('. ')[0] as string) : String(error), usage);
  }
  const values = parsed.values as Values;
  const empty = Object.entries(values).find(([, value]) => value === '');
  if (empty !== undefined) throw new Wrong(`--${empty[0]} needs a value`, usage);
  const { positionals } = parsed;
  if (positionals.length > max) throw new Wrong(`"${positionals[max]}" is one argument too many`, usage);
  if (positionals.length < min) throw new Wrong(`${names.split(' ')[positionals.length]} is missing`, usage);
  if (positionals.includes('')) throw new Wrong('an argument is empty', usage);
  return { values, positionals };
}

function text(value: Value): string {
  return String(value);
}

function whole(value: Value, name: string, min: number, max: number, usage: string): number {
  const found = /^\d{1,16}$/.test(text(value)) ? Number(value) : Number.NaN;
  if (!(found >= min && found <= max))
    throw new Wrong(`${name} ${text(value)}: a whole number from ${min} to ${max}`, usage);
  return found;
}

function number(value: Value, name: string, min: number, max: number, usage: string): number {
  const found = /^\d+(\.\d+)?$/.test(text(value)) ? Number(value) : Number.NaN;
  if (!(found >= min && found <= max)) throw new Wrong(`${name} ${text(value)}: a number from ${min} to ${max}`, usage);
  return found;
}

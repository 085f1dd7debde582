/** The command line of `lockstep`: defaults by user, every way to be wrong, and the manual page beside it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  commandNames,
  commandTable,
  parseCommand,
  topOptionNames,
  type UserFacts,
  usageText,
} from '../../ts/bin/lockstep-options.js';

const user: UserFacts = { root: false, runtimeDirectory: '/run/user/1000', homeDirectory: '/home/ada', socket: null };

function socketOf(argv: string[], facts: Partial<UserFacts> = {}): string {
  const command = parseCommand(argv, { ...user, ...facts });
  if (command.kind !== 'status') throw new Error(`expected status, got ${JSON.stringify(command)}`);
  return command.options.socket;
}

describe('the control socket', () => {
  it.each([
    [{ root: true }, '/run/lockstep/control.sock'],
    [{}, '/run/user/1000/lockstep/control.sock'],
    [{ runtimeDirectory: null }, '/home/ada/.local/state/lockstep/control.sock'],
    [{ root: true, socket: '/x/y' }, '/x/y'],
  ])('of %j is %s', (facts, path) => {
    expect(socketOf(['status'], facts)).toBe(path);
  });

  it('may be named before the command and behind it', () => {
    expect(socketOf(['--socket', '/a b', 'status'])).toBe('/a b');
    expect(socketOf(['status', '--socket', '/a b'])).toBe('/a b');
    expect(socketOf(['--socket=/a', 'status'], { socket: '/x' })).toBe('/a');
  });
});

describe('a command', () => {
  it.each([
    [['status', 'LVM-a', 'm'], { kind: 'status', options: { logs: ['LVM-a', 'm'], watch: false, json: false } }],
    [['status', '-w', '--interval', '0.5'], { kind: 'status', options: { watch: true, intervalMs: 500 } }],
    [['events'], { kind: 'events', options: { follow: false, level: 'info', log: null } }],
    [
      ['events', '-f', '--level', 'debug', 'm'],
      { kind: 'events', options: { follow: true, level: 'debug', log: 'm' } },
    ],
    [['why', 'm', '17', '--json'], { kind: 'why', options: { log: 'm', region: 17, json: true } }],
    [['log', 'dump', '/dev/x', '--limit', '0'], { kind: 'log dump', options: { path: '/dev/x', limit: 0 } }],
    [['log', 'check', '--region-count=80', 'f'], { kind: 'log check', options: { path: 'f', regionCount: 80 } }],
    [['doctor', '--state-dir', '/s'], { kind: 'doctor', options: { stateDirectory: '/s' } }],
    [['fence-confirm', '3'], { kind: 'fence-confirm', options: { node: '3', yes: false } }],
    [['fence-confirm', '--yes', 'bravo'], { kind: 'fence-confirm', options: { node: 'bravo', yes: true } }],
    [['--version'], { kind: 'version' }],
    [['--help', 'status'], { kind: 'help' }],
    [['why', '--help'], { kind: 'help' }],
    [['log', '--help'], { kind: 'help' }],
  ])('%j', (argv, expected) => {
    expect(parseCommand(argv, user)).toMatchObject(expected);
  });
});

describe('wrong usage', () => {
  it.each([
    [[], /which command/],
    [['mount'], /"mount" is no command/],
    [['log'], /dump or check/],
    [['log', 'show', 'x'], /"log show" is no command/],
    [['toString'], /no command/],
    [['--json', 'status'], /--json/],
    [['status', '--yes'], /--yes/],
    [['status', '--interval', '5'], /goes with --watch/],
    [['status', '-w', '--interval', '0'], /--interval 0: a number from/],
    [['status', '-w', '--interval', 'often'], /--interval often/],
    [['status', '--socket', ''], /--socket needs a value/],
    [['status', '--socket'], /--socket/],
    [['events', 'a', 'b'], /"b" is one argument too many/],
    [['events', '--level', 'loud'], /--level loud: one of error, warning/],
    [['why', 'm'], /^REGION is missing/],
    [['why', 'm', 'x'], /REGION x: a whole number/],
    [['why', 'm', '-1'], /-1/],
    [['why', 'm', '4294967296'], /REGION 4294967296/],
    [['log', 'dump'], /^FILE is missing/],
    [['log', 'dump', 'a', 'b'], /too many/],
    [['log', 'dump', '--region-count', '8', 'x'], /--region-count/],
    [['log', 'check', '--region-count', '0', 'x'], /--region-count 0/],
    [['doctor', 'x'], /too many/],
    [['fence-confirm', '--yes'], /^NODE is missing/],
  ])('%j', (argv, message) => {
    const command = parseCommand(argv, user);
    if (command.kind !== 'wrong') throw new Error(`expected to be wrong, got ${JSON.stringify(command)}`);
    expect(command.text).toMatch(message);
    expect(command.usage).toMatch(/^Usage: lockstep/);
  });
});

it('every usage text names what its parser knows', () => {
  for (const name of commandNames) {
    expect(usageText).toContain(`   ${name} `);
    const help = parseCommand([...name.split(' '), '--help'], user);
    if (help.kind !== 'help') throw new Error(`no help for ${name}`);
    const named = [...help.text.matchAll(/--([a-z-]+)/g)].map((match) => match[1]);
    const known = Object.keys(commandTable[name].options);
    expect([...new Set(named)].filter((option) => known.includes(option ?? '')).sort()).toEqual([...known].sort());
  }
});

describe('the manual page', () => {
  const page = readFileSync(new URL('../../docs/lockstep.1.scd', import.meta.url), 'utf8');
  const section = (name: string) => page.slice(page.indexOf(`\n# ${name}\n`)).split(/\n# /)[1] ?? '';

  it('has every option of the parser, and no other', () => {
    const named = [...section('OPTIONS').matchAll(/^\*--([a-z-]+)\*/gm)].map((match) => match[1]);
    const known = new Set([
      ...topOptionNames,
      ...commandNames.flatMap((name) => Object.keys(commandTable[name].options)),
    ]);
    expect(named.sort()).toEqual([...known].sort());
  });

  it('says of each option which command has it, if not all that talk to a daemon do', () => {
    for (const match of section('OPTIONS').matchAll(/^\*--([a-z-]+)\*[^\n]*\n\t_([a-z ]+)(?: --watch)?_:/gm)) {
      const owners = commandNames.filter((name) => Object.hasOwn(commandTable[name].options, match[1] ?? ''));
      expect(owners).toEqual([(match[2] ?? '').replace(' --watch', '')]);
    }
  });

  it('has every command, with its arguments', () => {
    const named = [...section('COMMANDS').matchAll(/^\*([a-z -]+)\*(.*)$/gm)].map((match) => `${match[1]}${match[2]}`);
    expect(named.sort()).toEqual(commandNames.map((name) => `${name} ${commandTable[name].arguments}`.trim()).sort());
  });

  it('has every finding of log check', () => {
    const source = readFileSync(new URL('../../ts/admin/log-findings.ts', import.meta.url), 'utf8');
    const codes = new Set([...source.matchAll(/add\(\s*'([a-z0-9-]+)'/g)].map((match) => match[1]));
    expect(codes.size).toBeGreaterThan(10);
    for (const code of codes) expect(section('COMMANDS')).toContain(`_${code}_`);
  });
});

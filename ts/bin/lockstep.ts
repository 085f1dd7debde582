#!/usr/bin/env node
/**
 * `lockstep`: looks at the mirror log daemon, at log devices and at this host. Arguments in, exit code out; what the
 * commands do stands in `admin/`.
 */
import { homedir } from 'node:os';
import { NoDaemonError, RequestError } from '../admin/control-client.js';
import { doctorCommand } from '../admin/doctor-command.js';
import type { ConfigFact } from '../admin/doctor-facts.js';
import { eventsCommand } from '../admin/events-command.js';
import { fenceConfirmCommand } from '../admin/fence-command.js';
import { logCheckCommand, logDumpCommand } from '../admin/log-command.js';
import { statusCommand } from '../admin/status-command.js';
import { Exit, type Terminal, UsageError } from '../admin/terminal.js';
import { whyCommand } from '../admin/why-command.js';
import { readConfigFile } from '../daemon/config-file.js';
import { effectiveValues } from '../daemon/config-values.js';
import { configFileDefault, hostFacts } from '../daemon/host-facts.js';
import { packageVersion } from '../daemon/version.js';
import { type Command, parseCommand, type UserFacts } from './lockstep-options.js';

function userFacts(): UserFacts {
  const { XDG_RUNTIME_DIR, LOCKSTEP_SOCKET } = process.env;
  return {
    root: process.getuid?.() === 0,
    runtimeDirectory: XDG_RUNTIME_DIR || null,
    homeDirectory: homedir(),
    socket: LOCKSTEP_SOCKET || null,
  };
}

/** The configuration that a daemon of this user would start with. */
function configFact(): ConfigFact {
  const host = hostFacts();
  const path = host.configVariable ?? configFileDefault(host);
  const file = readConfigFile(path);
  const missing = file === null && host.configVariable !== null ? [`${path}: there is no such file`] : [];
  const found = file?.values ?? new Map();
  const values = effectiveValues(found, host);
  return {
    path,
    present: file !== null,
    problems: file?.problems ?? missing,
    pidFiles: [String(values.get('pid_file')?.value), String(values.get('cmirrord_pid_file')?.value)],
    stateDirectory: found.has('state_dir') ? String(values.get('state_dir')?.value) : null,
  };
}

/**
 * A pipe whose reader is gone (`| head`) ends a command as Ctrl-C does. Who does not ask for `stopped` is ended by the signal
 * itself, in the middle of whatever it does.
 */
function terminalOf(): Terminal {
  let stopped: Promise<void> | null = null;
  const unread = new Promise<void>((resolve) => {
    process.stdout.on('error', () => resolve());
  });
  const waitForStop = () =>
    new Promise<void>((resolve) => {
      process.once('SIGINT', () => resolve());
      process.once('SIGTERM', () => resolve());
      void unread.then(resolve);
    });
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    get columns() {
      return process.stdout.isTTY ? process.stdout.columns : null;
    },
    get stopped() {
      stopped ??= waitForStop();
      return stopped;
    },
  };
}

async function run(command: Command, terminal: Terminal): Promise<Exit> {
  switch (command.kind) {
    case 'help':
      terminal.out(command.text);
      return Exit.ok;
    case 'version':
      terminal.out(`lockstep ${packageVersion}\n`);
      return Exit.ok;
    case 'wrong':
      terminal.err(`lockstep: ${command.text}\n\n${command.usage}`);
      return Exit.usage;
    case 'status':
      return statusCommand(command.options, terminal);
    case 'events':
      return eventsCommand(command.options, terminal);
    case 'why':
      return whyCommand(command.options, terminal);
    case 'log dump':
      return logDumpCommand(command.options, terminal);
    case 'log check':
      return logCheckCommand(command.options, terminal);
    case 'doctor':
      return doctorCommand(command.options, configFact(), terminal);
    case 'fence-confirm':
      return fenceConfirmCommand(command.options, terminal);
  }
}

async function main(): Promise<Exit> {
  const terminal = terminalOf();
  try {
    return await run(parseCommand(process.argv.slice(2), userFacts()), terminal);
  } catch (error) {
    // A daemon of another release may not know the request.
    const known = [NoDaemonError, RequestError, UsageError].some((kind) => error instanceof kind);
    if (!known || !(error instanceof Error)) throw error;
    terminal.err(`lockstep: ${error.message}\n`);
    return error instanceof UsageError ? Exit.usage : Exit.noDaemon;
  }
}

process.exitCode = await main();
// What was written to a pipe is still on its way; timers and sockets must not hold the process up.
process.stdout.write('', () => process.exit());

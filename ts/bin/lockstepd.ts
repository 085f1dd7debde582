#!/usr/bin/env node
/**
 * `lockstepd`: the mirror log daemon. Arguments in, exit code out; what it does stands in `daemon/`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { ExitCode } from '../daemon/config.js';
import { runDaemon } from '../daemon/daemon.js';
import { packageVersion } from '../daemon/version.js';
import { type HostFacts, parseOptions, usageText } from './lockstepd-options.js';

function hostFacts(): HostFacts {
  const { XDG_RUNTIME_DIR, JOURNAL_STREAM } = process.env;
  return {
    root: process.getuid?.() === 0,
    runtimeDirectory: XDG_RUNTIME_DIR || null,
    homeDirectory: homedir(),
    hostName: hostname(),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    corosyncConfigured: existsSync('/etc/corosync/corosync.conf'),
    journalStream: JOURNAL_STREAM !== undefined,
  };
}

async function main(): Promise<ExitCode> {
  const parsed = parseOptions(process.argv.slice(2), hostFacts());
  switch (parsed.kind) {
    case 'help':
      process.stdout.write(usageText);
      return ExitCode.ok;
    case 'version':
      process.stdout.write(`lockstepd ${packageVersion}\n`);
      return ExitCode.ok;
    case 'wrong':
      process.stderr.write(`lockstepd: ${parsed.text}\n${parsed.showUsage ? `\n${usageText}` : ''}`);
      return ExitCode.usage;
    case 'run':
      return runDaemon(parsed.config);
  }
}

// `exit` and not `exitCode`: a worker that hangs in a system call must not keep a process that has given up its locks.
process.exit(await main());

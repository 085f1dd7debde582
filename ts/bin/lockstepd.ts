#!/usr/bin/env node
/**
 * `lockstepd`: the mirror log daemon. Arguments in, exit code out; what it does stands in `daemon/`.
 */
import { ExitCode } from '../daemon/config.js';
import { runDaemon } from '../daemon/daemon.js';
import { hostFacts } from '../daemon/host-facts.js';
import { packageVersion } from '../daemon/version.js';
import { parseOptions, usageText } from './lockstepd-options.js';

async function main(): Promise<ExitCode> {
  const parsed = parseOptions(process.argv.slice(2), hostFacts());
  switch (parsed.kind) {
    case 'help':
      process.stdout.write(usageText);
      return ExitCode.ok;
    case 'version':
      process.stdout.write(`lockstepd ${packageVersion}\n`);
      return ExitCode.ok;
    case 'print':
      process.stdout.write(parsed.text);
      return ExitCode.ok;
    case 'wrong':
      process.stderr.write(`lockstepd: ${parsed.text}\n${parsed.showUsage ? `\n${usageText}` : ''}`);
      return ExitCode.usage;
    case 'run':
      // So that pidof, pgrep and killall find it by its name.
      process.title = 'lockstepd';
      return runDaemon(parsed.config);
  }
}

// `exit` and not `exitCode`: a worker that hangs in a system call must not keep a process that has given up its locks.
process.exit(await main());

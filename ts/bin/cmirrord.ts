#!/usr/bin/env node
/**
 * `cmirrord`: the mirror log daemon with the manners of the one it replaces. Arguments in, exit code out; the child that
 * serves in the background is `cmirrord-child.ts`.
 */
import { fileURLToPath } from 'node:url';
import { cmirrordConfig, startEntries } from '../daemon/cmirrord.js';
import { ExitCode } from '../daemon/config.js';
import { runDaemon } from '../daemon/daemon.js';
import { startInBackground } from '../daemon/daemonize.js';
import { hostFacts } from '../daemon/host-facts.js';
import { parseCommand, usageText } from './cmirrord-options.js';

async function main(): Promise<ExitCode> {
  const command = parseCommand(process.argv.slice(2));
  switch (command) {
    case 'help':
      process.stdout.write(usageText);
      return ExitCode.ok;
    case 'wrong':
      process.stderr.write(usageText);
      return ExitCode.usage;
    case 'daemon':
      return startInBackground(fileURLToPath(new URL('./cmirrord-child.js', import.meta.url)), (text) =>
        process.stdout.write(`cmirrord: ${text}`),
      );
    case 'foreground':
      return serve();
  }
}

function serve(): ExitCode | Promise<ExitCode> {
  const host = hostFacts();
  const read = cmirrordConfig(host, true);
  if ('problems' in read) {
    for (const problem of read.problems) process.stdout.write(`cmirrord: ${problem}\n`);
    return ExitCode.usage;
  }
  // So that pidof, pgrep and killall find it by its name.
  process.title = 'cmirrord';
  return runDaemon(read.config, { startEntries: startEntries(read.config, host) });
}

process.exit(await main());

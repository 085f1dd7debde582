/**
 * `cmirrord` in the background: started by `cmirrord.ts` and by nobody else. It tells its parent that it serves, or why
 * it ends before it does.
 */
import { cmirrordConfig, startEntries } from '../daemon/cmirrord.js';
import { ExitCode } from '../daemon/config.js';
import { runDaemon } from '../daemon/daemon.js';
import { backgroundChild } from '../daemon/daemonize.js';
import { hostFacts } from '../daemon/host-facts.js';
import { sentence } from '../daemon/log-writer.js';

async function main(): Promise<ExitCode> {
  process.title = 'cmirrord';
  backgroundChild.prepare();
  const host = hostFacts();
  const read = cmirrordConfig(host, false);
  if ('problems' in read) {
    await backgroundChild.failed(read.problems.join('\n'));
    return ExitCode.usage;
  }
  let reason = 'the daemon ended before it served';
  const code = await runDaemon(read.config, {
    startEntries: startEntries(read.config, host),
    onReady: () => backgroundChild.ready(),
    onEntry: (entry) => {
      if (entry.level === 'error') reason = sentence(entry);
    },
  });
  await backgroundChild.failed(reason);
  return code;
}

process.exit(await main());

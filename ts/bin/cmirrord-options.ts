/**
 * `cmirrord`'s command line, which is all it ever had: `-f` and `-h`. Usage and streams are those of the original; what
 * else can be set stands in lockstep.toml.
 */
import { parseArgs } from 'node:util';

export const usageText = `Usage: cmirrord [options]
   -f, --foreground    stay in the foreground, log to stdout
   -h, --help          this text
`;

export type ParsedCommand = 'daemon' | 'foreground' | 'help' | 'wrong';

const optionTable = { foreground: { type: 'boolean', short: 'f' }, help: { type: 'boolean', short: 'h' } } as const;
/** Names of all options, for the test that compares them with the manual page. */
export const optionNames: readonly string[] = Object.keys(optionTable);

export function parseCommand(argv: readonly string[]): ParsedCommand {
  try {
    const { values } = parseArgs({ args: [...argv], options: optionTable, strict: true, allowPositionals: false });
    if (values.help === true) return 'help';
    return values.foreground === true ? 'foreground' : 'daemon';
  } catch {
    // Read from the left, as getopt does: what stands behind a call for help is not looked at.
    return helpComesFirst(argv) ? 'help' : 'wrong';
  }
}

/** True when a call for help stands before the first thing that is wrong. */
function helpComesFirst(argv: readonly string[]): boolean {
  for (const word of argv) {
    if (word === '--help' || /^-f*h/.test(word)) return true;
    if (word !== '--foreground' && !/^-f+$/.test(word)) return false;
  }
  return false;
}

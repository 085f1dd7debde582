/** `lockstep doctor`: whether this host is fit to serve mirrors. Looks only. */
import { type Check, checksOf } from './doctor-checks.js';
import { type ConfigFact, doctorFacts } from './doctor-facts.js';
import { Exit, type Terminal } from './terminal.js';

export const doctorSchema = 'lockstep-doctor-1';

export interface DoctorOptions {
  readonly socket: string;
  readonly json: boolean;
  /** Null: as the daemon has it. */
  readonly stateDirectory: string | null;
}

export async function doctorCommand(options: DoctorOptions, config: ConfigFact, terminal: Terminal): Promise<Exit> {
  const checks = checksOf(await doctorFacts(options.socket, options.stateDirectory, config));
  const count = (result: Check['result']) => checks.filter((check) => check.result === result).length;
  const [failed, warned] = [count('fail'), count('warn')];
  if (options.json) {
    terminal.out(`${JSON.stringify({ schema: doctorSchema, failed, warned, checks }, null, 2)}\n`);
  } else {
    for (const { check, result, text, remedy } of checks) {
      terminal.out(`${result.padEnd(4)}  ${check.padEnd(14)} ${text}\n`);
      if (remedy !== '') terminal.out(`${' '.repeat(21)}-> ${remedy}\n`);
    }
    terminal.out(`${count('ok')} ok, ${warned} to look at, ${failed} failed\n`);
  }
  return failed > 0 ? Exit.trouble : Exit.ok;
}

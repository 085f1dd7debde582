/** `lockstep why LOG REGION`: how one region stands, who holds it, and what will change that. */
import { askDaemon, silentEngine, statusOf } from './ask-daemon.js';
import { logClusterView } from './cluster-view.js';
import type { RegionStatus } from './daemon-status.js';
import { dmNames } from './dm-names.js';
import { chooseLog } from './log-choice.js';
import { type Reason, reasonsOf } from './region-reasons.js';
import { Exit, type Terminal, UsageError } from './terminal.js';

export const regionSchema = 'lockstep-region-1';

export interface WhyOptions {
  readonly socket: string;
  readonly json: boolean;
  readonly log: string;
  readonly region: number;
}

export function whyCommand(options: WhyOptions, terminal: Terminal): Promise<Exit> {
  return askDaemon(options.socket, async (client) => {
    const [status, names] = await Promise.all([statusOf(client, options.socket), dmNames()]);
    const log = chooseLog(options.log, status.logs, names);
    if (options.region >= log.regionCount) {
      throw new UsageError(`region ${options.region}: ${log.uuid} has regions 0 to ${log.regionCount - 1}`);
    }
    const { region, fresh } = await client.region(log.uuid, log.luid, options.region);
    if (!fresh) throw silentEngine(options.socket);
    if (region === null) throw new UsageError(`the log ${log.uuid} went away while it was asked about`);
    const name = names.get(log.uuid) ?? null;
    const shared = logClusterView(log, status.cluster);
    const reasons = reasonsOf(region, name ?? 'NAME', shared, status.node);
    if (options.json) terminal.out(`${JSON.stringify(asJson(name, region, reasons), null, 2)}\n`);
    else terminal.out(asText(name, region, reasons));
    return Exit.ok;
  });
}

function asJson(name: string | null, { log, ...region }: RegionStatus, reasons: readonly Reason[]): object {
  const { uuid, luid, lifeCycle, regionSizeSectors } = log;
  const firstSector = region.region * regionSizeSectors;
  return {
    schema: regionSchema,
    uuid,
    name,
    luid,
    state: lifeCycle,
    firstSector,
    regionSizeSectors,
    ...region,
    reasons,
  };
}

function asText(name: string | null, region: RegionStatus, reasons: readonly Reason[]): string {
  const { log } = region;
  const first = region.region * log.regionSizeSectors;
  const which = name === null ? log.uuid : `${name} (${log.uuid})`;
  const state = `${region.clean ? 'clean' : 'dirty'} and ${region.inSync ? 'in sync' : 'out of sync'}`;
  const lines = [
    `region ${region.region} of ${which}: ${state}`,
    `sectors ${first} to ${first + log.regionSizeSectors - 1} of the mirror`,
    ...reasons.map(({ text }) => `- ${text}`),
  ];
  return `${lines.join('\n')}\n`;
}

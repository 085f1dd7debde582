/** Which log a user means: a uuid, the unique beginning of one, or the name of a device-mapper device. Pure. */
import type { LogStatus } from './daemon-status.js';
import type { DmNames } from './dm-names.js';
import { UsageError } from './terminal.js';

/**
 * Of several instances of one uuid (a table reload) the one that serves.
 *
 * @throws UsageError that names what there is.
 */
export function chooseLog(wanted: string, logs: readonly LogStatus[], names: DmNames): LogStatus {
  const plain = wanted.replace(/^\/dev\/mapper\//, '');
  const exact = logs.filter((log) => log.uuid === wanted || names.get(log.uuid) === plain);
  const found = exact.length > 0 ? exact : logs.filter((log) => log.uuid.startsWith(wanted));
  const uuids = new Set(found.map((log) => log.uuid));
  if (uuids.size > 1) throw new UsageError(`"${wanted}" fits several logs: ${listed([...uuids], names)}`);
  const serving = found.find((log) => log.lifeCycle !== 'pending') ?? found.at(-1);
  if (serving !== undefined) return serving;
  const known = [...new Set(logs.map((log) => log.uuid))];
  throw new UsageError(
    known.length === 0 ? 'the daemon has no logs' : `no log "${wanted}"; there are: ${listed(known, names)}`,
  );
}

const listedMax = 8;

function listed(uuids: readonly string[], names: DmNames): string {
  const shown = uuids.slice(0, listedMax).map((uuid) => {
    const name = names.get(uuid);
    return name === undefined ? uuid : `${uuid} (${name})`;
  });
  const more = uuids.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

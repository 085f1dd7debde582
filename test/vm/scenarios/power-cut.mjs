/**
 * The power fails under load, on disks that forget what no flush has covered; then another boot on what is left. And
 * the same question without chance: the log device's writes are recorded by the kernel and replayed, and at every
 * flush the log must have what was promised until then.
 *
 * What happens in the guest stands in power-cut.sh. Here the images are read by a reader that knows nothing of the
 * daemon: right after the cut, regions that are clean in the log must be equal on both legs. A cut after which the
 * legs were equal everywhere has tested nothing: it is repeated.
 */
import { readFileSync } from 'node:fs';
import { differingRegions, dirtyRegions, headerFault, isClean } from '../log-area.mjs';
import { readLogWrites, replay } from '../log-writes.mjs';

const regionSectors = 128;
const forms = {
  short: { legMiB: 24, cuts: 1, writes: 10 },
  long: { legMiB: 48, cuts: 5, writes: 80 },
};
/**
 * The kernel does not flush the legs before it clears a mark, so what rests in a leg's cache for longer than its region
 * stays marked (2 s) is beyond any daemon. The log's cache keeps what it is given until it is flushed.
 */
const legDestageMs = 1000;
/** Cuts that may be repeated because they tested nothing. */
const repeatsMax = 5;
const recordedRegions = 1024;

export default {
  name: 'power-cut',
  everyRun: true,
  longForm: true,
  programs: [
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
    ['mkfs.ext4', 'e2fsprogs'],
  ],
  async run({ machine, check, disks, long, prng, say }) {
    const form = long ? forms.long : forms.short;
    const sectors = form.legMiB * 2048;
    const regions = sectors / regionSectors;
    const leg = { mebibytes: form.legMiB, volatile: true, destageMs: legDestageMs };
    const set = disks([leg, leg, { mebibytes: 4, volatile: true }, 8, 8, 4, 64]);
    let synced = 0;
    const onLine = (line) => {
      synced = Number(line.match(/^@synced (\d+)/)?.[1] ?? synced);
    };
    let dirtyBefore = null;
    /** One boot: recovers from the last cut, and writes until the next, or to the end. */
    const boot = async (load) => {
      const environment = {
        RECOVER: dirtyBefore === null ? '' : 'yes',
        LOAD: load ? 'yes' : '',
        REGION_SECTORS: String(regionSectors),
        SECTORS: String(sectors),
        SYNCED: String(synced),
        SEED: String(prng.below(32768)),
        WRITES: String(form.writes),
      };
      const stop = load
        ? { how: 'cut', line: /^@loaded/, afterMs: prng.between(0, 3000), seed: prng.next() }
        : undefined;
      const script = readFileSync(new URL('power-cut.sh', import.meta.url), 'utf8');
      const result = await machine({ script, disks: set, environment, stop, onLine, limitMs: 3_000_000 });
      const ended = load ? result.stopped : result.status === 0;
      check(
        load ? 'the power failed under load' : 'the script ended well',
        ended,
        `status ${result.status} ${result.reason}`,
      );
      if (ended && dirtyBefore !== null)
        check('only marked regions were resynchronised', ...onlyMarked(result, dirtyBefore));
      return ended ? result : null;
    };

    let tested = 0;
    for (let attempt = 0; tested < form.cuts && attempt < form.cuts + repeatsMax; attempt++) {
      const result = await boot(true);
      if (result === null) return;
      if (dirtyBefore === null) {
        const record = readFileSync(set.paths[6]);
        check('at every flush the log has what was promised', ...promisesKept(record, form.writes, say));
      }
      const [left, right, log] = set.paths.map((path) => readFileSync(path));
      const fault = headerFault(log, regions);
      check('after the cut: the log has its header', fault === '', fault);
      const dirty = dirtyRegions(log, regions);
      const differing = differingRegions(left, right, regionSectors * 512);
      const lost = result.cut.slice(0, 3).map(({ lostSectors }) => lostSectors);
      say(
        `cut: lost sectors ${lost.join(', ')}; regions marked ${dirty.length} of ${regions}, differing ${differing.length}`,
      );
      const unmarked = differing.filter((region) => isClean(log, region));
      check('after the cut: where the log is clean the legs are equal', unmarked.length === 0, `regions ${unmarked}`);
      if (differing.length > 0) tested += 1;
      else say('the legs are equal everywhere: this cut has tested nothing');
      dirtyBefore = dirty.length;
    }
    check('the cuts have made legs differ', tested === form.cuts, `${tested} of ${form.cuts}`);
    await boot(false);
  },
};

/** The kernel reports each region's recovery once. */
function onlyMarked({ results }, dirty) {
  const { requests } = JSON.parse(readFileSync(`${results}/resynced`, 'utf8')).counters;
  const reported = requests.SET_REGION_SYNC ?? 0;
  return [reported === dirty, `${dirty} were marked, ${reported} were resynchronised`];
}

/**
 * Replays the record of the log device. A mark `promised:REGION` says that a FLUSH was answered which covers this
 * region: from there to the mark `end` it must be dirty in all that a power cut could leave.
 */
function promisesKept(record, writes, say) {
  const { entries } = readLogWrites(record);
  const device = Buffer.alloc(4 << 20);
  const promised = [];
  let ended = false;
  let fault = '';
  let flushes = 0;
  replay(entries, device, ({ flush, fua, mark }) => {
    if (mark?.startsWith('promised:')) promised.push(Number(mark.slice('promised:'.length)));
    ended ||= mark === 'end';
    if (flush || fua) flushes += 1;
    if (ended || fault !== '' || promised.length === 0) return;
    fault = headerFault(device, recordedRegions);
    const broken = promised.filter((region) => isClean(device, region));
    if (broken.length > 0) fault ||= `clean in the log: ${broken}; promised: ${promised}; ${flushes} flushes so far`;
  });
  say(`record of the log device: ${entries.length} entries, ${flushes} flushes, ${promised.length} promises`);
  if (fault === '' && !(ended && promised.length === writes)) fault = `${promised.length} promises of ${writes}`;
  const untouched = recordedRegions - dirtyRegions(device, recordedRegions).length;
  if (fault === '' && untouched < recordedRegions - writes) fault = `only ${untouched} regions are clean at the end`;
  return [fault === '', fault];
}

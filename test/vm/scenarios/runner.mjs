/**
 * The runner itself: a stock kernel boots with its own mirror target and the userspace log module, the exit status and
 * files come back, a script that hangs is named by its step, and a power cut loses what was not flushed and only that.
 */
import { readFileSync } from 'node:fs';

const boots = `
step 'a stock kernel with the mirror target'
modprobe -a dm-mirror dm-log-userspace
dmsetup create m --table '0 32768 mirror core 2 1024 nosync 2 /dev/vda 0 /dev/vdb 0'
expect 'status' "$(dmsetup status m)" '0 32768 mirror 2 254:0 254:16 32/32 1 AA 1 core'
grep -q '^dmlogusr' /proc/net/connector
dmsetup remove m
uname -r >"$RESULTS/kernel"
echo "@passed $STEP"
trap - EXIT
exit 7
`;

/** First and second MiB of the volatile disk, and of one that loses nothing: flushed, not flushed. */
const isCut = `
step 'writes before a power cut'
expect 'write cache of vda' 'write back' "$(cat /sys/block/vda/queue/write_cache)"
head -c 1M /dev/zero | tr '\\0' 1 >/run/ones
for disk in vda vdb; do
  dd if=/run/ones of=/dev/$disk bs=64k oflag=direct conv=fsync status=none
  dd if=/run/ones of=/dev/$disk bs=4k seek=256 oflag=direct status=none
done
echo "@passed $STEP"
echo '@cut here'
sleep 1000
`;

const hangs = `
step 'a step that hangs'
expect 'what was flushed' "$(head -c 1M /dev/vda | tr -d 1 | wc -c)" 0
echo 'flushed bytes are there'
sleep 1000
`;

export default {
  name: 'runner',
  async run({ machine, check, disks, prng }) {
    const first = await machine({ script: boots, disksMiB: [16, 16], limitMs: 120_000 });
    check('the exit status comes back', first.status === 7, `status ${first.status} ${first.reason}`);
    const release = readFileSync(`${first.results}/kernel`, 'utf8').trim();
    check('a result file comes back', /^\d+\.\d+/.test(release), `it says ${release}`);

    const set = disks([{ mebibytes: 2, volatile: true }, 2]);
    const stop = { how: 'cut', line: /^@cut here/, afterMs: 0, seed: prng.next() };
    const second = await machine({ script: isCut, disks: set, stop, limitMs: 120_000 });
    const [cut, kept] = set.paths.map((path) => readFileSync(path));
    const ones = (bytes, from) => bytes.subarray(from, from + (1 << 20)).filter((byte) => byte === 49).length;
    check('the machine was stopped', second.stopped, `status ${second.status} ${second.reason}`);
    check('a power cut keeps what was flushed', ones(cut, 0) === 1 << 20, `${ones(cut, 0)} bytes are there`);
    const left = ones(cut, 1 << 20);
    check('a power cut loses and keeps of the rest', left > 0 && left < 1 << 20, `${left} bytes are there`);
    const counted = left === (1 << 20) - 512 * second.cut[0].lostSectors;
    check('what was lost is told', counted, `${left} bytes are there, ${JSON.stringify(second.cut)}`);
    check('a disk without that cache loses nothing', ones(kept, 1 << 20) === 1 << 20, `${ones(kept, 1 << 20)}`);

    let again = false;
    const onLine = (line) => {
      again ||= line === 'flushed bytes are there';
    };
    const third = await machine({ script: hangs, disks: set, limitMs: 5_000, onLine });
    check('another machine boots on what is left', again);
    const named = third.reason.startsWith('hung: a step that hangs took more than 5 s');
    check('what hangs is named', third.status === -1 && named, `status ${third.status} ${third.reason}`);
  },
};

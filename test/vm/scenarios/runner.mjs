/**
 * The runner itself: a stock kernel boots with its own mirror target and the userspace log module, the exit status
 * comes back, and a script that hangs is named by its step.
 */

const boots = `
step 'a stock kernel with the mirror target'
modprobe -a dm-mirror dm-log-userspace
dmsetup create m --table '0 32768 mirror core 2 1024 nosync 2 /dev/vda 0 /dev/vdb 0'
expect 'status' "$(dmsetup status m)" '0 32768 mirror 2 254:0 254:16 32/32 1 AA 1 core'
grep -q '^dmlogusr' /proc/net/connector
dmsetup remove m
echo "@passed $STEP"
trap - EXIT
exit 7
`;

const hangs = `
step 'a step that hangs'
sleep 1000
`;

export default {
  name: 'runner',
  async run({ machine, check }) {
    const first = await machine({ script: boots, disksMiB: [16, 16], limitMs: 120_000 });
    check('the exit status comes back', first.status === 7, `status ${first.status} ${first.reason}`);
    const second = await machine({ script: hangs, limitMs: 5_000 });
    const named = second.reason.startsWith('hung: a step that hangs took more than 5 s');
    check('what hangs is named', second.status === -1 && named, `status ${second.status} ${second.reason}`);
  },
};

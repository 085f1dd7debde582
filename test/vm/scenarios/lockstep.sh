# One mirror on vda and vdb with its log on vdc, looked at by `lockstep` from before it is there until it is gone.
# Runs in the guest after lib.sh; LEG_MIB, REGION_SECTORS and NODE are given.
# shellcheck shell=bash

SECTORS=$((LEG_MIB * 2048))
REGIONS=$((SECTORS / REGION_SECTORS))
UUID=LVM-looked-at

lockstep() {
  "$NODE" dist/bin/lockstep.js "$@"
}

# `ends CODE COMMAND...`: the command's exit code; its output stays in /run/said.
ends() {
  local wanted=$1 code=0
  shift
  "$@" >/run/said 2>&1 || code=$?
  [ $code = "$wanted" ] || fail "$* ended with $code instead of $wanted: $(cat /run/said)"
}

says() {
  grep -Eq -- "$1" /run/said || fail "\"$1\" is not in: $(cat /run/said)"
}

on_failure() {
  tail -n 20 /run/lockstepd.log
  cat /run/said
}

step 'without a daemon: exit code 3, and doctor fails with remedies'
ends 3 lockstep status
says 'no daemon runs: there is no /run/lockstep/control.sock'
ends 1 lockstep doctor
says '^fail  daemon '
says '-> modprobe dm-log-userspace'

step 'with one: doctor passes, the control socket is closed to others'
modprobe -a dm-mirror dm-log-userspace
"$NODE" dist/bin/lockstepd.js --transport local --state-dir /run/lockstep/logs >>/run/lockstepd.log 2>&1 &
wait_for 120 test -S /run/lockstep/control.sock
ends 0 lockstep doctor
cat /run/said
says '^ok    connector .*dmlogusr 7:1'
says '^ok    listeners .*one socket'
says '^ok    two-daemons .*/run/cmirrord.pid'
says ' 0 failed$'
expect 'mode of the socket' 600 "$(stat -c %a /run/lockstep/control.sock)"

step 'a mirror is shown by its name, with its log device, and comes into sync'
dd if=/dev/urandom of=/dev/vda bs=1M count="$LEG_MIB" oflag=direct status=none
dmsetup create looked-at --table \
  "0 $SECTORS mirror userspace 4 $UUID clustered-disk 254:32 $REGION_SECTORS 2 254:0 0 254:16 0 1 handle_errors"
in_sync() {
  ends 0 lockstep status
  grep -q 'in sync *100 %\| 100 % ' /run/said
}
wait_for 300 in_sync
cat /run/said
says "^looked-at +disk +active +$REGIONS +[0-9]+ .* 100 % .*254:32 ok"
ends 0 lockstep status --json "$UUID"
says '"name": "looked-at"'
says '"problems": \[\]'
ends 2 lockstep status nosuch
says "there are: $UUID \(looked-at\)"

step 'why: a region that was just written, and one that was not'
dd if=/dev/zero of=/dev/mapper/looked-at bs=4k seek=$((5 * REGION_SECTORS / 8)) count=1 oflag=direct status=none
ends 0 lockstep why looked-at 5
says '^region 5 of looked-at \(LVM-looked-at\): (clean|dirty) and in sync'
ends 0 lockstep why looked-at 6
says '^region 6 .*: clean and in sync'
ends 2 lockstep why looked-at "$REGIONS"

# `restarts RESUME_ONLY ANSWER`: errno and outcome of ts/native/dm-restart.ts.
restarts() {
  "$NODE" --input-type=module -e "
    import { restartRecovery } from './dist/native/dm-restart.js';
    const alive = setInterval(() => {}, 1000);
    restartRecovery('$UUID', $1, (errno, outcome) => {
      console.log(errno + ' ' + outcome);
      clearInterval(alive);
    });" >/run/said 2>&1
  says "^$2\$"
}
shows() { dmsetup info looked-at | grep -Eq "$1" || fail "not so: $1: $(dmsetup info looked-at)"; }

step 'recovery can be restarted: the device is suspended and resumed, and what others are at is left alone'
restarts false '0 0'
shows '^State: *ACTIVE'
ends 0 lockstep events
[ "$(grep -c ' resumed ' /run/said)" = 2 ] || fail "not resumed twice: $(cat /run/said)"
dmsetup table looked-at | dmsetup load looked-at
restarts false '0 2'
shows '^Tables present: *LIVE & INACTIVE'
dmsetup clear looked-at
dmsetup suspend looked-at
restarts false '0 3'
shows '^State: *SUSPENDED'
restarts true '0 0'
shows '^State: *ACTIVE'

step 'the log device is read while it is in use, and not written'
ends 0 lockstep log check --region-count "$REGIONS" /dev/vdc
cat /run/said
says 'session-open'
says "sound, $REGIONS regions"
ends 1 lockstep log check --region-count $((REGIONS + 1)) /dev/vdc
says '^FINDING region-count-differs'
ends 1 lockstep log check /dev/vda
ends 0 lockstep log dump /dev/vdc
says 'session  open, uuid "LVM-looked-at"'

step 'events tell its life; in the end it is gone and its log closed'
dmsetup remove looked-at
ends 0 lockstep events
says 'resumed .*regions in sync'
says 'resync-done'
ends 0 lockstep status
says '^no logs$'
ends 0 lockstep log check --region-count "$REGIONS" /dev/vdc
says '^/dev/vdc: sound, .* 0 dirty$'

# What a node of scenario cluster-rules does beyond cluster.sh, which comes behind this and runs the machine: a file system on the
# mirror, devices that are suspended and loaded anew as an administrator does it, a leg that stands still or fails, daemons killed in between.
# shellcheck shell=bash

# Writes wait here on purpose, and on a slow machine longer than the kernel's patience; every wait of ours has a limit of its own.
echo 0 >/proc/sys/kernel/hung_task_timeout_secs

FILES_MIB=8
FILES=/run/files
COPIES=/run/copies
RESTARTS=/run/lockstep/restarts

make_files() {
  modprobe ext4
  mkfs.ext4 -q -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/shared ${FILES_MIB}M
  mkdir -p $FILES $COPIES
  mount -t ext4 -o nodiscard /dev/mapper/shared $FILES
}
# Files that are written again and again and are safe each time; what they should hold is kept beside.
start_files() {
  rm -f /run/files.end
  (
    set -e
    while ! [ -e /run/files.end ]; do
      for number in 1 2 3 4 5 6 7 8; do
        dd if=/dev/urandom of=$COPIES/new bs=32k count=1 status=none
        dd if=$COPIES/new of=$FILES/$number bs=32k conv=fsync status=none
        mv $COPIES/new $COPIES/$number
        ! [ -e /run/files.end ] || break
      done
    done
  ) >/run/files.out 2>&1 &
  FILES_WRITER=$!
}
end_files() {
  touch /run/files.end
  wait "$FILES_WRITER" || fail "the files: $(cat /run/files.out)"
}
# As they are on the mirror, and not in memory.
check_files() {
  local number found=0
  umount $FILES
  echo 3 >/proc/sys/vm/drop_caches
  mount -t ext4 -o nodiscard,ro /dev/mapper/shared $FILES
  for number in "$COPIES"/[0-9]*; do
    cmp "$number" "$FILES/${number##*/}" || fail "file ${number##*/} is not what was written"
    found=$((found + 1))
  done
  umount $FILES
  [ $found -gt 0 ] || fail 'no file was written'
}

device_state() { dmsetup info shared | sed -n 's/^State: *//p'; }
tables() { dmsetup info shared | sed -n 's/^Tables present: *//p'; }
load_table() { dmsetup load shared --table "$(shared_table)"; }
# `quorum_loss_means wait|fail`, for the next daemon, which starts now.
quorum_loss_means() {
  sed -i '/^\[cluster\]$/,$d' /run/lockstep.toml
  printf '[cluster]\non_quorum_loss = "%s"\n' "$1" >>/run/lockstep.toml
  kill_daemon
  start_daemon
  wait_for 120 says '"agreedQuorate":true'
}
# As the manual page says it to an administrator: the same table anew, or with other features.
reload_table() {
  dmsetup table shared | sed "s/ [0-9] handle_errors.*/ ${1:-1 handle_errors}/" | dmsetup load shared
  begin_suspend --noflush --nolockfs
  suspend_ended
  dmsetup resume shared
}
# A suspend that may have to wait.
begin_suspend() {
  dmsetup suspend "$@" shared 3>&- &
  SUSPENDING=$!
}
suspend_ended() {
  wait "$SUSPENDING" || fail 'the suspend failed'
  expect 'state of the mirror' SUSPENDED "$(device_state)"
}
# The daemon is killed while somebody else has the mirror suspended: the next one leaves it so.
kill_while_suspended() {
  kill_daemon
  start_daemon
  wait_for 120 says '"agreedQuorate":true'
  read -rt 2 -u "$NOTHING" || true
  expect 'the mirror that somebody else has suspended' SUSPENDED "$(device_state)"
}

# The second leg takes nothing more, what is written there waits; and takes it again.
hold_leg() { dmsetup suspend --noflush --nolockfs slow-leg; }
release_leg() { dmsetup resume slow-leg; }
# What is written there fails; and does not any more.
swap_leg() {
  dmsetup load slow-leg --table "$1"
  dmsetup suspend --noflush --nolockfs slow-leg
  dmsetup resume slow-leg
}
break_leg() { swap_leg "0 $SECTORS error"; }
mend_leg() { swap_leg "$(slow_table)"; }

# `begin_write BLOCK`: of 4 KiB, around the cache.
begin_write() {
  dd if=/dev/urandom of=/dev/mapper/shared bs=4k count=1 seek="$1" oflag=direct status=none 3>&- &
  WRITE=$!
}
write_waits() { kill -0 "$WRITE" || fail 'the write has ended'; }
write_ended() { wait "$WRITE" || fail 'the write failed'; }
# `write_fails BLOCK`: at once, and not for want of anything else.
write_fails() {
  begin_write "$1" 2>/run/write.out
  if wait "$WRITE"; then fail 'the write has not failed'; fi
  grep -q 'Input/output error' /run/write.out || fail "the write: $(cat /run/write.out)"
}
read_ends() {
  timeout 60 dd if=/dev/mapper/shared of=/dev/null bs=4k count=1 skip="$1" iflag=direct status=none
}

said() { grep -c -- "$1" /run/lockstepd.log || true; }
says_more_of() { [ "$(said "$1")" -gt "$2" ]; }

# The daemon restarts its kernel's recovery (R11), which does not end while the leg stands still, and is killed in there. The
# next one has to bring it to its end when the leg goes on.
kill_in_restart() {
  local before
  before=$(said recovery-restarted)
  wait_for 120 grep -q LVM-shared $RESTARTS
  wait_for 120 says '"lifeCycle":"halted"'
  kill_daemon
  start_daemon
  wait_for 120 says '"agreedQuorate":true'
  grep -q LVM-shared $RESTARTS || fail "the restart under way is forgotten: $(cat $RESTARTS)"
  release_leg
  wait_for 120 says_more_of recovery-restarted "$before"
  expect 'state of the mirror' ACTIVE "$(device_state)"
  if grep -q LVM-shared $RESTARTS; then fail "still under way: $(cat $RESTARTS)"; fi
}
# Holds the leg while this node copies a region.
hold_recovery() {
  wait_for 120 says "\"recoveringNode\":$NODE_NUMBER"
  hold_leg
  if in_sync shared; then fail 'the recovery has ended already'; fi
}

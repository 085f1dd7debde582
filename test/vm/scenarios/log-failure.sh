# The log device fails and comes back, a leg fails and comes back, under a file system. Legs are vda and vdb, the log is
# vdc, each below a linear target that can be exchanged. LEG_MIB, REGION_SECTORS, MIRROR_STATUS, NODE, ROUNDS are given.
# shellcheck shell=bash

SECTORS=$((LEG_MIB * 2048))
REGIONS=$((SECTORS / REGION_SECTORS))
MOUNT=/run/mirror

linear() { echo "0 $2 linear /dev/$1 0"; }
error() { echo "0 $1 error"; }
swap() {
  dmsetup load "$1" --table "$2"
  dmsetup resume "$1"
}
number_of() { dmsetup info -c --noheadings -o major,minor --separator : "$1"; }
events_of() { dmsetup info -c --noheadings -o events "$1"; }

table() {
  echo "0 $SECTORS mirror userspace 4 fail-uuid clustered-disk $LOG $REGION_SECTORS 2 $LEFT 0 $RIGHT 0 $1"
}
# As a tool that heals a mirror does it: what the kernel keeps back is not failed, the file system not frozen.
reload_mirror() {
  dmsetup load mirror --table "$(table "$1")"
  dmsetup suspend --noflush --nolockfs mirror
  dmsetup resume mirror
}
expect_status() {
  expect 'letters of the legs' "$1" "$(leg_letters mirror)"
  expect 'status of the log' "3 clustered-disk $LOG $2" "$(log_status mirror)"
  expect "libdm's view" "mirror: $1 clustered-disk" "$("$MIRROR_STATUS" mirror | sed -E 's|[0-9]+/[0-9]+ (.*) [0-9]+$|\1|')"
}
log_letter_is() { [ "$(log_status mirror)" = "3 clustered-disk $LOG $1" ]; }
legs_are() { [ "$(leg_letters mirror)" = "$1" ]; }
healed() {
  wait_for 1200 in_sync mirror
  expect_status AA A
  sync
  legs_equal vda vdb
}

# One synced file, in turn over older ones, since the file system is small; its process is the last one started.
FILES=0
write_file() {
  FILES=$(((FILES + 1) % 4))
  dd if=/dev/urandom of=$MOUNT/file-$FILES bs=64k count=6 conv=fsync status=none 2>/run/write.out &
}
written() {
  wait "$1" || fail "the file system had an error: $(cat /run/write.out)"
}
must_wait() {
  sleep 1
  kill -0 "$1" || fail "the write did not wait"
}
reported() { grep -q "$1" /run/lockstepd.log; }

step 'a file system on a mirror'
modprobe -a dm-mirror dm-log-userspace dm-flakey
for disk in vda vdb; do dmsetup create leg-$disk --table "$(linear $disk $SECTORS)"; done
dmsetup create log --table "$(linear vdc 8192)"
LEFT=$(number_of leg-vda)
RIGHT=$(number_of leg-vdb)
LOG=$(number_of log)
start_daemon
first=$(table '1 handle_errors')
dmsetup create mirror --table "${first/userspace 4 fail-uuid clustered-disk $LOG $REGION_SECTORS/userspace 5 fail-uuid clustered-disk $LOG $REGION_SECTORS nosync}"
mkfs.ext4 -q -E nodiscard /dev/mapper/mirror
mkdir -p $MOUNT
mount /dev/mapper/mirror $MOUNT
expect_status AA A

for ((round = 1; round <= ROUNDS; round++)); do
  step "the log device fails: status D, an event, the write waits ($round)"
  events=$(events_of mirror)
  swap log "$(error 8192)"
  write_file
  writer=$!
  wait_for 300 log_letter_is D
  must_wait $writer
  expect_status AA D
  [ "$(events_of mirror)" -gt "$events" ] || fail 'no event was raised'
  daemon_lives

  step "a log device that swallows writes is not taken back ($round)"
  : >/run/lockstepd.log
  swap log "0 8192 flakey 254:32 0 0 1000 1 drop_writes"
  wait_for 300 reported 'does not hold'
  expect_status AA D

  step "one that fails every write stays failed ($round)"
  swap log '0 8192 flakey 254:32 0 0 1000 1 error_writes'
  : >/run/lockstepd.log
  wait_for 300 reported 'cannot be written'
  expect_status AA D
  daemon_lives

  step "the log device is back: status A; after a reload the write ends without an error ($round)"
  swap log "$(linear vdc 8192)"
  wait_for 300 log_letter_is A
  fresh_status
  expect 'repairs' "$round" "$(counted repairs)"
  reload_mirror '1 handle_errors'
  written $writer
  healed

  step "a table is loaded while the log device is away: nothing is written until it is back ($round)"
  swap log "$(error 8192)"
  reload_mirror '1 handle_errors'
  write_file
  writer=$!
  must_wait $writer
  daemon_lives
  swap log "$(linear vdc 8192)"
  written $writer
  healed

  step "a leg fails: letter D, the write waits, and after a reload ends without an error ($round)"
  events=$(events_of mirror)
  swap leg-vdb "$(error $SECTORS)"
  write_file
  writer=$!
  wait_for 300 legs_are AD
  must_wait $writer
  expect_status AD A
  [ "$(events_of mirror)" -gt "$events" ] || fail 'no event was raised'
  swap leg-vdb "$(linear vdb $SECTORS)"
  reload_mirror '1 handle_errors'
  written $writer
  healed

  step "a leg fails and keep_log is set: the write ends at once, what it missed is resynchronised ($round)"
  reload_mirror '2 handle_errors keep_log'
  swap leg-vdb "$(error $SECTORS)"
  write_file
  written $!
  expect_status AD A
  if in_sync mirror; then fail "the failed leg counts as in sync: $(progress mirror)"; fi
  swap leg-vdb "$(linear vdb $SECTORS)"
  reload_mirror '1 handle_errors'
  healed

  step "the first leg cannot be read: letter R, the other leg answers ($round)"
  before=$(dd if=/dev/mapper/mirror bs=1M iflag=direct status=none | md5sum)
  swap leg-vda "$(error $SECTORS)"
  after=$(dd if=/dev/mapper/mirror bs=1M iflag=direct status=none | md5sum)
  expect 'what is read' "$before" "$after"
  expect_status RA A
  swap leg-vda "$(linear vda $SECTORS)"
  reload_mirror '1 handle_errors'
  healed
done

step 'the file system is clean, the daemon ends'
daemon_lives
umount $MOUNT
fsck.ext4 -fn /dev/mapper/mirror >/run/fsck.out 2>&1 || fail "fsck: $(cat /run/fsck.out)"
if dmesg | grep -iE 'EXT4-fs (error|warning)|dev dm-[0-9]+.*EXT4'; then fail 'the file system has complained'; fi
dmsetup remove mirror
end_daemon

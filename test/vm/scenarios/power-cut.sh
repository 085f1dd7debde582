# One boot of the power-cut scenario: a mirror with a disk log on disks that forget what was not flushed; legs vda and
# vdb, log on vdc. RECOVER: the disks come from a cut; SYNCED files must be there. LOAD: write until the power fails.
# REGION_SECTORS, SECTORS, NODE, SEED, WRITES are given. The first boot also records the writes of another log.
# shellcheck shell=bash

TABLE="0 $SECTORS mirror userspace 4 cut-uuid clustered-disk 254:32 $REGION_SECTORS 2 254:0 0 254:16 0 1 handle_errors"
FIRST_TABLE=${TABLE/userspace 4 cut-uuid clustered-disk 254:32 $REGION_SECTORS/userspace 5 cut-uuid clustered-disk 254:32 $REGION_SECTORS nosync}
MOUNT=/run/mirror

# A file's content says its name, 512 times.
synced_text() {
  printf '%07d\n%.0s' $(yes "$1" | head -n 512)
}

# Writes files until the end; a line says when one is safe.
write_synced() {
  local number=$SYNCED
  while :; do
    number=$((number + 1))
    synced_text $number >/run/text
    dd if=/run/text of=$MOUNT/synced-$number bs=4k conv=fsync status=none
    echo "@synced $number"
    sleep 0.5
  done
}

# Random writes with checksums that are read back.
write_random() {
  fio --name=random --filename=$MOUNT/random --size=3M --bs=4k --rw=randwrite --direct=1 --ioengine=psync --fsync=32 \
    --verify=crc32c --do_verify=1 --verify_fatal=1 --randrepeat=0 --loops=1000 >/run/fio.out 2>&1
}

writes_of() {
  local fields
  read -r -a fields <"/sys/block/$1/stat"
  echo "${fields[4]}"
}
has_written() {
  [ "$(writes_of "$1")" -ge "$2" ]
}

modprobe -a dm-mirror dm-log-userspace
# A mirror on vdd and vde whose log, on vdf, has every durable write recorded on vdg. The first leg keeps all writes
# back, so none of them ends and no region may be cleared; that it has a write shows that the FLUSH before it was
# answered, and a mark in the record says so.
record_log() {
  modprobe -a dm-log-writes dm-delay
  dmsetup create leg --table '0 16384 delay 254:48 0 0 254:48 0 1000000000'
  # Slow: who answers before the log's write has ended is seen.
  dmsetup create slow --table '0 8192 delay 254:80 0 0 254:80 0 500'
  dmsetup create recorded --table '0 8192 log-writes /dev/mapper/slow /dev/vdg'
  dmsetup create lw --table "0 16384 mirror userspace 5 lw-uuid clustered-disk /dev/mapper/recorded 16 nosync 2 /dev/mapper/leg 0 254:64 0 1 handle_errors"
  local regions region count=0
  mapfile -t regions < <(shuf -i 0-1023 -n "$WRITES" --random-source=<(yes "$SEED"))
  for region in "${regions[@]}"; do
    dd if=/dev/zero of=/dev/mapper/lw bs=4k count=1 seek=$((region * 2)) oflag=direct status=none &
    count=$((count + 1))
    until [ "$(dmsetup status leg | cut -d' ' -f5)" = $count ]; do read -rt 0.05 -u "$NOTHING" || true; done
    dmsetup message recorded 0 mark "promised:$region"
  done
  dmsetup message recorded 0 mark end
  # A suspend lets go of what was kept back.
  dmsetup suspend leg
  dmsetup resume leg
  wait_for 600 no_writers
  for name in lw leg recorded slow; do dmsetup remove $name; done
}
no_writers() {
  ! pgrep -x dd >/dev/null
}

if [ -z "$RECOVER" ]; then
  step 'a log whose durable writes are recorded'
  start_daemon
  record_log

  step 'a file system on a mirror of disks with volatile caches'
  dmsetup create cut --table "$FIRST_TABLE"
  # R19: a discarded range is never marked, and its legs may differ after the cut.
  mkfs.ext4 -q -E nodiscard /dev/mapper/cut
else
  step 'after the cut: the daemon starts, the marked regions are resynchronised'
  start_daemon
  dmsetup create cut --table "$TABLE"
  wait_for 1200 in_sync cut
  fresh_status
  cp $STATUS "$RESULTS/resynced"
  legs_equal vda vdb

  step 'after the cut: what was synced is there, the file system is clean'
  mkdir -p $MOUNT
  mount /dev/mapper/cut $MOUNT
  for number in $(seq 1 "$SYNCED"); do
    cmp <(synced_text "$number") $MOUNT/synced-"$number"
  done
  umount $MOUNT
  fsck.ext4 -fn /dev/mapper/cut >/run/fsck.out 2>&1 || fail "fsck: $(cat /run/fsck.out)"
fi

if [ -n "$LOAD" ]; then
  step 'load until the power fails'
  mkdir -p $MOUNT
  mount /dev/mapper/cut $MOUNT
  write_synced &
  before=$(writes_of vda)
  write_random &
  wait_for 600 has_written vda $((before + 150))
  echo '@loaded'
  wait $! || fail "fio: $(cat /run/fio.out)"
fi
dmsetup remove cut

step 'the daemon ends, the kernel has not complained'
end_daemon
if dmesg | grep -iE 'device-mapper.*(error|fail)|I/O error|Buffer I/O'; then fail 'the kernel has complained'; fi

# Two mirrors on lockstepd: core log on vda and vdb, disk log on vdc and vdd with the log on vde.
# Runs in the guest after lib.sh; LEG_MIB, REGION_SECTORS and NODE are given.
# shellcheck shell=bash

SECTORS=$((LEG_MIB * 2048))
REGIONS=$((SECTORS / REGION_SECTORS))
CORE_TABLE="0 $SECTORS mirror userspace 3 core-uuid clustered-core $REGION_SECTORS 2 254:0 0 254:16 0 1 handle_errors"
DISK_TABLE="0 $SECTORS mirror userspace 4 disk-uuid clustered-disk 254:64 $REGION_SECTORS 2 254:32 0 254:48 0 1 handle_errors"
CORE_STATUS="0 $SECTORS mirror 2 254:0 254:16 $REGIONS/$REGIONS 1 AA 1 clustered-core"
DISK_STATUS="0 $SECTORS mirror 2 254:32 254:48 $REGIONS/$REGIONS 1 AA 3 clustered-disk 254:64 A"
DAEMON=0

on_failure() {
  echo '--- daemon'
  tail -n 40 /run/lockstepd.log
  echo '--- kernel'
  dmesg | tail -n 30
  dmsetup status
}

start_daemon() {
  rm -f /run/lockstepd.status
  "$NODE" dist/bin/lockstepd.js --transport local --state-dir /run/lockstep/logs \
    --status-file /run/lockstepd.status --status-interval-ms 500 >>/run/lockstepd.log 2>&1 &
  DAEMON=$!
  wait_for 120 test -s /run/lockstepd.status
}

# One number of the daemon's own status.
counted() {
  grep -o "\"$1\":[0-9]*" /run/lockstepd.status | head -n 1 | cut -d: -f2
}

# In sync, of how many: "12/96".
progress() {
  dmsetup status "$1" | cut -d' ' -f7
}

legs_equal() {
  cmp <(dd if="/dev/$1" bs=1M iflag=direct status=none) <(dd if="/dev/$2" bs=1M iflag=direct status=none)
}

# Bits of the log as a string of 0 and 1, region 0 first.
log_bits() {
  dd if=/dev/vde bs=4096 count=1 iflag=direct status=none | od -An -v -tu1 -w1 -j1024 -N$(((REGIONS + 7) / 8)) |
    while read -r byte; do
      for bit in 0 1 2 3 4 5 6 7; do printf %d $((byte >> bit & 1)); done
    done | head -c "$REGIONS"
}
all_clean() {
  case $(log_bits) in *0*) return 1 ;; esac
}

# Random writes to both mirrors at once, each block with a checksum that is read back.
load() {
  fio --direct=1 --ioengine=psync --rw=randwrite --bs=4k --size="${LEG_MIB}M" --io_size=1M --verify=crc32c --do_verify=1 \
    --verify_fatal=1 --randrepeat=0 --output-format=terse --terse-version=3 \
    --name=core --filename=/dev/mapper/core --name=disk --filename=/dev/mapper/disk >/run/fio.out 2>&1
}

step 'the daemon starts on the kernel connector'
modprobe -a dm-mirror dm-log-userspace
start_daemon

step 'two mirrors are created, their tables are as given'
for leg in vda vdc; do dd if=/dev/urandom of=/dev/$leg bs=1M count="$LEG_MIB" oflag=direct status=none; done
dmsetup create core --table "$CORE_TABLE"
dmsetup create disk --table "$DISK_TABLE"
expect 'table of core' "$CORE_TABLE" "$(dmsetup table core)"
expect 'table of disk' "$DISK_TABLE" "$(dmsetup table disk)"
case $(dmsetup deps disk) in *'(254, 64)'*) ;; *) fail 'the table does not hold the log device' ;; esac

step 'full resync, with progress in the status'
seen=''
until [ "$(progress core)" = "$REGIONS/$REGIONS" ] && [ "$(progress disk)" = "$REGIONS/$REGIONS" ]; do
  seen="$seen $(progress disk)"
  sleep 0.5
done
echo "in sync of the disk-log mirror, on the way:$seen"
case $seen in *" "[1-9]*) ;; *) fail 'no progress was seen before the end' ;; esac
expect 'status of core' "$CORE_STATUS" "$(dmsetup status core)"
expect 'status of disk' "$DISK_STATUS" "$(dmsetup status disk)"
legs_equal vda vdb
legs_equal vdc vdd
wait_for 60 all_clean

step 'a write is in the log before it is on the legs'
dd if=/dev/urandom of=/dev/mapper/disk bs=4k count=1 seek=$((REGION_SECTORS * 3 / 8)) oflag=direct status=none
case $(log_bits) in 1110*) ;; *) fail "region 3 is not marked: $(log_bits)" ;; esac
wait_for 60 all_clean

step 'fio: random writes with verify'
load
echo "marks so far: $(counted marks), without any IO: $(counted marksWithoutIo), log commits: $(counted commits)"

step 'SIGKILL and restart of the daemon under load: no IO error'
load_until_told() {
  until [ -e /run/load.end ]; do load || return 1; done
}
load_until_told &
LOAD=$!
for round in 1 2; do
  sleep 2
  kill -KILL $DAEMON
  { wait $DAEMON || true; } 2>/dev/null
  start_daemon
  kill -0 $LOAD || fail "the load ended in round $round: $(cat /run/fio.out)"
done
touch /run/load.end
wait $LOAD || fail "fio: $(cat /run/fio.out)"
expect 'status of core' "$CORE_STATUS" "$(dmsetup status core)"
expect 'status of disk' "$DISK_STATUS" "$(dmsetup status disk)"

step 'suspend and resume: nothing is forgotten'
for name in core disk; do
  dmsetup suspend $name
  dmsetup resume $name
done
expect 'status of core' "$CORE_STATUS" "$(dmsetup status core)"
expect 'status of disk' "$DISK_STATUS" "$(dmsetup status disk)"

step 'another table is loaded and takes over under load'
load &
LOAD=$!
sleep 1
# As LVM2 does it: a core log that is known to be in sync is loaded with "nosync".
dmsetup load core --table "${CORE_TABLE/userspace 3 core-uuid clustered-core $REGION_SECTORS/userspace 4 core-uuid clustered-core $REGION_SECTORS nosync}"
dmsetup load disk --table "$DISK_TABLE"
for name in core disk; do dmsetup resume $name; done
wait $LOAD || fail "fio: $(cat /run/fio.out)"
expect 'status of core' "$CORE_STATUS" "$(dmsetup status core)"
expect 'status of disk' "$DISK_STATUS" "$(dmsetup status disk)"

step 'the mirrors are removed, the log is clean, the kernel has not complained'
dmsetup remove core
dmsetup remove disk
all_clean || fail "the log is not clean: $(log_bits)"
if dmesg | grep -iE 'device-mapper.*(error|fail)|I/O error|Buffer I/O'; then fail 'the kernel has complained'; fi

step 'the daemon ends when no log is left'
kill -TERM $DAEMON
status=0
wait $DAEMON || status=$?
expect 'exit status of the daemon' 0 $status

# A machine with hardly any memory: dirty pages of file systems over mirrors, and a program that wants all the rest.
# A daemon that had to wait for memory would wait for its own mirror's writes. Legs: vda and vdb (core log), vdc and
# vdd with the log on vde. Runs in the guest after lib.sh and mirror.sh; HOG and LEG_MIB are given.
# shellcheck shell=bash
SECTORS=$((LEG_MIB * 2048))
ROUNDS=1
[ "$LONG" = 0 ] || ROUNDS=10

step 'the daemon starts, two file systems are made'
modprobe -a dm-mirror dm-log-userspace ext4
start_daemon
dmsetup create core --table "$(mirror_table $SECTORS core-uuid 'clustered-core 256 nosync')"
dmsetup create disk --table "$(mirror_table $SECTORS disk-uuid 'clustered-disk 254:64 256 nosync' '1 handle_errors' 0 254:32 254:48)"
for name in core disk; do
  mkfs.ext4 -q -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/$name
  mkdir -p /run/$name
  mount /dev/mapper/$name /run/$name
done

step 'dirty pages of both while a program takes all memory'
# Much may be dirty, and nothing is written out before it must be.
echo 60 >/proc/sys/vm/dirty_ratio
echo 50 >/proc/sys/vm/dirty_background_ratio
awk '/^Mem(Total|Available)/ { printf "%s %d MiB  ", $1, $2 / 1024 } END { print "" }' /proc/meminfo
# What is available is dirty pages for the most part; the program asks for more than the rest.
for _ in $(seq $ROUNDS); do
  "$HOG" $(($(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo) - 56)) 10 &
  HOGGING=$!
  for name in core disk; do
    fio --name=$name --directory=/run/$name --rw=randwrite --bs=16k --size=$((LEG_MIB / 2))M --overwrite=1 --fallocate=none \
      --ioengine=psync --end_fsync=1 --verify=crc32c --do_verify=1 --verify_fatal=1 --randrepeat=0 >/run/fio.$name 2>&1 &
    [ $name = core ] && CORE=$! || DISK=$!
  done
  wait $CORE || fail "fio: $(cat /run/fio.core)"
  wait $DISK || fail "fio: $(cat /run/fio.disk)"
  wait $HOGGING || fail 'the program that takes the memory did not end by itself'
  awk '/^(MemFree|MemAvailable|Dirty|Writeback|Mlocked):/ { printf "%s %d kiB  ", $1, $2 } END { print "" }' /proc/meminfo
done
kill -0 $DAEMON || fail 'the daemon is gone'
grep -E '^(VmRSS|VmLck|VmSwap)' /proc/$DAEMON/status | tr -s '\t\n' ' '
echo
if dmesg | grep -iE 'out of memory|oom-kill|blocked for more|I/O error|device-mapper.*(error|fail|timed out)'; then
  fail 'the kernel has complained'
fi

step 'the file systems are sound, the legs identical'
for name in core disk; do
  umount /run/$name
  e2fsck -fn /dev/mapper/$name >/run/fsck.$name 2>&1 || fail "$(cat /run/fsck.$name)"
done
expect 'status' "0 $SECTORS mirror 2 254:0 254:16 $((SECTORS / 256))/$((SECTORS / 256)) 1 AA 1 clustered-core" "$(dmsetup status core)"
dmsetup remove_all
legs_equal vda vdb
legs_equal vdc vdd
log_clean /dev/vde $((SECTORS / 256)) || fail 'the log is not clean'
end_daemon

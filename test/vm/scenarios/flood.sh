# More requests than the daemon's socket holds, requests that nobody hears, and devices removed under a request.
# 64 mirrors with legs on vda and vdb. Runs in the guest after lib.sh and mirror.sh; SHIM is given.
# shellcheck shell=bash
COUNT=64
TABLE_SECTORS=1024

# Datagrams that the daemon's socket has lost: connector sockets of group 7, last columns "drops inode".
drops() {
  awk '$2 == 11 && $4 ~ /40$/ { sum += $9 } END { print sum + 0 }' /proc/net/netlink
}
all_in_sync() { [ "$(dmsetup status --target mirror | grep -c ' 4/4 1 AA 1 clustered-core$')" = $COUNT ]; }
# 100 status calls at once, every mirror more than once, while the daemon does not read.
#
# All must end, each with the truth or with what the kernel says when its RESUME after a reconnect was lost too: then it
# gives the request up, and no daemon can help that.
ask_all() {
  local asking=() good bad
  kill -STOP $DAEMON
  for i in $(seq 100); do
    dmsetup status "m$((i % COUNT + 1))" >"/run/asked.$i" &
    asking+=($!)
  done
  sleep 2
  kill -CONT $DAEMON
  for each in "${asking[@]}"; do wait "$each" || fail 'a status call failed'; done
  good=$(cat /run/asked.* | grep -cE ' 4/4 1 AA 1 clustered-core$' || true)
  bad=$(cat /run/asked.* | grep -cE ' (4/4 1 AA userspace 1 COM_FAILURE|0/4 1 AA (1 clustered-core|userspace 1 COM_FAILURE))$' || true)
  echo "100 calls: $good answered, $bad given up by the kernel; datagrams lost so far: $(drops)"
  [ $((good + bad)) = 100 ] || fail "other answers: $(cat /run/asked.* | sort | uniq -c | grep -v ' 4/4 1 AA 1 clustered-core$')"
}

step '64 mirrors on a daemon with the smallest receive buffer'
modprobe -a dm-mirror dm-log-userspace
start_daemon
tables=''
for i in $(seq $COUNT); do
  tables+="m$i,,,rw,$(mirror_table $TABLE_SECTORS "many-$i" 'clustered-core 256 nosync' '1 handle_errors' $(((i - 1) * TABLE_SECTORS)));"
done
dmsetup create --concise "${tables%;}"
# Not before: a constructor that nobody hears is not repeated by the kernel, and the device is not created.
kill_daemon
preloadable "$SHIM"
DAEMON_ENVIRONMENT=("LD_PRELOAD=$PRELOAD" FRAME_BUFFER=1)
start_daemon
wait_for 120 all_in_sync

step '100 status calls at once: the queue overflows, every call ends, every mirror is as it was'
ask_all
[ "$(drops)" -gt 0 ] || fail "nothing was lost: $(cat /proc/net/netlink)"
[ "$LONG" = 0 ] || for _ in $(seq 10); do ask_all; done
wait_for 120 all_in_sync

step 'a daemon with its usual buffer: nothing is lost, every call is answered, every mirror takes writes'
kill_daemon
DAEMON_ENVIRONMENT=()
start_daemon
ask_all
expect 'datagrams lost' 0 "$(drops)"
expect 'calls answered' 100 "$(cat /run/asked.* | grep -c ' 4/4 1 AA 1 clustered-core$')"
writing=()
for i in $(seq $COUNT); do
  dd if=/dev/urandom of="/dev/mapper/m$i" bs=4k count=1 seek=9 oflag=direct status=none &
  writing+=($!)
done
for each in "${writing[@]}"; do wait "$each" || fail 'a write failed'; done

step 'a device is removed with requests under way'
dd if=/dev/urandom of=/dev/mapper/m1 bs=4k count=64 oflag=direct status=none
kill -STOP $DAEMON
dmsetup status m1 >/run/asked.1 &
ASKED=$!
sleep 0.5
dmsetup remove m1 &
REMOVED=$!
sleep 0.5
kill -CONT $DAEMON
wait $ASKED || fail 'the status call failed'
wait $REMOVED || fail 'the device was not removed'
if dmsetup info m1 >/dev/null 2>&1; then fail 'the device is still there'; fi
wait_for 120 no_logs_with 'many-1"'

step 'the same with a daemon that is killed over it, and one is removed while none runs: their logs go when one runs again'
kill -STOP $DAEMON
dmsetup status m2 >/run/asked.2 &
ASKED=$!
sleep 0.5
dmsetup remove m2 &
REMOVED=$!
sleep 0.5
kill_daemon
dmsetup remove m3
start_daemon
wait $ASKED || echo 'the status call found no device'
wait $REMOVED || fail 'the device was not removed'
if dmsetup info m2 >/dev/null 2>&1; then fail 'the device is still there'; fi
wait_for 20 grep -q '"uuid":"many-4"' $STATUS
for gone in 2 3; do wait_for 60 no_logs_with "many-$gone\""; done
expect 'logs of the daemon' $((COUNT - 3)) "$(logs_with many-)"

step 'the others are as they were'
left_in_sync() { [ "$(dmsetup status --target mirror | grep -c ' 4/4 1 AA 1 clustered-core$')" = $((COUNT - 3)) ]; }
wait_for 120 left_in_sync

step 'all of them are removed while no daemon runs: no log is left, though no device is'
kill_daemon
dmsetup remove_all
start_daemon
wait_for 60 no_logs_with many-
legs_equal vda vdb
if dmesg | grep -iE 'I/O error|Buffer I/O|blocked for more'; then fail 'the kernel has complained'; fi
end_daemon

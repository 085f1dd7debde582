# cmirrord replaced, as the README says it: package, configuration, mirror, kill under load, removal.
# Runs in the guest after lib.sh and mirror.sh; PACKAGE is given.
# shellcheck shell=bash
SECTORS=32768
TABLE=$(mirror_table $SECTORS drop-in-uuid 'clustered-disk 254:32 512')
PID_FILE=/run/cmirrord.pid

on_failure() {
  echo '--- system log'
  tail -n 40 /run/messages
  echo '--- kernel'
  dmesg | tail -n 30
}

logged() { grep -q "cmirrord\[[0-9]*\]: .*$1" /run/messages; }
serves() { [ "$(cat "/proc/$(cat $PID_FILE)/comm")" = cmirrord ]; }
gone() { [ ! -e $PID_FILE ]; }

step 'the package is installed'
modprobe dm-mirror
modprobe dm-log-userspace
/run/vm/busybox syslogd -O /run/messages
wait_for 60 test -S /dev/log
# Unpacked, not installed: the package system's own files are slow to reach here, and a chroot test has installed it.
dpkg-deb -x "$PACKAGE" /
dpkg-deb -e "$PACKAGE" /run/control
cmirrord --help | grep -q '^Usage: cmirrord' || fail 'no usage'

step 'cmirrord starts, in the background'
cmirrord
serves || fail 'no daemon by the name of cmirrord'
wait_for 60 logged 'Starting cmirrord:'

step 'without a cluster RESUME is refused, and the system log says why; the mirror can be removed'
dmsetup create m --table "$TABLE"
wait_for 60 logged 'Cannot join the group of log drop-in-uuid: corosync '
dmesg | grep -q 'log resume failed' || fail 'the kernel has not noticed'
dmsetup remove m

step 'a write to such a mirror waits, without an error'
dmsetup create m --table "$TABLE"
dd if=/dev/urandom of=/dev/mapper/m bs=4k count=1 oflag=direct 2>/dev/null &
WRITE=$!
sleep 5
kill -0 $WRITE || fail 'the write has ended'

step 'a host that is alone says so: the write that waited ends well'
echo 'transport = "local"' >/etc/lockstep/lockstep.toml
expect 'the check' '/etc/lockstep/lockstep.toml: good' "$(lockstepd --check-config)"
kill -KILL "$(cat $PID_FILE)"
dmesg -C
cmirrord
wait $WRITE || fail 'the write failed'
expect 'the table' "$TABLE" "$(dmsetup table m)"
wait_for 300 in_sync m
expect 'the status' "0 $SECTORS mirror 2 254:0 254:16 64/64 1 AA 3 clustered-disk 254:32 A" "$(dmsetup status m)"

step 'it refuses to exit while a mirror needs it, and dumps when asked'
kill -TERM "$(cat $PID_FILE)"
wait_for 60 logged 'Cluster logs exist\.  Refusing to exit\.'
kill -USR1 "$(cat $PID_FILE)"
wait_for 60 logged 'log drop-in-uuid luid [0-9a-f]*: disk, active, 64/64 regions in sync'
serves || fail 'it has ended'
if sh /run/control/prerm remove >/run/dpkg.log 2>&1; then fail 'the package may be removed under a mirror'; fi
grep -q 'mirrors use the log daemon' /run/dpkg.log || fail "$(cat /run/dpkg.log)"

step 'killed under load and started again: no IO error'
start_load 8 m
sleep 5
kill -KILL "$(cat $PID_FILE)"
sleep 1
cmirrord
wait_for 60 logged 'ready restoredLogs=1'
sleep 5
load_lives
end_load
kernel_quiet

step 'lockstepd takes over from cmirrord, its mirror alive'
kill -KILL "$(cat $PID_FILE)"
lockstepd >>/run/lockstepd.log 2>&1 &
DAEMON=$!
wait_for 120 grep -q 'ready restoredLogs=1' /run/lockstepd.log
dd if=/dev/urandom of=/dev/mapper/m bs=4k count=16 oflag=direct conv=fsync 2>/dev/null
if cmirrord >/run/second; then fail 'two daemons at once'; fi
grep -q 'Cannot lock lockfile \[/run/cmirrord.pid\]' /run/second || fail "$(cat /run/second)"

step 'the mirror is taken down, the log is clean, the legs are identical'
dmsetup remove m
log_clean /dev/vdc 64 || fail 'the log is not clean'
legs_equal vda vdb
kernel_quiet
end_daemon

step 'the package may be removed'
sh /run/control/prerm remove >/run/dpkg.log 2>&1 || fail "$(cat /run/dpkg.log)"

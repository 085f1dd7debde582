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

step 'another cmirrord serves a mirror whose log is on a disk, users write'
"$RESPONDER" >/run/responder.out &
OTHER=$!
wait_for 60 grep -q ready /run/responder.out
dmsetup create leg --table "0 $SECTORS linear 254:16 0"
dmsetup create old --table "$(mirror_table $SECTORS old-uuid 'clustered-disk /dev/vdc 512 nosync' '1 handle_errors' 0 254:0 253:0)"
start_load 8 old
sleep 2
load_lives

step 'it is killed under a write, cmirrord takes its live mirror over: no IO error, marks unknown'
some_marked() { ! log_clean /dev/vdc 64; }
dmsetup suspend --noflush --nolockfs leg
wait_for 60 some_marked
kill -KILL $OTHER
{ wait $OTHER || true; } 2>/dev/null
echo 'transport = "local"' >/etc/lockstep/lockstep.toml
cmirrord
# Every write waits for the one that is held, so nobody asks for the log but we: then the daemon hears of it.
# Its exit code is 1 meanwhile: a log is in trouble.
says() {
  lockstep status >/run/status 2>&1 || true
  grep -q "$1" /run/status
}
wait_for 60 says 'the mirror old has not asked this daemon'
dmsetup status old
wait_for 120 says 'marks unknown'
dmsetup resume leg
sleep 2
load_lives

step 'suspend and resume under load: what the old log calls clean is not copied, the rest is'
dmsetup suspend old
dmsetup resume old
lockstep events old >/run/events
found=$(sed -n 's/.* resumed .*[^0-9]\([0-9][0-9]*\) of 64 regions in sync.*/\1/p' /run/events | tail -n 1)
echo "in sync when resumed: $found of 64"
# Users write to the first half.
[[ "$found" =~ ^[0-9]+$ && $found -ge 32 && $found -lt 64 ]] || fail "$(cat /run/events)"
sleep 1
end_load
wait_for 300 in_sync old
if says 'marks unknown'; then fail 'the marks are still unknown'; fi
dmsetup remove old
dmsetup remove leg
legs_equal vda vdb
log_clean /dev/vdc 64 || fail 'the log is not clean'
kernel_quiet
kill -TERM "$(cat $PID_FILE)"
wait_for 60 gone
: >/etc/lockstep/lockstep.toml
: >/run/messages
# The next mirror's log is a new one.
dd if=/dev/zero of=/dev/vdc bs=4k count=16 oflag=direct status=none

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

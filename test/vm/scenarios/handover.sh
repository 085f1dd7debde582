# One mirror through everything that can happen to its daemon: another one before, SIGKILL, SIGSTOP, its records lost,
# and every step of a table reload with the daemon killed there. Legs of `core`: vda, vdb; of `disk`: vdc and `leg`,
# which is vdd, with the log on vde. Runs in the guest after lib.sh and daemon.sh; RESPONDER and LONG are given.
# shellcheck shell=bash
LEG_MIB=16
SECTORS=$((LEG_MIB * 2048))
REGIONS=128
CORE_LOG='clustered-core 256'
DISK_LOG='clustered-disk 254:64 256'
CORE_STATUS="0 $SECTORS mirror 2 254:0 254:16 $REGIONS/$REGIONS 1 AA 1 clustered-core"
DISK_STATUS="0 $SECTORS mirror 2 254:32 253:0 $REGIONS/$REGIONS 1 AA 3 clustered-disk 254:64 A"
core_table() { mirror_table $SECTORS core-uuid "$CORE_LOG${1:+ $1}"; }
disk_table() { mirror_table $SECTORS disk-uuid "$DISK_LOG${1:+ $1}" '1 handle_errors' 0 254:32 253:0; }
both_in_sync() { in_sync core && in_sync disk; }
check_status() {
  expect 'status of core' "$CORE_STATUS" "$(dmsetup status core)"
  expect 'status of disk' "$DISK_STATUS" "$(dmsetup status disk)"
}
cycle() {
  dmsetup suspend "$1"
  dmsetup resume "$1"
}

# A write to region $1 of `disk` whose second leg does not answer: the kernel has marked it and keeps it marked.
# Whatever happens meanwhile, its bit in the log must stay 0.
hold_write() {
  dmsetup suspend --noflush --nolockfs leg
  dd if=/dev/urandom of=/dev/mapper/disk bs=4k count=1 seek=$(($1 * 32)) oflag=direct status=none &
  HELD=$!
  wait_for 60 bit_is "$1" 0
}
bit_is() {
  local bits
  bits=$(log_bits /dev/vde $REGIONS)
  [ "${bits:$1:1}" = "$2" ]
}
still_held() {
  bit_is "$1" 0 || fail "region $1 is written to and clean in the log: $(log_bits /dev/vde $REGIONS)"
}
end_held() {
  dmsetup resume leg
  wait $HELD || fail 'the held write failed'
}

step 'another responder serves a mirror'
modprobe -a dm-mirror dm-log-userspace
dmsetup create leg --table "0 $SECTORS linear 254:48 0"
"$RESPONDER" >/run/responder.out &
OTHER=$!
wait_for 60 grep -q ready /run/responder.out
dmsetup create core --table "$(core_table)"
expect 'status of core' "$CORE_STATUS" "$(dmsetup status core)"
start_load $LEG_MIB core
sleep 2
load_lives

step 'it is killed, lockstepd takes its live mirror over: no IO error, every mark unknown'
kill -KILL $OTHER
{ wait $OTHER || true; } 2>/dev/null
start_daemon
takes_marks() { [ "$(logs_with '"marksUnknown":true')" = "$1" ]; }
wait_for 120 takes_marks 1
grep -q marks-unknown /run/lockstepd.log || fail 'the daemon has not reported it'
sleep 2
load_lives
cycle core
wait_for 120 takes_marks 0
grep 'resumed uuid=core-uuid' /run/lockstepd.log | tail -n 1 | grep -q "text=\"0 of $REGIONS regions in sync" ||
  fail 'a core log whose marks were lost was not resynced in full'
end_load
wait_for 300 in_sync core
legs_equal vda vdb

step 'SIGKILL and restart under load: no IO error, an open write stays marked'
dmsetup create disk --table "$(disk_table nosync)"
start_load $LEG_MIB core disk
rounds=1
[ "$LONG" = 0 ] || rounds=20
for _ in $(seq $rounds); do
  sleep 1
  kill_daemon
  start_daemon
  load_lives
done
end_load
wait_for 60 log_clean /dev/vde $REGIONS
hold_write 77
kill_daemon
still_held 77
start_daemon
sleep 3
still_held 77
end_held
wait_for 60 log_clean /dev/vde $REGIONS
check_status

step 'SIGSTOP for 20 s and SIGCONT under load: no IO error'
start_load $LEG_MIB core disk
sleep 1
kill -STOP $DAEMON
sleep 20
kill -CONT $DAEMON
sleep 2
load_lives
end_load
dmesg | grep -q 'Request timed out' || fail 'the kernel did not wait in vain'
check_status

step 'the records of the daemon are lost while a write is open: it stays marked, suspend and resume bring it all back'
hold_write 55
kill_daemon
rm -rf "${STATE_DIR%/*}"
start_daemon
# A question of each kernel side finds out that its log is not known.
dmsetup status core >/dev/null
dmsetup status disk >/dev/null
wait_for 120 takes_marks 2
sleep 3
still_held 55
end_held
start_load $LEG_MIB core disk
sleep 2
still_held 55
load_lives
for name in core disk; do cycle $name; done
wait_for 120 takes_marks 0
sleep 1
end_load
wait_for 300 both_in_sync
wait_for 60 log_clean /dev/vde $REGIONS
check_status
legs_equal vda vdb
legs_equal vdc vdd

# Every step of a reload, under load. The daemon is killed right before the steps that are named, and started again:
# before the step goes on, but for the suspend, which has to wait for the daemon as its writes do.
reload_with() {
  killed_at load "$1"
  dmsetup load disk --table "$(disk_table)"
  dmsetup load core --table "$(core_table nosync)"
  # One is taken back, and loaded again: constructor and destructor beside the log that serves.
  killed_at clear "$1"
  dmsetup clear core
  dmsetup load core --table "$(core_table nosync)"
  for name in core disk; do
    case " $1 " in
      *" suspend-$name "*)
        kill_daemon
        dmsetup suspend $name &
        local suspending=$!
        sleep 1
        start_daemon
        wait $suspending
        ;;
      *) dmsetup suspend $name ;;
    esac
    killed_at resume-$name "$1"
    dmsetup resume $name
  done
  killed_at after "$1"
}
killed_at() {
  case " $2 " in *" $1 "*) kill_daemon && start_daemon ;; esac
}
all='load clear suspend-disk resume-core after'
rounds=('' "$all")
[ "$LONG" = 0 ] || rounds=('' load clear suspend-core suspend-disk resume-core resume-disk after "$all" "$all")
for at in "${rounds[@]}"; do
  step "suspend, reload, resume and clear under load; daemon killed at: ${at:-no step}"
  start_load $LEG_MIB core disk
  sleep 1
  reload_with "$at"
  sleep 1
  load_lives
  end_load
  wait_for 300 both_in_sync
  check_status
  wait_for 60 log_clean /dev/vde $REGIONS
  legs_equal vda vdb
  legs_equal vdc vdd
done

step 'resume without a daemon: the mirror waits for the next one'
dmsetup suspend disk
kill_daemon
dmsetup resume disk
dd if=/dev/urandom of=/dev/mapper/disk bs=4k count=1 seek=99 oflag=direct status=none &
WRITE=$!
start_daemon
wait $WRITE || fail 'the write failed'
wait_for 300 both_in_sync
check_status

step 'the mirrors are removed, the log is clean, no log is left, the kernel has not complained'
for name in disk core; do dmsetup remove $name; done
log_clean /dev/vde $REGIONS || fail "the log is not clean: $(log_bits /dev/vde $REGIONS)"
legs_equal vda vdb
legs_equal vdc vdd
no_logs() { [ "$(logs_with '')" = 0 ]; }
wait_for 120 no_logs
if dmesg | grep -iE 'I/O error|Buffer I/O|blocked for more'; then fail 'the kernel has complained'; fi
end_daemon

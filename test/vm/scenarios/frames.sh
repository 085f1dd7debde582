# What an unmodified kernel says to the daemon during short scripts that leave nothing to chance: one write at a time,
# at fixed places, with pauses in which everything comes to rest. Every frame is written to $RESULTS.
# Legs: vda and vdb, log: vdc. Runs in the guest after lib.sh and mirror.sh; SHIM is given.
# shellcheck shell=bash
SECTORS=1024
REGION_SECTORS=128
CORE="clustered-core $REGION_SECTORS"
DISK="clustered-disk 254:32 $REGION_SECTORS"

# A write of 4 KiB into the middle of a region, then a pause in which its mark is cleared.
write_to() {
  dd if=/dev/zero of=/dev/mapper/m bs=4k count=1 seek=$(($1 * REGION_SECTORS / 8 + 4)) oflag=direct status=none
  sleep 1.5
}
RECORD=/run/frames
# `recorded NAME`: what follows goes to that file.
recorded() {
  step "frames: $1"
  NAME=$1
  : >$RECORD
}
note() { echo "! $*" >>$RECORD; }
# Nothing is under way when the destructor of the last log is answered.
end_recorded() {
  cp $RECORD "$RESULTS/frames.$NAME"
  [ -s $RECORD ] || fail 'nothing was recorded'
}

step 'a daemon whose frames are recorded'
modprobe -a dm-mirror dm-log-userspace
preloadable "$SHIM"
DAEMON_ENVIRONMENT=("LD_PRELOAD=$PRELOAD" "FRAME_RECORD=$RECORD")
start_daemon

recorded resync
dmsetup create m --table "$(mirror_table $SECTORS resync-uuid "$CORE")"
# Not by asking the kernel, which would ask the daemon.
wait_for 60 grep -q '"inSyncCount":8' /run/lockstepd.status
sleep 1
note status
expect 'status' '0 1024 mirror 2 254:0 254:16 8/8 1 AA 1 clustered-core' "$(dmsetup status m)"
note remove
dmsetup remove m
end_recorded

recorded writes
dmsetup create m --table "$(mirror_table $SECTORS writes-uuid "$DISK nosync")"
sleep 1
for region in 3 5 3 0 7; do
  note "write $region"
  write_to $region
done
note remove
dmsetup remove m
end_recorded

recorded integrated
dmsetup create m --table "$(mirror_table $SECTORS integrated-uuid "integrated_flush $CORE nosync")"
sleep 1
for region in 2 6; do
  note "write $region"
  write_to $region
done
note wait
sleep 4
note remove
dmsetup remove m
end_recorded

recorded reload
dmsetup create m --table "$(mirror_table $SECTORS reload-uuid "$CORE nosync")"
sleep 1
note 'write 1'
write_to 1
note suspend
dmsetup suspend m
note resume
dmsetup resume m
sleep 1
note 'write 1'
write_to 1
note load
dmsetup load m --table "$(mirror_table $SECTORS reload-uuid "$CORE nosync")"
note clear
dmsetup clear m
note load
dmsetup load m --table "$(mirror_table $SECTORS reload-uuid "$CORE nosync")"
note 'write 4'
write_to 4
note resume
dmsetup resume m
sleep 1
note 'write 6'
write_to 6
note remove
dmsetup remove m
end_recorded

recorded restart
dmsetup create m --table "$(mirror_table $SECTORS restart-uuid "$DISK nosync")"
sleep 1
note 'write 2'
write_to 2
note kill
kill_daemon
note 'write 5'
write_to 5 &
WRITE=$!
sleep 1
note start
start_daemon
wait $WRITE || fail 'the write failed'
note 'write 2'
write_to 2
note remove
dmsetup remove m
end_recorded
end_daemon

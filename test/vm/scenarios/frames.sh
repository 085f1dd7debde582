# What an unmodified kernel says to the daemon during short scripts that leave nothing to chance: one write at a time,
# at fixed places, with pauses in which everything comes to rest. Every frame is written to $RESULTS.
# A constructor ends with a round of the mirror's worker, which asks for the count: it is at rest before the table is
# resumed, removed, or its daemon killed, since the answer behind RESUME may be "all", and then no work is asked for.
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
restart_daemon() {
  note kill
  kill_daemon
  note start
  start_daemon
}
note() { echo "! $*" >>$RECORD; }
said() { stat -c %s $RECORD; }
# Until nothing was said for half a second.
rest() {
  local before
  until
    before=$(said)
    sleep 0.5
    [ "$(said)" = "$before" ]
  do :; done
}
# `load DEVICE TABLE`, `create DEVICE TABLE`
load() {
  dmsetup load "$1" --table "$2"
  rest
}
create() {
  dmsetup create "$1" --notable
  load "$1" "$2"
  dmsetup resume "$1"
  rest
}
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
create m "$(mirror_table $SECTORS resync-uuid "$CORE")"
# Not by asking the kernel, which would ask the daemon.
wait_for 60 grep -q '"inSyncCount":8' /run/lockstepd.status
rest
note status
expect 'status' '0 1024 mirror 2 254:0 254:16 8/8 1 AA 1 clustered-core' "$(dmsetup status m)"
note remove
dmsetup remove m
end_recorded

recorded writes
create m "$(mirror_table $SECTORS writes-uuid "$DISK nosync")"
for region in 3 5 3 0 7; do
  note "write $region"
  write_to $region
done
note remove
dmsetup remove m
end_recorded

recorded integrated
create m "$(mirror_table $SECTORS integrated-uuid "integrated_flush $CORE nosync")"
for region in 2 6; do
  note "write $region"
  write_to $region
  # Longer than the kernel puts the flush of a clear off, so that a slow machine has it here, too.
  note wait
  sleep 4
done
note remove
dmsetup remove m
end_recorded

recorded reload
create m "$(mirror_table $SECTORS reload-uuid "$CORE nosync")"
note 'write 1'
write_to 1
note suspend
dmsetup suspend m
note resume
dmsetup resume m
rest
note 'write 1'
write_to 1
note load
load m "$(mirror_table $SECTORS reload-uuid "$CORE nosync")"
note clear
dmsetup clear m
note load
load m "$(mirror_table $SECTORS reload-uuid "$CORE nosync")"
note 'write 4'
write_to 4
note resume
dmsetup resume m
rest
note 'write 6'
write_to 6
note remove
dmsetup remove m
end_recorded

recorded kills
create m "$(mirror_table $SECTORS kills-uuid "$CORE nosync")"
note 'write 1'
write_to 1
note load
load m "$(mirror_table $SECTORS kills-uuid "$CORE nosync")"
restart_daemon
note suspend
dmsetup suspend m
restart_daemon
note resume
dmsetup resume m
rest
restart_daemon
note 'write 4'
write_to 4
note remove
dmsetup remove m
end_recorded

recorded sizes
create m "$(mirror_table $SECTORS sizes-uuid "$DISK nosync")"
note 'write 1'
write_to 1
note grow
load m "$(mirror_table $((2 * SECTORS)) sizes-uuid "$DISK")"
dmsetup resume m
wait_for 60 grep -q '"inSyncCount":16' $STATUS
rest
note 'write 12'
write_to 12
note shrink
load m "$(mirror_table $((SECTORS / 2)) sizes-uuid "$DISK")"
dmsetup resume m
rest
note 'write 3'
write_to 3
note remove
dmsetup remove m
end_recorded

recorded restart
create m "$(mirror_table $SECTORS restart-uuid "$DISK nosync")"
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

recorded lost
create m "$(mirror_table $SECTORS lost-uuid "$DISK nosync")"
note 'write 2'
write_to 2
# Until the log device, too, has that region as clean.
sleep 4
note kill
kill_daemon
rm -f "$STATE_DIR"/*.state
note 'write 5'
write_to 5 &
WRITE=$!
sleep 1
note start
start_daemon
wait $WRITE || fail 'the write failed'
note suspend
dmsetup suspend m
note resume
dmsetup resume m
wait_for 60 grep -q '"inSyncCount":8' $STATUS
rest
note 'write 2'
write_to 2
note remove
dmsetup remove m
end_recorded

recorded power-cut
create m "$(mirror_table $SECTORS power-cut-uuid "$DISK nosync")"
note 'write 2'
write_to 2
note remove
dmsetup remove m
# What a cut leaves that came while regions 2 and 5 were written: another boot finds nothing but this. Bits: 1 is clean.
note 'marked 2 5'
printf '\xdb' | dd of=/dev/vdc bs=1 seek=1024 conv=notrunc,fsync status=none
note boot
kill_daemon
rm -f "$STATE_DIR"/*.state
start_daemon
create m "$(mirror_table $SECTORS power-cut-uuid "$DISK")"
wait_for 60 grep -q '"inSyncCount":8' $STATUS
rest
note 'write 5'
write_to 5
note remove
dmsetup remove m
end_recorded

# `exchange DEVICE TABLE`
exchange() {
  dmsetup load "$1" --table "$2"
  dmsetup resume "$1"
}
# Not recorded: a suspend that does not flush gives a write that the kernel has kept back to device-mapper, which gives it to the
# old table again, which marks it, keeps it and gives it back, as often as there is time for until the device is suspended.
reload() {
  dmsetup load m --table "$1"
  dmsetup suspend --noflush --nolockfs m
  dmsetup resume m
}

# Device-mapper's own number of what stands below the mirror.
below() { dmsetup info -c --noheadings -o major,minor --separator : below; }
dmsetup create below --table '0 2048 linear 254:32 0'
recorded log-failure
TABLE=$(mirror_table $SECTORS log-failure-uuid "clustered-disk $(below) $REGION_SECTORS nosync")
create m "$TABLE"
note 'write 2'
write_to 2
note 'log fails'
exchange below '0 2048 error'
note 'write 5'
write_to 5 &
WRITE=$!
sleep 3
end_recorded
exchange below '0 2048 linear 254:32 0'
wait_for 60 grep -q '"repairs":1' $STATUS
reload "$TABLE"
wait $WRITE || fail 'the write failed'
wait_for 60 in_sync m
dmsetup remove m
dmsetup remove below

dmsetup create below --table '0 2048 linear 254:16 0'
recorded leg-failure
TABLE=$(mirror_table $SECTORS leg-failure-uuid "$CORE nosync" '1 handle_errors' 0 254:0 "$(below)")
create m "$TABLE"
note 'write 1'
write_to 1
note 'leg fails'
exchange below '0 2048 error'
note 'write 3'
write_to 3 &
WRITE=$!
sleep 3
end_recorded
exchange below '0 2048 linear 254:16 0'
reload "$TABLE"
wait $WRITE || fail 'the write failed'
wait_for 60 in_sync m
dmsetup remove m
dmsetup remove below
end_daemon

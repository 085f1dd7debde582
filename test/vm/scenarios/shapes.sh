# Every form and size of a mirror, and what LVM2's own programs read of it. Legs: vda and vdb; log: vdc.
# Runs in the guest after lib.sh and mirror.sh; MIRROR_STATUS and LONG are given.
# shellcheck shell=bash
LEG_SECTORS=69632

step 'the daemon starts'
modprobe -a dm-mirror dm-log-userspace
start_daemon

# `form NAME LOG STATUS [FEATURES]`: the table is given back as it was, the status ends as the reference has it.
FORM_SECTORS=4096
TABLES=''
STATUS_LINES=''
VIEWS=''
FORMS=()
form() {
  local offset=$((${#FORMS[@]} * FORM_SECTORS)) table
  table=$(mirror_table $FORM_SECTORS "$1" "$2" "${4-1 handle_errors}" $offset)
  dmsetup create "$1" --table "$table"
  FORMS+=("$1")
  TABLES+="$1: ${table/INTEGRATED_FLUSH/integrated_flush}"$'\n'
  STATUS_LINES+="$1: 0 $FORM_SECTORS mirror 2 254:0 254:16 4/4 1 AA $3"$'\n'
  VIEWS+="$1: 4/4 AA clustered-${2#*clustered-}"$'\n'
}
forms_in_sync() { [ "$(dmsetup status --target mirror | grep -c ' 4/4 1 AA ')" = ${#FORMS[@]} ]; }
refused() {
  if dmsetup create form --table "$(mirror_table "${2-8192}" refused "$1")" >/run/refused 2>&1; then fail "accepted: $1"; fi
  if dmsetup info form >/dev/null 2>&1; then fail "a device is left of: $1"; fi
}

step 'every form of the constructor: table and status as the reference has them'
# Each disk log needs a device of its own.
for i in 0 1 2 3; do dmsetup create "log$i" --table "0 2048 linear 254:32 $((i * 2048))"; done
form core-plain 'clustered-core 1024' '1 clustered-core'
form core-nosync 'clustered-core 1024 nosync' '1 clustered-core'
form core-sync 'clustered-core 1024 sync' '1 clustered-core'
form core-block 'clustered-core 1024 block_on_error' '1 clustered-core'
form core-both 'clustered-core 1024 nosync block_on_error' '1 clustered-core'
form core-hex 'clustered-core 0x400 nosync' '1 clustered-core'
form core-octal 'clustered-core 02000 nosync' '1 clustered-core'
form core-word 'clustered-core 1024 nosync whatever' '1 clustered-core'
form core-integrated 'integrated_flush clustered-core 1024 nosync' '1 clustered-core'
form core-INTEGRATED 'INTEGRATED_FLUSH clustered-core 1024 nosync' '1 clustered-core'
form core-features 'clustered-core 1024 nosync' '1 clustered-core' ''
form core-keep 'clustered-core 1024 nosync' '1 clustered-core' '2 handle_errors keep_log'
form disk-numbers 'clustered-disk 253:0 1024' '3 clustered-disk 253:0 A'
form disk-path 'clustered-disk /dev/mapper/log1 1024 nosync' '3 clustered-disk 253:1 A'
form disk-sync 'clustered-disk 253:2 1024 sync block_on_error' '3 clustered-disk 253:2 A'
form disk-integrated 'integrated_flush clustered-disk 253:3 1024 nosync' '3 clustered-disk 253:3 A'
form LVM-0123456789012345678901234567890123456789012345678901234567890123 'clustered-core 1024 nosync' '1 clustered-core'
wait_for 120 forms_in_sync
expect 'tables' "$(sort <<<"${TABLES%$'\n'}")" "$(dmsetup table --target mirror | sort)"
expect 'status' "$(sort <<<"${STATUS_LINES%$'\n'}")" "$(dmsetup status --target mirror | sort)"
expect "libdm's view" "$(sed 's/\(AA [^ ]*\).*/\1 0/' <<<"${VIEWS%$'\n'}")" "$("$MIRROR_STATUS" "${FORMS[@]}")"
dmsetup remove_all

step 'three legs'
dmsetup create form --table '0 8192 mirror userspace 4 three clustered-core 1024 nosync 3 254:0 0 254:16 0 254:48 0 1 handle_errors'
expect 'status' '0 8192 mirror 3 254:0 254:16 254:48 8/8 1 AAA 1 clustered-core' "$(dmsetup status form)"
expect "libdm's view" '8/8 AAA clustered-core 0' "$("$MIRROR_STATUS" form | sed 's/^form: //')"
dmsetup remove form

step 'full resync, with progress in the status; then a write is in the log before it is on the legs'
dd if=/dev/urandom of=/dev/vda bs=1M count=12 oflag=direct status=none
# "sync": the log device holds the bits of a log before it.
dmsetup create form --table "$(mirror_table 24576 resync 'clustered-disk 254:32 256 sync')"
case $(dmsetup deps form) in *'(254, 32)'*) ;; *) fail 'the table does not hold the log device' ;; esac
# Slowly: the kernel's copying takes so many per cent of the time.
echo 20 >/sys/module/dm_mirror/parameters/raid1_resync_throttle
seen=''
until in_sync form; do seen="$seen $(progress form)"; done
echo 100 >/sys/module/dm_mirror/parameters/raid1_resync_throttle
echo "in sync, on the way:$seen"
case $seen in *' '[1-9]*) ;; *) fail 'no progress was seen before the end' ;; esac
wait_for 60 log_clean /dev/vdc 96
dd if=/dev/urandom of=/dev/mapper/form bs=4k count=1 seek=96 oflag=direct status=none
case $(log_bits /dev/vdc 96) in 1110*) ;; *) fail "region 3 is not marked: $(log_bits /dev/vdc 96)" ;; esac
wait_for 60 log_clean /dev/vdc 96
dmsetup remove form
legs_equal vda vdb

step 'constructors that make no sense are refused, nothing is left of them'
refused 'clustered_core 1024'
refused 'clustered-core 0'
refused 'clustered-core many'
refused 'integrated_flush clustered-core'
refused 'clustered-disk 254:32'
refused 'clustered-disk 254:32 0'
refused 'clustered-disk /dev/null 1024'
refused 'clustered-disk 9:99 1024'
# 24 Mi regions need 3 MiB of bits; the log device has 1.
refused 'clustered-disk 254:64 8' $((24 * 1024 * 1024 * 8))
grep -q "refused" /run/lockstepd.log || fail 'the daemon has not said why'

# `sized REGION_SECTORS SECTORS`: full resync, writes, equal legs.
sized() {
  local regions=$((($2 + $1 - 1) / $1))
  dd if=/dev/urandom of=/dev/vda bs=512k count=$((($2 < 16384 ? $2 : 16384) / 1024)) oflag=direct status=none
  dmsetup create sized --table "$(mirror_table "$2" "sized-$1" "clustered-disk 254:32 $1 sync")"
  wait_for 600 in_sync sized
  expect 'progress' "$regions/$regions" "$(progress sized)"
  local first
  for first in 0 $(($2 / 16)) $(($2 / 8 - 4)); do
    dd if=/dev/urandom of=/dev/mapper/sized bs=4k count=4 seek="$first" oflag=direct status=none
  done
  dmsetup remove sized
  legs_equal vda vdb
  log_clean /dev/vdc $regions || fail "regions of $1 sectors: the log is not clean"
}
step 'regions from 8 sectors to 64 Ki sectors'
sized 8 512
# The last one is short.
sized 65536 67584
if [ "$LONG" = 1 ]; then
  for size in 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768; do sized $size $LEG_SECTORS; done
fi

step 'grow and shrink under the same uuid'
grow_to() {
  dmsetup load grown --table "$(mirror_table "$1" grown 'clustered-disk 254:32 1024')"
  dmsetup resume grown
}
dd if=/dev/urandom of=/dev/vda bs=1M count=16 oflag=direct status=none
dmsetup create grown --table "$(mirror_table 16384 grown 'clustered-disk 254:32 1024 sync')"
wait_for 300 in_sync grown
grow_to 32768
# Not by asking the kernel, which may have copied the rest by then.
grep 'resumed uuid=grown' /run/lockstepd.log | tail -n 1 | grep -q 'text="16 of 32 regions in sync' ||
  fail "not what was in sync before, and nothing else: $(grep uuid=grown /run/lockstepd.log)"
wait_for 300 in_sync grown
legs_equal vda vdb
grow_to 8192
expect 'status after shrinking' '0 8192 mirror 2 254:0 254:16 8/8 1 AA 3 clustered-disk 254:32 A' "$(dmsetup status grown)"
# What was cut off must not come back as clean.
dd if=/dev/urandom of=/dev/vda bs=1M count=2 seek=10 oflag=direct status=none
grow_to 32768
wait_for 300 in_sync grown
legs_equal vda vdb
dmsetup remove grown

step 'nosync is in sync at once, sync copies everything again'
dmsetup create words --table "$(mirror_table 16384 words 'clustered-core 1024 nosync')"
expect 'nosync' '16/16' "$(progress words)"
dmsetup remove words
dmsetup create words --table "$(mirror_table 16384 words 'clustered-disk 254:32 1024 nosync')"
expect 'nosync with a log' '16/16' "$(progress words)"
dmsetup remove words
dd if=/dev/urandom of=/dev/vda bs=1M count=8 oflag=direct status=none
dmsetup create words --table "$(mirror_table 16384 words 'clustered-disk 254:32 1024 sync')"
wait_for 300 in_sync words
legs_equal vda vdb
dmsetup remove words

step 'integrated flush under load'
dmsetup create flushed --table "$(mirror_table 16384 flushed 'integrated_flush clustered-disk 254:32 512 nosync')"
start_load 8 flushed
sleep 3
end_load
dmsetup remove flushed
legs_equal vda vdb
log_clean /dev/vdc 32 || fail 'the log is not clean'

# Without the resync and the load, flood.sh has as many in the short form.
if [ "$LONG" = 1 ]; then
  step '64 mirrors at once'
  files=''
  tables=''
  for i in $(seq 64); do
    tables+="m$i,,,rw,$(mirror_table 256 "many-$i" 'clustered-core 128' '1 handle_errors' $(((i - 1) * 256)));"
    files="$files:/dev/mapper/m$i"
  done
  dmsetup create --concise "${tables%;}"
  fio --name=many --filename="${files#:}" --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite --bs=4k --size=8M \
    --io_size=512k --randrepeat=0 >/run/fio.out 2>&1
  all_in_sync() { [ "$(dmsetup status --target mirror | grep -c ' 2/2 1 AA 1 clustered-core$')" = 64 ]; }
  wait_for 300 all_in_sync
  wait_for 20 grep -q '"uuid":"many-64"' $STATUS
  expect 'logs of the daemon' 64 "$(logs_with many-)"
  dmsetup remove_all
  legs_equal vda vdb
fi

step 'lvs and dmeventd on an LV whose mirror runs on the daemon'
LVM='devices { use_devicesfile=0 filter=["a|^/dev/vd[ab]$|","r|.*|"] } activation { udev_sync=0 udev_rules=0 monitoring=0 } backup { backup=0 archive=0 }'
export LVM_SUPPRESS_FD_WARNINGS=1
vgcreate --config "$LVM" -q -s 1m vg /dev/vda /dev/vdb
lvcreate --config "$LVM" -q -y -Wn -Zn --type mirror -m 1 --mirrorlog core --nosync -l 16 -R 512k -n lv vg 2>/run/lvm.err || fail "$(cat /run/lvm.err)"
shown() { lvs --config "$LVM" --noheadings -o "$1" vg/lv 2>/run/lvm.err | tr -d ' '; }
legs=$(dmsetup table vg-lv | grep -o ' 2 [0-9:]* 0 [0-9:]* 0.*')
sectors=$(dmsetup table vg-lv | cut -d' ' -f2)
uuid=$(dmsetup info -c --noheadings -o uuid vg-lv)
# As LVM2 with clvmd wrote it: type, argument count, the LV's own dm uuid.
dmsetup load vg-lv --table "0 $sectors mirror userspace 3 $uuid clustered-core 1024$legs"
dmeventd -f -l -d >/run/dmeventd.log 2>&1 &
DMEVENTD=$!
wait_for 60 test -e /run/dmeventd-server
lvchange --config "${LVM/monitoring=0/monitoring=1}" --monitor y vg/lv >/run/lvm.err 2>&1 || fail "$(cat /run/lvm.err)"
dmsetup resume vg-lv
wait_for 120 in_sync vg-lv
expect "libdm's view" '32/32 AA clustered-core 0' "$("$MIRROR_STATUS" vg-lv | sed 's|^vg-lv: ||')"
expect 'Cpy%Sync' 100.00 "$(shown copy_percent)"
expect 'health' '' "$(shown lv_health_status)"
case $(shown lv_attr) in [mM]*a*) ;; *) fail "lv_attr: $(shown lv_attr)" ;; esac
expect 'monitored' monitored "$(lvs --config "${LVM/monitoring=0/monitoring=1}" --noheadings -o seg_monitor vg/lv 2>/dev/null | tr -d ' ')"
wait_for 60 grep -q 'is now in-sync' /run/dmeventd.log
if dmesg | grep -iE 'I/O error|Buffer I/O|blocked for more'; then fail 'the kernel has complained'; fi

step 'a leg of that LV fails: dmeventd takes it out of the mirror, the write ends, no log is left'
dmsetup load vg-lv_mimage_1 --table "0 $sectors error"
dmsetup resume vg-lv_mimage_1
dd if=/dev/urandom of=/dev/mapper/vg-lv bs=4k count=1 seek=9 oflag=direct status=none || fail 'the write failed'
wait_for 120 grep -q 'Secondary mirror device .* has failed (D)' /run/dmeventd.log
repaired() { [ "$(shown segtype)" = linear ]; }
wait_for 120 repaired
wait_for 60 no_logs_with "$uuid"
kill $DMEVENTD
dmsetup remove vg-lv

step 'the daemon ends'
end_daemon

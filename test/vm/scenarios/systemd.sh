# The package on a host of systemd's: installed, upgraded, stopped, configured badly, removed, with a mirror in use. Legs are vda and
# vdb, the log vdc. Runs in the guest as a service, after lib.sh and mirror.sh; BOOT, PACKAGE and NEWER are given.
# shellcheck shell=bash
REGIONS=64
# As the README's unit for the boot has it.
UNIT=$(sed -n '/^ *\[Unit\]$/,/^ *WantedBy=/p' README.md | sed 's/^ *//')
TABLE=$(sed -n 's/.*--table "\(.*\)"$/\1/p' <<<"$UNIT")
MOUNT=/srv/mirror
CONFIG=/etc/lockstep/lockstep.toml

on_failure() {
  journalctl -b --no-pager -o short-monotonic | tail -n 60
  tail -n 5 /run/fio.out 2>/dev/null
  dmsetup status
}
said() { journalctl -u "${2:-lockstepd}" --no-pager -o cat | grep -q "$1"; }
pid() { systemctl show -p MainPID --value "${1:-lockstepd}"; }
serves() { lockstep status >/run/status 2>&1; }
# `serves_restored LOGS`: the daemon of now has taken them up.
restored() { journalctl "_PID=$(pid "${2:-lockstepd}")" --no-pager -o cat | grep -q "ready restoredLogs=$1"; }
package() { DEBIAN_FRONTEND=noninteractive dpkg "$@" >/run/dpkg.log 2>&1; }
write_on() {
  systemctl reset-failed users 2>/dev/null || true
  systemd-run -q --unit=users -p RequiresMountsFor=$MOUNT -p StandardOutput=append:/run/fio.out \
    fio --name=users --directory=$MOUNT --size=6M --rw=randwrite --bs=4k --direct=1 --ioengine=psync --io_size=256k --loops=1000000 \
    --verify=crc32c --verify_fatal=1 --randrepeat=0
}
users_live() { systemctl -q is-active users || fail "the load has ended: $(cat /run/fio.out)"; }
# The load that was there before is still there, and writes.
goes_on() {
  users_live
  wait_for 60 has_written $(($(writes_of vda) + 20))
}
writes_of() {
  local fields
  read -r -a fields <"/sys/block/$1/stat"
  echo "${fields[4]}"
}
has_written() { [ "$(writes_of vda)" -ge "$1" ]; }

# A package database that knows what ours needs and nothing else: all that is installed on this machine is slow to reach from here.
small_database() {
  mkdir -p /run/dpkg/info /run/dpkg/updates
  cp /var/lib/dpkg/info/format /run/dpkg/info/
  awk -v RS= -v ORS='\n\n' -v wanted="$(dpkg-deb -f "$PACKAGE" Depends | sed 's/([^)]*)//g; s/,/ /g')" '
    BEGIN { for (i = split(wanted, names); i > 0; i--) is_wanted[names[i]] = 1 }
    { split($0, lines, "\n"); sub("^Package: ", "", lines[1]); if (lines[1] in is_wanted) print }
  ' /var/lib/dpkg/status >/run/dpkg/status
  mount --bind /run/dpkg /var/lib/dpkg
}
small_database
# For units that make mirrors: there is no udevd that makes their nodes.
systemctl set-environment DM_DISABLE_UDEV=1
# The worst case: what is unmounted here stays mounted in whatever has a mount namespace of its own.
mount --make-rprivate /

step "$BOOT boot: the package is installed, and nothing is started or enabled"
package -i "$PACKAGE" || fail "$(cat /run/dpkg.log)"
for unit in lockstepd lvm2-cmirrord; do
  expect "$unit" 'disabled inactive' "$(systemctl is-enabled $unit) $(systemctl is-active $unit)"
done
echo 'transport = "local"' >>$CONFIG

if [ "$BOOT" = second ]; then
  step 'second boot: the mirror is as it was, and nothing is copied'
  systemctl enable --now lockstepd
  echo "$UNIT" >/etc/systemd/system/mirror-m.service
  systemctl enable --now mirror-m
  expect 'in sync' "$REGIONS/$REGIONS" "$(progress m)"
  # A restart of the daemon is none of the mirror.
  systemctl restart lockstepd
  expect 'unit' active "$(systemctl is-active mirror-m)"
  mkdir -p $MOUNT
  mount /dev/mapper/m $MOUNT
  cmp $MOUNT/kept <(seq 1000)
  umount $MOUNT

  step 'second boot: without a mirror the package goes, and a purge leaves nothing'
  dmsetup remove m
  package -r lockstep || fail "$(cat /run/dpkg.log)"
  [ ! -e /etc/systemd/system/sysinit.target.wants/lockstepd.service ] || fail 'the unit is still enabled'
  package -P lockstep || fail "$(cat /run/dpkg.log)"
  for left in /etc/lockstep /etc/default/lockstep /run/lockstep /usr/lib/lockstep; do
    [ ! -e $left ] || fail "$left is left"
  done
  exit 0
fi

step 'a mistake in the configuration is told; the unit tries again without haste, and serves when it is mended'
echo 'transprot = "local"' >>$CONFIG
if systemctl start lockstepd 2>/run/start; then fail 'it started'; fi
wait_for 60 said 'lockstep.toml:[0-9]*: unknown key'
sleep 12
[ "$(systemctl show -p NRestarts --value lockstepd)" -lt 5 ] || fail "$(systemctl show -p NRestarts lockstepd)"
sed -i /transprot/d $CONFIG
wait_for 60 systemctl -q is-active lockstepd

step 'the unit has loaded the module, has what it needs, and outlives a SIGKILL'
grep -q '^dmlogusr' /proc/net/connector || fail 'the module is not loaded'
systemctl enable lockstepd
lockstep doctor >/run/doctor || fail "$(cat /run/doctor)"
first=$(pid)
systemctl kill -s KILL lockstepd
wait_for 60 serves
[ "$(pid)" != "$first" ] || fail 'it is the same process'

step 'a file system on a mirror, users write'
dmsetup create m --table "$TABLE"
mkfs.ext4 -q -E nodiscard /dev/mapper/m
mkdir -p $MOUNT
mount /dev/mapper/m $MOUNT
seq 1000 >$MOUNT/kept
write_on
wait_for 300 in_sync m
goes_on

step 'the file system is unmounted and mounted again: no daemon that was started meanwhile keeps the mirror in use'
systemctl restart lockstepd
wait_for 60 restored 1
systemctl stop users
umount $MOUNT
expect 'open' 0 "$(dmsetup info -c --noheadings -o open m)"
mount /dev/mapper/m $MOUNT
write_on
goes_on

step 'a newer package: the daemon is another one, it knows all that the old one knew'
first=$(pid)
package -i "$NEWER" || fail "$(cat /run/dpkg.log)"
[ "$(pid)" != "$first" ] || fail 'the daemon is still the old one'
wait_for 60 restored 1
serves || fail "$(cat /run/status)"
grep -q '^lockstepd 99.1 ' /run/status || fail "$(cat /run/status)"
expect 'in sync' "$REGIONS/$REGIONS" "$(progress m)"
goes_on

step 'stopped under load the mirror waits; the records of a release before are taken up as well'
systemctl stop lockstepd
expect 'unit' inactive "$(systemctl is-active lockstepd)"
"$NODE" test/vm/scenarios/older-record.mjs /run/lockstep/logs | grep -q '\.state$' || fail 'there was no record'
# With a load that waits, the package has to stay.
if package -r lockstep; then fail 'the package may be removed under a mirror'; fi
grep -q 'these mirrors use the log daemon.*: m$' /run/dpkg.log || fail "$(cat /run/dpkg.log)"
users_live
systemctl start lockstepd
wait_for 60 restored 1
expect 'in sync' "$REGIONS/$REGIONS" "$(progress m)"
goes_on

step 'the other unit takes over, and gives back'
systemctl start lvm2-cmirrord
expect 'units' 'inactive active' "$(systemctl is-active lockstepd lvm2-cmirrord | paste -sd' ')"
goes_on
systemctl start lockstepd
expect 'units' 'active inactive' "$(systemctl is-active lockstepd lvm2-cmirrord | paste -sd' ')"
goes_on

step 'the clock jumps, a year ahead and back'
date -s '+1 year' >/dev/null
goes_on
date -s '-1 year' >/dev/null
goes_on
systemctl stop users
wait_for 60 log_clean /dev/vdc $REGIONS

step 'nothing was resynchronised, no IO error; now the host goes down, with the mirror mounted and in use'
if journalctl -u lockstepd -u lvm2-cmirrord --no-pager -o cat | grep -E 'marks-unknown|log-failed|orphan|unreadable'; then
  fail 'the daemon has lost something'
fi
kernel_quiet
write_on
goes_on

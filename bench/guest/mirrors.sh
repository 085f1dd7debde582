# Writes through dm-mirror in a guest: the daemon, the C responder and the kernel's own logs by turns, in one boot. Runs
# after lib.sh of the VM tests; ROUNDS, SELF_ROUNDS, WARMUP_SECONDS, SECONDS_A_RUN, FRESH, PARTS, NODE, RESPONDER and PEER are
# given. Every run leaves fio's own JSON as $RESULTS/<round>-<name>.json; rounds below SELF_ROUNDS run all that is the daemon's twice.
# Who goes first changes from round to round. What the machine is stands in $RESULTS/machine.json.
#
# Legs: two RAM disks of 64 MiB for the request path, dm-zero for large maps. Logs: a third RAM disk; /dev/vda is slow
# on purpose (200 MB/s, 1 ms a flush) and holds the disk logs of the fresh-region runs.
# shellcheck shell=bash

RAM_SECTORS=131072
SLOW_LOG=254:0
RAM_LOG=1:2
DAEMON=0

on_failure() {
  echo '--- daemon'
  tail -n 20 /run/daemon.log
  echo '--- kernel'
  dmesg | tail -n 20
}

wants() {
  case " $PARTS " in *" $1 "*) ;; *) return 1 ;; esac
}

start_lockstepd() {
  : >/run/daemon.log
  "$NODE" dist/bin/lockstepd.js --transport local --state-dir /run/lockstep/logs >>/run/daemon.log 2>&1 &
  DAEMON=$!
  wait_for 300 grep -q ' ready' /run/daemon.log
}
start_responder() {
  : >/run/daemon.log
  "$RESPONDER" --connector >>/run/daemon.log 2>&1 &
  DAEMON=$!
  wait_for 60 grep -q '^ready' /run/daemon.log
}
# The real cmirrord, on a cluster of one. What is missing for it is written to $RESULTS/cmirrord.skipped.
start_cmirrord() {
  [ ! -e "$RESULTS/cmirrord.skipped" ] || return 1
  start_corosync || return 1
  : >/run/daemon.log
  "$PEER" -f >>/run/daemon.log 2>&1 &
  DAEMON=$!
  local end=$((SECONDS + 60))
  until [ -e /run/cmirrord.pid ]; do
    if ! kill -0 $DAEMON 2>/dev/null || [ $SECONDS -ge $end ]; then
      echo "it did not start: $(tail -n 1 /run/daemon.log)" >"$RESULTS/cmirrord.skipped"
      return 1
    fi
    sleep 0.2
  done
}
start_corosync() {
  [ ! -e /run/corosync.log ] || return 0
  if ! command -v corosync >/dev/null; then
    echo 'corosync, which it needs, is not installed' >"$RESULTS/cmirrord.skipped"
    return 1
  fi
  mkdir -p /etc/corosync /var/lib/corosync
  cat >/etc/corosync/corosync.conf <<'CONF'
totem { version: 2
 cluster_name: bench
 transport: udpu
 token: 10000 }
nodelist { node { ring0_addr: 127.0.0.1
 nodeid: 1
 name: bench } }
quorum { provider: corosync_votequorum }
CONF
  corosync -f >/run/corosync.log 2>&1 &
  local end=$((SECONDS + 120))
  until corosync-cfgtool -s >/dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then
      echo "corosync did not start: $(tail -n 1 /run/corosync.log)" >"$RESULTS/cmirrord.skipped"
      return 1
    fi
    sleep 0.5
  done
}
stop_daemon() {
  kill -TERM $DAEMON
  { wait $DAEMON || true; } 2>/dev/null
}

# `mirror LOG... -- LEG LEG SECTORS`: makes /dev/mapper/m.
mirror() {
  local log=()
  while [ "$1" != -- ]; do
    log+=("$1")
    shift
  done
  dmsetup create m --table "0 $4 mirror ${log[*]} 2 $2 0 $3 0 1 handle_errors"
}
unmirror() {
  dmsetup remove --retry m
}

# `writes NAME DEPTH OPTION...`: 4 KiB random writes to /dev/mapper/m.
writes() {
  local name=$1 depth=$2
  shift 2
  fio --name=w --filename=/dev/mapper/m --direct=1 --ioengine=libaio --iodepth="$depth" --rw=randwrite --bs=4k \
    --randrepeat=1 --lat_percentiles=1 --clat_percentiles=0 --output-format=json --output="$RESULTS/$ROUND-$name.json" "$@" >/dev/null
}
timed() {
  writes "$@" --time_based --runtime="$SECONDS_A_RUN" --ramp_time=1
}
# Fresh regions of 4 KiB, each once; every log is new, so the same ones are fresh to it again.
fresh() {
  writes "$1" 16 --size=$((FRESH * 4))k
}
# Fresh regions all over the mirror: sixteen at a time lie in as many blocks of a large log.
scattered() {
  writes "$1" 16 --io_size=$((FRESH * 4))k
}
# Whoever was just started serves some seconds of writes that nobody counts: V8 compiles what is hot while it runs, which an
# emulated processor makes a matter of ten seconds and more, and a daemon runs for months.
warm_up() {
  mirror userspace 4 "warm-$ROUND" clustered-core 1024 nosync -- 1:0 1:1 $RAM_SECTORS
  writes warm-up 1 --time_based --runtime="$WARMUP_SECONDS"
  unmirror
  rm "$RESULTS/$ROUND-warm-up.json"
}
# Core log, and marks of a small hot set: eight regions, written again and again.
request_path() {
  local who=$1 suffix=$2
  if wants core; then
    mirror userspace 4 "core-$ROUND$suffix" clustered-core 1024 nosync -- 1:0 1:1 $RAM_SECTORS
    timed "$who-core-d1$suffix" 1
    timed "$who-core-d16$suffix" 16
    unmirror
  fi
  wants remark || return 0
  case $who in
    lockstepd) mirror userspace 5 "hot-$ROUND$suffix" clustered-disk $RAM_LOG 1024 nosync -- 1:0 1:1 $RAM_SECTORS ;;
    *) mirror userspace 4 "hot-$ROUND$suffix" clustered-core 1024 nosync -- 1:0 1:1 $RAM_SECTORS ;;
  esac
  timed "$who-remark-d1$suffix" 1 --size=4m
  timed "$who-remark-d16$suffix" 16 --size=4m
  unmirror
}
# A disk log on a RAM disk, one write at a time: what a real cmirrord is compared by.
disk_d1() {
  wipe_log /dev/ram2
  mirror userspace 5 "disk-$ROUND" clustered-disk $RAM_LOG 1024 nosync -- 1:0 1:1 $RAM_SECTORS
  timed "$1-disk-d1" 1
  unmirror
}
wipe_log() {
  dd if=/dev/zero of="$1" bs=64k count=1 oflag=direct status=none
}
# `fresh_on WHO REGIONS_EXPONENT HOW SUFFIX LOG...`; HOW is fresh or scattered
fresh_on() {
  local who=$1 exponent=$2 how=$3 suffix=$4
  shift 4
  wipe_log /dev/vda
  mirror "$@" -- "$(zero_leg a "$exponent")" "$(zero_leg b "$exponent")" $((8 << exponent))
  case $how in
    fresh) fresh "$who-disk-2e$exponent$suffix" ;;
    *) scattered "$who-disk-2e$exponent-scattered" ;;
  esac
  unmirror
}
zero_leg() {
  echo "/dev/mapper/zero-$1-$2"
}
lockstepd_disks() {
  local exponent suffix=$1
  for exponent in 12 22 24; do
    fresh_on lockstepd $exponent fresh "$suffix" userspace 5 "fresh-$ROUND-$exponent$suffix" clustered-disk $SLOW_LOG 8 nosync
  done
}

step 'legs and logs'
modprobe -a dm-mirror dm-log-userspace dm-zero
modprobe brd rd_nr=3 rd_size=$((RAM_SECTORS / 2))
for exponent in 12 22 24; do
  for leg in a b; do dmsetup create zero-$leg-$exponent --table "0 $((8 << exponent)) zero"; done
done

printf '{"kernel":"%s","cores":%d,"memoryMiB":%d}\n' "$(uname -r)" "$(nproc)" \
  $(($(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo) / 1024)) >"$RESULTS/machine.json"

turn_of_lockstepd() {
  start_lockstepd
  warm_up
  request_path lockstepd ''
  if wants disk; then
    lockstepd_disks ''
    fresh_on lockstepd 22 scattered '' userspace 5 "scattered-$ROUND" clustered-disk $SLOW_LOG 8 nosync
  fi
  if [ -n "$PEER" ]; then disk_d1 lockstepd; fi
  if ((ROUND < SELF_ROUNDS)); then
    request_path lockstepd -again
    if wants disk; then lockstepd_disks -again; fi
  fi
  stop_daemon
}

turn_of_others() {
  start_responder
  warm_up
  request_path responder ''
  stop_daemon

  if [ -n "$PEER" ] && start_cmirrord; then
    disk_d1 cmirrord
    stop_daemon
  fi

  if wants core; then
    mirror core 2 1024 nosync -- 1:0 1:1 $RAM_SECTORS
    timed kernel-core-d1 1
    unmirror
  fi
  if wants disk; then
    for exponent in 12 22; do fresh_on kernel $exponent fresh '' disk 3 $SLOW_LOG 8 nosync; done
    fresh_on kernel 22 scattered '' disk 3 $SLOW_LOG 8 nosync
  fi
}

for ((ROUND = 0; ROUND < ROUNDS; ROUND++)); do
  step "round $((ROUND + 1)) of $ROUNDS"
  if ((ROUND % 2 == 0)); then
    turn_of_lockstepd
    turn_of_others
  else
    turn_of_others
    turn_of_lockstepd
  fi
done

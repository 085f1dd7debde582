# What scenarios with mirrors share: the daemon and its own status, mirrors, their legs and logs, load. Comes after lib.sh in
# every script; a script may define its own functions of these names. The kernel module must be loaded first. DAEMON is
# the daemon's process, STATUS what it says of itself.
# shellcheck shell=bash

DAEMON=0
STATUS=/run/lockstepd.status
STATE_DIR=/run/lockstep/logs
# More words for the daemon's command, and variables for it alone.
DAEMON_OPTIONS=()
DAEMON_ENVIRONMENT=()

on_failure() {
  echo '--- daemon'
  tail -n 40 /run/lockstepd.log
  echo '--- kernel'
  dmesg | tail -n 30
  dmsetup status
  tail -n 5 /run/fio.out 2>/dev/null
}

# It returns when the daemon has opened the kernel's connector.
start_daemon() {
  rm -f $STATUS
  env "${DAEMON_ENVIRONMENT[@]}" "$NODE" dist/bin/lockstepd.js --transport local --state-dir "$STATE_DIR" \
    --status-file $STATUS --status-interval-ms 500 "${DAEMON_OPTIONS[@]}" >>/run/lockstepd.log 2>&1 &
  DAEMON=$!
  wait_for 200 test -s $STATUS
}

kill_daemon() {
  kill -KILL $DAEMON
  { wait $DAEMON || true; } 2>/dev/null
}

# It ends by itself when no log is left.
end_daemon() {
  kill -TERM $DAEMON
  local status=0
  wait $DAEMON || status=$?
  expect 'exit status of the daemon' 0 $status
}

# The loader takes a space in LD_PRELOAD for the next library: PRELOAD is a path of LIBRARY without one.
preloadable() {
  PRELOAD=/run/preload-${1##*/}
  ln -sf "$1" "$PRELOAD"
}

daemon_lives() {
  kill -0 $DAEMON || fail "the daemon has ended: $(tail -n 20 /run/lockstepd.log)"
}

# A status that was written after this call began.
fresh_status() {
  local before
  before=$(grep -o '"uptimeMs":[0-9]*' $STATUS)
  kill -USR1 $DAEMON
  wait_for 60 status_differs "$before"
}
status_differs() {
  [ "$(grep -o '"uptimeMs":[0-9]*' $STATUS)" != "$1" ]
}

# One number of the daemon's own status.
counted() {
  grep -o "\"$1\":[0-9]*" $STATUS | head -n 1 | cut -d: -f2
}

# Logs of the daemon's own status that contain a text.
logs_with() {
  grep -o '"uuid":"[^}]*}' /run/lockstepd.status | grep -c "$1" || true
}
no_logs_with() { [ "$(logs_with "$1")" = 0 ]; }

# `mirror_table SECTORS UUID LOG [FEATURES [OFFSET [LEG LEG]]]`: two legs, the words of the log counted.
mirror_table() {
  local features=${4-1 handle_errors} offset=${5-0} first=${6-254:0} second=${7-254:16}
  # shellcheck disable=SC2086
  set -- "$1" "$2" $3
  local sectors=$1
  shift
  echo "0 $sectors mirror userspace $# $* 2 $first $offset $second $offset${features:+ $features}"
}

# Of a mirror's status line: "12/96"; letters of its legs; the log's part.
progress() {
  dmsetup status "$1" | cut -d' ' -f7
}
leg_letters() {
  dmsetup status "$1" | cut -d' ' -f9
}
log_status() {
  dmsetup status "$1" | cut -d' ' -f10-
}
in_sync() {
  local found
  found=$(progress "$1")
  [ "${found%/*}" = "${found#*/}" ]
}

legs_equal() {
  cmp <(dd if="/dev/$1" bs=1M iflag=direct status=none) <(dd if="/dev/$2" bs=1M iflag=direct status=none)
}

# `log_bits DEVICE REGIONS`: bits of a log as a string of 0 and 1, region 0 first.
log_bits() {
  dd if="$1" bs=4096 count=$((1 + ($2 + 32767) / 32768)) iflag=direct status=none |
    od -An -v -tu1 -w1 -j1024 -N$((($2 + 7) / 8)) |
    while read -r byte; do
      for bit in 0 1 2 3 4 5 6 7; do printf %d $((byte >> bit & 1)); done
    done | head -c "$2"
}
log_clean() {
  case $(log_bits "$1" "$2") in *0*) return 1 ;; esac
}

# Random writes for as long as /run/load.end is missing, each block with a checksum that is read back.
# `start_load MEBIBYTES NAME...`
start_load() {
  local size=$1 jobs=()
  shift
  for name in "$@"; do jobs+=("--name=$name" "--filename=/dev/mapper/$name"); done
  rm -f /run/load.end
  (
    until [ -e /run/load.end ]; do
      fio --direct=1 --ioengine=psync --rw=randwrite --bs=4k "--size=${size}M" --io_size=128k --verify=crc32c \
        --do_verify=1 --verify_fatal=1 --randrepeat=0 --output-format=terse --terse-version=3 "${jobs[@]}" \
        >/run/fio.out 2>&1 || exit 1
    done
  ) &
  LOAD=$!
}
load_lives() {
  kill -0 "$LOAD" || fail "the load has ended: $(cat /run/fio.out)"
}
end_load() {
  touch /run/load.end
  wait "$LOAD" || fail "fio: $(cat /run/fio.out)"
}

kernel_quiet() {
  if dmesg | grep -iE 'device-mapper.*(error|fail)|I/O error|Buffer I/O|blocked for more'; then
    fail 'the kernel has complained'
  fi
}

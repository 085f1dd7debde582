# What scenarios on lockstepd share: starting and killing it, its own status, mirrors and their legs.
# Runs in the guest after lib.sh; NODE is given. The kernel module must be loaded first.
# shellcheck shell=bash
DAEMON=0
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

start_daemon() {
  rm -f /run/lockstepd.status
  env "${DAEMON_ENVIRONMENT[@]}" "$NODE" dist/bin/lockstepd.js --transport local --state-dir "$STATE_DIR" \
    --status-file /run/lockstepd.status --status-interval-ms 300 "${DAEMON_OPTIONS[@]}" >>/run/lockstepd.log 2>&1 &
  DAEMON=$!
  wait_for 120 test -s /run/lockstepd.status
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

# `daemon_says EXPRESSION`: true when the JavaScript expression over the daemon's status `s` holds; by Node, so it is slow here.
daemon_says() {
  "$NODE" -e "const s = JSON.parse(require('fs').readFileSync('/run/lockstepd.status', 'utf8')); process.exit($1 ? 0 : 1)"
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

# In sync, of how many: "12/96". Two legs.
progress() {
  dmsetup status "$1" | cut -d' ' -f7
}
in_sync() {
  local seen
  seen=$(progress "$1")
  [ "${seen%/*}" = "${seen#*/}" ]
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

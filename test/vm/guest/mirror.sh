# What scenarios with mirrors share: the daemon, its status, progress, legs. Comes after lib.sh in every script; a script
# may define its own functions of these names. DAEMON is the daemon's process, STATUS what it says of itself.
# shellcheck shell=bash

DAEMON=0
STATUS=/run/lockstepd.status

# `start_daemon [OPTION...]`: returns when it has opened the kernel's connector.
start_daemon() {
  rm -f $STATUS
  "$NODE" dist/bin/lockstepd.js --transport local --state-dir /run/lockstep/logs \
    --status-file $STATUS --status-interval-ms 500 "$@" >>/run/lockstepd.log 2>&1 &
  DAEMON=$!
  wait_for 200 test -s $STATUS
}

# It ends by itself when no log is left.
end_daemon() {
  kill -TERM $DAEMON
  local status=0
  wait $DAEMON || status=$?
  expect 'exit status of the daemon' 0 $status
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

on_failure() {
  echo '--- daemon'
  tail -n 40 /run/lockstepd.log
  echo '--- kernel'
  dmesg | tail -n 30
  dmsetup status
}

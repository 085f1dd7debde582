# What every scenario starts with: steps that have names, and failures that say where.
#
# `step NAME` ends the step before it, as passed, and begins the next; the runner counts these lines and names the
# step that was under way when something failed or hung. `expect NAME WANTED FOUND` compares two texts.
# shellcheck shell=bash
set -euo pipefail
PS4='+ '

STEP=''
step() {
  [ -z "$STEP" ] || echo "@passed $STEP"
  STEP=$1
  echo "@begin $STEP"
}
fail() {
  echo "$*"
  exit 1
}
expect() {
  [ "$2" = "$3" ] || fail "$1: expected \"$2\", found \"$3\""
}
# Nothing ever comes from it: a read that times out is a pause without a process.
exec {NOTHING}<> <(:)
# `wait_for SECONDS COMMAND...`: until the command succeeds. The limit is for hangs, not for speed.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "waited in vain for: $*"
    read -rt 0.2 -u "$NOTHING" || true
  done
}
# Does what the runner says until it says `end_orders`: bash words, one order a line, each with its number.
serve_orders() {
  local number words
  ORDERS=yes
  echo '@ready'
  while [ $ORDERS = yes ] && read -r number words; do
    eval "$words"
    echo "@done $number"
  done <"$VM_ORDERS"
}
end_orders() { ORDERS=no; }
# Run by the exit trap with the status; a scenario may define it to print what helps.
on_failure() { :; }
finish() {
  local status=$?
  set +e
  if [ $status = 0 ]; then
    [ -z "$STEP" ] || echo "@passed $STEP"
  else
    [ -z "${FAILED_AT:-}" ] || echo "$FAILED_AT"
    on_failure
    echo "@failed ${STEP:-before the first step}"
  fi
  exit $status
}
trap 'FAILED_AT="line $LINENO failed: $BASH_COMMAND"' ERR
trap finish EXIT

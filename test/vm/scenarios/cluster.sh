# One node of a cluster: corosync, the daemon and a clustered mirror with a disk log, on disks that all nodes share, and a
# writer of stamped blocks. Legs vda and vdb, the second one slow, log on vdc. What happens when is said by the runner.
# NODE_NUMBER, NODE_VOTES (of each node), SECTORS, REGION_SECTORS, SLOW_MS, STAMPER, BLOCKS, TURN_BLOCKS and NODE are given.
# shellcheck shell=bash

SUBNET=10.83.8
DAEMON_OPTIONS=(--transport corosync --config /run/lockstep.toml)
STATUS=$RESULTS/status
WRITER=0

on_failure() {
  echo "--- node $NODE_NUMBER: daemon"
  tail -n 40 /run/lockstepd.log
  echo "--- node $NODE_NUMBER: kernel"
  dmesg | tail -n 20
  dmsetup status
  echo "--- node $NODE_NUMBER: corosync"
  tail -n 15 /run/corosync.out
  cat /run/writer.out
}

# Two nodes with a vote each have quorum alone.
corosync_conf() {
  local number=0 votes two_node=0
  [ "$NODE_VOTES" != '1 1' ] || two_node=1
  cat <<END
totem {
  version: 2
  cluster_name: lockstep-vm
  transport: udpu
  crypto_cipher: none
  crypto_hash: none
  token: $TOKEN_MS
}
system {
  sched_rr: no
  move_to_root_cgroup: no
}
quorum {
  provider: corosync_votequorum
  two_node: $two_node
}
logging {
  to_stderr: yes
  to_syslog: no
}
nodelist {
END
  for votes in $NODE_VOTES; do
    number=$((number + 1))
    printf '  node {\n    nodeid: %d\n    name: node%d\n    ring0_addr: %s.%d\n    quorum_votes: %d\n  }\n' \
      $number $number $SUBNET $number "$votes"
  done
  echo '}'
}

start_corosync() {
  corosync -f >>/run/corosync.out 2>&1 &
  COROSYNC=$!
}
kill_corosync() {
  kill -KILL $COROSYNC
  { wait $COROSYNC || true; } 2>/dev/null
}
members() {
  corosync-quorumtool -l 2>/dev/null | grep -cE '^ +[0-9]+ ' || true
}
sees() { [ "$(members)" = "$1" ]; }
says() { grep -q -- "$1" "$STATUS"; }

lockstep() {
  "$NODE" dist/bin/lockstep.js "$@"
}

slow_table() {
  echo "0 $SECTORS delay 254:16 0 0 254:16 0 $SLOW_MS"
}
# `shared_table [nosync]`
shared_table() {
  mirror_table "$SECTORS" LVM-shared "clustered-disk 254:32 $REGION_SECTORS${1:+ $1}" '1 handle_errors' 0 254:0 253:0
}
# `activate [nosync]`
activate() {
  dmsetup create slow-leg --table "$(slow_table)"
  dmsetup create shared --table "$(shared_table "$@")"
}

start_writer() {
  # shellcheck disable=SC2086
  "$STAMPER" /dev/mapper/shared "$NODE_NUMBER" "$RESULTS/table" $BLOCKS >/run/writer.out 2>&1 3>&- &
  WRITER=$!
  wait_for 300 writer_ready
}
writer_ready() {
  kill -0 $WRITER 2>/dev/null || fail "the writer has ended: $(cat /run/writer.out)"
  grep -q ready /run/writer.out
}
# What is on its way may have to wait for others.
stop_writer() { kill -TERM $WRITER; }
writer_ended() {
  local status=0
  wait $WRITER || status=$?
  [ $status = 0 ] || fail "the writer: $(cat /run/writer.out)"
}

# `turn SEQUENCE`: prints whose turn was the one before, as this node reads it.
turn() {
  # shellcheck disable=SC2086
  echo "@turn $("$STAMPER" /dev/mapper/shared "$NODE_NUMBER" turn "$1" $TURN_BLOCKS)"
}

leave() {
  dmsetup remove shared
  dmsetup remove slow-leg
  end_daemon
  kernel_quiet
}
# The others hear that it goes, and need not miss it first.
leave_corosync() {
  kill -TERM $COROSYNC
  wait $COROSYNC || fail "corosync: $(tail -n 5 /run/corosync.out)"
}

step "node $NODE_NUMBER: corosync"
/run/vm/busybox hostname "node$NODE_NUMBER"
modprobe -a virtio_net dm-mirror dm-log-userspace dm-delay
/run/vm/busybox ifconfig eth0 $SUBNET."$NODE_NUMBER" netmask 255.255.255.0 up
mkdir -p /etc/corosync /var/lib/corosync /var/log/corosync /run/corosync
corosync_conf >/etc/corosync/corosync.conf
# Short, so that marks come and go.
printf '[marks]\nsticky_idle_ms = 300\n' >/run/lockstep.toml
start_corosync
wait_for 150 sees "$(wc -w <<<"$NODE_VOTES")"

step "node $NODE_NUMBER: the daemon"
start_daemon
wait_for 200 says '"agreedQuorate":true'

step "node $NODE_NUMBER: what the runner says"
serve_orders

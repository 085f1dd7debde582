#!/bin/sh
# A systemd of its own, in namespaces, with nothing but corosync's unit as it is installed, ours, and the targets that they name: who is started
# and stopped before whom. The daemon serves a simulated kernel, since the real connector is the machine's. Prints `ok STEP` a step.
#
#   unshare -fpmunC --kill-child --mount-proc --propagation private sh systemd-order.sh UNIT FOLDER NODE PROGRAM     FOLDER is empty
set -e
unit=$1
base=$2
node=$3
program=$4

ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p /run/systemd /run/lock /run/units /run/cgroup "$base/lib" "$base/log" "$base/etc"
mount --bind "$base/lib" /var/lib/corosync
mount --bind "$base/log" /var/log/corosync
mount --bind "$base/etc" /etc/corosync
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd

cat > /etc/corosync/corosync.conf << END
totem {
  version: 2
  cluster_name: order
  transport: knet
  crypto_cipher: none
  crypto_hash: none
}
system {
  sched_rr: no
  move_to_root_cgroup: no
}
quorum {
  provider: corosync_votequorum
}
nodelist {
  node {
    nodeid: 1
    name: alone
    ring0_addr: 127.0.0.1
  }
}
END

for name in basic sysinit shutdown multi-user network-online network remote-fs-pre umount local-fs-pre slices sockets timers paths; do
  cp "/lib/systemd/system/$name.target" /run/units/
done
cp /lib/systemd/system/corosync.service "$unit" /run/units/
name=$(basename "$unit")
# One transaction for both, as a boot and a shutdown are; a command that names two units makes two.
printf '[Unit]\nWants=corosync.service %s\n' "$name" > /run/units/both.target
printf '[Unit]\nConflicts=corosync.service %s\n' "$name" > /run/units/neither.target
mkdir "/run/units/$name.d"
cat > "/run/units/$name.d/simulated.conf" << END
[Service]
Type=notify
PIDFile=
ExecStartPre=
ExecStart=
ExecStart="$node" "$program" --transport corosync --simulated-kernel /run/lockstep/kernel
ExecStop=
StandardOutput=append:/run/daemon.log
StandardError=append:/run/daemon.log
END

(
  # SIGRTMIN+13: systemd ends at once, and with it all that is in its namespace.
  end() {
    kill -47 1
    exit
  }
  ok() { echo "ok $1"; }
  no() {
    echo "not ok: $1"
    systemctl --no-pager status "$name" corosync || true
    tail -n 20 /run/daemon.log
    end
  }
  tries=0
  until systemctl is-active --quiet basic.target 2> /dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || no 'systemd starts'
    sleep 0.1
  done
  at() { systemctl show -p "$2TimestampMonotonic" --value "$1"; }
  in_group() {
    tries=0
    until "$node" "$(dirname "$program")/lockstep.js" status --socket /run/lockstep/control.sock | grep -q '^cluster: quorum; members: 1 '; do
      tries=$((tries + 1))
      [ "$tries" -lt 60 ] || no "$1"
      sleep 0.5
    done
  }

  systemctl start "$name" || no 'without corosync it starts all the same'
  [ "$(systemctl is-active corosync)" = inactive ] || no 'and does not start corosync'
  systemctl stop "$name"
  ok 'without corosync it starts all the same, and does not start it'

  systemctl start both.target || no 'both start'
  until systemctl is-active --quiet "$name" || systemctl is-failed --quiet "$name"; do sleep 0.1; done
  [ "$(at "$name" ExecMainStart)" -ge "$(at corosync ActiveEnter)" ] || no 'it is started when corosync is up'
  in_group 'and enters its group'
  ok 'it is started when corosync is up, and enters its group'

  before=$(systemctl show -p MainPID --value "$name")
  systemctl restart corosync || no 'corosync is restarted'
  in_group 'it enters its group again'
  [ "$(systemctl show -p MainPID --value "$name")" = "$before" ] || no 'it is the same daemon'
  ok 'a restart of corosync leaves it running, and it enters its group again'

  systemctl start neither.target || no 'both stop'
  until [ "$(systemctl is-active corosync)" = inactive ]; do sleep 0.1; done
  [ "$(systemctl is-active "$name")" = inactive ] || no 'it has ended'
  [ "$(at "$name" InactiveEnter)" -le "$(at corosync ActiveExit)" ] || no 'it has ended when corosync is stopped'
  ok 'it has ended when corosync is stopped'
  end
) > "$base/said" 2>&1 &

exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lockstep-test SYSTEMD_UNIT_PATH=/run/units \
  /lib/systemd/systemd --system --unit=basic.target --log-target=null --show-status=0

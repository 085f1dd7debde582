#!/bin/sh
# Installs, uses, upgrades, removes and purges the package in a copy of this machine's root: an overlay whose changes lie on
# a tmpfs, in a mount namespace of its own. Nothing reaches the machine. Prints `ok STEP` a step; the first that fails ends it.
#
#   unshare -m sh chroot.sh PACKAGE FOLDER [connector]     FOLDER is empty; `connector`: cmirrord may be started
set -e
package=$1
base=$2
connector=$3

mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
root=$base/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
cp "$package" "$root/tmp/lockstep.deb"

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp DEBIAN_FRONTEND=noninteractive "$@"; }
ok() { echo "ok $1"; }
no() {
  echo "not ok: $1"
  exit 1
}
# What the package system keeps for itself is no trace of ours.
traces() {
  (cd "$base/upper" && find . ! -type d | grep -vE '^\./(var/lib/(dpkg|systemd)|var/log|var/cache)/' | sed 's/^\.//' | sort)
}

inside dpkg -i /tmp/lockstep.deb > "$base/log" 2>&1 || { cat "$base/log"; no install; }
ok install

inside lockstepd --version | grep -q '^lockstepd [0-9]' || no version
ok 'lockstepd --version'
# Told to be alone: the copied machine may have a corosync.conf, and without being told no daemon starts there.
inside lockstepd --transport local --check-config | grep -q '^/etc/lockstep/lockstep.toml: good$' || no check-config
ok 'the delivered configuration is good'
inside cmirrord -h | grep -q '^Usage: cmirrord' || no usage
ok 'cmirrord -h'
inside lockstep --help | grep -q '^Usage: lockstep' || no lockstep
[ -e "$root/usr/share/bash-completion/completions/lockstep" ] || no completion
for page in lockstep.1 cmirrord.8 lockstepd.8 lockstep.toml.5; do
  inside man "${page##*.}" "${page%.*}" 2>&1 | grep -q "^NAME" || no "man $page"
done
ok 'manual pages'
[ "$(inside dpkg -L lockstep | grep -c '/demo\|/sim')" = 0 ] || no 'only what is needed'
inside dpkg -V lockstep | grep . && no 'dpkg -V'
ok 'what is installed is what was packed'

# Started in the chroot, the daemon serves and ends as everywhere.
mkdir -m 700 "$root/tmp/sim"
: > "$base/daemon"
(exec chroot "$root" /usr/sbin/lockstepd --simulated-kernel /tmp/sim/kernel --state-dir /tmp/sim/logs --transport local) \
  > "$base/daemon" 2>&1 &
daemon=$!
i=0
until grep -q ' ready ' "$base/daemon"; do
  i=$((i + 1))
  [ $i -lt 300 ] || { cat "$base/daemon"; no 'lockstepd serves'; }
  sleep 0.1
done
kill "$daemon"
wait "$daemon" || no 'lockstepd ends with 0'
ok 'lockstepd serves a simulated kernel and ends'
if [ "$connector" = connector ]; then
  inside cmirrord || no 'cmirrord starts'
  pid=$(cat "$root/run/cmirrord.pid")
  [ "$(cat "/proc/$pid/comm")" = cmirrord ] || no 'cmirrord by its name'
  kill "$pid"
  i=0
  while [ -e "$root/run/cmirrord.pid" ]; do
    i=$((i + 1))
    [ $i -lt 300 ] || no 'cmirrord ends'
    sleep 0.1
  done
  ok 'cmirrord starts in the background and ends'
fi

cp "$root/etc/default/lockstep" "$base/default"
echo 'NODE=/no/such/node' >> "$root/etc/default/lockstep"
inside cmirrord -h > "$base/out" 2>&1 && no 'a missing Node is an error'
grep -q 'needs Node 20.17 or newer, and there is no /no/such/node' "$base/out" || no 'a missing Node is named'
ln -s "$(readlink -f "$(command -v node)")" "$root/opt/another-node"
echo 'NODE=/opt/another-node' >> "$root/etc/default/lockstep"
inside cmirrord -h | grep -q '^Usage' || no 'another Node'
ok 'Node may be anywhere'
cp "$base/default" "$root/etc/default/lockstep"
rm "$root/opt/another-node"

echo 'transprot = "local"' >> "$root/etc/lockstep/lockstep.toml"
inside lockstepd --check-config 2> "$base/out" && no 'a bad configuration is refused'
grep -q 'lockstep.toml:[0-9]*: unknown key .*did you mean' "$base/out" || no 'and told'
sed -i 's/transprot/transport/' "$root/etc/lockstep/lockstep.toml"
inside dpkg -i --force-confdef --force-confold /tmp/lockstep.deb > "$base/log" 2>&1 || { cat "$base/log"; no upgrade; }
tail -1 "$root/etc/lockstep/lockstep.toml" | grep -q '^transport = "local"$' || no 'the configuration is kept'
ok 'installed again, the configuration is kept'

mkdir -p "$root/run/lockstep/logs"
touch "$root/run/lockstep/logs/0-0.state"
inside dpkg -r lockstep > "$base/log" 2>&1 && no 'removal under mirrors is refused'
grep -q 'mirrors use the log daemon' "$base/log" || no 'and says why'
inside cmirrord -h > /dev/null || no 'and it is still there'
rm "$root/run/lockstep/logs/0-0.state"
ok 'removal is refused while mirrors use it'

inside dpkg -r lockstep > "$base/log" 2>&1 || { cat "$base/log"; no remove; }
traces > "$base/left"
printf '/etc/default/lockstep\n/etc/lockstep/lockstep.toml\n' | diff - "$base/left" || no 'only conffiles are left'
ok 'removed: only conffiles are left'
inside dpkg -P lockstep > "$base/log" 2>&1 || { cat "$base/log"; no purge; }
traces | grep . && no 'nothing is left'
[ ! -e "$root/etc/lockstep" ] || no 'the folder of the configuration'
ok 'purged: nothing is left'

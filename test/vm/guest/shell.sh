# A machine for a person: the programs of the checkout by their names, a system log, and a shell on the terminal.
# Runs in the guest after lib.sh and mirror.sh, before `shell` or a command.
# shellcheck shell=bash
set +euo pipefail
trap - ERR EXIT
# The boot is over: the runner waits without limit from here on.
echo '@open'

# Behind all other folders: what is installed here, our package for one, comes first.
mkdir -p /run/vm/bin
for program in lockstepd lockstep cmirrord; do
  printf '#!/bin/sh\nexec "%s" "%s/dist/bin/%s.js" "$@"\n' "$NODE" "$VM_FOLDER" "$program" >"/run/vm/bin/$program"
done
ln -s "$NODE" /run/vm/bin/node
chmod +x /run/vm/bin/*
export PATH="$PATH:/run/vm/bin"
/run/vm/busybox syslogd -O /run/messages

shell() {
  stty -F /dev/hvc0 rows "$LINES" cols "$COLUMNS"
  {
    echo
    echo "Linux $(uname -r), unmodified; this machine's files, and what is written to them here is gone at the end."
    echo "Disks: $(lsblk -dno NAME,SIZE | tr -s ' ' | paste -sd, | sed 's/,/, /g'). System log: /run/messages. There is no systemd here."
    echo
  } >/dev/hvc0
  unset COLUMNS LINES
  PS1='vm# ' setsid -wc bash --norc -i <>/dev/hvc0 >&0 2>&1
}

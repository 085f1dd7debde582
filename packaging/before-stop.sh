#!/bin/sh
# Run by the units before they stop the daemon, MAINPID.
#
# When the host goes down, mirrors that nobody has open any more are taken down while there is still somebody who answers for
# them: their logs are closed, and the next boot has nothing to copy. udev is not waited for, it may be gone.
#
# At any other time mirrors stay and wait for the next daemon. With one of them the daemon would refuse SIGTERM, so it is killed here,
# which is safe, and nobody waits for the unit's stop time.
mirrors=$(dmsetup table --target mirror | sed -n 's/^\(.*\): [0-9]* [0-9]* mirror userspace .*/\1/p')
if [ "$(systemctl is-system-running)" = stopping ]; then
  for name in $mirrors; do
    [ "$(dmsetup info -c --noheadings -o open "$name")" != 0 ] || dmsetup remove --noudevsync "$name"
  done
elif [ -n "$mirrors" ] && [ -n "$MAINPID" ]; then
  echo "these mirrors wait for the next daemon:" $mirrors
  kill -KILL "$MAINPID"
fi

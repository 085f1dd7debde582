#!/bin/sh
# Starts @PROGRAM@ with the Node that /etc/default/lockstep names.
NODE=/usr/bin/node
if [ -r /etc/default/lockstep ]; then . /etc/default/lockstep; fi
if [ ! -x "$NODE" ]; then
  echo "@PROGRAM@: needs Node 20.17 or newer, and there is no $NODE; NODE in /etc/default/lockstep says where it is" >&2
  exit 1
fi
exec "$NODE" /usr/lib/lockstep/dist/bin/@PROGRAM@.js "$@"

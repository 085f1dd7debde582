#!/bin/sh
# A host of a cluster under Pacemaker, in namespaces: the agent stands where the package puts it, with a daemon for a simulated kernel, and
# the mirror is a resource of its own, whose kernel is a process. Runs until it is killed, or pacemakerd ends.
#
#   pacemaker-host.sh FOLDER NUMBER BOOT ROOT NODE      FOLDER has `disks` and `kernels`, for all hosts
set -e
folder=$1
number=$2
boot=$3
root=$4
node=$5
kernel=$folder/kernels/$number

rm -rf /run/over /run/lockstep /run/cmirrord.pid /run/mirror.* "$kernel"
for each in /usr/sbin /usr/bin /usr/lib/ocf/resource.d; do
  mkdir -p "/run/over$each/upper" "/run/over$each/work"
  mount -t overlay overlay -o "lowerdir=$each,upperdir=/run/over$each/upper,workdir=/run/over$each/work" "$each"
done
for each in /var/lib/pacemaker /var/log/pacemaker; do mount -t tmpfs -o mode=770 tmpfs $each; done
mkdir /var/lib/pacemaker/cib /var/lib/pacemaker/pengine /var/lib/pacemaker/cores /var/lib/pacemaker/blackbox
chown -R hacluster:haclient /var/lib/pacemaker /var/log/pacemaker

put() {
  cat > "$1"
  chmod 755 "$1"
}
put /usr/bin/lockstep << END
#!/bin/sh
exec "$node" "$root/dist/bin/lockstep.js" "\$@"
END
# As the real one: it says what is wrong, or ends when the daemon serves.
put /usr/sbin/cmirrord << END
#!/bin/sh
daemon() { "$node" "$root/dist/bin/lockstepd.js" --config "$folder/lockstep-$number.toml" "\$@"; }
daemon --check-config > /run/check 2>&1 || { cat /run/check; exit 2; }
setsid "$node" "$root/dist/bin/lockstepd.js" --config "$folder/lockstep-$number.toml" --simulated-kernel "$kernel" \
  --pid-file /run/cmirrord.pid --boot-id "boot-$number-$boot" < /dev/null >> /run/daemon.log 2>&1 &
until [ "\$(cat /run/cmirrord.pid 2> /dev/null)" = \$! ]; do
  kill -0 \$! || exit 1
  sleep 0.1
done
END
mkdir /usr/lib/ocf/resource.d/lockstep /usr/lib/ocf/resource.d/lockstep-test
install -m 755 "$root/packaging/ocf/mirror-log" /usr/lib/ocf/resource.d/lockstep/mirror-log
put /usr/lib/ocf/resource.d/lockstep-test/mirror << END
#!/bin/sh
# The mirror: what it has done stands in mirror.story, and whether the daemon was there.
tell() {
  kill -0 "\$(cat /run/cmirrord.pid)" 2> /dev/null || set -- "\$1 without a daemon"
  echo "\$1" >> /run/mirror.story
}
runs() { kill -0 "\$(cat /run/mirror.pid 2> /dev/null || echo none)" 2> /dev/null; }
mirror() {
  "$node" "$root/dist/bin/simulated-kernel.js" --socket "$kernel" --leg "$folder/disks/first" --leg "$folder/disks/second" \
    --log-device "$folder/disks/log" --uuid LVM-shared --size 16M --region-size 128 --share $number/3 --rate 60 --depth 8 --hot 8 \
    --integrated-flush "\$1" > /run/mirror.said 2>&1 < /dev/null &
  echo \$! > /run/mirror.pid
  wait \$!
  echo \$? > /run/mirror.end
  rm /run/mirror.pid
}
case \$1 in
  meta-data)
    echo '<?xml version="1.0"?><resource-agent name="mirror"><version>1.0</version><actions><action name="start"/><action name="stop"/>'
    echo '<action name="monitor"/><action name="meta-data"/></actions></resource-agent>'
    ;;
  start)
    runs && exit 0
    word=--resume
    [ -e /run/mirror.story ] || [ $boot != 1 ] || word=--nosync
    tell start
    rm -f /run/mirror.said /run/mirror.end
    mirror \$word > /dev/null 2>&1 &
    until grep -q '"event":"active"' /run/mirror.said 2> /dev/null; do
      [ ! -e /run/mirror.end ] || exit 1
      sleep 0.2
    done
    ;;
  stop)
    runs || exit 0
    tell stop
    kill -TERM "\$(cat /run/mirror.pid)"
    until [ -e /run/mirror.end ]; do sleep 0.2; done
    exit "\$(cat /run/mirror.end)"
    ;;
  monitor) runs || exit 7 ;;
  *) exit 3 ;;
esac
END

pacemakerd > /run/pacemakerd.out 2>&1 < /dev/null &
# As process 1 it takes up whoever has lost his parent, too.
end=0
wait $! || end=$?
{
  echo $end
  kill -0 "$(cat /run/cmirrord.pid 2> /dev/null || echo none)" 2> /dev/null && echo "a daemon is left"
  cat /run/mirror.story /run/mirror.end
} > "$folder/end-$number"

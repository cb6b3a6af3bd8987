#!/bin/bash
# Builds the body of one lab switch: its own root file system over the machine's, in the namespaces
# it was started in. Expects DEVICE (name), FLASH (a directory that survives power cuts) and SCRIPTS.
set -eu
body=$FLASH.body # a directory only to mount on
mkdir -p "$body"
mount -t tmpfs -o size=64m tmpfs "$body"
cd "$body"
mkdir changes scratch root
mount -t overlay overlay root -o lowerdir=/,upperdir="$body/changes",workdir="$body/scratch"
cd root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev/
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir -p flash lab old
mount --bind "$FLASH" flash
cp "$SCRIPTS"/*.sh lab/
# Nothing of the machine's own daemons shines through.
rm -rf etc/frr etc/lldpd.d etc/ssh/ssh_host_* etc/dhcp
mkdir etc/frr etc/lldpd.d etc/dhcp
pivot_root . old
umount -l old
cd /
exec chroot . /bin/bash /lab/life.sh

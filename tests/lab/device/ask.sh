#!/bin/bash
# A box that only asks for an address on eth0: the client named first, other people's program, in
# namespaces of its own. The working directory is the box's: the client's files are there, and what
# it was told stands in `news` (or, for systemd-networkd, in `leases`). `-r` gives the lease back.
set -eu
here=$PWD
mount -t tmpfs tmpfs /run
install -m 755 "$(dirname "$0")/news.sh" "$here/news.sh"

ask_udhcpc() {
    exec udhcpc -i eth0 -f -t 10 -T 1 -s "$here/news.sh" -O 66 -O 67 -O 150
}

ask_dhclient() {
    cat >dhclient.conf <<CONF
option tftp-servers code 150 = array of ip-address;
timeout 10; retry 1; initial-interval 1; backoff-cutoff 2;
request subnet-mask, routers, domain-name-servers, domain-name, host-name, tftp-server-name,
    bootfile-name, tftp-servers;
CONF
    touch dhclient.leases
    exec dhclient "${1:--d}" -cf dhclient.conf -sf "$here/news.sh" -lf "$here/dhclient.leases" \
        -pf "$here/dhclient.pid" eth0
}

ask_dhcpcd() {
    cat >dhcpcd.conf <<CONF
ipv4only
noarp
noipv4ll
option subnet_mask, routers, domain_name_servers, domain_name, host_name
define 150 array ipaddress tftp_servers
option tftp_server_name, bootfile_name, tftp_servers
script $here/news.sh
CONF
    mount -t tmpfs tmpfs /var/lib/dhcpcd
    exec dhcpcd -4 -B -d -f "$here/dhcpcd.conf" eth0
}

ask_networkd() {
    mkdir -p leases /run/systemd/network /run/systemd/netif/{leases,links,lldp}
    mount --bind leases /run/systemd/netif/leases
    chown -R systemd-network /run/systemd/netif
    cat >/run/systemd/network/box.network <<CONF
[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
RequestOptions=66 67 150
UseHostname=no
CONF
    mount -o remount,ro /sys # or it waits for udev, which is not here
    SYSTEMD_LOG_LEVEL=debug exec /lib/systemd/systemd-networkd
}

"ask_$1" "${@:2}"

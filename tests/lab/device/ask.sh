#!/bin/bash
# A box that only asks for an address on eth0: the client named first, other people's program, in
# namespaces of its own. The working directory is the box's: the client's files are there, and what
# it was told stands in `news` (or, for systemd-networkd, in `leases` or `links`). `-r` gives the
# lease back. `advertise PREFIX` is the router on a link of such boxes.
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

ask_dhclient6() {
    cat >dhclient6.conf <<CONF
option dhcp6.bootfile-url code 59 = string;
timeout 10; retry 1; initial-interval 1; backoff-cutoff 2;
also request dhcp6.bootfile-url, dhcp6.name-servers, dhcp6.domain-search;
CONF
    touch dhclient6.leases
    [ $# -gt 0 ] || set -- -d
    exec dhclient -6 "$@" -D LL -cf dhclient6.conf -sf "$here/news.sh" \
        -lf "$here/dhclient6.leases" -pf "$here/dhclient6.pid" eth0
}

ask_dhcpcd6() {
    cat >dhcpcd6.conf <<CONF
ipv6only
duid ll
option dhcp6_bootfile_url, dhcp6_name_servers, dhcp6_domain_search
script $here/news.sh
CONF
    mount -t tmpfs tmpfs /var/lib/dhcpcd
    exec dhcpcd -6 -B -d -f "$here/dhcpcd6.conf" eth0
}

# A DUID of the kind `vendor` is made from the machine, and its hardware address is not in it.
ask_networkd6() {
    mkdir -p links /run/systemd/network /run/systemd/netif/{leases,links,lldp}
    mount --bind links /run/systemd/netif/links
    chown -R systemd-network /run/systemd/netif
    cat >/run/systemd/network/box.network <<CONF
[Match]
Name=eth0
[Network]
DHCP=ipv6
LinkLocalAddressing=ipv6
IPv6AcceptRA=yes
[DHCPv6]
DUIDType=$1
WithoutRA=solicit
UseHostname=no
CONF
    mount -o remount,ro /sys
    SYSTEMD_LOG_LEVEL=debug exec /lib/systemd/systemd-networkd
}

# A router that sends its clients to the DHCPv6 server: the flag M of RFC 4861 section 4.2.
advertise() {
    mkdir -p /run/systemd/network /run/systemd/netif/{leases,links,lldp}
    chown -R systemd-network /run/systemd/netif
    cat >/run/systemd/network/router.network <<CONF
[Match]
Name=eth0
[Network]
Address=$1::fe/64
LinkLocalAddressing=ipv6
IPv6SendRA=yes
IPv6AcceptRA=no
[IPv6SendRA]
Managed=yes
[IPv6Prefix]
Prefix=$1::/64
AddressAutoconfiguration=no
OnLink=yes
CONF
    mount -o remount,ro /sys
    exec /lib/systemd/systemd-networkd
}

case $1 in
advertise) advertise "$2" ;;
*) "ask_$1" "${@:2}" ;;
esac

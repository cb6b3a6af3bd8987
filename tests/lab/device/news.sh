#!/bin/bash
# What udhcpc, dhclient and dhcpcd call when they have news: writes it down beside itself, one empty
# line after each, and takes the address. udhcpc says what it is about by argument and short names,
# the others by $reason and $new_ names.
event=${1:-${reason:-}}
{
    echo "event=$event"
    env | grep -v '^_=' | sort
    echo
} >>"$(dirname "$0")/news"
case $event in
deconfig | PREINIT)
    ip -4 addr flush dev eth0
    ip link set eth0 up
    ;;
bound | renew | BOUND | RENEW | REBIND | REBOOT)
    ip addr replace "${ip:-$new_ip_address}/${subnet:-$new_subnet_mask}" dev eth0
    router=${router:-${new_routers:-}}
    [ -z "$router" ] || ip route replace default via "${router%% *}" dev eth0
    ;;
RELEASE | STOP) ip -4 addr flush dev eth0 ;;
PREINIT6) ip link set eth0 up ;;
BOUND6 | RENEW6 | REBIND6)
    # dhcpcd takes the address itself, and names it otherwise. It is of no link (RFC 5942).
    [ -z "${new_ip6_address:-}" ] || ip -6 addr replace "$new_ip6_address/128" dev eth0
    ;;
RELEASE6) ip -6 addr del "$old_ip6_address/128" dev eth0 ;;
esac

#!/bin/bash
# What a DHCP client calls when it has news: takes the address, and writes down what it was told.
# udhcpc says so by argument and short names, dhclient by $reason and $new_ names.
word=${1:-${reason:-}}
case $word in
deconfig | PREINIT)
    ip addr flush dev mgmt0
    ip link set mgmt0 up
    ;;
bound | renew | BOUND | RENEW | REBIND | REBOOT)
    env | sort >/flash/lease.env
    address=${ip:-${new_ip_address:-}}
    netmask=${subnet:-${new_subnet_mask:-255.255.255.0}}
    servers=${new_tftp_servers:-}
    if [ -n "${opt150:-}" ]; then
        servers=$(printf '%d.%d.%d.%d' "0x${opt150:0:2}" "0x${opt150:2:2}" \
            "0x${opt150:4:2}" "0x${opt150:6:2}")
    fi
    ip addr replace "$address/$netmask" dev mgmt0
    {
        echo "ADDRESS=$address"
        printf 'FILE=%q\n' "${bootfile:-${boot_file:-${new_bootfile_name:-${new_filename:-}}}}"
        printf 'SERVER=%q\n' "${servers:-${tftp:-${new_tftp_server_name:-${siaddr:-}}}}"
    } >/flash/lease.answer
    ;;
esac

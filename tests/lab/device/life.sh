#!/bin/bash
# The life of one lab switch, as its process 1: speak LLDP, ask for an address, fetch the
# configuration, give it to FRR, open SSH. DHCP, TFTP, HTTP, LLDP, FRR and SSH are other people's
# programs; only this glue is ours. Expects DEVICE, SERIAL, MODEL, CLIENT (udhcpc or dhclient).
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
STARTUP=/flash/startup-config

say() { printf '%8s %s\n' "$(cut -d' ' -f1 /proc/uptime)" "$*"; }

rename() {
    hostname "$1"
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$1" >/etc/hosts # lldpd resolves its own name
}

announce() {
    {
        echo 'configure lldp tx-interval 1'
        echo 'configure lldp tx-hold 3'
        echo 'configure lldp portidsubtype ifname'
        echo 'configure system capabilities enabled bridge,router'
    } >/etc/lldpd.d/lab.conf
    install -d -o _lldpd -g _lldpd /run/lldpd
    lldpd -d -I 'swp*' -M 4 -S "Lab switch" -P "$MODEL" >/run/lldpd.log 2>&1 &
}

# lldpd that starts while a busy machine brings its ports up now and then never sees them; a switch
# that is mute by accident would be accused of it.
speak_up() {
    local silent=0
    while sleep 1; do
        if ! cat /sys/class/net/swp*/carrier 2>/dev/null | grep -q 1; then
            silent=0 # nobody to speak to
            continue
        fi
        lldpcli -f keyvalue show statistics 2>/dev/null | grep -q 'tx\.tx=[1-9]' && return 0
        silent=$((silent + 1))
        [ "$silent" -lt 2 ] && continue
        say "lldpd does not speak"
        silent=0
        pkill -x lldpd
        sleep 0.2
        announce
    done
}

ask_udhcpc() {
    udhcpc -i mgmt0 -f -q -n -t 10 -T 1 -s /lab/lease.sh -V "greenlight-frr:$MODEL:$SERIAL" \
        -O 66 -O 67 -O 150
}

ask_dhclient() {
    cat >/run/dhclient.conf <<CONF
option tftp-servers code 150 = array of ip-address;
timeout 10; retry 1; initial-interval 1; backoff-cutoff 2;
send vendor-class-identifier "greenlight-frr:$MODEL:$SERIAL";
request subnet-mask, routers, tftp-server-name, bootfile-name, tftp-servers;
CONF
    : >/run/dhclient.leases
    dhclient -1 -cf /run/dhclient.conf -sf /lab/lease.sh -lf /run/dhclient.leases \
        -pf /run/dhclient.pid mgmt0
}

fetch() {
    rm -f /run/fetched
    case $FILE in
    http*) curl -sSf --noproxy '*' -m 20 -o /run/fetched "$FILE" ;;
    *) tftp -m binary "$SERVER" -c get "$FILE" /run/fetched ;; # exits with 0 even on an error
    esac
    [ -s /run/fetched ]
}

autoinstall() {
    until
        say "asking for an address with $CLIENT" &&
            "ask_$CLIENT" >>/run/client.log 2>&1 && . /flash/lease.answer &&
            say "address $ADDRESS, file ${FILE:-none}, server ${SERVER:-none}" && fetch
    do
        say "no configuration yet"
        sleep 1
    done
    cp /run/fetched "$STARTUP"
    cp /run/fetched /flash/as-fetched
    say "fetched $(wc -c <"$STARTUP") bytes"
}

apply() {
    local name
    name=$(awk '$1 == "hostname" { print $2; exit }' "$STARTUP")
    rename "${name:-$DEVICE}"
    lldpcli configure system hostname "${name:-$DEVICE}" >/dev/null
    chown frr:frrvty /etc/frr
    chmod 775 /etc/frr
    echo 'service integrated-vtysh-config' >/etc/frr/vtysh.conf
    install -d -o frr -g frr /run/frr
    printf 'vtysh_enable=no\nzebra_options="-A 127.0.0.1"\nstaticd_options="-A 127.0.0.1"\n' \
        >/etc/frr/daemons
    /usr/lib/frr/frrinit.sh start >/run/frrinit.log 2>&1 # watchfrr saves with the right owner
    vtysh -f "$STARTUP" >/run/apply.log 2>&1
    say "configuration applied ($?)"
}

open_door() {
    useradd -m -s /bin/bash -G frrvty,frr,adm netops
    echo 'netops:lab-password' | chpasswd
    install -d /run/sshd /flash/ssh
    [ -f /flash/ssh/key ] || ssh-keygen -q -t ed25519 -N '' -f /flash/ssh/key
    /usr/sbin/sshd -f /dev/null -E /run/sshd.log -o HostKey=/flash/ssh/key \
        -o PidFile=/run/sshd.pid -o UsePAM=no -o PasswordAuthentication=yes
    say "door open"
}

: >/etc/resolv.conf
install -d /etc/greenlight
printf '%s\n' "$SERIAL" >/etc/greenlight/serial
printf '%s\n' "$MODEL" >/etc/greenlight/model
rename switch
ip link set lo up
for port in /sys/class/net/swp* /sys/class/net/mgmt0; do ip link set "${port##*/}" up; done
say "power on: $DEVICE, $MODEL, $SERIAL"
announce
[ -s "$STARTUP" ] || autoinstall
apply
open_door
lldpcli update >/dev/null 2>&1
speak_up &
exec tail -f /dev/null

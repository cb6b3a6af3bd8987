//! Do the DHCP relays of others bring their clients here and the answers back? Devices are found by
//! the port they are plugged into, and each subnet is chosen by the relay's address in it.

use crate::asking::{Asking, Client};
use crate::net::{Net, Running};
use crate::room::{Room, SERVER};
use crate::until;

const SETTINGS: &str = "\
dhcp:
  listen: [{ address: '0.0.0.0:67', interface: eth0 }]
  server_address: 10.77.0.1
  lease: 1h
  pools:
    - { subnet: 10.77.0.0/24, router: 10.77.0.1 }
    - { subnet: 10.78.10.0/24, router: 10.78.10.1 }
    - { subnet: 10.78.20.0/24, router: 10.78.20.1 }
    - { subnet: 10.78.30.0/24, router: 10.78.30.1 }
    - { subnet: 10.78.40.0/24, router: 10.78.40.1 }
tftp: { listen: ['10.77.0.1:69'] }
http: { listen: ['10.77.0.1:80'] }
";

/// A box behind a relay: its relay, the relay's interface, the third number of the subnet, and by
/// what the plan knows it.
struct Place {
    name: &'static str,
    relay: &'static str,
    port: &'static str,
    subnet: u8,
    known_by: &'static str,
    client: Client,
}

const PLACES: [Place; 4] = [
    Place {
        name: "box-1",
        relay: "dhcrelay",
        port: "Vlan10",
        subnet: 10,
        known_by: "position: { circuit_id: Vlan10 }",
        client: Client::Udhcpc,
    },
    Place {
        name: "box-2",
        relay: "dhcrelay",
        port: "Vlan20",
        subnet: 20,
        known_by: "position: { circuit_id: Vlan20 }",
        client: Client::Dhclient,
    },
    Place {
        name: "box-3",
        relay: "dnsmasq",
        port: "Vlan30",
        subnet: 30,
        known_by: "mac: '02:00:00:00:00:30'",
        client: Client::Dhcpcd,
    },
    Place {
        name: "box-4",
        relay: "networkd",
        port: "Vlan40",
        subnet: 40,
        known_by: "position: { circuit_id: 'dist-3:Gi1/0/7', remote_id: dist-3 }",
        client: Client::Networkd,
    },
];

/// Relays with their address towards Greenlight, and how each is started.
const RELAYS: [(&str, &str, &str); 3] = [
    ("dhcrelay", "10.77.0.2", "exec dhcrelay -4 -d -a -id Vlan10 -id Vlan20 -iu eth0 10.77.0.1"),
    (
        "dnsmasq",
        "10.77.0.3",
        "exec dnsmasq --no-daemon --conf-file=/dev/null --port=0 --user=root \
         --dhcp-relay=10.78.30.1,10.77.0.1 --interface=Vlan30 --interface=eth0",
    ),
    ("networkd", "10.77.0.4", NETWORKD),
];

/// It takes its addresses itself and stumbles over those that are there already.
const NETWORKD: &str = "
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/network /run/systemd/netif/leases /run/systemd/netif/links \
    /run/systemd/netif/lldp
chown -R systemd-network /run/systemd/netif
cat >/run/systemd/network/down.network <<CONF
[Match]
Name=Vlan40
[Network]
Address=10.78.40.1/24
DHCPServer=yes
LinkLocalAddressing=no
[DHCPServer]
RelayTarget=10.77.0.1
BindToInterface=no
RelayAgentCircuitId=string:dist-3:Gi1/0/7
RelayAgentRemoteId=string:dist-3
CONF
cat >/run/systemd/network/up.network <<CONF
[Match]
Name=eth0
[Network]
Address=10.77.0.4/24
LinkLocalAddressing=no
CONF
ip addr flush dev Vlan40
ip addr flush dev eth0
mount -o remount,ro /sys
exec /lib/systemd/systemd-networkd
";

/// Starts all relays and waits until they listen.
fn relays_at_work(room: &Room<'_>) -> Vec<Running> {
    let start = |(name, _, script): (&str, &str, &str)| {
        let log = std::fs::File::create(room.place(name).join("relay.log"));
        let log = log.expect("it can be written");
        let mut command = room.net.command(name, "unshare");
        command.args(["--mount", "--propagation", "private", "--", "sh", "-c", script]);
        command.stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        Running(command.spawn().expect("unshare is installed"))
    };
    let relays = RELAYS.map(start).into();
    for (name, ..) in RELAYS {
        until(&format!("the relay {name} listens"), 10, || {
            let sockets = room.net.run(name, &["ss", "-Hlnu", "sport", "=", "67"]);
            if sockets.is_empty() { Err(relay_log(room, name)) } else { Ok(()) }
        });
    }
    relays
}

fn relay_log(room: &Room<'_>, name: &str) -> String {
    std::fs::read_to_string(room.place(name).join("relay.log")).unwrap_or_default()
}

/// Each relay is a router between the management network and its boxes.
fn cabled() -> Net {
    let mut net = Net::with_server();
    for (relay, address, _) in RELAYS {
        net.space(relay);
        net.join_management(relay, "eth0");
        net.ip(&format!("-n {relay} addr add {address}/24 dev eth0"));
        net.forward(relay);
    }
    for Place { name, relay, port, subnet, .. } in &PLACES {
        net.space(name);
        net.ip(&format!("link add {port} netns {relay} type veth peer name eth0 netns {name}"));
        net.ip(&format!("-n {name} link set eth0 address 02:00:00:00:00:{subnet}"));
        net.ip(&format!("-n {name} link set eth0 up"));
        net.ip(&format!("-n {relay} link set {port} up"));
        net.ip(&format!("-n {relay} addr add 10.78.{subnet}.1/24 dev {port}"));
        let uplink = RELAYS.iter().find(|(one, ..)| one == relay).map(|(_, address, _)| address);
        let uplink = uplink.expect("each box has a relay that exists");
        net.ip(&format!("-n srv route add 10.78.{subnet}.0/24 via {uplink}"));
    }
    net
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_box_behind_a_relay_is_known_by_its_port_and_gets_an_address_of_its_subnet() {
    let net = cabled();
    let device = |place: &Place| {
        let Place { name, subnet, known_by, .. } = place;
        format!("name: {name}, {known_by}, address: 10.78.{subnet}.9")
    };
    let room = Room::open(&net, SETTINGS, &PLACES.each_ref().map(device));
    let _relays = relays_at_work(&room);
    let asking = PLACES.each_ref().map(|place| Asking::start(&room, place.name, place.client));
    for (one, place) in asking.iter().zip(&PLACES) {
        let told = one.told();
        let Place { name, subnet, .. } = place;
        for value in [format!("10.78.{subnet}.9"), format!("10.78.{subnet}.1"), SERVER.to_owned()] {
            assert!(told.values().any(|it| *it == value), "{name}: no {value} in {told:#?}");
        }
        let line = "curl -sS -o got tftp://$URL_HOST/$FILE";
        room.fetches_own((name, name), line, SERVER, &format!("{name}.cfg"));
        room.logs(name, "has its configuration", 1);
    }
    // A renewal passes no relay: the box is known by what the relay said when it got the lease.
    let [by_position, ..] = &asking;
    by_position.renew_now();
    until("the lease is made longer past the relay", 10, || {
        if by_position.renewals() > 0 { Ok(()) } else { Err(by_position.log()) }
    });
}

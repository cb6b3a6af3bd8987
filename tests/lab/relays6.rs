//! Do the DHCPv6 relays of others bring their clients here and the answers back? dhcrelay tells by
//! which of its interfaces a client came (option 18), dnsmasq by which hardware address (option
//! 79).

use crate::asking::{Asking, Client};
use crate::net::{Net, Running};
use crate::room::{Room, SERVER_6};

const SETTINGS: &str = "\
dhcp6:
  server_address: fd00:77::1
  rapid_commit: true
  pools:
    - { subnet: 'fd00:78:10::/64' }
    - { subnet: 'fd00:78:20::/64' }
    - { subnet: 'fd00:78:30::/64' }
tftp: { listen: ['[::]:69'] }
http: { listen: ['[::]:80'] }
";

/// Relays with their address towards Greenlight, and how each is started. dhcrelay numbers its
/// lower interfaces in option 18, four bytes each, beginning with 1 at the last that is named.
const RELAYS: [(&str, &str, &str); 2] = [
    (
        "dhcrelay",
        "fd00:77::2",
        "exec dhcrelay -6 -d -I -pf $PWD/pid -l Vlan10 -l Vlan20 -u fd00:77::1%eth0",
    ),
    (
        "dnsmasq",
        "fd00:77::3",
        "exec dnsmasq --no-daemon --conf-file=/dev/null --port=0 --user=root \
         --dhcp-relay=fd00:78:30::1,fd00:77::1 --interface=Vlan30 --interface=eth0",
    ),
];

/// A box: its relay, the relay's interface, the third number of the subnet, by what the plan knows
/// it, and its client.
const PLACES: [(&str, &str, &str, u8, &str, Client); 3] = [
    (
        "box-1",
        "dhcrelay",
        "Vlan10",
        10,
        "position: { circuit_id: '0x02000000' }",
        Client::Dhclient6,
    ),
    (
        "box-2",
        "dhcrelay",
        "Vlan20",
        20,
        "position: { circuit_id: '0x01000000' }",
        Client::Dhclient6,
    ),
    ("box-3", "dnsmasq", "Vlan30", 30, "mac: '02:00:00:00:00:30'", Client::Networkd6("vendor")),
];

/// Each relay is a router between the management network and its boxes.
fn cabled() -> Net {
    let mut net = Net::with_server();
    for (relay, address, _) in RELAYS {
        net.space(relay);
        net.join_management(relay, "eth0");
        net.forward(relay);
        net.ip(&format!("-n {relay} addr add {address}/64 dev eth0"));
    }
    for (name, relay, port, subnet, ..) in PLACES {
        net.space(name);
        net.ip(&format!("link add {port} netns {relay} type veth peer name eth0 netns {name}"));
        net.ip(&format!("-n {name} link set eth0 address 02:00:00:00:00:{subnet}"));
        net.ip(&format!("-n {relay} link set {port} up"));
        net.ip(&format!("-n {name} link set eth0 up"));
        net.ip(&format!("-n {relay} addr add fd00:78:{subnet}::1/64 dev {port}"));
        net.ip(&format!("-n {relay} addr add fe80::1/64 dev {port}"));
        net.ip(&format!("-n {name} route add default via fe80::1 dev eth0"));
        let uplink = RELAYS.iter().find(|(one, ..)| *one == relay).map(|(_, address, _)| address);
        let uplink = uplink.expect("each box has a relay that exists");
        net.ip(&format!("-n srv route add fd00:78:{subnet}::/64 via {uplink}"));
    }
    net
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_box_behind_a_dhcpv6_relay_is_known_by_what_the_relay_says_of_it() {
    let net = cabled();
    let device = |(name, _, _, subnet, known_by, _): &(&str, &str, &str, u8, &str, Client)| {
        format!("name: {name}, {known_by}, address6: 'fd00:78:{subnet}::9'")
    };
    let room = Room::open(&net, SETTINGS, &PLACES.each_ref().map(device));
    let _relays = RELAYS.map(|(name, _, line)| {
        let log = std::fs::File::create(room.place(name).join("relay.log"));
        let log = log.expect("it can be written");
        let mut command = net.command(name, "sh");
        command.args(["-c", line]).current_dir(room.place(name));
        command.stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        Running(command.spawn().expect("a shell is installed"))
    });
    let asking = PLACES.map(|(name, .., client)| Asking::start(&room, name, client));
    for (one, (name, _, _, subnet, ..)) in asking.iter().zip(PLACES) {
        assert_eq!(one.address6(), format!("fd00:78:{subnet}::9"), "{name}");
        let lines =
            ["curl -sSg -o got tftp://$URL_HOST/$FILE", "curl -sSg -o got http://$URL_HOST/$FILE"];
        for line in lines {
            room.fetches_own((name, name), line, SERVER_6, &format!("{name}.cfg"));
        }
        room.logs(name, "has its configuration", 2);
    }
}

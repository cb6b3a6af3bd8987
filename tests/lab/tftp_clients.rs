//! Do the TFTP clients of others get their files? Each fetches with its own habits: with and
//! without options, small and large blocks, windows, netascii; through loss and through a firewall.

use crate::net::Net;
use crate::room::{Room, SERVER, SERVER_6, image};
use crate::until;

/// What each is called and what it is told to do.
pub const CLIENTS: [(&str, &str); 11] = [
    ("tftp-hpa", "tftp -m binary $HOST -c get $FILE got"),
    ("tftp-hpa with netascii", "tftp -m ascii $HOST -c get $FILE got"),
    ("atftp", "atftp -g -r $FILE -l got $HOST"),
    ("atftp with large blocks", "atftp --option 'blksize 1428' -g -r $FILE -l got $HOST"),
    ("atftp with every option", ATFTP_WITH_ALL),
    ("curl", "curl -sS -o got tftp://$URL_HOST/$FILE"),
    ("curl with large blocks", "curl -sS --tftp-blksize 1400 -o got tftp://$URL_HOST/$FILE"),
    ("curl without options", CURL_WITHOUT),
    ("busybox", "busybox tftp -g -r $FILE -l got $HOST"),
    ("busybox with large blocks", BUSYBOX_LARGE),
    ("busybox with huge blocks", "busybox tftp -g -b 60000 -r $FILE -l got $HOST"),
];
const ATFTP_WITH_ALL: &str = "atftp --option 'blksize 1428' --option 'windowsize 16' \
     --option 'tsize 0' --option 'timeout 3' -g -r $FILE -l got $HOST";
const CURL_WITHOUT: &str = "curl -sS --tftp-no-options -o got tftp://$URL_HOST/$FILE";
const BUSYBOX_LARGE: &str = "busybox tftp -g -b 1400 -r $FILE -l got $HOST";
/// 65,535 blocks of this size are half a MiB less 8 bytes.
const ATFTP_IN_CRUMBS: &str =
    "atftp --option 'blksize 8' --option 'windowsize 8' -g -r $FILE -l got $HOST";

const TFTP: &str = "tftp: { listen: ['10.77.0.1:69', '[fd00:77::1]:69'] }\n";

fn device(name: &str, number: usize, rest: &str) -> String {
    let mac = format!("02:00:00:00:00:{number:02}");
    let addresses = format!("address: 10.77.0.{number}, address6: 'fd00:77::{number}'");
    format!("name: {name}, mac: '{mac}', {addresses}, {rest}")
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn every_tftp_client_gets_its_own_file_to_the_last_byte() {
    let sizes = [
        ("short", "variables: { lines: 3 }"),
        ("whole", "template: whole.j2"),
        ("long", "variables: { lines: 2000 }"),
        ("huge", "variables: { lines: 14500 }"),
    ];
    let mut net = Net::with_server();
    let mut devices = Vec::new();
    for (number, (name, rest)) in (11..).zip(sizes) {
        let mac = format!("02:00:00:00:00:{number}");
        net.box_with(name, &mac, Some(&format!("10.77.0.{number}/24")));
        net.ip(&format!("-n {name} addr add fd00:77::{number}/64 dev eth0"));
        devices.push(device(name, number, rest));
    }
    net.box_with("stranger", "02:00:00:00:00:99", Some("10.77.0.99/24"));
    let room = Room::open(&net, TFTP, &devices);

    let whole = room.rendered("whole").len();
    assert_eq!((whole, whole % 512), (1024, 0), "its last block is to be an empty one");
    for name in ["short", "whole", "long"] {
        for host in [SERVER, SERVER_6] {
            for (_, line) in CLIENTS {
                room.fetches_own((name, name), line, host, &format!("{name}.cfg"));
            }
        }
    }
    let blocks = room.rendered("huge").len() / 8;
    assert!(blocks > 65_536, "{blocks} blocks have numbers enough");
    room.fetches_own(("huge", "huge"), ATFTP_IN_CRUMBS, SERVER, "huge.cfg");

    room.logs("long", &format!("again, {} so far", 2 * CLIENTS.len() - 1), 1);

    // tftp-hpa says success whatever happens; all others must have understood the refusal.
    for (name, line) in CLIENTS {
        let refused = room.fetch("stranger", line, SERVER, "short.cfg");
        assert_eq!(refused.bytes.unwrap_or_default(), b"", "{name}: {}", refused.said);
        let understood = refused.code != Some(0) && refused.code != Some(124);
        assert!(understood || name.starts_with("tftp-hpa"), "{name}: {}", refused.said);
    }
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn every_tftp_client_gets_an_image_over_both_families() {
    let mut net = Net::with_server();
    net.box_with("box-1", "02:00:00:00:00:17", Some("10.77.0.17/24"));
    net.ip("-n box-1 addr add fd00:77::17/64 dev eth0");
    let settings = format!("images: images\n{TFTP}");
    let room = Room::open(&net, &settings, &[device("box-1", 17, "variables: { lines: 3 }")]);
    let hosts = [SERVER, SERVER_6].into_iter().cycle();
    // An image has no lines, and goes in octets alone.
    let octets = CLIENTS.into_iter().filter(|(name, _)| !name.contains("netascii"));
    for ((_, line), host) in octets.zip(hosts) {
        room.fetches("box-1", line, (host, "system.bin"), &image());
    }
}

/// How each sends the file `backup`.
const SENDERS: [(&str, &str); 8] = [
    ("tftp-hpa", "tftp -m binary $HOST -c put backup $FILE"),
    ("tftp-hpa with netascii", "tftp -m ascii $HOST -c put backup $FILE"),
    ("atftp", "atftp -p -l backup -r $FILE $HOST"),
    ("atftp with every option", ATFTP_SENDS_WITH_ALL),
    ("curl", "curl -sS -T backup tftp://$URL_HOST/$FILE"),
    ("curl with large blocks", "curl -sS --tftp-blksize 1400 -T backup tftp://$URL_HOST/$FILE"),
    ("busybox", "busybox tftp -p -l backup -r $FILE $HOST"),
    ("busybox with large blocks", "busybox tftp -p -b 1400 -l backup -r $FILE $HOST"),
];
const ATFTP_SENDS_WITH_ALL: &str = "atftp --option 'blksize 1428' --option 'windowsize 16' \
     --option 'tsize 0' --option 'timeout 3' -p -l backup -r $FILE $HOST";

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn every_tftp_client_sends_its_backup_over_both_families() {
    let mut net = Net::with_server();
    net.box_with("box-1", "02:00:00:00:00:18", Some("10.77.0.18/24"));
    net.ip("-n box-1 addr add fd00:77::18/64 dev eth0");
    let settings = "tftp: { listen: ['[::]:69'], uploads: { directory: backups } }\n";
    let room = Room::open(&net, settings, &[device("box-1", 18, "variables: { lines: 2000 }")]);
    let backup = room.rendered("box-1");
    std::fs::write(room.place("box-1").join("backup"), &backup).expect("it can be written");
    for host in [SERVER, SERVER_6] {
        for (number, (name, line)) in (1..).zip(SENDERS) {
            let file = format!("from-{}-{number}.cfg", host.len());
            let sent = room.fetch("box-1", line, host, &file);
            until(
                &format!("the backup of {name} over {host} is there"),
                5,
                || match std::fs::read(room.place("backups").join("box-1").join(&file)) {
                    Ok(bytes) if bytes == backup => Ok(()),
                    Ok(bytes) => Err(format!("{} bytes of {}", bytes.len(), backup.len())),
                    Err(error) => Err(format!("{error}\n{}\n{}", sent.said, room.greenlight.log())),
                },
            );
            assert_eq!(sent.code, Some(0), "{name}: {}", sent.said);
        }
    }
}

/// Every fiftieth datagram is lost, the requests and the blocks each by their own count.
const LOSS: &str = "\
table bridge loss {
    chain through {
        type filter hook forward priority 0
        iifname \"to-srv\" meta l4proto udp numgen inc mod 50 == 7 counter drop
        oifname \"to-srv\" meta l4proto udp numgen inc mod 50 == 31 counter drop
    }
}
";

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_file_arrives_whole_when_two_of_a_hundred_datagrams_are_lost_each_way() {
    let mut net = Net::with_server();
    net.box_with("lossy", "02:00:00:00:00:21", Some("10.77.0.21/24"));
    net.ip("-n lossy addr add fd00:77::21/64 dev eth0");
    let room = Room::open(&net, TFTP, &[device("lossy", 21, "variables: { lines: 800 }")]);
    net.rules("mgmt", LOSS);
    // curl names a timeout of 6 s, and a block that is lost is repeated no sooner (RFC 2349).
    let patient = ["curl", "curl with large blocks"];
    let hosts = [SERVER, SERVER_6].into_iter().cycle();
    for ((_, line), host) in CLIENTS.iter().filter(|(name, _)| !patient.contains(name)).zip(hosts) {
        room.fetches_own(("lossy", "lossy"), line, host, "lossy.cfg");
    }
    let rules = net.run("mgmt", &["nft", "list", "ruleset"]);
    let lost = rules.lines().filter(|line| line.contains("counter packets")).collect::<Vec<_>>();
    assert_eq!(lost.len(), 2, "{rules}");
    assert!(lost.iter().all(|line| !line.contains("packets 0 ")), "nothing was lost: {rules}");
}

/// Lets nothing in but answers, and knows nothing of TFTP.
const WALL: &str = "\
table ip wall {
    chain hide {
        type nat hook postrouting priority srcnat
        oifname \"out\" masquerade
    }
    chain pass {
        type filter hook forward priority 0; policy drop
        iifname \"in\" accept
        ct state established,related accept
    }
}
";

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_single_port_goes_through_a_firewall_that_stops_transfer_ports() {
    let mut net = Net::with_server();
    net.ip("-n srv addr add 10.77.0.2/24 dev eth0");
    for space in ["wall", "inside"] {
        net.space(space);
    }
    net.join_management("wall", "out");
    net.ip("-n wall addr add 10.77.0.31/24 dev out");
    net.ip("link add in netns wall type veth peer name eth0 netns inside");
    net.ip("-n wall link set in up");
    net.ip("-n wall addr add 192.168.9.1/24 dev in");
    net.ip("-n inside link set eth0 up");
    net.ip("-n inside addr add 192.168.9.2/24 dev eth0");
    net.ip("-n inside route add default via 192.168.9.1");
    net.forward("wall");
    net.rules("wall", WALL);
    let devices = [device("hidden", 31, "variables: { lines: 2000 }")];
    let single = "tftp: { listen: ['10.77.0.1:69'], single_port: true }\n";
    let room = Room::open(&net, single, &devices);
    let many_ports = Room::open(&net, "tftp: { listen: ['10.77.0.2:69'] }\n", &devices);
    for (_, line) in CLIENTS {
        room.fetches_own(("inside", "hidden"), line, SERVER, "hidden.cfg");
    }
    let line = "curl -sS -m 2 -o got tftp://$URL_HOST/$FILE";
    let stopped = many_ports.fetch("inside", line, "10.77.0.2", "hidden.cfg");
    assert_eq!(stopped.bytes.unwrap_or_default(), b"", "the wall has a door: {}", stopped.said);
}

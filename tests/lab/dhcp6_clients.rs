//! Do the DHCPv6 clients of others get, keep and give back an address, and do they find their file
//! by the URL they were told? A router of others tells them to ask.

use std::process::Stdio;

use crate::asking::{Asking, Client, script};
use crate::net::{Net, Running};
use crate::room::{Room, SERVER_6};
use crate::until;

/// Devices renew after half of the preferred lifetime.
const SETTINGS: &str = "\
dhcp6:
  listen: [{ address: '[::]:547', interface: eth0 }]
  server_address: fd00:77::1
  valid_lifetime: 60s
  preferred_lifetime: 20s
  pools:
    - subnet: fd00:77::/64
      range: fd00:77::1000 - fd00:77::1fff
      dns: ['fd00:77::53']
      search: [lab.example]
tftp: { listen: ['[::]:69'] }
http: { listen: ['[::]:80'] }
";

/// A client, the name by which it speaks of the URL, and the programs that fetch after it.
/// systemd-networkd tells nobody of the URL.
type Habits = (&'static str, Client, &'static str, [&'static str; 2]);

/// The URL that is told to each.
const BY_URL: &str = "curl -sSg -o got tftp://$URL_HOST/$FILE";
const BY_HTTP: &str = "curl -sSg -o got http://$URL_HOST/$FILE";
const BOXES: [Habits; 3] = [
    (
        "box-1",
        Client::Dhclient6,
        "new_dhcp6_bootfile_url",
        [BY_URL, "tftp -6 -m binary $HOST -c get $FILE got"],
    ),
    (
        "box-2",
        Client::Dhcpcd6,
        "new_dhcp6_bootfile_url",
        [BY_URL, "atftp --option 'blksize 1428' -g -r $FILE -l got $HOST"],
    ),
    (
        "box-3",
        Client::Networkd6("link-layer"),
        "",
        [BY_HTTP, "busybox tftp -g -r $FILE -l got $HOST"],
    ),
];

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn every_dhcpv6_client_gets_keeps_and_gives_back_its_address() {
    let mut net = Net::with_server();
    net.space("router");
    net.join_management("router", "eth0");
    let mut devices = Vec::new();
    for (number, (name, ..)) in (61..).zip(BOXES) {
        let mac = format!("02:00:00:00:00:{number}");
        net.box_with(name, &mac, None);
        devices.push(format!("name: {name}, mac: '{mac}'"));
    }
    let room = Room::open(&net, SETTINGS, &devices);
    let mut advertising = script(&room, "router", &["advertise", "fd00:77"]);
    let advertising = advertising.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _router = Running(advertising.expect("unshare is installed"));
    let asking = BOXES.map(|(name, client, ..)| Asking::start(&room, name, client));
    let mut addresses = Vec::new();
    for (one, (name, client, url, lines)) in asking.iter().zip(BOXES) {
        let (told, address) = (one.told(), one.address6());
        assert!(address.starts_with(SERVER_6), "{client:?} took {address}");
        assert!(told.values().any(|it| it == "fd00:77::53"), "{client:?} was told {told:#?}");
        let own = format!("tftp://[fd00:77::1]/{name}.cfg");
        if !url.is_empty() {
            assert_eq!(told.get(url), Some(&own), "{client:?} was told {told:#?}");
            let search = told.get("new_dhcp6_domain_search").map(|it| it.trim_end_matches('.'));
            assert_eq!(search, Some("lab.example"), "{client:?} was told {told:#?}");
        }
        for line in lines {
            room.fetches_own((name, name), line, SERVER_6, &format!("{name}.cfg"));
        }
        room.logs(name, &format!("leased {address}"), 1);
        room.logs(name, "has its configuration", 2);
        addresses.push(address);
    }
    for one in &asking {
        until("the lease is made longer", 45, || {
            if one.renewals() > 0 { Ok(()) } else { Err(one.log()) }
        });
    }
    for (one, ((name, client, ..), address)) in asking.into_iter().zip(BOXES.iter().zip(addresses))
    {
        one.release();
        // systemd-networkd gives nothing back in DHCPv6 before version 253.
        if !matches!(client, Client::Networkd6(_)) {
            given_back(&room, name, &address);
        }
    }
}

/// Whoever stands at an address that was given back is nobody.
#[track_caller]
fn given_back(room: &Room<'_>, name: &str, address: &str) {
    room.net.ip(&format!("-n {name} addr replace {address}/64 dev eth0"));
    until(&format!("{address} is given back by {name}"), 10, || {
        let line = "curl -sS -o got tftp://$URL_HOST/$FILE";
        let refused = room.fetch(name, line, SERVER_6, &format!("{name}.cfg"));
        // TFTP_NOTFOUND of curl.
        if refused.code == Some(68) { Ok(()) } else { Err(format!("{name}: {}", refused.said)) }
    });
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_client_that_was_cut_off_confirms_its_address() {
    let mut net = Net::with_server();
    net.box_with("box-1", "02:00:00:00:00:65", None);
    net.ip("-n box-1 route add fd00:77::/64 dev eth0");
    let device = "name: box-1, mac: '02:00:00:00:00:65', address6: 'fd00:77::65'".to_owned();
    let room = Room::open(&net, SETTINGS, &[device]);
    let one = Asking::start(&room, "box-1", Client::Dhclient6);
    assert_eq!(one.told()["new_ip6_address"], "fd00:77::65");
    drop(one);
    let again = Asking::start(&room, "box-1", Client::Dhclient6);
    until("the address is confirmed", 15, || {
        let log = again.log();
        let asked = log.find("XMT: Forming Confirm").ok_or_else(|| log.clone())?;
        log[asked..].contains("RCV: Reply message").then_some(()).ok_or(log)
    });
    assert_eq!(again.address6(), "fd00:77::65");
    room.fetches_own(("box-1", "box-1"), BY_HTTP, SERVER_6, "box-1.cfg");
}

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn a_client_that_has_an_address_is_told_where_its_file_is() {
    let mut net = Net::with_server();
    net.box_with("box-1", "02:00:00:00:00:66", None);
    net.ip("-n box-1 addr add fd00:77::66/64 dev eth0");
    let device = "name: box-1, mac: '02:00:00:00:00:66', address6: 'fd00:77::66'".to_owned();
    let room = Room::open(&net, SETTINGS, &[device]);
    let told = Asking::start(&room, "box-1", Client::Stateless6).told();
    assert_eq!(told["new_dhcp6_bootfile_url"], "tftp://[fd00:77::1]/box-1.cfg");
    assert_eq!(told["new_dhcp6_name_servers"], "fd00:77::53");
    assert_eq!(told.get("new_ip6_address"), None, "{told:#?}");
    room.fetches_own(("box-1", "box-1"), BY_URL, SERVER_6, "box-1.cfg");
}

//! Do the DHCP clients of others get, keep and give back an address, and do they find their file by
//! what they were told?

use crate::asking::{Asking, Client};
use crate::net::Net;
use crate::room::{Room, SERVER};
use crate::until;

const SETTINGS: &str = "\
dhcp:
  listen: [{ address: '0.0.0.0:67', interface: eth0 }]
  server_address: 10.77.0.1
  lease: 60s
  pools:
    - subnet: 10.77.0.0/24
      range: 10.77.0.100 - 10.77.0.150
      router: 10.77.0.1
      dns: [10.77.0.53]
      domain: lab.example
tftp: { listen: ['10.77.0.1:69'] }
http: { listen: ['10.77.0.1:80'] }
";

/// A client, the names by which it speaks of address, server, file and option 150, and the program
/// that fetches after it. systemd-networkd tells nobody the name of a file.
type Habits = (&'static str, Client, [&'static str; 4], &'static str);

const BOXES: [Habits; 4] = [
    (
        "box-1",
        Client::Udhcpc,
        ["ip", "tftp", "bootfile", "opt150"],
        "busybox tftp -g -r $FILE -l got $HOST",
    ),
    (
        "box-2",
        Client::Dhclient,
        ["new_ip_address", "new_tftp_server_name", "new_bootfile_name", "new_tftp_servers"],
        "tftp -m binary $HOST -c get $FILE got",
    ),
    (
        "box-3",
        Client::Dhcpcd,
        ["new_ip_address", "new_tftp_server_name", "new_bootfile_name", "new_tftp_servers"],
        "atftp -g -r $FILE -l got $HOST",
    ),
    (
        "box-4",
        Client::Networkd,
        ["ADDRESS", "NEXT_SERVER", "", ""],
        "curl -sS -o got tftp://$URL_HOST/$FILE",
    ),
];

#[test]
#[ignore = "needs root and network namespaces; ./test runs it"]
fn every_dhcp_client_gets_keeps_and_gives_back_its_address() {
    let mut net = Net::with_server();
    let mut devices = Vec::new();
    for (number, (name, ..)) in (41..).zip(BOXES) {
        let mac = format!("02:00:00:00:00:{number}");
        net.box_with(name, &mac, None);
        devices.push(format!("name: {name}, mac: '{mac}'"));
    }
    let room = Room::open(&net, SETTINGS, &devices);
    let asking = BOXES.map(|(name, client, ..)| Asking::start(&room, name, client));
    let mut addresses = Vec::new();
    for (one, (name, client, [address, server, file, option_150], line)) in asking.iter().zip(BOXES)
    {
        let told = one.told();
        let value = |key: &str| told.get(key).map_or("", String::as_str);
        assert_eq!(value(server), SERVER, "{client:?} was told {told:#?}");
        let own = format!("{name}.cfg");
        match client {
            Client::Udhcpc => assert_eq!(value(option_150), "0a4d0001", "{told:#?}"),
            Client::Dhclient | Client::Dhcpcd => assert_eq!(value(option_150), SERVER, "{told:#?}"),
            Client::Networkd
            | Client::Dhclient6
            | Client::Stateless6
            | Client::Dhcpcd6
            | Client::Networkd6(_) => {}
        }
        if !file.is_empty() {
            assert_eq!(value(file), own, "{client:?} was told {told:#?}");
        }
        for shared in [SERVER, "10.77.0.53", "lab.example", name] {
            assert!(told.values().any(|it| it == shared), "{client:?}: no {shared} in {told:#?}");
        }
        room.fetches_own((name, name), line, value(server), &own);
        addresses.push(value(address).to_owned());
    }
    let mut different = addresses.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), BOXES.len(), "{addresses:?}");

    for one in &asking {
        until("the lease is made longer", 45, || {
            if one.renewals() > 0 { Ok(()) } else { Err(one.log()) }
        });
    }
    for (one, ((name, ..), address)) in asking.into_iter().zip(BOXES.iter().zip(addresses)) {
        room.logs(name, &format!("leased {address}"), 1);
        one.release();
        given_back(&room, name, &address);
    }
}

/// Whoever stands at an address that was given back is nobody.
#[track_caller]
fn given_back(room: &Room<'_>, name: &str, address: &str) {
    room.net.ip(&format!("-n {name} addr replace {address}/24 dev eth0"));
    until(&format!("{address} is given back by {name}"), 10, || {
        let line = "curl -sS -o got tftp://$URL_HOST/$FILE";
        let refused = room.fetch(name, line, SERVER, &format!("{name}.cfg"));
        // TFTP_NOTFOUND of curl.
        if refused.code == Some(68) { Ok(()) } else { Err(format!("{}: it is served", name)) }
    });
}

//! DHCPv4 messages of several clients, one after the other, through the tables of addresses and the
//! answer: no address is ever two clients' own, whatever they say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use greenlight::address::Mac;
use greenlight::clock::Timestamp;
use greenlight::config::meant::Dhcp;
use greenlight::config::resolve::configure;
use greenlight::domain::inventory::meant::{Device, Inventory};
use greenlight::domain::inventory::resolve::{Known, plan};
use greenlight::proto::dhcp4::answer::{Given, Verdict};
use greenlight::proto::dhcp4::relay::Information;
use greenlight::proto::dhcp4::{Ask, Message, MessageType, answer, code};
use greenlight::service::leases::{Asker, Decision, Kept, Leases, Link};

use super::dhcp4::{NOW, SERVER, answered, facts, network};
use super::tape::Tape;

/// The dynamic range: fewer addresses than clients.
const FIRST: u8 = 10;
const LAST: u8 = 14;
/// Reserved for the first client.
const PLANNED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
const CLIENTS: u8 = 8;

const SETTINGS: &str = "
dhcp:
  listen: ['10.0.0.1:67']
  server_address: 10.0.0.1
  lease: 1h
  pools:
    - { subnet: 10.0.0.0/24, range: 10.0.0.10 - 10.0.0.14, router: 10.0.0.254 }
    - { subnet: 10.0.9.0/24, range: 10.0.9.2 - 10.0.9.3, router: 10.0.9.1 }
";

const PLAN: &str = "
sites: { oslo: {} }
defaults: { template: x.j2, credentials: [{ username: netops, password: { env: NONE } }] }
devices:
  - { name: core1, site: oslo, platform: cisco_ios, serial: A1, address: 10.0.0.11 }
  - { name: edge1, site: oslo, platform: cisco_ios, serial: A2 }
";

/// What an operator wrote, as meant.
fn meant() -> &'static (Dhcp, Arc<Inventory>) {
    static MEANT: OnceLock<(Dhcp, Arc<Inventory>)> = OnceLock::new();
    MEANT.get_or_init(|| {
        let (config, complaints) = configure("greenlight.yaml", SETTINGS, Path::new("/"));
        assert!(complaints.is_empty(), "{complaints:?}");
        let known = Known {
            languages: &BTreeSet::new(),
            platforms: &BTreeSet::new(),
            templates: &BTreeSet::from(["x.j2".to_owned()]),
            canonical_port: &|_, port| port.to_owned(),
            directory: Path::new("/"),
        };
        let (planned, complaints) = plan("inventory.yaml", PLAN, &known);
        assert!(complaints.is_empty(), "{complaints:?}");
        (config.dhcp.expect("it is written"), Arc::new(planned.inventory))
    })
}

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

/// Who holds an address by the last ACK, and until when.
type Held = BTreeMap<Ipv4Addr, (String, Timestamp)>;

struct Room {
    devices: Vec<Arc<Device>>,
    leases: Leases,
    held: Held,
    now: Timestamp,
}

pub fn check(bytes: &[u8]) {
    let (settings, inventory) = meant();
    let leases = Leases::new(settings, Arc::clone(inventory), Kept::default(), NOW);
    let devices = inventory.devices.clone();
    let mut room = Room { devices, leases, held: Held::new(), now: NOW };
    let mut tape = Tape::new(bytes);
    while !tape.is_over() {
        room.step(&mut tape);
    }
}

/// One datagram, as the script says it.
fn datagram(tape: &mut Tape<'_>) -> (u8, bool, Vec<u8>) {
    let who = tape.byte() % CLIENTS;
    let kind = MessageType::from_number(tape.byte() % 9);
    let (last, flags) = (tape.byte(), tape.byte());
    let address = Ipv4Addr::new(10, 0, if flags & 1 == 0 { 0 } else { 9 }, last % 20);
    let mut message = Message::from_client(kind, Mac::new([2, 0, 0, 0, 0, who]), last.into());
    if flags & 2 != 0 {
        message = message.with_address(code::REQUESTED_ADDRESS, address);
    }
    if flags & 4 != 0 {
        message.ciaddr = address;
    }
    if flags & 8 != 0 {
        let server = if flags & 16 == 0 { SERVER } else { address };
        message = message.with_address(code::SERVER_ID, server);
    }
    if flags & 32 != 0 {
        message.giaddr = Ipv4Addr::new(10, 0, 9, 1);
    }
    if flags & 64 != 0 {
        message = message.with(code::CLIENT_ID, vec![0, last]);
    }
    let mut bytes = message.encode();
    if flags & 128 != 0 {
        // Over the options, so that the header stays a client's.
        let piece = tape.piece();
        bytes.truncate(243);
        bytes.extend_from_slice(piece);
    }
    (who, last & 128 != 0, bytes)
}

impl Room {
    fn step(&mut self, tape: &mut Tape<'_>) {
        let (who, to_us_alone, bytes) = datagram(tape);
        self.now = self.now.plus(Duration::from_secs(u64::from(tape.byte()) * 4));
        let message = Message::decode(&bytes).expect("the header is a client's");
        let Ok(ask) = Ask::of(&message, to_us_alone) else { return };
        let asker = self.asker(who, &message);
        let name = match &asker.device {
            Some(device) => device.name.clone(),
            None => format!("{}/{}", asker.mac, asker.client_id),
        };
        if let Ask::Decline { address, .. } | Ask::Release { address, .. } = ask {
            if self.leases.end(&asker, ask, self.now).is_some() {
                self.is_not_of_another(address, &name);
                self.held.remove(&address);
            }
            return;
        }
        let decision = self.leases.decide(&asker, ask, self.now);
        let verdict = match decision {
            Decision::Granted(grant) => {
                let (address, expires) = (grant.lease.address, grant.lease.expires);
                assert!(self.may_be_given(address, who), "{address} to {name}");
                self.is_not_of_another(address, &name);
                Verdict::Given(Given { address, expires, network: network() })
            }
            Decision::Parameters(_) => {
                let address = Ipv4Addr::UNSPECIFIED;
                Verdict::Given(Given { address, expires: self.now, network: network() })
            }
            Decision::Wrong { why } => Verdict::Wrong { why },
            Decision::Nothing { why } | Decision::Occupied { why } => Verdict::Nothing { why },
        };
        let facts = facts(verdict, to_us_alone);
        let answer = answer(&message, &facts, self.now);
        let Some(told) = answered(&message, &facts, answer) else { return };
        let Some(seconds) = told.number(code::LEASE_TIME) else { return };
        if told.message_type() == Some(MessageType::Ack) {
            let until = self.now.plus(Duration::from_secs(seconds.into()));
            self.held.insert(told.yiaddr, (name, until));
        }
    }

    fn asker(&self, who: u8, message: &Message) -> Asker {
        let link = message.relay_information().and_then(|option| Information::of(option).link);
        Asker {
            mac: Mac::new([2, 0, 0, 0, 0, who]),
            client_id: message.client_id_hex(),
            device: self.devices.get(usize::from(who)).cloned(),
            relay_information: message.relay_information_hex(),
            lease_at_least: None,
            link: Link {
                relay: message.relay().map(|giaddr| link.unwrap_or(giaddr)),
                local: SERVER,
            },
        }
    }

    fn may_be_given(&self, address: Ipv4Addr, who: u8) -> bool {
        let near = (ip(FIRST)..=ip(LAST)).contains(&address) && (address == PLANNED) == (who == 0);
        let far = [Ipv4Addr::new(10, 0, 9, 2), Ipv4Addr::new(10, 0, 9, 3)].contains(&address);
        near || far && who != 0
    }

    fn is_not_of_another(&self, address: Ipv4Addr, name: &str) {
        if let Some((other, until)) = self.held.get(&address) {
            assert!(other == name || *until <= self.now, "{address} is {other}'s until {until}");
        }
    }
}

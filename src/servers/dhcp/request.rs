//! From one datagram to what has to be done about it, up to the point where somebody must wait.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use crate::address::Mac;
use crate::clock::Timestamp;
use crate::config::meant::{Pool, Unknown};
use crate::domain::inventory::meant::{Device, Position};
use crate::platform::{AnswerFacts, Platform, Recognised};
use crate::proto::dhcp4::answer::{
    Answer, Facts, Given, Network, Promise, Reply, Verdict, Ways, answer,
};
use crate::proto::dhcp4::ask::NoAsk;
use crate::proto::dhcp4::relay::{Information, kept_position};
use crate::proto::dhcp4::{Ask, DecodeError, Message, MessageType};
use crate::servers::dhcp::Parts;
use crate::servers::dhcp::gate::{Gate, Way};
use crate::servers::socket::dhcp::Received;
use crate::service::intake::{Clues, Identity, Sighting};
use crate::service::leases::{Asker, Decision, Ended, Link};
use crate::service::memory::Lease;

/// Client, transaction and kind.
pub type Key = (Mac, u32, MessageType);

/// A request that may be answered.
#[derive(Debug)]
pub struct Request {
    pub message: Message,
    pub ask: Ask,
    pub mac: Mac,
    /// The inventory knows this hardware address, as far as that is found out.
    pub planned: bool,
    /// What it looks like, once that is found out.
    pub recognised: Option<Arc<Recognised>>,
    kind: MessageType,
}

impl Request {
    pub fn key(&self) -> Key {
        (self.mac, self.message.xid, self.kind)
    }

    fn way(&self, heard: &Received) -> Way {
        Way { relay: self.message.relay().map(IpAddr::V4), interface: heard.interface }
    }
}

/// Why a datagram is not looked at any further.
#[derive(Debug)]
pub enum Ignored {
    Unreadable(DecodeError),
    NoAsk(NoAsk),
    NotEthernet { htype: u8, hlen: u8 },
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ignored::Unreadable(error) => write!(f, "{error}"),
            Ignored::NoAsk(why) => write!(f, "{why}"),
            Ignored::NotEthernet { htype, hlen } => {
                write!(f, "hardware: expected type 1 of 6 bytes, found type {htype} of {hlen}")
            }
        }
    }
}

/// What has to be done.
#[derive(Debug)]
pub enum Outcome {
    Say(Reply),
    Silent,
    Store(Box<Promised>),
    End(Ending),
}

/// A RELEASE or DECLINE that counts.
#[derive(Debug)]
pub struct Ending {
    pub ended: Ended,
    /// Whose address it was, if a device's.
    pub device: Option<Arc<Device>>,
}

/// An ACK and the lease it waits for.
#[derive(Debug)]
pub struct Promised {
    pub promise: Promise,
    pub lease: Lease,
    /// It is beside the lease of another port of the device, in words.
    pub beside: Option<String>,
}

pub fn understand(bytes: &[u8], heard: &Received) -> Result<Request, Ignored> {
    let message = Message::decode(bytes).map_err(Ignored::Unreadable)?;
    let ask = Ask::of(&message, heard.to_us_alone).map_err(Ignored::NoAsk)?;
    let Message { htype, hlen, .. } = message;
    let mac = message.mac().ok_or(Ignored::NotEthernet { htype, hlen })?;
    let kind = message.message_type().ok_or(Ignored::NoAsk(NoAsk::NoMessageType))?;
    Ok(Request { message, ask, mac, planned: false, recognised: None, kind })
}

fn sighting(mac: Mac, conflict: bool, description: String, clues: Clues) -> Sighting {
    let port = clues.position.map(|position| position.circuit_id);
    Sighting { key: mac.to_string(), conflict, description, serial: clues.serial, port }
}

/// Finds out who asks, which address it gets, and what is answered.
pub fn handle(
    request: &Request,
    heard: &Received,
    parts: &Parts,
    gate: &mut Gate,
    now: Timestamp,
) -> Outcome {
    if !parts.intake.can_promise() && !is_informing(request.ask) {
        return Outcome::Silent;
    }
    match who((request, heard), parts, gate, now) {
        Some(device) => decide((request, heard), device, parts, now),
        None => Outcome::Silent,
    }
}

/// Who asks, if it may be served: a device of the plan, or a stranger in quarantine (`None`
/// within). People are told of those that may not.
fn who(
    (request, heard): (&Request, &Received),
    parts: &Parts,
    gate: &mut Gate,
    now: Timestamp,
) -> Option<Option<Arc<Device>>> {
    let Request { message, ask, mac, .. } = request;
    let kept = held(*ask).and_then(|held| parts.leases.relay_information(*mac, held, now));
    let clues = clues_of(request, kept.as_deref());
    match parts.intake.identify(&clues) {
        Identity::Device(device) if device.managed || device.address.is_some() => {
            let known =
                request.planned || gate.may_be_served(*mac, &device.name, request.way(heard));
            known.then_some(Some(device))
        }
        Identity::Device(_) => None,
        Identity::Nobody => {
            let via = message.relay().map_or_else(|| "no relay".to_owned(), |ip| ip.to_string());
            let port = clues.position.map_or_else(String::new, |position| position.circuit_id);
            let what = "a DHCP client that nobody planned and no platform recognises";
            tracing::debug!(%mac, relay = via, port, "{what}");
            None
        }
        Identity::Conflict { .. } | Identity::Stranger { .. } if !gate.may_be_noticed() => None,
        Identity::Conflict { detail } => {
            parts.intake.sighted(&sighting(*mac, true, detail, clues));
            None
        }
        Identity::Stranger { description } => {
            parts.intake.sighted(&sighting(*mac, false, description, clues));
            match parts.settings.unknown {
                Unknown::Refuse => None,
                Unknown::Quarantine => Some(None),
            }
        }
    }
}

fn decide(
    (request, heard): (&Request, &Received),
    device: Option<Arc<Device>>,
    parts: &Parts,
    now: Timestamp,
) -> Outcome {
    let Request { message, ask, mac, .. } = request;
    let server = parts.settings.server_address;
    let ask = &ask.renamed(message.server_override(), server);
    let planned = device.is_some();
    let mut asker = asker_of(request, heard, device.as_ref());
    asker.lease_at_least = device.as_ref().and_then(|device| lease_at_least(device, parts));
    let seen = request.recognised.as_ref().map(|found| &found.platform);
    let discovering = is_discovering(*ask);
    if let Some(device) = device.as_ref().filter(|device| device.managed && discovering) {
        parts.intake.asked(device);
        if let Some(what) = parts.platforms.mismatch(&device.platform, seen) {
            parts.intake.asks_oddly(device, &what);
        }
    }
    if let Ask::Decline { .. } | Ask::Release { .. } = ask {
        let ended = parts.leases.end(&asker, *ask, now);
        return ended.map_or(Outcome::Silent, |ended| Outcome::End(Ending { ended, device }));
    }
    let ours = [Some(server), message.server_override()];
    if message.server_id().is_some_and(|chosen| !ours.contains(&Some(chosen))) && is_extending(*ask)
    {
        return Outcome::Silent;
    }
    let decision = parts.leases.decide(&asker, *ask, now);
    if let (Decision::Nothing { why }, Some(device)) = (&decision, &device)
        && (discovering || is_rebooting(*ask))
    {
        parts.intake.lease_impossible(device, why);
    }
    if let (Decision::Occupied { why }, Some(device)) = (&decision, &device) {
        parts.intake.asks_oddly(device, why);
    }
    let beside = beside(&decision, device.as_ref(), *ask, parts);
    let (verdict, lease) = verdict_of(decision, now);
    let facts = Facts {
        server,
        verdict,
        host_name: device.as_ref().map(|device| device.name.clone()),
        forced: device.map(|device| forced(&device, seen, parts)).unwrap_or_default(),
        to_us_alone: heard.to_us_alone,
        ways: ways(heard.from, parts.settings.reply_to_port),
    };
    match outcome_of(answer(message, &facts, now), lease, (*mac, planned)) {
        Outcome::Store(promised) => Outcome::Store(Box::new(Promised { beside, ..*promised })),
        other => other,
    }
}

/// What is said of a lease beside that of another port. A port that comes anew may be the one that
/// lives, so the run follows it, but not away from the planned address.
fn beside(
    decision: &Decision,
    device: Option<&Arc<Device>>,
    ask: Ask,
    parts: &Parts,
) -> Option<String> {
    let (Decision::Granted(grant), Some(device)) = (decision, device) else { return None };
    if grant.beside.is_empty() || is_discovering(ask) {
        return None;
    }
    if device.address.is_none() && !is_extending(ask) {
        parts.intake.asks_oddly(device, &grant.beside);
        return None;
    }
    Some(grant.beside.clone())
}

fn outcome_of(answer: Answer, lease: Option<Lease>, (mac, planned): (Mac, bool)) -> Outcome {
    match (answer, lease) {
        (Answer::Offer(reply) | Answer::Informed(reply) | Answer::Nak(reply), _) => {
            Outcome::Say(reply)
        }
        (Answer::Ack(promise), Some(lease)) => {
            Outcome::Store(Box::new(Promised { promise, lease, beside: None }))
        }
        // Only a granted address makes an ACK, and a grant carries its lease.
        (Answer::Ack(_), None) => Outcome::Silent,
        (Answer::Silence(why), _) => {
            // Lines about strangers are as many as strangers want.
            if planned {
                tracing::info!(%mac, %why, "a DHCP request is not answered");
            } else {
                tracing::debug!(%mac, %why, "a stranger's DHCP request is not answered");
            }
            Outcome::Silent
        }
    }
}

fn is_discovering(ask: Ask) -> bool {
    matches!(ask, Ask::Discover { .. })
}

fn is_informing(ask: Ask) -> bool {
    matches!(ask, Ask::Inform { .. })
}

fn is_rebooting(ask: Ask) -> bool {
    matches!(ask, Ask::InitReboot { .. })
}

fn is_extending(ask: Ask) -> bool {
    matches!(ask, Ask::Renewing { .. } | Ask::Rebinding { .. })
}

/// What the request lets us know about its sender. `kept` is the option 82 of the lease that this
/// very port holds at the address it speaks of.
fn clues_of(request: &Request, kept: Option<&str>) -> Clues {
    let recognised = request.recognised.as_ref();
    let position = match request.message.relay_information() {
        Some(option) => Information::of(option).position(),
        // RFC 2131 section 4.3.2: what a client sends to us alone passes no relay.
        None => kept.and_then(kept_position),
    };
    Clues {
        serial: recognised.and_then(|found| found.serial.clone()),
        mac: Some(request.mac),
        position: position.map(|(circuit_id, remote_id)| Position { circuit_id, remote_id }),
        // What a client believes about its address counts only where our lease says the same.
        address: kept.and(held(request.ask)).map(IpAddr::V4),
        platform: recognised.map(|found| found.platform.id.clone()),
    }
}

/// The address that the client uses already.
fn held(ask: Ask) -> Option<Ipv4Addr> {
    match ask {
        Ask::Renewing { held } | Ask::Rebinding { held } | Ask::Inform { held } => Some(held),
        Ask::Release { address, .. } | Ask::Decline { address, .. } => Some(address),
        Ask::Discover { .. } | Ask::Selecting { .. } | Ask::InitReboot { .. } => None,
    }
}

fn asker_of(request: &Request, heard: &Received, device: Option<&Arc<Device>>) -> Asker {
    let message = &request.message;
    let link = message.relay_information().and_then(|option| Information::of(option).link);
    Asker {
        mac: request.mac,
        client_id: message.client_id_hex(),
        device: device.cloned(),
        relay_information: message.relay_information_hex(),
        lease_at_least: None,
        link: Link {
            // Without giaddr no relay spoke, whatever stands in option 82 (RFC 3527 section 3).
            relay: message.relay().map(|giaddr| link.unwrap_or(giaddr)),
            local: heard.local,
        },
    }
}

fn verdict_of(decision: Decision, now: Timestamp) -> (Verdict, Option<Lease>) {
    match decision {
        Decision::Granted(grant) => {
            let (address, expires) = (grant.lease.address, grant.lease.expires);
            let given = Given { address, expires, network: network(&grant.pool) };
            (Verdict::Given(given), Some(grant.lease))
        }
        Decision::Parameters(pool) => {
            // Neither address nor time is written into the answer of an INFORM.
            let address = Ipv4Addr::UNSPECIFIED;
            let given = Given { address, expires: now, network: network(&pool) };
            (Verdict::Given(given), None)
        }
        Decision::Wrong { why } => (Verdict::Wrong { why }, None),
        Decision::Nothing { why } | Decision::Occupied { why } => (Verdict::Nothing { why }, None),
    }
}

fn network(pool: &Pool) -> Network {
    Network {
        mask: pool.subnet.netmask(),
        router: pool.router,
        dns: pool.dns.clone(),
        domain: pool.domain.clone(),
    }
}

/// The shortest lease that the device takes while it is to be provisioned.
fn lease_at_least(device: &Device, parts: &Parts) -> Option<Duration> {
    parts.platforms.get(&device.platform).filter(|_| device.managed)?.lease_at_least
}

/// What the device's platform must be told, or the installer that asks in its place. A device in
/// service already gets an address and no more: a boot file could make it load a configuration.
fn forced(device: &Device, seen: Option<&Arc<Platform>>, parts: &Parts) -> Vec<(u8, Vec<u8>)> {
    let platform = parts.platforms.answering(&device.platform, seen);
    let Some(platform) = platform.filter(|_| device.managed) else { return Vec::new() };
    let facts = AnswerFacts {
        server: parts.settings.server_address,
        device: device.name.clone(),
        http_port: parts.http_port,
    };
    let image = device.software.as_ref().and_then(|software| software.installable());
    platform.dhcp_options_with(&facts, image.map(|image| image.name.as_str()))
}

/// The ports of RFC 2131 section 4.1; for clients and relays on loopback, which have no rights, the
/// port they asked from, or the port that the configuration names instead of 68.
fn ways(from: SocketAddrV4, reply_to_port: u16) -> Ways {
    let named =
        Some(reply_to_port).filter(|port| *port != 0 && *port != Ways::STANDARD.client_port);
    if from.ip().is_loopback() {
        let client_port = named.unwrap_or(from.port());
        let to_nobody_yet = SocketAddrV4::new(*from.ip(), client_port);
        return Ways { to_nobody_yet, client_port, relay_port: from.port() };
    }
    let client_port = named.unwrap_or(Ways::STANDARD.client_port);
    let to_nobody_yet = SocketAddrV4::new(*Ways::STANDARD.to_nobody_yet.ip(), client_port);
    Ways { to_nobody_yet, client_port, ..Ways::STANDARD }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dhcp4::code;

    const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 9, 1);

    fn heard(to_us_alone: bool) -> Received {
        Received {
            from: SocketAddrV4::new(RELAY, 67),
            local: Ipv4Addr::new(10, 0, 0, 1),
            interface: 2,
            to_us_alone,
        }
    }

    fn discover() -> Message {
        Message::from_client(MessageType::Discover, Mac::new([2, 0, 0, 0, 0, 1]), 7)
    }

    fn understood(message: &Message) -> Request {
        understand(&message.encode(), &heard(false)).unwrap()
    }

    #[test]
    fn the_port_at_the_relay_is_a_clue_and_the_client_s_own_belief_is_none() {
        let message = Message { giaddr: RELAY, ciaddr: RELAY, ..discover() }
            .with(82, *b"\x01\x06\x00\x04Gi17\x02\x02sw");
        let clues = clues_of(&understood(&message), None);
        let position = Position { circuit_id: "Gi17".into(), remote_id: Some("sw".into()) };
        assert_eq!(clues.position, Some(position));
        assert_eq!(clues.mac, Some(Mac::new([2, 0, 0, 0, 0, 1])));
        assert_eq!((clues.address, clues.serial, clues.platform), (None, None, None));
    }

    #[test]
    fn a_renewal_past_the_relay_is_placed_by_the_lease() {
        let held = Ipv4Addr::new(10, 0, 9, 33);
        let renewing = Message { ciaddr: held, ..discover() }.with(code::MESSAGE_TYPE, [3]);
        let clues = |kept| clues_of(&understood(&renewing), kept);
        let position = Position { circuit_id: "Gi1".into(), remote_id: None };
        let placed = clues(Some("0103476931"));
        assert_eq!((placed.position, placed.address), (Some(position), Some(IpAddr::V4(held))));
        assert_eq!(
            (clues(Some("")).position, clues(Some("")).address),
            (None, Some(IpAddr::V4(held)))
        );
        assert_eq!((clues(None).position, clues(None).address), (None, None));
    }

    #[test]
    fn the_subnet_is_the_relay_s_word_only_if_a_relay_spoke() {
        let link = *b"\x05\x04\x0a\x00\x07\x00";
        let relayed = Message { giaddr: RELAY, ..discover() };
        let cases = [
            (relayed.clone(), Some(RELAY)),
            (relayed.with(82, link), Some(Ipv4Addr::new(10, 0, 7, 0))),
            (discover().with(82, link), None),
        ];
        for (message, expected) in cases {
            let asker = asker_of(&understood(&message), &heard(false), None);
            assert_eq!(asker.link.relay, expected);
            assert_eq!(asker.link.local, Ipv4Addr::new(10, 0, 0, 1));
        }
    }

    #[test]
    fn only_ethernet_clients_that_ask_are_looked_at() {
        let told = |message: Message| {
            understand(&message.encode(), &heard(false)).map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(
            told(Message { htype: 32, hlen: 16, ..discover() }),
            "hardware: expected type 1 of 6 bytes, found type 32 of 16"
        );
        assert_eq!(told(Message { op: 2, ..discover() }), "op: expected 1, found 2");
        let short = understand(&[1; 20], &heard(false)).unwrap_err().to_string();
        assert_eq!(short, "header at byte 20: expected at least 240 bytes, found 20 bytes");
    }

    #[test]
    fn a_repetition_has_the_same_key_and_the_next_message_another() {
        let first = understood(&discover()).key();
        assert_eq!(first, understood(&discover()).key());
        let request =
            discover().with(code::MESSAGE_TYPE, [3]).with_address(code::REQUESTED_ADDRESS, RELAY);
        assert_ne!(first, understood(&request).key());
        assert_ne!(first, understood(&Message { xid: 8, ..discover() }).key());
    }

    #[test]
    fn loopback_is_answered_where_it_asked_from_and_the_rest_by_the_standard() {
        let at = |text: &str| text.parse::<SocketAddrV4>().unwrap();
        assert_eq!(ways(at("0.0.0.0:68"), 68), Ways::STANDARD);
        assert_eq!(ways(at("10.0.9.1:67"), 0), Ways::STANDARD);
        let loopback = ways(at("127.0.1.7:40000"), 68);
        assert_eq!(loopback.to_nobody_yet, at("127.0.1.7:40000"));
        assert_eq!((loopback.client_port, loopback.relay_port), (40000, 40000));
        let named = ways(at("127.0.1.7:40000"), 6868);
        assert_eq!(named.to_nobody_yet, at("127.0.1.7:6868"));
        assert_eq!((named.client_port, named.relay_port), (6868, 40000));
        assert_eq!(ways(at("0.0.0.0:68"), 6868).to_nobody_yet, at("255.255.255.255:6868"));
    }

    #[test]
    fn an_ack_never_goes_without_its_lease() {
        let network = Network { mask: RELAY, router: None, dns: vec![], domain: None };
        let facts = Facts {
            server: RELAY,
            verdict: Verdict::Given(Given {
                address: RELAY,
                expires: Timestamp::from_seconds(9),
                network,
            }),
            host_name: None,
            forced: vec![],
            to_us_alone: false,
            ways: Ways::STANDARD,
        };
        let request =
            discover().with(code::MESSAGE_TYPE, [3]).with_address(code::REQUESTED_ADDRESS, RELAY);
        let ack = answer(&request, &facts, Timestamp::from_seconds(1));
        assert!(matches!(outcome_of(ack, None, (Mac::new([0; 6]), true)), Outcome::Silent));
    }
}

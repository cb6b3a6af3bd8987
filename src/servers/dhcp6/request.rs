//! From one datagram to what has to be done about it, up to the point where somebody must wait.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use crate::address::Mac;
use crate::clock::Timestamp;
use crate::config::meant::{Pool6, Unknown};
use crate::domain::inventory::meant::{Device, Position};
use crate::platform::Recognised;
use crate::platform::dhcp6::{Told, UrlFacts};
use crate::proto::dhcp4::DecodeError;
use crate::proto::dhcp6::answer::{
    self, Answer, Boot, Facts, Outcome as Line, Parameters, Promise, Reply, Verdict, Ways,
};
use crate::proto::dhcp6::ask::NoAsk;
use crate::proto::dhcp6::duid::Kind;
use crate::proto::dhcp6::{Ask, Datagram, Duid, MessageType, Relay, class, mac_within};
use crate::servers::dhcp::gate::{Gate, Way};
use crate::servers::dhcp6::Parts;
use crate::servers::socket::dhcp6::Received;
use crate::service::intake::{Clues, Identity, Neighbour, Sighting};
use crate::service::leases6::{Asker, Decision, EndedAddress, Link};
use crate::service::memory::Lease6;

/// Client, transaction and kind.
pub type Key = (Option<Duid>, u32, MessageType);

/// What tells one client from another: the hardware address where the inventory knows that, so
/// that nobody is many planned devices by making up DUIDs; and otherwise the DUID.
pub type Client<'a> = (Option<Mac>, &'a [u8]);

/// A message that may be answered.
#[derive(Debug)]
pub struct Request {
    pub datagram: Datagram,
    pub ask: Ask,
    /// The inventory knows its hardware address, as far as that is found out.
    pub planned: bool,
    /// The client's, as far as it or a relay tells.
    mac: Option<Mac>,
}

impl Request {
    pub fn key(&self) -> Key {
        let message = &self.datagram.message;
        (self.ask.client().cloned(), message.transaction, message.kind)
    }

    fn way(&self, heard: &Received) -> Way {
        let relay = self.datagram.link().or_else(|| self.datagram.peer());
        Way { relay: relay.map(IpAddr::V6), interface: heard.interface }
    }

    /// What a client calls itself, for the log.
    pub fn client(&self) -> String {
        self.ask.client().map_or_else(|| "nameless".to_owned(), Duid::to_string)
    }
}

/// Why a datagram is not looked at any further.
#[derive(Debug)]
pub enum Ignored {
    Unreadable(DecodeError),
    NoAsk(NoAsk),
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ignored::Unreadable(error) => write!(f, "{error}"),
            Ignored::NoAsk(why) => write!(f, "{why}"),
        }
    }
}

/// What has to be done.
#[derive(Debug)]
pub enum Outcome {
    Say(Reply),
    Silent,
    Store(Box<Promised>),
}

/// A Reply and the rows it waits for.
#[derive(Debug)]
pub struct Promised {
    pub promise: Promise,
    pub rows: Rows,
    /// For the log.
    pub client: String,
}

/// What must be stored, all at once.
#[derive(Debug)]
pub enum Rows {
    Bound { leases: Vec<Lease6>, neighbour: Option<Neighbour>, beside: Option<String> },
    Ended { addresses: Vec<EndedAddress>, device: Option<Arc<Device>> },
}

pub fn understand(bytes: &[u8], heard: &Received, server: &Duid) -> Result<Request, Ignored> {
    let datagram = Datagram::decode(bytes).map_err(Ignored::Unreadable)?;
    let ask = Ask::of(&datagram, server, heard.to_us_alone()).map_err(Ignored::NoAsk)?;
    let near = || mac_within(*heard.from.ip()).filter(|_| datagram.relays.is_empty());
    let mac = datagram.mac().or_else(near);
    Ok(Request { datagram, ask, planned: false, mac })
}

/// Finds out who asks, which addresses it gets, and what is answered.
pub fn handle(
    request: &Request,
    heard: &Received,
    parts: &Parts,
    gate: &mut Gate,
    now: Timestamp,
) -> Outcome {
    if let Ask::ByUnicast { .. } = request.ask {
        return outcome_of(request, heard, said(request, heard, parts, None), now);
    }
    if !parts.intake.can_promise() && !is_informing(&request.ask) {
        return Outcome::Silent;
    }
    let seen = parts.platforms.recognise6(&told(request));
    let device = match who((request, seen.as_ref()), heard, (parts, gate), now) {
        Who::Device(device) => Some(device),
        Who::Quarantined => None,
        Who::Refused => return Outcome::Silent,
    };
    if let Some(device) = device.as_ref().filter(|device| device.managed)
        && is_soliciting(&request.ask)
    {
        parts.intake.asked(device);
        let seen = seen.as_ref().map(|found| &found.platform);
        if let Some(what) = parts.platforms.mismatch(&device.platform, seen) {
            parts.intake.asks_oddly(device, &what);
        }
    }
    let boot = device.as_ref().and_then(|device| boot(device, seen.as_ref(), parts));
    let asker = asker_of(request, heard, device.as_ref());
    let said = match request.ask {
        Ask::Release(_) | Ask::Decline(_) => {
            let ended = parts.leases.end(&asker, &request.ask, now);
            let rows = Rows::Ended { addresses: ended.addresses, device: device.clone() };
            let verdict = Verdict::Ended(ended.iaids);
            Said { verdict, rows, ..said(request, heard, parts, boot) }
        }
        Ask::Solicit { .. }
        | Ask::Request(_)
        | Ask::Confirm(_)
        | Ask::Renew(_)
        | Ask::Rebind(_)
        | Ask::Information { .. }
        | Ask::ByUnicast { .. } => {
            let decision = parts.leases.decide(&asker, &request.ask, now);
            // A link may have IPv4 alone: that is no fault of a device that gets its address so.
            if let Some(device) = &device
                && (parts.alone || device.address6.is_some())
                && let Some(why) = impossible(&request.ask, &decision)
            {
                match beside_of(&decision) {
                    Some(beside) => parts.intake.asks_oddly(device, &format!("{beside}; {why}")),
                    None => parts.intake.lease_impossible(device, why),
                }
            }
            decided(decision, said(request, heard, parts, boot))
        }
    };
    outcome_of(request, heard, said, now)
}

/// Whom a message is from.
enum Who {
    Device(Arc<Device>),
    Quarantined,
    Refused,
}

fn who(
    (request, seen): (&Request, Option<&Recognised>),
    heard: &Received,
    (parts, gate): (&Parts, &mut Gate),
    now: Timestamp,
) -> Who {
    let clues = clues_of(request, seen, parts, now);
    match parts.intake.identify(&clues) {
        Identity::Device(device) if device.managed || device.address6.is_some() => {
            let duid = request.ask.client().map(Duid::bytes).unwrap_or_default();
            let stranger: Client<'_> = (None, duid);
            match request.planned || gate.may_be_served(stranger, &device.name, request.way(heard))
            {
                true => Who::Device(device),
                false => Who::Refused,
            }
        }
        Identity::Device(_) | Identity::Nobody => {
            tracing::debug!(
                client = request.client(),
                mac = %shown(request.mac),
                link = %shown(request.datagram.link()),
                port = %shown(clues.position.map(|position| position.circuit_id)),
                "a DHCPv6 client that nobody planned and no platform recognises"
            );
            Who::Refused
        }
        Identity::Conflict { .. } | Identity::Stranger { .. } if !gate.may_be_noticed() => {
            Who::Refused
        }
        Identity::Conflict { detail } => {
            parts.intake.sighted(&sighting(request, heard, true, detail, clues));
            Who::Refused
        }
        Identity::Stranger { description } => {
            parts.intake.sighted(&sighting(request, heard, false, description, clues));
            match parts.settings.unknown {
                Unknown::Refuse => Who::Refused,
                Unknown::Quarantine => Who::Quarantined,
            }
        }
    }
}

fn shown(known: Option<impl fmt::Display>) -> String {
    known.map_or_else(|| "unknown".to_owned(), |known| known.to_string())
}

/// The key is the MAC where there is one, so that a stranger who asks in both families is one.
fn sighting(
    request: &Request,
    heard: &Received,
    conflict: bool,
    description: String,
    clues: Clues,
) -> Sighting {
    let named = || match request.ask.client() {
        Some(duid) => format!("DUID {duid}"),
        None => heard.from.ip().to_string(),
    };
    let key = clues.mac.map_or_else(named, |mac| mac.to_string());
    let port = clues.position.map(|position| position.circuit_id);
    Sighting { key, conflict, description, serial: clues.serial, port }
}

/// What the message lets us know about its sender.
fn clues_of(request: &Request, seen: Option<&Recognised>, parts: &Parts, now: Timestamp) -> Clues {
    let datagram = &request.datagram;
    let held = request.ask.wish().and_then(|wish| {
        let addresses: Vec<Ipv6Addr> =
            wish.associations.iter().flat_map(|held| held.addresses.iter().copied()).collect();
        parts.leases.held(&wish.client.to_string(), &addresses, now)
    });
    Clues {
        serial: seen.and_then(|found| found.serial.clone()),
        mac: request.mac,
        position: position(datagram),
        // What a client believes about its address counts only where our lease says the same.
        address: held.map(IpAddr::V6),
        platform: seen.map(|found| found.platform.id.clone()),
    }
}

fn told(request: &Request) -> Told {
    let message = &request.datagram.message;
    let mut classes = Vec::new();
    for found in class::vendor_classes(message) {
        classes.extend(found.classes.iter().map(|text| (found.enterprise, text.to_vec())));
    }
    for found in class::vendor_specifics(message) {
        let texts = found.options.iter();
        classes.extend(texts.map(|(_, text)| (found.enterprise, text.to_vec())));
    }
    let identifier = request.ask.client().and_then(|duid| match duid.kind() {
        Kind::Enterprise { identifier, .. } => Some(identifier.to_vec()),
        Kind::LinkLayerTime { .. }
        | Kind::LinkLayer { .. }
        | Kind::Uuid(_)
        | Kind::Other { .. } => None,
    });
    Told {
        classes,
        user_classes: class::user_classes(message).into_iter().map(<[u8]>::to_vec).collect(),
        identifier,
        mac: request.mac,
    }
}

fn asker_of(request: &Request, heard: &Received, device: Option<&Arc<Device>>) -> Asker {
    Asker {
        duid: request.ask.client().map(Duid::to_string).unwrap_or_default(),
        mac: request.mac,
        seen: seen(request, heard),
        wire: position(&request.datagram),
        device: device.cloned(),
        link: Link { relay: request.datagram.link(), local: heard.addresses.clone() },
    }
}

/// The port that asks: as the relay nearest to it saw it (option 79), or as its link-local address
/// says. Its DUID is one for all its ports.
fn seen(request: &Request, heard: &Received) -> Option<Mac> {
    let relays = &request.datagram.relays;
    let told = relays.iter().rev().find_map(Relay::client_mac);
    let from = request.datagram.peer().unwrap_or(*heard.from.ip());
    told.or_else(|| mac_within(from))
}

fn position(datagram: &Datagram) -> Option<Position> {
    let (circuit_id, remote_id) = datagram.position()?;
    Some(Position { circuit_id, remote_id })
}

fn is_informing(ask: &Ask) -> bool {
    matches!(ask, Ask::Information { .. })
}

fn is_soliciting(ask: &Ask) -> bool {
    matches!(ask, Ask::Solicit { .. })
}

/// The other port of the device that holds its planned address, in words.
fn beside_of(decision: &Decision) -> Option<&str> {
    match decision {
        Decision::Bound(bound) => bound.beside.as_deref(),
        Decision::OnLink(_)
        | Decision::NotOnLink { .. }
        | Decision::Parameters(_)
        | Decision::Nothing { .. } => None,
    }
}

/// Why a device that begins gets no address at all.
fn impossible<'a>(ask: &Ask, decision: &'a Decision) -> Option<&'a str> {
    if !is_soliciting(ask) {
        return None;
    }
    match decision {
        Decision::Nothing { why } => Some(why),
        Decision::Bound(bound) => {
            let mut why = None;
            for line in &bound.decided {
                match &line.outcome {
                    Line::Given(_) => return None,
                    Line::NoAddress { why: reason }
                    | Line::NoBinding { why: reason }
                    | Line::NotOnLink { why: reason } => why = Some(reason.as_str()),
                }
            }
            why
        }
        Decision::OnLink(_) | Decision::NotOnLink { .. } | Decision::Parameters(_) => None,
    }
}

/// What was decided, on its way to the answer.
struct Said {
    verdict: Verdict,
    parameters: Parameters,
    rows: Rows,
    /// What every answer holds.
    server: Duid,
    rapid_commit: bool,
    boot: Option<Boot>,
}

fn said(request: &Request, heard: &Received, parts: &Parts, boot: Option<Boot>) -> Said {
    Said {
        verdict: Verdict::Nothing { why: "nothing was decided".to_owned() },
        parameters: Parameters::default(),
        rows: Rows::Bound {
            leases: Vec::new(),
            neighbour: neighbour(request, heard),
            beside: None,
        },
        server: parts.name.clone(),
        rapid_commit: parts.settings.rapid_commit,
        boot,
    }
}

/// Where a client without a relay asks from.
fn neighbour(request: &Request, heard: &Received) -> Option<Neighbour> {
    let from = heard.from;
    let near = request.datagram.relays.is_empty() && from.ip().is_unicast_link_local();
    near.then(|| (*from.ip(), from.scope_id()))
}

fn decided(decision: Decision, said: Said) -> Said {
    match decision {
        Decision::Bound(bound) => {
            let Rows::Bound { neighbour, .. } = said.rows else { return said };
            let beside = bound.beside;
            Said {
                verdict: Verdict::Bound(bound.decided),
                rows: Rows::Bound { leases: bound.leases, neighbour, beside },
                parameters: parameters(&bound.pool, said.boot.clone()),
                ..said
            }
        }
        Decision::OnLink(pool) => Said {
            verdict: Verdict::OnLink,
            parameters: parameters(&pool, said.boot.clone()),
            ..said
        },
        Decision::Parameters(pool) => Said {
            verdict: Verdict::Parameters,
            parameters: parameters(&pool, said.boot.clone()),
            ..said
        },
        Decision::NotOnLink { why } => Said { verdict: Verdict::NotOnLink { why }, ..said },
        Decision::Nothing { why } => Said { verdict: Verdict::Nothing { why }, ..said },
    }
}

fn parameters(pool: &Pool6, boot: Option<Boot>) -> Parameters {
    Parameters {
        dns: pool.dns.clone(),
        domains: pool.search.clone(),
        boot,
        ..Parameters::default()
    }
}

/// Where the device finds its file, or the installer that asks in its place its image. A device in
/// service already gets an address and no more: a boot file could make it load a configuration.
fn boot(device: &Device, seen: Option<&Recognised>, parts: &Parts) -> Option<Boot> {
    let seen = seen.map(|found| &found.platform);
    let platform = parts.platforms.answering(&device.platform, seen).filter(|_| device.managed)?;
    let image = device.software.as_ref().and_then(|software| software.installable());
    let url = platform.boot_file_url(&UrlFacts {
        server: parts.settings.server_address,
        device: device.name.clone(),
        http_port: parts.http_port,
        image: image.map(|image| image.name.clone()),
    })?;
    Some(Boot { url, parameters: Vec::new() })
}

fn outcome_of(request: &Request, heard: &Received, said: Said, now: Timestamp) -> Outcome {
    let facts = Facts {
        server: said.server,
        verdict: said.verdict,
        parameters: said.parameters,
        preference: None,
        rapid_commit: said.rapid_commit,
        ways: ways(heard),
    };
    match answer::answer(&request.datagram, &request.ask, &facts, now) {
        Answer::Advertise(reply) | Answer::Told(reply) => Outcome::Say(reply),
        Answer::Promised(promise) => {
            let client = request.client();
            Outcome::Store(Box::new(Promised { promise, rows: said.rows, client }))
        }
        Answer::Silence(why) => {
            tracing::debug!(client = request.client(), %why, "a DHCPv6 message is not answered");
            Outcome::Silent
        }
    }
}

/// The ports of RFC 8415 section 7.2; for clients and relays on loopback, which have no rights, the
/// port they asked from.
fn ways(heard: &Received) -> Ways {
    let from = heard.from;
    if from.ip().is_loopback() {
        return Ways { from, client_port: from.port(), relay_port: from.port() };
    }
    Ways::standard(from)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV6;

    use super::*;
    use crate::proto::dhcp6::{Message, MessageType, Options, Relay, code};

    const MAC: Mac = Mac::new([0, 0x1b, 0x21, 1, 2, 3]);

    fn heard(from: &str) -> Received {
        Received {
            length: 100,
            from: from.parse().unwrap(),
            sent_to: "ff02::1:2".parse().unwrap(),
            interface: 7,
            addresses: vec!["2001:db8::1".parse().unwrap()],
        }
    }

    fn solicit(duid: &Duid) -> Message {
        Message::new(MessageType::Solicit, 1).with(code::CLIENT_ID, duid.bytes())
    }

    fn understood(datagram: &Datagram, from: &str) -> Request {
        understand(&datagram.encode(), &heard(from), &Duid::uuid([1; 16])).unwrap()
    }

    fn relayed(message: Message) -> Datagram {
        let relay = Relay {
            hop_count: 0,
            link: "2001:db8:9::1".parse().unwrap(),
            peer: "fe80::21b:21ff:fe01:203".parse().unwrap(),
            options: Options::default(),
        };
        Datagram { relays: vec![relay], ..Datagram::bare(message) }
    }

    #[test]
    fn the_mac_is_in_the_duid_or_in_the_address_that_the_client_speaks_from() {
        let from = "[fe80::21b:21ff:fe01:203%7]:546";
        let other = Mac::new([2, 0, 0, 0, 0, 9]);
        let mac = |duid: &Duid, from| understood(&Datagram::bare(solicit(duid)), from).mac;
        assert_eq!(mac(&Duid::link_layer(other), from), Some(other));
        assert_eq!(mac(&Duid::uuid([3; 16]), from), Some(MAC));
        assert_eq!(mac(&Duid::uuid([3; 16]), "[fe80::1%7]:546"), None);
        // The relay's own address tells nothing of its client.
        let relayed = |peer: &str| {
            let mut datagram = relayed(solicit(&Duid::uuid([3; 16])));
            datagram.relays[0].peer = peer.parse().unwrap();
            understood(&datagram, from).mac
        };
        assert_eq!((relayed("fe80::21b:21ff:fe01:203"), relayed("fe80::1")), (Some(MAC), None));
    }

    #[test]
    fn the_link_is_the_relay_s_word_or_that_of_our_interface() {
        let duid = Duid::link_layer(MAC);
        let direct = understood(&Datagram::bare(solicit(&duid)), "[fe80::1%7]:546");
        let asker = asker_of(&direct, &heard("[fe80::1%7]:546"), None);
        assert_eq!((asker.link.relay, asker.duid), (None, "00030001001b21010203".to_owned()));
        assert_eq!(asker.link.local, heard("[::1]:1").addresses);
        let far = understood(&relayed(solicit(&duid)), "[2001:db8:9::1]:547");
        let asker = asker_of(&far, &heard("[2001:db8:9::1]:547"), None);
        assert_eq!(asker.link.relay, Some("2001:db8:9::1".parse().unwrap()));
    }

    #[test]
    fn only_who_speaks_on_our_own_link_is_a_neighbour() {
        let neighbour =
            |datagram: &Datagram, from: &str| neighbour(&understood(datagram, from), &heard(from));
        let bare = Datagram::bare(solicit(&Duid::link_layer(MAC)));
        let near = neighbour(&bare, "[fe80::7%7]:546");
        assert_eq!(near, Some(("fe80::7".parse().unwrap(), 7)));
        assert_eq!(neighbour(&bare, "[2001:db8::7]:546"), None);
        assert_eq!(neighbour(&relayed(bare.message), "[fe80::7%7]:547"), None);
    }

    #[test]
    fn what_it_says_of_its_make_is_read_from_all_its_options() {
        let duid = Duid::new(b"\0\x02\0\0\0\x09FOC1").unwrap();
        let message = solicit(&duid)
            .with(code::USER_CLASS, *b"\0\x04iPXE\0\x03ztp")
            .with(code::VENDOR_CLASS, *b"\0\0\0\x09\0\x02ab\0\x01c")
            .with(code::VENDOR_SPECIFIC, *b"\0\0\0\x08\0\x01\0\x02de");
        let told = told(&understood(&Datagram::bare(message), "[fe80::1%7]:546"));
        let classes = [(9, b"ab".to_vec()), (9, b"c".to_vec()), (8, b"de".to_vec())];
        assert_eq!(told.classes, classes);
        assert_eq!(told.user_classes, [b"iPXE".to_vec(), b"ztp".to_vec()]);
        assert_eq!((told.identifier, told.mac), (Some(b"FOC1".to_vec()), None));
    }

    #[test]
    fn loopback_is_answered_where_it_asked_from_and_the_rest_by_the_standard() {
        let ports = |from: &str| {
            let ways = ways(&heard(from));
            assert_eq!(ways.from, from.parse::<SocketAddrV6>().unwrap());
            (ways.client_port, ways.relay_port)
        };
        assert_eq!(ports("[fe80::1%7]:546"), (546, 547));
        assert_eq!(ports("[2001:db8::1]:40000"), (546, 547));
        assert_eq!(ports("[::1]:40000"), (40000, 40000));
    }
}

//! What is answered to a request, and where does the answer go? Decided purely, from facts found
//! before.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::clock::Timestamp;
use crate::proto::dhcp4::ask::{Ask, NoAsk};
use crate::proto::dhcp4::code;
use crate::proto::dhcp4::encode::reply_bytes_max;
use crate::proto::dhcp4::message::{Message, MessageType};
use crate::receipt::Committed;

/// What an answer is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Our server identifier (option 54), unless the relay overrides it, and `siaddr`.
    pub server: Ipv4Addr,
    pub verdict: Verdict,
    /// The device's own name for option 12. What the client calls itself is never echoed: a device
    /// once took the name `router` from such an echo.
    pub host_name: Option<String>,
    /// Options that this platform must find in OFFER and ACK, asked for or not: code and value.
    pub forced: Vec<(u8, Vec<u8>)>,
    /// See [`Ask::of`].
    pub to_us_alone: bool,
    pub ways: Ways,
}

/// What the address decision found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Given(Given),
    /// What it holds or wants is not for it: it must begin anew.
    Wrong {
        why: String,
    },
    /// There is nothing for it here.
    Nothing {
        why: String,
    },
}

/// An address and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub address: Ipv4Addr,
    /// The end of the lease; not used for INFORM.
    pub expires: Timestamp,
    pub network: Network,
}

/// What a client must know of the subnet it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub mask: Ipv4Addr,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub domain: Option<String>,
}

/// How clients and relays are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// Where a client without an address listens: 255.255.255.255:68, or a port on loopback.
    pub to_nobody_yet: SocketAddrV4,
    /// 68, but on loopback.
    pub client_port: u16,
    /// 67, but on loopback.
    pub relay_port: u16,
}

impl Ways {
    /// RFC 2131 section 4.1.
    pub const STANDARD: Ways = Ways {
        to_nobody_yet: SocketAddrV4::new(Ipv4Addr::BROADCAST, 68),
        client_port: 68,
        relay_port: 67,
    };
}

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub bytes: Vec<u8>,
    pub to: SocketAddrV4,
    /// Codes of options that the client's longest message (option 57) had no room for.
    pub left_out: Vec<u8>,
}

/// The decision.
#[derive(Debug)]
pub enum Answer {
    Offer(Reply),
    Ack(Promise),
    /// The ACK of an INFORM: it binds nothing, so nothing has to be stored.
    Informed(Reply),
    Nak(Reply),
    Silence(Silence),
}

/// An ACK that may not be said before its binding is stored (RFC 2131 section 3.1, step 4).
///
/// The bytes come out against the store's receipt and in no other way:
///
/// ```compile_fail,E0616
/// fn steal(promise: greenlight::proto::dhcp4::answer::Promise) -> Vec<u8> {
///     promise.reply.bytes
/// }
/// ```
///
/// ```
/// use greenlight::proto::dhcp4::answer::{Promise, Reply};
/// fn take(promise: Promise, receipt: greenlight::receipt::Committed) -> Reply {
///     promise.release(receipt)
/// }
/// ```
#[derive(Debug)]
#[must_use = "the client waits for this reply"]
pub struct Promise {
    reply: Reply,
}

impl Promise {
    /// Gives the reply for the proof that its lease is on disk.
    pub fn release(self, receipt: Committed) -> Reply {
        let _ = receipt;
        self.reply
    }
}

/// Why nothing is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    NotAsked(NoAsk),
    /// The client speaks to this other server.
    OtherServer {
        server: Ipv4Addr,
    },
    /// There is no address for it.
    Nothing {
        why: String,
    },
    /// DECLINE and RELEASE are not answered (RFC 2131 sections 4.3.3 and 4.3.4).
    NoneDue,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::NotAsked(why) => write!(f, "{why}"),
            Silence::OtherServer { server } => write!(f, "the client chose server {server}"),
            Silence::Nothing { why } => write!(f, "{why}"),
            Silence::NoneDue => write!(f, "this message is not answered"),
        }
    }
}

/// Decides what is answered to `request` at `now`.
pub fn answer(request: &Message, facts: &Facts, now: Timestamp) -> Answer {
    let ask = match Ask::of(request, facts.to_us_alone) {
        Ok(ask) => ask,
        Err(why) => return Answer::Silence(Silence::NotAsked(why)),
    };
    let discovering = match ask {
        Ask::Decline { .. } | Ask::Release { .. } => return Answer::Silence(Silence::NoneDue),
        Ask::Inform { .. } => return informed(request, facts),
        Ask::Discover { .. } => true,
        Ask::Selecting { .. }
        | Ask::InitReboot { .. }
        | Ask::Renewing { .. }
        | Ask::Rebinding { .. } => false,
    };
    let ours = [Some(facts.server), request.server_override()];
    let elsewhere =
        request.server_id().filter(|server| !ours.contains(&Some(*server)) && !discovering);
    if let Some(server) = elsewhere {
        return Answer::Silence(Silence::OtherServer { server });
    }
    match &facts.verdict {
        Verdict::Given(given) if discovering => {
            let message = bound(request, facts, given, now);
            Answer::Offer(sent(request, facts, with_kind(message, MessageType::Offer)))
        }
        Verdict::Given(given) => {
            let message = Message { ciaddr: request.ciaddr, ..bound(request, facts, given, now) };
            let reply = sent(request, facts, with_kind(message, MessageType::Ack));
            Answer::Ack(Promise { reply })
        }
        // There is nothing yet that a NAK could take back.
        Verdict::Wrong { why } | Verdict::Nothing { why } if discovering => {
            Answer::Silence(Silence::Nothing { why: why.clone() })
        }
        Verdict::Wrong { why } => Answer::Nak(refused(request, facts, why)),
        Verdict::Nothing { why } => Answer::Silence(Silence::Nothing { why: why.clone() }),
    }
}

/// RFC 2131 section 4.3.5: parameters without `yiaddr` and without a lease time.
fn informed(request: &Message, facts: &Facts) -> Answer {
    match &facts.verdict {
        Verdict::Given(given) => {
            let message = with_parameters(blank(request, facts), facts, &given.network);
            let message = Message { ciaddr: request.ciaddr, ..message };
            Answer::Informed(sent(request, facts, with_kind(message, MessageType::Ack)))
        }
        Verdict::Wrong { why } | Verdict::Nothing { why } => {
            Answer::Silence(Silence::Nothing { why: why.clone() })
        }
    }
}

/// A NAK: RFC 2131 table 3 allows it little more than the reason.
fn refused(request: &Message, facts: &Facts, why: &str) -> Reply {
    let text: Vec<u8> = why.bytes().filter(|byte| (b' '..=b'~').contains(byte)).take(120).collect();
    let mut message = with_kind(blank(request, facts), MessageType::Nak);
    if !text.is_empty() {
        message = message.with(code::MESSAGE, text);
    }
    if request.relay().is_some() {
        // Section 4.3.2: the relay must broadcast it, as the client's address may be of no use
        // there.
        message.flags |= Message::BROADCAST;
    }
    let to = match request.relay() {
        Some(relay) => SocketAddrV4::new(relay, facts.ways.relay_port),
        None => facts.ways.to_nobody_yet,
    };
    written(request, &message, to)
}

/// What every reply has in common (RFC 2131 table 3).
fn blank(request: &Message, facts: &Facts) -> Message {
    let mut message = Message {
        op: Message::BOOT_REPLY,
        htype: request.htype,
        hlen: request.hlen,
        xid: request.xid,
        flags: request.flags,
        giaddr: request.giaddr,
        chaddr: request.chaddr,
        ..Message::default()
    }
    // RFC 5107: what the client sends to its server alone is to pass the relay.
    .with_address(code::SERVER_ID, request.server_override().unwrap_or(facts.server));
    // 61: RFC 6842 section 3. 82: RFC 3046 section 2.2, in replies of every kind.
    for code in [code::CLIENT_ID, code::RELAY_INFORMATION] {
        if let Some(value) = request.option(code) {
            message = message.with(code, value);
        }
    }
    message
}

fn with_kind(message: Message, kind: MessageType) -> Message {
    message.with(code::MESSAGE_TYPE, [kind.number()])
}

fn bound(request: &Message, facts: &Facts, given: &Given, now: Timestamp) -> Message {
    let seconds = u32::try_from(given.expires.since(now).as_secs()).unwrap_or(u32::MAX);
    // T1 is a half and T2 seven eighths of the lease (RFC 2131 section 4.4.5).
    let rebinding = seconds - seconds / 8;
    let message = with_parameters(blank(request, facts), facts, &given.network)
        .with(code::LEASE_TIME, seconds.to_be_bytes())
        .with(code::RENEWAL_TIME, (seconds / 2).to_be_bytes())
        .with(code::REBINDING_TIME, rebinding.to_be_bytes());
    Message { yiaddr: given.address, ..message }
}

/// Options that only the protocol itself may write.
const OURS: [u8; 11] = [
    code::PAD,
    code::REQUESTED_ADDRESS,
    code::LEASE_TIME,
    code::OVERLOAD,
    code::MESSAGE_TYPE,
    code::SERVER_ID,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
    code::CLIENT_ID,
    code::RELAY_INFORMATION,
    code::END,
];

fn with_parameters(message: Message, facts: &Facts, network: &Network) -> Message {
    let mut message = message.with_address(code::SUBNET_MASK, network.mask);
    if let Some(router) = network.router {
        message = message.with_address(code::ROUTER, router);
    }
    if !network.dns.is_empty() {
        let servers: Vec<u8> = network.dns.iter().flat_map(Ipv4Addr::octets).collect();
        message = message.with(code::DOMAIN_NAME_SERVER, servers);
    }
    for (code, text) in [
        (code::DOMAIN_NAME, network.domain.as_deref()),
        (code::HOST_NAME, facts.host_name.as_deref()),
    ] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            message = message.with(code, text);
        }
    }
    for (code, value) in &facts.forced {
        if !OURS.contains(code) {
            message = message.with(*code, value.as_slice());
        }
    }
    // Old IOS reads the fields of BOOTP and not the options; one byte of each stays for the NUL.
    let fitting = |code: u8, bytes: usize| match message.option(code) {
        Some(text) if text.len() < bytes => text.to_vec(),
        Some(_) | None => Vec::new(),
    };
    let (file, sname) = (fitting(code::BOOT_FILE_NAME, 128), fitting(code::TFTP_SERVER_NAME, 64));
    Message { siaddr: facts.server, file, sname, ..message }
}

/// Finds the way of RFC 2131 section 4.1: the relay, the address the client has, everybody. A
/// client that could take unicast to its new address gets a broadcast as well: the kernel has no
/// ARP entry.
fn sent(request: &Message, facts: &Facts, message: Message) -> Reply {
    let ways = facts.ways;
    let to = match request.relay() {
        Some(relay) => SocketAddrV4::new(relay, ways.relay_port),
        None if request.ciaddr.is_unspecified() => ways.to_nobody_yet,
        None => SocketAddrV4::new(request.ciaddr, ways.client_port),
    };
    written(request, &message, to)
}

fn written(request: &Message, message: &Message, to: SocketAddrV4) -> Reply {
    let encoded = message.encode_within(reply_bytes_max(request));
    Reply { bytes: encoded.bytes, to, left_out: encoded.left_out }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::address::Mac;

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const MINE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 50);
    const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 9, 1);
    const NOW: Timestamp = Timestamp::from_seconds(1_795_261_396);

    /// Catalyst on IOS (AutoInstall): no option 60, the MAC in option 61 behind a zero byte.
    fn ios(kind: MessageType) -> Message {
        let mac = Mac::new([0xb4, 0x14, 0x89, 0x6c, 0x12, 0xc0]);
        Message { flags: Message::BROADCAST, ..Message::from_client(kind, mac, 0x1a2b_3c4d) }
            .with(57, [0x04, 0x80])
            .with(61, *b"\0cisco-b414.896c.12c0-Vl1")
            .with(55, [1, 66, 6, 15, 44, 3, 67, 12, 33, 150, 43, 125])
            .with(12, *b"Router")
    }

    fn given() -> Facts {
        Facts {
            server: SERVER,
            verdict: Verdict::Given(Given {
                address: MINE,
                expires: NOW.plus(Duration::from_secs(3600)),
                network: Network {
                    mask: Ipv4Addr::new(255, 255, 255, 0),
                    router: Some(Ipv4Addr::new(10, 0, 0, 254)),
                    dns: vec![Ipv4Addr::new(10, 0, 0, 53), Ipv4Addr::new(10, 0, 1, 53)],
                    domain: Some("lab.example".into()),
                },
            }),
            host_name: Some("dist1".into()),
            forced: vec![
                (66, b"10.0.0.1".to_vec()),
                (67, b"dist1-confg".to_vec()),
                (150, SERVER.octets().to_vec()),
                (54, vec![6; 4]),
            ],
            to_us_alone: false,
            ways: Ways::STANDARD,
        }
    }

    fn with_verdict(verdict: Verdict) -> Facts {
        Facts { verdict, ..given() }
    }

    /// The answer as one line: kind, destination, `yiaddr`, and whether the relay bit is last.
    fn told(request: &Message, facts: &Facts) -> String {
        let (kind, reply) = match answer(request, facts, NOW) {
            Answer::Offer(reply) => ("offer", reply),
            Answer::Ack(promise) => ("ack", promise.release(Committed::by_the_store(1))),
            Answer::Informed(reply) => ("informed", reply),
            Answer::Nak(reply) => ("nak", reply),
            Answer::Silence(why) => return format!("silence: {why}"),
        };
        let read = Message::decode(&reply.bytes).unwrap();
        assert_eq!(read.option(82), request.option(82), "82 is echoed in every reply");
        assert_eq!(read.option(61), request.option(61), "61 is echoed (RFC 6842)");
        assert_eq!(read.server_id(), Some(facts.server));
        assert_eq!((read.xid, read.chaddr, read.op), (request.xid, request.chaddr, 2));
        let lease = read.number(51).map_or("no lease".to_owned(), |seconds| format!("{seconds} s"));
        let flag = if read.wants_broadcast() { ", broadcast bit" } else { "" };
        format!("{kind} to {}, yiaddr {}, {lease}{flag}", reply.to, read.yiaddr)
    }

    #[test]
    fn a_switch_that_boots_on_ios_finds_all_it_reads() {
        let Answer::Offer(reply) = answer(&ios(MessageType::Discover), &given(), NOW) else {
            panic!("no offer")
        };
        assert_eq!(reply.to, "255.255.255.255:68".parse().unwrap());
        assert_eq!((reply.bytes.len() >= 300, reply.left_out), (true, vec![]));
        let read = Message::decode(&reply.bytes).unwrap();
        assert_eq!(read.order[..2], [53, 54]);
        assert_eq!(read.address(1), Some(Ipv4Addr::new(255, 255, 255, 0)));
        assert_eq!(read.address(3), Some(Ipv4Addr::new(10, 0, 0, 254)));
        assert_eq!(read.option(6), Some(&[10, 0, 0, 53, 10, 0, 1, 53][..]));
        assert_eq!(read.option(15), Some(&b"lab.example"[..]));
        assert_eq!(read.option(12), Some(&b"dist1"[..]), "and not the client's own Router");
        let times = (read.number(51), read.number(58), read.number(59));
        assert_eq!(times, (Some(3600), Some(1800), Some(3150)));
        assert_eq!((read.siaddr, &read.file[..]), (SERVER, &b"dist1-confg"[..]));
        assert_eq!((&read.sname[..], read.address(150)), (&b"10.0.0.1"[..], Some(SERVER)));
        assert_eq!(read.server_id(), Some(SERVER), "a platform cannot rewrite the protocol");
    }

    #[test]
    fn offer_and_ack_carry_the_same_options() {
        let request = |kind| {
            ios(kind).with_address(50, MINE).with_address(54, SERVER).with(82, *b"\x01\x03Gi1")
        };
        let Answer::Offer(offer) = answer(&request(MessageType::Discover), &given(), NOW) else {
            panic!("no offer")
        };
        let Answer::Ack(promise) = answer(&request(MessageType::Request), &given(), NOW) else {
            panic!("no ack")
        };
        let ack = promise.release(Committed::by_the_store(7));
        let options = |bytes: &[u8]| {
            let read = Message::decode(bytes).unwrap();
            assert_eq!(read.order.last(), Some(&82));
            let mut options = read.options;
            options.remove(&53);
            (options, read.file, read.sname, read.siaddr)
        };
        assert_eq!(options(&offer.bytes), options(&ack.bytes));
    }

    #[test]
    fn each_kind_of_request_has_its_answer() {
        let request = || ios(MessageType::Request);
        let holding = || Message { ciaddr: MINE, flags: 0, ..request() };
        let wrong = with_verdict(Verdict::Wrong { why: "not your subnet".into() });
        let nothing = with_verdict(Verdict::Nothing { why: "the pool is empty".into() });
        let selecting = || request().with_address(50, MINE).with_address(54, SERVER);
        let other = request().with_address(50, MINE).with_address(54, RELAY);
        let inform = || Message { ciaddr: MINE, ..ios(MessageType::Inform) };
        let release = Message { ciaddr: MINE, ..ios(MessageType::Release) };
        let yes = "to 255.255.255.255:68, yiaddr 10.0.0.50, 3600 s, broadcast bit";
        let no = "nak to 255.255.255.255:68, yiaddr 0.0.0.0, no lease";
        let cases = [
            (ios(MessageType::Discover), given(), format!("offer {yes}")),
            (ios(MessageType::Discover), nothing.clone(), "silence: the pool is empty".into()),
            (ios(MessageType::Discover), wrong.clone(), "silence: not your subnet".into()),
            (selecting(), given(), format!("ack {yes}")),
            (selecting(), wrong.clone(), format!("{no}, broadcast bit")),
            (other, given(), "silence: the client chose server 10.0.9.1".into()),
            (request().with_address(50, MINE), given(), format!("ack {yes}")),
            (request().with_address(50, MINE), wrong.clone(), format!("{no}, broadcast bit")),
            (holding(), given(), "ack to 10.0.0.50:68, yiaddr 10.0.0.50, 3600 s".into()),
            (holding(), wrong.clone(), no.into()),
            (holding(), nothing.clone(), "silence: the pool is empty".into()),
            (
                ios(MessageType::Decline).with_address(50, MINE),
                given(),
                "silence: this message is not answered".into(),
            ),
            (release, given(), "silence: this message is not answered".into()),
            (
                inform(),
                given(),
                "informed to 10.0.0.50:68, yiaddr 0.0.0.0, no lease, broadcast bit".into(),
            ),
            (inform(), nothing, "silence: the pool is empty".into()),
            (ios(MessageType::Ack), given(), "silence: Ack is not for servers".into()),
        ];
        for (request, facts, expected) in cases {
            assert_eq!(told(&request, &facts), expected, "{:?}", Ask::of(&request, false));
        }
    }

    #[test]
    fn every_reply_to_a_relay_goes_to_its_port_67_with_option_82_last() {
        let relayed = |message: Message| {
            Message { giaddr: RELAY, flags: 0, ..message }.with(82, *b"\x01\x03Gi1\x02\x02sw")
        };
        let wrong = with_verdict(Verdict::Wrong { why: "not your subnet".into() });
        let rebooting = relayed(ios(MessageType::Request).with_address(50, MINE));
        let cases = [
            (relayed(ios(MessageType::Discover)), given(), "offer", ""),
            (rebooting.clone(), given(), "ack", ""),
            (rebooting, wrong, "nak", ", broadcast bit"),
        ];
        for (request, facts, kind, flag) in cases {
            let line = told(&request, &facts);
            assert!(line.starts_with(&format!("{kind} to 10.0.9.1:67, ")), "{line}");
            assert_eq!(line.contains("broadcast bit"), !flag.is_empty(), "{line}");
        }
        let Answer::Nak(nak) = answer(
            &relayed(ios(MessageType::Request).with_address(50, MINE)),
            &with_verdict(Verdict::Wrong { why: "not \u{1b}[2J yours".into() }),
            NOW,
        ) else {
            panic!("no nak")
        };
        let read = Message::decode(&nak.bytes).unwrap();
        assert_eq!(read.order, [53, 54, 61, 56, 82]);
        assert_eq!(read.option(56), Some(&b"not [2J yours"[..]));
    }

    #[test]
    fn a_relay_that_stands_for_the_server_is_named_in_all_replies_and_what_names_it_is_ours() {
        let by = |message: Message| {
            Message { giaddr: RELAY, flags: 0, ..message }
                .with(82, *b"\x01\x03Gi1\x0b\x04\x0a\x00\x09\x01\x97\x05\0mgmt\x98\0")
        };
        let request = || ios(MessageType::Request);
        let wrong = with_verdict(Verdict::Wrong { why: "not your subnet".into() });
        let renewing = |server| {
            by(Message { ciaddr: MINE, ..request() }).with_address(code::SERVER_ID, server)
        };
        let selecting =
            |server| by(request()).with_address(50, MINE).with_address(code::SERVER_ID, server);
        let cases = [
            (by(ios(MessageType::Discover)), given(), "offer"),
            (selecting(RELAY), given(), "ack"),
            (selecting(SERVER), given(), "ack"),
            (renewing(RELAY), given(), "ack"),
            (selecting(RELAY), wrong.clone(), "nak"),
            (by(Message { ciaddr: MINE, ..ios(MessageType::Inform) }), given(), "informed"),
        ];
        for (request, facts, expected) in cases {
            let (kind, reply) = match answer(&request, &facts, NOW) {
                Answer::Offer(reply) => ("offer", reply),
                Answer::Ack(promise) => ("ack", promise.release(Committed::by_the_store(1))),
                Answer::Informed(reply) => ("informed", reply),
                Answer::Nak(reply) => ("nak", reply),
                Answer::Silence(why) => panic!("{expected}: {why}"),
            };
            let read = Message::decode(&reply.bytes).unwrap();
            assert_eq!((kind, read.server_id()), (expected, Some(RELAY)));
            assert_eq!(read.option(82), request.option(82), "echoed whole, with 151 and 152");
            assert_ne!(read.siaddr, RELAY, "files still come from us");
        }
        let other = selecting(Ipv4Addr::new(10, 0, 0, 99));
        assert_eq!(told(&other, &given()), "silence: the client chose server 10.0.0.99");
        let alone = Message { giaddr: Ipv4Addr::UNSPECIFIED, ..selecting(RELAY) };
        let silence = "silence: the client chose server 10.0.9.1";
        assert_eq!(told(&alone, &given()), silence, "no relay spoke");
    }

    #[test]
    fn junos_that_shows_itself_only_in_the_request_finds_its_options_in_the_ack() {
        let mac = Mac::new([0x2c, 0x6b, 0xf5, 1, 2, 3]);
        let request = Message::from_client(MessageType::Request, mac, 5)
            .with(60, *b"Juniper-ex2200-48t-4g")
            .with(55, [3, 51, 1, 15, 6, 66, 67, 120, 44, 43, 150, 12, 7, 42])
            .with_address(50, MINE)
            .with_address(54, SERVER);
        let forced = vec![(43, b"\x01\x0cnetwork.conf\x03\x04tftp".to_vec())];
        let facts = Facts { forced: forced.clone(), ..given() };
        let Answer::Ack(promise) = answer(&request, &facts, NOW) else { panic!("no ack") };
        let reply = promise.release(Committed::by_the_store(1));
        let read = Message::decode(&reply.bytes).unwrap();
        assert_eq!(read.option(43), Some(&forced[0].1[..]));
    }

    #[test]
    fn a_client_on_loopback_is_reached_without_rights() {
        let ways = Ways {
            to_nobody_yet: "127.0.1.7:6868".parse().unwrap(),
            client_port: 6868,
            relay_port: 6767,
        };
        let facts = Facts { ways, ..given() };
        let arista = Message::from_client(MessageType::Discover, Mac::new([2, 0, 0, 0, 0, 9]), 3)
            .with(60, *b"Arista;DCS-7050S-64;01.23;JPE12221671");
        assert!(told(&arista, &facts).starts_with("offer to 127.0.1.7:6868, "));
        let relayed = Message { giaddr: RELAY, ..arista.clone() };
        assert!(told(&relayed, &facts).starts_with("offer to 10.0.9.1:6767, "));
        let holding = Message { ciaddr: MINE, ..arista }.with(53, [3]);
        assert!(told(&holding, &facts).starts_with("ack to 10.0.0.50:6868, "));
    }

    #[test]
    fn a_long_url_stays_whole_in_the_option_and_out_of_the_field() {
        let url = vec![b'u'; 128];
        let facts = Facts { forced: vec![(67, url.clone())], ..given() };
        let Answer::Offer(reply) = answer(&ios(MessageType::Discover), &facts, NOW) else {
            panic!("no offer")
        };
        let read = Message::decode(&reply.bytes).unwrap();
        assert_eq!((read.option(67), read.file.len()), (Some(&url[..]), 0));
    }
}

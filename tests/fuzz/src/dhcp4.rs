//! One DHCPv4 datagram: read, looked at from all sides, written again, answered.

use std::net::Ipv4Addr;
use std::sync::OnceLock;
use std::time::Duration;

use greenlight::address::Mac;
use greenlight::clock::Timestamp;
use greenlight::platform::{AnswerFacts, Platforms};
use greenlight::proto::dhcp4::answer::{Answer, Facts, Given, Network, Reply, Verdict, Ways};
use greenlight::proto::dhcp4::relay::{self, Information};
use greenlight::proto::dhcp4::{
    Ask, MESSAGE_BYTES_LEAST, MESSAGE_BYTES_MAX, Message, MessageType, answer, code,
    reply_bytes_max,
};
use greenlight::receipt::Committed;

pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const NOW: Timestamp = Timestamp::from_seconds(1_795_261_396);

/// Up to here everything that was read has room when it is written.
const ROOMY_BYTES: usize = 4000;

/// A sentence for the log is no longer than this, whatever was read.
const SENTENCE_BYTES_MAX: usize = 400;

pub fn check(bytes: &[u8]) {
    let message = match Message::decode(bytes) {
        Ok(message) => message,
        Err(error) => return assert!(error.to_string().len() < SENTENCE_BYTES_MAX, "{error}"),
    };
    let values: usize = message.options.values().map(Vec::len).sum();
    assert!(values + 2 * message.order.len() <= bytes.len(), "options out of nothing");
    assert!(message.complaints.len() <= 3);
    for complaint in &message.complaints {
        assert!(complaint.offset < bytes.len());
        assert!(complaint.to_string().len() < SENTENCE_BYTES_MAX, "{complaint}");
    }
    writes_back(&message, bytes.len());
    views(&message, bytes.len());
    for to_us_alone in [false, true] {
        if let Err(why) = Ask::of(&message, to_us_alone) {
            assert!(why.to_string().len() < SENTENCE_BYTES_MAX);
        }
        for verdict in verdicts() {
            let facts = facts(verdict, to_us_alone);
            answered(&message, &facts, answer(&message, &facts, NOW));
        }
    }
}

/// What was read and written is read as the same, but for what is said to be left out.
fn writes_back(message: &Message, length: usize) {
    for bytes_max in [0, 548, 576, 1472, MESSAGE_BYTES_MAX] {
        let encoded = message.encode_within(bytes_max);
        assert!(encoded.bytes.len() <= bytes_max.max(548));
        assert!(encoded.bytes.len() >= MESSAGE_BYTES_LEAST);
        let again = Message::decode(&encoded.bytes).expect("what we write can be read");
        assert_eq!(again.complaints, []);
        let mut expected = message.options.clone();
        expected.retain(|code, _| !encoded.left_out.contains(code));
        assert_eq!(again.options, expected);
        let head = |m: &Message| {
            let addresses = [m.ciaddr, m.yiaddr, m.siaddr, m.giaddr];
            (m.op, m.htype, m.hlen, m.hops, m.xid, m.secs, m.flags, addresses, m.chaddr)
        };
        assert_eq!(head(&again), head(message));
        if bytes_max < MESSAGE_BYTES_MAX || length > ROOMY_BYTES {
            continue;
        }
        assert!(encoded.left_out.iter().all(|code| *code == code::RELAY_INFORMATION));
        assert_eq!((&again.file, &again.sname), (&message.file, &message.sname));
    }
}

/// The typed views, and who it looks like.
fn views(message: &Message, length: usize) {
    let mac = message.mac().unwrap_or(Mac::new([0; 6]));
    let relayed = message.relay_information().unwrap_or_default();
    if let Some((circuit, remote)) = Information::of(relayed).position() {
        assert!(circuit.len() <= 2 * relayed.len() + 2);
        assert!(remote.is_none_or(|remote| remote.len() <= 2 * relayed.len() + 2));
    }
    let kept = relay::kept_position(&message.relay_information_hex());
    assert_eq!(kept.is_some(), Information::of(cut(relayed)).position().is_some());
    assert!(message.client_id_hex().len() <= 510 && message.relay_information_hex().len() <= 510);
    let views = (message.requested_address(), message.server_id(), message.message_type());
    assert!(message.options.len() <= 253, "{views:?}");
    assert!(message.parameter_request_list().len() <= length);
    static PLATFORMS: OnceLock<Platforms> = OnceLock::new();
    let platforms = PLATFORMS.get_or_init(Platforms::built_in);
    let Some(found) = platforms.recognise(&message.options, mac) else { return };
    let said = [&found.serial, &found.model];
    assert!(said.into_iter().flatten().all(|text| text.len() <= 3 * length), "{said:?}");
    let facts = AnswerFacts { server: SERVER, device: "acc-1".into(), http_port: Some(80) };
    assert!(found.platform.dhcp_options(&facts).len() < 100);
}

fn cut(relayed: &[u8]) -> &[u8] {
    &relayed[..relayed.len().min(255)]
}

fn verdicts() -> [Verdict; 3] {
    let given = Given {
        address: Ipv4Addr::new(10, 0, 0, 50),
        expires: NOW.plus(Duration::from_secs(3600)),
        network: network(),
    };
    let why = || "because \u{1b}[2J\u{e4} of this".to_owned();
    [Verdict::Given(given), Verdict::Wrong { why: why() }, Verdict::Nothing { why: why() }]
}

pub fn network() -> Network {
    Network {
        mask: Ipv4Addr::new(255, 255, 255, 0),
        router: Some(Ipv4Addr::new(10, 0, 0, 254)),
        dns: vec![Ipv4Addr::new(10, 0, 0, 53)],
        domain: Some("lab.example".into()),
    }
}

pub fn facts(verdict: Verdict, to_us_alone: bool) -> Facts {
    let forced = vec![
        (66, b"10.0.0.1".to_vec()),
        (67, b"acc-1.cfg".to_vec()),
        (150, SERVER.octets().to_vec()),
        (43, vec![7; 300]),
        (54, vec![6; 4]),
    ];
    let host_name = Some("acc-1".into());
    Facts { server: SERVER, verdict, host_name, forced, to_us_alone, ways: Ways::STANDARD }
}

/// Checks the answer to `request`, and returns its datagram, if there is one.
pub fn answered(request: &Message, facts: &Facts, answer: Answer) -> Option<Message> {
    let (kind, reply) = match answer {
        Answer::Offer(reply) => (MessageType::Offer, reply),
        // The store of this test has it.
        Answer::Ack(promise) => (MessageType::Ack, promise.release(Committed::by_the_store(1))),
        Answer::Informed(reply) => (MessageType::Ack, reply),
        Answer::Nak(reply) => (MessageType::Nak, reply),
        Answer::Silence(why) => {
            assert!(why.to_string().len() < SENTENCE_BYTES_MAX);
            return None;
        }
    };
    let Reply { bytes, to, left_out } = reply;
    assert!(bytes.len() <= reply_bytes_max(request), "longer than the client takes");
    assert!(bytes.len() >= MESSAGE_BYTES_LEAST);
    let read = Message::decode(&bytes).expect("what we answer can be read");
    assert_eq!(read.complaints, []);
    assert_eq!((read.op, read.message_type()), (Message::BOOT_REPLY, Some(kind)));
    assert_eq!((read.xid, read.chaddr, read.giaddr), (request.xid, request.chaddr, request.giaddr));
    assert_eq!(read.server_id(), Some(facts.server));
    for code in [code::CLIENT_ID, code::RELAY_INFORMATION] {
        if !left_out.contains(&code) {
            assert_eq!(read.option(code), request.option(code), "option {code} is echoed");
        }
    }
    assert!(request.relay().is_none_or(|relay| *to.ip() == relay), "past the relay, to {to}");
    if kind == MessageType::Nak {
        assert!(read.yiaddr.is_unspecified() && read.number(code::LEASE_TIME).is_none());
    }
    Some(read)
}

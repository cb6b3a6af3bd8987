//! One DHCPv6 datagram: read, looked at from all sides, written again, answered.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use greenlight::address::Mac;
use greenlight::proto::dhcp6::answer::{
    Answer, Boot, Decided, Facts, Given, Outcome, Parameters, Verdict, Ways,
};
use greenlight::proto::dhcp6::ask::ASSOCIATIONS_MAX;
use greenlight::proto::dhcp6::association::{ADDRESSES_MAX, Association};
use greenlight::proto::dhcp6::relay::RELAYS_MAX;
use greenlight::proto::dhcp6::{
    Ask, Datagram, Duid, MessageType, REPLY_BYTES_MAX, answer, class, code,
};
use greenlight::receipt::Committed;

use super::dhcp4::NOW;

const SENTENCE_BYTES_MAX: usize = 500;

/// What an answer may add to what the client and its relays wrote: our identifier, and for each
/// association an address and a status in words.
const ADDED_BYTES_MAX: usize = 4096;

pub fn check(bytes: &[u8]) {
    let datagram = match Datagram::decode(bytes) {
        Ok(datagram) => datagram,
        Err(error) => return assert!(error.to_string().len() < SENTENCE_BYTES_MAX, "{error}"),
    };
    assert!(datagram.relays.len() <= RELAYS_MAX && datagram.complaints.len() <= RELAYS_MAX + 1);
    for complaint in &datagram.complaints {
        assert!(complaint.offset <= bytes.len());
        assert!(complaint.to_string().len() < SENTENCE_BYTES_MAX, "{complaint}");
    }
    let written = datagram.encode();
    assert!(written.len() <= bytes.len(), "longer than what was read");
    if datagram.relays.is_empty() && datagram.complaints.is_empty() {
        assert_eq!(written, bytes, "a message is written as it was read");
    }
    let again = Datagram::decode(&written).expect("what we write can be read");
    assert_eq!(again, Datagram { complaints: Vec::new(), ..datagram.clone() });
    views(&datagram, bytes.len());
    for to_us_alone in [false, true] {
        match Ask::of(&datagram, &server(), to_us_alone) {
            Ok(ask) => answers(&datagram, &ask, bytes.len()),
            Err(why) => assert!(why.to_string().len() < SENTENCE_BYTES_MAX, "{why}"),
        }
    }
}

fn server() -> Duid {
    Duid::link_layer(Mac::new([2, 0, 0, 0, 0, 1]))
}

fn views(datagram: &Datagram, length: usize) {
    let message = &datagram.message;
    let places = (datagram.link(), datagram.peer(), datagram.mac());
    if let Some((port, switch)) = datagram.position() {
        assert!(port.len() <= 2 * length && switch.is_none_or(|it| it.len() <= 2 * length));
    }
    for duid in [message.client_id(), message.server_id()].into_iter().flatten() {
        let shown = duid.to_string();
        assert!(shown.len() <= 2 * duid.bytes().len(), "{places:?}");
        assert_eq!(Duid::from_hex(&shown).as_ref(), Some(&duid));
        let _ = (duid.kind(), duid.mac());
    }
    let classes = class::user_classes(message).len() + class::vendor_classes(message).len();
    assert!(classes + class::vendor_specifics(message).len() <= length);
    assert!(message.wanted().count() <= length / 2);
    assert!(message.status().is_none_or(|status| status.text.len() <= 3 * length));
}

fn verdicts(associations: &[Association]) -> Vec<Verdict> {
    let why = || "because \u{1b}[2J of this".to_owned();
    let given = Given {
        address: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50),
        preferred_until: NOW.plus(Duration::from_secs(1800)),
        expires: NOW.plus(Duration::from_secs(3600)),
    };
    let outcomes = [
        Outcome::Given(given),
        Outcome::NoAddress { why: why() },
        Outcome::NoBinding { why: why() },
        Outcome::NotOnLink { why: why() },
    ];
    let each = |first: usize| {
        let outcomes = outcomes.iter().cycle().skip(first);
        let decided = associations.iter().zip(outcomes);
        let decided = decided.map(|(a, o)| Decided { iaid: a.iaid, outcome: o.clone() });
        Verdict::Bound(decided.collect())
    };
    let ended = associations.iter().step_by(2).map(|association| association.iaid).collect();
    vec![
        each(0),
        each(1),
        each(2),
        each(3),
        Verdict::Ended(ended),
        Verdict::OnLink,
        Verdict::NotOnLink { why: why() },
        Verdict::Parameters,
        Verdict::Nothing { why: why() },
    ]
}

fn answers(datagram: &Datagram, ask: &Ask, length: usize) {
    let wish = ask.wish();
    for all in wish.into_iter().flat_map(|w| [&w.associations, &w.temporary, &w.prefixes]) {
        assert!(all.len() <= ASSOCIATIONS_MAX);
        assert!(all.iter().all(|association| association.addresses.len() <= ADDRESSES_MAX));
    }
    let none = Vec::new();
    let from = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9), 546, 0, 2);
    for verdict in verdicts(wish.map_or(&none, |wish| &wish.associations)) {
        let facts = Facts {
            server: server(),
            verdict,
            parameters: parameters(),
            preference: Some(255),
            rapid_commit: true,
            ways: Ways::standard(from),
        };
        answered(datagram, &facts, answer(datagram, ask, &facts, NOW), length);
    }
}

fn parameters() -> Parameters {
    Parameters {
        dns: vec![Ipv6Addr::LOCALHOST],
        domains: vec!["lab.example".into()],
        boot: Some(Boot { url: "tftp://[2001:db8::1]/acc-1.cfg".into(), parameters: vec![] }),
        forced: vec![(17, vec![0; 300]), (code::SERVER_ID, vec![6; 4])],
        sol_max_rt_seconds: Some(60),
        inf_max_rt_seconds: Some(60),
        refresh_seconds: Some(600),
    }
}

fn answered(datagram: &Datagram, facts: &Facts, answer: Answer, length: usize) {
    let (kind, reply) = match answer {
        Answer::Advertise(reply) => (MessageType::Advertise, reply),
        // The store of this test has it.
        Answer::Promised(promise) => {
            let binds = matches!(facts.verdict, Verdict::Bound(_) | Verdict::Ended(_));
            assert!(binds, "{:?} stores something", facts.verdict);
            (MessageType::Reply, promise.release(Committed::by_the_store(1)))
        }
        Answer::Told(reply) => (MessageType::Reply, reply),
        Answer::Silence(why) => {
            return assert!(why.to_string().len() < SENTENCE_BYTES_MAX, "{why}");
        }
    };
    assert!(reply.bytes.len() <= REPLY_BYTES_MAX.max(length + ADDED_BYTES_MAX));
    let read = Datagram::decode(&reply.bytes).expect("what we answer can be read");
    assert_eq!(read.complaints, []);
    assert_eq!(read.message.kind, kind);
    assert_eq!(read.message.transaction, datagram.message.transaction);
    assert_eq!(read.message.option(code::CLIENT_ID), datagram.message.option(code::CLIENT_ID));
    assert_eq!(read.message.server_id().as_ref(), Some(&facts.server));
    let way = |one: &Datagram| {
        one.relays.iter().map(|relay| (relay.hop_count, relay.link, relay.peer)).collect::<Vec<_>>()
    };
    assert_eq!(way(&read), way(datagram), "each relay finds its way back");
    assert_eq!(read.towards_client, !datagram.relays.is_empty());
    assert_eq!(reply.to.ip(), facts.ways.from.ip());
}

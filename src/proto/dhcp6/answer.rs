//! What is answered to a request, and where does the answer go? Decided purely, from facts found
//! before.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};

use crate::clock::Timestamp;
use crate::proto::dhcp6::ask::Ask;
use crate::proto::dhcp6::association::StatusCode;
use crate::proto::dhcp6::datagram::Datagram;
use crate::proto::dhcp6::duid::Duid;
use crate::proto::dhcp6::lines::{Lines, Rules};
use crate::proto::dhcp6::message::MessageType;
use crate::proto::dhcp6::reply::Draft;
use crate::receipt::Committed;

/// What an answer is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Our server identifier (option 2).
    pub server: Duid,
    pub verdict: Verdict,
    pub parameters: Parameters,
    /// Option 7 of an Advertise: 255 makes a client take us at once.
    pub preference: Option<u8>,
    /// Whether a Solicit with option 14 is answered by a Reply. Only where no second server gives
    /// addresses: what the client does not take would stay bound (RFC 8415 section 21.14).
    pub rapid_commit: bool,
    pub ways: Ways,
}

/// What the address decision found. Each kind of [`Ask`] has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// For Solicit, Request, Renew and Rebind: one line for each IA_NA. An IA_NA without a line
    /// counts as [`Outcome::NoBinding`].
    Bound(Vec<Decided>),
    /// For Release and Decline: the IAIDs whose bindings end. Every other association of the
    /// client is told NoBinding.
    Ended(Vec<u32>),
    /// For Confirm: every address fits the client's link.
    OnLink,
    /// For Confirm: at least one does not.
    NotOnLink { why: String },
    /// For Information-request.
    Parameters,
    /// For every kind: there is nothing here for this client, and nothing is answered.
    Nothing { why: String },
}

/// What is decided about one IA_NA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub iaid: u32,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Given(Given),
    /// There is no address for it.
    NoAddress {
        why: String,
    },
    /// It extends what it does not hold.
    NoBinding {
        why: String,
    },
    /// It holds addresses of another link.
    NotOnLink {
        why: String,
    },
}

/// An address and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    pub address: Ipv6Addr,
    /// Until then the client begins new connections with it. T1 and T2 follow from this.
    pub preferred_until: Timestamp,
    /// End of the valid lifetime: the end of the lease.
    pub expires: Timestamp,
}

/// What a client learns beside its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Option 23.
    pub dns: Vec<Ipv6Addr>,
    /// Option 24.
    pub domains: Vec<String>,
    /// Options 59 and 60.
    pub boot: Option<Boot>,
    /// Options that this platform must find, asked for or not: code and value. A code that stands
    /// here is taken from here alone.
    pub forced: Vec<(u16, Vec<u8>)>,
    /// Option 82, told to who asks for it.
    pub sol_max_rt_seconds: Option<u32>,
    /// Option 83, told to who asks for it.
    pub inf_max_rt_seconds: Option<u32>,
    /// Option 32, told to who asks for parameters alone and for it (RFC 8415 section 21.23).
    pub refresh_seconds: Option<u32>,
}

/// Where a device finds its configuration (RFC 5970).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    pub url: String,
    pub parameters: Vec<String>,
}

/// How clients and relays are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// Where the datagram came from, with the number of our interface if that is a link-local
    /// address.
    pub from: SocketAddrV6,
    /// 546, but on loopback.
    pub client_port: u16,
    /// 547, but on loopback.
    pub relay_port: u16,
}

impl Ways {
    /// RFC 8415 section 7.2.
    pub const fn standard(from: SocketAddrV6) -> Self {
        Self { from, client_port: 546, relay_port: 547 }
    }
}

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub bytes: Vec<u8>,
    pub to: SocketAddrV6,
    /// Codes of options for which a path of 1500 bytes has no room.
    pub left_out: Vec<u16>,
}

/// The decision.
#[derive(Debug)]
pub enum Answer {
    /// It binds nothing: the client chooses first.
    Advertise(Reply),
    /// A Reply that says what must be stored before.
    Promised(Promise),
    /// A Reply that binds and ends nothing.
    Told(Reply),
    Silence(Silence),
}

/// A Reply that may not be said before its bindings, or their ends, are stored: a client takes
/// them for granted from there on (RFC 8415 sections 18.3.2 and 18.3.7).
///
/// The bytes come out against the store's receipt and in no other way:
///
/// ```compile_fail,E0616
/// fn steal(promise: greenlight::proto::dhcp6::answer::Promise) -> Vec<u8> {
///     promise.reply.bytes
/// }
/// ```
///
/// ```
/// use greenlight::proto::dhcp6::answer::{Promise, Reply};
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
    /// Gives the reply for the proof that its bindings, or their ends, are on disk.
    pub fn release(self, receipt: Committed) -> Reply {
        let _ = receipt;
        self.reply
    }
}

/// Why nothing is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// There is nothing for this client.
    Nothing { why: String },
    /// A Confirm without addresses is not answered (RFC 8415 section 18.3.3).
    NothingToConfirm,
    /// A Rebind of what we do not know is for another server to answer (RFC 8415
    /// section 18.3.5).
    NotOurs,
    /// The verdict was about another kind of message.
    Undecided,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::Nothing { why } => write!(f, "{why}"),
            Silence::NothingToConfirm => write!(f, "the client holds nothing to confirm"),
            Silence::NotOurs => write!(f, "the client holds nothing of ours"),
            Silence::Undecided => write!(f, "nothing was decided about this message"),
        }
    }
}

/// Decides what is answered at `now` to `datagram`, which [`Ask::of`] understood as `ask`.
pub fn answer(datagram: &Datagram, ask: &Ask, facts: &Facts, now: Timestamp) -> Answer {
    let draft = |kind| Draft::new(kind, datagram, facts);
    let verdict = &facts.verdict;
    let decided = match ask {
        Ask::Solicit { wish, rapid } => verdict.bound().map(|decided| {
            let lines = Lines::of(wish, Rules::Solicit, decided, now);
            solicited(draft, &lines, *rapid && facts.rapid_commit)
        }),
        Ask::Request(wish) => verdict.bound().map(|decided| {
            let lines = Lines::of(wish, Rules::Request, decided, now);
            promised(lines.binds, draft(MessageType::Reply).lines(&lines).parameters())
        }),
        Ask::Renew(wish) => verdict.bound().map(|decided| {
            let lines = Lines::of(wish, Rules::Extend, decided, now);
            promised(lines.binds, draft(MessageType::Reply).lines(&lines).parameters())
        }),
        Ask::Rebind(wish) => verdict.bound().and_then(|decided| {
            let lines = Lines::of(wish, Rules::Extend, decided, now);
            if !lines.binds && !lines.takes_back {
                return Err(Silence::NotOurs);
            }
            Ok(promised(lines.binds, draft(MessageType::Reply).lines(&lines).parameters()))
        }),
        Ask::Confirm(wish) => verdict.on_link().and_then(|(status, why)| {
            if !wish.holds_addresses() {
                return Err(Silence::NothingToConfirm);
            }
            Ok(Answer::Told(draft(MessageType::Reply).status(status, why).sent()))
        }),
        Ask::Release(wish) | Ask::Decline(wish) => verdict.ended().map(|ended| {
            let lines = Lines::of_ended(wish, ended);
            let draft = draft(MessageType::Reply).status(StatusCode::Success, "");
            promised(lines.ends, draft.lines(&lines))
        }),
        Ask::Information { .. } => verdict
            .parameters()
            .map(|()| Answer::Told(draft(MessageType::Reply).parameters().refreshed().sent())),
        // RFC 8415 section 18.4: the two identifiers, the status, and no other options.
        Ask::ByUnicast { .. } => {
            let draft = draft(MessageType::Reply).status(StatusCode::UseMulticast, "");
            Ok(Answer::Told(draft.sent()))
        }
    };
    decided.unwrap_or_else(Answer::Silence)
}

/// RFC 8415 section 18.3.1: an Advertise, or the Reply at once if that binds something.
fn solicited<'a>(draft: impl Fn(MessageType) -> Draft<'a>, lines: &Lines, rapid: bool) -> Answer {
    if rapid && lines.binds {
        return promised(true, draft(MessageType::Reply).rapid().lines(lines).parameters());
    }
    let advertise = draft(MessageType::Advertise).preference().lines(lines).parameters();
    Answer::Advertise(advertise.sent())
}

fn promised(to_be_stored: bool, draft: Draft<'_>) -> Answer {
    let reply = draft.sent();
    if to_be_stored { Answer::Promised(Promise { reply }) } else { Answer::Told(reply) }
}

impl Verdict {
    fn bound(&self) -> Result<&[Decided], Silence> {
        match self {
            Verdict::Bound(decided) => Ok(decided),
            Verdict::Nothing { why } => Err(Silence::Nothing { why: why.clone() }),
            Verdict::Ended(_)
            | Verdict::OnLink
            | Verdict::NotOnLink { .. }
            | Verdict::Parameters => Err(Silence::Undecided),
        }
    }

    fn ended(&self) -> Result<&[u32], Silence> {
        match self {
            Verdict::Ended(iaids) => Ok(iaids),
            Verdict::Nothing { why } => Err(Silence::Nothing { why: why.clone() }),
            Verdict::Bound(_)
            | Verdict::OnLink
            | Verdict::NotOnLink { .. }
            | Verdict::Parameters => Err(Silence::Undecided),
        }
    }

    fn on_link(&self) -> Result<(StatusCode, &str), Silence> {
        match self {
            Verdict::OnLink => Ok((StatusCode::Success, "")),
            Verdict::NotOnLink { why } => Ok((StatusCode::NotOnLink, why)),
            Verdict::Nothing { why } => Err(Silence::Nothing { why: why.clone() }),
            Verdict::Bound(_) | Verdict::Ended(_) | Verdict::Parameters => Err(Silence::Undecided),
        }
    }

    fn parameters(&self) -> Result<(), Silence> {
        match self {
            Verdict::Parameters => Ok(()),
            Verdict::Nothing { why } => Err(Silence::Nothing { why: why.clone() }),
            Verdict::Bound(_) | Verdict::Ended(_) | Verdict::OnLink | Verdict::NotOnLink { .. } => {
                Err(Silence::Undecided)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::address::Mac;
    use crate::proto::dhcp6::association::{Address, Status, lasting, temporary};
    use crate::proto::dhcp6::message::Message;
    use crate::proto::dhcp6::options::Options;
    use crate::proto::dhcp6::relay::Relay;
    use crate::proto::dhcp6::{REPLY_BYTES_MAX, code};

    const NOW: Timestamp = Timestamp::from_seconds(1_795_261_396);
    const MINE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50);
    const OLD: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 0x50);
    const CLIENT: Mac = Mac::new([2, 0, 0, 0, 0, 9]);

    fn server() -> Duid {
        Duid::uuid([7; 16])
    }

    fn given(seconds: u64) -> Outcome {
        let until = |seconds| NOW.plus(Duration::from_secs(seconds));
        let (preferred_until, expires) = (until(seconds), until(seconds * 2));
        Outcome::Given(Given { address: MINE, preferred_until, expires })
    }

    fn why() -> String {
        "the pool is empty".to_owned()
    }

    fn bound(outcome: Outcome) -> Verdict {
        Verdict::Bound(vec![Decided { iaid: 1, outcome }])
    }

    fn facts(verdict: Verdict) -> Facts {
        let from = SocketAddrV6::new("fe80::9".parse().unwrap(), 546, 0, 2);
        let parameters = Parameters::default();
        let ways = Ways::standard(from);
        let (preference, rapid_commit) = (None, true);
        Facts { server: server(), verdict, parameters, preference, rapid_commit, ways }
    }

    /// A client's message about association 1, naming us where it must.
    fn from_client(kind: MessageType, held: &[Ipv6Addr]) -> Message {
        let inside = held.iter().fold(Options::default(), |inside, address| {
            let address = Address { address: *address, preferred_seconds: 0, valid_seconds: 0 };
            inside.with(code::IA_ADDRESS, address.write())
        });
        let message = Message::new(kind, 7).with(1, Duid::link_layer(CLIENT).bytes());
        let message = match kind {
            MessageType::Request
            | MessageType::Renew
            | MessageType::Release
            | MessageType::Decline => message.with(2, server().bytes()),
            _ => message,
        };
        match kind {
            MessageType::InformationRequest => message,
            _ => message.with(3, lasting(1, [0, 0], &inside)),
        }
    }

    fn parted(code: u16, value: &[u8]) -> String {
        let (iaid, rest) = value.split_first_chunk().unwrap();
        let number = |at: usize| u32::from_be_bytes(value[at..at + 4].try_into().unwrap());
        let (times, rest) = match code {
            4 => (String::new(), rest),
            _ => (format!(" {}/{}", number(4), number(8)), &value[12..]),
        };
        let inside: Vec<String> = Options::read(rest)
            .iter()
            .map(|(code, value)| match code {
                5 => {
                    let Address { address, preferred_seconds, valid_seconds } =
                        Address::of(value).unwrap();
                    format!("{address} {preferred_seconds}/{valid_seconds}")
                }
                13 => status(value),
                other => format!("option {other}"),
            })
            .collect();
        let name = match code {
            3 => "ia",
            4 => "ta",
            _ => "pd",
        };
        format!("{name} {}{times} [{}]", u32::from_be_bytes(*iaid), inside.join(", "))
    }

    fn status(value: &[u8]) -> String {
        let Status { code, text } = Status::of(&Options::default().with(13, value)).unwrap();
        if text.is_empty() { format!("{code:?}") } else { format!("{code:?}: {text}") }
    }

    /// The answer as one line: how it may be sent, kind, and each option but the identifiers.
    fn told(datagram: &Datagram, facts: &Facts) -> String {
        told_alone(datagram, facts, false)
    }

    fn told_alone(datagram: &Datagram, facts: &Facts, to_us_alone: bool) -> String {
        let ask = Ask::of(datagram, &facts.server, to_us_alone).unwrap();
        let (stored, reply) = match answer(datagram, &ask, facts, NOW) {
            Answer::Advertise(reply) | Answer::Told(reply) => ("", reply),
            Answer::Promised(promise) => ("stored, ", promise.release(Committed::by_the_store(1))),
            Answer::Silence(why) => return format!("silence: {why}"),
        };
        assert!(reply.left_out.is_empty());
        let read = Datagram::decode(&reply.bytes).unwrap();
        assert!(read.complaints.is_empty());
        assert_eq!(read.towards_client, !datagram.relays.is_empty());
        let message = read.message;
        assert_eq!(message.transaction, datagram.message.transaction);
        assert_eq!(message.option(1), datagram.message.option(1));
        assert_eq!(message.server_id(), Some(facts.server.clone()));
        let options = message.options.iter().filter(|(code, _)| ![1, 2].contains(code));
        let options = options.map(|(code, value)| match code {
            3 | 4 | 25 => parted(code, value),
            7 => format!("preference {}", value[0]),
            13 => status(value),
            14 => "rapid".to_owned(),
            other => format!("option {other}"),
        });
        let options: Vec<String> = options.collect();
        format!("{stored}{:?}: {}", message.kind, options.join("; "))
    }

    fn check(kind: MessageType, held: &[Ipv6Addr], verdict: Verdict, expected: &str) {
        let datagram = Datagram::bare(from_client(kind, held));
        assert_eq!(told(&datagram, &facts(verdict)), expected, "{kind:?} of {held:?}");
    }

    #[test]
    fn a_client_s_life_goes_by_the_timetable() {
        let from = from_client;
        let at = |left: u64| bound(given(left));
        use MessageType as M;
        // What happens, how many seconds are left of the preferred lifetime, what is answered.
        let table = [
            (from(M::Solicit, &[]), at(3600), "Advertise: ia 1 1800/2880 [M 3600/7200]"),
            (from(M::Request, &[MINE]), at(3600), "stored, Reply: ia 1 1800/2880 [M 3600/7200]"),
            (from(M::Renew, &[MINE]), at(3601), "stored, Reply: ia 1 1800/2880 [M 3601/7202]"),
            (from(M::Rebind, &[MINE]), at(4), "stored, Reply: ia 1 2/3 [M 4/8]"),
            (from(M::Confirm, &[MINE]), Verdict::OnLink, "Reply: Success"),
            (from(M::InformationRequest, &[]), Verdict::Parameters, "Reply: "),
            (from(M::Release, &[MINE]), Verdict::Ended(vec![1]), "stored, Reply: Success"),
            (
                from(M::Release, &[MINE]),
                Verdict::Ended(vec![]),
                "Reply: Success; ia 1 0/0 [NoBinding]",
            ),
            (from(M::Decline, &[MINE]), Verdict::Ended(vec![1]), "stored, Reply: Success"),
        ];
        for (message, verdict, expected) in table {
            let line = told(&Datagram::bare(message), &facts(verdict));
            assert_eq!(line.replace("2001:db8::50", "M"), expected);
        }
    }

    #[test]
    fn each_kind_of_message_has_its_refusal() {
        use MessageType as M;
        let full = || bound(Outcome::NoAddress { why: why() });
        let unknown = || bound(Outcome::NoBinding { why: String::new() });
        let moved = || bound(Outcome::NotOnLink { why: String::new() });
        let nobody = || Verdict::Nothing { why: "a stranger".into() };
        let none = "ia 1 0/0 [NoAddressesAvailable]";
        let full_line = "ia 1 0/0 [NoAddressesAvailable: the pool is empty]";
        let unbound = "Reply: ia 1 0/0 [NoBinding]";
        let gone = "Reply: ia 1 0/0 [2001:db8:9::50 0/0]";
        let not_ours = "silence: the client holds nothing of ours";
        check(M::Solicit, &[OLD], full(), &format!("Advertise: {full_line}"));
        check(M::Solicit, &[OLD], unknown(), &format!("Advertise: {none}"));
        check(M::Solicit, &[OLD], moved(), &format!("Advertise: {none}"));
        check(M::Request, &[OLD], full(), &format!("Reply: {full_line}"));
        check(M::Request, &[OLD], unknown(), &format!("Reply: {none}"));
        check(M::Request, &[OLD], Verdict::Bound(vec![]), &format!("Reply: {none}"));
        check(M::Request, &[OLD], moved(), "Reply: ia 1 0/0 [NotOnLink]");
        check(M::Renew, &[OLD], full(), &format!("Reply: {full_line}"));
        check(M::Renew, &[OLD], unknown(), unbound);
        check(M::Renew, &[OLD], Verdict::Bound(vec![]), unbound);
        check(M::Renew, &[OLD], moved(), gone);
        check(M::Renew, &[], moved(), unbound);
        check(M::Rebind, &[OLD], full(), not_ours);
        check(M::Rebind, &[OLD], unknown(), not_ours);
        check(M::Rebind, &[], moved(), not_ours);
        check(M::Rebind, &[OLD], moved(), gone);
        let far = Verdict::NotOnLink { why: "not of 2001:db8::/64".into() };
        check(M::Confirm, &[OLD], far.clone(), "Reply: NotOnLink: not of 2001:db8::/64");
        check(M::Confirm, &[], far, "silence: the client holds nothing to confirm");
        for kind in [
            M::Solicit,
            M::Request,
            M::Renew,
            M::Rebind,
            M::Confirm,
            M::Release,
            M::Decline,
            M::InformationRequest,
        ] {
            check(kind, &[OLD], nobody(), "silence: a stranger");
        }
    }

    #[test]
    fn a_verdict_about_another_kind_of_message_is_not_said() {
        use MessageType as M;
        let nothing = "silence: nothing was decided about this message";
        for kind in [M::Solicit, M::Request, M::Renew, M::Rebind] {
            check(kind, &[MINE], Verdict::OnLink, nothing);
            check(kind, &[MINE], Verdict::Parameters, nothing);
        }
        for kind in [M::Release, M::Decline, M::Confirm, M::InformationRequest] {
            check(kind, &[MINE], bound(given(3600)), nothing);
        }
        check(M::Confirm, &[MINE], Verdict::Ended(vec![1]), nothing);
        check(M::Release, &[MINE], Verdict::OnLink, nothing);
    }

    #[test]
    fn an_extended_association_loses_what_is_not_given_and_a_new_one_does_not_hear_of_it() {
        use MessageType as M;
        let both = "ia 1 1800/2880 [2001:db8::50 3600/7200, 2001:db8:9::50 0/0]";
        let one = "ia 1 1800/2880 [2001:db8::50 3600/7200]";
        check(M::Renew, &[OLD, MINE], bound(given(3600)), &format!("stored, Reply: {both}"));
        check(M::Rebind, &[OLD, MINE], bound(given(3600)), &format!("stored, Reply: {both}"));
        check(M::Request, &[OLD, MINE], bound(given(3600)), &format!("stored, Reply: {one}"));
    }

    #[test]
    fn temporary_addresses_and_prefixes_are_refused_beside_an_address_that_is_given() {
        let with_all = |kind| {
            let message = from_client(kind, &[MINE]).with(4, temporary(2, &Options::default()));
            Datagram::bare(message.with(25, lasting(3, [0, 0], &Options::default())))
        };
        let given = facts(bound(given(3600)));
        let ours = "ia 1 1800/2880 [2001:db8::50 3600/7200]";
        let none = "ta 2 [NoAddressesAvailable]; pd 3 0/0 [NoPrefixAvailable]";
        let unknown = "ta 2 [NoBinding]; pd 3 0/0 [NoBinding]";
        let expected = [
            (MessageType::Solicit, format!("Advertise: {ours}; {none}")),
            (MessageType::Request, format!("stored, Reply: {ours}; {none}")),
            (MessageType::Renew, format!("stored, Reply: {ours}; {unknown}")),
        ];
        for (kind, line) in expected {
            assert_eq!(told(&with_all(kind), &given), line);
        }
        let ended = facts(Verdict::Ended(vec![1]));
        let line = format!("stored, Reply: Success; {unknown}");
        assert_eq!(told(&with_all(MessageType::Release), &ended), line);
    }

    #[test]
    fn t1_and_t2_follow_the_shortest_lifetime_and_are_the_same_for_all() {
        let asking = from_client(MessageType::Request, &[]);
        let asking = asking.with(3, lasting(2, [0, 0], &Options::default()));
        let line = |iaid, seconds| Decided { iaid, outcome: given(seconds) };
        let lines = vec![line(1, 100), line(2, 50), line(77, 1)];
        let expected = "stored, Reply: ia 1 25/40 [2001:db8::50 100/200]; \
                        ia 2 25/40 [2001:db8::50 50/100]";
        assert_eq!(told(&Datagram::bare(asking), &facts(Verdict::Bound(lines))), expected);
        let for_ever = given(1 << 40);
        let expected = "stored, Reply: ia 1 4294967295/4294967295 \
                        [2001:db8::50 4294967295/4294967295]";
        check(MessageType::Request, &[], bound(for_ever), expected);
        let until = |seconds| NOW.plus(Duration::from_secs(seconds));
        let (preferred_until, expires) = (until(900), until(300));
        let beyond_its_end = Outcome::Given(Given { address: MINE, preferred_until, expires });
        let expected = "stored, Reply: ia 1 150/240 [2001:db8::50 300/300]";
        check(MessageType::Request, &[], bound(beyond_its_end), expected);
        check(
            MessageType::Request,
            &[],
            bound(given(0)),
            "stored, Reply: ia 1 0/0 [2001:db8::50 0/0]",
        );
    }

    #[test]
    fn rapid_commit_is_honoured_where_it_is_set_asked_for_and_of_use() {
        let rapid = Datagram::bare(from_client(MessageType::Solicit, &[]).with(14, []));
        let yes = facts(bound(given(3600)));
        let address = "ia 1 1800/2880 [2001:db8::50 3600/7200]";
        assert_eq!(told(&rapid, &yes), format!("stored, Reply: rapid; {address}"));
        let off = Facts { rapid_commit: false, ..yes.clone() };
        assert_eq!(told(&rapid, &off), format!("Advertise: {address}"));
        let full = facts(bound(Outcome::NoAddress { why: String::new() }));
        assert_eq!(told(&rapid, &full), "Advertise: ia 1 0/0 [NoAddressesAvailable]");
        let strong = Facts { preference: Some(255), ..off };
        assert_eq!(told(&rapid, &strong), format!("Advertise: preference 255; {address}"));
        let request = Datagram::bare(from_client(MessageType::Request, &[]).with(14, []));
        let strong = Facts { preference: Some(255), ..yes };
        assert_eq!(told(&request, &strong), format!("stored, Reply: {address}"));
    }

    #[test]
    fn who_speaks_to_us_alone_is_told_to_speak_to_everybody_and_nothing_else() {
        use MessageType as M;
        let parameters = Parameters { dns: vec![MINE], ..Parameters::default() };
        for kind in [M::Request, M::Renew, M::Release, M::Decline] {
            let facts = Facts { parameters: parameters.clone(), ..facts(bound(given(3600))) };
            let datagram = Datagram::bare(from_client(kind, &[MINE]));
            assert_eq!(told_alone(&datagram, &facts, true), "Reply: UseMulticast");
        }
    }

    fn all_parameters() -> Parameters {
        Parameters {
            dns: vec![MINE, OLD],
            domains: vec!["lab.example".into()],
            boot: Some(Boot { url: "http://[2001:db8::1]/x".into(), parameters: vec!["a".into()] }),
            forced: vec![
                (code::VENDOR_SPECIFIC, vec![0, 0, 0, 9, 0, 1, 0, 0]),
                (code::VENDOR_SPECIFIC, vec![0, 0, 0x75, 0x71]),
                (code::SERVER_ID, vec![9; 9]),
                (code::INFORMATION_REFRESH_TIME, vec![9; 4]),
                (code::SZTP_REDIRECT, vec![0, 1, b'u']),
            ],
            sol_max_rt_seconds: Some(60),
            inf_max_rt_seconds: Some(61),
            refresh_seconds: Some(600),
        }
    }

    #[test]
    fn parameters_are_told_where_they_belong() {
        use MessageType as M;
        let asking = |kind| {
            let wanted = [0, 82, 0, 83, 0, 32];
            Datagram::bare(from_client(kind, &[MINE]).with(code::OPTION_REQUEST, wanted))
        };
        let with = |verdict| Facts { parameters: all_parameters(), ..facts(verdict) };
        let all: String =
            [17, 17, 136, 59, 60, 23, 24, 82, 83].map(|code| format!("; option {code}")).concat();
        let address = "ia 1 1800/2880 [2001:db8::50 3600/7200]";
        let given = with(bound(given(3600)));
        assert_eq!(told(&asking(M::Solicit), &given), format!("Advertise: {address}{all}"));
        for kind in [M::Request, M::Renew, M::Rebind] {
            assert_eq!(told(&asking(kind), &given), format!("stored, Reply: {address}{all}"));
        }
        let line = told(&asking(M::InformationRequest), &with(Verdict::Parameters));
        assert_eq!(line, format!("Reply: {}; option 32", all.strip_prefix("; ").unwrap()));
        assert_eq!(told(&asking(M::Confirm), &with(Verdict::OnLink)), "Reply: Success");
        let ended = with(Verdict::Ended(vec![1]));
        assert_eq!(told(&asking(M::Decline), &ended), "stored, Reply: Success");
        let silent = Datagram::bare(from_client(M::InformationRequest, &[]));
        let line = told(&silent, &with(Verdict::Parameters));
        assert!(!line.contains("82") && !line.contains("83") && !line.contains("32"), "{line}");
    }

    #[test]
    fn an_independent_decoder_reads_the_parameters_and_what_is_forced_stands_alone() {
        use dhcproto::Decodable;
        use dhcproto::v6::{self, DhcpOption, OptionCode};
        let mut parameters = all_parameters();
        parameters.forced.push((code::BOOT_FILE_URL, b"http://forced".to_vec()));
        let facts = Facts { parameters, ..facts(bound(given(3600))) };
        let datagram = Datagram::bare(from_client(MessageType::Solicit, &[]));
        let ask = Ask::of(&datagram, &facts.server, false).unwrap();
        let Answer::Advertise(reply) = answer(&datagram, &ask, &facts, NOW) else {
            panic!("no advertise")
        };
        let theirs = v6::Message::from_bytes(&reply.bytes).unwrap();
        let get = |code| theirs.opts().get(code);
        assert_eq!(theirs.msg_type(), v6::MessageType::Advertise);
        let dns = DhcpOption::DomainNameServers(vec![MINE, OLD]);
        assert_eq!(get(OptionCode::DomainNameServers), Some(&dns));
        let Some(DhcpOption::DomainSearchList(names)) = get(OptionCode::DomainSearchList) else {
            panic!("no domains")
        };
        assert_eq!(names[0].to_string(), "lab.example.");
        let read = Datagram::decode(&reply.bytes).unwrap().message;
        let urls: Vec<&[u8]> = read.options.all(code::BOOT_FILE_URL).collect();
        assert_eq!(urls, [b"http://forced"]);
        assert_eq!(read.option(code::BOOT_FILE_PARAMETERS), Some(&b"\0\x01a"[..]));
        assert_eq!(read.options.all(code::SERVER_ID).count(), 1);
    }

    fn relay(hop_count: u8, options: Options) -> Relay {
        let link = Ipv6Addr::new(0x2001, 0xdb8, hop_count.into(), 0, 0, 0, 0, 1);
        Relay { hop_count, link, peer: "fe80::9".parse().unwrap(), options }
    }

    fn sent(datagram: &Datagram, facts: &Facts) -> (Datagram, SocketAddrV6) {
        let ask = Ask::of(datagram, &facts.server, true).unwrap();
        let Answer::Advertise(reply) = answer(datagram, &ask, facts, NOW) else {
            panic!("no advertise")
        };
        (Datagram::decode(&reply.bytes).unwrap(), reply.to)
    }

    #[test]
    fn the_wrappings_are_mirrored_with_what_each_relay_must_find() {
        let near = Options::default().with(18, *b"Gi1").with(37, [0; 5]).with(79, [0; 8]);
        let far = Options::default().with(43, [0, 38]).with(38, *b"rack").with(18, *b"up");
        let relays = vec![relay(1, far), relay(0, near)];
        let solicit = from_client(MessageType::Solicit, &[]);
        let datagram = Datagram { relays, ..Datagram::bare(solicit) };
        let mut facts = facts(bound(given(3600)));
        facts.ways.from = "[2001:db8:2::1]:5470".parse().unwrap();
        let (read, to) = sent(&datagram, &facts);
        let expected = [
            relay(1, Options::default().with(38, *b"rack").with(18, *b"up")),
            relay(0, Options::default().with(18, *b"Gi1")),
        ];
        assert_eq!((read.relays, read.towards_client), (expected.to_vec(), true));
        assert_eq!(read.message.kind, MessageType::Advertise);
        assert_eq!(to, "[2001:db8:2::1]:547".parse().unwrap());
    }

    #[test]
    fn the_outermost_relay_may_listen_where_it_speaks_from() {
        let solicit = || Datagram::bare(from_client(MessageType::Solicit, &[]));
        let port = || Options::default().with(135, [0x12, 0x34]);
        let mut facts = facts(bound(given(3600)));
        facts.ways.from = "[2001:db8:2::1]:5470".parse().unwrap();
        let outer = vec![relay(1, port()), relay(0, Options::default())];
        let (read, to) = sent(&Datagram { relays: outer, ..solicit() }, &facts);
        assert_eq!((to.port(), read.relays[0].source_port()), (5470, Some(0x1234)));
        let inner = vec![relay(1, Options::default()), relay(0, port())];
        let (read, to) = sent(&Datagram { relays: inner, ..solicit() }, &facts);
        assert_eq!((to.port(), read.relays[1].source_port()), (547, Some(0x1234)));
    }

    #[test]
    fn a_client_is_answered_on_the_link_it_spoke_on() {
        let facts = facts(Verdict::Parameters);
        let asking = Datagram::bare(from_client(MessageType::InformationRequest, &[]));
        let ask = Ask::of(&asking, &facts.server, false).unwrap();
        let Answer::Told(reply) = answer(&asking, &ask, &facts, NOW) else { panic!("no reply") };
        assert_eq!(reply.to, SocketAddrV6::new("fe80::9".parse().unwrap(), 546, 0, 2));
    }

    #[test]
    fn a_chain_to_the_hop_limit_is_answered_through_every_relay() {
        let hops = (0..9).rev().map(|hop| relay(hop, Options::default().with(18, [hop])));
        let solicit = from_client(MessageType::Solicit, &[]);
        let datagram = Datagram { relays: hops.collect(), ..Datagram::bare(solicit) };
        let (read, _) = sent(&datagram, &facts(bound(given(3600))));
        assert_eq!(read.relays, datagram.relays);
    }

    #[test]
    fn parameters_beyond_a_packet_are_left_out_and_told_and_the_rest_is_whole() {
        let forced = vec![(17, vec![1; 1200]), (200, vec![2; 300]), (201, vec![3; 120])];
        let parameters = Parameters { forced, dns: vec![MINE], ..Parameters::default() };
        let facts = Facts { parameters, ..facts(bound(given(3600))) };
        let solicit = from_client(MessageType::Solicit, &[]);
        for hops in [0, 1] {
            let relays = vec![relay(0, Options::default()); hops];
            let datagram = Datagram { relays, ..Datagram::bare(solicit.clone()) };
            let ask = Ask::of(&datagram, &facts.server, false).unwrap();
            let Answer::Advertise(reply) = answer(&datagram, &ask, &facts, NOW) else {
                panic!("no advertise")
            };
            assert!(reply.bytes.len() <= REPLY_BYTES_MAX, "{}", reply.bytes.len());
            let left_out = if hops == 0 { &[200][..] } else { &[200, 23] };
            assert_eq!(reply.left_out, left_out);
            let read = Datagram::decode(&reply.bytes).unwrap().message;
            assert!(read.option(3).is_some() && read.option(201).is_some());
        }
    }

    #[test]
    fn a_message_as_full_as_it_can_be_gets_an_answer_of_bounded_size() {
        let many = (0..600).fold(from_client(MessageType::Renew, &[]), |message, iaid| {
            message.with(3, lasting(iaid, [0, 0], &Options::default()))
        });
        let held: Vec<Ipv6Addr> = (0..300_u128).map(Ipv6Addr::from).collect();
        let wide = from_client(MessageType::Renew, &held);
        for message in [many, wide] {
            let datagram = Datagram::bare(message);
            let asked = Datagram::decode(&datagram.encode()[..9216.min(datagram.encode().len())]);
            let asked = asked.unwrap();
            let facts = facts(bound(Outcome::NotOnLink { why: String::new() }));
            let ask = Ask::of(&asked, &facts.server, false).unwrap();
            let Answer::Told(reply) = answer(&asked, &ask, &facts, NOW) else { panic!("none") };
            assert!(reply.bytes.len() < 500, "{}", reply.bytes.len());
        }
    }
}

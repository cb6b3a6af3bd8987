//! What is answered to a request, and where does the answer go? Decided purely, from facts found
//! before.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};

use crate::clock::Timestamp;
use crate::proto::dhcp6::ask::Ask;
use crate::proto::dhcp6::association::StatusCode;
use crate::proto::dhcp6::datagram::Datagram;
use crate::proto::dhcp6::duid::Duid;
use crate::proto::dhcp6::lines::Lines;
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
            let lines = Lines::of(wish, ask, decided, now);
            solicited(draft, &lines, *rapid && facts.rapid_commit)
        }),
        Ask::Request(wish) | Ask::Renew(wish) => verdict.bound().map(|decided| {
            let lines = Lines::of(wish, ask, decided, now);
            promised(lines.binds, draft(MessageType::Reply).lines(&lines).parameters())
        }),
        Ask::Rebind(wish) => verdict.bound().and_then(|decided| {
            let lines = Lines::of(wish, ask, decided, now);
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

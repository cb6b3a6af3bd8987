//! What does a client want, and is the message one that a server may answer (RFC 8415 section 16)?

use std::fmt;

use crate::proto::dhcp6::association::Association;
use crate::proto::dhcp6::code;
use crate::proto::dhcp6::datagram::Datagram;
use crate::proto::dhcp6::duid::Duid;
use crate::proto::dhcp6::message::{Message, MessageType};

/// Associations of one kind that are looked at in one message. Devices send one; those beyond are
/// not answered.
pub const ASSOCIATIONS_MAX: usize = 8;

/// A client's message, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Who is there? `rapid`: it would take the Reply at once (option 14).
    Solicit { wish: Wish, rapid: bool },
    /// It chose us among those who advertised.
    Request(Wish),
    /// It remembers addresses and asks whether they fit the link it is on.
    Confirm(Wish),
    /// It extends its addresses and speaks to us by our name.
    Renew(Wish),
    /// It extends its addresses and speaks to everybody, because its server does not answer.
    Rebind(Wish),
    /// It gives its addresses back.
    Release(Wish),
    /// Somebody else uses these addresses already.
    Decline(Wish),
    /// It has addresses from elsewhere and wants the other parameters.
    Information {
        /// Such a message may go without option 1 (RFC 8415 section 16.12).
        client: Option<Duid>,
    },
    /// A Request, Renew, Release or Decline that was sent to our own address, which we never
    /// allowed: the answer is status UseMulticast, and nothing has to be decided (RFC 8415
    /// section 18.4).
    ByUnicast { client: Duid },
}

/// Who asks, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Option 1.
    pub client: Duid,
    /// Every IA_NA (option 3), at most [`ASSOCIATIONS_MAX`], each IAID once.
    pub associations: Vec<Association>,
    /// Every IA_TA (option 4): we give no temporary addresses.
    pub temporary: Vec<Association>,
    /// Every IA_PD (option 25): we give no prefixes.
    pub prefixes: Vec<Association>,
}

/// Why a message asks for nothing and is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAsk {
    /// A message of servers or relays, or of a number that RFC 8415 lacks.
    NotForServers { kind: MessageType },
    /// Sent to our own address, while only everybody may be asked this (RFC 8415 section 16).
    ByUnicast { kind: MessageType },
    /// An option that this kind of message must carry is absent or no DUID.
    Lacks { kind: MessageType, code: u16 },
    /// An option that this kind of message must not carry is there.
    Forbidden { kind: MessageType, code: u16 },
    /// The client speaks to this other server.
    OtherServer { server: Duid },
}

impl fmt::Display for NoAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAsk::NotForServers { kind } => write!(f, "{kind:?} is not for servers"),
            NoAsk::ByUnicast { kind } => write!(f, "{kind:?} must not be sent by unicast"),
            NoAsk::Lacks { kind, code } => write!(f, "{kind:?} lacks {}", code::name(*code)),
            NoAsk::Forbidden { kind, code } => {
                write!(f, "{kind:?} must not carry {}", code::name(*code))
            }
            NoAsk::OtherServer { server } => write!(f, "the client chose server {server}"),
        }
    }
}

impl Ask {
    /// Understands `datagram` for the server named `server`. `to_us_alone` says that it was sent to
    /// our own address, which relays may do and clients may not (say false on loopback, where there
    /// is no other way).
    pub fn of(datagram: &Datagram, server: &Duid, to_us_alone: bool) -> Result<Ask, NoAsk> {
        if datagram.towards_client {
            return Err(NoAsk::NotForServers { kind: MessageType::RelayReply });
        }
        let message = &datagram.message;
        let kind = message.kind;
        let to_us_alone = to_us_alone && datagram.relays.is_empty();
        let by_unicast = |allowed: bool| match to_us_alone && !allowed {
            true => Err(NoAsk::ByUnicast { kind }),
            false => Ok(()),
        };
        match kind {
            MessageType::Solicit => {
                by_unicast(false)?;
                let wish = wish_to_all(message)?;
                Ok(Ask::Solicit { wish, rapid: message.rapid_commit() })
            }
            MessageType::Confirm => {
                by_unicast(false)?;
                Ok(Ask::Confirm(wish_to_all(message)?))
            }
            MessageType::Rebind => {
                by_unicast(false)?;
                Ok(Ask::Rebind(wish_to_all(message)?))
            }
            MessageType::Request => to_one(message, server, to_us_alone, Ask::Request),
            MessageType::Renew => to_one(message, server, to_us_alone, Ask::Renew),
            MessageType::Release => to_one(message, server, to_us_alone, Ask::Release),
            MessageType::Decline => to_one(message, server, to_us_alone, Ask::Decline),
            MessageType::InformationRequest => {
                by_unicast(false)?;
                information(message, server)
            }
            MessageType::Advertise
            | MessageType::Reply
            | MessageType::Reconfigure
            | MessageType::RelayForward
            | MessageType::RelayReply
            | MessageType::Other(_) => Err(NoAsk::NotForServers { kind }),
        }
    }

    /// What a client with a name asks for; `None` where there is nothing to decide about
    /// addresses.
    pub fn wish(&self) -> Option<&Wish> {
        match self {
            Ask::Solicit { wish, .. }
            | Ask::Request(wish)
            | Ask::Confirm(wish)
            | Ask::Renew(wish)
            | Ask::Rebind(wish)
            | Ask::Release(wish)
            | Ask::Decline(wish) => Some(wish),
            Ask::Information { .. } | Ask::ByUnicast { .. } => None,
        }
    }

    /// The client's name for itself, if it gave one.
    pub fn client(&self) -> Option<&Duid> {
        match self {
            Ask::Information { client } => client.as_ref(),
            Ask::ByUnicast { client } => Some(client),
            Ask::Solicit { wish, .. }
            | Ask::Request(wish)
            | Ask::Confirm(wish)
            | Ask::Renew(wish)
            | Ask::Rebind(wish)
            | Ask::Release(wish)
            | Ask::Decline(wish) => Some(&wish.client),
        }
    }
}

impl Wish {
    /// Whether any address stands in an IA_NA or IA_TA.
    pub fn holds_addresses(&self) -> bool {
        let mut all = self.associations.iter().chain(&self.temporary);
        all.any(|association| association.wanted().is_some())
    }
}

/// Messages for every server: no server is named (RFC 8415 sections 16.2, 16.5 and 16.7).
fn wish_to_all(message: &Message) -> Result<Wish, NoAsk> {
    let wish = wish(message)?;
    match message.option(code::SERVER_ID) {
        None => Ok(wish),
        Some(_) => Err(NoAsk::Forbidden { kind: message.kind, code: code::SERVER_ID }),
    }
}

/// Messages for one server, which is named (RFC 8415 sections 16.4, 16.6, 16.8 and 16.9).
fn to_one(
    message: &Message,
    server: &Duid,
    to_us_alone: bool,
    ask: fn(Wish) -> Ask,
) -> Result<Ask, NoAsk> {
    let wish = wish(message)?;
    let lacks = NoAsk::Lacks { kind: message.kind, code: code::SERVER_ID };
    let named = message.server_id().ok_or(lacks)?;
    if named != *server {
        return Err(NoAsk::OtherServer { server: named });
    }
    Ok(if to_us_alone { Ask::ByUnicast { client: wish.client } } else { ask(wish) })
}

/// RFC 8415 section 16.12.
fn information(message: &Message, server: &Duid) -> Result<Ask, NoAsk> {
    let kind = message.kind;
    let held = [code::IA_NA, code::IA_TA, code::IA_PD];
    if let Some(code) = held.into_iter().find(|code| message.option(*code).is_some()) {
        return Err(NoAsk::Forbidden { kind, code });
    }
    if message.option(code::SERVER_ID).is_some() {
        let lacks = NoAsk::Lacks { kind, code: code::SERVER_ID };
        let named = message.server_id().ok_or(lacks)?;
        if named != *server {
            return Err(NoAsk::OtherServer { server: named });
        }
    }
    Ok(Ask::Information { client: message.client_id() })
}

fn wish(message: &Message) -> Result<Wish, NoAsk> {
    let lacks = NoAsk::Lacks { kind: message.kind, code: code::CLIENT_ID };
    Ok(Wish {
        client: message.client_id().ok_or(lacks)?,
        associations: associations(message, code::IA_NA, Association::of_lasting),
        temporary: associations(message, code::IA_TA, Association::of_temporary),
        prefixes: associations(message, code::IA_PD, Association::of_lasting),
    })
}

fn associations(
    message: &Message,
    code: u16,
    read: fn(&[u8]) -> Option<Association>,
) -> Vec<Association> {
    let mut found: Vec<Association> = Vec::new();
    for association in message.options.all(code).filter_map(read) {
        let known = found.iter().any(|other| other.iaid == association.iaid);
        if found.len() < ASSOCIATIONS_MAX && !known {
            found.push(association);
        }
    }
    found
}

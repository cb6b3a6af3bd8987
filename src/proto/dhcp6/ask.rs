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

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::proto::dhcp6::association::{Address, lasting, temporary};
    use crate::proto::dhcp6::options::Options;
    use crate::proto::dhcp6::relay::Relay;

    const US: [u8; 4] = [0, 3, 0, 1];
    const OTHER: [u8; 4] = [0, 3, 0, 2];

    fn us() -> Duid {
        Duid::new(&US).unwrap()
    }

    fn from(kind: MessageType, options: &[(u16, &[u8])]) -> Datagram {
        let message = Message::new(kind, 7);
        let add = |message: Message, (code, value): &(u16, &[u8])| message.with(*code, *value);
        Datagram::bare(options.iter().fold(message, add))
    }

    fn told(datagram: &Datagram, to_us_alone: bool) -> String {
        match Ask::of(datagram, &us(), to_us_alone) {
            Ok(ask) => format!("{ask:?}").chars().take_while(char::is_ascii_alphabetic).collect(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn identifiers_stand_where_section_16_wants_them_and_nowhere_else() {
        use MessageType as M;
        let option = |code: u16, value: &'static [u8]| (code, value);
        let (client, ours, other) = (option(1, &[0, 3, 0, 9]), option(2, &US), option(2, &OTHER));
        for kind in [M::Solicit, M::Confirm, M::Rebind] {
            assert_eq!(told(&from(kind, &[client]), false), format!("{kind:?}"));
            assert_eq!(told(&from(kind, &[]), false), format!("{kind:?} lacks ClientId(1)"));
            let forbidden = format!("{kind:?} must not carry ServerId(2)");
            assert_eq!(told(&from(kind, &[client, ours]), false), forbidden);
            assert_eq!(told(&from(kind, &[client, (2, &[])]), false), forbidden);
            let unicast = format!("{kind:?} must not be sent by unicast");
            assert_eq!(told(&from(kind, &[client]), true), unicast);
        }
        for kind in [M::Request, M::Renew, M::Release, M::Decline] {
            assert_eq!(told(&from(kind, &[client, ours]), false), format!("{kind:?}"));
            assert_eq!(told(&from(kind, &[ours]), false), format!("{kind:?} lacks ClientId(1)"));
            assert_eq!(told(&from(kind, &[client]), false), format!("{kind:?} lacks ServerId(2)"));
            let elsewhere = "the client chose server 00030002";
            assert_eq!(told(&from(kind, &[client, other]), false), elsewhere);
            assert_eq!(told(&from(kind, &[client, ours]), true), "ByUnicast");
            assert_eq!(told(&from(kind, &[client, other]), true), elsewhere);
        }
        let kind = M::InformationRequest;
        for options in [&[][..], &[client], &[client, ours], &[(1, &[9])]] {
            assert_eq!(told(&from(kind, options), false), "Information", "{options:?}");
        }
        let refused = [
            (&[other][..], "the client chose server 00030002"),
            (&[(2, &[][..])], "InformationRequest lacks ServerId(2)"),
            (&[(3, &[])], "InformationRequest must not carry IANA(3)"),
            (&[(4, &[])], "InformationRequest must not carry IATA(4)"),
            (&[(25, &[])], "InformationRequest must not carry IAPD(25)"),
        ];
        for (options, why) in refused {
            assert_eq!(told(&from(kind, options), false), why);
        }
    }

    #[test]
    fn what_servers_and_relays_say_asks_nothing() {
        use MessageType as M;
        for kind in [M::Advertise, M::Reply, M::Reconfigure, M::RelayReply, M::Other(20)] {
            let message = from(kind, &[(1, &[0, 3, 0, 9]), (2, &US)]);
            assert_eq!(told(&message, false), format!("{kind:?} is not for servers"));
        }
        let turned = Datagram { towards_client: true, ..from(M::Solicit, &[(1, &[0, 3, 0, 9])]) };
        assert_eq!(told(&turned, false), "RelayReply is not for servers");
    }

    #[test]
    fn a_relay_may_speak_to_us_alone() {
        let none = Ipv6Addr::UNSPECIFIED;
        let relay = Relay { hop_count: 0, link: none, peer: none, options: Options::default() };
        let bare = from(MessageType::Solicit, &[(1, &[0, 3, 0, 9])]);
        assert_eq!(told(&Datagram { relays: vec![relay], ..bare }, true), "Solicit");
    }

    #[test]
    fn associations_of_each_kind_are_read_once_and_eight_at_most() {
        let address = Address { address: HELD, preferred_seconds: 0, valid_seconds: 0 };
        let inside = Options::default().with(code::IA_ADDRESS, address.write());
        let mut message = Message::new(MessageType::Rebind, 7).with(1, [0, 3, 0, 9]);
        for iaid in [1, 1, 2, 3, 4, 5, 6, 7, 8, 9] {
            message = message.with(code::IA_NA, lasting(iaid, [0, 0], &inside));
        }
        let message = message
            .with(code::IA_NA, [0; 11])
            .with(code::IA_TA, temporary(1, &inside))
            .with(code::IA_PD, lasting(1, [0, 0], &Options::default()));
        let ask = Ask::of(&Datagram::bare(message), &us(), false).unwrap();
        let wish = ask.wish().unwrap();
        let iaids: Vec<u32> = wish.associations.iter().map(|found| found.iaid).collect();
        assert_eq!(iaids, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(wish.temporary, [Association { iaid: 1, addresses: vec![HELD] }]);
        assert_eq!(wish.prefixes, [Association { iaid: 1, addresses: vec![] }]);
        assert!(wish.holds_addresses());
    }

    const HELD: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
}

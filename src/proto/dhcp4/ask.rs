//! What does a client want? The kinds of REQUEST are told apart as RFC 2131 section 4.3.2 says.

use std::fmt;
use std::net::Ipv4Addr;

use crate::proto::dhcp4::message::{Message, MessageType};

/// A client's message, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Discover {
        wanted: Option<Ipv4Addr>,
    },
    /// It chose among offers; `server` says whose.
    Selecting {
        server: Ipv4Addr,
        wanted: Ipv4Addr,
    },
    /// It remembers an address and asks whether that still holds.
    InitReboot {
        wanted: Ipv4Addr,
    },
    /// It extends its lease and speaks to us alone.
    Renewing {
        held: Ipv4Addr,
    },
    /// It extends its lease and speaks to everybody, because its server does not answer.
    Rebinding {
        held: Ipv4Addr,
    },
    /// Somebody else uses `address` already.
    Decline {
        server: Option<Ipv4Addr>,
        address: Ipv4Addr,
    },
    Release {
        server: Option<Ipv4Addr>,
        address: Ipv4Addr,
    },
    /// It has an address from elsewhere and wants the other parameters.
    Inform {
        held: Ipv4Addr,
    },
}

/// Why a message asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAsk {
    /// `op` is not 1.
    NotFromAClient { op: u8 },
    /// Option 53 is absent or not one byte: BOOTP, which we do not serve.
    NoMessageType,
    /// A message of servers, or of a number that RFC 2131 lacks.
    NotForServers { kind: MessageType },
    /// A field that this kind of message must carry is absent.
    Lacks { kind: MessageType, field: &'static str },
}

impl fmt::Display for NoAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAsk::NotFromAClient { op } => write!(f, "op: expected 1, found {op}"),
            NoAsk::NoMessageType => write!(f, "option 53: expected one byte, found none"),
            NoAsk::NotForServers { kind } => write!(f, "{kind:?} is not for servers"),
            NoAsk::Lacks { kind, field } => write!(f, "{kind:?} lacks {field}"),
        }
    }
}

impl Ask {
    /// Understands `message`. `to_us_alone` says that it was sent to our own address and not to
    /// everybody: the only way to tell RENEWING from REBINDING.
    pub fn of(message: &Message, to_us_alone: bool) -> Result<Ask, NoAsk> {
        if message.op != Message::BOOT_REQUEST {
            return Err(NoAsk::NotFromAClient { op: message.op });
        }
        let kind = message.message_type().ok_or(NoAsk::NoMessageType)?;
        let lacks = |field| NoAsk::Lacks { kind, field };
        let held = Some(message.ciaddr).filter(|address| !address.is_unspecified());
        let server = message.server_id();
        let wanted = message.requested_address();
        match kind {
            MessageType::Discover => Ok(Ask::Discover { wanted }),
            MessageType::Request => request(message, to_us_alone),
            MessageType::Decline => {
                let address = wanted.ok_or(lacks("option 50"))?;
                Ok(Ask::Decline { server, address })
            }
            MessageType::Release => {
                let address = held.ok_or(lacks("ciaddr"))?;
                Ok(Ask::Release { server, address })
            }
            MessageType::Inform => Ok(Ask::Inform { held: held.ok_or(lacks("ciaddr"))? }),
            MessageType::Offer | MessageType::Ack | MessageType::Nak | MessageType::Other(_) => {
                Err(NoAsk::NotForServers { kind })
            }
        }
    }
}

impl Ask {
    /// The same with `ours` where the client knows its server as `named`: what a relay told it
    /// (RFC 5107).
    pub fn renamed(self, named: Option<Ipv4Addr>, ours: Ipv4Addr) -> Self {
        let known = |server| if Some(server) == named { ours } else { server };
        match self {
            Ask::Selecting { server, wanted } => Ask::Selecting { server: known(server), wanted },
            Ask::Decline { server, address } => Ask::Decline { server: server.map(known), address },
            Ask::Release { server, address } => Ask::Release { server: server.map(known), address },
            Ask::Discover { .. }
            | Ask::InitReboot { .. }
            | Ask::Renewing { .. }
            | Ask::Rebinding { .. }
            | Ask::Inform { .. } => self,
        }
    }
}

/// RFC 2131 section 4.3.2 and table 4. Some clients write option 54 while they renew, against the
/// table: `ciaddr` decides then.
fn request(message: &Message, to_us_alone: bool) -> Result<Ask, NoAsk> {
    let held = Some(message.ciaddr).filter(|address| !address.is_unspecified());
    let lacks = |field| NoAsk::Lacks { kind: MessageType::Request, field };
    match (held, message.server_id(), message.requested_address()) {
        (None, Some(server), Some(wanted)) => Ok(Ask::Selecting { server, wanted }),
        (None, None, Some(wanted)) => Ok(Ask::InitReboot { wanted }),
        (None, _, None) => Err(lacks("ciaddr or option 50")),
        (Some(held), None, _) if to_us_alone && message.relay().is_none() => {
            Ok(Ask::Renewing { held })
        }
        (Some(held), None, _) => Ok(Ask::Rebinding { held }),
        (Some(held), Some(_), _) => Ok(Ask::Renewing { held }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Mac;
    use crate::proto::dhcp4::code;

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const MINE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 50);

    fn from_client(kind: MessageType) -> Message {
        Message::from_client(kind, Mac::new([0, 0x1b, 0x21, 1, 2, 3]), 7)
    }

    #[test]
    fn the_four_requests_are_told_apart_by_table_4() {
        let plain = || from_client(MessageType::Request);
        let wanting = || plain().with_address(code::REQUESTED_ADDRESS, MINE);
        let holding = || Message { ciaddr: MINE, ..plain() };
        let cases = [
            (wanting().with_address(code::SERVER_ID, SERVER), false, "Selecting"),
            (wanting(), false, "InitReboot"),
            (holding(), true, "Renewing"),
            (holding(), false, "Rebinding"),
            (Message { giaddr: SERVER, ..holding() }, true, "Rebinding"),
            (holding().with_address(code::SERVER_ID, SERVER), true, "Renewing"),
        ];
        for (message, alone, expected) in cases {
            let ask = Ask::of(&message, alone).unwrap();
            assert!(format!("{ask:?}").starts_with(expected), "{ask:?} is not {expected}");
        }
        assert_eq!(
            Ask::of(&plain(), true).unwrap_err().to_string(),
            "Request lacks ciaddr or option 50"
        );
    }

    #[test]
    fn a_server_that_is_known_by_the_relay_s_address_is_ours() {
        let relay = Ipv4Addr::new(10, 0, 9, 1);
        let by = |server| {
            [
                Ask::Selecting { server, wanted: MINE },
                Ask::Decline { server: Some(server), address: MINE },
                Ask::Release { server: Some(server), address: MINE },
            ]
        };
        assert_eq!(by(relay).map(|ask| ask.renamed(Some(relay), SERVER)), by(SERVER));
        assert_eq!(by(relay).map(|ask| ask.renamed(None, SERVER)), by(relay));
        assert_eq!(by(MINE).map(|ask| ask.renamed(Some(relay), SERVER)), by(MINE));
    }

    #[test]
    fn what_is_not_for_servers_asks_nothing() {
        let reply = Message { op: 2, ..from_client(MessageType::Discover) };
        assert_eq!(Ask::of(&reply, true), Err(NoAsk::NotFromAClient { op: 2 }));
        for kind in [MessageType::Offer, MessageType::Ack, MessageType::Nak, MessageType::Other(13)]
        {
            let told = Ask::of(&from_client(kind), true);
            assert_eq!(told, Err(NoAsk::NotForServers { kind }));
        }
        let mut bootp = from_client(MessageType::Discover);
        bootp.options.clear();
        assert_eq!(Ask::of(&bootp, true), Err(NoAsk::NoMessageType));
        for kind in [MessageType::Release, MessageType::Inform, MessageType::Decline] {
            assert!(matches!(Ask::of(&from_client(kind), true), Err(NoAsk::Lacks { .. })));
        }
    }
}

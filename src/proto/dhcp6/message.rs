//! What does one message between client and server say (RFC 8415 section 8)?

use crate::proto::dhcp6::association::Status;
use crate::proto::dhcp6::code;
use crate::proto::dhcp6::duid::Duid;
use crate::proto::dhcp6::options::Options;

/// One message of a client or server, out of whatever relays wrapped it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub kind: MessageType,
    /// 24 bits, chosen by the client and repeated by the server.
    pub transaction: u32,
    pub options: Options,
}

/// What a message is for (RFC 8415 section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    Solicit,
    Advertise,
    Request,
    Confirm,
    Renew,
    Rebind,
    Reply,
    Release,
    Decline,
    Reconfigure,
    InformationRequest,
    RelayForward,
    RelayReply,
    Other(u8),
}

impl MessageType {
    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Solicit,
            2 => Self::Advertise,
            3 => Self::Request,
            4 => Self::Confirm,
            5 => Self::Renew,
            6 => Self::Rebind,
            7 => Self::Reply,
            8 => Self::Release,
            9 => Self::Decline,
            10 => Self::Reconfigure,
            11 => Self::InformationRequest,
            12 => Self::RelayForward,
            13 => Self::RelayReply,
            other => Self::Other(other),
        }
    }

    pub fn number(self) -> u8 {
        match self {
            Self::Solicit => 1,
            Self::Advertise => 2,
            Self::Request => 3,
            Self::Confirm => 4,
            Self::Renew => 5,
            Self::Rebind => 6,
            Self::Reply => 7,
            Self::Release => 8,
            Self::Decline => 9,
            Self::Reconfigure => 10,
            Self::InformationRequest => 11,
            Self::RelayForward => 12,
            Self::RelayReply => 13,
            Self::Other(number) => number,
        }
    }
}

impl Message {
    /// The bits of a transaction id.
    pub const TRANSACTION_MASK: u32 = 0x00ff_ffff;

    /// A message without options, ready for [`Message::with`]. Of `transaction` 24 bits count.
    pub fn new(kind: MessageType, transaction: u32) -> Self {
        let transaction = transaction & Self::TRANSACTION_MASK;
        Self { kind, transaction, options: Options::default() }
    }

    /// The same message with one option more.
    pub fn with(mut self, code: u16, value: impl Into<Vec<u8>>) -> Self {
        self.options.push(code, value);
        self
    }

    /// The first option of this code.
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.get(code)
    }

    /// Option 1, if it is a DUID.
    pub fn client_id(&self) -> Option<Duid> {
        Duid::new(self.option(code::CLIENT_ID)?)
    }

    /// Option 2, if it is a DUID.
    pub fn server_id(&self) -> Option<Duid> {
        Duid::new(self.option(code::SERVER_ID)?)
    }

    /// Option 6, in the client's order. Several are read as one (RFC 8415 section 21.7 sees one).
    pub fn wanted(&self) -> impl Iterator<Item = u16> {
        let pairs = self.options.all(code::OPTION_REQUEST).flat_map(|value| value.chunks_exact(2));
        pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    pub fn wants(&self, code: u16) -> bool {
        self.wanted().any(|wanted| wanted == code)
    }

    /// Option 8: for how long the client has been trying, in hundredths of a second; 65,535 is
    /// that or longer.
    pub fn elapsed_hundredths(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.option(code::ELAPSED_TIME)?.try_into().ok()?))
    }

    /// Option 14.
    pub fn rapid_commit(&self) -> bool {
        self.option(code::RAPID_COMMIT).is_some()
    }

    /// Option 13 of the message itself; absent means success (RFC 8415 section 21.13).
    pub fn status(&self) -> Option<Status> {
        Status::of(&self.options)
    }

    /// Option 19 of a Reconfigure: the message that a server wants to get from the client. We send
    /// none, as they need a key that both know (RFC 8415 section 20.4).
    pub fn reconfigures(&self) -> Option<MessageType> {
        match self.option(code::RECONFIGURE_MESSAGE) {
            Some([number]) => Some(MessageType::from_number(*number)),
            Some(_) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_misshapen_option_is_none_and_hides_nothing() {
        let message = Message::new(MessageType::Reconfigure, 0xff00_0001)
            .with(code::CLIENT_ID, [0, 3])
            .with(code::ELAPSED_TIME, [1])
            .with(code::OPTION_REQUEST, [0, 59, 0, 60, 1])
            .with(code::OPTION_REQUEST, [0, 23])
            .with(code::RECONFIGURE_MESSAGE, [5]);
        assert_eq!((message.transaction, message.client_id()), (1, None));
        assert_eq!((message.elapsed_hundredths(), message.status()), (None, None));
        assert_eq!(message.wanted().collect::<Vec<_>>(), [59, 60, 23]);
        assert!(message.wants(23) && !message.wants(1) && !message.rapid_commit());
        assert_eq!(message.reconfigures(), Some(MessageType::Renew));
        let trying = Message::new(MessageType::Solicit, 1).with(code::ELAPSED_TIME, [1, 0]);
        assert_eq!((trying.elapsed_hundredths(), trying.reconfigures()), (Some(256), None));
    }

    #[test]
    fn each_number_is_a_message_and_comes_back() {
        for number in 0..=255 {
            assert_eq!(MessageType::from_number(number).number(), number);
        }
    }
}

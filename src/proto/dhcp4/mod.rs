//! How does a DHCPv4 message look on the wire, and what must be answered to one?
//!
//! Here stand the codec ([`Message`]), the reading of relay information ([`relay`]), the telling
//! apart of requests ([`ask`]) and the pure decision ([`answer`]). Not here: which address a client
//! gets (`service/leases`), who it is (`service/intake`), and sockets (`servers/dhcp`).

pub mod answer;
pub mod ask;
pub mod code;
mod decode;
mod encode;
mod glance;
mod message;
pub mod relay;

pub use answer::answer;
pub use ask::Ask;
pub use decode::{DecodeError, MESSAGE_BYTES_MAX};
pub use encode::{Encoded, MESSAGE_BYTES_LEAST, PATH_BYTES_MAX, reply_bytes_max};
pub use glance::Glance;
pub use message::{Message, MessageType};

//! How does a DHCPv6 message look on the wire, and what must be answered to one (RFC 8415)?
//!
//! Here stand the codec ([`Datagram`], [`Message`], [`relay`]), the typed views of options
//! ([`association`], [`duid`], [`class`]), the telling apart of requests ([`ask`]) and the pure
//! decision ([`answer`]). Not here: which address a client gets (`service/leases`), who it is
//! (`service/intake`), and sockets (`servers/dhcp`).

pub mod answer;
pub mod ask;
pub mod association;
pub mod class;
pub mod code;
mod datagram;
pub mod duid;
mod glance;
mod lines;
mod message;
mod options;
pub mod relay;
mod reply;
pub mod value;

pub use answer::answer;
pub use ask::Ask;
pub use datagram::{Datagram, MESSAGE_BYTES_MAX, mac_within};
pub use duid::Duid;
pub use glance::Glance;
pub use message::{Message, MessageType};
pub use options::Options;
pub use relay::Relay;
pub use reply::REPLY_BYTES_MAX;

//! The one home of socket options, batches and control messages (socket2, nix).

pub mod dhcp;
pub mod dhcp6;
pub mod http;
pub mod tftp;

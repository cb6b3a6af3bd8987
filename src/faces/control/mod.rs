//! The control socket: HTTP over a Unix socket that only the server's own user may open. The command
//! line is its client; so is whatever else runs on this machine.

pub mod client;
pub mod server;
pub mod show;

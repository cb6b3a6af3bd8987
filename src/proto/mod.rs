//! Wire formats and protocol state machines. Pure and sans-IO: bytes and time in, bytes and
//! deadlines out.

pub mod capture;
pub mod dhcp4;
pub mod dhcp6;
pub mod slack;
pub mod tftp;

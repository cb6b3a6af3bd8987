//! They call us: the sockets on which devices are served. Each server is given its sockets, the
//! service, a clock and its end; the protocol itself is in `proto/`.

pub mod dhcp;
pub mod dhcp6;
pub mod files;
pub mod http;
pub mod images;
pub mod places;
pub mod socket;
pub mod tftp;

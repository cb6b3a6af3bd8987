//! What the operator asked of us: `greenlight.yaml` as written and as meant. No file is opened
//! here.

mod dhcp6;
pub mod limits;
pub mod meant;
pub mod reach;
pub mod resolve;
pub mod tftp_written;
pub mod written;

//! The `dhcp6` section of the configuration: read with its places, and checked.

pub(super) mod resolve;
pub(super) mod written;

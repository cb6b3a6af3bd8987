//! Stories: the store, the service and the whole daemon on loopback.

mod crash;
mod crossed;
mod dhcp6;
mod digests;
mod disk;
mod flood;
mod hostile;
mod knocks;
mod ntc_templates;
mod platform_page;
mod scripts;
mod service;
mod software;
mod store;
mod unserved;
mod upstream;

/// What the fuzzer runs for an hour runs here for some seconds.
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

//! The door: what may be done, by whom, and that it is done once. It knows no socket, no SQL, no
//! HTTP, no SSH and no YAML: those come to it, or are reached through channels and functions it is
//! given.

pub mod intake;
pub mod leases;
pub mod leases6;
pub mod memory;
pub mod operations;
pub mod outbox;
pub mod performer;
pub mod plan;
pub mod probe;
pub mod runner;
pub mod serving;
pub mod upgrade;
pub mod upstream;

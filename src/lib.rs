//! Greenlight, a zero-touch provisioning server. This page is the map.
//!
//! | floor | rooms | what is there |
//! |---|---|---|
//! | 0 | [`address`] [`clock`] [`complaint`] [`entropy`] [`error`] [`receipt`] [`secret`] [`written`] | words everybody uses |
//! | 1 | [`proto`] [`platform`] [`domain`] [`config`] | pure: what is true, and what follows |
//! | 2 | [`service`] | the door: what may be done, by whom, once |
//! | 3 | [`servers`] [`probes`] [`faces`] [`outlets`] [`store`] [`sim`] [`files`] | the ring: sockets, disks, people |
//! | 4 | [`demo`] [`daemon`] `main` | the whole, and its demonstration |
//!
//! A room imports from its own floor or below; the rooms of the ring do not know each other.
//! `tests/tidy.rs` holds that. `docs/architecture.md` says why.

pub mod address;
pub mod clock;
pub mod complaint;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod domain;
pub mod entropy;
pub mod error;
pub mod faces;
pub mod files;
pub mod offline;
pub mod outlets;
pub mod platform;
pub mod probes;
pub mod proto;
pub mod receipt;
pub mod secret;
pub mod servers;
pub mod service;
pub mod sim;
pub mod store;
pub mod written;

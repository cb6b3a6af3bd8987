//! Stories: the store, the service and the whole daemon on loopback.

mod crash;
mod dhcp6;
mod disk;
mod hostile;
mod service;
mod store;

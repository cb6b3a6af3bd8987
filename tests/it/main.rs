//! Stories: the store, the service and the whole daemon on loopback.

mod service;
mod store;

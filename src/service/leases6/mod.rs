//! Which IPv6 addresses does a client get, and which may it keep?
//!
//! The tables stand in memory and are loaded from the store at start. Nothing here is durable by
//! itself: a [`Bound`] carries the rows that must be stored before its Reply is sent. Each decision
//! costs hash lookups and at most one step of a heap, however many leases there are.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::address::Mac;
use crate::clock::Timestamp;
use crate::config::meant::{Dhcp6, Pool6};
use crate::domain::inventory::meant::{Device, Inventory, Position};
use crate::proto::dhcp6::Ask;
use crate::proto::dhcp6::answer::Decided;
use crate::service::leases::{DECLINED_RESTS, Refused};
use crate::service::memory::{Binding, Lease6};

mod book;
mod decide;
pub mod name;
mod port;
mod shelf;
#[cfg(test)]
mod tests;

/// The address tables. Clones share them.
#[derive(Clone)]
pub struct Leases6 {
    book: Arc<Mutex<book::Book>>,
}

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The client's DUID, as lower-case hex.
    pub duid: String,
    /// Where it or a relay told it.
    pub mac: Option<Mac>,
    /// As its own link or a relay sees it, whatever its DUID says.
    pub seen: Option<Mac>,
    /// Where a relay says that it is plugged in.
    pub wire: Option<Position>,
    /// `None` for somebody in quarantine.
    pub device: Option<Arc<Device>>,
    pub link: Link,
}

/// Which subnet a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// The link-address of the relay nearest to the client that knows it.
    pub relay: Option<Ipv6Addr>,
    /// Our routed addresses on the interface that heard it.
    pub local: Vec<Ipv6Addr>,
}

/// How long an address is preferred and valid (RFC 8415 section 21.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    pub preferred: Duration,
    pub valid: Duration,
}

/// What was found for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// One outcome for each association.
    Bound(Bound),
    /// A Confirm whose addresses all fit this link.
    OnLink(Arc<Pool6>),
    /// A Confirm with an address of another link that we know.
    NotOnLink { why: String },
    /// An Information-request from this pool: parameters, no lease.
    Parameters(Arc<Pool6>),
    /// There is nothing for it: silence.
    Nothing { why: String },
}

/// What each association gets, and the rows to be stored before the Reply is sent. An Advertise
/// has no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    pub decided: Vec<Decided>,
    pub leases: Vec<Lease6>,
    pub pool: Arc<Pool6>,
    /// Says that another port of the device holds its planned address, if so.
    pub beside: Option<String>,
}

/// What a Release or Decline ended: the rows to be stored before the Reply is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// The associations of the client of which something ended.
    pub iaids: Vec<u32>,
    pub addresses: Vec<EndedAddress>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedAddress {
    pub address: Ipv6Addr,
    /// What ended, and nothing that came after it.
    pub binding: Binding,
    /// After a Decline.
    pub quarantined_until: Option<Timestamp>,
}

/// What the store remembers, at start.
#[derive(Debug, Default)]
pub struct Kept {
    pub leases: Vec<Lease6>,
    pub quarantined: BTreeMap<Ipv6Addr, Timestamp>,
}

impl Kept {
    /// The addresses that still rest at `now`. A lease that was granted after the DECLINE says that
    /// the rest is over, whatever row of it was left.
    fn resting(&self, now: Timestamp) -> BTreeMap<Ipv6Addr, Timestamp> {
        let mut resting = self.quarantined.clone();
        resting.retain(|_, until| *until > now);
        for lease in self.leases.iter().filter(|lease| lease.expires > now) {
            let rest_of_now = lease.granted.plus(DECLINED_RESTS);
            if resting.get(&lease.address).is_some_and(|until| rest_of_now > *until) {
                resting.remove(&lease.address);
            }
        }
        resting
    }
}

impl Leases6 {
    /// Builds the tables. Leases of addresses that no pool holds any more are left out.
    pub fn new(settings: &Dhcp6, inventory: Arc<Inventory>, kept: Kept, now: Timestamp) -> Self {
        let book = book::Book::new(settings, inventory, kept, now);
        Self { book: Arc::new(Mutex::new(book)) }
    }

    /// Takes over a new plan: reservations count from the next message on.
    pub fn replan(&self, inventory: Arc<Inventory>) {
        self.book().replan(inventory);
    }

    /// Decides on everything but Release and Decline, and remembers the offer or binding.
    ///
    /// A binding that could not be stored stays in these tables: the client was not told, so nobody
    /// believes in it, and its next message finds the same address.
    pub fn decide(&self, asker: &Asker, ask: &Ask, now: Timestamp) -> Decision {
        self.book().decide(asker, ask, now)
    }

    /// Takes a Release or Decline. Empty if the asker holds none of the addresses.
    pub fn end(&self, asker: &Asker, ask: &Ask, now: Timestamp) -> Ended {
        self.book().end(asker, ask, now)
    }

    /// The first of these addresses that this DUID holds: what a client believes about its address
    /// counts only where our lease says the same.
    pub fn held(&self, duid: &str, addresses: &[Ipv6Addr], now: Timestamp) -> Option<Ipv6Addr> {
        let book = self.book();
        let its = |address: &&Ipv6Addr| {
            book.holding(**address)
                .is_some_and(|holding| holding.port.duid == duid && holding.state.is_held(now))
        };
        addresses.iter().find(its).copied()
    }

    /// How many times strangers were refused an address since this was last asked, if ever.
    pub fn refused(&self) -> Option<Refused> {
        self.book().strangers.refused()
    }

    fn book(&self) -> MutexGuard<'_, book::Book> {
        self.book.lock().expect("no decision panics while it holds the tables")
    }
}

//! Who holds which address, until when?

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Mac;
use crate::clock::Timestamp;
use crate::config::meant::Dhcp;
use crate::domain::inventory::meant::Inventory;
use crate::service::leases::shelf::Shelf;
use crate::service::leases::{Asker, Kept};

/// How many ended bindings one call clears away.
const ENDED_AT_ONCE_MAX: usize = 64;

/// All tables, changed together.
#[derive(Debug)]
pub struct Book {
    pub shelves: Vec<Shelf>,
    pub lease: Duration,
    pub server: Ipv4Addr,
    pub inventory: Arc<Inventory>,
    /// How many addresses strangers hold.
    pub strangers: usize,
    holdings: HashMap<Ipv4Addr, Holding>,
    /// The newest address of each owner in each pool, whether it still counts or not.
    owners: HashMap<(usize, Owner), Ipv4Addr>,
    /// When to look at an address again; each address is in here at most once.
    due: BinaryHeap<Reverse<(Timestamp, Ipv4Addr)>>,
}

/// Whose an address is. A device of the plan is one owner with all its ports and client ids
/// (IOS-XE shows two of them from one port); anybody else is told by both keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    Device(String),
    Client(Mac, String),
}

impl Owner {
    pub fn of(asker: &Asker) -> Self {
        match &asker.device {
            Some(device) => Owner::Device(device.name.clone()),
            None => Owner::Client(asker.mac, asker.client_id.clone()),
        }
    }

    fn is_stranger(&self) -> bool {
        match self {
            Owner::Device(_) => false,
            Owner::Client(..) => true,
        }
    }
}

/// What is known of one address.
#[derive(Debug, Clone)]
pub struct Holding {
    pub owner: Owner,
    /// The port that asked last.
    pub mac: Mac,
    pub state: State,
    pub relay_information: String,
    shelf: usize,
    awaited: bool,
    put_back: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Offered {
        until: Timestamp,
    },
    Bound {
        until: Timestamp,
    },
    /// Declined: somebody unknown uses it.
    Resting {
        until: Timestamp,
    },
    /// The last owner is remembered and finds it again if nobody came in between.
    Free,
}

impl State {
    /// When it ends, unless it has ended by `now`.
    pub fn until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            State::Offered { until } | State::Bound { until } | State::Resting { until } => {
                Some(until).filter(|until| *until > now)
            }
            State::Free => None,
        }
    }
}

impl Book {
    pub fn new(settings: &Dhcp, inventory: Arc<Inventory>, kept: Kept, now: Timestamp) -> Self {
        let mut book = Self {
            shelves: settings.pools.iter().cloned().map(Shelf::new).collect(),
            lease: settings.lease,
            server: settings.server_address,
            inventory,
            strangers: 0,
            holdings: HashMap::new(),
            owners: HashMap::new(),
            due: BinaryHeap::new(),
        };
        let mut leases = kept.leases;
        // The newest binding of an owner is the one it is given again.
        leases.sort_by_key(|lease| lease.expires);
        for lease in leases {
            let Some(shelf) = book.shelf_of(lease.address) else { continue };
            let owner = match lease.device {
                Some(device) => Owner::Device(device),
                None => Owner::Client(lease.mac, lease.client_id),
            };
            let relay_information = lease.relay_information;
            let state = State::Bound { until: lease.expires };
            let note = Note { owner, mac: lease.mac, state, relay_information };
            book.write(shelf, lease.address, note);
        }
        for (address, until) in kept.quarantined {
            book.rest(address, until);
        }
        while book.clear(now) > 0 {}
        book
    }

    pub fn replan(&mut self, inventory: Arc<Inventory>) {
        self.inventory = inventory;
        for shelf in &mut self.shelves {
            shelf.begin_again();
        }
    }

    /// The pool with the narrowest subnet that holds this address.
    pub fn shelf_of(&self, address: Ipv4Addr) -> Option<usize> {
        let holds = |index: &usize| self.shelves[*index].pool.subnet.contains(&address);
        let width = |index: &usize| self.shelves[*index].pool.subnet.prefix_len();
        (0..self.shelves.len()).filter(holds).max_by_key(width)
    }

    pub fn holding(&self, address: Ipv4Addr) -> Option<&Holding> {
        self.holdings.get(&address)
    }

    pub fn address_of(&self, shelf: usize, owner: &Owner) -> Option<Ipv4Addr> {
        self.owners.get(&(shelf, owner.clone())).copied()
    }

    /// Writes who holds an address from now on, in place of whoever did.
    pub fn write(&mut self, shelf: usize, address: Ipv4Addr, note: Note) {
        self.count(address, false);
        let Note { owner, mac, state, relay_information } = note;
        let before = self.holdings.remove(&address);
        if let Some(before) = before.as_ref().filter(|before| before.owner != owner) {
            self.forget_owner(before.shelf, &before.owner, address);
        }
        let (awaited, put_back) = before.map_or((false, false), |b| (b.awaited, b.put_back));
        self.owners.insert((shelf, owner.clone()), address);
        let holding = Holding { owner, mac, state, relay_information, shelf, awaited, put_back };
        self.holdings.insert(address, holding);
        self.count(address, true);
        self.look_again(address);
    }

    /// Takes an address out of use. Its owner is not to find it again.
    pub fn rest(&mut self, address: Ipv4Addr, until: Timestamp) {
        let Some(shelf) = self.shelf_of(address) else { return };
        let nobody = Mac::new([0; 6]);
        // Nobody asks with this key: no frame comes from the address of all zeroes.
        let owner = Owner::Client(nobody, format!("resting {address}"));
        let state = State::Resting { until };
        let note = Note { owner, mac: nobody, state, relay_information: String::new() };
        self.write(shelf, address, note);
    }

    /// Ends a binding or offer; the owner is remembered.
    pub fn free(&mut self, address: Ipv4Addr) {
        self.count(address, false);
        let Some(holding) = self.holdings.get_mut(&address) else { return };
        holding.state = State::Free;
        let shelf = &mut self.shelves[holding.shelf];
        if !holding.put_back && shelf.lends(address) {
            holding.put_back = true;
            shelf.put_back(address);
        }
    }

    /// An address of this pool that is nobody's, by the rule of [`Shelf`].
    pub fn take(&mut self, shelf: usize, now: Timestamp) -> Option<Ipv4Addr> {
        while let Some(address) = self.shelves[shelf].next_unused() {
            if self.is_open(shelf, address, now) {
                return Some(address);
            }
        }
        loop {
            while let Some(address) = self.shelves[shelf].next_freed() {
                if let Some(holding) = self.holdings.get_mut(&address) {
                    holding.put_back = false;
                }
                if self.is_open(shelf, address, now) {
                    return Some(address);
                }
            }
            if self.clear(now) == 0 {
                return None;
            }
        }
    }

    fn is_open(&self, shelf: usize, address: Ipv4Addr, now: Timestamp) -> bool {
        let held = self.holdings.get(&address).is_some_and(|h| h.state.until(now).is_some());
        let reserved = self.inventory.with_address(address).is_some();
        !held && !reserved && self.shelves[shelf].lends(address) && address != self.server
    }

    /// Clears away some of what has ended by `now`, and tells how much it looked at.
    pub fn clear(&mut self, now: Timestamp) -> usize {
        for done in 0..ENDED_AT_ONCE_MAX {
            let Some(Reverse((at, address))) = self.due.peek().copied() else { return done };
            if at > now {
                return done;
            }
            self.due.pop();
            let Some(holding) = self.holdings.get_mut(&address) else { continue };
            holding.awaited = false;
            match holding.state.until(now) {
                Some(_) => self.look_again(address),
                None => self.free(address),
            }
        }
        ENDED_AT_ONCE_MAX
    }

    fn look_again(&mut self, address: Ipv4Addr) {
        let Some(holding) = self.holdings.get_mut(&address) else { return };
        let until = holding.state.until(Timestamp::from_micros(i64::MIN));
        if let Some(until) = until.filter(|_| !holding.awaited) {
            holding.awaited = true;
            self.due.push(Reverse((until, address)));
        }
    }

    fn forget_owner(&mut self, shelf: usize, owner: &Owner, address: Ipv4Addr) {
        let key = (shelf, owner.clone());
        if self.owners.get(&key) == Some(&address) {
            self.owners.remove(&key);
        }
    }

    fn count(&mut self, address: Ipv4Addr, more: bool) {
        let counts = |holding: &Holding| match holding.state {
            State::Offered { .. } | State::Bound { .. } => holding.owner.is_stranger(),
            State::Resting { .. } | State::Free => false,
        };
        if self.holdings.get(&address).is_some_and(counts) {
            self.strangers = if more { self.strangers + 1 } else { self.strangers - 1 };
        }
    }
}

/// What is written about one address.
#[derive(Debug)]
pub struct Note {
    pub owner: Owner,
    pub mac: Mac,
    pub state: State,
    pub relay_information: String,
}

//! Who holds which IPv6 address, until when?

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::config::meant::Dhcp6;
use crate::domain::inventory::meant::Inventory;
use crate::service::leases::exchanged::is_another_box;
use crate::service::leases::rests::Rests;
use crate::service::leases::strangers::{Strangers, Via};
use crate::service::leases6::port::Port;
use crate::service::leases6::shelf::Shelf;
use crate::service::leases6::{Asker, Kept, Lifetimes};
use crate::service::memory::{self, Binding};

/// How many ended bindings one call clears away.
const ENDED_AT_ONCE_MAX: usize = 64;

/// All tables, changed together.
#[derive(Debug)]
pub struct Book {
    pub shelves: Vec<Shelf>,
    pub lifetimes: Lifetimes,
    pub rapid_commit: bool,
    pub server: Ipv6Addr,
    pub inventory: Arc<Inventory>,
    /// Addresses that one holder may have at a time, over all its DUIDs and associations.
    pub addresses_max: usize,
    pub strangers: Strangers,
    /// Of what devices declined.
    pub rests: Rests,
    holdings: HashMap<Ipv6Addr, Holding>,
    /// The addresses of each holder in each pool, the newest last, whether they still count or not.
    owners: HashMap<(usize, Holder), Vec<Ipv6Addr>>,
    /// How many addresses each holds, over all its associations.
    held: HashMap<Holder, usize>,
    /// When to look at an address again; each address is in here at most once.
    due: BinaryHeap<Reverse<(Timestamp, Ipv6Addr)>>,
}

/// Whose an address is. A device of the plan is one holder with all its ports and DUIDs: its boot
/// loader and its operating system make a DUID each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    Device(String),
    /// A DUID in hex.
    Client(String),
}

/// A binding is an association of a holder (RFC 8415 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    pub holder: Holder,
    pub iaid: u32,
}

impl Holder {
    pub fn of(asker: &Asker) -> Self {
        match &asker.device {
            Some(device) => Holder::Device(device.name.clone()),
            None => Holder::Client(asker.duid.clone()),
        }
    }

    fn is_stranger(&self) -> bool {
        match self {
            Holder::Device(_) => false,
            Holder::Client(_) => true,
        }
    }
}

/// What is known of one address.
#[derive(Debug, Clone)]
pub struct Holding {
    pub owner: Owner,
    pub port: Port,
    pub state: State,
    via: Via,
    shelf: usize,
    awaited: bool,
    put_back: bool,
}

impl Holding {
    /// It was asked for from there.
    pub fn came(&self, via: Via) -> bool {
        self.via == via
    }

    /// The offer or lease that counts at `now`.
    pub fn binding(&self, now: Timestamp) -> Option<Binding> {
        let until = self.state.until(now).filter(|_| self.state.is_held(now))?;
        let holder = memory::Holder::Association(self.port.duid.clone(), self.owner.iaid);
        Some(Binding { holder, until })
    }

    fn is_a_stranger_s(&self) -> bool {
        self.owner.holder.is_stranger()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Advertised.
    Offered {
        until: Timestamp,
    },
    Bound {
        until: Timestamp,
    },
    /// Declined: somebody unknown uses it. If it was a stranger's, it counts as one's until then:
    /// made-up clients that decline what they are given must not empty a pool.
    Resting {
        until: Timestamp,
        strangers: bool,
    },
    /// The last owner is remembered and finds it again if nobody came in between.
    Free,
}

impl State {
    /// When it ends, unless it has ended by `now`.
    pub fn until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            State::Offered { until } | State::Bound { until } | State::Resting { until, .. } => {
                Some(until).filter(|until| *until > now)
            }
            State::Free => None,
        }
    }

    /// Somebody has or is to have it at `now`.
    pub fn is_held(self, now: Timestamp) -> bool {
        self.is_somebodys() && self.until(now).is_some()
    }

    fn is_somebodys(self) -> bool {
        match self {
            State::Offered { .. } | State::Bound { .. } => true,
            State::Resting { .. } | State::Free => false,
        }
    }

    /// It is on somebody's account, whether the time is over or not.
    fn counts(self) -> bool {
        match self {
            State::Offered { .. } | State::Bound { .. } => true,
            State::Resting { strangers, .. } => strangers,
            State::Free => false,
        }
    }
}

/// What is written about one address.
#[derive(Debug)]
pub struct Note {
    pub owner: Owner,
    pub port: Port,
    pub state: State,
    pub via: Via,
}

impl Book {
    pub fn new(settings: &Dhcp6, inventory: Arc<Inventory>, kept: Kept, now: Timestamp) -> Self {
        let shelves: Vec<Shelf> = settings.pools.iter().cloned().map(Shelf::new).collect();
        let mut book = Self {
            addresses_max: settings.addresses_max,
            strangers: Strangers::new(&settings.limits, shelves.iter().map(Shelf::addresses)),
            rests: Rests::default(),
            shelves,
            lifetimes: Lifetimes { preferred: settings.preferred, valid: settings.valid },
            rapid_commit: settings.rapid_commit,
            server: settings.server_address,
            inventory,
            holdings: HashMap::new(),
            owners: HashMap::new(),
            held: HashMap::new(),
            due: BinaryHeap::new(),
        };
        let resting = kept.resting(now);
        let mut leases = kept.leases;
        // The newest binding of an owner is the one it is given again.
        leases.sort_by_key(|lease| lease.expires);
        for lease in leases {
            let Some(shelf) = book.shelf_of(lease.address) else { continue };
            let holder = match lease.device {
                Some(device) => Holder::Device(device),
                None => Holder::Client(lease.duid.clone()),
            };
            let owner = Owner { holder, iaid: lease.iaid };
            let state = State::Bound { until: lease.expires };
            let port = Port::kept(lease.duid, lease.mac);
            let note = Note { owner, port, state, via: Via::Unknown };
            book.write(shelf, lease.address, note);
        }
        for (address, until) in resting {
            book.rest(address, until);
        }
        while book.clear(now) > 0 {}
        book
    }

    pub fn replan(&mut self, inventory: Arc<Inventory>) {
        let before = std::mem::replace(&mut self.inventory, inventory);
        for address in before.by_address6.keys() {
            let (planned, after) =
                (before.with_address6(*address), self.inventory.with_address6(*address));
            if let (Some(planned), Some(after), Some(holding)) =
                (planned, after, self.holding(*address))
                && is_another_box((planned, holding.port.mac), after)
            {
                self.free(*address);
            }
        }
        for shelf in &mut self.shelves {
            shelf.begin_again();
        }
    }

    /// The pool with the narrowest subnet that holds this address.
    pub fn shelf_of(&self, address: Ipv6Addr) -> Option<usize> {
        let holds = |index: &usize| self.shelves[*index].pool.subnet.contains(&address);
        let width = |index: &usize| self.shelves[*index].pool.subnet.prefix_len();
        (0..self.shelves.len()).filter(holds).max_by_key(width)
    }

    pub fn holding(&self, address: Ipv6Addr) -> Option<&Holding> {
        self.holdings.get(&address)
    }

    /// What is known of the addresses of a holder in a pool, the newest first.
    pub fn known_of(
        &self,
        shelf: usize,
        holder: &Holder,
    ) -> impl Iterator<Item = (Ipv6Addr, &Holding)> {
        let known = self.owners.get(&(shelf, holder.clone())).into_iter().flatten().rev();
        known.filter_map(|address| Some((*address, self.holdings.get(address)?)))
    }

    pub fn held_by(&self, holder: &Holder) -> usize {
        self.held.get(holder).copied().unwrap_or(0)
    }

    /// Writes who holds an address from now on, in place of whoever did.
    pub fn write(&mut self, shelf: usize, address: Ipv6Addr, note: Note) {
        self.count(address, false);
        let Note { owner, port, state, via } = note;
        let before = self.holdings.remove(&address);
        if let Some(before) = &before {
            self.disown(before.shelf, before.owner.holder.clone(), address);
        }
        let (awaited, put_back) = before.map_or((false, false), |b| (b.awaited, b.put_back));
        let known = self.owners.entry((shelf, owner.holder.clone())).or_default();
        known.push(address);
        // As many again as it may hold; of more the oldest are not found again.
        if known.len() > 2 * self.addresses_max.max(1) {
            let held = |address: &Ipv6Addr| {
                self.holdings.get(address).is_some_and(|it| it.state.is_somebodys())
            };
            let oldest = known.iter().position(|known| *known != address && !held(known));
            known.remove(oldest.unwrap_or(0));
        }
        let holding = Holding { owner, port, state, via, shelf, awaited, put_back };
        self.holdings.insert(address, holding);
        self.count(address, true);
        self.look_again(address);
    }

    fn disown(&mut self, shelf: usize, holder: Holder, address: Ipv6Addr) {
        let key = (shelf, holder);
        if let Some(known) = self.owners.get_mut(&key) {
            known.retain(|known| *known != address);
            if known.is_empty() {
                self.owners.remove(&key);
            }
        }
    }

    /// Takes an address out of use. Its owner is not to find it again, but it still counts as a
    /// stranger's if it was one's, and which port had it is kept: see [`Book::wake`].
    pub fn rest(&mut self, address: Ipv6Addr, until: Timestamp) {
        let Some(shelf) = self.shelf_of(address) else { return };
        // Nobody asks with this key: it is no hex.
        let holder = Holder::Client(format!("resting {address}"));
        let account = self
            .holding(address)
            .filter(|holding| holding.state.counts() && holding.is_a_stranger_s())
            .map(|holding| holding.via);
        let (strangers, via) = (account.is_some(), account.unwrap_or(Via::Unknown));
        let state = State::Resting { until, strangers };
        let owner = Owner { holder, iaid: 0 };
        let port = self.holding(address).map(|holding| holding.port.clone()).unwrap_or_default();
        let note = Note { owner, port, state, via };
        self.write(shelf, address, note);
    }

    /// Ends a binding or offer; the owner is remembered.
    pub fn free(&mut self, address: Ipv6Addr) {
        self.count(address, false);
        let Some(holding) = self.holdings.get_mut(&address) else { return };
        holding.state = State::Free;
        let shelf = &mut self.shelves[holding.shelf];
        if !holding.put_back && shelf.lends(address) {
            holding.put_back = true;
            if let Some(oldest) = shelf.put_back(address) {
                self.forget(oldest);
            }
        }
    }

    /// Forgets an address that its shelf has forgotten, with its last owner. What is held or still
    /// to be looked at comes back to the shelf by itself.
    fn forget(&mut self, address: Ipv6Addr) {
        let Some(holding) = self.holdings.get_mut(&address) else { return };
        holding.put_back = false;
        if holding.awaited || holding.state != State::Free {
            return;
        }
        let (shelf, holder) = (holding.shelf, holding.owner.holder.clone());
        self.holdings.remove(&address);
        self.disown(shelf, holder, address);
    }

    /// An address of this pool that is nobody's, by the rule of [`Shelf`].
    pub fn take(&mut self, shelf: usize, now: Timestamp) -> Option<Ipv6Addr> {
        loop {
            while let Some(address) = self.shelves[shelf].next_unused() {
                if self.is_open(shelf, address, now) {
                    return Some(address);
                }
            }
            while let Some(address) = self.shelves[shelf].next_freed() {
                if let Some(holding) = self.holdings.get_mut(&address) {
                    holding.put_back = false;
                }
                if self.is_open(shelf, address, now) {
                    return Some(address);
                }
            }
            if self.clear(now) == 0 && !self.shelves[shelf].look_for_dropped() {
                return None;
            }
        }
    }

    fn is_open(&self, shelf: usize, address: Ipv6Addr, now: Timestamp) -> bool {
        let held = self.holdings.get(&address).is_some_and(|h| h.state.until(now).is_some());
        let reserved = self.inventory.with_address6(address).is_some();
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

    fn look_again(&mut self, address: Ipv6Addr) {
        let Some(holding) = self.holdings.get_mut(&address) else { return };
        let until = holding.state.until(Timestamp::from_micros(i64::MIN));
        if let Some(until) = until.filter(|_| !holding.awaited) {
            holding.awaited = true;
            self.due.push(Reverse((until, address)));
        }
    }

    fn count(&mut self, address: Ipv6Addr, more: bool) {
        let Some(holding) = self.holdings.get(&address) else { return };
        if !holding.state.counts() {
            return;
        }
        let holder = holding.owner.holder.clone();
        if holder.is_stranger() {
            match more {
                true => self.strangers.add(holding.shelf, holding.via),
                false => self.strangers.remove(holding.shelf, holding.via),
            }
        }
        let held = self.held.entry(holder.clone()).or_default();
        *held = if more { *held + 1 } else { held.saturating_sub(1) };
        if *held == 0 {
            self.held.remove(&holder);
        }
    }
}

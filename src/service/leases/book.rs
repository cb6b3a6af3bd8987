//! Who holds which address, until when?

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Mac;
use crate::clock::Timestamp;
use crate::config::meant::Dhcp;
use crate::domain::inventory::meant::{Device, Inventory};
use crate::service::leases::shelf::Shelf;
use crate::service::leases::strangers::{Strangers, Via};
use crate::service::leases::{Asker, Kept};

/// How many ended bindings one call clears away.
const ENDED_AT_ONCE_MAX: usize = 64;

/// Addresses that the ports of one device hold in one pool at a time: a switch asks from its
/// management port and some of its others. Whoever invents hardware addresses and repeats a serial
/// gets no more.
pub const PORTS_MAX: usize = 4;
/// Addresses beside the newest that are known of a device, held or not.
const BESIDE_MAX: usize = 2 * PORTS_MAX;

/// All tables, changed together. A million leases take some 200 bytes each: an address that was
/// ever used has one holding, found by two small numbers.
#[derive(Debug)]
pub struct Book {
    pub shelves: Vec<Shelf>,
    pub lease: Duration,
    pub server: Ipv4Addr,
    pub inventory: Arc<Inventory>,
    pub strangers: Strangers,
    /// What is known of each address that was ever used.
    holdings: Vec<Holding>,
    /// Where an address stands in `holdings`.
    places: HashMap<Ipv4Addr, u32>,
    /// Where the newest address of an owner in a pool stands, whether it still counts or not, by
    /// the hash of both. Whoever looks compares the owner.
    owners: HashMap<u64, u32>,
    /// Where the other addresses of a device in a pool stand, the newest last, by the same hash:
    /// most devices have one port that asks, and none of these.
    beside: HashMap<u64, Vec<u32>>,
    hasher: RandomState,
    /// When to look at an address again; each address is in here at most once.
    due: BinaryHeap<Reverse<(Timestamp, Ipv4Addr)>>,
}

/// Whose an address is. A device of the plan is told by its name, whatever its client ids are
/// (IOS-XE shows two of them from one port); anybody else is told by both keys. While an address
/// of a device counts, it is that of one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Device(Box<str>),
    Client(Mac, Box<str>),
}

/// An [`Owner`] that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose<'a> {
    Device(&'a str),
    Client(Mac, &'a str),
}

impl<'a> Whose<'a> {
    pub fn of(asker: &'a Asker) -> Self {
        match &asker.device {
            Some(device) => Self::Device(&device.name),
            None => Self::Client(asker.mac, &asker.client_id),
        }
    }

    fn kept(self) -> Owner {
        match self {
            Self::Device(name) => Owner::Device(name.into()),
            Self::Client(mac, client_id) => Owner::Client(mac, client_id.into()),
        }
    }
}

impl Owner {
    pub fn whose(&self) -> Whose<'_> {
        match self {
            Self::Device(name) => Whose::Device(name),
            Self::Client(mac, client_id) => Whose::Client(*mac, client_id),
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
    pub address: Ipv4Addr,
    pub owner: Owner,
    /// The port that asked last.
    pub mac: Mac,
    pub state: State,
    pub relay_information: Box<str>,
    via: Via,
    shelf: u32,
    awaited: bool,
    put_back: bool,
}

impl Holding {
    /// The account of the stranger who holds or declined it, if it was one, whether the time is
    /// over or not.
    fn stranger(&self) -> Option<(usize, Via)> {
        let counts = match self.state {
            State::Offered { .. } | State::Bound { .. } => self.owner.is_stranger(),
            State::Resting { strangers, .. } => strangers,
            State::Free => false,
        };
        counts.then_some((self.shelf as usize, self.via))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
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
}

impl Book {
    pub fn new(settings: &Dhcp, inventory: Arc<Inventory>, kept: Kept, now: Timestamp) -> Self {
        let shelves: Vec<Shelf> = settings.pools.iter().cloned().map(Shelf::new).collect();
        let resting = kept.resting(now);
        let mut leases = kept.leases;
        let mut book = Self {
            strangers: Strangers::new(
                &settings.limits,
                shelves.iter().map(|shelf| u128::from(shelf.addresses())),
            ),
            shelves,
            lease: settings.lease,
            server: settings.server_address,
            inventory,
            holdings: Vec::with_capacity(leases.len()),
            places: HashMap::with_capacity(leases.len()),
            owners: HashMap::with_capacity(leases.len()),
            beside: HashMap::new(),
            hasher: RandomState::new(),
            due: BinaryHeap::with_capacity(leases.len()),
        };
        // The newest binding of an owner is the one it is given again.
        leases.sort_by_key(|lease| lease.expires);
        for lease in leases {
            let Some(shelf) = book.shelf_of(lease.address) else { continue };
            let whose = match &lease.device {
                Some(device) => Whose::Device(device),
                None => Whose::Client(lease.mac, &lease.client_id),
            };
            let note = Note {
                whose,
                mac: lease.mac,
                state: State::Bound { until: lease.expires },
                relay_information: &lease.relay_information,
                via: Via::Unknown,
            };
            book.write(shelf, lease.address, note);
        }
        for (address, until) in resting {
            book.rest(address, until);
        }
        while book.clear(now) > 0 {}
        // Walked now and not by the first who asks.
        for shelf in 0..book.shelves.len() {
            while let Some(address) = book.shelves[shelf].peek_unused()
                && !book.is_open(shelf, address, now)
            {
                book.shelves[shelf].next_unused();
            }
        }
        book
    }

    /// Takes over a new plan. What is no longer reserved is free for others: the cost is one of the
    /// plan, and not of the leases.
    pub fn replan(&mut self, inventory: Arc<Inventory>) {
        let before = std::mem::replace(&mut self.inventory, inventory);
        for address in before.by_address.keys() {
            if let Some(device) = self.inventory.with_address(*address) {
                let port = self.holding(*address).map(|holding| holding.mac);
                if let (Some(planned), Some(port)) = (before.with_address(*address), port)
                    && is_another_box((planned, port), device)
                {
                    self.free(*address);
                }
                continue;
            }
            let Some(shelf) = self.shelf_of(*address) else { continue };
            let shelf = &mut self.shelves[shelf];
            let mut waits = !shelf.has_passed(*address) || !shelf.lends(*address);
            if let Some(place) = self.places.get(address).filter(|_| !waits) {
                let holding = &mut self.holdings[*place as usize];
                waits = std::mem::replace(&mut holding.put_back, true);
            }
            if !waits {
                shelf.put_back(*address);
            }
        }
    }

    /// The pool with the narrowest subnet that holds this address.
    pub fn shelf_of(&self, address: Ipv4Addr) -> Option<usize> {
        let holds = |index: &usize| self.shelves[*index].pool.subnet.contains(&address);
        let width = |index: &usize| self.shelves[*index].pool.subnet.prefix_len();
        (0..self.shelves.len()).filter(holds).max_by_key(width)
    }

    pub fn holding(&self, address: Ipv4Addr) -> Option<&Holding> {
        self.places.get(&address).map(|place| &self.holdings[*place as usize])
    }

    /// The address of an asker in a pool, whether it still counts or not. Of a device: that of the
    /// asking port, or else one that no port of it holds any more.
    pub fn address_of(&self, shelf: usize, asker: &Asker, now: Timestamp) -> Option<Ipv4Addr> {
        let whose = Whose::of(asker);
        let holding = match whose {
            Whose::Client(..) => self.holdings_of(shelf, whose).next(),
            Whose::Device(_) => {
                let held = |holding: &&Holding| holding.state.until(now).is_some();
                let own = |holding: &&Holding| holding.mac == asker.mac;
                let all = || self.holdings_of(shelf, whose);
                let of_the_port = all().filter(own).find(held).or_else(|| all().find(own));
                of_the_port.or_else(|| all().find(|holding| !held(holding)))
            }
        };
        holding.map(|holding| holding.address)
    }

    /// What is known of the addresses of an owner in a pool, the newest first.
    fn holdings_of<'a>(
        &'a self,
        shelf: usize,
        whose: Whose<'a>,
    ) -> impl Iterator<Item = &'a Holding> {
        let key = self.key(shelf, whose);
        let beside = self.beside.get(&key).into_iter().flatten().rev();
        let places = self.owners.get(&key).into_iter().chain(beside);
        places
            .map(|place| &self.holdings[*place as usize])
            .filter(move |it| it.shelf as usize == shelf && it.owner.whose() == whose)
    }

    /// How many addresses other ports of this device hold in a pool. What nobody holds any more is
    /// forgotten when it becomes much.
    pub fn held_beside(
        &mut self,
        shelf: usize,
        (device, mac): (&str, Mac),
        now: Timestamp,
    ) -> usize {
        let whose = Whose::Device(device);
        let key = self.key(shelf, whose);
        if let Some(beside) = self.beside.get_mut(&key) {
            let holdings = &self.holdings;
            let holding = |place: u32| &holdings[place as usize];
            beside.retain(|place| {
                let known = holding(*place);
                known.shelf as usize == shelf && known.owner.whose() == whose
            });
            while beside.len() > BESIDE_MAX
                && let Some(ended) =
                    beside.iter().position(|place| holding(*place).state.until(now).is_none())
            {
                beside.remove(ended);
            }
            if beside.is_empty() {
                self.beside.remove(&key);
            }
        }
        let others = self.holdings_of(shelf, whose).filter(|holding| holding.mac != mac);
        others.filter(|holding| holding.state.until(now).is_some()).count()
    }

    fn key(&self, shelf: usize, whose: Whose) -> u64 {
        self.hasher.hash_one((shelf, whose))
    }

    /// Writes who holds an address from now on, in place of whoever did.
    pub fn write(&mut self, shelf: usize, address: Ipv4Addr, note: Note) {
        let Note { whose, mac, state, relay_information, via } = note;
        let key = self.key(shelf, whose);
        let place = match self.places.get(&address).copied() {
            Some(place) => {
                self.overwrite(place, whose);
                place
            }
            None => self.add(address, whose),
        };
        let holding = &mut self.holdings[place as usize];
        if *holding.relay_information != *relay_information {
            holding.relay_information = relay_information.into();
        }
        holding.mac = mac;
        holding.state = state;
        holding.via = via;
        holding.shelf = number(shelf);
        if let Some((shelf, via)) = holding.stranger() {
            self.strangers.add(shelf, via);
        }
        let before = self.owners.insert(key, place);
        if let Whose::Device(_) = whose {
            self.put_beside(key, before, place);
        }
        self.look_again(address);
    }

    /// The address that was a device's newest stands beside the one that is.
    fn put_beside(&mut self, key: u64, before: Option<u32>, newest: u32) {
        let before = before.filter(|before| *before != newest);
        if before.is_none() && !self.beside.contains_key(&key) {
            return;
        }
        let beside = self.beside.entry(key).or_default();
        beside.retain(|place| *place != newest && Some(*place) != before);
        beside.extend(before);
    }

    /// Makes a known address ready for what is written of it.
    fn overwrite(&mut self, place: u32, whose: Whose) {
        let before = &mut self.holdings[place as usize];
        if let Some((shelf, via)) = before.stranger() {
            self.strangers.remove(shelf, via);
        }
        if before.owner.whose() == whose {
            return;
        }
        let owner = std::mem::replace(&mut before.owner, whose.kept());
        let key = self.hasher.hash_one((before.shelf as usize, owner.whose()));
        if self.owners.get(&key) == Some(&place) {
            self.owners.remove(&key);
        }
    }

    fn add(&mut self, address: Ipv4Addr, whose: Whose) -> u32 {
        let place = number(self.holdings.len());
        self.holdings.push(Holding {
            address,
            owner: whose.kept(),
            mac: Mac::new([0; 6]),
            state: State::Free,
            relay_information: "".into(),
            via: Via::Unknown,
            shelf: 0,
            awaited: false,
            put_back: false,
        });
        self.places.insert(address, place);
        place
    }

    /// Takes an address out of use. Its owner is not to find it again, but it stays on the account
    /// of a stranger.
    pub fn rest(&mut self, address: Ipv4Addr, until: Timestamp) {
        let Some(shelf) = self.shelf_of(address) else { return };
        // Nobody asks with this key: no frame comes from the address of all zeroes.
        let nobody = Mac::new([0; 6]);
        let resting = format!("resting {address}");
        let account = self.holding(address).and_then(Holding::stranger);
        let note = Note {
            whose: Whose::Client(nobody, &resting),
            mac: nobody,
            state: State::Resting { until, strangers: account.is_some() },
            relay_information: "",
            via: account.map_or(Via::Unknown, |(_, via)| via),
        };
        self.write(shelf, address, note);
    }

    /// Ends a binding or offer; the owner is remembered.
    pub fn free(&mut self, address: Ipv4Addr) {
        let Some(place) = self.places.get(&address) else { return };
        let holding = &mut self.holdings[*place as usize];
        if let Some((shelf, via)) = holding.stranger() {
            self.strangers.remove(shelf, via);
        }
        holding.state = State::Free;
        let shelf = &mut self.shelves[holding.shelf as usize];
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
                if let Some(place) = self.places.get(&address) {
                    self.holdings[*place as usize].put_back = false;
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
        let held = self.holding(address).is_some_and(|h| h.state.until(now).is_some());
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
            let Some(place) = self.places.get(&address) else { continue };
            let holding = &mut self.holdings[*place as usize];
            holding.awaited = false;
            match holding.state.until(now) {
                Some(_) => self.look_again(address),
                None => self.free(address),
            }
        }
        ENDED_AT_ONCE_MAX
    }

    fn look_again(&mut self, address: Ipv4Addr) {
        let Some(place) = self.places.get(&address) else { return };
        let holding = &mut self.holdings[*place as usize];
        let until = holding.state.until(Timestamp::from_micros(i64::MIN));
        if let Some(until) = until.filter(|_| !holding.awaited) {
            holding.awaited = true;
            self.due.push(Reverse((until, address)));
        }
    }
}

/// Another box is planned in this device's place: what the port of the former one was promised must
/// not keep the new one waiting. A plan that only learns more of a box means the same one.
fn is_another_box((before, port): (&Device, Mac), after: &Device) -> bool {
    let serial = matches!((&before.serial, &after.serial), (Some(old), Some(new)) if old != new);
    let was_planned = before.macs.contains(&port);
    before.name == after.name && !after.macs.contains(&port) && (serial || was_planned)
}

/// There are no more than 2^32 addresses, and far fewer pools.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("an address of version 4 has 32 bits, and each has one holding")
}

/// What is written about one address.
#[derive(Debug)]
pub struct Note<'a> {
    pub whose: Whose<'a>,
    pub mac: Mac,
    pub state: State,
    pub relay_information: &'a str,
    pub via: Via,
}

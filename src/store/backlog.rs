//! What is in the log and not yet in the tables.
//!
//! A segment gathers the entries of several log rows, the newest of each state alone. Sealed, it
//! becomes a [`Sweep`]: the list of what is to be written, in an order that the tables' constraints
//! allow. A `Forget` seals, because it looks at all tables.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::clock::Timestamp;
use crate::domain::run::Run;
use crate::service::memory::{Binding, Lease, Lease6};
use crate::store::entry::{Entry, Tables};

/// What an entry takes beside its bytes: its place in a map or list, and those of its texts.
const PLACE_BYTES: usize = 320;

#[derive(Default)]
pub struct Backlog {
    filling: Segment,
    /// Oldest first.
    pub sweeps: VecDeque<Sweep>,
    /// Entries that count and that the tables hold already, from the first log row on: what a
    /// killed process had written of its newest sweep.
    skip: u64,
}

#[derive(Default)]
struct Segment {
    through: i64,
    tables: Tables,
    /// Bytes in the log and in memory, about; of what was superseded, too: it bounds both.
    weight: usize,
    runs: HashSet<ById, RandomState>,
    timers: HashMap<(String, String), Option<Timestamp>, RandomState>,
    leases: HashMap<Ipv4Addr, Fate<Lease>, RandomState>,
    leases6: HashMap<Ipv6Addr, Fate<Lease6>>,
    quarantine: HashMap<IpAddr, (Option<Binding>, Timestamp)>,
    references: HashMap<(String, String), String>,
    appended: Vec<Entry>,
    forget: Option<Timestamp>,
}

/// What becomes of an address in the tables.
enum Fate<L> {
    /// It is leased.
    Held(L),
    /// Nobody holds it.
    Gone,
    /// These bindings of it are over, if the table has one of them.
    Ended(Vec<Binding>),
}

impl<L> Default for Fate<L> {
    fn default() -> Self {
        Fate::Ended(Vec::new())
    }
}

impl<L> Fate<L> {
    fn end(&mut self, binding: Option<Binding>, held: fn(&L) -> Binding) {
        match (&mut *self, binding) {
            (_, None) => *self = Fate::Gone,
            (Fate::Held(lease), Some(ended)) if ended.covers(&held(lease)) => *self = Fate::Gone,
            (Fate::Ended(bindings), Some(ended)) => bindings.push(ended),
            (Fate::Held(_) | Fate::Gone, Some(_)) => {}
        }
    }

    fn entries(self, address: IpAddr, held: fn(L) -> Entry) -> Vec<Entry> {
        let ended = |binding| Entry::LeaseEnded { address, binding, quarantined_until: None };
        match self {
            Fate::Held(lease) => vec![held(lease)],
            Fate::Gone => vec![ended(None)],
            Fate::Ended(bindings) => bindings.into_iter().map(Some).map(ended).collect(),
        }
    }
}

/// Entries that room is made for beforehand: those of a busy second, a megabyte.
const ROOM_MAX: usize = 4096;

/// A run, found by its id.
struct ById(Arc<Run>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.as_str().hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

/// A sealed segment on its way into the tables.
pub struct Sweep {
    /// The newest log row it covers.
    pub through: i64,
    pub tables: Tables,
    pub weight: usize,
    pub writes: Vec<Entry>,
    /// How many of `writes` are in the tables.
    pub written: usize,
    /// Done when everything is written.
    pub forget: Option<Timestamp>,
}

impl Backlog {
    /// After a kill: this many entries that count need not be written again.
    pub fn resuming(skip: u64) -> Self {
        Self { skip, ..Self::default() }
    }

    /// Takes the entries of one log row, which has so many bytes. A `Forget` among them is the last
    /// thing to be done.
    pub fn take(&mut self, batch: i64, entries: Vec<Entry>, bytes: usize) {
        self.filling.through = batch;
        self.filling.weight += bytes + entries.len() * PLACE_BYTES;
        for entry in entries {
            if entry.is_appended() && self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            self.filling.take(entry);
        }
        if self.filling.forget.is_some() {
            self.seal();
        }
    }

    /// What was gathered so far becomes a sweep.
    pub fn seal(&mut self) {
        if self.filling.through > 0 {
            let next = Segment::with_room_of(&self.filling);
            self.sweeps.push_back(std::mem::replace(&mut self.filling, next).sealed());
        }
    }

    /// The bytes that wait, about.
    pub fn weight(&self) -> usize {
        self.filling.weight + self.sweeps.iter().map(|sweep| sweep.weight).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.filling.through == 0 && self.sweeps.is_empty()
    }

    /// Whether something waits for one of these tables.
    pub fn touches(&self, tables: Tables) -> bool {
        self.filling.tables.meet(tables)
            || self.sweeps.iter().any(|sweep| sweep.tables.meet(tables))
    }

    /// The newest state of a run that the tables may not have yet.
    pub fn run<'a>(&'a self, id: &str) -> Option<&'a Arc<Run>> {
        let within = |sweep: &'a Sweep| {
            sweep.writes.iter().find_map(|entry| {
                if let Entry::Run(run) = entry { (run.id == id).then_some(run) } else { None }
            })
        };
        let filling = self.filling.runs.get(id).map(|ById(run)| run);
        filling.or_else(|| self.sweeps.iter().rev().find_map(within))
    }
}

impl Segment {
    /// The next one is likely to hold as much, unless there was a burst.
    fn with_room_of(last: &Self) -> Self {
        let room = |held: usize| held.min(ROOM_MAX);
        Self {
            runs: HashSet::with_capacity_and_hasher(room(last.runs.len()), RandomState::default()),
            timers: HashMap::with_capacity_and_hasher(
                room(last.timers.len()),
                RandomState::default(),
            ),
            appended: Vec::with_capacity(room(last.appended.len())),
            ..Self::default()
        }
    }

    fn take(&mut self, entry: Entry) {
        self.tables = self.tables.with(entry.tables());
        match entry {
            Entry::Run(run) => {
                self.runs.replace(ById(run));
            }
            Entry::Timer { run, name, at } => {
                self.timers.insert((run, name), at);
            }
            Entry::Lease(lease) => {
                self.leases.insert(lease.address, Fate::Held(lease));
            }
            Entry::Lease6(lease) => {
                self.leases6.insert(lease.address, Fate::Held(lease));
            }
            Entry::LeaseEnded { address, binding, quarantined_until } => {
                if let Some(until) = quarantined_until {
                    self.quarantine.insert(address, (binding.clone(), until));
                }
                match address {
                    IpAddr::V4(address) => {
                        self.leases.entry(address).or_default().end(binding, Lease::binding);
                    }
                    IpAddr::V6(address) => {
                        self.leases6.entry(address).or_default().end(binding, Lease6::binding);
                    }
                }
            }
            Entry::OutletReference { outlet, subject, reference } => {
                self.references.insert((outlet, subject), reference);
            }
            Entry::Forget { before } => self.forget = self.forget.max(Some(before)),
            appended @ (Entry::Journal(_)
            | Entry::Outbox(_)
            | Entry::OutboxSuperseded { .. }
            | Entry::OutboxMoved { .. }
            | Entry::Served(_)
            | Entry::Stranger { .. }) => self.appended.push(appended),
        }
    }

    /// In the order of their keys, so that neighbours in a table are written one after the other;
    /// runs that end before runs that begin, because a device has one open run.
    fn sealed(self) -> Sweep {
        let mut runs: Vec<Arc<Run>> = self.runs.into_iter().map(|ById(run)| run).collect();
        runs.sort_unstable_by(|a, b| (a.is_open(), &a.device).cmp(&(b.is_open(), &b.device)));
        let mut writes: Vec<Entry> = runs.into_iter().map(Entry::Run).collect();
        writes.extend(self.quarantine.into_iter().map(|(address, (binding, until))| {
            Entry::LeaseEnded { address, binding, quarantined_until: Some(until) }
        }));
        let mut leases: Vec<_> = self.leases.into_iter().collect();
        leases.sort_unstable_by_key(|(address, _)| *address);
        for (address, fate) in leases {
            writes.extend(fate.entries(address.into(), Entry::Lease));
        }
        let mut leases: Vec<_> = self.leases6.into_iter().collect();
        leases.sort_unstable_by_key(|(address, _)| *address);
        for (address, fate) in leases {
            writes.extend(fate.entries(address.into(), Entry::Lease6));
        }
        let mut timers: Vec<_> = self.timers.into_iter().collect();
        timers.sort_unstable();
        writes.extend(timers.into_iter().map(|((run, name), at)| Entry::Timer { run, name, at }));
        writes.extend(self.references.into_iter().map(|((outlet, subject), reference)| {
            Entry::OutletReference { outlet, subject, reference }
        }));
        writes.extend(self.appended);
        Sweep {
            through: self.through,
            tables: self.tables,
            weight: self.weight,
            writes,
            written: 0,
            forget: self.forget,
        }
    }
}

//! How many addresses do strangers hold, and may one more be given to one of them?

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::config::meant::DhcpLimits;
use crate::service::leases::shelf::Shelf;

/// Where a stranger's request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    Relay(Ipv4Addr),
    /// Heard by ourselves.
    OurLink,
    /// Read from the store, which does not keep it; such a lease ends within minutes.
    Unknown,
}

impl Via {
    pub fn of(relay: Option<Ipv4Addr>) -> Self {
        relay.map_or(Self::OurLink, Self::Relay)
    }
}

/// Addresses offered or bound to strangers, or at rest because a stranger declined them. The tables
/// are bounded by `most`.
#[derive(Debug)]
pub struct Strangers {
    most: usize,
    most_via_one: usize,
    /// By pool: how many there may be, and how many there are.
    pools: Vec<(usize, usize)>,
    via: HashMap<Via, usize>,
    all: usize,
}

impl Strangers {
    pub fn new(limits: &DhcpLimits, shelves: &[Shelf]) -> Self {
        let share = |shelf: &Shelf| {
            let part = shelf.addresses() * u64::from(limits.pool_strangers_percent);
            (usize::try_from(part.div_ceil(100)).unwrap_or(usize::MAX), 0)
        };
        Self {
            most: limits.strangers_max,
            most_via_one: limits.relay_strangers_max,
            pools: shelves.iter().map(share).collect(),
            via: HashMap::new(),
            all: 0,
        }
    }

    /// Says why no stranger from there may have one more address of this pool, if so.
    pub fn room(&self, shelf: usize, via: Via) -> Result<(), String> {
        if self.all >= self.most {
            return Err(format!("{} strangers hold addresses already (strangers_max)", self.most));
        }
        let (most, held) = self.pools[shelf];
        if held >= most {
            return Err(format!(
                "strangers hold {held} addresses of this pool already (pool_strangers_percent)"
            ));
        }
        let held = self.via.get(&via).copied().unwrap_or(0);
        if held < self.most_via_one {
            return Ok(());
        }
        let there = match via {
            Via::Relay(relay) => format!("behind the relay {relay}"),
            Via::OurLink | Via::Unknown => "on our own links".to_owned(),
        };
        Err(format!("{held} strangers {there} hold addresses already (relay_strangers_max)"))
    }

    pub fn add(&mut self, shelf: usize, via: Via) {
        self.all += 1;
        self.pools[shelf].1 += 1;
        *self.via.entry(via).or_insert(0) += 1;
    }

    pub fn remove(&mut self, shelf: usize, via: Via) {
        self.all -= 1;
        self.pools[shelf].1 -= 1;
        if let Some(held) = self.via.get_mut(&via) {
            *held -= 1;
            if *held == 0 {
                self.via.remove(&via);
            }
        }
    }
}

//! How many addresses do strangers hold, and may one more be given to one of them?

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use crate::config::meant::DhcpLimits;

/// Where a stranger's request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    Relay(IpAddr),
    /// Heard by ourselves.
    OurLink,
    /// Read from the store, which does not keep it; such a lease ends within minutes.
    Unknown,
}

impl Via {
    pub fn of(relay: Option<impl Into<IpAddr>>) -> Self {
        relay.map_or(Self::OurLink, |relay| Self::Relay(relay.into()))
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
    refused: Refused,
}

/// How many times strangers were refused an address since this was last told, by the setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    pub strangers_max: u64,
    pub relay_strangers_max: u64,
    pub pool_strangers_percent: u64,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("strangers_max", self.strangers_max),
            ("relay_strangers_max", self.relay_strangers_max),
            ("pool_strangers_percent", self.pool_strangers_percent),
        ];
        let told = parts.into_iter().filter(|(_, count)| *count > 0);
        let told: Vec<String> =
            told.map(|(limit, count)| format!("{count} beyond {limit}")).collect();
        f.write_str(&told.join(", "))
    }
}

impl Strangers {
    /// `ranges`: how many addresses each pool hands out freely.
    pub fn new(limits: &DhcpLimits, ranges: impl Iterator<Item = u128>) -> Self {
        let share = |addresses: u128| {
            let part = addresses.saturating_mul(u128::from(limits.pool_strangers_percent));
            (usize::try_from(part.div_ceil(100)).unwrap_or(usize::MAX), 0)
        };
        Self {
            most: limits.strangers_max,
            most_via_one: limits.relay_strangers_max,
            pools: ranges.map(share).collect(),
            via: HashMap::new(),
            all: 0,
            refused: Refused::default(),
        }
    }

    /// Says why no stranger from there may have one more address of this pool, if so.
    pub fn room(&mut self, shelf: usize, via: Via) -> Result<(), String> {
        if self.all >= self.most {
            self.refused.strangers_max += 1;
            return Err(format!("{} strangers hold addresses already (strangers_max)", self.most));
        }
        let (most, held) = self.pools[shelf];
        if held >= most {
            self.refused.pool_strangers_percent += 1;
            return Err(format!(
                "strangers hold {held} addresses of this pool already (pool_strangers_percent)"
            ));
        }
        let held = self.via.get(&via).copied().unwrap_or(0);
        if held < self.most_via_one {
            return Ok(());
        }
        self.refused.relay_strangers_max += 1;
        let there = match via {
            Via::Relay(relay) => format!("behind the relay {relay}"),
            Via::OurLink | Via::Unknown => "on our own links".to_owned(),
        };
        Err(format!("{held} strangers {there} hold addresses already (relay_strangers_max)"))
    }

    /// What was refused since the last time.
    pub fn refused(&mut self) -> Option<Refused> {
        let refused = std::mem::take(&mut self.refused);
        (refused != Refused::default()).then_some(refused)
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

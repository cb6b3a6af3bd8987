//! The only place that reads chance. Everything else is handed a number.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Timestamp;

/// Where chance comes from.
#[derive(Debug, Clone)]
pub enum Entropy {
    /// The operating system.
    System,
    /// A seeded sequence (splitmix64) for tests and repeatable simulations.
    Seeded(Arc<AtomicU64>),
}

impl Entropy {
    pub fn seeded(seed: u64) -> Self {
        Entropy::Seeded(Arc::new(AtomicU64::new(seed)))
    }

    pub fn next_u64(&self) -> u64 {
        match self {
            Entropy::System => {
                let mut bytes = [0; 8];
                getrandom::fill(&mut bytes)
                    .expect("the kernel's random source does not fail once the system is up");
                u64::from_le_bytes(bytes)
            }
            Entropy::Seeded(state) => {
                let seed = state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
                let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                z ^ (z >> 31)
            }
        }
    }

    /// The 80 bits of a name.
    fn name(&self) -> u128 {
        match self {
            Entropy::System => AHEAD.with_borrow_mut(Ahead::take),
            Entropy::Seeded(_) => {
                (u128::from(self.next_u64()) << 16) | u128::from(self.next_u64() & 0xFFFF)
            }
        }
    }

    /// A ULID: 26 characters that sort by `now`, unique without asking anybody.
    pub fn ulid(&self, now: Timestamp) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let millis = u128::try_from(now.micros().max(0) / 1000).unwrap_or(0) & 0xFFFF_FFFF_FFFF;
        let value = (millis << 80) | self.name();
        (0..26)
            .rev()
            .map(|place| char::from(ALPHABET[(value >> (place * 5) & 31) as usize]))
            .collect()
    }
}

thread_local! {
    static AHEAD: RefCell<Ahead> = const { RefCell::new(Ahead { bytes: [0; 320], left: 0 }) };
}

/// The system's chance for the next names: asking it costs more than all the rest of a name.
struct Ahead {
    bytes: [u8; 320],
    left: usize,
}

impl Ahead {
    fn take(&mut self) -> u128 {
        if self.left == 0 {
            getrandom::fill(&mut self.bytes)
                .expect("the kernel's random source does not fail once the system is up");
            self.left = self.bytes.len();
        }
        let mut value = [0; 16];
        value[6..].copy_from_slice(&self.bytes[self.left - 10..self.left]);
        self.left -= 10;
        u128::from_be_bytes(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_systems_names_differ_beyond_what_is_fetched_at_once() {
        let moment = Timestamp::from_seconds(10);
        let names: HashSet<String> = (0..1000).map(|_| Entropy::System.ulid(moment)).collect();
        assert_eq!(names.len(), 1000);
        let ends: HashSet<&str> = names.iter().map(|name| &name[10..]).collect();
        assert_eq!(ends.len(), 1000);
    }

    #[test]
    fn ulids_sort_by_time_and_differ() {
        let entropy = Entropy::seeded(7);
        let early = entropy.ulid(Timestamp::from_seconds(10));
        let late = entropy.ulid(Timestamp::from_seconds(11));
        assert!(early < late, "{early} {late}");
        assert_eq!(early.len(), 26);
        assert_ne!(late, entropy.ulid(Timestamp::from_seconds(11)));
    }
}

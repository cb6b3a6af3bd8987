//! The only place that reads chance. Everything else is handed a number.

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

    /// A ULID: 26 characters that sort by `now`, unique without asking anybody.
    pub fn ulid(&self, now: Timestamp) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let millis = u128::try_from(now.micros().max(0) / 1000).unwrap_or(0) & 0xFFFF_FFFF_FFFF;
        let chance = (u128::from(self.next_u64()) << 16) | u128::from(self.next_u64() & 0xFFFF);
        let value = (millis << 80) | chance;
        (0..26)
            .rev()
            .map(|place| char::from(ALPHABET[(value >> (place * 5) & 31) as usize]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

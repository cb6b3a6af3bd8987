//! May this one send another message now? Token buckets in a table of fixed size.

use std::hash::{BuildHasher, Hash, RandomState};

/// Places that one key may stand in. A search looks at these and at no others.
const WAYS: usize = 4;

/// A number for each of some keys. Nothing is allocated after the start; when the places of a key
/// are taken, the lowest number there makes room.
#[derive(Debug)]
pub struct Table {
    slots: Box<[[Slot; WAYS]]>,
    hasher: RandomState,
}

/// All zeroes is a place that nobody has taken.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The key's hash: two keys are taken for one once in 2^64, and nobody outside knows the seed.
    tag: u64,
    number: u64,
}

impl Table {
    /// For about so many keys.
    pub fn new(keys: usize) -> Self {
        let sets = keys.div_ceil(WAYS).next_power_of_two();
        let slots = vec![[Slot::default(); WAYS]; sets].into_boxed_slice();
        Self { slots, hasher: RandomState::new() }
    }

    pub fn holds(&self, key: impl Hash) -> bool {
        let tag = self.tag(key);
        self.slots[self.set(tag)].iter().any(|slot| slot.tag == tag)
    }

    /// The number of this key; 0 for a new one.
    pub fn number(&mut self, key: impl Hash) -> &mut u64 {
        let tag = self.tag(key);
        let index = self.set(tag);
        let set = &mut self.slots[index];
        let found = set.iter().position(|slot| slot.tag == tag);
        let place = found.unwrap_or_else(|| {
            let lowest = (0..WAYS).min_by_key(|place| set[*place].number).unwrap_or(0);
            set[lowest] = Slot { tag, number: 0 };
            lowest
        });
        &mut set[place].number
    }

    fn tag(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key).max(1)
    }

    fn set(&self, tag: u64) -> usize {
        usize::try_from(tag >> 32).unwrap_or(0) & (self.slots.len() - 1)
    }
}

/// A token bucket for each key, kept as the moment at which it is full again: that one number says
/// how many tokens are in it. Where room is needed the fullest bucket goes: a forgotten bucket
/// counts as full, so that this gives the least away, and a flood of new keys does not wash out
/// those that sent much.
#[derive(Debug)]
pub struct Buckets {
    /// In microseconds of the caller's clock.
    full_at: Table,
    /// Microseconds for one token.
    token: u64,
    /// Microseconds from empty to full.
    whole: u64,
}

impl Buckets {
    /// For some `keys`, each with `rate` tokens a second and room for `burst`.
    pub fn new(keys: usize, rate: u32, burst: u32) -> Self {
        let token = (1_000_000 / u64::from(rate.max(1))).max(1);
        Self { full_at: Table::new(keys), token, whole: token * u64::from(burst.max(1)) }
    }

    /// Takes a token of `key` if there is one at `now`, in microseconds of any clock that does not
    /// go back.
    pub fn take(&mut self, key: impl Hash, now: u64) -> bool {
        let (token, whole) = (self.token, self.whole);
        let number = self.full_at.number(key);
        let full_at = (*number).max(now);
        let taken = full_at + token <= now + whole;
        if taken {
            *number = full_at + token;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        let mut buckets = Buckets::new(64, 10, 20);
        let passed = |buckets: &mut Buckets, now| (0..100).filter(|_| buckets.take(1, now)).count();
        assert_eq!(passed(&mut buckets, 5 * SECOND), 20);
        assert_eq!(passed(&mut buckets, 5 * SECOND), 0);
        assert_eq!(passed(&mut buckets, 5 * SECOND + SECOND / 10), 1);
        assert_eq!(passed(&mut buckets, 6 * SECOND), 9);
        assert_eq!(passed(&mut buckets, 60 * SECOND), 20);
        assert!(buckets.take(2, 60 * SECOND), "another key has a bucket of its own");
    }

    #[test]
    fn a_flood_of_new_keys_does_not_refill_the_bucket_of_a_noisy_one() {
        let mut buckets = Buckets::new(64, 10, 20);
        let mut passed = 0;
        for step in 0..100_000_u64 {
            // A second in all.
            let now = SECOND + step * 10;
            buckets.take((step, "invented"), now);
            passed += usize::from(buckets.take("noisy", now));
        }
        assert!((20..=31).contains(&passed), "{passed}");
    }

    #[test]
    fn rates_that_make_no_sense_do_not_divide_by_zero() {
        let mut buckets = Buckets::new(0, u32::MAX, 0);
        assert!(buckets.take(1, 0));
        assert!(Buckets::new(1, 0, 1).take(1, 0));
    }
}

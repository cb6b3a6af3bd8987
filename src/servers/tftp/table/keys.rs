//! How are transfers found without hashing twice? Peers, whom anybody can invent, are hashed with a
//! secret key into a number; maps by such a number need no second hash of it.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::net::SocketAddr;

/// A map by a number that is a keyed hash, or our own count.
pub(super) type ByNumber<T> = std::collections::HashMap<u64, T, BuildHasherDefault<Spread>>;

/// Spreads numbers that follow each other over the whole width: the map looks at both ends of a
/// hash.
#[derive(Debug, Default)]
pub(super) struct Spread(u64);

/// 2^64 divided by the golden ratio, made odd: the usual multiplier of Fibonacci hashing.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for Spread {
    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(GOLDEN);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0.rotate_left(8) ^ u64::from(*byte)).wrapping_mul(GOLDEN);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A number for a port of ours and a peer.
pub(super) fn of_port(key: &RandomState, port: usize, peer: SocketAddr) -> u64 {
    let mut hasher = key.build_hasher();
    hasher.write_usize(port);
    add(&mut hasher, peer);
    hasher.finish()
}

/// A number for one end, or for both.
pub(super) fn of_ends(key: &RandomState, ends: &[SocketAddr]) -> u64 {
    let mut hasher = key.build_hasher();
    for end in ends {
        add(&mut hasher, *end);
    }
    hasher.finish()
}

/// The same bytes for the same end, in few pieces: each piece costs time.
fn add(hasher: &mut impl Hasher, end: SocketAddr) {
    match end {
        SocketAddr::V4(end) => {
            hasher.write_u64(u64::from(end.ip().to_bits()) << 16 | u64::from(end.port()));
        }
        SocketAddr::V6(end) => {
            let [high, low] =
                [end.ip().to_bits() >> 64, end.ip().to_bits()].map(|half| half as u64);
            hasher.write_u64(high);
            hasher.write_u64(low);
            hasher.write_u64(u64::from(end.scope_id()) << 16 | u64::from(end.port()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_differ_in_anything_have_different_numbers() {
        let key = RandomState::new();
        let ends = ["10.0.0.1:69", "10.0.0.1:70", "10.0.0.2:69", "[::1]:69", "[fe80::1%2]:69"];
        let others = ["[fe80::1%3]:69", "[fe80::2%2]:69", "[1::fe80]:69", "[::ffff:10.0.0.1]:69"];
        let all: Vec<SocketAddr> =
            ends.iter().chain(&others).map(|end| end.parse().unwrap()).collect();
        let numbers =
            |port: usize| -> Vec<u64> { all.iter().map(|end| of_port(&key, port, *end)).collect() };
        let mut found: Vec<u64> = (0..8).flat_map(numbers).collect();
        assert_eq!(numbers(1), numbers(1));
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 8 * all.len());
    }

    #[test]
    fn numbers_that_follow_each_other_are_spread_over_both_ends_of_a_hash() {
        let map = ByNumber::<()>::default();
        let hashes: Vec<u64> = (0..128u64).map(|number| map.hasher().hash_one(number)).collect();
        for part in [|hash: &u64| hash >> 57, |hash: &u64| hash & 127] {
            let distinct: std::collections::HashSet<u64> = hashes.iter().map(part).collect();
            assert!(distinct.len() > 60, "{} of 128", distinct.len());
        }
    }
}

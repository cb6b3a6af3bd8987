//! Which IPv6 address of a pool is next?

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::config::meant::Pool6;

/// How many addresses without a binding are remembered with their last owner. Past it the one that
/// is free the longest goes out again before one that was never used: a pool may have 2^64 of them,
/// and made-up clients must not fill the memory.
const FREED_MAX: usize = 65_536;

/// A pool and what is left of it. Addresses never used come first, then those free the longest,
/// so that a device that was away finds its address still unused.
#[derive(Debug)]
pub struct Shelf {
    pub pool: Arc<Pool6>,
    /// The first address of the range that was never handed out; `None` past its end.
    next: Option<u128>,
    freed: VecDeque<Ipv6Addr>,
    /// Some address before `next` was forgotten.
    dropped: bool,
}

impl Shelf {
    pub fn new(pool: Pool6) -> Self {
        let next = pool.range.map(|(first, _)| first.to_bits());
        Self { next, freed: VecDeque::new(), dropped: false, pool: Arc::new(pool) }
    }

    /// True for an address that may be handed out to somebody without a reservation. The first of a
    /// subnet belongs to its routers (RFC 4291 section 2.6.1), but in a /127 (RFC 6164 section 6).
    pub fn lends(&self, address: Ipv6Addr) -> bool {
        let subnet = self.pool.subnet;
        let routers = subnet.prefix_len() < 127 && address == subnet.network();
        let within = |(first, last): (Ipv6Addr, Ipv6Addr)| (first..=last).contains(&address);
        self.pool.range.is_some_and(within) && subnet.contains(&address) && !routers
    }

    /// How many addresses the dynamic range has.
    pub fn addresses(&self) -> u128 {
        let between = |(first, last): (Ipv6Addr, Ipv6Addr)| last.to_bits() - first.to_bits();
        self.pool.range.map_or(0, |range| between(range).saturating_add(1))
    }

    /// Begins at the first address again, after reservations have changed.
    pub fn begin_again(&mut self) {
        self.next = self.pool.range.map(|(first, _)| first.to_bits());
    }

    /// Begins again if addresses were forgotten since the last time, and says whether it did.
    pub fn look_for_dropped(&mut self) -> bool {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped {
            self.begin_again();
        }
        dropped
    }

    /// The next address that was never used. It may be taken in the meantime: the caller looks.
    pub fn next_unused(&mut self) -> Option<Ipv6Addr> {
        let (next, (_, last)) = self.next.zip(self.pool.range)?;
        if next > last.to_bits() || self.freed.len() >= FREED_MAX {
            return None;
        }
        self.next = next.checked_add(1);
        Some(Ipv6Addr::from_bits(next))
    }

    pub fn next_freed(&mut self) -> Option<Ipv6Addr> {
        self.freed.pop_front()
    }

    /// Remembers a free address, and returns the one that is to be forgotten for it.
    pub fn put_back(&mut self, address: Ipv6Addr) -> Option<Ipv6Addr> {
        self.freed.push_back(address);
        if self.freed.len() <= FREED_MAX {
            return None;
        }
        self.dropped = true;
        self.freed.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(subnet: &str, first: &str, last: &str) -> Shelf {
        Shelf::new(Pool6 {
            subnet: subnet.parse().unwrap(),
            range: Some((first.parse().unwrap(), last.parse().unwrap())),
            dns: vec![],
            search: vec![],
        })
    }

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_ends_where_it_says_even_at_the_last_of_all_addresses() {
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let mut shelf = shelf("::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", last);
        assert!(shelf.next_unused().is_some());
        assert_eq!(shelf.next_unused(), Some(ip(last)));
        assert_eq!((shelf.next_unused(), shelf.next_unused()), (None, None));
        shelf.begin_again();
        assert!(shelf.next_unused().is_some());
    }

    #[test]
    fn the_first_of_a_subnet_is_its_routers_but_on_a_point_to_point_link() {
        assert!(!shelf("fd00::/64", "fd00::", "fd00::9").lends(ip("fd00::")));
        assert!(shelf("fd00::/64", "fd00::", "fd00::9").lends(ip("fd00::9")));
        assert!(!shelf("fd00::/64", "fd00::", "fd00::9").lends(ip("fd00::a")));
        assert!(shelf("fd00::/127", "fd00::", "fd00::1").lends(ip("fd00::")));
    }

    #[test]
    fn past_the_most_the_address_free_the_longest_is_forgotten_and_found_again_at_the_end() {
        let mut shelf = shelf("fd00::/64", "fd00::1", "fd00::1");
        assert_eq!(shelf.next_unused(), Some(ip("fd00::1")));
        assert_eq!(shelf.put_back(ip("fd00::1")), None);
        for number in 1..FREED_MAX {
            assert_eq!(shelf.put_back(ip("fd00::2")), None, "{number}");
        }
        assert!(!shelf.look_for_dropped());
        assert_eq!(shelf.put_back(ip("fd00::3")), Some(ip("fd00::1")));
        while shelf.next_freed().is_some() {}
        assert!(shelf.next_unused().is_none() && shelf.look_for_dropped());
        assert_eq!(shelf.next_unused(), Some(ip("fd00::1")));
        assert!(!shelf.look_for_dropped(), "once");
    }

    #[test]
    fn a_large_pool_is_not_used_up_to_its_end_before_free_addresses_go_out_again() {
        let mut shelf = shelf("fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff");
        for number in 0..FREED_MAX {
            assert!(shelf.next_unused().is_some(), "{number}");
            shelf.put_back(ip("fd00::1"));
        }
        assert_eq!(shelf.next_unused(), None);
        assert!(shelf.next_freed().is_some() && shelf.next_unused().is_some());
    }
}

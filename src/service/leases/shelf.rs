//! Which address of a pool is next?

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::config::meant::Pool;

/// A pool and what is left of it. Addresses never used come first, then those free the longest,
/// so that a device that was away finds its address still unused.
#[derive(Debug)]
pub struct Shelf {
    pub pool: Arc<Pool>,
    /// The dynamic range as numbers, its end not included.
    range: std::ops::Range<u64>,
    /// The first address of the range that was never handed out.
    next: u64,
    freed: VecDeque<Ipv4Addr>,
}

impl Shelf {
    pub fn new(pool: Pool) -> Self {
        let range = match pool.range {
            Some((first, last)) => u64::from(first.to_bits())..u64::from(last.to_bits()) + 1,
            None => 0..0,
        };
        Self { next: range.start, range, freed: VecDeque::new(), pool: Arc::new(pool) }
    }

    /// True for an address that may be handed out to somebody without a reservation.
    pub fn lends(&self, address: Ipv4Addr) -> bool {
        let subnet = self.pool.subnet;
        let edge = subnet.prefix_len() < 31
            && (address == subnet.network() || address == subnet.broadcast());
        self.range.contains(&u64::from(address.to_bits()))
            && subnet.contains(&address)
            && !edge
            && self.pool.router != Some(address)
    }

    /// How many addresses the dynamic range has.
    pub fn addresses(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// True for an address that [`Self::next_unused`] will not come to any more.
    pub fn has_passed(&self, address: Ipv4Addr) -> bool {
        u64::from(address.to_bits()) < self.next
    }

    /// What [`Self::next_unused`] will give.
    pub fn peek_unused(&self) -> Option<Ipv4Addr> {
        let inside = self.next < self.range.end;
        u32::try_from(self.next).ok().filter(|_| inside).map(Ipv4Addr::from_bits)
    }

    /// The next address that was never used. It may be taken in the meantime: the caller looks.
    pub fn next_unused(&mut self) -> Option<Ipv4Addr> {
        let next = self.peek_unused()?;
        self.next += 1;
        Some(next)
    }

    pub fn next_freed(&mut self) -> Option<Ipv4Addr> {
        self.freed.pop_front()
    }

    pub fn put_back(&mut self, address: Ipv4Addr) {
        self.freed.push_back(address);
    }
}

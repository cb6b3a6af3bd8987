//! Which requests are being answered right now? A client that repeats one meanwhile gets one
//! answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::address::Mac;
use crate::proto::dhcp4::MessageType;

/// Requests under way at a time. Each waits for one flush of the store, a few milliseconds; whoever
/// is refused here repeats after 4 s (RFC 2131 section 4.1).
const UNDER_WAY_MAX: usize = 4096;

/// Client, transaction and kind: a repetition has all three in common.
pub type Key = (Mac, u32, MessageType);

/// The table. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Flight {
    keys: Arc<Mutex<HashSet<Key>>>,
}

/// A place in the table, given back when dropped.
#[derive(Debug)]
pub struct Seat {
    flight: Flight,
    key: Key,
}

impl Flight {
    /// `None` if this request is under way already, or too many are.
    pub fn take(&self, key: Key) -> Option<Seat> {
        let mut keys = self.keys.lock().expect("nobody panics while holding this set");
        if keys.len() >= UNDER_WAY_MAX || !keys.insert(key) {
            return None;
        }
        Some(Seat { flight: self.clone(), key })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut keys = self.flight.keys.lock().expect("nobody panics while holding this set");
        keys.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_waits_until_the_first_is_answered() {
        let flight = Flight::default();
        let key = |xid, kind| (Mac::new([2, 0, 0, 0, 0, 1]), xid, kind);
        let first = flight.take(key(7, MessageType::Request));
        assert!(first.is_some() && flight.take(key(7, MessageType::Request)).is_none());
        assert!(flight.take(key(8, MessageType::Request)).is_some());
        assert!(flight.take(key(7, MessageType::Discover)).is_some());
        drop(first);
        assert!(flight.take(key(7, MessageType::Request)).is_some());
    }

    #[test]
    fn the_table_has_an_end_and_room_again_after_it() {
        let flight = Flight::default();
        let take = |xid| flight.take((Mac::new([0; 6]), xid, MessageType::Request));
        let seats: Vec<Seat> = (0..4096).map_while(take).collect();
        assert_eq!((seats.len(), take(5000).is_none()), (UNDER_WAY_MAX, true));
        drop(seats);
        assert!(take(5000).is_some());
    }
}

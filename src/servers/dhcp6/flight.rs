//! Which messages are being answered right now? A client that repeats one meanwhile gets one
//! answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::proto::dhcp6::{Duid, MessageType};

/// Messages under way at a time. Each waits for one flush of the store, a few milliseconds; whoever
/// is refused here repeats after a second (RFC 8415 section 7.6).
const UNDER_WAY_MAX: usize = 4096;

/// Client, transaction and kind: a repetition has all three in common.
pub type Key = (Option<Duid>, u32, MessageType);

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
    /// `None` if this message is under way already, or too many are.
    pub fn take(&self, key: Key) -> Option<Seat> {
        let mut keys = self.keys.lock().expect("nobody panics while holding this set");
        if keys.len() >= UNDER_WAY_MAX || !keys.insert(key.clone()) {
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
    fn a_repetition_waits_until_the_first_is_answered_and_the_table_has_an_end() {
        let flight = Flight::default();
        let take = |transaction| flight.take((None, transaction, MessageType::Request));
        let first = take(7);
        assert!(first.is_some() && take(7).is_none());
        assert!(flight.take((None, 7, MessageType::Solicit)).is_some());
        drop(first);
        let seats: Vec<Seat> = (0..5000).map_while(take).collect();
        assert_eq!((seats.len(), take(7000).is_none()), (UNDER_WAY_MAX, true));
        drop(seats);
        assert!(take(7000).is_some());
    }
}

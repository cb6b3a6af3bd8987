//! Which requests are being answered right now? A client that repeats one meanwhile gets one
//! answer.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

/// Requests under way at a time, of about a KiB each. Each waits for one flush of the store, a few
/// milliseconds; a disk that stalls for a second fills it with what the fastest server takes in
/// meanwhile. Whoever is refused here repeats after 4 s (RFC 2131 section 4.1).
const UNDER_WAY_MAX: usize = 16_384;
/// Strangers get no seat beyond this, so that they never take the last one.
const STRANGERS_UNDER_WAY_MAX: usize = UNDER_WAY_MAX / 16;

/// The table. Clones share it. A key is client, transaction and kind: a repetition has all three in
/// common.
#[derive(Debug, Clone)]
pub struct Flight<K> {
    keys: Arc<Mutex<HashSet<K>>>,
}

/// A place in the table, given back when dropped.
#[derive(Debug)]
pub struct Seat<K: Eq + Hash> {
    flight: Flight<K>,
    key: K,
}

impl<K> Default for Flight<K> {
    fn default() -> Self {
        Self { keys: Arc::default() }
    }
}

impl<K: Eq + Hash + Clone> Flight<K> {
    /// `None` if this request is under way already, or too many are. `planned`: the inventory knows
    /// the client's hardware address.
    pub fn take(&self, key: K, planned: bool) -> Option<Seat<K>> {
        let most = if planned { UNDER_WAY_MAX } else { STRANGERS_UNDER_WAY_MAX };
        let mut keys = self.keys.lock().expect("nobody panics while holding this set");
        if keys.len() >= most || !keys.insert(key.clone()) {
            return None;
        }
        Some(Seat { flight: self.clone(), key })
    }
}

impl<K: Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut keys = self.flight.keys.lock().expect("nobody panics while holding this set");
        keys.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Mac;
    use crate::proto::dhcp4::MessageType;

    #[test]
    fn a_repetition_waits_until_the_first_is_answered() {
        let whole: Flight<(Mac, u32, MessageType)> = Flight::default();
        let key = |xid, kind| (Mac::new([2, 0, 0, 0, 0, 1]), xid, kind);
        let take = |xid, kind| whole.take(key(xid, kind), true);
        let first = take(7, MessageType::Request);
        assert!(first.is_some() && take(7, MessageType::Request).is_none());
        assert!(take(8, MessageType::Request).is_some());
        assert!(take(7, MessageType::Release).is_some());
        drop(first);
        assert!(take(7, MessageType::Request).is_some());
    }

    #[test]
    fn the_table_has_an_end_and_room_again_after_it() {
        let flight = Flight::default();
        let take =
            |xid, planned| flight.take((Mac::new([0; 6]), xid, MessageType::Request), planned);
        let strangers: Vec<_> = (0..4096).map_while(|xid| take(xid, false)).collect();
        assert_eq!(strangers.len(), STRANGERS_UNDER_WAY_MAX);
        let planned: Vec<_> = (1024..30_000).map_while(|xid| take(xid, true)).collect();
        assert_eq!(strangers.len() + planned.len(), UNDER_WAY_MAX);
        assert!(take(30_000, true).is_none());
        drop((strangers, planned));
        assert!(take(30_000, true).is_some());
    }
}

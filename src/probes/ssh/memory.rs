//! What is remembered of devices between visits, for as long as the server runs: which algorithms
//! worked last, and which key a jump host showed first. A restart costs a second try.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use super::algorithms::Offer;

/// Devices and jump hosts remembered: more than one server visits within a day. The oldest is
/// forgotten first.
const REMEMBERED_MAX: usize = 20_000;

/// Clones share what is remembered.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    offers: Bounded<String, Offer>,
    host_keys: Bounded<String, String>,
}

impl Memory {
    /// What led to a session the last time, by the way to the device.
    pub(super) fn offer(&self, way: &str) -> Option<Offer> {
        self.with(|known| known.offers.values.get(way).copied())
    }

    pub(super) fn worked(&self, way: &str, offer: Offer) {
        self.with(|known| known.offers.put(way.to_owned(), offer));
    }

    pub(super) fn host_key(&self, host: &str) -> Option<String> {
        self.with(|known| known.host_keys.values.get(host).cloned())
    }

    /// Keeps the key that was seen first.
    pub(super) fn pin(&self, host: &str, key: String) {
        self.with(|known| {
            if !known.host_keys.values.contains_key(host) {
                known.host_keys.put(host.to_owned(), key);
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Remembered) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug)]
struct Bounded<K, V> {
    values: HashMap<K, V>,
    /// The keys, the oldest first.
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.values.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_the_first_key_stays() {
        let memory = Memory::default();
        for index in 0..=REMEMBERED_MAX {
            memory.worked(&format!("device {index}"), Offer::Legacy);
        }
        memory.worked("device 2", Offer::All);
        assert_eq!(memory.offer("device 0"), None);
        assert_eq!(memory.offer("device 1"), Some(Offer::Legacy));
        assert_eq!(memory.offer("device 2"), Some(Offer::All));
        memory.pin("jump", "SHA256:a".to_owned());
        memory.pin("jump", "SHA256:b".to_owned());
        assert_eq!(memory.host_key("jump").as_deref(), Some("SHA256:a"));
    }
}

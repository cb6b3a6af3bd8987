//! What is remembered of devices between visits: which algorithms worked last, for as long as the
//! server runs, so that a restart costs a second try; and which key a jump host showed first, for
//! ever where somebody keeps it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::algorithms::Offer;

/// Devices and jump hosts remembered: more than one server visits within a day. The oldest is
/// forgotten first.
const REMEMBERED_MAX: usize = 20_000;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// Where the keys of jump hosts outlive the server. A jump host is named by the way to it.
#[derive(Clone)]
pub struct HostKeys {
    /// The key that was kept for this jump host.
    pub known: Arc<dyn Fn(String) -> Answer<Option<String>> + Send + Sync>,
    /// Keeps this key for this jump host, durably.
    pub keep: Arc<dyn Fn(String, String) -> Answer<()> + Send + Sync>,
}

/// Clones share what is remembered.
#[derive(Clone, Default)]
pub(super) struct Memory {
    remembered: Arc<Mutex<Remembered>>,
    kept: Option<HostKeys>,
}

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

    /// The key that was seen first. Where it cannot be told whether there is one, nobody is logged
    /// in to.
    pub(super) async fn host_key(&self, host: &str) -> Result<Option<String>, String> {
        let known = self.with(|known| known.host_keys.values.get(host).cloned());
        let (None, Some(kept)) = (&known, &self.kept) else { return Ok(known) };
        let kept = (kept.known)(host.to_owned()).await?;
        if let Some(key) = &kept {
            self.with(|known| known.host_keys.put(host.to_owned(), key.clone()));
        }
        Ok(kept)
    }

    /// Keeps the key that was seen first.
    pub(super) async fn pin(&self, host: &str, key: String) -> Result<(), String> {
        if self.host_key(host).await?.is_some() {
            return Ok(());
        }
        if let Some(kept) = &self.kept {
            (kept.keep)(host.to_owned(), key.clone()).await?;
        }
        self.with(|known| known.host_keys.put(host.to_owned(), key));
        Ok(())
    }

    /// With somebody who keeps the keys of jump hosts.
    pub(super) fn keeping(host_keys: HostKeys) -> Self {
        Self { kept: Some(host_keys), ..Self::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Remembered) -> T) -> T {
        act(&mut self.remembered.lock().unwrap_or_else(PoisonError::into_inner))
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

    #[tokio::test]
    async fn the_oldest_is_forgotten_and_the_first_key_stays() {
        let memory = Memory::default();
        for index in 0..=REMEMBERED_MAX {
            memory.worked(&format!("device {index}"), Offer::Legacy);
        }
        memory.worked("device 2", Offer::All);
        assert_eq!(memory.offer("device 0"), None);
        assert_eq!(memory.offer("device 1"), Some(Offer::Legacy));
        assert_eq!(memory.offer("device 2"), Some(Offer::All));
        memory.pin("jump", "SHA256:a".to_owned()).await.unwrap();
        memory.pin("jump", "SHA256:b".to_owned()).await.unwrap();
        assert_eq!(memory.host_key("jump").await.unwrap().as_deref(), Some("SHA256:a"));
    }

    /// Keys on a shelf that several servers share, one after the other.
    fn shelf(shelf: &Arc<Mutex<HashMap<String, String>>>, broken: bool) -> HostKeys {
        let answer = move || if broken { Err("the store is down".to_owned()) } else { Ok(()) };
        let (read, written) = (Arc::clone(shelf), Arc::clone(shelf));
        HostKeys {
            known: Arc::new(move |host| {
                let key = read.lock().unwrap().get(&host).cloned();
                Box::pin(std::future::ready(answer().map(|()| key)))
            }),
            keep: Arc::new(move |host, key| {
                written.lock().unwrap().insert(host, key);
                Box::pin(std::future::ready(answer()))
            }),
        }
    }

    #[tokio::test]
    async fn a_kept_key_is_known_after_a_restart_and_an_unknown_shelf_is_no_empty_one() {
        let keys = Arc::default();
        let memory = Memory::keeping(shelf(&keys, false));
        assert_eq!(memory.host_key("jump").await, Ok(None));
        memory.pin("jump", "SHA256:a".to_owned()).await.unwrap();
        let restarted = Memory::keeping(shelf(&keys, false));
        assert_eq!(restarted.host_key("jump").await, Ok(Some("SHA256:a".to_owned())));
        restarted.pin("jump", "SHA256:b".to_owned()).await.unwrap();
        assert_eq!(keys.lock().unwrap()["jump"], "SHA256:a");
        let down = Memory::keeping(shelf(&keys, true));
        assert!(down.host_key("jump").await.is_err());
        assert!(down.pin("other", "SHA256:c".to_owned()).await.is_err());
        assert!(memory.host_key("jump").await.is_ok(), "what is known is not asked for again");
    }
}

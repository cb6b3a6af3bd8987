//! What is remembered of devices between visits: which algorithms worked last, and which key a jump
//! host showed first. Both outlive the server where somebody keeps them.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::algorithms::Offer;

/// Devices and jump hosts remembered: more than one server visits within a day. The oldest is
/// forgotten first.
const REMEMBERED_MAX: usize = 20_000;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// Where texts outlive the server, one for each device or jump host, which is named by the way to
/// it.
#[derive(Clone)]
pub struct Shelf {
    /// What was kept of this one.
    pub known: Arc<dyn Fn(String) -> Answer<Option<String>> + Send + Sync>,
    /// Keeps this text of this one, durably.
    pub keep: Arc<dyn Fn(String, String) -> Answer<()> + Send + Sync>,
}

/// Everything that outlives the server.
#[derive(Clone)]
pub struct Shelves {
    /// The keys of jump hosts.
    pub host_keys: Shelf,
    /// Which algorithms worked last, where they were not those that were tried first.
    pub algorithms: Shelf,
}

/// Clones share what is remembered.
#[derive(Clone, Default)]
pub(super) struct Memory {
    remembered: Arc<Mutex<Remembered>>,
    kept: Option<Shelves>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// None for whom nothing is kept.
    offers: Bounded<String, Option<Offer>>,
    host_keys: Bounded<String, String>,
}

impl Memory {
    /// What led to a session the last time, by the way to the device. It only saves a try: where it
    /// cannot be told, there is none.
    pub(super) async fn offer(&self, way: &str) -> Option<Offer> {
        if let Some(known) = self.with(|known| known.offers.values.get(way).copied()) {
            return known;
        }
        match (self.kept.as_ref()?.algorithms.known)(way.to_owned()).await {
            Ok(kept) => {
                let offer = kept.as_deref().and_then(Offer::named);
                self.with(|known| known.offers.put(way.to_owned(), offer));
                offer
            }
            Err(why) => {
                tracing::warn!(way, why, "which algorithms worked last cannot be told");
                None
            }
        }
    }

    /// This offer led to a session, and `first` was made first. What worked at once is made first
    /// the next time as well, so only the others are kept. What could not be kept is not
    /// remembered either: it is found out, and kept, anew.
    pub(super) async fn worked(&self, way: &str, offer: Offer, first: Offer) {
        if offer != first
            && let Some(kept) = &self.kept
            && let Err(why) = (kept.algorithms.keep)(way.to_owned(), offer.name().to_owned()).await
        {
            tracing::warn!(way, why, "which algorithms worked is not kept");
            return;
        }
        self.with(|known| known.offers.put(way.to_owned(), Some(offer)));
    }

    /// The key that was seen first. Where it cannot be told whether there is one, nobody is logged
    /// in to.
    pub(super) async fn host_key(&self, host: &str) -> Result<Option<String>, String> {
        let known = self.with(|known| known.host_keys.values.get(host).cloned());
        let (None, Some(kept)) = (&known, &self.kept) else { return Ok(known) };
        let kept = (kept.host_keys.known)(host.to_owned()).await?;
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
            (kept.host_keys.keep)(host.to_owned(), key.clone()).await?;
        }
        self.with(|known| known.host_keys.put(host.to_owned(), key));
        Ok(())
    }

    /// With somebody who keeps it.
    pub(super) fn keeping(kept: Shelves) -> Self {
        Self { kept: Some(kept), ..Self::default() }
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
pub(super) mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_is_forgotten_and_the_first_key_stays() {
        let memory = Memory::default();
        for index in 0..=REMEMBERED_MAX {
            memory.worked(&format!("device {index}"), Offer::Legacy, Offer::All).await;
        }
        memory.worked("device 2", Offer::All, Offer::Legacy).await;
        assert_eq!(memory.offer("device 0").await, None);
        assert_eq!(memory.offer("device 1").await, Some(Offer::Legacy));
        assert_eq!(memory.offer("device 2").await, Some(Offer::All));
        memory.pin("jump", "SHA256:a".to_owned()).await.unwrap();
        memory.pin("jump", "SHA256:b".to_owned()).await.unwrap();
        assert_eq!(memory.host_key("jump").await.unwrap().as_deref(), Some("SHA256:a"));
    }

    type Texts = Arc<Mutex<HashMap<String, String>>>;

    /// Texts that several servers share, one after the other.
    fn shelf(texts: &Texts, broken: bool) -> Shelf {
        let answer = move || if broken { Err("the store is down".to_owned()) } else { Ok(()) };
        let (read, written) = (Arc::clone(texts), Arc::clone(texts));
        Shelf {
            known: Arc::new(move |host| {
                let key = read.lock().unwrap().get(&host).cloned();
                Box::pin(std::future::ready(answer().map(|()| key)))
            }),
            keep: Arc::new(move |host, key| {
                let answer = answer().map(|()| drop(written.lock().unwrap().insert(host, key)));
                Box::pin(std::future::ready(answer))
            }),
        }
    }

    /// A server that keeps host keys and algorithms there.
    pub fn server(host_keys: &Texts, algorithms: &Texts, broken: bool) -> Memory {
        Memory::keeping(Shelves {
            host_keys: shelf(host_keys, broken),
            algorithms: shelf(algorithms, broken),
        })
    }

    #[tokio::test]
    async fn a_kept_key_is_known_after_a_restart_and_an_unknown_shelf_is_no_empty_one() {
        let (keys, none) = (Texts::default(), Texts::default());
        let memory = server(&keys, &none, false);
        assert_eq!(memory.host_key("jump").await, Ok(None));
        memory.pin("jump", "SHA256:a".to_owned()).await.unwrap();
        let restarted = server(&keys, &none, false);
        assert_eq!(restarted.host_key("jump").await, Ok(Some("SHA256:a".to_owned())));
        restarted.pin("jump", "SHA256:b".to_owned()).await.unwrap();
        assert_eq!(keys.lock().unwrap()["jump"], "SHA256:a");
        let down = server(&keys, &none, true);
        assert!(down.host_key("jump").await.is_err());
        assert!(down.pin("other", "SHA256:c".to_owned()).await.is_err());
        assert!(memory.host_key("jump").await.is_ok(), "what is known is not asked for again");
    }

    #[tokio::test]
    async fn what_worked_at_the_second_try_is_known_after_a_restart_and_the_rest_costs_no_write() {
        let (none, algorithms) = (Texts::default(), Texts::default());
        let before = server(&none, &algorithms, false);
        before.worked("modern", Offer::All, Offer::All).await;
        before.worked("old", Offer::Legacy, Offer::All).await;
        let kept = HashMap::from([("old".to_owned(), "legacy".to_owned())]);
        assert_eq!(*algorithms.lock().unwrap(), kept);
        let restarted = server(&none, &algorithms, false);
        assert_eq!(restarted.offer("old").await, Some(Offer::Legacy));
        assert_eq!(restarted.offer("modern").await, None);
        // The box was exchanged: the old list fails, and that is kept in turn.
        restarted.worked("old", Offer::All, Offer::Legacy).await;
        assert_eq!(server(&none, &algorithms, false).offer("old").await, Some(Offer::All));
        algorithms.lock().unwrap().insert("odd".to_owned(), "of a later version".to_owned());
        assert_eq!(restarted.offer("odd").await, None);
    }

    #[tokio::test]
    async fn what_cannot_be_told_or_kept_hinders_no_visit_and_is_found_out_anew() {
        let (none, algorithms) = (Texts::default(), Texts::default());
        let down = server(&none, &algorithms, true);
        assert_eq!(down.offer("old").await, None);
        down.worked("old", Offer::Legacy, Offer::All).await;
        assert_eq!(down.offer("old").await, None, "so that it is kept once the store is back");
    }
}

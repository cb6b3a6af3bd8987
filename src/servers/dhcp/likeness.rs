//! What does a request look like? Remembered, because a client asks several times in a row and
//! looks the same each time, and the patterns of all platforms cost more than everything else that
//! is found out about it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::address::Mac;
use crate::platform::{Platforms, Recognised};
use crate::proto::dhcp4::code;

/// Clients remembered at a time, in each of two generations: a large site, in 1 MiB each and some
/// more for what is recognised. Whoever is forgotten is looked at again.
const REMEMBERED: usize = 28_672;

/// Options that differ from message to message of one client, and tell no platform.
const OF_THE_MESSAGE: [u8; 4] =
    [code::REQUESTED_ADDRESS, code::LEASE_TIME, code::MESSAGE_TYPE, code::SERVER_ID];

/// What clients looked like, by the hash of all that they sent: two are taken for one once in
/// 2^64, and nobody outside knows the seed.
#[derive(Debug, Default)]
pub struct Likenesses {
    young: HashMap<u64, Option<Arc<Recognised>>>,
    /// Goes when the young ones are many.
    old: HashMap<u64, Option<Arc<Recognised>>>,
    hasher: RandomState,
}

impl Likenesses {
    /// The same as [`Platforms::recognise`].
    pub fn recognise(
        &mut self,
        platforms: &Platforms,
        options: &BTreeMap<u8, Vec<u8>>,
        mac: Mac,
    ) -> Option<Arc<Recognised>> {
        let lasting = options.iter().filter(|(code, _)| !OF_THE_MESSAGE.contains(code));
        let key = lasting
            .fold(self.hasher.hash_one(mac), |key, option| self.hasher.hash_one((key, option)));
        if let Some(known) = self.young.get(&key) {
            return known.clone();
        }
        let found = match self.old.remove(&key) {
            Some(known) => known,
            None => platforms.recognise(options, mac).map(Arc::new),
        };
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(number: usize) -> Mac {
        let [_, _, high, low] = (number as u32).to_be_bytes();
        Mac::new([2, 0, 0, 0, high, low])
    }

    #[test]
    fn what_is_remembered_is_what_would_be_found() {
        let platforms = Platforms::built_in();
        let mut likenesses = Likenesses::default();
        let request = |serial: &str, kind: u8| {
            let class = format!("Arista;DCS-7050S-64;01.23;{serial}");
            BTreeMap::from([(60, class.into_bytes()), (53, vec![kind])])
        };
        for (serial, kind) in [("JPE1", 1), ("JPE1", 3), ("JPE2", 1), ("JPE1", 1)] {
            let options = request(serial, kind);
            let found = likenesses.recognise(&platforms, &options, mac(1)).unwrap();
            assert_eq!(found.platform.id, "arista_eos");
            assert_eq!(found.serial.as_deref(), Some(serial));
        }
        assert_eq!(likenesses.young.len(), 2, "DISCOVER and REQUEST look the same");
        assert!(likenesses.recognise(&platforms, &BTreeMap::new(), mac(1)).is_none());
    }

    #[test]
    fn a_flood_of_made_up_clients_has_room_for_so_many_and_no_more() {
        let platforms = Platforms::default();
        let mut likenesses = Likenesses::default();
        let options = BTreeMap::from([(60, b"x".to_vec())]);
        for number in 0..3 * REMEMBERED {
            likenesses.recognise(&platforms, &options, mac(number));
            assert!(likenesses.young.len() <= REMEMBERED && likenesses.old.len() <= REMEMBERED);
        }
    }
}

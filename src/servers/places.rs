//! Who may still begin something that costs memory? So many at the same time in all, and so many of
//! one device: one that asks without end leaves room for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places of one kind. Clones share them.
#[derive(Debug, Clone)]
pub struct Places {
    all_max: usize,
    each_max: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By device; who has none is not in here.
    each: HashMap<String, usize>,
}

/// A place in somebody's hands; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    device: String,
    taken: Arc<Mutex<Taken>>,
}

impl Places {
    /// So many for all devices together, and so many for each.
    pub fn new(all_max: usize, each_max: usize) -> Self {
        Self { all_max, each_max, taken: Arc::default() }
    }

    /// A place for this device, if there is one.
    pub fn take(&self, device: &str) -> Option<Place> {
        let mut taken = locked(&self.taken);
        let held = taken.each.get(device).copied().unwrap_or(0);
        if taken.all >= self.all_max || held >= self.each_max {
            return None;
        }
        taken.all += 1;
        taken.each.insert(device.to_owned(), held + 1);
        Some(Place { device: device.to_owned(), taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        taken.all -= 1;
        if let Some(held) = taken.each.get_mut(&self.device) {
            *held -= 1;
            if *held == 0 {
                taken.each.remove(&self.device);
            }
        }
    }
}

fn locked(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_has_its_bound_and_leaves_room_for_the_others() {
        let places = Places::new(5, 3);
        let first: Vec<_> = (0..5).filter_map(|_| places.take("sw1")).collect();
        assert_eq!(first.len(), 3);
        let second: Vec<_> = (0..5).filter_map(|_| places.take("sw2")).collect();
        assert_eq!(second.len(), 2, "five in all");
        assert!(places.take("sw3").is_none());
        drop(first);
        assert!(places.take("sw3").is_some());
        drop(second);
        let taken = locked(&places.taken);
        assert!(taken.all == 0 && taken.each.is_empty(), "{taken:?}");
    }
}

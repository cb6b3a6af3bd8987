//! Which rendered files are at hand? Those of the devices that asked lately, within a bound.
//!
//! Two halves: what is asked for goes to the young one; once that is full it becomes the old one,
//! and what nobody asked for since the last time falls out as a whole. A device asks again within
//! seconds or not at all, so nothing finer is worth its time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::service::serving::Artifact;

/// What a file takes beside its content.
const PLACE_BYTES: usize = 256;

#[derive(Debug)]
pub struct Kept {
    /// Of one half.
    bytes_max: usize,
    halves: Mutex<Halves>,
}

#[derive(Debug, Default)]
struct Halves {
    /// By device, with the generation of the plan that it was rendered of.
    young: HashMap<String, (u64, Artifact), RandomState>,
    old: HashMap<String, (u64, Artifact), RandomState>,
    /// What was put into the young half.
    bytes: usize,
}

impl Kept {
    /// Of at most so many bytes, or of one file that has more.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max: bytes_max / 2, halves: Mutex::default() }
    }

    /// The device's file of this generation of the plan.
    pub fn get(&self, device: &str, generation: u64) -> Option<Artifact> {
        let mut halves = self.halves();
        if let Some((_, artifact)) = halves.young.get(device).filter(|(of, _)| *of == generation) {
            return Some(artifact.clone());
        }
        let (of, artifact) = halves.old.remove(device)?;
        if of != generation {
            return None;
        }
        halves.put(generation, artifact.clone(), self.bytes_max);
        Some(artifact)
    }

    pub fn put(&self, generation: u64, artifact: Artifact) {
        self.halves().put(generation, artifact, self.bytes_max);
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Halves {
    fn put(&mut self, generation: u64, artifact: Artifact, bytes_max: usize) {
        let bytes = artifact.content.len() + PLACE_BYTES;
        if self.bytes + bytes > bytes_max {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.young.insert(artifact.device.clone(), (generation, artifact));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn file(device: &str, bytes: usize) -> Artifact {
        let content = Arc::from(vec![b'x'; bytes]);
        Artifact { device: device.to_owned(), content, sha256: String::new() }
    }

    fn held(kept: &Kept) -> usize {
        let halves = kept.halves();
        let all = halves.young.values().chain(halves.old.values());
        all.map(|(_, artifact)| artifact.content.len() + PLACE_BYTES).sum()
    }

    #[test]
    fn what_is_asked_for_again_stays_and_the_bytes_have_a_bound() {
        let kept = Kept::new(100_000);
        kept.put(1, file("often", 1000));
        for number in 0..1000 {
            kept.put(1, file(&number.to_string(), 1000));
            assert!(held(&kept) <= 100_000);
            if number % 10 == 0 {
                assert!(kept.get("often", 1).is_some(), "after {number}");
            }
        }
        assert!(kept.get("1", 1).is_none());
        assert!(kept.get("999", 1).is_some());
    }

    #[test]
    fn the_file_of_another_plan_is_no_file() {
        let kept = Kept::new(100_000);
        kept.put(1, file("sw1", 10));
        assert!(kept.get("sw1", 2).is_none());
        kept.put(2, file("sw1", 20));
        assert_eq!(kept.get("sw1", 2).map(|artifact| artifact.content.len()), Some(20));
        assert!(kept.get("sw1", 1).is_none());
    }

    #[test]
    fn a_file_beyond_the_bound_is_kept_alone() {
        let kept = Kept::new(1000);
        kept.put(1, file("small", 10));
        kept.put(1, file("large", 5000));
        assert!(kept.get("large", 1).is_some());
        kept.put(1, file("next", 10));
        kept.put(1, file("other", 5000));
        assert!(kept.get("large", 1).is_none());
    }
}

//! Which devices began to ask for an address a moment ago, and have none yet? Most have one within
//! milliseconds: beginning and lease are then one step of the run, and one commit.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// So long a device may take from its DISCOVER to its lease for both to be one step. Clients choose
/// an offer at once; who does not is to be seen by people soon.
pub const WAITS: Duration = Duration::from_secs(1);

/// Devices of the plan by name, each once, so that their number is bounded by the plan's.
#[derive(Debug, Default)]
pub struct Asking {
    since: HashMap<Box<str>, Instant>,
    /// The oldest first. Those that have their lease by now stand here too.
    order: VecDeque<(Instant, Box<str>)>,
}

impl Asking {
    pub fn begins(&mut self, device: &str, now: Instant) {
        if !self.since.contains_key(device) {
            self.since.insert(device.into(), now);
            self.order.push_back((now, device.into()));
        }
    }

    /// True if this device waits for its lease; it does not any more.
    pub fn ends(&mut self, device: &str) -> bool {
        self.since.remove(device).is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Those that asked before this and have no lease yet. They are told once.
    pub fn before(&mut self, moment: Instant) -> Vec<Box<str>> {
        let mut alone = Vec::new();
        while let Some((began, device)) = self.order.pop_front_if(|(began, _)| *began <= moment) {
            if self.since.get(&device) == Some(&began) {
                self.since.remove(&device);
                alone.push(device);
            }
        }
        alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn who_has_its_lease_in_time_is_not_told_and_the_others_once() {
        let start = Clock::System.instant();
        let at = |millis| start + Duration::from_millis(millis);
        let mut asking = Asking::default();
        asking.begins("a", at(0));
        asking.begins("b", at(10));
        asking.begins("a", at(400));
        assert!(asking.ends("a") && !asking.ends("a"));
        asking.begins("a", at(600));
        assert!(asking.before(at(9)).is_empty());
        assert_eq!(asking.before(at(500)), [Box::from("b")]);
        assert_eq!(asking.before(at(600)), [Box::from("a")]);
        assert!(asking.is_empty() && !asking.ends("a"));
    }
}

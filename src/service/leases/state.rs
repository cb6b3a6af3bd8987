//! What is an address to its owner, and until when?

use crate::clock::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Offered {
        until: Timestamp,
    },
    Bound {
        until: Timestamp,
    },
    /// Declined: somebody unknown uses it. If it was a stranger's, it counts as one's until then:
    /// made-up clients that decline what they are given must not empty a pool.
    Resting {
        until: Timestamp,
        strangers: bool,
    },
    /// The last owner is remembered and finds it again if nobody came in between.
    Free,
}

impl State {
    /// When it ends, unless it has ended by `now`.
    pub fn until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            State::Offered { until } | State::Bound { until } | State::Resting { until, .. } => {
                Some(until).filter(|until| *until > now)
            }
            State::Free => None,
        }
    }
}

//! What the simulated boxes did, said by themselves: for tests that wait for an event, and for
//! whoever watches. The server under test never reads it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::sync::broadcast;

/// How many entries a slow reader may lag behind before it loses the oldest: a few hundred devices'
/// lives.
const ENTRIES_MAX: usize = 4096;

/// Where entries go. Clones write into the same diary.
#[derive(Debug, Clone)]
pub struct Diary {
    entries: broadcast::Sender<Entry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The box, named by its place.
    pub place: String,
    pub doing: Doing,
}

/// What a box did or met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    PoweredOn,
    PoweredOff,
    /// It sent its first DISCOVER of this boot.
    Discovering,
    Leased {
        address: Ipv4Addr,
        file: String,
    },
    Refused {
        name: String,
        why: String,
    },
    /// A transfer that it ended itself before its end.
    BrokeOff {
        name: String,
    },
    Downloaded {
        name: String,
        bytes: usize,
    },
    /// It stopped asking; only a power cycle helps.
    GaveUp,
    Applied {
        lost: Option<String>,
    },
    /// It was told to reload; this is the version it boots.
    Reloading {
        version: String,
    },
    /// It took its configuration and stands still; only a power cycle helps.
    Hung,
    DoorOpen {
        at: SocketAddr,
        fingerprint: String,
    },
}

impl Default for Diary {
    fn default() -> Self {
        Self { entries: broadcast::Sender::new(ENTRIES_MAX) }
    }
}

impl Diary {
    pub fn write(&self, place: &str, doing: Doing) {
        // Nobody reading is no fault.
        let _ = self.entries.send(Entry { place: place.to_owned(), doing });
    }

    /// Everything written from now on.
    pub fn read(&self) -> broadcast::Receiver<Entry> {
        self.entries.subscribe()
    }
}

//! Where is what visits remember over restarts? Among the references of the store: the keys of
//! jump hosts that were seen first, so that a restart trusts no other key; and which algorithms
//! worked, so that an old device is not asked for new ones again.

use std::sync::Arc;

use tokio::sync::mpsc::WeakSender;
use tokio::sync::watch;

use crate::probes::ssh::{Shelf, Shelves};
use crate::service::memory::{Change, Commit, Memory, Query};

/// Where the keys stand there; the subject is the way to the jump host.
const HOST_KEYS: &str = "ssh jump host";
/// Where the algorithms stand; the subject is the way to the device or jump host.
const ALGORITHMS: &str = "ssh algorithms";

/// The way to the store for a visit, which may outlast the server: it keeps no store open.
#[derive(Clone)]
struct Visiting {
    commits: WeakSender<Commit>,
    queries: WeakSender<Query>,
    lost: watch::Receiver<Option<String>>,
}

impl Visiting {
    fn memory(&self) -> Result<Memory, String> {
        let senders = self.commits.upgrade().zip(self.queries.upgrade());
        let (commits, queries) = senders.ok_or("the store has stopped")?;
        Ok(Memory { commits, queries, lost: self.lost.clone() })
    }
}

pub fn kept(memory: &Memory) -> Shelves {
    Shelves { host_keys: shelf(memory, HOST_KEYS), algorithms: shelf(memory, ALGORITHMS) }
}

fn shelf(memory: &Memory, outlet: &'static str) -> Shelf {
    let asked = Visiting {
        commits: memory.commits.downgrade(),
        queries: memory.queries.downgrade(),
        lost: memory.lost.clone(),
    };
    let told = asked.clone();
    Shelf {
        known: Arc::new(move |subject| {
            let memory = asked.memory();
            Box::pin(async move {
                let query =
                    |reply| Query::OutletReference { outlet: outlet.to_owned(), subject, reply };
                memory?.ask(query).await.map_err(|refused| refused.to_string())
            })
        }),
        keep: Arc::new(move |subject, reference| {
            let memory = told.memory();
            Box::pin(async move {
                let outlet = outlet.to_owned();
                let change = Change::OutletReference { outlet, subject, reference };
                let stored = memory?.commit(vec![change]).await;
                stored.map(drop).map_err(|refused| refused.to_string())
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_and_the_algorithms_are_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("greenlight.db");
        let way = || "192.0.2.9:22".to_owned();
        let memory = crate::store::open(&path).await.unwrap();
        let before = kept(&memory);
        assert_eq!((before.host_keys.known)(way()).await, Ok(None));
        (before.host_keys.keep)(way(), "SHA256:a".to_owned()).await.unwrap();
        assert_eq!((before.algorithms.known)(way()).await, Ok(None), "each stands for itself");
        (before.algorithms.keep)(way(), "all".to_owned()).await.unwrap();
        (before.algorithms.keep)(way(), "legacy".to_owned()).await.unwrap();
        drop(memory);
        let memory = crate::store::open(&path).await.unwrap();
        let gone = (before.host_keys.known)(way()).await;
        assert_eq!(gone, Err("the store has stopped".to_owned()), "it keeps no store open");
        let after = kept(&memory);
        assert_eq!((after.host_keys.known)(way()).await, Ok(Some("SHA256:a".to_owned())));
        assert_eq!((after.algorithms.known)(way()).await, Ok(Some("legacy".to_owned())));
    }
}

//! Where are the keys of jump hosts that were seen first? Among the references of the store, so
//! that a restart trusts no other key.

use std::sync::Arc;

use tokio::sync::mpsc::WeakSender;
use tokio::sync::watch;

use crate::probes::ssh::HostKeys;
use crate::service::memory::{Change, Commit, Memory, Query};

/// Where they stand there; the subject is the way to the jump host.
const OUTLET: &str = "ssh jump host";

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

pub fn kept(memory: &Memory) -> HostKeys {
    let asked = Visiting {
        commits: memory.commits.downgrade(),
        queries: memory.queries.downgrade(),
        lost: memory.lost.clone(),
    };
    let told = asked.clone();
    HostKeys {
        known: Arc::new(move |subject| {
            let memory = asked.memory();
            Box::pin(async move {
                let query =
                    |reply| Query::OutletReference { outlet: OUTLET.to_owned(), subject, reply };
                memory?.ask(query).await.map_err(|refused| refused.to_string())
            })
        }),
        keep: Arc::new(move |subject, reference| {
            let memory = told.memory();
            Box::pin(async move {
                let outlet = OUTLET.to_owned();
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
    async fn a_key_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("greenlight.db");
        let memory = crate::store::open(&path).await.unwrap();
        let keys = kept(&memory);
        assert_eq!((keys.known)("192.0.2.9:22".to_owned()).await, Ok(None));
        (keys.keep)("192.0.2.9:22".to_owned(), "SHA256:a".to_owned()).await.unwrap();
        drop(memory);
        let memory = crate::store::open(&path).await.unwrap();
        let gone = (keys.known)("192.0.2.9:22".to_owned()).await;
        assert_eq!(gone, Err("the store has stopped".to_owned()), "it keeps no store open");
        let known = (kept(&memory).known)("192.0.2.9:22".to_owned()).await;
        assert_eq!(known, Ok(Some("SHA256:a".to_owned())));
    }
}

//! Where are the keys of jump hosts that were seen first? Among the references of the store, so that
//! a restart trusts no other key.

use std::sync::Arc;

use crate::probes::ssh::HostKeys;
use crate::service::memory::{Change, Memory, Query};

/// Where they stand there; the subject is the way to the jump host.
const OUTLET: &str = "ssh jump host";

pub fn kept(memory: &Memory) -> HostKeys {
    let (asked, told) = (memory.clone(), memory.clone());
    HostKeys {
        known: Arc::new(move |subject| {
            let memory = asked.clone();
            Box::pin(async move {
                let query =
                    |reply| Query::OutletReference { outlet: OUTLET.to_owned(), subject, reply };
                memory.ask(query).await.map_err(|refused| refused.to_string())
            })
        }),
        keep: Arc::new(move |subject, reference| {
            let memory = told.clone();
            Box::pin(async move {
                let outlet = OUTLET.to_owned();
                let change = Change::OutletReference { outlet, subject, reference };
                let stored = memory.commit(vec![change]).await;
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
        drop((keys, memory));
        let memory = crate::store::open(&path).await.unwrap();
        let known = (kept(&memory).known)("192.0.2.9:22".to_owned()).await;
        assert_eq!(known, Ok(Some("SHA256:a".to_owned())));
    }
}

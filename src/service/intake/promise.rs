//! May an address still be promised to anybody?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::receipt::Committed;
use crate::service::memory::Refused;

/// Whether the store takes leases at all. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Promises {
    lost: Arc<AtomicBool>,
}

impl Promises {
    /// False once the store has failed for good: an offer that no lease can follow would keep
    /// clients from a server that works.
    pub fn can(&self) -> bool {
        !self.lost.load(Ordering::Relaxed)
    }

    /// Passes on what became of leases, and heeds it.
    pub fn heed<Stored>(
        &self,
        stored: Stored,
    ) -> impl Future<Output = Result<Committed, Refused>> + Send + use<Stored>
    where
        Stored: Future<Output = Result<Committed, Refused>> + Send,
    {
        let lost = Arc::clone(&self.lost);
        async move {
            let outcome = stored.await;
            if let Err(refused) = &outcome
                && refused.is_for_good()
                && !lost.swap(true, Ordering::Relaxed)
            {
                tracing::error!(%refused, "no address is offered until Greenlight is started anew");
            }
            outcome
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::memory::UNTIL_A_NEW_START;

    #[tokio::test]
    async fn a_store_that_failed_for_good_ends_all_promises_and_a_full_disk_none() {
        let promises = Promises::default();
        let refused = |why: String| async { Err(Refused::Unavailable { why }) };
        assert!(promises.heed(refused("the disk is full".to_owned())).await.is_err());
        assert!(promises.can());
        let lost = format!("the disk could not flush it; {UNTIL_A_NEW_START}");
        assert!(promises.heed(refused(lost)).await.is_err());
        assert!(!promises.can() && !promises.clone().can());
        let stored = async { Ok(Committed::by_the_store(1)) };
        assert!(promises.heed(stored).await.is_ok());
    }
}

//! The proof that something is stored.

/// Handed out by the store after its flush, and by nothing else (`tests/tidy.rs` holds that).
/// Whoever must not speak before the disk has it asks for one of these as an argument:
/// a DHCP reply (RFC 2131 section 3.1, step 4), an answer to a person, an effect.
#[derive(Debug, Clone, Copy)]
pub struct Committed {
    batch: u64,
}

impl Committed {
    /// Called by `store/` alone, once the batch numbered `batch` is on disk.
    pub fn by_the_store(batch: u64) -> Self {
        Self { batch }
    }

    /// The number of the batch, ascending within one life of the process. For logs.
    pub fn batch(&self) -> u64 {
        self.batch
    }
}

//! Which device holds an address, and until when?

use crate::clock::Timestamp;
use crate::service::memory::{Binding, Lease, Lease6};

/// Who holds an address: an expired lease names nobody.
#[derive(Debug, Clone)]
pub struct Holding {
    pub device: String,
    binding: Binding,
}

impl Holding {
    pub fn of(lease: &Lease) -> Option<Self> {
        let device = lease.device.clone()?;
        Some(Self { device, binding: lease.binding() })
    }

    pub fn of6(lease: &Lease6) -> Option<Self> {
        let device = lease.device.clone()?;
        Some(Self { device, binding: lease.binding() })
    }

    pub fn counts(&self, now: Timestamp) -> bool {
        self.binding.until > now
    }

    /// This binding ended: a later one, or somebody else's, goes on.
    pub fn ends_with(&self, ended: &Binding) -> bool {
        ended.covers(&self.binding)
    }
}

//! Where a packet becomes a device: the clues of one asker are joined to the plan, and what was
//! heard becomes an event of the device's run.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::address::Mac;
use crate::domain::inventory::meant::{Device, Position};
use crate::receipt::Committed;
use crate::service::memory::{Lease, Refused};

/// What an asker let us know about itself. Whatever is absent is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clues {
    pub serial: Option<String>,
    pub mac: Option<Mac>,
    pub position: Option<Position>,
    /// The address it asks from.
    pub address: Option<Ipv4Addr>,
    /// The platform that its request looks like, by id.
    pub platform: Option<String>,
}

/// Who an asker is.
#[derive(Debug, Clone)]
pub enum Identity {
    Device(Arc<Device>),
    /// Clues point to different devices: reported, never guessed.
    Conflict {
        detail: String,
    },
    /// Looks like a network device and is not planned.
    Stranger {
        description: String,
    },
    /// Neither planned nor recognised: a laptop. Not answered.
    Nobody,
}

/// The intake. Clones share everything.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<()>,
}

impl Intake {
    /// Joins clues to the plan: serial, then MAC, then position, then the lease that holds the address.
    pub fn identify(&self, clues: &Clues) -> Identity {
        let _ = (&self.inner, clues);
        unreachable!()
    }

    /// A device began to ask by DHCP (DISCOVER). Opens its run, or joins it, and returns at once;
    /// the run is durable later, with the lease.
    pub fn asked(&self, device: &Arc<Device>) {
        let _ = device;
    }

    /// Stores a lease, and with it, in the same commit, the step of the device's run.
    /// The receipt releases the reply.
    pub async fn lease_bound(&self, lease: Lease) -> Result<Committed, Refused> {
        let _ = lease;
        unreachable!()
    }

    /// RELEASE, or DECLINE with the time until which the address must rest.
    pub async fn lease_ended(
        &self,
        address: Ipv4Addr,
        quarantined_until: Option<crate::clock::Timestamp>,
    ) -> Result<Committed, Refused> {
        let _ = (address, quarantined_until);
        unreachable!()
    }

    /// Our DHCP side cannot serve this device (no free address, relay of no known subnet).
    pub fn lease_impossible(&self, device: &Arc<Device>, why: &str) {
        let _ = (device, why);
    }

    /// Somebody unknown, or a conflict: counted and reported once per `key`.
    pub fn stranger(&self, key: &str, description: &str) {
        let _ = (key, description);
    }
}

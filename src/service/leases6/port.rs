//! Are two who ask with the name of one device the same port of it?

use crate::address::Mac;
use crate::domain::inventory::meant::Position;
use crate::service::leases6::Asker;

/// Who asked last for an address, as far as that is known.
#[derive(Debug, Clone, Default)]
pub struct Port {
    pub duid: String,
    /// Which may be that of its DUID, and then the same for all its ports.
    pub mac: Option<Mac>,
    /// As its own link or a relay sees it.
    seen: Option<Mac>,
    wire: Option<Position>,
}

impl Port {
    pub fn of(asker: &Asker) -> Self {
        let Asker { duid, mac, seen, wire, .. } = asker;
        Self { duid: duid.clone(), mac: *mac, seen: *seen, wire: wire.clone() }
    }

    /// After a restart: what the store keeps.
    pub fn kept(duid: String, mac: Option<Mac>) -> Self {
        Self { duid, mac, ..Self::default() }
    }

    /// A binding is that of a DUID and an association (RFC 8415 section 4.2). A boot loader and an
    /// operating system have a DUID each and one hardware address; some make up a new number for
    /// their association at each start, and are told by what is seen on the wire.
    pub fn is_same(&self, association: u32, asker: &Asker, asked: u32) -> bool {
        let one_client = self.duid == asker.duid;
        if one_client && association == asked {
            return true;
        }
        match (self.seen, asker.seen) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => !one_client && self.mac.is_some() && self.mac == asker.mac,
        }
    }

    /// Another box hangs on the wire of this one: it was exchanged. By the plan this circuit is one
    /// device's alone; of other circuits the relay may tell no more than the network. A port that
    /// is planned by its MAC has not gone.
    pub fn gives_way_to(&self, asker: &Asker) -> bool {
        let Some(device) = asker.device.as_ref().filter(|it| it.position.is_some()) else {
            return false;
        };
        let planned = self.mac.is_some_and(|mac| device.macs.contains(&mac));
        self.wire.is_some() && self.wire == asker.wire && !planned
    }

    /// For people: its MAC, or else its DUID.
    pub fn shown(&self) -> String {
        let named = || format!("DUID {}", self.duid);
        self.seen.or(self.mac).map_or_else(named, |mac| mac.to_string())
    }
}

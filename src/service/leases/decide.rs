//! What does the plan, and what do the tables, allow this asker?

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::address::Mac;
use crate::clock::Timestamp;
use crate::config::meant::Pool;
use crate::proto::dhcp4::Ask;
use crate::service::leases::book::{Book, Holding, Note, Owner, PORTS_MAX, Whose};
use crate::service::leases::state::State;
use crate::service::leases::strangers::Via;
use crate::service::leases::{
    Asker, DECLINED_RESTS, Decision, Ended, Grant, OFFER_WAITS, QUARANTINE_LEASE,
};
use crate::service::memory::Lease;

impl Book {
    pub fn decide(&mut self, asker: &Asker, ask: Ask, now: Timestamp) -> Decision {
        self.clear(now);
        self.wake(asker, ask, now);
        let nothing = |why: String| Decision::Nothing { why };
        let shelf = match self.locate(asker, ask) {
            Ok(shelf) => shelf,
            Err(why) => return nothing(why),
        };
        match ask {
            Ask::Discover { wanted } => match self.find(shelf, asker, wanted, now) {
                Ok(address) => Decision::Granted(self.offer(shelf, address, asker, now)),
                Err(why) => match self.other_port(asker, now) {
                    Some(held) => Decision::Occupied { why: format!("{held}; {why}") },
                    None => nothing(why),
                },
            },
            Ask::Selecting { server, .. } if server != self.server => {
                self.withdraw(shelf, asker, now);
                nothing(format!("the client chose server {server}"))
            }
            Ask::Selecting { wanted, .. } => self.bind(shelf, wanted, asker, now),
            Ask::InitReboot { wanted: address } | Ask::Rebinding { held: address } => {
                // RFC 2131 section 4.3.2: who is not known gets no answer, as another server may
                // know it. The plan is our record of a device.
                if asker.device.is_none() && !self.knows(shelf, address, asker, now) {
                    return nothing(format!("nothing is known of {address} and its owner"));
                }
                self.bind(shelf, address, asker, now)
            }
            Ask::Renewing { held } => self.bind(shelf, held, asker, now),
            Ask::Inform { .. } => Decision::Parameters(Arc::clone(&self.shelves[shelf].pool)),
            Ask::Decline { .. } | Ask::Release { .. } => nothing("it ends a lease".to_owned()),
        }
    }

    pub fn end(&mut self, asker: &Asker, ask: Ask, now: Timestamp) -> Option<Ended> {
        let (server, address, declined) = match ask {
            Ask::Decline { server, address } => (server, address, true),
            Ask::Release { server, address } => (server, address, false),
            Ask::Discover { .. }
            | Ask::Selecting { .. }
            | Ask::InitReboot { .. }
            | Ask::Renewing { .. }
            | Ask::Rebinding { .. }
            | Ask::Inform { .. } => return None,
        };
        let holding = self.holding(address)?;
        let until = match holding.state {
            State::Offered { .. } | State::Bound { .. } => holding.state.until(now)?,
            State::Resting { .. } | State::Free => return None,
        };
        let ours = server.is_none_or(|server| server == self.server);
        if !ours || !self.is_same(holding.mac, &holding.owner, asker) {
            return None;
        }
        if declined && !self.is_beside(asker, holding) {
            tracing::debug!(mac = %asker.mac, %address, "a DECLINE from elsewhere is not heeded");
            return None;
        }
        let mac = holding.mac;
        let rests = (now, DECLINED_RESTS);
        let quarantined_until = declined.then(|| match &asker.device {
            Some(device) => self.rests.begin(&device.name, address, rests),
            None => now.plus(DECLINED_RESTS),
        });
        let ended = Ended { address, mac, until, quarantined_until };
        if let Some(until) = quarantined_until {
            self.rest(address, until);
        }
        if quarantined_until.is_none_or(|until| until <= now) {
            self.free(address);
        }
        Some(ended)
    }

    /// True if the asker stands where the address is used. A DECLINE is broadcast on that link
    /// (RFC 2131 section 4.4.4), and one from elsewhere is forged. A relay may speak from an
    /// address that is in no pool; then it is the one by which the address was asked for.
    fn is_beside(&self, asker: &Asker, holding: &Holding) -> bool {
        match self.heard(asker) {
            Some(shelf) => self.shelves[shelf].pool.subnet.contains(&holding.address),
            None => holding.came(Via::of(asker.link.relay)),
        }
    }

    /// Ends the rest of a planned address that its own port still uses, or asks for: then another
    /// one sent the DECLINE, or the conflict is over. Who found somebody else there asks for no
    /// address, and who is wrong finds it again before it uses it (RFC 2131 section 4.4.1).
    fn wake(&mut self, asker: &Asker, ask: Ask, now: Timestamp) {
        let wanted = match ask {
            Ask::Discover { wanted } => wanted,
            Ask::InitReboot { wanted: held } | Ask::Renewing { held } | Ask::Rebinding { held } => {
                Some(held)
            }
            Ask::Selecting { .. }
            | Ask::Inform { .. }
            | Ask::Decline { .. }
            | Ask::Release { .. } => None,
        };
        let planned = asker.device.as_ref().and_then(|device| device.address);
        let Some(address) = planned.filter(|planned| wanted == Some(*planned)) else { return };
        let rests = |holding: &Holding| match holding.state {
            State::Resting { until, .. } => until > now && holding.mac == asker.mac,
            State::Offered { .. } | State::Bound { .. } | State::Free => false,
        };
        if self.holding(address).is_some_and(rests) {
            self.free(address);
        }
    }

    /// The pool of the link that a request came from.
    fn heard(&self, asker: &Asker) -> Option<usize> {
        match asker.link.relay {
            Some(relay) => self.shelf_of(relay),
            None => self.shelf_of(asker.link.local).or_else(|| self.shelf_of(self.server)),
        }
    }

    /// The pool to serve from: that of the address held, of the relay, or of the interface.
    fn locate(&self, asker: &Asker, ask: Ask) -> Result<usize, String> {
        let held = match ask {
            // Unrelayed and to us alone: routed, so the interface says nothing of the subnet.
            Ask::Renewing { held } | Ask::Inform { held } => Some(held),
            Ask::Discover { .. }
            | Ask::Selecting { .. }
            | Ask::InitReboot { .. }
            | Ask::Rebinding { .. }
            | Ask::Decline { .. }
            | Ask::Release { .. } => None,
        };
        if let Some(held) = held {
            return self.shelf_of(held).ok_or_else(|| format!("no pool holds {held}"));
        }
        // A relay may speak from a loopback address that is in no pool. Then the plan says where
        // the device belongs, and the reply finds the relay by routing.
        let planned = || asker.device.as_ref().and_then(|device| self.shelf_of(device.address?));
        self.heard(asker).or_else(planned).ok_or_else(|| match asker.link.relay {
            Some(relay) => format!("no pool holds {relay}, the address of the relay"),
            None => format!("no pool holds {}, where the request was heard", asker.link.local),
        })
    }

    /// The address for a DISCOVER: the planned one; the one it had; the one it wants; the next.
    fn find(
        &mut self,
        shelf: usize,
        asker: &Asker,
        wanted: Option<Ipv4Addr>,
        now: Timestamp,
    ) -> Result<Ipv4Addr, String> {
        if let Some(planned) = self.planned(asker, now) {
            return self.may_have(shelf, planned, asker, now).map(|()| planned);
        }
        let Pool { subnet, range, .. } = &*self.shelves[shelf].pool;
        let Some((first, last)) = *range else {
            return Err(format!("the pool {subnet} serves reservations only"));
        };
        let allowed = |address: &Ipv4Addr| self.may_have(shelf, *address, asker, now).is_ok();
        let had = self.address_of(shelf, asker, now).filter(allowed);
        let found = had.or_else(|| wanted.filter(allowed));
        self.room_for(shelf, had, asker, now)?;
        if let Some(address) = found {
            return Ok(address);
        }
        self.take(shelf, now).ok_or_else(|| format!("no address is free from {first} to {last}"))
    }

    /// The address that is planned for this asker. While another port of the device holds it, a
    /// port is like that of a device without one.
    fn planned(&self, asker: &Asker, now: Timestamp) -> Option<Ipv4Addr> {
        let planned = asker.device.as_ref()?.address?;
        self.port_at(planned, asker, now).is_none().then_some(planned)
    }

    /// The other port of the asking device that holds this address, and until when.
    fn port_at(
        &self,
        address: Ipv4Addr,
        asker: &Asker,
        now: Timestamp,
    ) -> Option<(Mac, Timestamp)> {
        let device = asker.device.as_ref()?;
        let holding = self.holding(address)?;
        let until = match holding.state {
            State::Offered { .. } | State::Bound { .. } => holding.state.until(now)?,
            State::Resting { .. } | State::Free => return None,
        };
        let same = holding.owner.whose() == Whose::Device(&device.name);
        let other = same && holding.mac != asker.mac && !Self::is_in_place_of(holding, asker);
        other.then_some((holding.mac, until))
    }

    /// Another box hangs on the wire of the one that holds this address: it was exchanged. By the
    /// plan this circuit is one device's alone; of other circuits the relay may tell no more than
    /// the network. A port that is planned by its MAC has not gone.
    fn is_in_place_of(holding: &Holding, asker: &Asker) -> bool {
        let Some(device) = asker.device.as_ref().filter(|it| it.position.is_some()) else {
            return false;
        };
        let wire = &asker.relay_information;
        let same_wire = !wire.is_empty() && *holding.relay_information == **wire;
        same_wire && !device.macs.contains(&holding.mac)
    }

    /// Says that another port of the device holds the planned address, if so.
    fn other_port(&self, asker: &Asker, now: Timestamp) -> Option<String> {
        let device = asker.device.as_ref()?;
        let planned = device.address?;
        let (mac, _) = self.port_at(planned, asker, now)?;
        Some(format!("the port {mac} of {} holds its planned address {planned}", device.name))
    }

    /// Says that an address is given to a second port of the device, if so.
    fn beside(&mut self, shelf: usize, lease: &Lease, asker: &Asker, now: Timestamp) -> String {
        let Some(device) = &asker.device else { return String::new() };
        let (mac, address) = (asker.mac, lease.address);
        if let Some(held) = self.other_port(asker, now) {
            return format!("{held}: the port {mac} has {address}");
        }
        let known_at = device.address == Some(address);
        if known_at || self.held_beside(shelf, (&device.name, mac), now) == 0 {
            return String::new();
        }
        format!("another port of {} holds an address: the port {mac} has {address}", device.name)
    }

    /// Says why this asker must not have this address, if so.
    fn may_have(
        &self,
        shelf: usize,
        address: Ipv4Addr,
        asker: &Asker,
        now: Timestamp,
    ) -> Result<(), String> {
        let subnet = self.shelves[shelf].pool.subnet;
        let planned = self.planned(asker, now);
        let name = asker.device.as_ref().map_or("it", |device| device.name.as_str());
        if let Some(planned) = planned.filter(|planned| *planned != address) {
            return Err(format!("{name} is planned at {planned}, not {address}"));
        }
        if !subnet.contains(&address) {
            return Err(match planned {
                Some(_) => {
                    format!("{name} is planned at {address} and asks from the subnet {subnet}")
                }
                None => format!("{address} is not in the subnet {subnet}"),
            });
        }
        if planned.is_none() {
            if let Some((mac, until)) = self.port_at(address, asker, now) {
                return Err(format!("{address} is held by another port, {mac}, until {until}"));
            }
            if let Some(other) = self.inventory.with_address(address) {
                return Err(format!("{address} is reserved for {}", other.name));
            }
            if !self.shelves[shelf].lends(address) || address == self.server {
                return Err(format!("{address} is not among the addresses handed out"));
            }
        }
        let Some(holding) = self.holding(address) else { return Ok(()) };
        match (holding.state, holding.state.until(now)) {
            (_, None) | (State::Free, _) => Ok(()),
            (State::Resting { .. }, Some(until)) => {
                Err(format!("{address} is used by somebody else and rests until {until}"))
            }
            (State::Offered { .. } | State::Bound { .. }, Some(until)) => {
                let exchanged = planned == Some(address) && Self::is_in_place_of(holding, asker);
                if exchanged || self.is_same(holding.mac, &holding.owner, asker) {
                    return Ok(());
                }
                Err(format!("{address} is leased to {} until {until}", holding.mac))
            }
        }
    }

    /// The same owner, and of a device the same port; or the same port, before and after it became
    /// known to the plan.
    fn is_same(&self, mac: Mac, owner: &Owner, asker: &Asker) -> bool {
        match (owner, &asker.device) {
            (Owner::Client(..), Some(_)) | (Owner::Device(_), None) => mac == asker.mac,
            (Owner::Client(..), None) => owner.whose() == Whose::of(asker),
            (Owner::Device(_), Some(_)) => mac == asker.mac && owner.whose() == Whose::of(asker),
        }
    }

    fn knows(&self, shelf: usize, address: Ipv4Addr, asker: &Asker, now: Timestamp) -> bool {
        self.address_of(shelf, asker, now) == Some(address)
    }

    fn offer(&mut self, shelf: usize, address: Ipv4Addr, asker: &Asker, now: Timestamp) -> Grant {
        let mut grant = self.grant(shelf, address, asker, now);
        let waits = now.plus(OFFER_WAITS);
        let bound = self.holding(address).and_then(|holding| match holding.state {
            State::Bound { .. } => holding.state.until(now),
            State::Offered { .. } | State::Resting { .. } | State::Free => None,
        });
        let state = match bound {
            // It boots again while its lease still counts: an offer must not shorten that.
            Some(until) => State::Bound { until: until.max(waits) },
            None => State::Offered { until: waits },
        };
        self.note(shelf, asker, &grant.lease, state);
        grant.beside = self.beside(shelf, &grant.lease, asker, now);
        grant
    }

    fn bind(&mut self, shelf: usize, address: Ipv4Addr, asker: &Asker, now: Timestamp) -> Decision {
        if let Err(why) = self.may_have(shelf, address, asker, now) {
            return Decision::Wrong { why };
        }
        let planned = self.planned(asker, now).is_some();
        let had = self.address_of(shelf, asker, now);
        let instead = had.filter(|had| *had != address && !planned).filter(|had| {
            self.holding(*had).is_some_and(|holding| holding.state.until(now).is_some())
        });
        if let Some(instead) = instead {
            return Decision::Wrong { why: format!("it holds {instead}, not {address}") };
        }
        if let Err(why) = self.room_for(shelf, Some(address), asker, now) {
            return Decision::Wrong { why };
        }
        let mut grant = self.grant(shelf, address, asker, now);
        let state = State::Bound { until: grant.lease.expires };
        self.note(shelf, asker, &grant.lease, state);
        grant.beside = self.beside(shelf, &grant.lease, asker, now);
        Decision::Granted(grant)
    }

    /// Says why this asker gets no further address, if it does not hold `address` at this time and
    /// is a stranger, or a device with many ports that hold one.
    fn room_for(
        &mut self,
        shelf: usize,
        address: Option<Ipv4Addr>,
        asker: &Asker,
        now: Timestamp,
    ) -> Result<(), String> {
        let holds = address.and_then(|address| self.holding(address)).is_some_and(|holding| {
            holding.state.until(now).is_some() && holding.owner.whose() == Whose::of(asker)
        });
        if let Some(device) = &asker.device {
            let ports = self.held_beside(shelf, (&device.name, asker.mac), now);
            return match ports {
                _ if device.address.is_some() && device.address == address => Ok(()),
                PORTS_MAX.. => {
                    Err(format!("{ports} other ports of {} hold addresses", device.name))
                }
                _ => Ok(()),
            };
        }
        if holds {
            return Ok(());
        }
        self.strangers.room(shelf, Via::of(asker.link.relay))
    }

    fn grant(&self, shelf: usize, address: Ipv4Addr, asker: &Asker, now: Timestamp) -> Grant {
        let span = match asker.device {
            Some(_) => asker.lease_at_least.map_or(self.lease, |least| self.lease.max(least)),
            None => QUARANTINE_LEASE,
        };
        let kept = self
            .holding(address)
            .filter(|holding| self.is_same(holding.mac, &holding.owner, asker))
            .map(|holding| holding.relay_information.to_string());
        // RFC 2131 section 4.3.2: a unicast renewal passes no relay, so it brings no option 82.
        let relay_information = match asker.relay_information.as_str() {
            "" => kept.unwrap_or_default(),
            fresh => fresh.to_owned(),
        };
        let lease = Lease {
            address,
            mac: asker.mac,
            client_id: asker.client_id.clone(),
            device: asker.device.as_ref().map(|device| device.name.clone()),
            relay_information,
            granted: now,
            expires: now.plus(span),
        };
        let pool = Arc::clone(&self.shelves[shelf].pool);
        Grant { lease, pool, beside: String::new() }
    }

    fn note(&mut self, shelf: usize, asker: &Asker, lease: &Lease, state: State) {
        let note = Note {
            whose: Whose::of(asker),
            mac: asker.mac,
            state,
            relay_information: &lease.relay_information,
            via: Via::of(asker.link.relay),
        };
        self.write(shelf, lease.address, note);
    }

    /// Another server was chosen: what we offered is free at once.
    fn withdraw(&mut self, shelf: usize, asker: &Asker, now: Timestamp) {
        let Some(address) = self.address_of(shelf, asker, now) else { return };
        let offered = self.holding(address).is_some_and(|holding| match holding.state {
            State::Offered { .. } => true,
            State::Bound { .. } | State::Resting { .. } | State::Free => false,
        });
        if offered {
            self.free(address);
        }
    }
}

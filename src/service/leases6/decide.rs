//! What does the plan, and what do the tables, allow this asker?

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::proto::dhcp6::Ask;
use crate::proto::dhcp6::answer::{Decided, Given, Outcome};
use crate::proto::dhcp6::ask::Wish;
use crate::proto::dhcp6::association::Association;
use crate::service::leases::strangers::Via;
use crate::service::leases::{DECLINED_RESTS, OFFER_WAITS, QUARANTINE_LEASE};
use crate::service::leases6::book::{Book, Holder, Holding, Note, Owner, State};
use crate::service::leases6::port::Port;
use crate::service::leases6::{Asker, Bound, Decision, Ended, EndedAddress, Lifetimes};
use crate::service::memory::Lease6;

/// One message on its way through the tables.
struct Round<'a> {
    asker: &'a Asker,
    /// Every pool whose subnet lies on the client's link, the one to give from first.
    link: Vec<usize>,
    now: Timestamp,
    /// The association that is looked at.
    iaid: u32,
    /// False for what is only advertised.
    commit: bool,
    /// What an earlier association of this message was given.
    taken: Vec<Ipv6Addr>,
    leases: Vec<Lease6>,
}

impl Round<'_> {
    fn shelf(&self) -> usize {
        self.link[0]
    }

    fn name(&self) -> &str {
        self.asker.device.as_ref().map_or("it", |device| device.name.as_str())
    }

    /// The address that is planned for the device, for whichever of its ports.
    fn reserved(&self) -> Option<Ipv6Addr> {
        self.asker.device.as_ref().and_then(|device| device.address6)
    }

    fn owner(&self) -> Owner {
        Owner { holder: Holder::of(self.asker), iaid: self.iaid }
    }
}

type Rule = fn(&mut Book, &mut Round<'_>, &Association) -> Outcome;

impl Book {
    pub fn decide(&mut self, asker: &Asker, ask: &Ask, now: Timestamp) -> Decision {
        self.clear(now);
        self.wake(asker, ask, now);
        let link = match self.link(asker) {
            Ok(link) => link,
            Err(why) => return Decision::Nothing { why },
        };
        let round = |commit| Round {
            asker,
            link: link.clone(),
            now,
            iaid: 0,
            commit,
            taken: Vec::new(),
            leases: Vec::new(),
        };
        match ask {
            Ask::Solicit { wish, rapid } => {
                self.each(round(*rapid && self.rapid_commit), wish, Self::assign)
            }
            Ask::Request(wish) => self.each(round(true), wish, Self::request),
            Ask::Renew(wish) | Ask::Rebind(wish) => self.each(round(true), wish, Self::extend),
            Ask::Confirm(wish) => self.confirm(&link, wish),
            Ask::Information { .. } => {
                Decision::Parameters(Arc::clone(&self.shelves[link[0]].pool))
            }
            Ask::Release(_) | Ask::Decline(_) | Ask::ByUnicast { .. } => {
                Decision::Nothing { why: "nothing is to be decided about it".to_owned() }
            }
        }
    }

    pub fn end(&mut self, asker: &Asker, ask: &Ask, now: Timestamp) -> Ended {
        let (wish, declined) = match ask {
            Ask::Release(wish) => (wish, false),
            Ask::Decline(wish) => (wish, true),
            Ask::Solicit { .. }
            | Ask::Request(_)
            | Ask::Confirm(_)
            | Ask::Renew(_)
            | Ask::Rebind(_)
            | Ask::Information { .. }
            | Ask::ByUnicast { .. } => return Ended::default(),
        };
        let mut ended = Ended::default();
        for association in &wish.associations {
            let mut any = false;
            for address in &association.addresses {
                let its = |holding: &&Holding| {
                    is_same(holding, asker, association.iaid)
                        && (!declined || self.is_beside(asker, (*address, holding)))
                };
                let holding = self.holding(*address).filter(its);
                let Some(binding) = holding.and_then(|holding| holding.binding(now)) else {
                    continue;
                };
                any = true;
                let quarantined_until = declined.then(|| self.begin_rest(asker, *address, now));
                if quarantined_until.is_none_or(|until| until <= now) {
                    self.free(*address);
                }
                let address = *address;
                ended.addresses.push(EndedAddress { address, binding, quarantined_until });
            }
            if any {
                ended.iaids.push(association.iaid);
            }
        }
        ended
    }

    /// When the rest of an address ends that was declined: at once if its device declined too many.
    fn begin_rest(&mut self, asker: &Asker, address: Ipv6Addr, now: Timestamp) -> Timestamp {
        let until = match &asker.device {
            Some(device) => self.rests.begin(&device.name, address, (now, DECLINED_RESTS)),
            None => now.plus(DECLINED_RESTS),
        };
        self.rest(address, until);
        until
    }

    /// True if the asker stands where the address is used: a Decline from elsewhere is forged. A
    /// relay may speak from an address that is in no pool; then it is the one by which the address
    /// was asked for.
    fn is_beside(&self, asker: &Asker, (address, holding): (Ipv6Addr, &Holding)) -> bool {
        match &*self.heard(asker) {
            [] => holding.came(Via::of(asker.link.relay)),
            link => self.is_on(link, address),
        }
    }

    /// Ends the rest of a planned address that its own port still uses, or asks for: then another
    /// one sent the Decline, or the conflict is over. Who is wrong finds it again before it uses
    /// the address (RFC 8415 section 18.2.10.1).
    fn wake(&mut self, asker: &Asker, ask: &Ask, now: Timestamp) {
        let (Ask::Solicit { wish, .. } | Ask::Renew(wish) | Ask::Rebind(wish)) = ask else {
            return;
        };
        let Some(planned) = asker.device.as_ref().and_then(|device| device.address6) else {
            return;
        };
        let rests = |holding: &Holding| match holding.state {
            State::Resting { until, .. } => until > now,
            State::Offered { .. } | State::Bound { .. } | State::Free => false,
        };
        let wanted = wish.associations.iter().any(|it| it.addresses.contains(&planned));
        let its = |holding: &Holding| rests(holding) && holding.port.duid == asker.duid;
        if wanted && self.holding(planned).is_some_and(its) {
            self.free(planned);
        }
    }

    /// The pools of the client's link: by the relay's word, or by our addresses on the interface
    /// that heard it (RFC 8415 section 13.1).
    fn heard(&self, asker: &Asker) -> Vec<usize> {
        match asker.link.relay {
            Some(relay) => self.shelf_of(relay).into_iter().collect(),
            // Without a routed address of ours the link says nothing; then our own address does.
            None if asker.link.local.is_empty() => self.shelf_of(self.server).into_iter().collect(),
            None => asker.link.local.iter().filter_map(|local| self.shelf_of(*local)).collect(),
        }
    }

    /// The pools to serve from: those of the client's link, or what the plan says.
    fn link(&self, asker: &Asker) -> Result<Vec<usize>, String> {
        let mut link = self.heard(asker);
        let planned = asker.device.as_ref().and_then(|device| self.shelf_of(device.address6?));
        if link.is_empty() {
            // A relay may speak from an address that is in no pool. Then the plan says where the
            // device belongs, and the reply finds the relay by routing.
            link.extend(planned);
        }
        // Several subnets may share a link: that of the plan counts, then one with a range.
        link.sort_by_key(|shelf| {
            (planned != Some(*shelf), self.shelves[*shelf].pool.range.is_none(), *shelf)
        });
        link.dedup();
        if link.is_empty() {
            return Err(match asker.link.relay {
                Some(relay) => format!("no pool holds {relay}, the link that the relay names"),
                None => "no pool holds an address of the interface that heard it".to_owned(),
            });
        }
        Ok(link)
    }

    fn each(&mut self, mut round: Round<'_>, wish: &Wish, rule: Rule) -> Decision {
        let mut decided = Vec::with_capacity(wish.associations.len());
        for association in &wish.associations {
            round.iaid = association.iaid;
            let outcome = rule(self, &mut round, association);
            decided.push(Decided { iaid: association.iaid, outcome });
        }
        let pool = Arc::clone(&self.shelves[round.shelf()].pool);
        let beside = self.other_port(&round);
        Decision::Bound(Bound { decided, leases: round.leases, pool, beside })
    }

    /// Says that another port of the device holds the planned address, if so.
    fn other_port(&self, round: &Round<'_>) -> Option<String> {
        let planned = round.reserved().filter(|planned| !round.taken.contains(planned))?;
        let port = self.port_at(round, planned)?.port.shown();
        Some(format!("the port {port} of {} holds its planned address {planned}", round.name()))
    }

    /// What is known of an address while another port of the asking device holds it.
    fn port_at(&self, round: &Round<'_>, address: Ipv6Addr) -> Option<&Holding> {
        let (asker, device) = (round.asker, round.asker.device.as_ref()?);
        self.holding(address).filter(|holding| {
            matches!(&holding.owner.holder, Holder::Device(name) if *name == device.name)
                && holding.state.is_held(round.now)
                && !is_same(holding, asker, round.iaid)
                && !holding.port.gives_way_to(asker)
        })
    }

    /// The address that is planned for this asker. While another port of the device holds it, a
    /// port is like that of a device without one.
    fn planned(&self, round: &Round<'_>) -> Option<Ipv6Addr> {
        let free = |planned: &Ipv6Addr| {
            !round.taken.contains(planned) && self.port_at(round, *planned).is_none()
        };
        round.reserved().filter(free)
    }

    /// The address that an association had and may have again. A device's other DUID of the same
    /// port has what that had, and a new port what no port holds any more.
    fn had(&self, round: &Round<'_>) -> Option<Ipv6Addr> {
        let asker = round.asker;
        let holder = Holder::of(asker);
        let known = || {
            let known = self.known_of(round.shelf(), &holder);
            known.filter(|(address, _)| self.may_have(round, *address).is_ok())
        };
        let own = |(_, known): &(Ipv6Addr, &Holding)| {
            known.owner.iaid == round.iaid && known.port.duid == asker.duid
        };
        let another_duid_s = |(_, known): &(Ipv6Addr, &Holding)| {
            known.port.duid != asker.duid && is_same(known, asker, round.iaid)
        };
        let left = |(_, known): &(Ipv6Addr, &Holding)| !known.state.is_held(round.now);
        let mut found = known().find(own);
        if asker.device.is_some() {
            found = found.or_else(|| known().find(another_duid_s)).or_else(|| known().find(left));
        }
        found.map(|(address, _)| address)
    }

    /// RFC 8415 sections 18.3.1 and 18.3.2: an address, whatever the client hopes for.
    fn assign(&mut self, round: &mut Round<'_>, association: &Association) -> Outcome {
        match self.find(round, association) {
            Ok(address) => self.give(round, address),
            Err(why) => Outcome::NoAddress { why },
        }
    }

    fn request(&mut self, round: &mut Round<'_>, association: &Association) -> Outcome {
        match self.off_link(round, association) {
            Some(why) => Outcome::NotOnLink { why },
            None => self.assign(round, association),
        }
    }

    /// RFC 8415 sections 18.3.4 and 18.3.5. The plan is our record of a device: it is given an
    /// address even if its binding is forgotten.
    fn extend(&mut self, round: &mut Round<'_>, association: &Association) -> Outcome {
        if let Some(why) = self.off_link(round, association) {
            return Outcome::NotOnLink { why };
        }
        if round.asker.device.is_some() {
            return match self.find(round, association) {
                Ok(address) => self.give(round, address),
                Err(why) => Outcome::NoBinding { why },
            };
        }
        let known = |address: &&Ipv6Addr| {
            self.holding(**address).is_some_and(|holding| is_same(holding, round.asker, round.iaid))
                && self.may_have(round, **address).is_ok()
        };
        let Some(address) = association.addresses.iter().find(known).copied() else {
            let why = "nothing is known of these addresses and their owner".to_owned();
            return Outcome::NoBinding { why };
        };
        let shelf = self.shelf_of(address).unwrap_or(round.shelf());
        match self.room_for(round, shelf, Some(address)) {
            Ok(()) => self.give(round, address),
            Err(why) => Outcome::NoBinding { why },
        }
    }

    fn off_link(&self, round: &Round<'_>, association: &Association) -> Option<String> {
        let elsewhere =
            |address: &&Ipv6Addr| !address.is_unspecified() && !self.is_on(&round.link, **address);
        let address = association.addresses.iter().find(elsewhere)?;
        let subnet = self.shelves[round.shelf()].pool.subnet;
        Some(format!("{address} is not in the subnet {subnet}"))
    }

    fn is_on(&self, link: &[usize], address: Ipv6Addr) -> bool {
        link.iter().any(|shelf| self.shelves[*shelf].pool.subnet.contains(&address))
    }

    /// RFC 8415 section 18.3.3: the subnets count, not the bindings. Temporary addresses are never
    /// ours: one of a subnet that we do not know cannot be judged, and then nothing is said.
    fn confirm(&self, link: &[usize], wish: &Wish) -> Decision {
        let all = |held: &'_ [Association]| {
            held.iter().flat_map(|held| held.addresses.clone()).collect::<Vec<Ipv6Addr>>()
        };
        let elsewhere = |address: &&Ipv6Addr| !self.is_on(link, **address);
        let (lasting, temporary) = (all(&wish.associations), all(&wish.temporary));
        let known = |address: &&Ipv6Addr| self.shelf_of(**address).is_some();
        let wrong = lasting.iter().find(elsewhere);
        let wrong = wrong.or_else(|| temporary.iter().filter(elsewhere).find(known));
        if let Some(address) = wrong {
            let subnet = self.shelves[link[0]].pool.subnet;
            return Decision::NotOnLink { why: format!("{address} is not in the subnet {subnet}") };
        }
        match temporary.iter().find(elsewhere) {
            Some(address) => {
                let why = format!("no pool holds {address}, a temporary address to be confirmed");
                Decision::Nothing { why }
            }
            None => Decision::OnLink(Arc::clone(&self.shelves[link[0]].pool)),
        }
    }

    /// The planned address; the one it had; one that it wants and may choose; the next.
    fn find(&mut self, round: &Round<'_>, association: &Association) -> Result<Ipv6Addr, String> {
        if let Some(planned) = self.planned(round) {
            return self.may_have(round, planned).map(|()| planned);
        }
        let shelf = round.shelf();
        let allowed = |address: &Ipv6Addr| self.may_have(round, *address).is_ok();
        let had = self.had(round);
        // A stranger finds what it held and chooses nothing: each address that was ever used is
        // remembered, and a made-up client must not fill the memory with made-up addresses.
        let known = |address: &Ipv6Addr| {
            let its = |holding: &Holding| is_same(holding, round.asker, round.iaid);
            round.asker.device.is_some() || self.holding(*address).is_some_and(its)
        };
        let wanted = association.addresses.iter().copied().find(|a| known(a) && allowed(a));
        self.room_for(round, shelf, had)?;
        if let Some(address) = had {
            return Ok(address);
        }
        if let Some(address) = wanted {
            return Ok(address);
        }
        let pool = Arc::clone(&self.shelves[shelf].pool);
        let none = || match pool.range {
            Some((first, last)) => format!("no address is free from {first} to {last}"),
            None => format!("the pool {} serves reservations only", pool.subnet),
        };
        self.take(shelf, round.now).ok_or_else(none)
    }

    /// Says why this asker gets no further address, if it does not hold `address` at this time.
    fn room_for(
        &mut self,
        round: &Round<'_>,
        shelf: usize,
        address: Option<Ipv6Addr>,
    ) -> Result<(), String> {
        let its = |holding: &Holding| {
            holding.state.is_held(round.now) && is_same(holding, round.asker, round.iaid)
        };
        if address.and_then(|address| self.holding(address)).is_some_and(its) {
            return Ok(());
        }
        let stranger = round.asker.device.is_none();
        // A pool without a range has nothing for them, and says so itself.
        if stranger && self.shelves[shelf].pool.range.is_some() {
            self.strangers.room(shelf, Via::of(round.asker.link.relay))?;
        }
        if self.held_by(&Holder::of(round.asker)) >= self.addresses_max {
            let most = self.addresses_max;
            return Err(format!("{} holds {most} addresses already (addresses_max)", round.name()));
        }
        Ok(())
    }

    /// Says why this asker must not have this address, if so.
    fn may_have(&self, round: &Round<'_>, address: Ipv6Addr) -> Result<(), String> {
        let name = round.name();
        let planned = self.planned(round);
        if let Some(planned) = planned.filter(|planned| *planned != address) {
            return Err(format!("{name} is planned at {planned}, not {address}"));
        }
        if round.taken.contains(&address) {
            return Err(format!("another interface of {name} has {address}"));
        }
        let on = |shelf: &&usize| self.shelves[**shelf].pool.subnet.contains(&address);
        let Some(shelf) = round.link.iter().find(on) else {
            let subnet = self.shelves[round.shelf()].pool.subnet;
            return Err(match planned {
                Some(_) => {
                    format!("{name} is planned at {address} and asks from the subnet {subnet}")
                }
                None => format!("{address} is not in the subnet {subnet}"),
            });
        };
        if planned.is_none() {
            if let Some(held) = self.port_at(round, address) {
                return Err(format!("{address} is held by another port, {}", held.port.shown()));
            }
            if let Some(other) = self.inventory.with_address6(address) {
                return Err(format!("{address} is reserved for {}", other.name));
            }
            if !self.shelves[*shelf].lends(address) || address == self.server {
                return Err(format!("{address} is not among the addresses handed out"));
            }
        }
        let Some(holding) = self.holding(address) else { return Ok(()) };
        match (holding.state, holding.state.until(round.now)) {
            (_, None) | (State::Free, _) => Ok(()),
            (State::Resting { .. }, Some(until)) => {
                Err(format!("{address} is used by somebody else and rests until {until}"))
            }
            (State::Offered { .. } | State::Bound { .. }, Some(until)) => {
                let exchanged = planned == Some(address) && holding.port.gives_way_to(round.asker);
                if exchanged || is_same(holding, round.asker, round.iaid) {
                    return Ok(());
                }
                Err(format!("{address} is leased to the DUID {} until {until}", holding.port.duid))
            }
        }
    }

    /// Writes the binding, or for what is only advertised the offer.
    fn give(&mut self, round: &mut Round<'_>, address: Ipv6Addr) -> Outcome {
        let (asker, now, iaid) = (round.asker, round.now, round.iaid);
        let lifetimes = match &asker.device {
            Some(_) => self.lifetimes,
            None => Lifetimes { preferred: QUARANTINE_LEASE, valid: QUARANTINE_LEASE },
        };
        let expires = now.plus(lifetimes.valid);
        let state = match round.commit {
            true => State::Bound { until: expires },
            false => self.offered(address, now, OFFER_WAITS),
        };
        let shelf = self.shelf_of(address).unwrap_or(round.shelf());
        let via = Via::of(asker.link.relay);
        let note = Note { owner: round.owner(), port: Port::of(asker), state, via };
        self.write(shelf, address, note);
        round.taken.push(address);
        if round.commit {
            round.leases.push(Lease6 {
                address,
                duid: asker.duid.clone(),
                iaid,
                mac: asker.mac,
                device: asker.device.as_ref().map(|device| device.name.clone()),
                granted: now,
                expires,
            });
        }
        let preferred_until = now.plus(lifetimes.preferred);
        Outcome::Given(Given { address, preferred_until, expires })
    }

    /// It may boot again while its lease still counts: an offer must not shorten that.
    fn offered(&self, address: Ipv6Addr, now: Timestamp, waits: Duration) -> State {
        let waits = now.plus(waits);
        let bound = self.holding(address).and_then(|holding| match holding.state {
            State::Bound { .. } => holding.state.until(now),
            State::Offered { .. } | State::Resting { .. } | State::Free => None,
        });
        match bound {
            Some(until) => State::Bound { until: until.max(waits) },
            None => State::Offered { until: waits },
        }
    }
}

/// The same DUID, whichever of its associations; of a device the same port.
fn is_same(holding: &Holding, asker: &Asker, iaid: u32) -> bool {
    match (&holding.owner.holder, &asker.device) {
        (Holder::Client(_), Some(_)) | (Holder::Device(_), None) => holding.port.duid == asker.duid,
        (Holder::Client(duid), None) => *duid == asker.duid,
        (Holder::Device(name), Some(device)) => {
            *name == device.name && holding.port.is_same(holding.owner.iaid, asker, iaid)
        }
    }
}

//! Where a packet becomes a device: the clues of one asker are joined to the plan, and what was
//! heard becomes an event of the device's run.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dashmap::DashMap;
use moka::sync::Cache;

use crate::address::Mac;
use crate::clock::{Clock, Timestamp};
use crate::domain::inventory::meant::{Device, Position};
use crate::domain::run::Event;
use crate::receipt::Committed;
use crate::service::leases::Ended;
use crate::service::leases6::EndedAddress;
use crate::service::memory::{Binding, Change, Lease, Lease6, Refused};
use crate::service::plan::{InForce, Plan};
use crate::service::runner::{Input, Opening, Runs};

mod asking;
mod holding;
mod joining;
mod promise;

pub use joining::{joined, unplanned};

use asking::Asking;
use holding::Holding;
use promise::Promises;

/// Strangers written down within a minute of each other are one sighting. The number bounds memory
/// against a flood of invented addresses.
const STRANGERS_MAX: u64 = 10_000;
const STRANGER_AGAIN: Duration = Duration::from_secs(60);
/// Link-local addresses remembered: those of a few links that a server stands on itself.
const NEIGHBOURS_MAX: usize = 10_000;

/// Strangers written down, and told to people, in a minute. A site that nobody planned has some
/// hundred devices; more than these at once is a flood of invented addresses, and nobody reads ten
/// thousand messages.
const STRANGERS_A_MINUTE: u32 = 300;

/// What an asker let us know about itself. Whatever is absent is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clues {
    pub serial: Option<String>,
    pub mac: Option<Mac>,
    pub position: Option<Position>,
    /// The address it asks from.
    pub address: Option<IpAddr>,
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

/// A client's own link-local address, and the number of our interface it is heard on: the same
/// address may be on every link (RFC 4291 section 2.5.6).
pub type Neighbour = (Ipv6Addr, u32);

/// Somebody who cannot be served, as people are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The same for the same asker: its MAC.
    pub key: String,
    /// Two claims for one device, instead of a device that nobody planned.
    pub conflict: bool,
    pub description: String,
    pub serial: Option<String>,
    /// The port it is plugged into, where a relay tells it.
    pub port: Option<String>,
}

/// Makes the rows that tell people of a sighting. The key of each row keeps it to one message.
pub type Report = Arc<dyn Fn(&Sighting, Timestamp) -> Vec<Change> + Send + Sync>;

/// What became of an address.
#[derive(Debug)]
pub enum Moved {
    Bound(Lease),
    /// Beside another address of its device, in words: the run keeps to that one.
    Beside(Lease, String),
    /// By its device, if it was one's.
    Ended(Ended, Option<Arc<Device>>),
}

/// The intake. Clones share everything.
#[derive(Clone)]
pub struct Intake {
    plan: InForce,
    runs: Runs,
    clock: Clock,
    report: Report,
    /// Which device holds which address. A hint that is rebuilt from the leases at every start.
    addresses: Arc<DashMap<IpAddr, Holding>>,
    /// Which device asks from which link-local address, while its lease counts, and the address of
    /// that lease.
    neighbours: Arc<DashMap<Neighbour, (Holding, Ipv6Addr)>>,
    strangers: Cache<String, ()>,
    /// What was odd about devices lately.
    oddities: Cache<String, ()>,
    minute: Arc<Mutex<Minute>>,
    asking: Arc<Mutex<Asking>>,
    promises: Promises,
}

/// The strangers of one minute.
#[derive(Debug, Default)]
struct Minute {
    since: Timestamp,
    noted: u32,
    left_out: u32,
}

impl Intake {
    /// `report` makes the rows that tell people of a sighting.
    pub fn new(plan: InForce, runs: Runs, clock: Clock, leases: &[Lease], report: Report) -> Self {
        let addresses = DashMap::new();
        for lease in leases {
            if let Some(holding) = Holding::of(lease) {
                addresses.insert(IpAddr::V4(lease.address), holding);
            }
        }
        let [strangers, oddities] = [(); 2].map(|()| {
            Cache::builder().max_capacity(STRANGERS_MAX).time_to_live(STRANGER_AGAIN).build()
        });
        let (addresses, neighbours) = (Arc::new(addresses), Arc::new(DashMap::new()));
        let (minute, asking) = (Arc::default(), Arc::default());
        Self {
            plan,
            runs,
            clock,
            report,
            addresses,
            neighbours,
            strangers,
            oddities,
            minute,
            asking,
            promises: Promises::default(),
        }
    }

    /// Joins clues to the plan: serial, then MAC, then position, then the lease that holds the
    /// address.
    pub fn identify(&self, clues: &Clues) -> Identity {
        if let Some(found) = joined(&self.plan.get().inventory, clues) {
            return found;
        }
        if let Some(device) = clues.address.and_then(|address| self.holder(address)) {
            return Identity::Device(device);
        }
        unplanned(clues)
    }

    /// The device that holds this address: by lease, or by reservation while nobody leases it.
    pub fn holder(&self, address: IpAddr) -> Option<Arc<Device>> {
        let plan = self.plan.get();
        let now = self.clock.now();
        let leased = self.addresses.get(&address).map(|holding| holding.clone());
        match leased.filter(|holding| holding.counts(now)) {
            Some(holding) => plan.inventory.device(&holding.device).cloned(),
            None => match address {
                IpAddr::V4(address) => plan.inventory.with_address(address).cloned(),
                IpAddr::V6(address) => plan.inventory.with_address6(address).cloned(),
            },
        }
    }

    /// The device that a server hears at `peer`, and the address by which others reach it: another
    /// one for a link-local peer, who is known by the lease it asked for from there.
    pub fn heard_at(&self, peer: SocketAddr) -> Option<(Arc<Device>, IpAddr)> {
        let link_local = match peer {
            SocketAddr::V6(peer) if peer.ip().is_unicast_link_local() => peer,
            SocketAddr::V4(_) | SocketAddr::V6(_) => {
                return self.holder(peer.ip()).map(|device| (device, peer.ip()));
            }
        };
        let key = (*link_local.ip(), link_local.scope_id());
        let (holding, leased) = self.neighbours.get(&key).map(|known| known.clone())?;
        if !holding.counts(self.clock.now()) {
            return None;
        }
        let device = self.plan.get().inventory.device(&holding.device).cloned()?;
        Some((device, IpAddr::V6(leased)))
    }

    /// Takes over the DHCPv6 leases that the store remembers, at start.
    pub fn remember6(&self, leases: &[Lease6]) {
        for lease in leases {
            if let Some(holding) = Holding::of6(lease) {
                self.addresses.insert(IpAddr::V6(lease.address), holding);
            }
        }
    }

    /// A device began to ask by DHCP (DISCOVER). Returns at once: its run opens, or is joined, with
    /// its lease, or by [`Self::asked_alone`] if there is none within a second.
    pub fn asked(&self, device: &Arc<Device>) {
        if device.managed {
            self.asking().begins(&device.name, self.clock.instant());
        }
    }

    /// True while somebody asked whose lease is still to come.
    pub fn somebody_asks(&self) -> bool {
        !self.asking().is_empty()
    }

    /// Tells the runs of devices that asked more than a second ago and have no lease. To be called
    /// once in a while as long as somebody asks, and with `all` at the end.
    pub fn asked_alone(&self, all: bool) {
        let now = self.clock.instant();
        let moment = if all { Some(now) } else { now.checked_sub(asking::WAITS) };
        let alone = moment.map(|moment| self.asking().before(moment)).unwrap_or_default();
        for device in alone {
            self.runs.try_send(Input::event(&device, Event::Asked, Opening::Unproven));
        }
    }

    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().expect("nobody panics while looking who asks")
    }

    /// The step from asking to a lease, which may be one with the step before it.
    fn leased(&self, device: &Device, address: IpAddr) -> Input {
        let event = match self.asking().ends(&device.name) {
            true => Event::Exchanged { address },
            false => Event::LeaseBound { address },
        };
        Input::event(&device.name, event, Opening::Unproven)
    }

    /// False once the store has failed for good: then nothing is to be offered.
    pub fn can_promise(&self) -> bool {
        self.promises.can()
    }

    /// True if the plan knows this hardware address: the cheapest thing to ask about a packet.
    pub fn plans(&self, mac: Mac) -> bool {
        self.plan.get().inventory.with_mac(mac).is_some()
    }

    /// Brings what became of addresses to the store, in the order in which it was decided, and
    /// with each lease the step of its device's run: all in one commit. What is brought later is
    /// stored later, whenever the receipt is awaited. The receipt releases the replies.
    pub fn leases_moved(
        &self,
        moves: Vec<Moved>,
    ) -> impl Future<Output = Result<Committed, Refused>> + Send + use<> {
        let plan = self.plan.get();
        // Who holds what is a hint: it follows the decisions, as those who ask for files do.
        for moved in &moves {
            match moved {
                Moved::Bound(lease) | Moved::Beside(lease, _) => {
                    self.remember_holding(lease.address.into(), Holding::of(lease));
                }
                Moved::Ended(ended, _) => {
                    self.forget_holding(ended.address.into(), &ended.binding())
                }
            }
        }
        let bound = |lease: Lease, step: Option<Input>| {
            let mut input = step.unwrap_or_else(|| Input::changes(Vec::with_capacity(1)));
            input.changes.push(Change::Lease(lease));
            input
        };
        let input = |moved: Moved| match moved {
            Moved::Bound(lease) => {
                let step = self.step_of(&plan, &lease);
                bound(lease, step)
            }
            Moved::Beside(lease, what) => {
                let step = self.step_beside(&plan, &lease, what);
                bound(lease, step)
            }
            Moved::Ended(it, device) => {
                let (address, binding) = (it.address.into(), it.binding());
                let quarantined_until = it.quarantined_until;
                let change = Change::LeaseEnded { address, binding, quarantined_until };
                ended(vec![change], device.as_deref())
            }
        };
        self.promises.heed(self.runs.bring(moves.into_iter().map(input).collect()))
    }

    /// Stores one lease. See [`Self::leases_moved`].
    pub async fn lease_bound(&self, lease: Lease) -> Result<Committed, Refused> {
        self.leases_moved(vec![Moved::Bound(lease)]).await
    }

    /// What the run of a managed device hears of its lease.
    fn step_of(&self, plan: &Plan, lease: &Lease) -> Option<Input> {
        let device = plan.inventory.device(lease.device.as_deref()?)?;
        device.managed.then(|| self.leased(device, lease.address.into()))
    }

    fn step_beside(&self, plan: &Plan, lease: &Lease, what: String) -> Option<Input> {
        let device = plan.inventory.device(lease.device.as_deref()?)?;
        self.asking().ends(&device.name);
        let event = Event::AskedOddly { what, address: Some(lease.address.into()) };
        device.managed.then(|| Input::event(&device.name, event, Opening::Unproven))
    }

    fn remember_holding(&self, address: IpAddr, holding: Option<Holding>) {
        match holding {
            Some(holding) => drop(self.addresses.insert(address, holding)),
            None => drop(self.addresses.remove(&address)),
        }
    }

    /// Who holds it by now keeps it, whatever of an earlier binding comes late.
    fn forget_holding(&self, address: IpAddr, ended: &Binding) {
        self.addresses.remove_if(&address, |_, holding| holding.ends_with(ended));
    }

    /// Brings the DHCPv6 leases of one message, which are of one device, to the store, and with
    /// them, in the same commit, the step of its run. `neighbour` is where a client without a relay
    /// asks from. What is brought later is stored later. The receipt releases the Reply.
    pub fn leases6_bound(
        &self,
        leases: Vec<Lease6>,
        neighbour: Option<Neighbour>,
    ) -> impl Future<Output = Result<Committed, Refused>> + Send + use<> {
        let step = self.managed_of(&leases).map(|(device, address)| self.leased(&device, address));
        self.bring6(leases, neighbour, step)
    }

    /// The same for a port of a device while another one holds its planned address, in words: the
    /// run keeps to that one.
    pub fn leases6_beside(
        &self,
        leases: Vec<Lease6>,
        neighbour: Option<Neighbour>,
        what: String,
    ) -> impl Future<Output = Result<Committed, Refused>> + Send + use<> {
        let step = self.managed_of(&leases).map(|(device, address)| {
            self.asking().ends(&device.name);
            let event = Event::AskedOddly { what, address: Some(address) };
            Input::event(&device.name, event, Opening::Unproven)
        });
        self.bring6(leases, neighbour, step)
    }

    /// The managed device that holds the first of these leases, and its address.
    fn managed_of(&self, leases: &[Lease6]) -> Option<(Arc<Device>, IpAddr)> {
        let lease = leases.first()?;
        let plan = self.plan.get();
        let device = plan.inventory.device(lease.device.as_deref()?)?;
        device.managed.then(|| (Arc::clone(device), IpAddr::V6(lease.address)))
    }

    fn bring6(
        &self,
        leases: Vec<Lease6>,
        neighbour: Option<Neighbour>,
        step: Option<Input>,
    ) -> impl Future<Output = Result<Committed, Refused>> + Send + use<> {
        let mut input = step.unwrap_or_else(|| Input::changes(Vec::new()));
        for lease in &leases {
            self.remember_holding(lease.address.into(), Holding::of6(lease));
        }
        let known = leases.first().and_then(|lease| Some((Holding::of6(lease)?, lease.address)));
        match (neighbour, known) {
            (Some(neighbour), Some(known)) => self.meet(neighbour, known),
            (Some(neighbour), None) => drop(self.neighbours.remove(&neighbour)),
            (None, _) => {}
        }
        input.changes.extend(leases.into_iter().map(Change::Lease6));
        self.promises.heed(self.runs.bring(vec![input]))
    }

    fn meet(&self, neighbour: Neighbour, known: (Holding, Ipv6Addr)) {
        if self.neighbours.len() >= NEIGHBOURS_MAX {
            let now = self.clock.now();
            self.neighbours.retain(|_, (holding, _)| holding.counts(now));
        }
        if self.neighbours.len() < NEIGHBOURS_MAX {
            self.neighbours.insert(neighbour, known);
        }
    }

    /// Brings what a Release or Decline of DHCPv6 ended to the store, in one commit, and whose it
    /// was. What is brought later is stored later.
    pub fn leases6_ended(
        &self,
        addresses: Vec<EndedAddress>,
        device: Option<Arc<Device>>,
    ) -> impl Future<Output = Result<Committed, Refused>> + Send + use<> {
        for EndedAddress { address, binding, .. } in &addresses {
            self.forget_holding(IpAddr::V6(*address), binding);
            self.neighbours
                .retain(|_, (holding, leased)| leased != address || !holding.ends_with(binding));
        }
        let change = |EndedAddress { address, binding, quarantined_until }| Change::LeaseEnded {
            address: IpAddr::V6(address),
            binding,
            quarantined_until,
        };
        let input = ended(addresses.into_iter().map(change).collect(), device.as_deref());
        self.promises.heed(self.runs.bring(vec![input]))
    }

    /// The device asks in a way that its plan does not expect. Written down once in its run, as
    /// often as this is told.
    pub fn asks_oddly(&self, device: &Arc<Device>, what: &str) {
        let key = format!("{} {what}", device.name);
        let fresh = self.oddities.entry(key).or_insert(()).is_fresh();
        if fresh && device.managed {
            tracing::info!(device = %device.name, what, "a device asks oddly");
            let event = Event::AskedOddly { what: what.to_owned(), address: None };
            self.runs.try_send(Input::event(&device.name, event, Opening::Unproven));
        }
    }

    /// Our DHCP side cannot serve this device (no free address, relay of no known subnet).
    pub fn lease_impossible(&self, device: &Arc<Device>, why: &str) {
        if device.managed {
            let event = Event::LeaseImpossible { why: why.to_owned() };
            self.runs.try_send(Input::event(&device.name, event, Opening::Unproven));
        }
    }

    /// Somebody who asks as a network device does and cannot be served: people are told once.
    pub fn sighted(&self, sighting: &Sighting) {
        let rows = |now| (self.report)(sighting, now);
        self.remember(&sighting.key, &sighting.description, rows);
    }

    /// Somebody unknown: counted, and written down once a minute per `key`.
    pub fn stranger(&self, key: &str, description: &str) {
        self.remember(key, description, |_| Vec::new());
    }

    fn remember(&self, key: &str, description: &str, rows: impl FnOnce(Timestamp) -> Vec<Change>) {
        let entry = self.strangers.entry_by_ref(key).or_insert(());
        let at = self.clock.now();
        if !entry.is_fresh() || !self.may_note(at) {
            return;
        }
        tracing::info!(key, description, "a device that nobody planned");
        let change = Change::Stranger {
            key: key.chars().take(100).collect(),
            description: description.chars().take(300).collect(),
            at,
        };
        let mut changes = rows(at);
        changes.push(change);
        self.runs.try_send(Input::changes(changes));
    }

    fn may_note(&self, now: Timestamp) -> bool {
        let mut minute = self.minute.lock().expect("nobody panics while counting");
        if now.since(minute.since) >= Duration::from_secs(60) {
            if minute.left_out > 0 {
                let count = minute.left_out;
                tracing::warn!(
                    count,
                    "strangers beyond {STRANGERS_A_MINUTE} a minute were neither written down nor told"
                );
            }
            *minute = Minute { since: now, ..Minute::default() };
        }
        let may = minute.noted < STRANGERS_A_MINUTE;
        minute.noted += u32::from(may);
        minute.left_out += u32::from(!may);
        may
    }
}

/// The ends of one message, with what the run of a managed device hears of its RELEASE.
fn ended(changes: Vec<Change>, device: Option<&Device>) -> Input {
    let released = changes.iter().find_map(|change| match change {
        Change::LeaseEnded { address, quarantined_until: None, .. } => Some(*address),
        _ => None,
    });
    match (device.filter(|device| device.managed), released) {
        (Some(device), Some(address)) => {
            let event = Event::Released { address };
            Input { changes, ..Input::event(&device.name, event, Opening::Never) }
        }
        (_, _) => Input::changes(changes),
    }
}

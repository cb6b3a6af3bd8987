//! How do DHCP requests come in and answers go out? Receives, asks the service who it is and which
//! address it gets, and sends what `proto/dhcp4` decided. No decision is made here.
//!
//! One wake-up handles all that waits, up to some batches. Offers leave at once; the leases of a
//! wake-up go to the store together, and their ACKs leave together against its receipt, while the
//! loop goes on receiving. [`gate`] keeps strangers within their budgets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::meant::Dhcp;
use crate::error::Error;
use crate::platform::Platforms;
use crate::proto::dhcp4::answer::{Promise, Reply};
use crate::proto::dhcp4::{Ask, Glance, MESSAGE_BYTES_MAX};
use crate::receipt::Committed;
use crate::servers::socket::dhcp::{Lost, Port, Posted, Received};
use crate::servers::socket::tftp::batch::{BATCH, Inbox};
use crate::service::intake::{Intake, Moved};
use crate::service::leases::Leases;
use crate::service::memory::Refused;

mod buckets;
mod flight;
mod gate;
mod request;

use flight::{Flight, Seat};
use gate::Gate;
use request::{Outcome, Promised};

/// What the server works with. Clones share everything.
#[derive(Clone)]
pub struct Parts {
    pub intake: Intake,
    pub leases: Leases,
    pub platforms: Arc<Platforms>,
    pub settings: Arc<Dhcp>,
    /// Our HTTP port, for platforms that are given a URL.
    pub http_port: Option<u16>,
}

/// Binds every listening address. Must be called within a tokio runtime.
pub fn bind(settings: &Dhcp) -> Result<Vec<Port>, Error> {
    settings.listen.iter().map(Port::bind).collect()
}

/// Answers until `shutdown` turns true or its sender is gone; then the ACKs under way are finished.
pub async fn serve(ports: Vec<Port>, parts: Parts, clock: Clock, shutdown: watch::Receiver<bool>) {
    let flight = Flight::default();
    let mut loops = JoinSet::new();
    for port in ports {
        let driver = Driver::new(port, parts.clone(), clock.clone(), flight.clone());
        loops.spawn(driver.run(shutdown.clone()));
    }
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a DHCP socket is not served any more");
        }
    }
}

/// How long the store may take for the last ACKs after the end was called.
const LAST_ACKS_WAIT: Duration = Duration::from_secs(5);
/// A pause after a socket error: an interface that is gone must not burn a processor.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);
/// Batches read before the leases that they bring go to the store: many share a flush, and the
/// first does not wait for long.
const BATCHES: usize = 8;

/// One socket and its loop.
struct Driver {
    port: Arc<Port>,
    parts: Parts,
    clock: Clock,
    flight: Flight,
    gate: Gate,
    /// What may leave now.
    replies: Vec<Posted>,
    /// What the store must have first.
    group: Group,
    groups: JoinSet<()>,
}

/// Leases and ends of leases that go to the store together.
#[derive(Default)]
struct Group {
    /// In the order in which it was decided.
    moves: Vec<Moved>,
    /// What waits for the leases among them.
    promises: Vec<(Promise, Received, Seat)>,
    /// Of those who ended theirs.
    seats: Vec<Seat>,
}

impl Driver {
    fn new(port: Port, parts: Parts, clock: Clock, flight: Flight) -> Self {
        let gate = Gate::new(&parts.settings.limits, clock.instant());
        Self {
            port: Arc::new(port),
            parts,
            clock,
            flight,
            gate,
            replies: Vec::new(),
            group: Group::default(),
            groups: JoinSet::new(),
        }
    }

    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut inbox = Inbox::new(MESSAGE_BYTES_MAX + 1);
        let port = Arc::clone(&self.port);
        tracing::info!(at = %port.local(), interface = ?port.interface(), "listening for DHCP");
        loop {
            tokio::select! {
                () = ended(&mut shutdown) => break,
                ready = port.readable() => {
                    let drained = ready.and_then(|()| self.drain(&mut inbox));
                    if let Err(error) = drained {
                        tracing::warn!(%error, at = %port.local(), "cannot receive DHCP");
                        tokio::time::sleep(AFTER_AN_ERROR).await;
                    }
                }
                Some(done) = self.groups.join_next(), if !self.groups.is_empty() => {
                    if let Err(error) = done {
                        tracing::error!(%error, "DHCP answers were lost");
                    }
                }
            }
        }
        tracing::info!(at = %port.local(), dropped = ?self.gate.dropped(), "DHCP ends");
        let rest = async { while self.groups.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_ACKS_WAIT, rest).await.is_err() {
            tracing::warn!("the store did not take the last leases in time; they are not answered");
        }
    }

    /// Takes what waits, up to some batches; replies leave after each of them, and leases go to the
    /// store at the end.
    fn drain(&mut self, inbox: &mut Inbox) -> io::Result<()> {
        self.gate.at(self.clock.instant());
        let mut received = Ok(());
        for _ in 0..BATCHES {
            let count = match self.port.receive(inbox) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    received = Err(error);
                    break;
                }
            };
            for index in 0..count {
                if let Some((heard, bytes)) = self.port.datagram(inbox, index) {
                    self.on_datagram(bytes, heard);
                }
            }
            send(&self.port, &self.replies);
            self.replies.clear();
            if count < BATCH {
                break;
            }
        }
        if !self.group.moves.is_empty() {
            let Group { moves, promises, seats } = std::mem::take(&mut self.group);
            let stored = self.parts.intake.leases_moved(moves);
            self.groups.spawn(acknowledge(Arc::clone(&self.port), stored, promises, seats));
        }
        if let Some(dropped) = self.gate.news() {
            tracing::warn!(at = %self.port.local(), ?dropped, "DHCP messages beyond the limits");
        }
        received
    }

    fn on_datagram(&mut self, bytes: &[u8], heard: Received) {
        // Without a glance it is no request; reading it says why, within the same budgets.
        let glance = Glance::of(bytes).unwrap_or(Glance::NOBODY);
        let planned = self.parts.intake.plans(glance.mac);
        if !self.gate.may_be_read(&glance, heard.interface, planned) {
            return;
        }
        let request = match request::understand(bytes, &heard) {
            Ok(request) => request,
            Err(why) => {
                tracing::debug!(from = %heard.from, %why, "a datagram that is no DHCP request");
                return;
            }
        };
        // Whoever must not wait for the store cannot be under way.
        let seat = match request.ask {
            Ask::Discover { .. } | Ask::Inform { .. } => None,
            Ask::Selecting { .. }
            | Ask::InitReboot { .. }
            | Ask::Renewing { .. }
            | Ask::Rebinding { .. }
            | Ask::Decline { .. }
            | Ask::Release { .. } => match self.flight.take(request.key(), planned) {
                Some(seat) => Some(seat),
                None => {
                    tracing::debug!(mac = %request.mac, "this DHCP request is under way");
                    return;
                }
            },
        };
        let now = self.clock.now();
        let outcome = request::handle(&request, &heard, &self.parts, &mut self.gate, now);
        match (outcome, seat) {
            (Outcome::Say(reply), _) => self.replies.push(posted(reply, heard)),
            (Outcome::Store(promised), Some(seat)) => {
                let Promised { promise, lease } = *promised;
                self.group.moves.push(Moved::Bound(lease));
                self.group.promises.push((promise, heard, seat));
            }
            (Outcome::End(ended), Some(seat)) => {
                self.group.moves.push(Moved::Ended(ended));
                self.group.seats.push(seat);
            }
            // Neither a DISCOVER nor an INFORM binds or ends anything.
            (Outcome::Store(_) | Outcome::End(_), None) | (Outcome::Silent, _) => {}
        }
    }
}

/// Returns once `shutdown` is true or its sender is gone.
async fn ended(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|end| *end).await;
}

/// RFC 2131 section 3.1: the bindings are stored before the clients hear of them.
async fn acknowledge(
    port: Arc<Port>,
    stored: impl Future<Output = Result<Committed, Refused>>,
    promises: Vec<(Promise, Received, Seat)>,
    seats: Vec<Seat>,
) {
    match stored.await {
        Ok(receipt) => {
            let released = promises
                .into_iter()
                .map(|(promise, heard, _seat)| posted(promise.release(receipt), heard));
            send(&port, &released.collect::<Vec<_>>());
        }
        Err(error) => {
            let count = promises.len();
            tracing::warn!(%error, count, "no ACK, because the leases are not stored");
        }
    }
    // Whoever ends a lease may be heard again once that is stored.
    drop(seats);
}

fn posted(reply: Reply, asked: Received) -> Posted {
    let Reply { bytes, to, left_out } = reply;
    if !left_out.is_empty() {
        tracing::warn!(%to, codes = ?left_out, "no room for these DHCP options");
    }
    Posted { bytes, to, asked }
}

fn send(port: &Port, replies: &[Posted]) {
    if let Err(Lost { count, error }) = port.send(replies) {
        tracing::warn!(%error, count, "cannot send DHCP replies");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use tokio::sync::mpsc;

    use super::*;
    use crate::address::Mac;
    use crate::config::meant::{DhcpLimits, Listen, Pool, Unknown};
    use crate::domain::inventory::meant::{Device, Inventory, Place, Variables};
    use crate::proto::dhcp4::{Message, MessageType, code};
    use crate::service::plan::{InForce, Plan, Rules};
    use crate::service::runner::{self, Bundle};

    const SERVER: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 1);
    const DEVICES: usize = 200;

    fn settings() -> Dhcp {
        let range = Some((Ipv4Addr::new(127, 9, 1, 0), Ipv4Addr::new(127, 9, 1, 249)));
        let subnet = "127.9.0.0/16".parse().unwrap();
        Dhcp {
            listen: vec![Listen { address: (SERVER, 0).into(), interface: None }],
            server_address: SERVER,
            reply_to_port: 68,
            pools: vec![Pool { subnet, range, router: None, dns: vec![], domain: None }],
            lease: Duration::from_secs(3600),
            unknown: Unknown::Quarantine,
            limits: DhcpLimits::default(),
        }
    }

    /// Every second one has a reservation, every fourth is known by its serial alone.
    fn device(number: usize) -> Device {
        let [_, _, high, low] = (number as u32).to_be_bytes();
        Device {
            name: format!("sw{number}"),
            site: "oslo".into(),
            platform: "cisco_ios".into(),
            serial: Some(format!("FOC1234{number:04}")),
            macs: if number % 4 == 3 { vec![] } else { vec![mac(number)] },
            position: None,
            address6: None,
            address: number.is_multiple_of(2).then_some(Ipv4Addr::new(127, 9, 2 + high, low)),
            ssh_port: 22,
            managed: true,
            template: None,
            variables: Variables::default(),
            software: None,
            neighbours: vec![],
            unplanned_neighbours: Default::default(),
            credentials: vec![],
            location: String::new(),
            place: Place::default(),
        }
    }

    fn mac(number: usize) -> Mac {
        let [_, _, high, low] = (number as u32).to_be_bytes();
        Mac::new([2, 0, 0, 0, high, low])
    }

    fn plan() -> Plan {
        let mut inventory = Inventory::default();
        for (index, device) in (0..DEVICES).map(device).enumerate() {
            inventory.by_name.insert(device.name.clone(), index);
            inventory.by_serial.insert(device.serial.clone().unwrap(), index);
            inventory.by_mac.extend(device.macs.iter().map(|mac| (*mac, index)));
            inventory.by_address.extend(device.address.map(|address| (address, index)));
            inventory.devices.push(Arc::new(device));
        }
        let none = Duration::ZERO;
        Plan {
            inventory: Arc::new(inventory),
            platforms: Arc::new(Platforms::built_in()),
            render: Arc::new(|_, _| Ok(String::new())),
            rules: Rules {
                window: none,
                file_patience: none,
                settle: None,
                back_deadline: None,
                recheck: none,
                neighbour_patience: none,
                login_patience: none,
                still_waiting: none,
                visit_timeout: none,
                hooks_required: vec![],
                hooks_optional: vec![],
            },
            generation: 1,
        }
    }

    /// A store that needs 5 ms for whatever came meanwhile, and tells how much there was of it.
    async fn flushes(mut waiting: mpsc::Receiver<Bundle>, stored: Arc<AtomicUsize>) {
        let mut group = Vec::new();
        let mut batch = 0;
        while waiting.recv_many(&mut group, 512).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            batch += 1;
            for Bundle { inputs, receipt, .. } in group.drain(..) {
                let changes: usize = inputs.iter().map(|input| input.changes.len()).sum();
                stored.fetch_add(changes, Ordering::SeqCst);
                if let Some(receipt) = receipt {
                    let _ = receipt.send(Ok(Committed::by_the_store(batch)));
                }
            }
        }
    }

    struct House {
        at: SocketAddr,
        stored: Arc<AtomicUsize>,
        _stop: watch::Sender<bool>,
    }

    fn house() -> House {
        let (settings, plan, clock) = (settings(), plan(), Clock::System);
        let (runs, waiting) = runner::channel();
        let stored = Arc::new(AtomicUsize::new(0));
        tokio::spawn(flushes(waiting, Arc::clone(&stored)));
        let inventory = Arc::clone(&plan.inventory);
        let leases = Leases::new(&settings, inventory, Default::default(), clock.now());
        let platforms = Arc::clone(&plan.platforms);
        let report = Arc::new(|_: &_, _| Vec::new());
        let intake = Intake::new(InForce::new(plan), runs, clock.clone(), &[], report);
        let ports = bind(&settings).unwrap();
        let at = ports[0].local().into();
        let settings = Arc::new(settings);
        let parts = Parts { intake, leases, platforms, settings, http_port: None };
        let (stop, shutdown) = watch::channel(false);
        tokio::spawn(serve(ports, parts, clock, shutdown));
        House { at, stored, _stop: stop }
    }

    fn discover(mac: Mac, xid: usize, serial: &str) -> Message {
        let message = Message::from_client(MessageType::Discover, mac, xid as u32)
            .with(code::VENDOR_CLASS, "ciscopnp");
        match serial {
            "" => message,
            serial => message.with(code::CLIENT_ID, serial),
        }
    }

    /// Sends DISCOVERs from invented hardware addresses, faster than they can be answered.
    fn flood(at: SocketAddr, relay: Option<Ipv4Addr>, end: &AtomicBool) -> usize {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 9, 0, 66), 0)).unwrap();
        let kind = usize::from(relay.is_some());
        let mut message = discover(Mac::new([6; 6]), 0, "");
        message.giaddr = relay.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let mut bytes = message.encode();
        let mut sent: usize = 0;
        while !end.load(Ordering::SeqCst) {
            for _ in 0..64 {
                sent += 1;
                bytes[30..34].copy_from_slice(&((sent * 2 + kind) as u32).to_be_bytes());
                let _ = socket.send_to(&bytes, at);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        sent
    }

    /// Takes every device through DISCOVER, OFFER, REQUEST, ACK, and gives the addresses bound.
    fn exchanges(at: SocketAddr) -> HashMap<usize, Ipv4Addr> {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 9, 0, 2), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let serial = |number| format!("FOC1234{number:04}");
        let mut offers: HashMap<usize, Message> = HashMap::new();
        let mut bound = HashMap::new();
        let mut buffer = [0; 2048];
        for _round in 0..120 {
            for number in (0..DEVICES).filter(|number| !bound.contains_key(number)) {
                let message = discover(mac(number), number, &serial(number));
                let message = match offers.get(&number) {
                    None => message,
                    Some(offer) => message
                        .with(code::MESSAGE_TYPE, [MessageType::Request.number()])
                        .with_address(code::SERVER_ID, SERVER)
                        .with_address(code::REQUESTED_ADDRESS, offer.yiaddr),
                };
                socket.send_to(&message.encode(), at).unwrap();
            }
            while let Ok(length) = socket.recv(&mut buffer) {
                let answer = Message::decode(&buffer[..length]).unwrap();
                let number = answer.xid as usize;
                match answer.message_type() {
                    Some(MessageType::Offer) => drop(offers.insert(number, answer)),
                    Some(MessageType::Ack) => drop(bound.insert(number, answer.yiaddr)),
                    other => panic!("{other:?} for {number}"),
                }
            }
            if bound.len() == DEVICES {
                break;
            }
        }
        bound
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_strangers_flood_every_planned_device_gets_its_address() {
        let house = house();
        let (at, end) = (house.at, Arc::new(AtomicBool::new(false)));
        let floods = [None, Some(Ipv4Addr::new(127, 9, 0, 66))].map(|relay| {
            let end = Arc::clone(&end);
            std::thread::spawn(move || flood(at, relay, &end))
        });
        let bound = tokio::task::spawn_blocking(move || exchanges(at)).await.unwrap();
        end.store(true, Ordering::SeqCst);
        let sent: usize = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
        assert_eq!(bound.len(), DEVICES, "beside {sent} messages of strangers");
        let addresses: HashSet<&Ipv4Addr> = bound.values().collect();
        assert_eq!(addresses.len(), DEVICES, "each has its own");
        for (number, address) in &bound {
            assert!(device(*number).address.is_none_or(|planned| planned == *address));
        }
        assert!(sent > 20 * DEVICES, "{sent} messages are no flood");
        // A DISCOVER and a lease for each device, and the strangers of a minute at most.
        let stored = house.stored.load(Ordering::SeqCst);
        assert!((DEVICES..DEVICES * 3 + 300).contains(&stored), "{stored}");
    }

    #[tokio::test]
    async fn leases_that_come_together_are_stored_together() {
        let house = house();
        let client = tokio::net::UdpSocket::bind((Ipv4Addr::new(127, 9, 0, 2), 0)).await.unwrap();
        for number in (0..DEVICES).step_by(4) {
            let planned = device(number).address.unwrap();
            let message = discover(mac(number), number, "")
                .with(code::MESSAGE_TYPE, [MessageType::Request.number()])
                .with_address(code::REQUESTED_ADDRESS, planned);
            client.send_to(&message.encode(), house.at).await.unwrap();
        }
        let mut buffer = [0; 2048];
        let mut addresses = HashSet::new();
        while addresses.len() < DEVICES / 4 {
            let length = client.recv(&mut buffer).await.unwrap();
            let answer = Message::decode(&buffer[..length]).unwrap();
            assert_eq!(answer.message_type(), Some(MessageType::Ack));
            assert_eq!(device(answer.xid as usize).address, Some(answer.yiaddr));
            addresses.insert(answer.yiaddr);
            let stored = house.stored.load(Ordering::SeqCst);
            assert!(stored >= addresses.len(), "no ACK before its lease");
        }
    }
}

//! How do DHCP requests come in and answers go out? Receives, asks the service who it is and which
//! address it gets, and sends what `proto/dhcp4` decided. No decision is made here.
//!
//! One turn of the loop handles all that waits, up to some batches; then it rests for a moment, in
//! which the next turn's work gathers. The leases of some turns go to the store together, and their
//! ACKs are released together by its receipt, while the loop goes on receiving. [`outbox`] spreads
//! what leaves, and [`gate`] keeps strangers within their budgets.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinSet};

use crate::clock::Clock;
use crate::config::meant::Dhcp;
use crate::error::Error;
use crate::platform::Platforms;
use crate::proto::dhcp4::answer::{Promise, Reply};
use crate::proto::dhcp4::{Ask, Glance, MESSAGE_BYTES_MAX};
use crate::receipt::Committed;
use crate::servers::socket::dhcp::{Lost, Port, Posted, Received};
use crate::servers::socket::tftp::batch::Inbox;
use crate::service::intake::{Intake, Moved};
use crate::service::leases::Leases;
use crate::service::memory::Refused;

mod buckets;
pub(super) mod flight;
pub(super) mod gate;
mod likeness;
mod outbox;
mod request;

use flight::{Flight, Seat};
use gate::{Gate, Way};
use likeness::Likenesses;
use outbox::Outbox;
use request::{Ending, Key, Outcome, Promised};

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
        let at = port.local();
        let driver = Driver::new(port, parts.clone(), clock.clone(), flight.clone());
        let ended = on_its_own(driver, shutdown.clone());
        loops.spawn(async move {
            match ended {
                // The thread drops its end when it is done, in whichever way.
                Ok(ended) => ended.await.unwrap_or(Err(io::Error::other("it broke off"))),
                Err(error) => Err(error),
            }
            .map_err(|error| (at, error))
        });
    }
    while let Some(ended) = loops.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err((at, error))) => {
                tracing::error!(%error, %at, "a DHCP socket is not served any more");
            }
            Err(error) => tracing::error!(%error, "a DHCP socket is not served any more"),
        }
    }
}

/// Runs a socket's loop on a thread of its own, which rests as it likes: where sockets are watched
/// for many tasks, each datagram would wake the thread, whether it is to be read now or later.
fn on_its_own(
    driver: Driver,
    shutdown: watch::Receiver<bool>,
) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let (end, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || {
        let outcome = runtime.block_on(async {
            let port = driver.port.moved()?;
            Driver { port, ..driver }.run(shutdown).await;
            Ok(())
        });
        // Whoever does not wait for the end any more does not mind.
        let _ = end.send(outcome);
    };
    std::thread::Builder::new().name("dhcp".into()).spawn(run)?;
    Ok(ended)
}

/// How long the store may take for the last ACKs after the end was called.
const LAST_ACKS_WAIT: Duration = Duration::from_secs(5);
/// A pause after a socket error: an interface that is gone must not burn a processor.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);
/// Batches read in one turn.
const BATCHES: usize = 8;
/// After a turn the socket rests: what comes meanwhile is handled together, which costs far less
/// than one by one. A client waits for seconds.
const REST: Duration = Duration::from_millis(1);
/// Turns after which leases go to the store, since the last ones did: many share a flush, and none
/// waits for more than some ten milliseconds.
const GATHERING_TURNS: u32 = 6;
/// Leases beyond which no more are waited for.
const GATHERED_MAX: usize = 1024;

/// Between two looks for devices that asked and then fell silent.
const ASKING: Duration = Duration::from_millis(250);

/// One socket and its loop.
struct Driver {
    port: Port,
    parts: Parts,
    clock: Clock,
    flight: Flight<Key>,
    gate: Gate,
    likenesses: Likenesses,
    /// What may leave now.
    outbox: Outbox,
    /// What the store must have first.
    group: Group,
    /// Turns until the group may go there.
    gathering: u32,
    /// Those on their way to the store, each with what it releases.
    groups: JoinSet<Vec<Posted>>,
    /// When it was last told how many strangers were refused an address.
    told: Instant,
}

/// Leases and ends of leases that go to the store together.
#[derive(Default)]
struct Group {
    /// In the order in which it was decided.
    moves: Vec<Moved>,
    /// What waits for the leases among them.
    promises: Vec<(Promise, Received, Seat<Key>)>,
    /// Of those who ended theirs.
    seats: Vec<Seat<Key>>,
}

impl Driver {
    fn new(port: Port, parts: Parts, clock: Clock, flight: Flight<Key>) -> Self {
        let gate = Gate::new(&parts.settings.limits, clock.instant());
        Self {
            port,
            parts,
            flight,
            gate,
            likenesses: Likenesses::default(),
            outbox: Outbox::default(),
            group: Group::default(),
            gathering: 0,
            groups: JoinSet::new(),
            told: clock.instant(),
            clock,
        }
    }

    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut inbox = Inbox::new(MESSAGE_BYTES_MAX + 1);
        let port = &self.port;
        let interface = port.interface().unwrap_or("every interface");
        tracing::info!(at = %port.local(), interface, "listening for DHCP");
        loop {
            let ready = tokio::select! {
                () = ended(&mut shutdown) => break,
                ready = self.port.readable() => ready,
                Some(done) = self.groups.join_next(), if !self.groups.is_empty() => {
                    self.released(done);
                    Ok(())
                }
                () = std::future::ready(()), if self.has_begun() => Ok(()),
                () = tokio::time::sleep(ASKING), if self.parts.intake.somebody_asks() => Ok(()),
            };
            match ready.and_then(|()| self.turn(&mut inbox)) {
                Ok(true) => {}
                Ok(false) => std::thread::sleep(REST),
                Err(error) => {
                    tracing::warn!(%error, at = %self.port.local(), "cannot receive DHCP");
                    tokio::time::sleep(AFTER_AN_ERROR).await;
                }
            }
            // What the store has taken meanwhile.
            tokio::task::yield_now().await;
        }
        self.finish().await;
    }

    /// What was read is answered, and what is decided is stored.
    async fn finish(mut self) {
        self.store();
        self.parts.intake.asked_alone(true);
        let rest = async {
            while let Some(done) = self.groups.join_next().await {
                self.released(done);
            }
        };
        if tokio::time::timeout(LAST_ACKS_WAIT, rest).await.is_err() {
            tracing::warn!("the store did not take the last leases in time; they are not answered");
        }
        while !self.outbox.is_empty() {
            send(&self.port, &self.outbox.spurt());
            tokio::time::sleep(REST).await;
        }
        tracing::info!(at = %self.port.local(), "DHCP ends; {}", self.gate.dropped());
    }

    /// There is work for the next turn, whatever comes.
    fn has_begun(&self) -> bool {
        !self.outbox.is_empty() || !self.group.moves.is_empty()
    }

    /// Takes what waits, up to some batches; sends what may leave, and brings the store what has
    /// gathered. True if more may be waiting.
    fn turn(&mut self, inbox: &mut Inbox) -> io::Result<bool> {
        while let Some(done) = self.groups.try_join_next() {
            self.released(done);
        }
        let received = self.receive(inbox);
        send(&self.port, &self.outbox.spurt());
        self.gathering = self.gathering.saturating_sub(1);
        if self.gathering == 0 || self.group.moves.len() >= GATHERED_MAX {
            self.store();
        }
        self.parts.intake.asked_alone(false);
        self.tell();
        received
    }

    /// What was refused is said in one line, once in a while.
    fn tell(&mut self) {
        let at = self.port.local();
        if let Some(dropped) = self.gate.news() {
            tracing::warn!(%at, "DHCP messages beyond the limits: {dropped}");
        }
        let now = self.clock.instant();
        if now.saturating_duration_since(self.told) >= gate::REFUSALS_TOLD_EVERY {
            self.told = now;
            if let Some(refused) = self.parts.leases.refused() {
                tracing::warn!(%at, "strangers were refused an address: {refused}");
            }
        }
    }

    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<bool> {
        self.gate.at(self.clock.instant());
        for _ in 0..BATCHES {
            let count = match self.port.receive(inbox) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            for index in 0..count {
                if let Some((heard, bytes)) = self.port.datagram(inbox, index) {
                    self.on_datagram(bytes, heard);
                }
            }
        }
        Ok(true)
    }

    fn store(&mut self) {
        if self.group.moves.is_empty() {
            return;
        }
        self.gathering = GATHERING_TURNS;
        let Group { moves, promises, seats } = std::mem::take(&mut self.group);
        let stored = self.parts.intake.leases_moved(moves);
        self.groups.spawn(acknowledge(stored, promises, seats));
    }

    fn released(&mut self, done: Result<Vec<Posted>, JoinError>) {
        match done {
            Ok(replies) => self.outbox.extend(replies),
            Err(error) => tracing::error!(%error, "DHCP answers were lost"),
        }
    }

    fn on_datagram(&mut self, bytes: &[u8], heard: Received) {
        // Without a glance it is no request; reading it says why, within the same budgets.
        let glance = Glance::of(bytes).unwrap_or(Glance::NOBODY);
        let planned = self.parts.intake.plans(glance.mac);
        let way = Way { relay: glance.relay.map(IpAddr::V4), interface: heard.interface };
        if !self.gate.may_be_read(glance.mac, way, planned) {
            return;
        }
        let mut request = match request::understand(bytes, &heard) {
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
        let (platforms, options) = (&self.parts.platforms, &request.message.options);
        request.planned = planned;
        request.recognised = self.likenesses.recognise(platforms, options, request.mac);
        let now = self.clock.now();
        let outcome = request::handle(&request, &heard, &self.parts, &mut self.gate, now);
        match (outcome, seat) {
            (Outcome::Say(reply), _) => self.outbox.put(posted(reply, heard)),
            (Outcome::Store(promised), Some(seat)) => {
                let Promised { promise, lease, beside } = *promised;
                self.group.moves.push(match beside {
                    None => Moved::Bound(lease),
                    Some(what) => {
                        tracing::info!(what, "a second port of a device has an address");
                        Moved::Beside(lease, what)
                    }
                });
                self.group.promises.push((promise, heard, seat));
            }
            (Outcome::End(ending), Some(seat)) => {
                let Ending { ended, device } = ending;
                self.group.moves.push(Moved::Ended(ended, device));
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

/// RFC 2131 section 3.1: the bindings are stored before the clients hear of them. Gives what may
/// leave then.
async fn acknowledge(
    stored: impl Future<Output = Result<Committed, Refused>>,
    promises: Vec<(Promise, Received, Seat<Key>)>,
    seats: Vec<Seat<Key>>,
) -> Vec<Posted> {
    let stored = stored.await;
    // Whoever ends a lease may be heard again now.
    drop(seats);
    match stored {
        Ok(receipt) => promises
            .into_iter()
            .map(|(promise, heard, _seat)| posted(promise.release(receipt), heard))
            .collect(),
        Err(error) => {
            let count = promises.len();
            tracing::warn!(%error, count, "no ACK, because the leases are not stored");
            Vec::new()
        }
    }
}

fn posted(reply: Reply, asked: Received) -> Posted {
    let Reply { bytes, to, left_out } = reply;
    if !left_out.is_empty() {
        let codes = left_out.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        tracing::warn!(%to, codes, "no room for these DHCP options");
    }
    Posted { bytes, to, asked }
}

fn send(port: &Port, replies: &[Posted]) {
    if replies.is_empty() {
        return;
    }
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
    use crate::domain::inventory::meant::{Device, Inventory};
    use crate::domain::inventory::software::{Image, Install, Software};
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
            site: "oslo".into(),
            serial: Some(format!("FOC1234{number:04}")),
            macs: if number % 4 == 3 { vec![] } else { vec![mac(number)] },
            address: number.is_multiple_of(2).then_some(Ipv4Addr::new(127, 9, 2 + high, low)),
            ..Device::named(&format!("sw{number}"), "cisco_ios")
        }
    }

    fn mac(number: usize) -> Mac {
        let [_, _, high, low] = (number as u32).to_be_bytes();
        Mac::new([2, 0, 0, 0, high, low])
    }

    fn plan() -> Plan {
        let none = Duration::ZERO;
        Plan {
            inventory: Arc::new(Inventory::of((0..DEVICES).map(device))),
            platforms: Arc::new(Platforms::built_in()),
            render: Arc::new(|_, _| Ok(String::new())),
            secrets: Arc::new(|_| Vec::new()),
            rules: Rules {
                window: none,
                ask_patience: None,
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
        house_of(plan())
    }

    fn house_of(plan: Plan) -> House {
        let (settings, clock) = (settings(), Clock::System);
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
        let parts = Parts { intake, leases, platforms, settings, http_port: Some(80) };
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

    /// The answer to one message.
    async fn answered(at: SocketAddr, message: &Message) -> Message {
        let from = (Ipv4Addr::new(127, 9, 0, 3), 0);
        let client = tokio::net::UdpSocket::bind(from).await.unwrap();
        client.send_to(&message.encode(), at).await.unwrap();
        let mut buffer = [0; 2048];
        let wait = Duration::from_secs(5);
        let length = tokio::time::timeout(wait, client.recv(&mut buffer)).await.expect("an answer");
        Message::decode(&buffer[..length.unwrap()]).unwrap()
    }

    fn selecting(message: Message, server: Ipv4Addr, wanted: Ipv4Addr) -> Message {
        message
            .with(code::MESSAGE_TYPE, [MessageType::Request.number()])
            .with_address(code::SERVER_ID, server)
            .with_address(code::REQUESTED_ADDRESS, wanted)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_client_id_from_two_ports_is_two_leases() {
        let house = house();
        let mut addresses = HashSet::new();
        for mac in [mac(1), Mac::new([2, 0, 0, 9, 9, 9])] {
            let message = || discover(mac, 7, "FOC12340001");
            let offer = answered(house.at, &message()).await;
            let ack = answered(house.at, &selecting(message(), SERVER, offer.yiaddr)).await;
            assert_eq!(ack.message_type(), Some(MessageType::Ack));
            addresses.insert(ack.yiaddr);
        }
        assert_eq!(addresses.len(), 2, "{addresses:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_client_that_knows_us_by_its_relay_s_address_is_ours() {
        let house = house();
        let relay = Ipv4Addr::new(127, 9, 0, 3);
        let [a, b, c, d] = relay.octets();
        let by = |message: Message| {
            Message { giaddr: relay, ..message }
                .with(82, [1, 3, b'G', b'i', b'1', 11, 4, a, b, c, d])
        };
        let offer = answered(house.at, &by(discover(mac(1), 7, ""))).await;
        assert_eq!(offer.server_id(), Some(relay));
        let request = by(selecting(discover(mac(1), 7, ""), relay, offer.yiaddr));
        let ack = answered(house.at, &request).await;
        assert_eq!((ack.message_type(), ack.server_id()), (Some(MessageType::Ack), Some(relay)));
        let renewing = discover(mac(1), 8, "")
            .with(code::MESSAGE_TYPE, [MessageType::Request.number()])
            .with_address(code::SERVER_ID, relay);
        let renewing = by(Message { ciaddr: ack.yiaddr, ..renewing });
        let renewed = answered(house.at, &renewing).await;
        assert_eq!((renewed.message_type(), renewed.yiaddr), (Some(MessageType::Ack), ack.yiaddr));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_box_planned_as_sonic_is_told_of_no_configuration_while_its_installer_asks() {
        let mut plan = plan();
        let inventory = Arc::get_mut(&mut plan.inventory).unwrap();
        let image = Image {
            name: "sonic.bin".into(),
            sha256: Some("00".into()),
            install: Install::Auto,
            place: Default::default(),
        };
        let software = Software { version: "1".into(), image: Some(image) };
        inventory.devices[1] = Arc::new(Device {
            platform: "sonic".into(),
            software: Some(Arc::new(software)),
            ..device(1)
        });
        let house = house_of(plan);
        let asking = || Message::from_client(MessageType::Discover, mac(1), 7);
        let onie = asking().with(code::VENDOR_CLASS, "onie_vendor:x86_64-accton_as7712_32x-r0");
        let offer = answered(house.at, &onie).await;
        assert_eq!(offer.option(67), None);
        let url = String::from_utf8_lossy(offer.option(114).unwrap());
        assert!(url.ends_with("/sonic.bin"), "{url}");
        let sonic = asking().with(code::USER_CLASS, "SONiC-ZTP");
        let offer = answered(house.at, &Message { xid: 8, ..sonic }).await;
        let file = String::from_utf8_lossy(offer.option(67).unwrap());
        assert!(file.ends_with("/sw1.json"), "{file}");
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

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
use crate::servers::socket::dhcp::{Lost, Port, Posted, Received};
use crate::servers::socket::tftp::batch::{BATCH, Inbox};
use crate::service::intake::Intake;
use crate::service::leases::{Ended, Leases};
use crate::service::memory::{Lease, Refused};

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
    leases: Vec<Lease>,
    /// What waits for each of them.
    promises: Vec<(Promise, Received, Seat)>,
    ended: Vec<(Ended, Seat)>,
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
        if !self.group.is_empty() {
            let group = std::mem::take(&mut self.group);
            self.groups.spawn(group.store(Arc::clone(&self.port), self.parts.intake.clone()));
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
                self.group.leases.push(lease);
                self.group.promises.push((promise, heard, seat));
            }
            (Outcome::End(ended), Some(seat)) => self.group.ended.push((ended, seat)),
            // Neither a DISCOVER nor an INFORM binds or ends anything.
            (Outcome::Store(_) | Outcome::End(_), None) | (Outcome::Silent, _) => {}
        }
    }
}

impl Group {
    fn is_empty(&self) -> bool {
        self.promises.is_empty() && self.ended.is_empty()
    }

    /// RFC 2131 section 3.1: the bindings are stored before the clients hear of them.
    async fn store(self, port: Arc<Port>, intake: Intake) {
        let Self { leases, promises, ended } = self;
        let receipts = intake.leases_bound(leases).await;
        let mut replies = Vec::with_capacity(promises.len());
        let mut refused: Option<(Refused, usize)> = None;
        for ((promise, heard, _seat), receipt) in promises.into_iter().zip(receipts) {
            match receipt {
                Ok(receipt) => replies.push(posted(promise.release(receipt), heard)),
                Err(error) => {
                    let before = refused.map_or(0, |(_, count)| count);
                    refused = Some((error, before + 1));
                }
            }
        }
        send(&port, &replies);
        if let Some((error, count)) = refused {
            tracing::warn!(%error, count, "no ACK, because the lease is not stored");
        }
        for (Ended { address, quarantined_until }, seat) in ended {
            let stored = intake.lease_ended(address.into(), quarantined_until).await;
            if let Err(error) = stored {
                tracing::warn!(%error, %address, "the end of a lease is not stored");
            }
            drop(seat);
        }
    }
}

/// Returns once `shutdown` is true or its sender is gone.
async fn ended(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|end| *end).await;
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

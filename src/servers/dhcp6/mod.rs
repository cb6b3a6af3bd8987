//! How do DHCPv6 messages come in and answers go out? Receives, asks the service who it is and
//! which addresses it gets, and sends what `proto/dhcp6` decided. No decision is made here.
//!
//! Nothing waits for the disk but the Reply itself: each is a task of its own, so that the store
//! can put many of them into one flush while the loop goes on receiving.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::meant::Dhcp6;
use crate::error::Error;
use crate::platform::Platforms;
use crate::proto::dhcp6::answer::Reply;
use crate::proto::dhcp6::{Duid, Glance, MESSAGE_BYTES_MAX, mac_within};
use crate::receipt::Committed;
use crate::servers::dhcp::flight::Flight;
use crate::servers::dhcp::gate::{self, Gate, Way};
use crate::servers::socket::dhcp6::{Port, Received};
use crate::service::intake::Intake;
use crate::service::leases6::Leases6;
use crate::service::memory::Refused;

mod request;
#[cfg(test)]
mod tests;

use request::{Client, Key, Outcome, Promised, Rows};

/// What the server works with. Clones share everything.
#[derive(Clone)]
pub struct Parts {
    pub intake: Intake,
    pub leases: Leases6,
    pub platforms: Arc<Platforms>,
    pub settings: Arc<Dhcp6>,
    /// What we call ourselves (option 2).
    pub name: Duid,
    /// Nobody here gives IPv4 addresses: without one of ours a device has none.
    pub alone: bool,
    /// Our HTTP port, for platforms that are given a URL.
    pub http_port: Option<u16>,
}

/// Binds every listening address. Must be called within a tokio runtime.
pub fn bind(settings: &Dhcp6) -> Result<Vec<Port>, Error> {
    settings.listen.iter().map(Port::bind).collect()
}

/// Answers until `shutdown` turns true or its sender is gone; then the Replies under way are
/// finished.
pub async fn serve(ports: Vec<Port>, parts: Parts, clock: Clock, shutdown: watch::Receiver<bool>) {
    let flight = Flight::default();
    let mut loops = JoinSet::new();
    for port in ports {
        let driver = Driver {
            port: Arc::new(port),
            parts: parts.clone(),
            gate: Gate::new(&parts.settings.limits, clock.instant()),
            told: clock.instant(),
            clock: clock.clone(),
            flight: flight.clone(),
            replies: JoinSet::new(),
        };
        loops.spawn(driver.run(shutdown.clone()));
    }
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a DHCPv6 socket is not served any more");
        }
    }
}

/// How long the store may take for the last Replies after the end was called.
const LAST_REPLIES_WAIT: Duration = Duration::from_secs(5);
/// A pause after a socket error: an interface that is gone must not burn a processor.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);
/// An interface that comes up later is heard after this time; a client repeats for longer.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// Between two looks for devices that asked and then fell silent.
const ASKING: Duration = Duration::from_millis(250);

/// Comes when something is stored.
type Stored = Pin<Box<dyn Future<Output = Result<Committed, Refused>> + Send>>;

/// One socket and its loop.
struct Driver {
    port: Arc<Port>,
    parts: Parts,
    clock: Clock,
    flight: Flight<Key>,
    gate: Gate,
    /// When it was last told how many strangers were refused an address.
    told: Instant,
    replies: JoinSet<()>,
}

impl Driver {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX + 1];
        let port = Arc::clone(&self.port);
        let mut rounds = tokio::time::interval(LOOK_AROUND);
        let interface = port.interface().unwrap_or("every interface");
        tracing::info!(at = %port.local(), interface, "listening for DHCPv6");
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|end| *end) => break,
                heard = hear(&port, &mut buffer) => {
                    self.on_datagram(&buffer[..heard.length], heard);
                }
                () = tokio::time::sleep(ASKING), if self.parts.intake.somebody_asks() => {
                    self.parts.intake.asked_alone(false);
                }
                _ = rounds.tick() => {
                    self.tell();
                    if let Err(error) = port.look_around() {
                        tracing::warn!(%error, "cannot list the interfaces");
                    }
                }
                Some(done) = self.replies.join_next(), if !self.replies.is_empty() => {
                    if let Err(error) = done {
                        tracing::error!(%error, "a DHCPv6 answer was lost");
                    }
                }
            }
        }
        self.parts.intake.asked_alone(true);
        tracing::info!(at = %self.port.local(), "DHCPv6 ends; {}", self.gate.dropped());
        let rest = async { while self.replies.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_REPLIES_WAIT, rest).await.is_err() {
            tracing::warn!("the store did not take the last leases in time; they are not answered");
        }
    }

    fn on_datagram(&mut self, bytes: &[u8], heard: Received) {
        self.gate.at(self.clock.instant());
        let glance = Glance::of(bytes);
        let near = || mac_within(*heard.from.ip()).filter(|_| glance.relay.is_none());
        let mac = glance.mac.or_else(near);
        let known = mac.filter(|mac| self.parts.intake.plans(*mac));
        let from = heard.from.ip().octets();
        let client: Client<'_> = match (known, glance.duid) {
            (Some(mac), _) => (Some(mac), &[]),
            (None, []) => (None, &from),
            (None, duid) => (None, duid),
        };
        let way = Way { relay: glance.relay.map(IpAddr::V6), interface: heard.interface };
        if !self.gate.may_be_read(client, way, known.is_some()) {
            return;
        }
        let mut request = match request::understand(bytes, &heard, &self.parts.name) {
            Ok(request) => request,
            Err(why) => {
                tracing::debug!(from = %heard.from, %why, "a datagram that asks us nothing");
                return;
            }
        };
        for complaint in &request.datagram.complaints {
            tracing::debug!(from = %heard.from, %complaint, "a part of a DHCPv6 message is broken");
        }
        request.planned = known.is_some();
        let Some(seat) = self.flight.take(request.key(), request.planned) else {
            tracing::debug!(client = %request.client(), "this DHCPv6 message is under way");
            return;
        };
        let now = self.clock.now();
        match request::handle(&request, &heard, &self.parts, &mut self.gate, now) {
            Outcome::Say(reply) => send(&self.port, &reply, &heard),
            Outcome::Silent => {}
            Outcome::Store(promised) => {
                let Promised { promise, rows, client } = *promised;
                // Brought here and not by the task, so that the store has it in the order in which
                // it was decided.
                let stored = self.bring(rows);
                let port = Arc::clone(&self.port);
                self.replies.spawn(async move {
                    match stored.await {
                        Ok(receipt) => send(&port, &promise.release(receipt), &heard),
                        Err(error) => {
                            tracing::warn!(%error, client, "no Reply: its leases are not stored");
                        }
                    }
                    drop(seat);
                });
            }
        }
    }
}

impl Driver {
    /// The bindings, or their ends, are stored before the client hears of them.
    fn bring(&self, rows: Rows) -> Stored {
        let intake = &self.parts.intake;
        match rows {
            Rows::Bound { leases, neighbour, beside: None } => {
                Box::pin(intake.leases6_bound(leases, neighbour))
            }
            Rows::Bound { leases, neighbour, beside: Some(what) } => {
                tracing::info!(what, "a second port of a device has an address");
                Box::pin(intake.leases6_beside(leases, neighbour, what))
            }
            Rows::Ended { addresses, device } => Box::pin(intake.leases6_ended(addresses, device)),
        }
    }

    /// What was refused is said in one line, once in a while.
    fn tell(&mut self) {
        let (at, now) = (self.port.local(), self.clock.instant());
        self.gate.at(now);
        if let Some(dropped) = self.gate.news() {
            tracing::warn!(%at, "DHCPv6 messages beyond the limits: {dropped}");
        }
        if now.saturating_duration_since(self.told) >= gate::REFUSALS_TOLD_EVERY {
            self.told = now;
            if let Some(refused) = self.parts.leases.refused() {
                tracing::warn!(%at, "strangers were refused an address: {refused}");
            }
        }
    }
}

/// Waits for a datagram through whatever errors the socket has.
async fn hear(port: &Port, buffer: &mut [u8]) -> Received {
    loop {
        match port.receive(buffer).await {
            Ok(heard) => return heard,
            Err(error) => {
                tracing::warn!(%error, at = %port.local(), "cannot receive DHCPv6");
                tokio::time::sleep(AFTER_AN_ERROR).await;
            }
        }
    }
}

fn send(port: &Port, reply: &Reply, heard: &Received) {
    if !reply.left_out.is_empty() {
        let codes = reply.left_out.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        tracing::warn!(to = %reply.to, codes, "no room for these DHCPv6 options");
    }
    if let Err(error) = port.send(&reply.bytes, reply.to, heard) {
        tracing::warn!(%error, to = %reply.to, "cannot send a DHCPv6 reply");
    }
}

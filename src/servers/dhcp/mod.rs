//! How do DHCP requests come in and answers go out? Receives, asks the service who it is and which
//! address it gets, and sends what `proto/dhcp4` decided. No decision is made here.
//!
//! Nothing waits for the disk but the ACK itself: each is a task of its own, so that the store can
//! put many of them into one flush while the loop goes on receiving.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::meant::Dhcp;
use crate::error::Error;
use crate::platform::Platforms;
use crate::proto::dhcp4::MESSAGE_BYTES_MAX;
use crate::proto::dhcp4::answer::Reply;
use crate::servers::socket::dhcp::{Port, Received};
use crate::service::intake::Intake;
use crate::service::leases::Leases;

mod flight;
mod request;

use flight::{Flight, Seat};
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
        let driver = Driver {
            port: Arc::new(port),
            parts: parts.clone(),
            clock: clock.clone(),
            flight: flight.clone(),
            acks: JoinSet::new(),
        };
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

/// One socket and its loop.
struct Driver {
    port: Arc<Port>,
    parts: Parts,
    clock: Clock,
    flight: Flight,
    acks: JoinSet<()>,
}

impl Driver {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX + 1];
        let port = Arc::clone(&self.port);
        tracing::info!(at = %port.local(), interface = ?port.interface(), "listening for DHCP");
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|end| *end) => break,
                heard = hear(&port, &mut buffer) => {
                    self.on_datagram(&buffer[..heard.length], heard);
                }
                Some(done) = self.acks.join_next(), if !self.acks.is_empty() => {
                    if let Err(error) = done {
                        tracing::error!(%error, "a DHCP answer was lost");
                    }
                }
            }
        }
        let rest = async { while self.acks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_ACKS_WAIT, rest).await.is_err() {
            tracing::warn!("the store did not take the last leases in time; they are not answered");
        }
    }

    fn on_datagram(&mut self, bytes: &[u8], heard: Received) {
        let request = match request::understand(bytes, &heard) {
            Ok(request) => request,
            Err(why) => {
                tracing::debug!(from = %heard.from, %why, "a datagram that is no DHCP request");
                return;
            }
        };
        let Some(seat) = self.flight.take(request.key()) else {
            tracing::debug!(mac = %request.mac, "this DHCP request is under way");
            return;
        };
        let outcome = request::handle(&request, &heard, &self.parts, self.clock.now());
        self.carry_out(outcome, heard, seat);
    }

    fn carry_out(&mut self, outcome: Outcome, heard: Received, seat: Seat) {
        match outcome {
            Outcome::Say(reply) => send(&self.port, &reply, &heard),
            Outcome::Silent => {}
            Outcome::Store(promised) => {
                let (port, intake) = (Arc::clone(&self.port), self.parts.intake.clone());
                self.acks.spawn(acknowledge(port, intake, *promised, heard, seat));
            }
            Outcome::End(ended) => {
                let intake = self.parts.intake.clone();
                self.acks.spawn(async move {
                    let address = ended.address.into();
                    let stored = intake.lease_ended(address, ended.quarantined_until).await;
                    if let Err(error) = stored {
                        tracing::warn!(%error, %address, "the end of a lease is not stored");
                    }
                    drop(seat);
                });
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
                tracing::warn!(%error, at = %port.local(), "cannot receive DHCP");
                tokio::time::sleep(AFTER_AN_ERROR).await;
            }
        }
    }
}

/// RFC 2131 section 3.1: the binding is stored before the client hears of it.
async fn acknowledge(
    port: Arc<Port>,
    intake: Intake,
    promised: Promised,
    heard: Received,
    seat: Seat,
) {
    let Promised { promise, lease } = promised;
    let (mac, address) = (lease.mac, lease.address);
    match intake.lease_bound(lease).await {
        Ok(receipt) => send(&port, &promise.release(receipt), &heard),
        Err(error) => {
            tracing::warn!(%error, %mac, %address, "no ACK, because the lease is not stored");
        }
    }
    drop(seat);
}

fn send(port: &Port, reply: &Reply, heard: &Received) {
    if !reply.left_out.is_empty() {
        tracing::warn!(to = %reply.to, codes = ?reply.left_out, "no room for these DHCP options");
    }
    if let Err(error) = port.send(&reply.bytes, reply.to, heard) {
        tracing::warn!(%error, to = %reply.to, "cannot send a DHCP reply");
    }
}

//! How do DHCPv6 messages come in and answers go out? Receives, asks the service who it is and
//! which addresses it gets, and sends what `proto/dhcp6` decided. No decision is made here.
//!
//! Nothing waits for the disk but the Reply itself: each is a task of its own, so that the store
//! can put many of them into one flush while the loop goes on receiving.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::meant::Dhcp6;
use crate::error::Error;
use crate::platform::Platforms;
use crate::proto::dhcp6::answer::Reply;
use crate::proto::dhcp6::{Duid, MESSAGE_BYTES_MAX};
use crate::servers::socket::dhcp6::{Port, Received};
use crate::service::intake::Intake;
use crate::service::leases6::Leases6;

mod flight;
mod request;
#[cfg(test)]
mod tests;

use flight::{Flight, Seat};
use request::{Outcome, Promised, Rows};

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

/// One socket and its loop.
struct Driver {
    port: Arc<Port>,
    parts: Parts,
    clock: Clock,
    flight: Flight,
    replies: JoinSet<()>,
}

impl Driver {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX + 1];
        let port = Arc::clone(&self.port);
        let mut rounds = tokio::time::interval(LOOK_AROUND);
        tracing::info!(at = %port.local(), interface = ?port.interface(), "listening for DHCPv6");
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|end| *end) => break,
                heard = hear(&port, &mut buffer) => {
                    self.on_datagram(&buffer[..heard.length], heard);
                }
                _ = rounds.tick() => {
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
        let rest = async { while self.replies.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_REPLIES_WAIT, rest).await.is_err() {
            tracing::warn!("the store did not take the last leases in time; they are not answered");
        }
    }

    fn on_datagram(&mut self, bytes: &[u8], heard: Received) {
        let request = match request::understand(bytes, &heard, &self.parts.name) {
            Ok(request) => request,
            Err(why) => {
                tracing::debug!(from = %heard.from, %why, "a datagram that asks us nothing");
                return;
            }
        };
        for complaint in &request.datagram.complaints {
            tracing::debug!(from = %heard.from, %complaint, "a part of a DHCPv6 message is broken");
        }
        let Some(seat) = self.flight.take(request.key()) else {
            tracing::debug!(client = %request.client(), "this DHCPv6 message is under way");
            return;
        };
        match request::handle(&request, &heard, &self.parts, self.clock.now()) {
            Outcome::Say(reply) => send(&self.port, &reply, &heard),
            Outcome::Silent => {}
            Outcome::Store(promised) => {
                let (port, intake) = (Arc::clone(&self.port), self.parts.intake.clone());
                self.replies.spawn(reply(port, intake, *promised, heard, seat));
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

/// The bindings, or their ends, are stored before the client hears of them.
async fn reply(port: Arc<Port>, intake: Intake, promised: Promised, heard: Received, seat: Seat) {
    let Promised { promise, rows, client } = promised;
    let stored = match rows {
        Rows::Bound { leases, neighbour } => intake.leases6_bound(leases, neighbour).await,
        Rows::Ended(ended) => intake.leases6_ended(ended).await,
    };
    match stored {
        Ok(receipt) => send(&port, &promise.release(receipt), &heard),
        Err(error) => {
            tracing::warn!(%error, client, "no Reply, because its leases are not stored");
        }
    }
    drop(seat);
}

fn send(port: &Port, reply: &Reply, heard: &Received) {
    if !reply.left_out.is_empty() {
        tracing::warn!(to = %reply.to, codes = ?reply.left_out, "no room for these DHCPv6 options");
    }
    if let Err(error) = port.send(&reply.bytes, reply.to, heard) {
        tracing::warn!(%error, to = %reply.to, "cannot send a DHCPv6 reply");
    }
}

//! What the service asks of whoever visits devices, and what comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::run::upgrade::StepEnd;
use crate::platform::Platform;
use crate::platform::observation::Observation;
use crate::platform::software::Filled;
use crate::secret::Secret;

/// One visit.
#[derive(Debug, Clone)]
pub struct Order {
    pub target: SocketAddr,
    pub platform: Arc<Platform>,
    /// In the order to be tried.
    pub credentials: Vec<Credential>,
    /// The hosts to be passed on the way, the first one first; mostly none.
    pub jumps: Vec<Jump>,
    /// `SHA256:...` of the key first seen in this run; another one ends the visit.
    pub pinned_host_key: Option<String>,
    pub purpose: Purpose,
    /// Commands to be asked after the platform's questions; their answers come back by command.
    pub further: Vec<String>,
    /// For the whole visit.
    pub deadline: Duration,
}

#[derive(Debug, Clone)]
pub enum Purpose {
    /// Ask every question of the platform.
    Observe,
    /// Save the running configuration, then ask every question.
    SaveAndObserve,
    /// Ask who it is, whom it hears and which links it has: nothing that could hold a secret.
    Neighbours,
    /// Take one step of an upgrade, unless nothing is left to do.
    Step(Box<Filled>),
}

/// A login, fetched from its source for this visit.
#[derive(Debug, Clone)]
pub struct Credential {
    pub username: String,
    pub password: Option<Secret>,
    /// Tried before the password.
    pub key: Option<PrivateKey>,
    pub enable: Option<Secret>,
}

/// A private key as text: OpenSSH's format or PEM.
#[derive(Debug, Clone)]
pub struct PrivateKey {
    pub text: Secret,
    pub passphrase: Option<Secret>,
}

/// A host that is logged in to on the way to a device.
#[derive(Debug, Clone)]
pub struct Jump {
    /// A name or an address.
    pub host: String,
    pub port: u16,
    /// In the order to be tried.
    pub credentials: Vec<Credential>,
    /// `SHA256:...`; without it the key that is seen first is pinned for as long as this server
    /// runs.
    pub host_key: Option<String>,
}

/// What became of a visit.
#[derive(Debug, Clone)]
pub struct Report {
    /// `SHA256:...` of the key the device showed, if it got that far.
    pub host_key: Option<String>,
    pub outcome: Outcome,
}

#[derive(Debug, Clone)]
pub enum Outcome {
    Observed(Box<Observation>),
    /// A step of an upgrade came to its end.
    Stepped {
        end: StepEnd,
    },
    /// No TCP connection, or no SSH banner in time.
    Unreachable {
        why: String,
    },
    /// SSH answered and no credential was taken.
    LoginRefused {
        why: String,
    },
    /// The host key is not the pinned one; nothing was sent.
    HostKeyChanged {
        found: String,
    },
    /// The device was not reached, and not by its own fault: a jump host let nobody through, or a
    /// secret cannot be read. It says nothing about the device.
    OurSide {
        why: String,
    },
    /// Logged in, and the dialogue did not get to its end: no prompt, too much output,
    /// disconnected.
    Broken {
        why: String,
    },
}

/// Whoever performs visits: given by the daemon, so that the service knows no SSH.
pub type Prober =
    Arc<dyn Fn(Order) -> std::pin::Pin<Box<dyn Future<Output = Report> + Send>> + Send + Sync>;

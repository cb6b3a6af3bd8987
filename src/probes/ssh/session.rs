//! From a way to an end (a device or a jump host) to an authenticated session with it: connection,
//! key exchange, host key, login.

use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{self, Handle};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use tokio::time::timeout;

use super::algorithms::{self, Offer};
use super::login::Login;
use super::memory::Memory;
use super::way::Dial;
use crate::config::meant::Ssh;
use crate::platform::Legacy;
use crate::service::probe::Credential;

/// The key exchange may take this many times the connection's timeout: old switches compute for
/// seconds.
const HANDSHAKE_FACTOR: u32 = 3;

/// How far a visit came, readable from outside when its time is up.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace(Arc<Mutex<Reached>>);

#[derive(Debug, Clone, Default)]
pub(super) struct Reached {
    pub(super) host_key: Option<String>,
    /// A key that was not the pinned one.
    foreign_key: Option<String>,
    pub(super) step: Step,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Step {
    /// Not past this jump host yet.
    Passing(String),
    #[default]
    Connecting,
    LoggingIn,
    LoggedIn,
}

impl Trace {
    pub(super) fn reached(&self) -> Reached {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn step(&self, step: Step) {
        self.note(|reached| reached.step = step);
    }

    fn note(&self, change: impl FnOnce(&mut Reached)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Decides on the host key, before anything secret is sent.
pub(super) struct Guard {
    pinned: Option<String>,
    trace: Trace,
}

impl client::Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let found = shown.public_key().fingerprint(HashAlg::Sha256).to_string();
        let fits = self.pinned.as_ref().is_none_or(|pinned| *pinned == found);
        self.trace.note(|reached| {
            if !fits {
                reached.foreign_key = Some(found.clone());
            }
            reached.host_key = Some(found);
        });
        Ok(fits)
    }
}

/// Who is to be logged in to.
pub(super) struct Target<'a> {
    /// Host and port with the way to it: what is remembered is remembered of this.
    pub(super) name: String,
    pub(super) credentials: &'a [Credential],
    pub(super) legacy: Legacy,
    pub(super) pinned: Option<String>,
    pub(super) trace: Trace,
}

/// Why there is no session. What it means depends on whose session it would have been.
#[derive(Debug)]
pub(super) enum Failed {
    /// No connection, or nobody who speaks SSH on it.
    NoConnection(String),
    /// It was there, and broke off before the keys were exchanged: it may be starting.
    BrokenOff(String),
    /// No algorithm in common, or a violated protocol: waiting will not mend it.
    NoSession(String),
    ForeignKey(String),
    LoginRefused(String),
    /// The jump host before it does not let us through.
    NoWay(String),
    /// Nothing could be tried, for no key of ours can be read.
    NoKey(String),
}

/// Logs in with the first credential that is taken, on as few connections as the other side
/// allows: it may refuse another user name on the same one (RFC 4252, section 5).
pub(super) async fn log_in<'a>(
    target: &Target<'a>,
    dial: &Dial<'_>,
    settings: &Ssh,
    memory: &Memory,
) -> Result<(Handle<Guard>, &'a Credential), Failed> {
    let mut login = Login::new(target.credentials);
    loop {
        let mut handle = connect(target, dial, settings, memory).await?;
        target.trace.step(Step::LoggingIn);
        if let Some(credential) = login.on(&mut handle).await? {
            target.trace.step(Step::LoggedIn);
            return Ok((handle, credential));
        }
    }
}

/// Connects with the offers of algorithms one after the other, what worked last first.
async fn connect(
    target: &Target<'_>,
    dial: &Dial<'_>,
    settings: &Ssh,
    memory: &Memory,
) -> Result<Handle<Guard>, Failed> {
    let mut failed = None;
    let worked = memory.offer(&target.name).await;
    let offers = algorithms::offers(target.legacy, worked);
    let first = offers[0];
    for offer in offers {
        target.trace.step(Step::Connecting);
        match shake_hands(target, dial, settings, offer).await {
            Ok(handle) => {
                memory.worked(&target.name, offer, first).await;
                return Ok(handle);
            }
            // The full offer tells most about the other side.
            Err(why @ (Failed::BrokenOff(_) | Failed::NoSession(_))) => {
                if offer == Offer::All || failed.is_none() {
                    failed = Some(why);
                }
            }
            Err(other) => return Err(other),
        }
    }
    Err(failed.expect("there is at least one offer, and each leads to a session or a reason"))
}

async fn shake_hands(
    target: &Target<'_>,
    dial: &Dial<'_>,
    settings: &Ssh,
    offer: Offer,
) -> Result<Handle<Guard>, Failed> {
    let stream = dial.stream(settings.connect_timeout).await?;
    let pinned = target.pinned.clone().or_else(|| target.trace.reached().host_key);
    let guard = Guard { pinned, trace: target.trace.clone() };
    let config = Arc::new(client::Config {
        preferred: algorithms::preferred(offer),
        gex: algorithms::group_exchange(),
        // Ends the connection's own task should this visit be dropped in between.
        inactivity_timeout: Some(settings.visit_timeout),
        ..client::Config::default()
    });
    let limit = settings.connect_timeout * HANDSHAKE_FACTOR;
    match timeout(limit, client::connect_stream(config, stream, guard)).await {
        Ok(Ok(handle)) => Ok(handle),
        Ok(Err(error)) => Err(handshake_failed(target, dial, offer, &error)),
        Err(_) => {
            let why = format!("{dial} does not speak SSH within {} s", limit.as_secs_f32());
            Err(Failed::NoConnection(why))
        }
    }
}

fn handshake_failed(
    target: &Target<'_>,
    dial: &Dial<'_>,
    offer: Offer,
    error: &russh::Error,
) -> Failed {
    if let Some(found) = target.trace.reached().foreign_key {
        return Failed::ForeignKey(found);
    }
    match error {
        // A device that is still starting closes or resets: it may answer the next visit.
        russh::Error::IO(_)
        | russh::Error::HUP
        | russh::Error::Disconnect
        | russh::Error::ConnectionTimeout
        | russh::Error::InactivityTimeout => {
            Failed::BrokenOff(format!("{dial} broke off the SSH greeting: {error}"))
        }
        // Somebody answers, and waiting will not mend it.
        other => {
            let barred = match offer {
                Offer::All | Offer::Legacy => "",
                Offer::Modern => " (the platform's file bars legacy algorithms)",
            };
            Failed::NoSession(format!("no SSH session with {dial}{barred}: {}", cut(other)))
        }
    }
}

/// An algorithm list in an error can be long.
fn cut(error: &russh::Error) -> String {
    error.to_string().chars().take(600).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::memory::tests::server;
    use super::super::report;
    use super::super::toy::{Toy, order, settings, shell};
    use super::*;
    use crate::service::probe::{Order, Outcome, Report};

    async fn visit(order: &Order, memory: &Memory) -> Report {
        report(order, &settings(), memory).await
    }

    fn with_legacy(order: &mut Order, legacy: Legacy) {
        let platform = Arc::get_mut(&mut order.platform).expect("nobody else holds it");
        platform.cli.legacy = legacy;
    }

    #[tokio::test]
    async fn a_platform_that_bars_legacy_algorithms_says_so() {
        let toy = Toy { legacy: true, ..Toy::default() }.start().await;
        let mut order = order(&toy, shell());
        with_legacy(&mut order, Legacy::Never);
        let report = visit(&order, &Memory::default()).await;
        let Outcome::Broken { why } = &report.outcome else { panic!("{report:?}") };
        assert!(why.contains("the platform's file bars legacy algorithms"), "{why}");
        let modern = Toy::default().start().await;
        order.target = modern.address();
        let report = visit(&order, &Memory::default()).await;
        assert!(matches!(report.outcome, Outcome::Observed(_)), "{report:?}");
    }

    #[tokio::test]
    async fn a_device_that_breaks_off_at_a_long_list_is_offered_a_short_one() {
        let toy = Toy { legacy: true, ..Toy::default() }.start().await;
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut order = order(&toy, shell());
        order.target = front.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, behind) = (Arc::clone(&connections), toy.address());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = front.accept().await {
                if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    let _ = stream.write_all(b"SSH-2.0-old\r\n").await;
                    continue;
                }
                let mut onward = TcpStream::connect(behind).await.unwrap();
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
                });
            }
        });
        let memory = Memory::default();
        // The toy has no host key that the short list knows.
        let first = visit(&order, &memory).await;
        assert!(!matches!(first.outcome, Outcome::Observed(_)), "{first:?}");
        assert_eq!(connections.load(Ordering::SeqCst), 2);
        assert_eq!(memory.offer(&order.target.to_string()).await, None);
        let second = visit(&order, &memory).await;
        assert!(matches!(second.outcome, Outcome::Observed(_)), "{second:?}");
        assert_eq!(memory.offer(&order.target.to_string()).await, Some(Offer::All));
        assert_eq!(connections.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_server_that_restarted_begins_with_the_algorithms_that_worked_before() {
        let toy = Toy::default().start().await;
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut order = order(&toy, shell());
        order.target = front.local_addr().unwrap();
        // The toy has no host key that the short list knows, and that comes first here.
        with_legacy(&mut order, Legacy::First);
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, behind) = (Arc::clone(&connections), toy.address());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = front.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut onward = TcpStream::connect(behind).await.unwrap();
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
                });
            }
        });
        let (keys, algorithms) = Default::default();
        for (visits, expected) in [(1, 2), (2, 3), (3, 4)] {
            // Each visit by a server that was just started.
            let memory = server(&keys, &algorithms, false);
            let report = visit(&order, &memory).await;
            assert!(matches!(report.outcome, Outcome::Observed(_)), "{report:?}");
            assert_eq!(connections.load(Ordering::SeqCst), expected, "after {visits} visits");
        }
        let forgetful = visit(&order, &Memory::default()).await;
        assert!(matches!(forgetful.outcome, Outcome::Observed(_)), "{forgetful:?}");
        assert_eq!(connections.load(Ordering::SeqCst), 6, "it needs both tries again");
    }
}

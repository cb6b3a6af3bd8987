//! The way to a device: directly, or through jump hosts that are logged in to one after the other.
//!
//! Whatever goes wrong at a jump host is [`Outcome::OurSide`]: it says nothing about the device.
//! Only what a jump host says of the device itself (it cannot connect there) is the device's.

use std::fmt;
use std::time::Duration;

use russh::ChannelOpenFailure;
use russh::client::Handle;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::memory::Memory;
use super::session::{Failed, Guard, Step, Target, Trace, log_in};
use crate::config::meant::Ssh;
use crate::platform::Legacy;
use crate::service::probe::{Jump, Order, Outcome};

/// A jump host that broke down is noticed within this time.
const NOTICED_WITHIN: Duration = Duration::from_millis(100);
/// Saying goodbye may take this long; the visit's result does not wait for more.
const GOODBYE: Duration = Duration::from_secs(1);

/// What SSH is spoken over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How one end is reached.
pub(super) struct Dial<'a> {
    host: String,
    port: u16,
    /// The last jump host before it.
    through: Option<(&'a Handle<Guard>, &'a Jump)>,
}

impl fmt::Display for Dial<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(out, "[{}]:{}", self.host, self.port),
            false => write!(out, "{}:{}", self.host, self.port),
        }
    }
}

impl Dial<'_> {
    pub(super) async fn stream(&self, limit: Duration) -> Result<Box<dyn Stream>, Failed> {
        let late = |_| {
            let why = format!("no connection to {self} within {} s", limit.as_secs_f32());
            Failed::NoConnection(why)
        };
        let Some((handle, jump)) = self.through else {
            let connecting = TcpStream::connect((self.host.as_str(), self.port));
            let stream = timeout(limit, connecting).await.map_err(late)?.map_err(|error| {
                Failed::NoConnection(format!("no connection to {self}: {error}"))
            })?;
            // Without it each keystroke may wait for the other side's delayed acknowledgement.
            let _ = stream.set_nodelay(true);
            return Ok(Box::new(stream));
        };
        // RFC 4254, section 7.2: where the connection comes from is told; ours begins here.
        let port = u32::from(self.port);
        let opening = handle.channel_open_direct_tcpip(self.host.as_str(), port, "127.0.0.1", 0);
        match timeout(limit, opening).await.map_err(late)? {
            Ok(channel) => Ok(Box::new(channel.into_stream())),
            Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) => {
                let name = jump_name(jump);
                let why = format!("no connection from the jump host {name} to {self}");
                Err(Failed::NoConnection(why))
            }
            Err(error) => {
                let name = jump_name(jump);
                Err(Failed::NoWay(format!("the jump host {name} opens no way to {self}: {error}")))
            }
        }
    }
}

/// The jump hosts of one visit, logged in to.
pub(super) struct Way<'a> {
    order: &'a Order,
    passed: Vec<(Handle<Guard>, &'a Jump)>,
}

impl<'a> Way<'a> {
    /// Logs in to every jump host, each through the one before it.
    pub(super) async fn open(
        order: &'a Order,
        settings: &Ssh,
        memory: &Memory,
        trace: &Trace,
    ) -> Result<Self, Outcome> {
        let mut way = Self { order, passed: Vec::new() };
        for jump in &order.jumps {
            trace.step(Step::Passing(jump_name(jump)));
            way.pass(jump, settings, memory).await.map_err(|failed| refused(jump, failed))?;
        }
        trace.step(Step::Connecting);
        Ok(way)
    }

    async fn pass(
        &mut self,
        jump: &'a Jump,
        settings: &Ssh,
        memory: &Memory,
    ) -> Result<(), Failed> {
        let dial = self.dial(jump.host.clone(), jump.port);
        let name = format!("{}{dial}", self.prefix());
        let pinned = match &jump.host_key {
            Some(planned) => Some(planned.clone()),
            None => memory.host_key(&name).await.map_err(|why| unknown_key(jump, &why))?,
        };
        let target = Target {
            pinned,
            name,
            credentials: &jump.credentials,
            legacy: Legacy::Last,
            trace: Trace::default(),
        };
        let (handle, _) = log_in(&target, &dial, settings, memory).await?;
        if let Some(key) = target.trace.reached().host_key.filter(|_| jump.host_key.is_none()) {
            let pinned = memory.pin(&target.name, key).await;
            pinned.map_err(|why| unknown_key(jump, &why))?;
        }
        self.passed.push((handle, jump));
        Ok(())
    }

    /// The jump hosts before the next end: two sites may use the same addresses.
    fn prefix(&self) -> String {
        self.passed.iter().map(|(_, jump)| format!("{}:{}>", jump.host, jump.port)).collect()
    }

    fn dial(&self, host: String, port: u16) -> Dial<'_> {
        let through = self.passed.last().map(|(handle, jump)| (handle, *jump));
        Dial { host, port, through }
    }

    pub(super) fn to_device(&self) -> Dial<'_> {
        self.dial(self.order.target.ip().to_string(), self.order.target.port())
    }

    /// The device at the end of this way.
    pub(super) fn device(&self, trace: &Trace) -> Target<'a> {
        Target {
            name: format!("{}{}", self.prefix(), self.order.target),
            credentials: &self.order.credentials,
            legacy: self.order.platform.cli.legacy,
            pinned: self.order.pinned_host_key.clone(),
            trace: trace.clone(),
        }
    }

    /// The outcome of a visit that failed, unless it failed because a jump host went away.
    pub(super) async fn blamed(&self, outcome: Outcome) -> Outcome {
        if self.passed.is_empty() {
            return outcome;
        }
        // A connection through it ends a moment before its own is known to have ended.
        sleep(NOTICED_WITHIN).await;
        let gone = self.passed.iter().find(|(handle, _)| handle.is_closed());
        match gone {
            Some((_, jump)) => {
                let name = jump_name(jump);
                Outcome::OurSide { why: format!("the jump host {name} closed the connection") }
            }
            None => outcome,
        }
    }

    pub(super) async fn leave(self) {
        for (handle, _) in self.passed.into_iter().rev() {
            let goodbye = handle.disconnect(russh::Disconnect::ByApplication, "", "");
            let _ = timeout(GOODBYE, goodbye).await;
        }
    }
}

fn jump_name(jump: &Jump) -> String {
    format!("`{}`", jump.host)
}

/// What a failure at a jump host means.
fn refused(jump: &Jump, failed: Failed) -> Outcome {
    let name = jump_name(jump);
    let why = match failed {
        Failed::NoConnection(why)
        | Failed::BrokenOff(why)
        | Failed::NoSession(why)
        | Failed::NoWay(why) => format!("jump host {name}: {why}"),
        Failed::LoginRefused(why) => format!("the jump host {name} refuses the login: {why}"),
        Failed::NoKey(why) => format!("no login for the jump host {name}: {why}"),
        Failed::ForeignKey(found) => match &jump.host_key {
            Some(planned) => {
                format!("the jump host {name} shows the key {found}, and {planned} is planned")
            }
            None => format!(
                "the jump host {name} shows another key than before: {found}; if that is right, \
                 write it as its `host_key`"
            ),
        },
    };
    Outcome::OurSide { why }
}

/// Without knowing what was seen before, a jump host is not trusted with a password.
fn unknown_key(jump: &Jump, why: &str) -> Failed {
    let name = jump_name(jump);
    Failed::NoWay(format!(
        "the key of the jump host {name} can be neither looked up nor kept: {why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::toy::{Toy, jump, order, settings, shell};
    use super::super::{Memory, report};
    use super::*;
    use crate::secret::Secret;
    use crate::service::probe::Report;

    async fn passing() -> Toy {
        Toy { passes: true, ..Toy::default() }.start().await
    }

    async fn visit(order: &Order, memory: &Memory) -> Report {
        report(order, &settings(), memory).await
    }

    fn ours(report: &Report) -> &str {
        let Outcome::OurSide { why } = &report.outcome else { panic!("{report:?}") };
        assert!(!why.contains("secret"), "{why}");
        why
    }

    #[tokio::test]
    async fn a_device_behind_two_jump_hosts_is_visited_as_any_other() {
        let (device, first, second) =
            (Toy::default().start().await, passing().await, passing().await);
        let mut order = order(&device, shell());
        let direct = visit(&order, &Memory::default()).await;
        order.jumps = vec![jump(&first), jump(&second)];
        let report = visit(&order, &Memory::default()).await;
        assert!(matches!(report.outcome, Outcome::Observed(_)), "{report:?}");
        assert_eq!(report.host_key, direct.host_key, "the key told is the device's");
        assert_eq!((first.logins().len(), second.logins().len()), (1, 1));
        assert_eq!(device.logins().len(), 2);
    }

    #[tokio::test]
    async fn what_is_wrong_at_a_jump_host_is_not_the_devices_fault() {
        let (device, good, shut) =
            (Toy::default().start().await, passing().await, Toy::default().start().await);
        let memory = Memory::default();
        let mut order = order(&device, shell());

        order.jumps = vec![jump(&shut)];
        let prohibited = visit(&order, &memory).await;
        assert!(ours(&prohibited).contains("opens no way to"), "{prohibited:?}");

        order.jumps = vec![jump(&good)];
        order.jumps[0].credentials[0].password = Some(Secret::new("wrong-secret"));
        assert!(ours(&visit(&order, &memory).await).contains("refuses the login"));

        order.jumps = vec![jump(&good)];
        order.jumps[0].host_key = Some("SHA256:another".to_owned());
        let before = good.logins().len();
        assert!(ours(&visit(&order, &memory).await).contains("SHA256:another is planned"));
        assert_eq!(good.logins().len(), before, "nothing was sent to it");

        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = nobody.local_addr().unwrap().port();
        drop(nobody);
        order.jumps = vec![jump(&good)];
        order.jumps[0].port = closed;
        assert!(ours(&visit(&order, &memory).await).contains("no connection"));
        order.jumps = vec![jump(&good), jump(&good)];
        order.jumps[1].port = closed;
        assert!(ours(&visit(&order, &memory).await).contains("no connection from the jump host"));
        assert_eq!(device.logins(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_device_that_a_jump_host_cannot_reach_is_unreachable() {
        let good = passing().await;
        let mut order = order(&good, shell());
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        order.target = nobody.local_addr().unwrap();
        drop(nobody);
        order.jumps = vec![jump(&good)];
        let report = visit(&order, &Memory::default()).await;
        let Outcome::Unreachable { why } = &report.outcome else { panic!("{report:?}") };
        assert!(why.starts_with("no connection from the jump host"), "{why}");
        assert_eq!(report.host_key, None);
    }

    #[tokio::test]
    async fn the_first_key_of_a_jump_host_is_pinned() {
        let (device, good) = (Toy::default().start().await, passing().await);
        let memory = Memory::default();
        let mut order = order(&device, shell());
        order.jumps = vec![jump(&good)];
        let name = good.address().to_string();
        memory.pin(&name, "SHA256:of yesterday".to_owned()).await.unwrap();
        assert!(ours(&visit(&order, &memory).await).contains("another key than before"));
        let fresh = Memory::default();
        assert!(matches!(visit(&order, &fresh).await.outcome, Outcome::Observed(_)));
        assert!(fresh.host_key(&name).await.unwrap().is_some());
        assert!(matches!(visit(&order, &fresh).await.outcome, Outcome::Observed(_)));
    }
}

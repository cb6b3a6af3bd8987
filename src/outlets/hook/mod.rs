//! Hand-off by HTTP request or command: who takes over is told once a run, by its own rows.

mod exec;
mod http;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::secret::Secret;
use crate::service::memory::{Delivery, DeliveryState};
use crate::service::outbox::{HandoffPayload, Outbox, hook_outlet};

/// One hook.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: String,
    pub target: Target,
    /// For one attempt.
    pub timeout: Duration,
    /// When to try again; the last one is followed by giving up.
    pub retries: Vec<Duration>,
    /// `ce-source` (CloudEvents 1.0 section "source"): which Greenlight speaks.
    pub source: String,
    /// Devices handed over at the same time.
    pub concurrent_max: usize,
    /// Without a wake-up the queue is looked at this often.
    pub poll: Duration,
}

/// Who is told.
#[derive(Debug, Clone)]
pub enum Target {
    Http {
        url: String,
        headers: BTreeMap<String, String>,
        secret_headers: BTreeMap<String, Secret>,
        /// Signs the body (Standard Webhooks) when set.
        signing: Option<Secret>,
    },
    /// No shell: the program and its arguments.
    Exec { argv: Vec<String> },
}

/// The last word of a hook about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub run: String,
    pub hook: String,
    pub accepted: bool,
    /// Cleaned and bounded: an HTTP status with the start of the body, or a command's last lines.
    pub answer: String,
}

/// Who hears it. It may be told the same answer again after a restart.
pub type CallBack = Arc<dyn Fn(Answered) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Attempt {
    Accepted(String),
    /// It may be tried again, not before this time has passed.
    Again {
        after: Duration,
        why: String,
    },
    /// It may be tried again, and may have happened already.
    Unclear(String),
    Refused(String),
}

struct Hook {
    settings: Settings,
    caller: Caller,
    outbox: Outbox,
    clock: Clock,
    answered: CallBack,
}

enum Caller {
    Http(http::Caller),
    Exec(exec::Caller),
}

/// Drains the rows of one hook until `shutdown` becomes true; attempts under way are finished.
/// `answered` hears the last word of each, after it is stored.
pub async fn run(
    settings: Settings,
    outbox: Outbox,
    clock: Clock,
    answered: CallBack,
    mut shutdown: watch::Receiver<bool>,
) {
    let caller = match caller(&settings) {
        Ok(caller) => caller,
        Err(why) => {
            tracing::error!(hook = %settings.name, %why, "this hook cannot be called");
            return;
        }
    };
    let outlet = hook_outlet(&settings.name);
    let (poll, concurrent_max) = (settings.poll, settings.concurrent_max.max(1));
    let mut waiting = outbox.clone();
    let hook = Arc::new(Hook { settings, caller, outbox, clock, answered });
    while let Err(refused) = hook.outbox.resume(&outlet).await {
        tracing::warn!(%refused, hook = %hook.settings.name, "the hook's rows cannot be read");
        tokio::time::sleep(poll).await;
    }
    let mut attempts = JoinSet::new();
    while !*shutdown.borrow() {
        if attempts.len() < concurrent_max {
            match hook.outbox.claim(&outlet).await {
                Ok(Some(row)) => {
                    let hook = hook.clone();
                    attempts.spawn(async move { hook.deliver(&row).await });
                    continue;
                }
                Ok(None) => {}
                Err(refused) => tracing::warn!(%refused, "a hook's rows cannot be claimed"),
            }
        }
        tokio::select! {
            () = waiting.wait(poll) => {}
            Some(_) = attempts.join_next() => {}
            changed = shutdown.changed() => if changed.is_err() { break },
        }
    }
    while attempts.join_next().await.is_some() {}
}

fn caller(settings: &Settings) -> Result<Caller, String> {
    match &settings.target {
        Target::Http { .. } => Ok(Caller::Http(http::Caller::new(settings)?)),
        Target::Exec { argv } => Ok(Caller::Exec(exec::Caller::new(argv, settings.timeout)?)),
    }
}

impl Hook {
    async fn deliver(&self, row: &Delivery) {
        let attempt = match serde_json::from_value::<HandoffPayload>(row.payload.clone()) {
            Ok(payload) => self.attempt(row, &payload).await,
            Err(_) => Attempt::Refused("the row cannot be read".into()),
        };
        let now = self.clock.now();
        let (hook, run) = (self.settings.name.as_str(), row.subject.as_str());
        let tries = usize::try_from(row.attempts.max(1)).unwrap_or(usize::MAX);
        let next = self.settings.retries.get(tries - 1).copied();
        match (attempt, next) {
            (Attempt::Accepted(answer), _) => {
                self.outbox.done(row, &answer, &[]).await;
                self.tell(row, true, answer).await;
            }
            (Attempt::Again { after, why }, Some(wait)) => {
                tracing::warn!(hook, run, %why, "hand-off again");
                self.outbox.retry(row, now.plus(wait.max(after)), &why).await;
            }
            (Attempt::Unclear(why), Some(wait)) => {
                tracing::warn!(hook, run, %why, "hand-off again");
                self.outbox.unclear(row, now.plus(wait), &why).await;
            }
            (Attempt::Again { why, .. } | Attempt::Unclear(why), None)
            | (Attempt::Refused(why), _) => {
                tracing::error!(hook, run, %why, "hand-off refused");
                self.outbox.dead(row, &why).await;
                self.tell(row, false, why).await;
            }
        }
    }

    async fn attempt(&self, row: &Delivery, payload: &HandoffPayload) -> Attempt {
        match &self.caller {
            // The receiver knows a repeat by its id and idempotency key.
            Caller::Http(caller) => caller.call(payload, self.clock.now()).await,
            // A command has no key to be known by. Running it twice may harm; so it is not run.
            Caller::Exec(_) if row.state == DeliveryState::Unclear => Attempt::Refused(
                "Greenlight ended while the command ran; look what it did, then run it by hand"
                    .into(),
            ),
            Caller::Exec(caller) => caller.call(payload).await,
        }
    }

    async fn tell(&self, row: &Delivery, accepted: bool, answer: String) {
        let hook = self.settings.name.clone();
        (self.answered)(Answered { run: row.subject.clone(), hook, accepted, answer }).await;
    }
}

/// The event as every hook gets it: a Standard Webhooks envelope, with the id inside for receivers
/// that see the body alone.
fn envelope(payload: &HandoffPayload) -> Vec<u8> {
    let envelope = serde_json::json!({
        "type": "greenlight.device.ready",
        "timestamp": payload.at.to_string(),
        "id": payload.id,
        "data": payload.data,
    });
    serde_json::to_vec(&envelope).expect("an envelope has string keys only")
}

/// Lines of an answer that are kept, and characters of each.
const ANSWER_LINES_MAX: usize = 20;
const ANSWER_LINE_CHARS_MAX: usize = 500;

/// The last lines of a text from outside, cleaned.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(ANSWER_LINES_MAX);
    let clean = |line: &&str| crate::domain::notice::clean(line, ANSWER_LINE_CHARS_MAX);
    lines[from..].iter().map(clean).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;

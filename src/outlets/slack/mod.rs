//! Slack by bot token or webhook: one serial sender that drains its rows of the outbox.
//!
//! A post is not idempotent at Slack's side. So a row is `Sending` on disk before its call, the
//! call is made once, and a call whose fate is unknown is looked for by its key before it is made
//! again.

mod deliver;
mod methods;
mod render;
mod trouble;
pub mod webhook;

#[cfg(test)]
mod double;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod story;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::outlets::call;
use crate::proto::slack::answer::Anchor;
use crate::proto::slack::pacing::{Call, Limits, Pacing};
use crate::secret::Secret;
use crate::service::memory::Delivery;
use crate::service::outbox::{DeliveryKind, Outbox, SLACK};

pub use trouble::{Trouble, Troubles};

/// What a sender needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bot token, `xoxb-...`.
    pub token: Secret,
    /// `https://slack.com/api/`.
    pub api_url: String,
    /// Put before what needs somebody, and before the end: `<!here>`, or nothing.
    pub mention: String,
    /// For one call.
    pub timeout: Duration,
    pub limits: Limits,
    pub delays: Delays,
    pub entropy: Entropy,
}

/// How long what is put off.
#[derive(Debug, Clone, Copy)]
pub struct Delays {
    /// The first wait after a call that could not be made; it doubles.
    pub backoff: Duration,
    /// Where it stops doubling.
    pub backoff_max: Duration,
    /// From a call of unknown fate to the look for it: what Slack accepted has to become visible.
    pub look_after: Duration,
    /// Until the next try when a person has to change something at Slack's side.
    pub set_up: Duration,
    /// Without a wake-up the queue is looked at this often.
    pub poll: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            look_after: Duration::from_secs(3),
            set_up: Duration::from_secs(60),
            poll: Duration::from_millis(500),
        }
    }
}

impl Settings {
    /// The usual settings.
    pub fn new(token: Secret, api_url: String) -> Self {
        Self {
            token,
            api_url,
            mention: "<!here>".to_owned(),
            timeout: Duration::from_secs(10),
            limits: Limits::default(),
            delays: Delays::default(),
            entropy: Entropy::System,
        }
    }
}

/// What a sender keeps in memory. Nothing here is needed after a restart.
pub(super) struct Sender {
    settings: Settings,
    client: Client,
    outbox: Outbox,
    clock: Clock,
    pacing: Pacing,
    /// Parents known, to judge a row's turn without asking the store. At most [`KNOWN_MAX`].
    anchors: HashMap<String, Anchor>,
    /// The ids of channels we know by name.
    channels: HashMap<String, String>,
    /// Calls in a row that brought nothing.
    failures: u32,
    paused_until: Option<Instant>,
    troubles: Troubles,
}

/// More runs than this are not talked about at the same time.
const KNOWN_MAX: usize = 10_000;

/// Drains the rows of [`SLACK`] until `shutdown` becomes true. A call under way is finished.
/// What a person has to mend at Slack's side stands in `troubles`.
pub async fn run(
    settings: Settings,
    outbox: Outbox,
    clock: Clock,
    troubles: Troubles,
    mut shutdown: watch::Receiver<bool>,
) {
    let client = match call::client(settings.timeout) {
        Ok(client) => client,
        Err(why) => {
            tracing::error!(%why, "no HTTP client for Slack");
            troubles.set(Trouble::Off(why));
            return;
        }
    };
    let pacing = Pacing::new(settings.limits);
    let mut sender = Sender {
        settings,
        client,
        outbox,
        clock,
        pacing,
        anchors: HashMap::new(),
        channels: HashMap::new(),
        failures: 0,
        paused_until: None,
        troubles,
    };
    sender.resume().await;
    while !*shutdown.borrow() {
        let idle = sender.turn().await;
        let Some(idle) = idle else { continue };
        tokio::select! {
            () = sender.outbox.wait(idle) => {}
            changed = shutdown.changed() => if changed.is_err() { return },
        }
    }
}

impl Sender {
    async fn resume(&mut self) {
        while let Err(refused) = self.outbox.resume(SLACK).await {
            tracing::warn!(%refused, "Slack's rows cannot be read");
            tokio::time::sleep(self.settings.delays.poll).await;
        }
    }

    /// Delivers one row. Returns how long to rest if there was none.
    async fn turn(&mut self) -> Option<Duration> {
        let now = self.clock.instant();
        let poll = self.settings.delays.poll;
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Some(poll.min(until - now));
        }
        let claimed = self.outbox.claim_best(SLACK, |row| self.rank(row, now)).await;
        match claimed {
            Ok(Some(delivery)) => {
                self.deliver(&delivery).await;
                None
            }
            Ok(None) => Some(poll),
            Err(refused) => {
                tracing::warn!(%refused, "Slack's rows cannot be claimed");
                Some(poll)
            }
        }
    }

    /// Action needed, then the end, then first parents, then edits. `None` if the call may not go
    /// yet.
    fn rank(&self, row: &Delivery, now: Instant) -> Option<u8> {
        let kind = DeliveryKind::named(&row.kind)?;
        let channel = row.payload["channel"].as_str().unwrap_or_default().to_owned();
        let call = match (kind, self.anchors.get(&row.subject)) {
            (DeliveryKind::Parent, Some(anchor)) => {
                let news = serde_json::from_value(row.payload["notice"]["kind"].clone());
                let progress = news.map_or(true, deliver::patient);
                Call::Edit { anchor: anchor.clone(), progress }
            }
            // Its own message is known only after a question to the store.
            (DeliveryKind::Cleared, _) => Call::Look,
            (
                DeliveryKind::Post
                | DeliveryKind::Parent
                | DeliveryKind::Action
                | DeliveryKind::Still
                | DeliveryKind::Last
                | DeliveryKind::Event,
                _,
            ) => Call::Post { channel },
        };
        if self.pacing.wait(&call, now).is_some() {
            return None;
        }
        Some(match kind {
            DeliveryKind::Action => 0,
            DeliveryKind::Last | DeliveryKind::Still => 1,
            DeliveryKind::Post | DeliveryKind::Cleared => 2,
            DeliveryKind::Parent | DeliveryKind::Event => 3,
        })
    }
}

//! Slack with nothing but a webhook's address: no `ts` comes back, so there is no thread and no
//! edit. At most three messages a device: started, the first action needed, the end.

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::outlets::call::{self, NoAnswer, call};
use crate::outlets::slack::deliver::{REPEAT, repeats, with_repeats};
use crate::outlets::slack::{Delays, Trouble, Troubles, render};
use crate::proto::slack::answer::{Outcome, of_webhook};
use crate::proto::slack::message::{Content, plain};
use crate::proto::slack::pacing::{Call, Limits, Pacing};
use crate::secret::Secret;
use crate::service::memory::{Delivery, DeliveryState};
use crate::service::outbox::{ChatPayload, DeliveryKind, Outbox, SLACK_WEBHOOK, action_subject};

/// Repeats of a message whose fate is unclear.
const REPEATS_MAX: u32 = 3;

/// What this sender needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The whole address: whoever knows it can post.
    pub url: Secret,
    /// Put before what needs somebody, and before the end.
    pub mention: String,
    /// For one call.
    pub timeout: Duration,
    pub limits: Limits,
    pub delays: Delays,
}

impl Settings {
    /// The usual settings.
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            mention: "<!here>".to_owned(),
            timeout: Duration::from_secs(10),
            limits: Limits::default(),
            delays: Delays::default(),
        }
    }
}

struct Sender {
    settings: Settings,
    client: Client,
    outbox: Outbox,
    clock: Clock,
    pacing: Pacing,
    failures: u32,
    paused_until: Option<Instant>,
    troubles: Troubles,
}

/// Drains the rows of [`SLACK_WEBHOOK`] until `shutdown` becomes true.
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
            tracing::error!(%why, "no HTTP client for Slack's webhook");
            troubles.set(Trouble::Off(why));
            return;
        }
    };
    let pacing = Pacing::new(settings.limits);
    let (failures, paused_until) = (0, None);
    let mut sender =
        Sender { settings, client, outbox, clock, pacing, failures, paused_until, troubles };
    while let Err(refused) = sender.outbox.resume(SLACK_WEBHOOK).await {
        tracing::warn!(%refused, "the webhook's rows cannot be read");
        tokio::time::sleep(sender.settings.delays.poll).await;
    }
    while !*shutdown.borrow() {
        if sender.turn().await {
            continue;
        }
        let poll = sender.settings.delays.poll;
        tokio::select! {
            () = sender.outbox.wait(poll) => {}
            changed = shutdown.changed() => if changed.is_err() { return },
        }
    }
}

impl Sender {
    /// Delivers one row; false if there was none.
    async fn turn(&mut self) -> bool {
        let now = self.clock.instant();
        let channel = Call::Post { channel: String::new() };
        if self.paused_until.is_some_and(|until| until > now)
            || self.pacing.wait(&channel, now).is_some()
        {
            return false;
        }
        let rank = |row: &Delivery| {
            Some(match DeliveryKind::named(&row.kind)? {
                DeliveryKind::Action => 0,
                DeliveryKind::Last => 1,
                DeliveryKind::Post
                | DeliveryKind::Parent
                | DeliveryKind::Still
                | DeliveryKind::Cleared
                | DeliveryKind::Event => 2,
            })
        };
        match self.outbox.claim_best(SLACK_WEBHOOK, rank).await {
            Ok(Some(row)) => {
                self.deliver(&row).await;
                true
            }
            Ok(None) => false,
            Err(refused) => {
                tracing::warn!(%refused, "the webhook's rows cannot be claimed");
                false
            }
        }
    }

    async fn deliver(&mut self, row: &Delivery) {
        let payload = serde_json::from_value::<ChatPayload>(row.payload.clone());
        let (Ok(payload), Some(kind)) = (payload, DeliveryKind::named(&row.kind)) else {
            return self.outbox.dead(row, "the row cannot be read").await;
        };
        let action = action_subject(&row.subject);
        if kind == DeliveryKind::Action {
            match self.outbox.reference(SLACK_WEBHOOK, &action).await {
                Ok(None) => {}
                Ok(Some(_)) => return self.outbox.done(row, "one was said before", &[]).await,
                Err(refused) => {
                    let wait = self.settings.delays.backoff;
                    return self.later(row, wait, &refused.to_string()).await;
                }
            }
        }
        let loud = matches!(kind, DeliveryKind::Action | DeliveryKind::Last);
        let mut prefix = "";
        if row.state == DeliveryState::Unclear {
            if !loud || repeats(&row.note) >= REPEATS_MAX {
                let why = "its fate is unclear, and it is not repeated";
                return self.outbox.dead(row, why).await;
            }
            prefix = REPEAT;
        }
        let mention = if loud { self.settings.mention.as_str() } else { "" };
        let content = render::alone(&payload.notice, mention, prefix);
        let outcome = self.post(content).await;
        self.settle(row, outcome, (kind == DeliveryKind::Action).then_some(action)).await;
    }

    async fn post(&mut self, content: Content) -> Outcome {
        let mut outcome = self.once(&content).await;
        if let Outcome::OurBug(why) = &outcome {
            tracing::error!(%why, "Slack does not take our blocks");
            outcome = self.once(&plain(&content)).await;
        }
        outcome
    }

    async fn once(&mut self, content: &Content) -> Outcome {
        let request = self.client.post(self.settings.url.expose()).json(content);
        let outcome = match call(request).await {
            Ok(got) => of_webhook(got.status, got.retry_after.as_deref(), &got.body),
            Err(NoAnswer::Unsent(why)) => Outcome::Unsent(why),
            Err(NoAnswer::Unclear(why)) => Outcome::Unclear(why),
        };
        let channel = Call::Post { channel: String::new() };
        self.pacing.made(&channel, self.clock.instant());
        if let Outcome::Wait(wait) = &outcome {
            self.pacing.refused(&channel, *wait, self.clock.instant());
        }
        outcome
    }

    async fn settle(&mut self, row: &Delivery, outcome: Outcome, said: Option<String>) {
        let now = self.clock.now();
        let delays = self.settings.delays;
        match outcome {
            Outcome::Done(_) => {
                self.failures = 0;
                self.troubles.answered(Some(""));
                let said: Vec<_> =
                    said.map(|subject| (subject, "said".into())).into_iter().collect();
                self.outbox.done(row, "", &said).await;
            }
            Outcome::Wait(wait) => self.later(row, wait, "asked to wait").await,
            Outcome::Unsent(why) => {
                let longest = delays.backoff.saturating_mul(1 << self.failures.min(10));
                let wait = longest.min(delays.backoff_max);
                self.failures = self.failures.saturating_add(1);
                self.paused_until = Some(self.clock.instant() + wait);
                self.troubles.set(Trouble::Away(why.clone()));
                self.later(row, wait, &why).await;
            }
            Outcome::Unclear(why) => {
                self.troubles.set(Trouble::Away(why.clone()));
                let again = u32::from(row.state == DeliveryState::Unclear);
                let note = with_repeats(repeats(&row.note) + again, &why);
                self.outbox.unclear(row, now.plus(delays.look_after), &note).await;
            }
            Outcome::OurBug(why) | Outcome::ParentLost(why) => self.outbox.dead(row, &why).await,
            Outcome::SetUp(why) => {
                let channel = String::new();
                self.troubles.set(Trouble::SetUp { channel, why: why.clone() });
                self.later(row, delays.set_up, &why).await;
            }
            Outcome::OutletOff(why) => {
                self.troubles.set(Trouble::Off(why.clone()));
                self.paused_until = Some(self.clock.instant() + delays.set_up);
                self.later(row, delays.set_up, &why).await;
            }
        }
    }

    /// Nothing happened now; what was unclear before stays so.
    async fn later(&self, row: &Delivery, wait: Duration, why: &str) {
        let at = self.clock.now().plus(wait);
        if row.state == DeliveryState::Unclear {
            let note = with_repeats(repeats(&row.note), why);
            self.outbox.unclear(row, at, &note).await;
        } else {
            self.outbox.retry(row, at, why).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::domain::notice::Kind;
    use crate::outlets::slack::story::{QUICK, Story, UNPACED, crypto};
    use crate::outlets::wire::{Heard, Said, serve};
    use crate::service::outbox::ChatOutlet;

    /// A webhook that answers each call as told, then `ok`.
    async fn hooked(answers: Vec<Said>) -> (String, Arc<Mutex<Vec<Heard>>>) {
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let (seen, answers) = (heard.clone(), Mutex::new(answers.into_iter()));
        let address = serve(Arc::new(move |request| {
            seen.lock().unwrap().push(request);
            answers.lock().unwrap().next().unwrap_or_else(|| Said::text(200, "ok"))
        }))
        .await;
        (format!("http://{address}/services/T/B/x"), heard)
    }

    async fn by_webhook(answers: Vec<Said>, kinds: &[Kind]) -> (Vec<String>, Story) {
        crypto();
        let (url, heard) = hooked(answers).await;
        let mut story = Story::new("");
        story.outlets = vec![ChatOutlet::SlackWebhook];
        let settings =
            Settings { limits: UNPACED, delays: QUICK, ..Settings::new(Secret::new(url)) };
        let worker = run(
            settings,
            story.outbox(),
            Clock::System,
            story.troubles.clone(),
            story.end.subscribe(),
        );
        tokio::spawn(worker);
        for (seq, kind) in kinds.iter().enumerate() {
            story.tell(*kind, seq as u64 + 1).await;
            story.settled().await;
        }
        let texts = heard
            .lock()
            .unwrap()
            .iter()
            .map(|request| request.json()["text"].clone())
            .collect::<Vec<_>>();
        (texts.into_iter().map(|text| text.as_str().unwrap().to_owned()).collect(), story)
    }

    const BUSY: [Kind; 7] = [
        Kind::Started,
        Kind::Progress,
        Kind::ActionNeeded,
        Kind::Cleared,
        Kind::ActionNeeded,
        Kind::Cleared,
        Kind::Done,
    ];

    #[tokio::test]
    async fn a_webhook_carries_three_messages_a_device_at_most() {
        let (texts, _) = by_webhook(vec![], &BUSY).await;
        assert_eq!(texts, ["Started 1", "ActionNeeded 3", "Done 7"]);
    }

    #[tokio::test]
    async fn a_webhook_of_unknown_fate_repeats_only_what_matters() {
        let fail = || Said::text(500, "no");
        let (texts, story) = by_webhook(vec![fail(), fail()], &[Kind::Started, Kind::Done]).await;
        assert_eq!(texts, ["Started 1", "Done 2", "(repeat) Done 2"]);
        assert_eq!(story.paper.states(), [("R/post", "dead"), ("R/last", "done")]);
    }
}

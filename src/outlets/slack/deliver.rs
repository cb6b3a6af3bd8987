//! One row: which call it takes, and what its answer means for the row.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::domain::notice::Kind;
use crate::outlets::slack::methods::Fate;
use crate::outlets::slack::{KNOWN_MAX, Sender, Trouble, render};
use crate::proto::slack::answer::{Anchor, Outcome};
use crate::service::memory::{Delivery, DeliveryState};
use crate::service::outbox::{ChatPayload, DeliveryKind, SLACK, action_subject};

/// What is older is not news any more.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The same fault back within this time edits its message instead of pushing another.
const SAME_ACTION: Duration = Duration::from_secs(60);
/// Blind repeats: more would only annoy.
const BLIND_REPEATS_MAX: u32 = 3;
/// The prefix of what may have been said already.
pub(super) const REPEAT: &str = "(repeat) ";

/// Whether a parent with this news may wait for a free minute.
pub(super) fn patient(kind: Kind) -> bool {
    match kind {
        Kind::Started | Kind::Progress | Kind::Upgrading | Kind::StillWaiting => true,
        Kind::ActionNeeded | Kind::Cleared | Kind::Done | Kind::Ended => false,
    }
}

/// What becomes of a row.
pub(super) enum End {
    Done {
        note: String,
        references: Vec<(String, String)>,
    },
    /// Nothing happened.
    Later {
        wait: Duration,
        why: String,
    },
    /// Nobody knows what happened. `sent`: a post was made now, beside what was unclear before.
    Unclear {
        wait: Duration,
        why: String,
        sent: bool,
    },
    Dead {
        why: String,
    },
}

/// The newest action message of a run.
#[derive(Debug, Serialize, Deserialize)]
struct Action {
    anchor: String,
    #[serde(default)]
    act: String,
    at: Timestamp,
}

/// One row, taken apart.
#[derive(Clone, Copy)]
struct Job<'a> {
    row: &'a Delivery,
    kind: DeliveryKind,
    payload: &'a ChatPayload,
}

impl Job<'_> {
    /// The key of the parent that this row would have to post.
    fn parent_key(&self) -> String {
        match self.kind {
            DeliveryKind::Post => self.row.key.clone(),
            DeliveryKind::Parent
            | DeliveryKind::Action
            | DeliveryKind::Still
            | DeliveryKind::Cleared
            | DeliveryKind::Last
            | DeliveryKind::Event => format!("{}/thread", self.row.key),
        }
    }

    /// Whether somebody must not miss it.
    fn loud(&self) -> bool {
        match self.kind {
            DeliveryKind::Action | DeliveryKind::Last => true,
            DeliveryKind::Post
            | DeliveryKind::Parent
            | DeliveryKind::Still
            | DeliveryKind::Cleared
            | DeliveryKind::Event => false,
        }
    }
}

impl Sender {
    pub(super) async fn deliver(&mut self, row: &Delivery) {
        let end = self.end_of(row).await;
        let now = self.clock.now();
        let was_unclear = row.state == DeliveryState::Unclear;
        match end {
            End::Done { note, references } => self.outbox.done(row, &note, &references).await,
            // What was unclear before stays so: whoever comes next looks again.
            End::Later { wait, why } if was_unclear => {
                let note = with_repeats(repeats(&row.note), &why);
                self.outbox.unclear(row, now.plus(wait), &note).await;
            }
            End::Later { wait, why } => self.outbox.retry(row, now.plus(wait), &why).await,
            End::Unclear { wait, why, sent } => {
                let again = u32::from(sent && was_unclear);
                let note = with_repeats(repeats(&row.note) + again, &why);
                self.outbox.unclear(row, now.plus(wait), &note).await;
            }
            End::Dead { why } => {
                tracing::warn!(key = %row.key, %why, "a message is given up");
                self.outbox.dead(row, &why).await;
            }
        }
    }

    async fn end_of(&mut self, row: &Delivery) -> End {
        let payload = serde_json::from_value::<ChatPayload>(row.payload.clone());
        let (Ok(payload), Some(kind)) = (payload, DeliveryKind::named(&row.kind)) else {
            return End::Dead { why: "the row cannot be read".into() };
        };
        if self.clock.now().since(row.created) > KEPT {
            return End::Dead { why: "older than seven days".into() };
        }
        let job = Job { row, kind, payload: &payload };
        let end = match kind {
            DeliveryKind::Post => self.first(job).await,
            DeliveryKind::Parent => self.parent_now(job).await,
            DeliveryKind::Action | DeliveryKind::Still | DeliveryKind::Last => {
                self.reply(job).await
            }
            DeliveryKind::Cleared => self.cleared(job).await,
            DeliveryKind::Event => Err(End::Dead { why: "not a message".into() }),
        };
        end.unwrap_or_else(|end| end)
    }

    /// The run's first message.
    async fn first(&mut self, job: Job<'_>) -> Result<End, End> {
        let (anchor, _) = self.thread(job).await?;
        Ok(done_with(&[(job.row.subject.clone(), anchor.to_string())]))
    }

    /// The parent shows the state of this row's notice.
    async fn parent_now(&mut self, job: Job<'_>) -> Result<End, End> {
        let (anchor, current) = self.thread(job).await?;
        if current {
            return Ok(done_with(&[(job.row.subject.clone(), anchor.to_string())]));
        }
        let notice = &job.payload.notice;
        let content = render::parent(notice);
        match self.edit(&job.row.key, &anchor, content, patient(notice.kind)).await {
            Outcome::Done(_) => Ok(done_with(&[])),
            Outcome::ParentLost(why) => {
                tracing::info!(%why, key = %job.row.key, "the parent is gone, one more is posted");
                let anchor = self.post_parent(job, "").await?;
                Ok(done_with(&[(job.row.subject.clone(), anchor.to_string())]))
            }
            // An edit may be repeated freely.
            Outcome::Unclear(why) => Err(self.away(why)),
            other => Err(self.refused(job, other)),
        }
    }

    /// A reply in the thread.
    async fn reply(&mut self, job: Job<'_>) -> Result<End, End> {
        let (anchor, _) = self.thread(job).await?;
        let notice = &job.payload.notice;
        if let Some(end) = self.same_action(job).await? {
            return Ok(end);
        }
        let mut prefix = "";
        if job.row.state == DeliveryState::Unclear {
            match self
                .look(&job.row.key, &anchor.channel, Some(&anchor.ts), job.row.created)
                .await?
            {
                Fate::Posted(ts) => {
                    let found = Anchor { channel: anchor.channel, ts };
                    return Ok(self.said(job, &found));
                }
                Fate::NotPosted => {}
                Fate::Unknown => prefix = blind(job)?,
            }
        }
        let mention = if job.loud() { self.settings.mention.clone() } else { String::new() };
        let content = render::reply(notice, &mention, prefix);
        match self.post(&job.payload.channel, &job.row.key, content, Some(anchor.ts.clone())).await
        {
            Outcome::Done(Some(said)) => Ok(self.said(job, &said)),
            Outcome::Done(None) => Ok(done_with(&[])),
            Outcome::ParentLost(why) => {
                self.post_parent(job, "").await?;
                Err(End::Later { wait: Duration::ZERO, why })
            }
            Outcome::Unclear(why) => Err(self.unclear(why, true)),
            other => Err(self.refused(job, other)),
        }
    }

    /// An action's message is remembered, so that it can be edited when it is fixed.
    fn said(&self, job: Job<'_>, anchor: &Anchor) -> End {
        if job.kind != DeliveryKind::Action {
            return done_with(&[]);
        }
        let notice = &job.payload.notice;
        let action = Action { anchor: anchor.to_string(), act: notice.act.clone(), at: notice.at };
        let text = serde_json::to_string(&action).expect("an action has string keys only");
        done_with(&[(action_subject(&job.row.subject), text)])
    }

    /// A fault that comes, goes and comes again within a minute pushes once. Another plug to move
    /// is another push, of whatever fault.
    async fn same_action(&mut self, job: Job<'_>) -> Result<Option<End>, End> {
        if job.kind != DeliveryKind::Action || job.row.state == DeliveryState::Unclear {
            return Ok(None);
        }
        let notice = &job.payload.notice;
        let Some((said, anchor)) = self.newest_action(&job.row.subject).await? else {
            return Ok(None);
        };
        if said.act != notice.act || notice.at.since(said.at) > SAME_ACTION {
            return Ok(None);
        }
        match self.edit(&job.row.key, &anchor, render::reply(notice, "", ""), false).await {
            Outcome::Done(_) => Ok(Some(done_with(&[]))),
            Outcome::ParentLost(_) => Ok(None),
            Outcome::Unclear(why) => Err(self.away(why)),
            other => Err(self.refused(job, other)),
        }
    }

    /// The action's message becomes "fixed, thank you". If it was never sent there is nothing to
    /// take back.
    async fn cleared(&mut self, job: Job<'_>) -> Result<End, End> {
        let Some((_, anchor)) = self.newest_action(&job.row.subject).await? else {
            return Ok(End::Done { note: "nothing was said".into(), references: Vec::new() });
        };
        let content = render::reply(&job.payload.notice, "", "");
        match self.edit(&job.row.key, &anchor, content, false).await {
            Outcome::Done(_) => Ok(done_with(&[])),
            Outcome::ParentLost(why) => Ok(End::Done { note: why, references: Vec::new() }),
            Outcome::Unclear(why) => Err(self.away(why)),
            other => Err(self.refused(job, other)),
        }
    }

    async fn newest_action(&mut self, run: &str) -> Result<Option<(Action, Anchor)>, End> {
        let text = self.reference(&action_subject(run)).await?;
        Ok(text.and_then(|text| {
            let action: Action = serde_json::from_str(&text).ok()?;
            let anchor = Anchor::parse(&action.anchor)?;
            Some((action, anchor))
        }))
    }

    /// The thread's anchor; posts the parent if there is none. True if the parent shows this row's
    /// notice already.
    async fn thread(&mut self, job: Job<'_>) -> Result<(Anchor, bool), End> {
        if let Some(text) = self.reference(&job.row.subject).await?
            && let Some(anchor) = Anchor::parse(&text)
        {
            self.know(&job.row.subject, &anchor);
            return Ok((anchor, false));
        }
        let mut prefix = "";
        if job.row.state == DeliveryState::Unclear {
            let id = self.channel_id(&job.payload.channel).await?;
            match self.look(&job.parent_key(), &id, None, job.row.created).await? {
                Fate::Posted(ts) => {
                    let anchor = Anchor { channel: id, ts };
                    self.keep(&job.row.subject, &anchor).await;
                    return Ok((anchor, job.kind == DeliveryKind::Post));
                }
                Fate::NotPosted => {}
                Fate::Unknown => prefix = blind_parent(job)?,
            }
        }
        let anchor = self.post_parent(job, prefix).await?;
        Ok((anchor, true))
    }

    /// Posts a parent with this row's state, and remembers it before anything hangs on it.
    async fn post_parent(&mut self, job: Job<'_>, prefix: &str) -> Result<Anchor, End> {
        let mut content = render::parent(&job.payload.notice);
        content.text.insert_str(0, prefix);
        match self.post(&job.payload.channel, &job.parent_key(), content, None).await {
            Outcome::Done(Some(anchor)) => {
                self.keep(&job.row.subject, &anchor).await;
                Ok(anchor)
            }
            Outcome::Done(None) => Err(self.unclear("an answer without ts".into(), true)),
            Outcome::Unclear(why) => Err(self.unclear(why, true)),
            other => Err(self.refused(job, other)),
        }
    }

    async fn keep(&mut self, subject: &str, anchor: &Anchor) {
        self.know(subject, anchor);
        self.outbox.remember(SLACK, subject, &anchor.to_string()).await;
    }

    fn know(&mut self, subject: &str, anchor: &Anchor) {
        if self.anchors.len() >= KNOWN_MAX {
            self.anchors.clear();
        }
        self.anchors.insert(subject.to_owned(), anchor.clone());
    }

    pub(super) async fn reference(&self, subject: &str) -> Result<Option<String>, End> {
        self.outbox.reference(SLACK, subject).await.map_err(|refused| {
            // Nothing was called: what was known of the row stays true only if it is looked for.
            let wait = self.settings.delays.backoff;
            End::Unclear { wait, why: refused.to_string(), sent: false }
        })
    }

    /// Slack cannot be reached: everybody waits, longer each time, and not all at the same moment.
    fn away(&mut self, why: String) -> End {
        let wait = self.backoff();
        self.troubles.set(Trouble::Away(why.clone()));
        End::Later { wait, why }
    }

    pub(super) fn unclear(&mut self, why: String, sent: bool) -> End {
        let wait = self.backoff().max(self.settings.delays.look_after);
        self.troubles.set(Trouble::Away(why.clone()));
        End::Unclear { wait, why, sent }
    }

    fn backoff(&mut self) -> Duration {
        let delays = self.settings.delays;
        let longest = delays.backoff.saturating_mul(1 << self.failures.min(10));
        let longest = longest.min(delays.backoff_max);
        self.failures = self.failures.saturating_add(1);
        // Half of it is chance.
        let share = (self.settings.entropy.next_u64() % 1000) as u32;
        let wait = longest / 2 + longest * share / 2000;
        self.paused_until = Some(self.clock.instant() + wait);
        wait
    }

    /// Every outcome by which nothing happened.
    fn refused(&mut self, job: Job<'_>, outcome: Outcome) -> End {
        let set_up = self.settings.delays.set_up;
        match outcome {
            Outcome::Wait(wait) => End::Later { wait, why: "asked to wait".into() },
            Outcome::Unsent(why) => self.away(why),
            Outcome::Unclear(why) => self.unclear(why, true),
            Outcome::OurBug(why) | Outcome::ParentLost(why) => End::Dead { why },
            Outcome::Done(_) => done_with(&[]),
            Outcome::SetUp(why) => {
                let channel = job.payload.channel.clone();
                let cure = "invite the Greenlight app to it, or name another channel";
                let told = format!("{channel}: {why}; {cure}");
                self.troubles.set(Trouble::SetUp { channel, why: told });
                End::Later { wait: set_up, why }
            }
            Outcome::OutletOff(why) => {
                self.troubles.set(Trouble::Off(why.clone()));
                self.paused_until = Some(self.clock.instant() + set_up);
                End::Later { wait: set_up, why }
            }
        }
    }
}

fn done_with(references: &[(String, String)]) -> End {
    End::Done { note: String::new(), references: references.to_vec() }
}

/// We may not look whether it was said: what somebody must not miss is said again, and says so.
fn blind(job: Job<'_>) -> Result<&'static str, End> {
    if job.loud() && repeats(&job.row.note) < BLIND_REPEATS_MAX {
        return Ok(REPEAT);
    }
    Err(End::Dead { why: "its fate is unclear, and it is not repeated".into() })
}

/// The same for a parent: without one there is no thread.
fn blind_parent(job: Job<'_>) -> Result<&'static str, End> {
    if repeats(&job.row.note) < BLIND_REPEATS_MAX {
        return Ok(REPEAT);
    }
    Err(End::Dead { why: "its fate is unclear, and it is not repeated".into() })
}

/// How often a row was sent beside a post of unknown fate. Kept in its note: a row is stored with
/// nothing else that we may choose.
pub(super) fn repeats(note: &str) -> u32 {
    note.strip_prefix("repeated ")
        .and_then(|rest| rest.split_once(':'))
        .and_then(|(count, _)| count.parse().ok())
        .unwrap_or(0)
}

pub(super) fn with_repeats(count: u32, why: &str) -> String {
    if count == 0 { why.to_owned() } else { format!("repeated {count}: {why}") }
}

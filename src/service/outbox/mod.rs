//! The durable queue of what is to be told and handed over, as the outlets see it.
//!
//! A row is `Sending` on disk before its call is made. Whoever finds it so after a start cannot
//! know what came of the call: the row is `Unclear`, and its outlet looks before it sends again.
//! Within one subject rows go one after the other; subjects do not wait for each other.

mod plan;

#[cfg(test)]
pub(crate) mod paper;

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::service::memory::{Change, Delivery, DeliveryState, Memory, Query, Refused};

pub use plan::{
    ChatOutlet, ChatPayload, DeliveryKind, HandoffPayload, SLACK, SLACK_WEBHOOK, action_subject,
    hook_outlet, rows_for_handoff, rows_for_notice,
};

/// How many rows are looked at for one claim: more subjects than this wait their turn.
const LOOK_MAX: u32 = 200;
/// Subjects looked through at start: as many as an inventory is expected to have devices.
const RESUME_MAX: u32 = 100_000;
/// Between two tries to store what became of a call.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// The queue. Clones share the store; each waits for itself.
#[derive(Clone)]
pub struct Outbox {
    memory: Memory,
    clock: Clock,
    wake: watch::Receiver<u64>,
}

impl Outbox {
    /// `wake` changes whenever rows may have been added.
    pub fn new(memory: Memory, clock: Clock, wake: watch::Receiver<u64>) -> Self {
        Self { memory, clock, wake }
    }

    /// Called once before an outlet's first claim: rows left `Sending` by an earlier life become
    /// `Unclear`. Returns how many.
    pub async fn resume(&self, outlet: &str) -> Result<usize, Refused> {
        let mut freed = 0;
        loop {
            let end = Timestamp::from_micros(i64::MAX);
            let open = self.open_rows(outlet, end, RESUME_MAX).await?;
            let left: Vec<Change> = open
                .iter()
                .filter(|row| row.state == DeliveryState::Sending)
                .map(|row| self.moved(row, DeliveryState::Unclear, "found after a restart"))
                .collect();
            if left.is_empty() {
                return Ok(freed);
            }
            freed += left.len();
            self.memory.commit(left).await?;
        }
    }

    /// The oldest row that may go now, `Sending` on disk before this returns. The row's `state` is
    /// the one it had: `Unclear` asks its outlet to look first.
    pub async fn claim(&self, outlet: &str) -> Result<Option<Delivery>, Refused> {
        self.claim_best(outlet, |_| Some(0)).await
    }

    /// The same with the outlet's own order: the lowest rank goes first, then the oldest; `None`
    /// leaves a row for later.
    pub async fn claim_best(
        &self,
        outlet: &str,
        mut rank: impl FnMut(&Delivery) -> Option<u8>,
    ) -> Result<Option<Delivery>, Refused> {
        let due = self.open_rows(outlet, self.clock.now(), LOOK_MAX).await?;
        let mut ranked: Vec<(u8, Delivery)> = due
            .into_iter()
            .filter(|row| matches!(row.state, DeliveryState::Pending | DeliveryState::Unclear))
            .filter_map(|row| rank(&row).map(|rank| (rank, row)))
            .collect();
        ranked.sort_by_key(|(rank, row)| (*rank, row.id));
        for (_, row) in ranked {
            self.memory.commit(vec![self.moved(&row, DeliveryState::Sending, &row.note)]).await?;
            // Between the look and the claim the row may have been superseded: the store then kept
            // it as it was.
            let subject = row.subject.clone();
            let rows = self.memory.ask(|reply| Query::OutboxOf { subject, reply }).await?;
            let now = rows.into_iter().find(|stored| stored.id == row.id);
            if let Some(stored) = now
                && stored.state == DeliveryState::Sending
            {
                return Ok(Some(Delivery { state: row.state, ..stored }));
            }
        }
        Ok(None)
    }

    /// The call was accepted. `references` (subject and text) become durable with it.
    pub async fn done(&self, delivery: &Delivery, note: &str, references: &[(String, String)]) {
        let mut changes = vec![self.moved(delivery, DeliveryState::Done, note)];
        changes.extend(references.iter().map(|(subject, reference)| Change::OutletReference {
            outlet: delivery.outlet.clone(),
            subject: subject.clone(),
            reference: reference.clone(),
        }));
        self.settle(changes).await;
    }

    /// Nothing happened: it may go again from `at` on.
    pub async fn retry(&self, delivery: &Delivery, at: Timestamp, why: &str) {
        self.settle(vec![moved_at(delivery, DeliveryState::Pending, at, why)]).await;
    }

    /// Nobody knows whether it happened: it is to be looked for from `at` on.
    pub async fn unclear(&self, delivery: &Delivery, at: Timestamp, why: &str) {
        self.settle(vec![moved_at(delivery, DeliveryState::Unclear, at, why)]).await;
    }

    /// It will never be sent.
    pub async fn dead(&self, delivery: &Delivery, why: &str) {
        self.settle(vec![self.moved(delivery, DeliveryState::Dead, why)]).await;
    }

    /// What an outlet stored for a subject.
    pub async fn reference(&self, outlet: &str, subject: &str) -> Result<Option<String>, Refused> {
        let (outlet, subject) = (outlet.to_owned(), subject.to_owned());
        self.memory.ask(|reply| Query::OutletReference { outlet, subject, reply }).await
    }

    /// Stores an outlet's reference by itself, before its row is done.
    pub async fn remember(&self, outlet: &str, subject: &str, reference: &str) {
        let (outlet, subject) = (outlet.to_owned(), subject.to_owned());
        let reference = reference.to_owned();
        self.settle(vec![Change::OutletReference { outlet, subject, reference }]).await;
    }

    /// The hand-offs of a run that have their last answer: hook, accepted, answer. After a restart
    /// these are told to the run once more, since the process may have ended between the two.
    pub async fn handoff_answers(&self, run: &str) -> Result<Vec<(String, bool, String)>, Refused> {
        let subject = run.to_owned();
        let rows = self.memory.ask(|reply| Query::OutboxOf { subject, reply }).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let hook = row.outlet.strip_prefix(plan::HOOK_PREFIX)?.to_owned();
                match row.state {
                    DeliveryState::Done => Some((hook, true, row.note)),
                    DeliveryState::Dead => Some((hook, false, row.note)),
                    DeliveryState::Pending
                    | DeliveryState::Sending
                    | DeliveryState::Unclear
                    | DeliveryState::Superseded => None,
                }
            })
            .collect())
    }

    /// Returns when rows may have been added, or after `at_most`.
    pub async fn wait(&mut self, at_most: Duration) {
        if let Ok(Err(_)) = tokio::time::timeout(at_most, self.wake.changed()).await {
            // Nobody wakes us any more: the time alone counts.
            tokio::time::sleep(at_most).await;
        }
    }

    async fn open_rows(
        &self,
        outlet: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Refused> {
        let outlet = outlet.to_owned();
        self.memory.ask(|reply| Query::OutboxDue { outlet, now, limit, reply }).await
    }

    fn moved(&self, delivery: &Delivery, state: DeliveryState, note: &str) -> Change {
        moved_at(delivery, state, self.clock.now(), note)
    }

    /// What became of a call has to be stored before anything else is sent, however long the disk
    /// takes. Only the end of the store ends this; the row is then found `Sending` at the next
    /// start.
    async fn settle(&self, changes: Vec<Change>) {
        while let Err(refused) = self.memory.commit(changes.clone()).await {
            if self.memory.commits.is_closed() {
                tracing::error!(%refused, "the outcome of a delivery is not stored");
                return;
            }
            tracing::warn!(%refused, "the outcome of a delivery waits for the store");
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }
}

/// Notes are for people, and come from outside: bounded.
const NOTE_BYTES_MAX: usize = 64 * 1024;

fn moved_at(delivery: &Delivery, state: DeliveryState, at: Timestamp, note: &str) -> Change {
    let mut end = note.len().min(NOTE_BYTES_MAX);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    Change::OutboxMoved { id: delivery.id, state, next_at: at, note: note[..end].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::memory::NewDelivery;
    use crate::service::outbox::paper::Paper;

    const T0: Timestamp = Timestamp::from_seconds(1_795_261_396);

    fn row(subject: &str, key: &str) -> Change {
        Change::Outbox(NewDelivery {
            outlet: "slack".into(),
            subject: subject.into(),
            key: key.into(),
            kind: "parent".into(),
            payload: serde_json::Value::Null,
            at: T0,
        })
    }

    async fn outbox(changes: Vec<Change>) -> (Paper, Outbox) {
        let paper = Paper::open();
        paper.memory.commit(changes).await.unwrap();
        let (_, wake) = watch::channel(0);
        let outbox = Outbox::new(paper.memory.clone(), Clock::System, wake);
        (paper, outbox)
    }

    #[tokio::test]
    async fn a_claimed_row_is_sending_on_disk_and_claimed_once() {
        let (paper, outbox) = outbox(vec![row("a", "1"), row("a", "2"), row("b", "3")]).await;
        let first = outbox.claim("slack").await.unwrap().unwrap();
        assert_eq!((first.key.as_str(), first.state), ("1", DeliveryState::Pending));
        assert_eq!(paper.states(), [("1", "sending"), ("2", "pending"), ("3", "pending")]);
        // The second of `a` waits for the first; `b` does not.
        assert_eq!(outbox.claim("slack").await.unwrap().unwrap().key, "3");
        assert!(outbox.claim("slack").await.unwrap().is_none());
        outbox.done(&first, "", &[("a".into(), "C1/1.2".into())]).await;
        assert_eq!(outbox.reference("slack", "a").await.unwrap().as_deref(), Some("C1/1.2"));
        assert_eq!(outbox.claim("slack").await.unwrap().unwrap().key, "2");
    }

    #[tokio::test]
    async fn a_row_left_sending_is_unclear_after_a_restart() {
        let (paper, outbox) = outbox(vec![row("a", "1"), row("b", "2")]).await;
        outbox.claim("slack").await.unwrap().unwrap();
        assert_eq!(outbox.resume("slack").await.unwrap(), 1);
        assert_eq!(paper.states(), [("1", "unclear"), ("2", "pending")]);
        let again = outbox.claim("slack").await.unwrap().unwrap();
        assert_eq!((again.key.as_str(), again.state), ("1", DeliveryState::Unclear));
        assert_eq!(again.attempts, 2);
    }

    #[tokio::test]
    async fn a_row_superseded_between_look_and_claim_is_not_sent() {
        let (paper, outbox) = outbox(vec![row("a", "1")]).await;
        let superseded = outbox
            .claim_best("slack", |_| {
                // The moment after the look.
                paper.supersede_all();
                Some(0)
            })
            .await
            .unwrap();
        assert!(superseded.is_none());
        assert_eq!(paper.states(), [("1", "superseded")]);
    }

    #[tokio::test]
    async fn a_row_that_must_wait_is_not_claimed_before_its_time() {
        let (_, outbox) = outbox(vec![row("a", "1")]).await;
        let first = outbox.claim("slack").await.unwrap().unwrap();
        let later = Clock::System.now().plus(Duration::from_secs(3600));
        outbox.retry(&first, later, "busy").await;
        assert!(outbox.claim("slack").await.unwrap().is_none());
        assert_eq!(outbox.resume("slack").await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_outcome_waits_for_the_disk() {
        let (paper, outbox) = outbox(vec![row("a", "1")]).await;
        let first = outbox.claim("slack").await.unwrap().unwrap();
        paper.refuse_next(1);
        outbox.dead(&first, "x").await;
        assert_eq!(paper.states(), [("1", "dead")]);
    }
}

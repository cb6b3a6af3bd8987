//! The other end of [`Memory`] on paper: the outbox's rules of the store in memory, for the tests
//! of the queue and of the outlets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc;

use crate::clock::Timestamp;
use crate::receipt::Committed;
use crate::service::memory::{
    Change, Commit, Delivery, DeliveryState, Memory, NewDelivery, Query, Refused,
};

#[derive(Default)]
struct Sheet {
    rows: Vec<Delivery>,
    references: HashMap<(String, String), String>,
    refuse: u32,
}

/// A store that outlives the workers of a test, as a disk does.
#[derive(Clone)]
pub(crate) struct Paper {
    pub memory: Memory,
    sheet: Arc<Mutex<Sheet>>,
}

impl Paper {
    /// Must be called inside a runtime.
    pub fn open() -> Self {
        let (commits, mut committing) = mpsc::channel::<Commit>(100);
        let (queries, mut asking) = mpsc::channel::<Query>(100);
        let sheet = Arc::new(Mutex::new(Sheet::default()));
        let written = sheet.clone();
        tokio::spawn(async move {
            while let Some(commit) = committing.recv().await {
                let answer = written.lock().unwrap().commit(commit.changes);
                let _ = commit.receipt.send(answer);
            }
        });
        let read = sheet.clone();
        tokio::spawn(async move {
            while let Some(query) = asking.recv().await {
                read.lock().unwrap().answer(query);
            }
        });
        let (_, lost) = tokio::sync::watch::channel(None);
        Self { memory: Memory { commits, queries, lost }, sheet }
    }

    fn sheet(&self) -> MutexGuard<'_, Sheet> {
        self.sheet.lock().unwrap()
    }

    pub fn rows(&self) -> Vec<Delivery> {
        self.sheet().rows.clone()
    }

    /// Key and state of each row.
    pub fn states(&self) -> Vec<(&'static str, &'static str)> {
        let name = |state| match state {
            DeliveryState::Pending => "pending",
            DeliveryState::Sending => "sending",
            DeliveryState::Unclear => "unclear",
            DeliveryState::Done => "done",
            DeliveryState::Dead => "dead",
            DeliveryState::Superseded => "superseded",
        };
        let rows = self.rows();
        rows.iter().map(|row| (&*row.key.clone().leak(), name(row.state))).collect()
    }

    /// True once nothing is left to be sent.
    pub fn idle(&self) -> bool {
        !self.rows().iter().any(|row| open(row.state))
    }

    pub fn supersede_all(&self) {
        for row in &mut self.sheet().rows {
            row.state = DeliveryState::Superseded;
        }
    }

    /// The disk refuses this many commits.
    pub fn refuse_next(&self, commits: u32) {
        self.sheet().refuse = commits;
    }
}

fn open(state: DeliveryState) -> bool {
    match state {
        DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Unclear => true,
        DeliveryState::Done | DeliveryState::Dead | DeliveryState::Superseded => false,
    }
}

impl Sheet {
    fn commit(&mut self, changes: Vec<Change>) -> Result<Committed, Refused> {
        if self.refuse > 0 {
            self.refuse -= 1;
            return Err(Refused::Unavailable { why: "the disk is full".into() });
        }
        for change in changes {
            match change {
                Change::Outbox(new) => self.insert(new),
                Change::OutboxSuperseded { outlet, subject, kinds } => {
                    for row in &mut self.rows {
                        if row.state == DeliveryState::Pending
                            && row.outlet == outlet
                            && row.subject == subject
                            && kinds.contains(&row.kind)
                        {
                            row.state = DeliveryState::Superseded;
                        }
                    }
                }
                Change::OutboxMoved { id, state, next_at, note } => {
                    self.moved(id, state, next_at, note);
                }
                Change::OutletReference { outlet, subject, reference } => {
                    self.references.insert((outlet, subject), reference);
                }
                Change::RunOpened { .. }
                | Change::RunMoved { .. }
                | Change::Journal(_)
                | Change::Lease(_)
                | Change::Lease6(_)
                | Change::LeaseEnded { .. }
                | Change::Timer { .. }
                | Change::Served(_)
                | Change::Forget { .. }
                | Change::Stranger { .. } => {}
            }
        }
        Ok(Committed::by_the_store(1))
    }

    fn insert(&mut self, new: NewDelivery) {
        let NewDelivery { outlet, subject, key, kind, payload, at } = new;
        if self.rows.iter().any(|row| row.outlet == outlet && row.key == key) {
            return;
        }
        self.rows.push(Delivery {
            id: i64::try_from(self.rows.len()).unwrap() + 1,
            outlet,
            subject,
            key,
            kind,
            payload,
            state: DeliveryState::Pending,
            attempts: 0,
            created: at,
            next_at: at,
            note: String::new(),
        });
    }

    fn moved(&mut self, id: i64, state: DeliveryState, next_at: Timestamp, note: String) {
        let row = self.rows.iter_mut().find(|row| row.id == id).unwrap();
        if !open(row.state) {
            return;
        }
        if state == DeliveryState::Sending {
            row.attempts += 1;
        }
        (row.state, row.next_at, row.note) = (state, next_at, note);
    }

    fn answer(&self, query: Query) {
        match query {
            Query::OutboxDue { outlet, now, limit, reply } => {
                let mut seen = Vec::new();
                let mut due = Vec::new();
                for row in self.rows.iter().filter(|row| row.outlet == outlet && open(row.state)) {
                    if !seen.contains(&row.subject) {
                        seen.push(row.subject.clone());
                        due.extend((row.next_at <= now).then(|| row.clone()));
                    }
                }
                due.truncate(limit as usize);
                let _ = reply.send(Ok(due));
            }
            Query::OutboxOf { subject, reply } => {
                let rows = self.rows.iter().filter(|row| row.subject == subject).cloned();
                let _ = reply.send(Ok(rows.collect()));
            }
            Query::OutletReference { outlet, subject, reply } => {
                let _ = reply.send(Ok(self.references.get(&(outlet, subject)).cloned()));
            }
            // Dropping the reply says that the store has stopped.
            Query::OpenRuns(_)
            | Query::LatestRuns(_)
            | Query::LatestRunOf { .. }
            | Query::Journal { .. }
            | Query::JournalAfter { .. }
            | Query::Leases(_)
            | Query::Leases6(_)
            | Query::Quarantined(_)
            | Query::Timers(_)
            | Query::Served { .. }
            | Query::Strangers(_) => {}
        }
    }
}

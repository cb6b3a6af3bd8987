//! What the service remembers, said without SQL: changes that are stored together, and questions.
//! `store/` holds the other end of the channel.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::address::Mac;
use crate::clock::Timestamp;
use crate::domain::run::Run;
use crate::receipt::Committed;

/// One thing to be stored. All changes of one [`Memory::commit`] become durable together or not at
/// all.
#[derive(Debug, Clone)]
pub enum Change {
    /// A run that begins. Refused as [`Refused::AlreadyOpen`] if the device has an open run, or one
    /// that last heard of it less than `window` ago (unless `forced` by a person).
    RunOpened {
        run: Arc<Run>,
        window_micros: i64,
        forced: bool,
    },
    /// A run that moved from revision `from_rev`. Refused as [`Refused::Stale`] otherwise.
    RunMoved {
        run: Arc<Run>,
        from_rev: u64,
    },
    Journal(JournalLine),
    Lease(Lease),
    Lease6(Lease6),
    /// The address is free again (RELEASE, expiry) or must not be used until the time given
    /// (DECLINE).
    LeaseEnded {
        address: IpAddr,
        quarantined_until: Option<Timestamp>,
    },
    /// Replaces the timer of this run and name; `None` removes it.
    Timer {
        run: String,
        name: String,
        at: Option<Timestamp>,
    },
    /// A message or hand-off to be carried out. A second row with the same outlet and key is
    /// ignored.
    Outbox(NewDelivery),
    /// Rows of this outlet, subject and these kinds that are still pending will never be sent.
    OutboxSuperseded {
        outlet: String,
        subject: String,
        kinds: Vec<String>,
    },
    OutboxMoved {
        id: i64,
        state: DeliveryState,
        next_at: Timestamp,
        note: String,
    },
    /// The outlet's own reference to a subject: Slack's `ts` of the parent message, for example.
    OutletReference {
        outlet: String,
        subject: String,
        reference: String,
    },
    /// What was handed out to a device, for the audit of served files.
    Served(ServedFile),
    /// What is older than this and concerns no open run is let go: journal lines, sent rows, served
    /// files, strangers, expired leases, and runs that are not a device's newest.
    Forget {
        before: Timestamp,
    },
    /// Somebody nobody planned: counted per key.
    Stranger {
        key: String,
        description: String,
        at: Timestamp,
    },
}

/// One line of a run's journal. Append-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    pub run: String,
    pub seq: u64,
    pub device: String,
    pub at: Timestamp,
    /// The phase after this line, or the name of what was noted.
    pub topic: String,
    pub text: String,
}

/// One DHCPv4 binding (RFC 2131 section 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub mac: Mac,
    /// Option 61, as lower-case hex; empty when the client sent none.
    pub client_id: String,
    /// The device it belongs to, once known.
    pub device: Option<String>,
    /// Option 82 as received, as lower-case hex: absent from unicast renewals, so it is kept.
    pub relay_information: String,
    pub granted: Timestamp,
    pub expires: Timestamp,
}

/// One DHCPv6 binding of a non-temporary address (RFC 8415 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease6 {
    pub address: Ipv6Addr,
    /// The client's DUID (RFC 8415 section 11), as lower-case hex.
    pub duid: String,
    /// The client's number for its interface (RFC 8415 section 12).
    pub iaid: u32,
    /// Where the client or a relay told it: link-layer DUIDs, option 79 (RFC 6939).
    pub mac: Option<Mac>,
    /// The device it belongs to, once known.
    pub device: Option<String>,
    pub granted: Timestamp,
    /// End of the valid lifetime.
    pub expires: Timestamp,
}

#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// `slack`, `slack-webhook`, `hook:NAME`.
    pub outlet: String,
    /// The run.
    pub subject: String,
    /// Unique per outlet.
    pub key: String,
    /// `parent`, `reply`, `cleared`, `event`: what may supersede what is the outlet's rule.
    pub kind: String,
    pub payload: serde_json::Value,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub id: i64,
    pub outlet: String,
    pub subject: String,
    pub key: String,
    pub kind: String,
    pub payload: serde_json::Value,
    pub state: DeliveryState,
    pub attempts: u32,
    pub created: Timestamp,
    pub next_at: Timestamp,
    pub note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Pending,
    /// Durable before the call: found at start, the outcome is unclear.
    Sending,
    /// The call's outcome is unknown: look before sending again.
    Unclear,
    Done,
    Dead,
    Superseded,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedFile {
    pub run: Option<String>,
    pub device: String,
    pub name_asked: String,
    pub transport: String,
    pub bytes: u64,
    pub sha256: String,
    pub complete: bool,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    pub key: String,
    pub description: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub count: u64,
}

/// Why nothing of a commit was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The device's run that stands in the way.
    AlreadyOpen { run: Arc<Run> },
    /// Somebody else moved the run first.
    Stale { run: String },
    /// The disk or the database would not take it.
    Unavailable { why: String },
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::AlreadyOpen { run } => write!(f, "device {} has run {}", run.device, run.id),
            Refused::Stale { run } => write!(f, "run {run} was moved by somebody else"),
            Refused::Unavailable { why } => write!(f, "the store is not available: {why}"),
        }
    }
}

impl std::error::Error for Refused {}

/// A question. Each carries where its answer goes.
pub enum Query {
    OpenRuns(Reply<Vec<Run>>),
    /// Newest run of each device.
    LatestRuns(Reply<Vec<Run>>),
    LatestRunOf {
        device: String,
        reply: Reply<Option<Run>>,
    },
    Journal {
        device: String,
        last: u32,
        reply: Reply<Vec<JournalLine>>,
    },
    /// Everything after this row number, oldest first, at most `limit`: the event stream.
    JournalAfter {
        row: i64,
        limit: u32,
        reply: Reply<Vec<(i64, JournalLine)>>,
    },
    Leases(Reply<Vec<Lease>>),
    Leases6(Reply<Vec<Lease6>>),
    Quarantined(Reply<BTreeMap<IpAddr, Timestamp>>),
    Timers(Reply<Vec<(String, String, Timestamp)>>),
    /// The oldest rows that may go now: the lowest open row of each subject, due at `now`.
    OutboxDue {
        outlet: String,
        now: Timestamp,
        limit: u32,
        reply: Reply<Vec<Delivery>>,
    },
    OutboxOf {
        subject: String,
        reply: Reply<Vec<Delivery>>,
    },
    OutletReference {
        outlet: String,
        subject: String,
        reply: Reply<Option<String>>,
    },
    Served {
        device: String,
        last: u32,
        reply: Reply<Vec<ServedFile>>,
    },
    Strangers(Reply<Vec<Stranger>>),
}

pub type Reply<T> = oneshot::Sender<Result<T, Refused>>;

/// What goes to the store's writer.
pub struct Commit {
    pub changes: Vec<Change>,
    pub receipt: oneshot::Sender<Result<Committed, Refused>>,
}

/// The service's way to the store. Clones share one writer, which groups what is waiting into one
/// flush.
#[derive(Clone)]
pub struct Memory {
    pub commits: mpsc::Sender<Commit>,
    pub queries: mpsc::Sender<Query>,
    /// Why the store takes nothing more until a new start, once that is so.
    pub lost: watch::Receiver<Option<String>>,
}

fn gone() -> Refused {
    Refused::Unavailable { why: "the store has stopped".into() }
}

impl Memory {
    /// Stores all of `changes` or nothing, and answers after the flush.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<Committed, Refused> {
        let (receipt, answer) = oneshot::channel();
        self.commits.send(Commit { changes, receipt }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Asks: `memory.ask(Query::Leases).await`, or a closure that builds the query around its
    /// reply.
    pub async fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> Query) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        self.queries.send(question(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Waits until the store takes nothing more, and says why.
    pub async fn lost(&self) -> String {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // It has ended, as it was told.
            Err(_) => std::future::pending().await,
        }
    }
}

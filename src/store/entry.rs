//! What stands in the log: changes that were allowed, in the order in which they were confirmed.
//!
//! A log row holds the entries of one group, one after the other, as MessagePack with named
//! fields: a field that is added later is missing in older rows and is then filled by serde's
//! `default`. A run stands in it as `short` says. What older versions could not read at all gets a
//! new [`FORMAT`].

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::domain::run::Run;
use crate::service::memory::{
    Change, DeliveryState, JournalLine, Lease, Lease6, NewDelivery, Query, ServedFile,
};
use crate::store::short;

/// The number beside each log row: which encoding its body has.
pub const FORMAT: i64 = 3;

/// The oldest that is read: runs stand in it with all of their names.
const FORMAT_MIN: i64 = 2;

/// One change, decided and ready for the tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A run as it is from now on: it was opened, or moved. The service has the same one; of
    /// several states the newest alone comes into its table.
    Run(#[serde(with = "short")] Arc<Run>),
    Journal(JournalLine),
    Lease(Lease),
    Lease6(Lease6),
    LeaseEnded {
        address: IpAddr,
        quarantined_until: Option<Timestamp>,
    },
    Timer {
        run: String,
        name: String,
        at: Option<Timestamp>,
    },
    Outbox(Wanted),
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
    OutletReference {
        outlet: String,
        subject: String,
        reference: String,
    },
    Served(ServedFile),
    Forget {
        before: Timestamp,
    },
    Stranger {
        key: String,
        description: String,
        at: Timestamp,
    },
}

/// A [`NewDelivery`] with its payload as JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub outlet: String,
    pub subject: String,
    pub key: String,
    pub kind: String,
    pub payload: String,
    pub at: Timestamp,
}

impl Wanted {
    fn of(delivery: NewDelivery) -> Self {
        let NewDelivery { outlet, subject, key, kind, payload, at } = delivery;
        Self { outlet, subject, key, kind, payload: payload.to_string(), at }
    }
}

impl Entry {
    pub fn of(change: Change) -> Self {
        match change {
            Change::RunOpened { run, .. } | Change::RunMoved { run, .. } => Entry::Run(run),
            Change::Journal(line) => Entry::Journal(line),
            Change::Lease(lease) => Entry::Lease(lease),
            Change::Lease6(lease) => Entry::Lease6(lease),
            Change::LeaseEnded { address, quarantined_until } => {
                Entry::LeaseEnded { address, quarantined_until }
            }
            Change::Timer { run, name, at } => Entry::Timer { run, name, at },
            Change::Outbox(delivery) => Entry::Outbox(Wanted::of(delivery)),
            Change::OutboxSuperseded { outlet, subject, kinds } => {
                Entry::OutboxSuperseded { outlet, subject, kinds }
            }
            Change::OutboxMoved { id, state, next_at, note } => {
                Entry::OutboxMoved { id, state, next_at, note }
            }
            Change::OutletReference { outlet, subject, reference } => {
                Entry::OutletReference { outlet, subject, reference }
            }
            Change::Served(file) => Entry::Served(file),
            Change::Forget { before } => Entry::Forget { before },
            Change::Stranger { key, description, at } => Entry::Stranger { key, description, at },
        }
    }

    /// Writes the entry behind what stands in `body`.
    pub fn encode(&self, body: &mut Vec<u8>) -> Result<(), String> {
        rmp_serde::encode::write_named(body, self).map_err(|why| why.to_string())
    }

    /// Counts and is never superseded: written once and in order. What is left is a state, of
    /// which only the newest is written.
    pub fn is_appended(&self) -> bool {
        match self {
            Entry::Journal(_)
            | Entry::Outbox(_)
            | Entry::OutboxSuperseded { .. }
            | Entry::OutboxMoved { .. }
            | Entry::Served(_)
            | Entry::Stranger { .. } => true,
            Entry::Run(_)
            | Entry::Lease(_)
            | Entry::Lease6(_)
            | Entry::LeaseEnded { .. }
            | Entry::Timer { .. }
            | Entry::OutletReference { .. }
            | Entry::Forget { .. } => false,
        }
    }

    pub fn tables(&self) -> Tables {
        match self {
            Entry::Run(_) => Tables::RUNS,
            Entry::Journal(_) => Tables::JOURNAL,
            Entry::Lease(_) => Tables::LEASES,
            Entry::Lease6(_) => Tables::LEASES6,
            Entry::LeaseEnded { .. } => {
                Tables::LEASES.with(Tables::LEASES6).with(Tables::QUARANTINE)
            }
            Entry::Timer { .. } => Tables::TIMERS,
            Entry::Outbox(_) | Entry::OutboxSuperseded { .. } | Entry::OutboxMoved { .. } => {
                Tables::OUTBOX
            }
            Entry::OutletReference { .. } => Tables::REFERENCES,
            Entry::Served(_) => Tables::SERVED,
            Entry::Forget { .. } => Tables::ALL,
            Entry::Stranger { .. } => Tables::STRANGERS,
        }
    }
}

/// The entries of a log row.
pub fn decode(format: i64, mut body: &[u8]) -> Result<Vec<Entry>, String> {
    if !(FORMAT_MIN..=FORMAT).contains(&format) {
        return Err(format!(
            "it is of format {format}, and this version reads format {FORMAT_MIN} to {FORMAT}"
        ));
    }
    let whole = body.len();
    let mut entries = Vec::new();
    while !body.is_empty() {
        let at = whole - body.len();
        let entry = rmp_serde::from_read(&mut body);
        entries.push(entry.map_err(|why| format!("the entry at byte {at} cannot be read: {why}"))?);
    }
    Ok(entries)
}

/// A set of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tables(u16);

impl Tables {
    pub const RUNS: Self = Self(1);
    pub const JOURNAL: Self = Self(1 << 1);
    pub const LEASES: Self = Self(1 << 2);
    pub const LEASES6: Self = Self(1 << 3);
    pub const QUARANTINE: Self = Self(1 << 4);
    pub const TIMERS: Self = Self(1 << 5);
    pub const OUTBOX: Self = Self(1 << 6);
    pub const REFERENCES: Self = Self(1 << 7);
    pub const SERVED: Self = Self(1 << 8);
    pub const STRANGERS: Self = Self(1 << 9);
    pub const ALL: Self = Self((1 << 10) - 1);

    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What a question looks at.
    pub fn of(query: &Query) -> Self {
        match query {
            Query::OpenRuns(_) | Query::LatestRuns(_) | Query::LatestRunOf { .. } => Self::RUNS,
            Query::Journal { .. } | Query::JournalAfter { .. } => Self::JOURNAL,
            Query::Leases(_) => Self::LEASES,
            Query::Leases6(_) => Self::LEASES6,
            Query::Quarantined(_) => Self::QUARANTINE,
            Query::Timers(_) => Self::TIMERS,
            Query::OutboxDue { .. } | Query::OutboxOf { .. } => Self::OUTBOX,
            Query::OutletReference { .. } => Self::REFERENCES,
            Query::Served { .. } => Self::SERVED,
            Query::Strangers(_) => Self::STRANGERS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::check::counted::Counted;
    use crate::domain::check::{Check, Findings, Problem, Socket, Verdict};
    use crate::domain::fault::Fault;
    use crate::domain::run::{Anew, Milestone, Phase};

    fn some() -> Vec<Entry> {
        let at = Timestamp::from_seconds(1_700_000_000);
        let (run, name) = ("01A".to_owned(), "visit".to_owned());
        let delivery = NewDelivery {
            outlet: "slack".into(),
            subject: "01A".into(),
            key: "01A/1".into(),
            kind: "parent".into(),
            payload: serde_json::json!({ "text": "a \"quoted\" word" }),
            at,
        };
        let lease = Lease {
            address: "10.0.0.9".parse().unwrap(),
            mac: "00:1b:21:00:00:01".parse().unwrap(),
            client_id: "00aabb".into(),
            device: None,
            relay_information: String::new(),
            granted: at,
            expires: at,
        };
        let lease6 = Lease6 {
            address: "fd00::9".parse().unwrap(),
            duid: "000300011b2100000001".into(),
            iaid: u32::MAX,
            mac: Some("00:1b:21:00:00:01".parse().unwrap()),
            device: Some("sw1".into()),
            granted: at,
            expires: at,
        };
        let ended = |address: &str| Entry::LeaseEnded {
            address: address.parse().unwrap(),
            quarantined_until: Some(at),
        };
        vec![
            Entry::Outbox(Wanted::of(delivery)),
            Entry::Lease(lease),
            Entry::Lease6(lease6),
            ended("10.0.0.9"),
            ended("fd00::9"),
            Entry::Timer { run: run.clone(), name, at: None },
            Entry::OutboxMoved {
                id: 7,
                state: DeliveryState::Unclear,
                next_at: at,
                note: "500".into(),
            },
            Entry::Forget { before: at },
        ]
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut body = Vec::new();
        for entry in some() {
            entry.encode(&mut body).unwrap();
        }
        assert_eq!(decode(FORMAT, &body).unwrap(), some());
    }

    /// A run with something in each of its fields.
    fn rich(phase: Phase) -> Entry {
        let at = Timestamp::from_seconds(1_700_000_000);
        let mut run = crate::store::tests::a_run("01A", "sw1", at);
        let problem = Problem {
            fault: Fault::WrongPort,
            fill: [("port".to_owned(), "Gi1/0/1".to_owned())].into(),
            sockets: vec![Socket { device: "dist-1".into(), port: "gi1/0/1".into() }],
        };
        let unknown = Verdict::Unknown { why: "a line".into() };
        run.findings = Some(Findings {
            verdicts: vec![
                (Check::Running, Verdict::Pass),
                (Check::Saved, unknown),
                (Check::Software, Verdict::Fail(problem.clone())),
            ],
            remarks: vec!["a remark".into()],
            open: vec!["a check of theirs".into()],
            contradictions: ["Gi1/0/1: core-9 1".into()].into(),
            counted: Counted::default(),
            gives_way: Some(Box::new(problem.clone())),
            asks_upstreams: false,
        });
        run.gave_way = Some(at);
        run.address = Some("fd00::9".parse().unwrap());
        run.milestones = [(Milestone::Asked, at), (Milestone::HandedOver, at)].into();
        run.handed = [("cmdb".to_owned(), "200".to_owned())].into();
        run.suspected = Some((problem.clone(), at));
        run.told = vec![(problem, at)];
        run.served_sha256 = Some("ab".repeat(32));
        run.phase = phase;
        Entry::Run(Arc::new(run))
    }

    #[test]
    fn a_run_of_every_phase_is_read_again_as_it_was() {
        let at = Timestamp::from_seconds(1_700_000_000);
        let fill = [("a".into(), "b".into())].into();
        let problem = Problem { fault: Fault::Silent, fill, sockets: Vec::new() };
        let runs: Vec<Entry> = [
            Phase::Expected { ask_by: at },
            Phase::Addressed { fetch_by: at },
            Phase::Fetching { since: at, end_by: at },
            Phase::Settling { visit_at: at, back_by: at },
            Phase::Connecting { back_by: at, refused_since: Some(at), broken_since: Some(at) },
            Phase::Verifying { since: at },
            Phase::HandingOff { since: at, waiting_for: vec!["cmdb".into()] },
            Phase::Ready { at },
            Phase::ActionNeeded {
                problem,
                since: at,
                still_waiting_said: true,
                anew: Anew::Leased { fetch_by: at },
            },
            Phase::Failed { at, why: "why".into() },
            Phase::Cancelled { at, by: "by".into() },
        ]
        .map(rich)
        .into();
        let mut body = Vec::new();
        for run in &runs {
            run.encode(&mut body).unwrap();
        }
        assert_eq!(decode(FORMAT, &body).unwrap(), runs);
    }

    #[test]
    fn a_log_of_the_format_before_is_read() {
        #[derive(Serialize)]
        enum Before {
            Run(Run),
        }
        let at = Timestamp::from_seconds(1_700_000_000);
        let Entry::Run(run) = rich(Phase::Verifying { since: at }) else { panic!("no run") };
        let body = rmp_serde::to_vec_named(&Before::Run(Run::clone(&run))).unwrap();
        assert_eq!(decode(2, &body).unwrap(), [Entry::Run(run)]);
    }

    #[test]
    fn a_field_of_a_later_version_does_not_hinder() {
        #[derive(Serialize)]
        struct Later<'a> {
            run: &'a str,
            name: &'a str,
            at: Option<i64>,
            why: &'a str,
        }
        #[derive(Serialize)]
        enum Entries<'a> {
            Timer(Later<'a>),
        }
        let later = Entries::Timer(Later { run: "01A", name: "visit", at: Some(5), why: "new" });
        let body = rmp_serde::to_vec_named(&later).unwrap();
        let at = Some(Timestamp::from_micros(5));
        let known = Entry::Timer { run: "01A".into(), name: "visit".into(), at };
        assert_eq!(decode(FORMAT, &body).unwrap(), [known]);
    }

    #[test]
    fn an_unknown_format_and_a_cut_row_are_said_and_not_guessed() {
        let why = decode(7, &[]).unwrap_err();
        assert!(why.contains("format 7") && why.contains("format 2"), "{why}");
        let mut body = Vec::new();
        some()[0].encode(&mut body).unwrap();
        for cut in 1..body.len() {
            assert!(decode(FORMAT, &body[..cut]).is_err(), "cut at {cut}");
        }
    }
}

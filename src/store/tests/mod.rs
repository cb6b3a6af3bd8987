//! The keeper alone, without its threads: each group, slice and kill is made by hand.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::types::Value;
use rusqlite::{Connection, ffi};
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::domain::inventory::meant::Device;
use crate::domain::run::{self, Phase, Run, Timing};
use crate::receipt::Committed;
use crate::service::memory::{
    Binding, Change, Commit, DeliveryState, Holder, JournalLine, Lease, Lease6, NewDelivery,
    Refused, ServedFile,
};
use crate::store::keeper::{BACKLOG_BYTES_MAX, Keeper};
use crate::store::writer;

mod model;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(super) fn a_run(id: &str, name: &str, now: Timestamp) -> Run {
    let device = Device { site: "bma".into(), ..Device::named(name, "frr") };
    let some = Duration::from_secs(60);
    let timing = Timing {
        ask_patience: some,
        file_patience: some,
        settle: some,
        back_deadline: some,
        recheck: some,
        neighbour_patience: some,
        login_patience: some,
        still_waiting: some,
        fetches: true,
        save: false,
        hooks_required: Vec::new(),
        hooks_optional: Vec::new(),
    };
    run::open(id.into(), &device, timing, now)
}

const WINDOW: i64 = 600_000_000;

fn opened(run: &Run) -> Change {
    Change::RunOpened { run: Arc::new(run.clone()), window_micros: WINDOW, forced: false }
}

fn line(run: &str, device: &str, seq: u64) -> Change {
    Change::Journal(JournalLine {
        run: run.into(),
        seq,
        device: device.into(),
        at: at(0),
        topic: "test".into(),
        text: "text".into(),
    })
}

type Answer = Result<Committed, Refused>;

/// Stores a group and gives the answers.
fn store(keeper: &mut Keeper, group: Vec<Vec<Change>>) -> Vec<Answer> {
    let (commits, answers): (VecDeque<_>, Vec<_>) = group
        .into_iter()
        .map(|changes| {
            let (receipt, answer) = oneshot::channel();
            (Commit { changes, receipt }, answer)
        })
        .unzip();
    let mut waiting = commits;
    while !waiting.is_empty() {
        keeper.store(&mut waiting);
    }
    answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
}

fn one(keeper: &mut Keeper, changes: Vec<Change>) -> Answer {
    store(keeper, vec![changes]).remove(0)
}

/// Every row of every table.
fn all_that_is_durable(connection: &Connection) -> Vec<String> {
    let mut rows = Vec::new();
    let tables = [
        ("log", "batch"),
        ("applied", "entries"),
        ("runs", "device, opened, id"),
        ("journal", "row"),
        ("leases", "address"),
        ("leases6", "address"),
        ("quarantine", "address"),
        ("timers", "run, name"),
        ("outbox", "id"),
        ("outlet_references", "outlet, subject"),
        ("served", "row"),
        ("strangers", "key"),
    ];
    for (table, order) in tables {
        let mut statement =
            connection.prepare(&format!("SELECT * FROM {table} ORDER BY {order}")).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.query(()).unwrap();
        while let Some(row) = found.next().unwrap() {
            let values: Vec<String> = names
                .iter()
                .enumerate()
                // The number of a run's row says nothing: rows are found by device.
                .filter(|(_, name)| (table, name.as_str()) != ("runs", "row"))
                .map(|(at, name)| format!("{name}={:?}", row.get::<_, Value>(at).unwrap()))
                .collect();
            rows.push(format!("{table}: {}", values.join(" ")));
        }
    }
    rows
}

fn fresh() -> (tempfile::TempDir, Keeper) {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(&folder.path().join("greenlight.db")).unwrap();
    (folder, keeper)
}

#[test]
fn of_two_commits_in_one_group_that_contradict_the_first_is_stored() {
    let (_folder, mut keeper) = fresh();
    let (first, second) = (a_run("01A", "sw1", at(0)), a_run("01B", "sw1", at(1)));
    let group = vec![
        vec![opened(&first), line("01A", "sw1", 1)],
        vec![line("01B", "sw1", 1), opened(&second)],
        vec![Change::RunMoved { run: Arc::new(first.clone()), from_rev: first.rev }],
        vec![Change::RunMoved { run: Arc::new(first.clone()), from_rev: first.rev + 1 }],
    ];
    let answers = store(&mut keeper, group);
    assert!(answers[0].is_ok());
    let standing = Refused::AlreadyOpen { run: Arc::new(first) };
    assert_eq!(answers[1].as_ref().unwrap_err(), &standing);
    assert!(answers[2].is_ok());
    assert_eq!(answers[3].as_ref().unwrap_err(), &Refused::Stale { run: "01A".into() });
    keeper.apply_all();
    let lines: Vec<_> = all_that_is_durable(&keeper.connection);
    assert_eq!(lines.iter().filter(|row| row.starts_with("journal")).count(), 1, "{lines:#?}");
}

#[test]
fn a_refused_commit_leaves_the_heads_as_they_were() {
    let (_folder, mut keeper) = fresh();
    let run = a_run("01A", "sw1", at(0));
    let stale = Change::RunMoved { run: Arc::new(a_run("01Z", "sw9", at(0))), from_rev: 1 };
    assert!(one(&mut keeper, vec![opened(&run), stale]).is_err());
    assert!(one(&mut keeper, vec![opened(&run)]).is_ok(), "sw1 has no run yet");
}

#[test]
fn a_group_that_does_not_reach_the_disk_leaves_the_heads_as_they_were() {
    let (_folder, mut keeper) = fresh();
    let (run, other) = (a_run("01A", "sw1", at(0)), a_run("01B", "sw2", at(0)));
    keeper.connection.pragma_update(None, "query_only", true).unwrap();
    let answers = store(&mut keeper, vec![vec![opened(&run)], vec![opened(&other)]]);
    for answer in answers {
        assert!(matches!(answer.unwrap_err(), Refused::Unavailable { .. }));
    }
    keeper.connection.pragma_update(None, "query_only", false).unwrap();
    assert!(one(&mut keeper, vec![opened(&run)]).is_ok());
    assert!(one(&mut keeper, vec![opened(&other)]).is_ok());
}

#[test]
fn an_end_that_comes_after_the_next_holder_s_lease_leaves_that_alone() {
    let lease = |mac: u8, granted| Lease {
        address: "10.0.0.9".parse().unwrap(),
        mac: crate::address::Mac::new([mac; 6]),
        client_id: String::new(),
        device: None,
        relay_information: String::new(),
        granted: at(granted),
        expires: at(granted + 300),
    };
    let lease6 = |iaid, granted| Lease6 {
        address: "fd00::9".parse().unwrap(),
        duid: "0003".into(),
        iaid,
        mac: None,
        device: None,
        granted: at(granted),
        expires: at(granted + 300),
    };
    let ends = |lease: &Lease, lease6: &Lease6| {
        let ended = |address, binding| Change::LeaseEnded {
            address,
            binding,
            quarantined_until: Some(at(900)),
        };
        vec![
            ended(lease.address.into(), lease.binding()),
            ended(lease6.address.into(), lease6.binding()),
        ]
    };
    let stored = |lease: &Lease, lease6: &Lease6| {
        vec![Change::Lease(lease.clone()), Change::Lease6(lease6.clone())]
    };
    let (first, first6) = (lease(1, 1), lease6(1, 1));
    // Another one's, and the same one's again.
    let followers = [(lease(2, 5), lease6(2, 5)), (lease(1, 5), lease6(1, 5))];
    for (next, next6) in &followers {
        for at_once in [true, false] {
            let (_folder, mut keeper) = fresh();
            let left = |keeper: &Keeper| {
                let count = |table| {
                    let sql = format!("SELECT count(*) FROM {table}");
                    keeper.connection.query_row(&sql, (), |row| row.get::<_, u8>(0)).unwrap()
                };
                (count("leases"), count("leases6"))
            };
            let apply = |keeper: &mut Keeper, changes| {
                assert!(one(keeper, changes).is_ok());
                if at_once {
                    keeper.apply_all();
                }
            };
            apply(&mut keeper, stored(&first, &first6));
            apply(&mut keeper, stored(next, next6));
            apply(&mut keeper, ends(&first, &first6));
            if at_once {
                assert_eq!(left(&keeper), (1, 1), "{next:?}");
            }
            apply(&mut keeper, ends(next, next6));
            keeper.apply_all();
            assert_eq!(left(&keeper), (0, 0), "{next:?}");
            apply(&mut keeper, stored(next, next6));
            apply(&mut keeper, ends(&first, &first6));
            keeper.apply_all();
            assert_eq!(left(&keeper), (1, 1), "{next:?}");
        }
    }
}

fn served(number: u64) -> Change {
    file(number, 1000)
}

fn file(number: u64, name_bytes: usize) -> Change {
    Change::Served(ServedFile {
        run: None,
        device: "sw1".into(),
        name_asked: "x".repeat(name_bytes),
        transport: "tftp".into(),
        bytes: number,
        sha256: String::new(),
        complete: true,
        at: at(0),
    })
}

#[test]
fn commits_get_their_receipts_in_the_middle_of_a_sweep() {
    let (_folder, mut keeper) = fresh();
    keeper.slice_entries = 1000;
    let many = (0..5000).map(|number| vec![served(number)]).collect();
    assert!(store(&mut keeper, many).iter().all(Result::is_ok));
    keeper.backlog.seal();
    let mut between = 0;
    while keeper.sweeping() {
        keeper.slice();
        assert!(one(&mut keeper, vec![served(5000 + between)]).is_ok());
        between += 1;
    }
    assert!(between >= 5, "a sweep of 5000 was done in {between} slices");
    keeper.apply_all();
    let count = "SELECT COUNT(*), COUNT(DISTINCT bytes) FROM served";
    let found: (i64, i64) =
        keeper.connection.query_row(count, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let all = i64::try_from(5000 + between).unwrap();
    assert_eq!(found, (all, all));
}

#[test]
fn what_waits_has_a_bound_however_fast_it_comes() {
    let (_folder, mut keeper) = fresh();
    // Slower tables than commits.
    keeper.slice_entries = 20;
    let mut most = 0;
    for number in 0..40 {
        let group = (0..200).map(|at| vec![file(number * 200 + at, 10_000)]).collect();
        assert!(store(&mut keeper, group).iter().all(Result::is_ok));
        most = most.max(keeper.backlog.weight());
        writer::make_room(&mut keeper);
    }
    // One group more than the bound: it is looked at between groups.
    assert!(most <= BACKLOG_BYTES_MAX + 200 * 11_000, "{most} bytes waited");
    assert!(most >= BACKLOG_BYTES_MAX, "the bound was not reached: {most}");
}

#[test]
fn tables_that_cannot_be_written_keep_the_log_and_at_the_bound_refuse() {
    let (folder, mut keeper) = fresh();
    assert!(one(&mut keeper, vec![served(1)]).is_ok());
    // The tables are in the way of their own sweep: something that only our own mistake can do.
    keeper.connection.execute_batch("ALTER TABLE served RENAME TO hidden").unwrap();
    keeper.apply_all();
    assert!(keeper.stuck.is_some());
    assert!(one(&mut keeper, vec![served(2)]).is_ok(), "there is room in the log");
    let mut refused = None;
    for number in 0..100 {
        let group = (0..200).map(|at| vec![file(number * 200 + at + 4, 10_000)]).collect();
        if let Some(Err(why)) = store(&mut keeper, group).pop() {
            refused = Some(why);
            break;
        }
        writer::make_room(&mut keeper);
    }
    assert!(matches!(refused, Some(Refused::Unavailable { .. })), "{refused:?}");
    keeper.connection.execute_batch("ALTER TABLE hidden RENAME TO served").unwrap();
    keeper.apply_all();
    assert!(one(&mut keeper, vec![served(3)]).is_ok());
    drop(keeper);
    let keeper = Keeper::open(&folder.path().join("greenlight.db")).unwrap();
    let found: i64 = keeper
        .connection
        .query_row("SELECT COUNT(*) FROM served WHERE bytes < 4", (), |row| row.get(0))
        .unwrap();
    assert_eq!(found, 3);
}

#[test]
fn after_a_failed_flush_nothing_is_confirmed_until_a_new_start() {
    let (folder, mut keeper) = fresh();
    assert!(one(&mut keeper, vec![served(1)]).is_ok());
    let failed = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
    keeper.distrust(&failed(ffi::SQLITE_FULL));
    assert!(one(&mut keeper, vec![served(2)]).is_ok(), "a full disk may have room again");
    keeper.distrust(&failed(ffi::SQLITE_IOERR_FSYNC));
    // The disk takes all of it, and is not believed.
    for number in 3..5 {
        let Err(Refused::Unavailable { why }) = one(&mut keeper, vec![served(number)]) else {
            panic!("{number} was confirmed");
        };
        assert!(why.contains("flush"), "{why}");
        keeper.apply_all();
    }
    drop(keeper);
    let mut keeper = Keeper::open(&folder.path().join("greenlight.db")).unwrap();
    assert!(one(&mut keeper, vec![served(5)]).is_ok());
    keeper.apply_all();
    let mut statement = keeper.connection.prepare("SELECT bytes FROM served ORDER BY row").unwrap();
    let found: Vec<i64> =
        statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(found, [1, 2, 5]);
}

#[test]
fn a_log_of_another_format_is_refused_and_left_alone() {
    let (folder, keeper) = fresh();
    let add = "INSERT INTO log (batch, format, body) VALUES (7, 99, x'00')";
    keeper.connection.execute_batch(add).unwrap();
    drop(keeper);
    let path = folder.path().join("greenlight.db");
    for _ in 0..2 {
        let Err(error) = Keeper::open(&path) else { panic!("it was opened") };
        let said = format!("{error:?}");
        assert!(said.contains("format 99") && said.contains("batch 7"), "{said}");
    }
}

#[test]
fn a_second_opener_is_refused() {
    let (folder, keeper) = fresh();
    let path = folder.path().join("greenlight.db");
    let Err(error) = Keeper::open(&path) else { panic!("two had it") };
    assert!(format!("{error:?}").contains("another process uses it"), "{error:?}");
    drop(keeper);
    assert!(Keeper::open(&path).is_ok(), "it is free again");
}

//! The store keeps what it confirmed, refuses what would be done twice, and orders what goes out.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use greenlight::clock::Timestamp;
use greenlight::domain::inventory::meant::Device;
use greenlight::domain::run::{self, Event, Run, Timing};
use greenlight::service::memory::{
    Binding, Change, DeliveryState, Holder, JournalLine, Lease, Memory, NewDelivery, Query, Refused,
};
use greenlight::store;

pub fn device(name: &str) -> Device {
    Device {
        site: "bma".into(),
        serial: Some(format!("FOC-{name}")),
        template: Some("frr.j2".into()),
        location: "rack 4".into(),
        ..Device::named(name, "frr")
    }
}

pub fn timing() -> Timing {
    Timing {
        ask_patience: Duration::from_secs(480),
        file_patience: Duration::from_secs(180),
        settle: Duration::from_secs(1),
        back_deadline: Duration::from_secs(120),
        recheck: Duration::from_secs(15),
        neighbour_patience: Duration::from_secs(65),
        login_patience: Duration::from_secs(90),
        still_waiting: Duration::from_secs(600),
        fetches: true,
        save: false,
        hooks_required: Vec::new(),
        hooks_optional: Vec::new(),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn a_run(id: &str, name: &str, now: Timestamp) -> Run {
    let run = run::open(id.into(), &device(name), timing(), now);
    run::step(&run, &Event::Asked, now).run
}

fn opened(run: &Run) -> Change {
    Change::RunOpened {
        run: std::sync::Arc::new(run.clone()),
        window_micros: 600_000_000,
        forced: false,
    }
}

async fn fresh() -> (tempfile::TempDir, Memory) {
    let folder = tempfile::tempdir().unwrap();
    let memory = store::open(&folder.path().join("greenlight.db")).await.unwrap();
    (folder, memory)
}

#[tokio::test]
async fn a_device_has_one_open_run_and_none_within_the_window() {
    let (_folder, memory) = fresh().await;
    let first = a_run("01A", "sw1", at(1000));
    memory.commit(vec![opened(&first)]).await.unwrap();
    let second = a_run("01B", "sw1", at(1001));
    let refused = memory.commit(vec![opened(&second)]).await.unwrap_err();
    assert_eq!(refused, Refused::AlreadyOpen { run: std::sync::Arc::new(first.clone()) });
    // The other device is not held up.
    memory.commit(vec![opened(&a_run("01C", "sw2", at(1001)))]).await.unwrap();
    // Ended, and still within ten minutes.
    let ended = run::step(&first, &Event::Cancel { by: "unix:0".into() }, at(1100)).run;
    let moved = Change::RunMoved { run: std::sync::Arc::new(ended), from_rev: first.rev };
    memory.commit(vec![moved]).await.unwrap();
    let third = a_run("01D", "sw1", at(1600));
    let refused = memory.commit(vec![opened(&third)]).await.unwrap_err();
    assert!(matches!(refused, Refused::AlreadyOpen { .. }), "{refused:?}");
    let fourth = a_run("01E", "sw1", at(1701));
    memory.commit(vec![opened(&fourth)]).await.unwrap();
    assert_eq!(memory.ask(Query::OpenRuns).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_refused_commit_leaves_nothing_behind_and_holds_up_nobody() {
    let (_folder, memory) = fresh().await;
    let run = a_run("01A", "sw1", at(1000));
    memory.commit(vec![opened(&run)]).await.unwrap();
    let line = |seq| {
        Change::Journal(JournalLine {
            run: "01A".into(),
            seq,
            device: "sw1".into(),
            at: at(1000),
            topic: "test".into(),
            text: "text".into(),
        })
    };
    let stale = Change::RunMoved { run: std::sync::Arc::new(run.clone()), from_rev: 99 };
    let (bad, good) =
        tokio::join!(memory.commit(vec![line(1), stale]), memory.commit(vec![line(2)]),);
    assert_eq!(bad.unwrap_err(), Refused::Stale { run: "01A".into() });
    good.unwrap();
    let lines =
        memory.ask(|reply| Query::Journal { device: "sw1".into(), last: 10, reply }).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn everything_confirmed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("greenlight.db");
    let run = a_run("01A", "sw1", at(1000));
    let lease = Lease {
        address: "10.0.0.9".parse().unwrap(),
        mac: "00:1b:21:00:00:01".parse().unwrap(),
        client_id: "00aabb".into(),
        device: Some("sw1".into()),
        relay_information: "0104deadbeef".into(),
        granted: at(1000),
        expires: at(4600),
    };
    {
        let memory = store::open(&file).await.unwrap();
        let timer = Change::Timer { run: "01A".into(), name: "visit".into(), at: Some(at(1010)) };
        let rest = Change::LeaseEnded {
            address: "10.0.0.66".parse().unwrap(),
            binding: Binding { holder: Holder::Port(lease.mac), until: at(4600) },
            quarantined_until: Some(at(5000)),
        };
        memory.commit(vec![opened(&run), Change::Lease(lease.clone()), timer, rest]).await.unwrap();
    }
    let memory = store::open(&file).await.unwrap();
    assert_eq!(memory.ask(Query::LatestRuns).await.unwrap(), [run]);
    assert_eq!(memory.ask(Query::Leases).await.unwrap(), [lease]);
    assert_eq!(
        memory.ask(Query::Timers).await.unwrap(),
        [("01A".to_owned(), "visit".to_owned(), at(1010))]
    );
    assert_eq!(memory.ask(Query::Quarantined).await.unwrap().len(), 1);
}

fn row(subject: &str, key: &str, kind: &str) -> Change {
    Change::Outbox(NewDelivery {
        outlet: "slack".into(),
        subject: subject.into(),
        key: key.into(),
        kind: kind.into(),
        payload: serde_json::json!({ "key": key }),
        at: at(1000),
    })
}

async fn due(memory: &Memory, now: i64) -> Vec<String> {
    let due = memory
        .ask(|reply| Query::OutboxDue { outlet: "slack".into(), now: at(now), limit: 10, reply })
        .await
        .unwrap();
    due.into_iter().map(|delivery| delivery.key).collect()
}

#[tokio::test]
async fn the_outbox_keeps_order_per_subject_and_each_key_once() {
    let (_folder, memory) = fresh().await;
    memory
        .commit(vec![
            row("r1", "r1/1", "parent"),
            row("r1", "r1/2", "reply"),
            row("r2", "r2/1", "parent"),
            row("r1", "r1/1", "parent"),
        ])
        .await
        .unwrap();
    assert_eq!(due(&memory, 1000).await, ["r1/1", "r2/1"]);
    let moved = |id, state, next_at| Change::OutboxMoved {
        id,
        state,
        next_at: at(next_at),
        note: String::new(),
    };
    memory.commit(vec![moved(1, DeliveryState::Pending, 1060)]).await.unwrap();
    assert_eq!(due(&memory, 1000).await, ["r2/1"], "what comes later waits for it");
    memory.commit(vec![moved(1, DeliveryState::Done, 1060)]).await.unwrap();
    assert_eq!(due(&memory, 1000).await, ["r1/2", "r2/1"]);
    let superseded = Change::OutboxSuperseded {
        outlet: "slack".into(),
        subject: "r1".into(),
        kinds: vec!["reply".into()],
    };
    memory.commit(vec![superseded]).await.unwrap();
    assert_eq!(due(&memory, 1000).await, ["r2/1"]);
    memory.commit(vec![moved(3, DeliveryState::Dead, 1000)]).await.unwrap();
    assert!(due(&memory, 9000).await.is_empty());
    memory.commit(vec![row("r2", "r2/1", "parent")]).await.unwrap();
    assert_eq!(due(&memory, 9000).await, ["r2/1"], "a dead row lives again when wanted again");
}

#[tokio::test]
async fn many_commits_share_a_flush() {
    let (_folder, memory) = fresh().await;
    let commits = (0..200).map(|n| {
        let memory = memory.clone();
        tokio::spawn(async move {
            let lease = Lease {
                address: std::net::Ipv4Addr::from(0x0a00_0000 + n),
                mac: greenlight::address::Mac::new([0, 0, 0, 0, 0, n as u8]),
                client_id: String::new(),
                device: None,
                relay_information: String::new(),
                granted: at(0),
                expires: at(3600),
            };
            memory.commit(vec![Change::Lease(lease)]).await.unwrap().batch()
        })
    });
    let mut batches = std::collections::BTreeSet::new();
    for commit in commits.collect::<Vec<_>>() {
        batches.insert(commit.await.unwrap());
    }
    assert!(batches.len() < 100, "200 commits took {} flushes", batches.len());
    assert_eq!(memory.ask(Query::Leases).await.unwrap().len(), 200);
}

#[tokio::test]
async fn what_is_old_is_let_go_of_and_what_is_open_or_newest_stays() {
    let (folder, memory) = fresh().await;
    let old = a_run("01A", "sw1", at(1000));
    let ended = run::step(&old, &Event::Cancel { by: "unix:0".into() }, at(1001)).run;
    let line = |run: &str, device: &str, at| {
        Change::Journal(JournalLine {
            run: run.into(),
            seq: 1,
            device: device.into(),
            at,
            topic: "test".into(),
            text: "text".into(),
        })
    };
    memory
        .commit(vec![
            opened(&old),
            Change::RunMoved { run: std::sync::Arc::new(ended), from_rev: old.rev },
            line("01A", "sw1", at(1000)),
            opened(&a_run("01B", "sw2", at(1000))),
            line("01B", "sw2", at(1000)),
        ])
        .await
        .unwrap();
    memory.commit(vec![opened(&a_run("01C", "sw1", at(90_000)))]).await.unwrap();
    for (key, seen) in [("old", 1000), ("new", 90_000)] {
        let stranger =
            Change::Stranger { key: key.into(), description: "a switch".into(), at: at(seen) };
        memory.commit(vec![stranger]).await.unwrap();
    }
    memory.commit(vec![Change::Forget { before: at(50_000) }]).await.unwrap();
    let lines = async |device: &str| {
        let device = device.to_owned();
        memory.ask(|reply| Query::Journal { device, last: 10, reply }).await.unwrap().len()
    };
    assert_eq!((lines("sw1").await, lines("sw2").await), (0, 1), "the open run keeps its journal");
    let runs = memory.ask(Query::LatestRuns).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["01C", "01B"]);
    let strangers = memory.ask(Query::Strangers).await.unwrap();
    assert_eq!(strangers.iter().map(|s| s.key.as_str()).collect::<Vec<_>>(), ["new"]);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(folder.path().join("greenlight.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the store is the server's own");
}

fn line(device: &str, seq: u64) -> Change {
    Change::Journal(JournalLine {
        run: "r".into(),
        seq,
        device: device.into(),
        at: at(0),
        topic: "test".into(),
        text: "text".into(),
    })
}

async fn lines_of(memory: &Memory, device: &str) -> Vec<u64> {
    let device = device.to_owned();
    let last = 1_000_000;
    let lines = memory.ask(|reply| Query::Journal { device, last, reply }).await.unwrap();
    lines.into_iter().map(|line| line.seq).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_sees_every_commit_before_it_and_none_by_half() {
    let (_folder, memory) = fresh().await;
    let busy: Vec<_> = (0..8u64)
        .map(|task| {
            let memory = memory.clone();
            tokio::spawn(async move {
                let own = format!("sw{task}");
                for number in 0..40 {
                    let seq = (task * 1000 + number) * 2;
                    let both = vec![line("all", seq), line(&own, seq), line("all", seq + 1)];
                    memory.commit(both).await.unwrap();
                    let seen = lines_of(&memory, &own).await;
                    assert_eq!(seen.len() as u64, number + 1, "task {task} misses its own");
                    let all = lines_of(&memory, "all").await;
                    assert_eq!(all.len() % 2, 0, "half a commit was seen");
                }
            })
        })
        .collect();
    for task in busy {
        task.await.unwrap();
    }
    assert_eq!(lines_of(&memory, "all").await.len(), 8 * 40 * 2);
}

/// Tells the other process where its store is.
const STORE: &str = "GREENLIGHT_TEST_STORE";

#[tokio::test]
#[ignore = "the process that the next test starts and kills"]
async fn commits_until_it_is_killed() {
    let Ok(path) = std::env::var(STORE) else { return };
    let memory = store::open(Path::new(&path)).await.unwrap();
    let first = lines_of(&memory, "last").await.len() as u64;
    for task in 0..8u64 {
        let memory = memory.clone();
        tokio::spawn(async move {
            for number in first.. {
                let seq = number * 8 + task;
                let changes = vec![line("sw1", seq), line("sw2", seq)];
                memory.commit(changes).await.unwrap();
                println!("stored {seq} ");
            }
        });
    }
    // Now and then a question, so that the tables are written too.
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        lines_of(&memory, "nobody").await;
    }
}

/// Starts a process that commits, and gives what it confirms.
fn other_process(path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["store::commits_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
        .env(STORE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_the_receipt_and_the_tables_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("greenlight.db");
    let mut confirmed = std::collections::BTreeSet::new();
    for round in 1..=4 {
        let (mut child, mut said) = other_process(&path);
        let mut text = String::new();
        let mut heard = 0;
        let mut begun = false;
        loop {
            text.clear();
            if said.read_line(&mut text).unwrap() == 0 {
                break;
            }
            let Some((_, seq)) = text.trim().split_once("stored ") else { continue };
            confirmed.insert(seq.parse::<u64>().unwrap());
            heard += 1;
            if round == 1 && !begun {
                begun = true;
                let refused = store::open(&path).await.err().expect("it has an owner");
                assert!(format!("{refused:?}").contains("another process"), "{refused:?}");
            }
            if heard == 150 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(heard >= 150 * round, "the other process ended by itself");
        let memory = store::open(&path).await.unwrap();
        let (one, other) = (lines_of(&memory, "sw1").await, lines_of(&memory, "sw2").await);
        assert_eq!(one, other, "half a commit is there");
        let there: std::collections::BTreeSet<u64> = one.iter().copied().collect();
        assert_eq!(there.len(), one.len(), "a line is there twice");
        let lost: Vec<_> = confirmed.difference(&there).collect();
        assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
        // Where the next one goes on.
        let next = there.last().unwrap() / 8 + 1;
        let done = lines_of(&memory, "last").await.len() as u64;
        memory.commit((done..next).map(|seq| line("last", seq)).collect()).await.unwrap();
        drop(memory);
    }
}

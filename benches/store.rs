//! What does a commit cost, and what does it cost to bring the tables up to date?
//!
//! `cargo bench --bench store`; `TRANSFERS`, `LEASES` and `TASKS` change the load. Each line tells
//! commits a second and the CPU time of the whole process, that of the asking tasks included: the
//! first lines, without a store, say how much that is.

use std::sync::Arc;
use std::time::Duration;

use greenlight::address::Mac;
use greenlight::clock::{Clock, Timestamp};
use greenlight::domain::inventory::meant::Device;
use greenlight::domain::run::{self, Event, Run, Timing};
use greenlight::receipt::Committed;
use greenlight::service::memory::{
    Change, Commit, JournalLine, Lease, Memory, Query, Refused, ServedFile,
};
use greenlight::store;
use tokio::sync::mpsc;

type Commits = Vec<Vec<Change>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (transfers, leases) = (number("TRANSFERS", 20_000), number("LEASES", 100_000));
    let tasks = number("TASKS", 256);
    let folder = tempfile::tempdir().expect("a directory for the measurement");
    let file = folder.path().join("greenlight.db");
    println!("{transfers} transfers of two commits, {leases} leases, {tasks} tasks");
    let nothing = no_store();
    measure("transfers, no store", &nothing, chains(transfers), tasks).await;
    measure("leases, no store", &nothing, bindings(leases), tasks).await;
    let memory = store::open(&file).await.expect("an empty store opens");
    let before = resident();
    measure("transfers", &memory, chains(transfers), tasks).await;
    measure("leases", &memory, bindings(leases), tasks).await;
    println!("memory: {before} MiB before, {} MiB after", resident());
    let began = Clock::System.instant();
    drop(memory);
    let memory = reopened(&file).await;
    let found = memory.ask(Query::Leases).await.expect("the leases are read").len();
    println!("reopened, {found} leases read: {:?}", Clock::System.instant() - began);
    let began = Clock::System.instant();
    let found = memory.ask(Query::LatestRuns).await.expect("the runs are read").len();
    println!("{found} runs read: {:?}", Clock::System.instant() - began);
}

async fn reopened(file: &std::path::Path) -> Memory {
    store::open(file).await.expect("the store opens again")
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Answers at once: what is left is the asking.
fn no_store() -> Memory {
    let (commits, mut waiting) = mpsc::channel::<Commit>(4096);
    let (queries, _) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(commit) = waiting.recv().await {
            let _ = commit.receipt.send(Ok(Committed::by_the_store(1)));
        }
    });
    let (_, lost) = tokio::sync::watch::channel(None);
    Memory { commits, queries, lost }
}

/// Commits chains of commits, `tasks` at a time, and prints what they cost, twice: when the last
/// receipt is out, and when a question has been answered that sees them all.
async fn measure(what: &str, memory: &Memory, chains: Vec<Commits>, tasks: usize) {
    let count: usize = chains.iter().map(Vec::len).sum();
    let mut shares: Vec<Vec<Commits>> = (0..tasks).map(|_| Vec::new()).collect();
    for (at, chain) in chains.into_iter().enumerate() {
        shares[at % tasks].push(chain);
    }
    let (began, cpu) = (Clock::System.instant(), cpu());
    let working = shares.into_iter().map(|share| tokio::spawn(work(memory.clone(), share)));
    let working: Vec<_> = working.collect();
    for task in working {
        task.await.expect("a task ends").expect("the store takes everything");
    }
    report(what, "receipts out", count, (Clock::System.instant() - began, self::cpu() - cpu));
    let everything = |reply| Query::JournalAfter { row: i64::MAX - 1, limit: 1, reply };
    // The leases are read as well: there is no smaller question about them.
    if memory.ask(everything).await.is_ok() && memory.ask(Query::Leases).await.is_ok() {
        report(what, "all applied", count, (Clock::System.instant() - began, self::cpu() - cpu));
    }
}

async fn work(memory: Memory, share: Vec<Commits>) -> Result<(), Refused> {
    for changes in share.into_iter().flatten() {
        memory.commit(changes).await?;
    }
    Ok(())
}

fn report(what: &str, when: &str, count: usize, (wall, cpu): (Duration, Duration)) {
    let each = cpu.as_secs_f64() * 1e6 / count as f64;
    let rate = count as f64 / wall.as_secs_f64();
    let peak = field("VmHWM:");
    println!(
        "{what:20} {when:13} {count:7} commits {rate:9.0}/s {each:7.1} us CPU each, {wall:.2?}, peak {peak} MiB"
    );
}

/// User and system time of this process, in steps of the kernel's 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux says what a process used");
    let after = stat.rsplit(')').next().expect("the name ends");
    let ticks = |at: usize| -> u64 {
        after.split_whitespace().nth(at).and_then(|text| text.parse().ok()).expect("a number")
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn resident() -> u64 {
    field("VmRSS:")
}

/// A field of /proc/self/status, in MiB.
fn field(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says what it holds");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the field is there");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// For each transfer two commits: the device asks, the device has its file.
fn chains(count: usize) -> Vec<Commits> {
    (0..count).map(transfer).collect()
}

fn transfer(number: usize) -> Commits {
    let name = format!("sw-{number:06}");
    let id = format!("01JXYZ{:020}", number * 7919 % 1_000_003);
    let at = |second: i64| Timestamp::from_seconds(1_700_000_000 + second);
    let opened = run::open(id.clone(), &device(&name), timing(), at(0));
    let asked = run::step(&opened, &Event::Asked, at(0)).run;
    let cancelled = run::step(&asked, &Event::Cancel { by: "unix:0".into() }, at(2)).run;
    let moved = Run { phase: asked.phase.clone(), ..cancelled };
    let line = |seq, topic: &str, text: &str| {
        Change::Journal(JournalLine {
            run: id.clone(),
            seq,
            device: name.clone(),
            at: at(0),
            topic: topic.into(),
            text: text.into(),
        })
    };
    let timer = |name: &str, at| Change::Timer { run: id.clone(), name: name.into(), at };
    let served = ServedFile {
        run: Some(id.clone()),
        device: name.clone(),
        name_asked: "network-confg".into(),
        transport: "tftp".into(),
        bytes: 4711,
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        complete: true,
        at: at(1),
    };
    let from_rev = asked.rev;
    vec![
        vec![
            Change::RunOpened { run: Arc::new(asked), window_micros: 600_000_000, forced: false },
            line(1, "fetching", "asked for network-confg over TFTP"),
            timer("deadline", Some(at(180))),
            timer("still_waiting", Some(at(600))),
        ],
        vec![
            Change::RunMoved { run: Arc::new(moved), from_rev },
            line(2, "settling", "has its configuration: 4711 bytes, 0 repeats"),
            Change::Served(served),
            timer("deadline", Some(at(120))),
            timer("visit", Some(at(10))),
        ],
    ]
}

fn bindings(count: usize) -> Vec<Commits> {
    let lease = |number: usize| {
        let number = u32::try_from(number).expect("fewer leases than addresses");
        let [_, b, c, d] = number.to_be_bytes();
        Change::Lease(Lease {
            address: std::net::Ipv4Addr::from(0x0a00_0000 + number),
            mac: Mac::new([0, 0x1b, 0x21, b, c, d]),
            client_id: format!("01001b21{number:06x}"),
            device: Some(format!("sw-{number:06}")),
            relay_information: "0104deadbeef".into(),
            granted: Timestamp::from_seconds(1_700_000_000),
            expires: Timestamp::from_seconds(1_700_003_600),
        })
    };
    (0..count).map(|number| vec![vec![lease(number)]]).collect()
}

fn device(name: &str) -> Device {
    Device {
        site: "bma".into(),
        serial: Some(format!("FOC-{name}")),
        template: Some("frr.j2".into()),
        location: "rack 4".into(),
        ..Device::named(name, "frr")
    }
}

fn timing() -> Timing {
    Timing {
        ask_patience: Duration::from_secs(480),
        file_patience: Duration::from_secs(180),
        settle: Duration::from_secs(1),
        back_deadline: Duration::from_secs(120),
        recheck: Duration::from_secs(15),
        neighbour_patience: Duration::from_secs(65),
        login_patience: Duration::from_secs(90),
        still_waiting: Duration::from_secs(600),
        save: false,
        hooks_required: Vec::new(),
        hooks_optional: Vec::new(),
    }
}

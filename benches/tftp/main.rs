//! Greenlight's TFTP server beside its peers on this machine: the same load, one core each for the
//! server and for all readers, as ratios. `benches/README.md` says how to run it.

mod client;
mod servers;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use client::{Load, Score};
use servers::{Kind, LARGE, MEDIUM, READERS_CORE, SMALL, Server};

/// Work of one row of the table.
struct Work {
    title: &'static str,
    file: &'static str,
    transfers: usize,
    at_once: usize,
    block_bytes: Option<u16>,
    window_blocks: Option<u16>,
    loss_per_mille: u32,
    servers: &'static [Kind],
}

const WORKS: [Work; 5] = [
    Work {
        title: "20,000 transfers of 8,000 bytes, 200 at a time, no options",
        file: SMALL,
        transfers: 20_000,
        at_once: 200,
        block_bytes: None,
        window_blocks: None,
        loss_per_mille: 0,
        servers: &Kind::ALL,
    },
    Work {
        title: "100 transfers of 4 MiB, 50 at a time, blksize 1428, windowsize 8",
        file: MEDIUM,
        transfers: 100,
        at_once: 50,
        block_bytes: Some(1428),
        window_blocks: Some(8),
        loss_per_mille: 0,
        servers: &[Kind::Engine, Kind::Atftpd, Kind::RsTftpd],
    },
    Work {
        title: "one transfer of 64 MiB, blksize 1428, windowsize 16",
        file: LARGE,
        transfers: 1,
        at_once: 1,
        block_bytes: Some(1428),
        window_blocks: Some(16),
        loss_per_mille: 0,
        servers: &[Kind::Engine, Kind::Atftpd, Kind::RsTftpd],
    },
    Work {
        title: "one transfer of 64 MiB, blksize 1428, windowsize 1",
        file: LARGE,
        transfers: 1,
        at_once: 1,
        block_bytes: Some(1428),
        window_blocks: None,
        loss_per_mille: 0,
        servers: &[Kind::Engine, Kind::Dnsmasq, Kind::TftpdHpa, Kind::Atftpd, Kind::RsTftpd],
    },
    Work {
        title: "one transfer of 4 MiB, blksize 1428, windowsize 16, 2 % lost each way",
        file: MEDIUM,
        transfers: 1,
        at_once: 1,
        block_bytes: Some(1428),
        window_blocks: Some(16),
        loss_per_mille: 20,
        servers: &[Kind::Engine, Kind::Atftpd, Kind::RsTftpd],
    },
];

/// One run of one server.
#[derive(Debug, Clone, Copy)]
struct Run {
    score: Score,
    cpu: Duration,
    peak_kib: u64,
}

impl Run {
    fn transfers_a_second(&self) -> f64 {
        self.score.complete as f64 / self.score.elapsed.as_secs_f64()
    }

    fn megabytes_a_second(&self) -> f64 {
        self.score.bytes as f64 / 1e6 / self.score.elapsed.as_secs_f64()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["engine", port] => servers::engine(port.parse().expect("a port")).await,
        ["compare", rest @ ..] => {
            let rounds = rest.first().map_or(5, |rounds| rounds.parse().expect("a number"));
            let works = rest.get(1..).unwrap_or_default();
            compare(rounds, works).await;
        }
        // The readers get a core of their own.
        _ => {
            let this = std::env::current_exe().expect("a program has a path");
            let status = Command::new("taskset")
                .args(["-c", READERS_CORE])
                .arg(this)
                .arg("compare")
                .args(&words)
                .status();
            if !status.expect("taskset is installed (util-linux)").success() {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs the rows (all, or those numbered from 1 in `works`) and prints their tables.
async fn compare(rounds: usize, works: &[&str]) {
    let directory = tempfile::Builder::new().prefix("greenlight-bench").tempdir();
    let directory = directory.expect("a directory can be made");
    servers::write_files(directory.path());
    for (index, work) in WORKS.iter().enumerate() {
        let wanted = works.is_empty() || works.contains(&(index + 1).to_string().as_str());
        if wanted {
            measure(work, rounds, directory.path()).await;
        }
    }
}

async fn measure(work: &Work, rounds: usize, directory: &Path) {
    let mut table: Vec<(Kind, Vec<Run>)> = Vec::new();
    for round in 0..rounds {
        for (place, kind) in work.servers.iter().enumerate() {
            let port = 20_069 + (round * 10 + place) as u16;
            let Some(run) = run(work, *kind, port, directory).await else { continue };
            let (score, cpu) = (run.score, run.cpu);
            eprintln!("round {round} {}: {score:?}, CPU {cpu:?}", kind.name());
            match table.iter_mut().find(|(known, _)| known == kind) {
                Some((_, runs)) => runs.push(run),
                None => table.push((*kind, vec![run])),
            }
        }
    }
    print(work, &table).expect("standard output takes it");
}

async fn run(work: &Work, kind: Kind, port: u16, directory: &Path) -> Option<Run> {
    let server = Server::start(kind, port, directory)?;
    if !warm(server.address, work).await {
        eprintln!("{} does not serve: see its log", kind.name());
        return None;
    }
    let before = server.cpu();
    let load = Load {
        server: server.address,
        file: work.file.to_owned(),
        transfers: work.transfers,
        at_once: work.at_once,
        block_bytes: work.block_bytes,
        window_blocks: work.window_blocks,
        loss_per_mille: work.loss_per_mille,
        patience: Duration::from_secs(30),
    };
    let score = client::run(load).await;
    // What is done after the last packet belongs to it: reports, children.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Some(Run { score, cpu: server.cpu().saturating_sub(before), peak_kib: server.peak_kib() })
}

/// One transfer of the small file, once the server is up.
async fn warm(server: SocketAddr, work: &Work) -> bool {
    for _ in 0..100 {
        let load = Load {
            server,
            file: SMALL.to_owned(),
            transfers: 1,
            at_once: 1,
            block_bytes: work.block_bytes,
            window_blocks: work.window_blocks,
            loss_per_mille: 0,
            patience: Duration::from_millis(300),
        };
        if client::run(load).await.complete == 1 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

fn print(work: &Work, table: &[(Kind, Vec<Run>)]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let many = work.transfers > 1000;
    let rate = |run: &Run| if many { run.transfers_a_second() } else { run.megabytes_a_second() };
    let cost = |run: &Run| {
        let micros = run.cpu.as_secs_f64() * 1e6;
        let count = run.score.complete.max(1) as f64;
        if many { micros / count } else { micros / 1e3 / (run.score.bytes.max(1) as f64 / 1e6) }
    };
    let (rate_unit, cost_unit) = if many { ("/s", "us") } else { ("MB/s", "ms/MB") };
    writeln!(out, "\n{}\n", work.title)?;
    writeln!(
        out,
        "| server | {rate_unit} | spread | CPU {cost_unit} | ours / theirs | complete | peak MiB |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    let ours = table.first().map_or(0.0, |(_, runs)| median(runs, rate));
    for (kind, runs) in table {
        let rates: Vec<f64> = runs.iter().map(rate).collect();
        let low = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let high = rates.iter().copied().fold(0.0, f64::max);
        let middle = median(runs, rate);
        let complete: usize = runs.iter().map(|run| run.score.complete).sum();
        let peak = runs.iter().map(|run| run.peak_kib).max().unwrap_or(0) / 1024;
        writeln!(
            out,
            "| {} | {middle:.1} | {low:.1} to {high:.1} | {:.2} | {:.2} | {complete} of {} | {peak} |",
            kind.name(),
            median(runs, cost),
            ours / middle,
            runs.len() * work.transfers,
        )?;
    }
    out.flush()
}

fn median(runs: &[Run], value: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

//! Greenlight beside its peers on this machine: the same load, one core for the server and one for
//! the load, as ratios. `benches/run` installs the peers and starts this; `docs/performance.md`
//! says how to read the result.

mod client;
mod dhcp;
mod engine;
mod inventory;
mod kernel;
mod machine;
mod memory;
mod net;
mod outcome;
mod process;
mod profile;
mod report;
mod servers;
mod settings;
mod tftp;

use std::fs;
use std::process::ExitCode;

use outcome::Outcome;
use settings::Settings;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["engine", port] => {
            engine::serve(port.parse().expect("a port"));
            Ok(())
        }
        ["kernel", port, row, size, cut] => {
            let mut works = tftp::WORKS.into_iter();
            let work = works.find(|work| work.id == *row).expect("a row of TFTP");
            let work = if *size == "quick" { work.quick() } else { work };
            let fixed = work.fixed(*cut == "cut");
            kernel::serve(port.parse().expect("a port"), fixed).map_err(|error| error.to_string())
        }
        ["dora", rest @ ..] => dhcp::dora::main(rest),
        ["measure", ..] => measure(&arguments[1..]),
        _ => Err("this is started by benches/run".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the rows and prints their table.
fn measure(arguments: &[String]) -> Result<(), String> {
    let problem = |error: std::io::Error| error.to_string();
    fs::create_dir_all("target/bench").map_err(problem)?;
    // On the disk of the build, not in memory: durability is part of what is measured.
    let prefix = format!("run-{}-", std::process::id());
    let made = tempfile::Builder::new().prefix(&prefix).tempdir_in("target/bench");
    let directory = made.map_err(problem)?;
    let path = std::path::absolute(directory.path()).map_err(problem)?;
    let settings = Settings::of(arguments, path)?;
    let machine = machine::line();
    eprintln!("{machine}");
    servers::write_files(&settings.place.directory).map_err(problem)?;
    let outcomes = rows(&settings);
    println!("Machine: {machine}; {} rounds.", settings.rounds);
    if settings.quick {
        println!("Counts were small (--quick): the numbers mean nothing.");
    }
    println!();
    print!("{}", report::markdown(&outcomes));
    let data = report::data(&machine, settings.rounds, settings.quick, &outcomes);
    let file = settings.place.results.join("results.json");
    fs::write(&file, format!("{data:#}\n")).map_err(problem)?;
    eprintln!("data of all rounds: {}", file.display());
    Ok(())
}

fn rows(settings: &Settings) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for work in tftp::WORKS {
        if settings.wants(work.id) {
            let work = if settings.quick { work.quick() } else { work };
            outcomes.push(tftp::measure(&work, settings));
        }
    }
    if settings.wants("dhcp") {
        outcomes.push(dhcp::measure(settings));
    }
    if settings.wants("held") {
        outcomes.push(dhcp::measure_held(settings));
    }
    if settings.wants("memory") {
        outcomes.push(memory::measure(settings));
    }
    outcomes
}

//! The rows of DHCP: the highest rate of four-way exchanges without a drop.

use std::process::Stdio;
use std::time::Duration;

use crate::inventory;
use crate::outcome::{Against, Bar, Demand, EACH, Outcome, Role, Sample};
use crate::process::Process;
use crate::profile::Recording;
use crate::servers::Place;
use crate::settings::Settings;
use lab::{Kind, Lab, RELAY, SERVER};
use perfdhcp::Trial;

pub mod dora;
mod lab;
mod perfdhcp;

const KEA: Against = Against::Named("Kea, memfile");
const BARS: [Bar; 2] = [
    Bar { against: KEA, demand: Demand::RateAtLeast(2.0) },
    Bar { against: KEA, demand: Demand::CpuAtMost(1.0 / 3.0) },
];

const FEW_HELD: &str = "itself, few leases held";
const HELD_BARS: [Bar; 1] =
    [Bar { against: Against::Named(FEW_HELD), demand: Demand::RateAtLeast(0.9) }];

/// The clients of perfdhcp, while few leases are held and while many are; those that fill the
/// server, and one to see that it answers.
const ASKING: inventory::Clients = crowd('a', 1, [10, 16, 0, 0]);
const ASKING_LATER: inventory::Clients = crowd('b', 2, [10, 17, 0, 0]);
const HOLDING: inventory::Clients = crowd('c', 3, [10, 32, 0, 0]);
const KNOCKING: inventory::Clients = crowd('d', 4, [10, 18, 0, 0]);

const fn crowd(name: char, crowd: u8, first: [u8; 4]) -> inventory::Clients {
    inventory::Clients { name, crowd, first_address: u32::from_be_bytes(first), count: 1 }
}

/// A server that was too fast for itself is done by then.
const IDLE_PATIENCE: Duration = Duration::from_secs(60);

/// A server with a million devices needs a while to start.
const START_TRIES: u32 = 300;

/// How the highest rate is looked for.
#[derive(Debug, Clone, Copy)]
struct Search {
    /// Exchanges a second of the first trial.
    first: u32,
    /// Seconds of each trial.
    seconds: u32,
    /// It ends when a clean rate and one with drops are this close.
    precision: f64,
    clients: inventory::Clients,
}

/// In how many rounds dnsmasq takes part.
const DNSMASQ_ROUNDS: usize = 2;

/// perfdhcp is not asked for more.
const RATE_MAX: u32 = 200_000;

/// The highest clean trial, with the processor time of the server for each exchange.
struct Highest {
    trial: Trial,
    sample: Sample,
    /// perfdhcp could not go faster.
    at_its_end: bool,
}

/// Ours beside the peers.
pub fn measure(settings: &Settings) -> Outcome {
    let count = if settings.quick { 500 } else { 20_000 };
    let title = format!("DHCP four-way exchanges of {count} clients, highest rate without a drop");
    let mut outcome = Outcome::new("dhcp", title, EACH, &BARS);
    let kinds: &[Kind] = if settings.profile {
        &[Kind::Greenlight]
    } else {
        &[Kind::Greenlight, Kind::Kea, Kind::Dnsmasq]
    };
    let mut known = [0; 3];
    for round in 0..settings.rounds {
        for (kind, known) in kinds.iter().zip(&mut known) {
            // No bar stands against it, and its search takes as long as the others'.
            if *kind == Kind::Dnsmasq && round >= DNSMASQ_ROUNDS {
                continue;
            }
            let search = search(settings, count, *known);
            match one_server(*kind, search, settings) {
                Ok(highest) => {
                    *known = highest.trial.asked_rate;
                    let role = if *kind == Kind::Greenlight { Role::Ours } else { Role::Peer };
                    eprintln!("dhcp round {}: {}: {:.1?}", round + 1, kind.name(), highest.sample);
                    let note = highest.at_its_end.then(limited);
                    outcome.add(kind.name(), role, highest.sample, note);
                }
                Err(why) => {
                    eprintln!("dhcp round {}: {}: {why}", round + 1, kind.name());
                    outcome.skip(kind.name(), why);
                }
            }
        }
    }
    outcome
}

fn limited() -> String {
    "perfdhcp itself was at its end, not the server".to_owned()
}

fn search(settings: &Settings, count: u32, known: u32) -> Search {
    let clients = inventory::Clients { count, ..ASKING };
    // From the second round on it begins not far below what was found before.
    let first = if known == 0 { 100 } else { (known / 2).max(50) };
    match settings.quick {
        true => Search { first, seconds: 2, precision: 1.6, clients },
        false => Search { first, seconds: 5, precision: 1.05, clients },
    }
}

fn one_server(kind: Kind, search: Search, settings: &Settings) -> Result<Highest, String> {
    let place = &settings.place;
    let lab = Lab::set_up()?;
    inventory::clients(&place.directory, &[search.clients, KNOCKING])
        .map_err(|error| error.to_string())?;
    let mut server = lab::start(kind, &lab, place)?;
    knock(&mut server, &lab, place)?;
    let recording = match settings.profile {
        true => Some(Recording::start(server.id(), place)?),
        false => None,
    };
    let highest = find(&mut server, &lab, search, place)?;
    if let Some(recording) = recording {
        recording.end("dhcp", place)?;
    }
    Ok(highest)
}

/// The same server with few leases and with a million.
pub fn measure_held(settings: &Settings) -> Outcome {
    let (few, many) = if settings.quick { (1_000, 3_000) } else { (1_000, 1_000_000) };
    let title = format!("the same with {many} leases held, beside {few}");
    let mut outcome = Outcome::new("held", title, EACH, &HELD_BARS);
    if let Err(why) = held(few, many, settings, &mut outcome) {
        eprintln!("held: {why}");
        outcome.skip("greenlight", why);
    }
    outcome
}

fn held(few: u32, many: u32, settings: &Settings, outcome: &mut Outcome) -> Result<(), String> {
    let place = &settings.place;
    let count = if settings.quick { 500 } else { 20_000 };
    let lab = Lab::set_up()?;
    let crowds = [
        inventory::Clients { count, ..ASKING },
        inventory::Clients { count, ..ASKING_LATER },
        inventory::Clients { count: many, ..HOLDING },
        KNOCKING,
    ];
    inventory::clients(&place.directory, &crowds).map_err(|error| error.to_string())?;
    let mut server = lab::start(Kind::Greenlight, &lab, place)?;
    knock(&mut server, &lab, place)?;
    for (name, role, clients, held) in
        [(FEW_HELD, Role::Beside, crowds[0], few), ("greenlight", Role::Ours, crowds[1], many)]
    {
        let crowd = inventory::Clients { count: held, ..HOLDING };
        let filled = fill(&lab, crowd, place)?;
        server.until_idle(IDLE_PATIENCE);
        let mut known = 0;
        for round in 0..settings.rounds {
            let search = Search { clients, ..search(settings, count, known) };
            let highest = find(&mut server, &lab, search, place)?;
            known = highest.trial.asked_rate;
            eprintln!("held round {}: {held} leases: {:.1?}", round + 1, highest.sample);
            let memory = server.memory_kib("VmRSS:") / 1024;
            let mut note = format!("{held} leases, made in {filled:.0} s");
            if round == 0 {
                note.push_str(&format!(", {memory} MiB"));
            }
            outcome.add(name, role, highest.sample, (round == 0).then_some(note));
            if highest.at_its_end {
                outcome.add_note(name, limited());
            }
        }
    }
    Ok(())
}

/// Waits until the server makes a lease.
fn knock(server: &mut Process, lab: &Lab, place: &Place) -> Result<(), String> {
    for _ in 0..START_TRIES {
        if exchanges(lab, KNOCKING, 1, place).is_ok() {
            return Ok(());
        }
        if !server.is_alive() {
            return Err("it ended: see its log in the directory of this run".to_owned());
        }
    }
    Err("it gives no lease".to_owned())
}

/// Makes leases for all of them; returns the seconds that took.
fn fill(lab: &Lab, crowd: inventory::Clients, place: &Place) -> Result<f64, String> {
    eprintln!("making {} leases", crowd.count);
    exchanges(lab, crowd, 3600, place)
}

fn exchanges(
    lab: &Lab,
    crowd: inventory::Clients,
    patience_seconds: u32,
    place: &Place,
) -> Result<f64, String> {
    let this = std::env::current_exe().expect("a program has a path");
    let output = lab
        .beside_readers(&this, place)
        .args(["dora", SERVER, RELAY, &crowd.crowd.to_string(), &crowd.count.to_string(), "256"])
        .arg(patience_seconds.to_string())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    match (output.status.success(), seconds) {
        (true, Some(seconds)) => Ok(seconds),
        (_, _) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Doubles the rate until there are drops, then halves what lies between.
fn find(server: &mut Process, lab: &Lab, search: Search, place: &Place) -> Result<Highest, String> {
    let mut rate = search.first;
    let mut best: Option<Highest> = None;
    let mut too_much = RATE_MAX;
    loop {
        let mut highest = trial(server, lab, search, rate, place)?;
        if !highest.trial.is_clean() || highest.trial.is_short() {
            // Once may be the machine's noise.
            highest = trial(server, lab, search, rate, place)?;
        }
        let (clean, short) = (highest.trial.is_clean(), highest.trial.is_short());
        if clean && !short {
            best = Some(highest);
        } else {
            too_much = rate;
            if clean {
                // Nothing was lost: what it managed is what perfdhcp can do.
                let better = best.as_ref().is_none_or(|b| b.sample.rate < highest.sample.rate);
                best = if better { Some(highest) } else { best };
                if let Some(best) = &mut best {
                    best.at_its_end = true;
                }
                break;
            }
        }
        let low = best.as_ref().map_or(0, |best| best.trial.asked_rate);
        if too_much <= 1 || f64::from(too_much) <= f64::from(low) * search.precision {
            break;
        }
        rate = match (low, too_much) {
            (0, _) => too_much / 4,
            (_, RATE_MAX) => low.saturating_mul(2).min(RATE_MAX),
            (_, _) => (f64::from(low) * f64::from(too_much)).sqrt() as u32,
        };
        if rate == low || rate == 0 {
            break;
        }
    }
    best.ok_or_else(|| "there is no rate without drops".to_owned())
}

fn trial(
    server: &mut Process,
    lab: &Lab,
    search: Search,
    rate: u32,
    place: &Place,
) -> Result<Highest, String> {
    server.until_idle(IDLE_PATIENCE);
    let before = server.cpu();
    let mac = search.clients.mac(0);
    let clients = perfdhcp::Clients { base_mac: &mac, count: search.clients.count };
    let trial = perfdhcp::run(lab, place, clients, rate, search.seconds)?;
    let last = server.cpu().saturating_sub(before);
    server.until_idle(IDLE_PATIENCE);
    let idle = server.cpu().saturating_sub(before);
    if !server.is_alive() {
        return Err("it ended under load".to_owned());
    }
    eprintln!("  {rate}/s asked: {trial:?}");
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / (trial.complete.max(1) as f64);
    let sample = Sample { rate: trial.rate(), cpu_last: each(last), cpu_idle: each(idle) };
    Ok(Highest { trial, sample, at_its_end: false })
}

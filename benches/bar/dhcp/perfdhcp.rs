//! ISC's perfdhcp: so many four-way exchanges a second, and how many of them were answered.

use std::process::Stdio;

use super::lab::{Lab, RELAY, SERVER};
use crate::servers::Place;

/// It waits so long for what was asked at the very end, in microseconds.
const EXIT_WAIT: &str = "1000000";

/// What one run showed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trial {
    pub asked_rate: u32,
    pub seconds: u32,
    pub begun: u64,
    pub complete: u64,
    /// DISCOVERs without an OFFER and REQUESTs without an ACK, after a second.
    pub drops: u64,
}

impl Trial {
    pub fn is_clean(&self) -> bool {
        self.complete > 0 && self.drops == 0
    }

    /// It sends slower than it was told, though nothing was lost: it is at its own end.
    pub fn is_short(&self) -> bool {
        (self.begun as f64) < 0.95 * f64::from(self.asked_rate) * f64::from(self.seconds)
    }

    /// Exchanges a second. perfdhcp's own figure counts the time in which it only waits, too.
    pub fn rate(&self) -> f64 {
        self.complete as f64 / f64::from(self.seconds)
    }
}

/// Whose clients ask.
#[derive(Debug, Clone, Copy)]
pub struct Clients<'a> {
    pub base_mac: &'a str,
    pub count: u32,
}

pub fn run(
    lab: &Lab,
    place: &Place,
    clients: Clients<'_>,
    rate: u32,
    seconds: u32,
) -> Result<Trial, String> {
    let program = place.peers.join("debian/usr/sbin/perfdhcp");
    let output = lab
        .beside_readers(&program, place)
        .args(["-4", "-g", "single", "-l", RELAY, "-W", EXIT_WAIT])
        .args(["-b", &format!("mac={}", clients.base_mac)])
        .args(["-R", &clients.count.to_string()])
        .args(["-r", &rate.to_string(), "-p", &seconds.to_string()])
        .arg(SERVER)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("perfdhcp does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // 3 says that some exchanges were not completed.
    if !matches!(output.status.code(), Some(0 | 3)) {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("perfdhcp: {}", why.lines().next().unwrap_or("ended early")));
    }
    let none = Trial { asked_rate: rate, seconds, ..Trial::default() };
    read(&text, none).ok_or_else(|| "perfdhcp's report could not be read".to_owned())
}

/// Reads the report: a paragraph for each half of the exchange.
fn read(text: &str, mut trial: Trial) -> Option<Trial> {
    let mut half = "";
    let mut seen = false;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("***Statistics for: ") {
            half = rest.trim_end_matches('*');
        } else if let Some(rest) = line.strip_prefix("drops: ") {
            trial.drops += rest.trim().parse::<u64>().ok()?;
        } else if let Some(rest) = line.strip_prefix("sent packets: ")
            && half == "DISCOVER-OFFER"
        {
            trial.begun = rest.trim().parse().ok()?;
        } else if let Some(rest) = line.strip_prefix("received packets: ")
            && half == "REQUEST-ACK"
        {
            trial.complete = rest.trim().parse().ok()?;
            seen = true;
        }
    }
    seen.then_some(trial)
}

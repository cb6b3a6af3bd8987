//! The row of memory: a large inventory, and many readers that ask and never acknowledge.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::client::{self, Load};
use super::inventory;
use super::outcome::{Against, Bar, Demand, MEBIBYTES, Outcome, Role, Sample};
use super::servers::{SMALL, Server, write_settings};
use super::settings::Settings;

const BARS: [Bar; 1] = [Bar { against: Against::Nobody, demand: Demand::AtMost(400.0) }];

const PORT: u16 = 20_569;

pub fn measure(settings: &Settings) -> Outcome {
    let (devices, transfers) = if settings.quick { (2_000, 200) } else { (100_000, 10_000) };
    let title = format!("memory with {devices} inventory devices and {transfers} transfers open");
    let mut outcome = Outcome::new("memory", title, MEBIBYTES, &BARS);
    for round in 0..settings.rounds {
        match run(devices, transfers, PORT + round as u16, settings) {
            Ok((sample, note)) => {
                eprintln!("memory round {}: {sample:.1?}, {note}", round + 1);
                outcome.add("greenlight", Role::Ours, sample, Some(note));
            }
            Err(why) => outcome.skip("greenlight", why),
        }
    }
    outcome
}

fn run(
    devices: usize,
    transfers: usize,
    port: u16,
    settings: &Settings,
) -> Result<(Sample, String), String> {
    let directory = &settings.place.directory;
    let text = include_str!("../settings/memory.yaml");
    write_settings(text, port, directory).map_err(|error| error.to_string())?;
    inventory::network(directory, devices).map_err(|error| error.to_string())?;
    let mut server = Server::whole(port, &settings.place)?;
    let load = Load {
        server: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
        file: SMALL.to_owned(),
        transfers: 1,
        at_once: 1,
        block_bytes: None,
        window_blocks: None,
        loss_per_mille: 0,
        seed: 1,
        patience: Duration::from_secs(2),
    };
    let mut tries = 0;
    while client::run(load.clone()).complete == 0 {
        tries += 1;
        if tries > 60 || !server.process.is_alive() {
            return Err("it does not serve".to_owned());
        }
    }
    server.process.until_idle(Duration::from_secs(60));
    let mebibytes = |what: &str| server.process.memory_kib(what) as f64 / 1024.0;
    let before = mebibytes("VmRSS:");
    let patience = Duration::from_secs(50);
    let (socket, open) =
        client::hold_open(Load { transfers, at_once: 200, patience, ..load.clone() });
    let open_now = mebibytes("VmRSS:");
    let peak = mebibytes("VmHWM:");
    drop(socket);
    if open < transfers {
        return Err(format!("only {open} of {transfers} transfers could be opened"));
    }
    let note = format!("{before:.0} MiB before the first transfer, at most {peak:.0} MiB ever");
    Ok((Sample { rate: open_now, cpu_last: 0.0, cpu_idle: 0.0 }, note))
}

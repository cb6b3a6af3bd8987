//! The sweep: thousands of devices with random faults, in simulated time, without a socket. People
//! who read nothing but the messages mend them; in the end every one is green, nothing was green
//! before it was right, nobody was sent to a plug that was right, and no plug was moved in vain.
//!
//! `SEEDS=10000 cargo test --test sweep -- --nocapture` runs more of them, with `FROM=20000` other
//! ones, `SEED=17` a single one with its diary. The table is printed in the end.

mod answers;
mod faults;
mod hands;
mod play;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use greenlight::domain::inventory::expected::{Condition, CustomCheck, Expectations, Member};
use greenlight::domain::inventory::meant::{
    Device, Inventory, Place, PlannedNeighbour, Software, Unplanned, Variables,
};
use greenlight::entropy::Entropy;
use greenlight::platform::Platforms;

use answers::CLOCK;
use faults::{Dice, KINDS, Kind, Room};
use play::{Outcome, Play, Scene};
use world::{Cable, Far, FarSocket, Speaks, VOICES, World, address_of, mac_of};

/// In `./test`; the long run is for whoever changes what is judged.
const SEEDS: u64 = 360;
/// So many failures are listed: more have one cause.
const SHOWN: usize = 60;

#[test]
fn every_device_becomes_green_without_a_lie_and_without_a_plug_too_many() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let platforms = Platforms::built_in();
    if let Some(seed) = number("SEED") {
        let outcome = played(seed, &platforms, true);
        assert_eq!(complaints(&outcome), [""; 0]);
        return;
    }
    let from = number("FROM").unwrap_or(0);
    let seeds = from + number("SEEDS").unwrap_or(SEEDS);
    let outcomes: Vec<(u64, Outcome)> = std::thread::scope(|scope| {
        let threads: u64 = 2;
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let platforms = &platforms;
                scope.spawn(move || {
                    let mine = (from + worker..seeds).step_by(usize::try_from(threads).unwrap());
                    mine.map(|seed| (seed, played(seed, platforms, false))).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    println!("{}", table(&outcomes));
    let failed: Vec<String> = outcomes
        .iter()
        .filter(|(_, outcome)| !complaints(outcome).is_empty())
        .map(|(seed, outcome)| {
            let why = complaints(outcome).join("; ");
            format!(
                "SEED={seed} cargo test --test sweep -- --nocapture # {:?}: {why}",
                outcome.kinds
            )
        })
        .collect();
    let shown = &failed[..failed.len().min(SHOWN)];
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), shown.join("\n"));
}

fn complaints(outcome: &Outcome) -> Vec<String> {
    let mut complaints = outcome.false_greens.clone();
    complaints.extend(outcome.false_alarms.iter().cloned());
    let mut unless = |fine: bool, what: String| {
        if !fine {
            complaints.push(what);
        }
    };
    unless(outcome.green, "it never became green".to_owned());
    unless(!outcome.panicked, "it panicked".to_owned());
    let (moves, minimal) = (outcome.moves, outcome.minimal);
    unless(moves == minimal, format!("{moves} plugs moved, {minimal} would do"));
    unless(outcome.detected || !outcome.inflicted, "nothing was said".to_owned());
    unless(outcome.said_right, "something else was said".to_owned());
    complaints
}

fn played(seed: u64, platforms: &Platforms, told_aloud: bool) -> Outcome {
    let dice = Dice(Entropy::seeded(seed.wrapping_mul(0x9E37_79B9_97F4_A7C5)));
    let kind = |number: u64| KINDS[usize::try_from(number).unwrap() % KINDS.len()];
    let mut kinds = vec![kind(seed)];
    let pair = dice.percent(40);
    if pair {
        kinds.push(KINDS[dice.below(KINDS.len())]);
        kinds.dedup();
    }
    let many = 2 * kinds.iter().map(|kind| wants(*kind)).max().unwrap_or(1);
    let most = if dice.percent(50) { 8 } else { 48 };
    let uplinks = (2 + dice.below(most - 1)).max(many);
    let scene = scene(uplinks, kinds.clone(), &dice);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Play::new(scene, platforms, dice, told_aloud).play()
    }));
    // Why stands above, and which seed it was is told in the end.
    outcome.unwrap_or_else(|_| Outcome { kinds, panicked: true, ..Outcome::default() })
}

/// How many planned ports a fault needs.
fn wants(kind: Kind) -> usize {
    match kind {
        Kind::LongCircle => 8,
        Kind::RotatedTriple | Kind::BlockRoundItself => 3,
        Kind::SwappedPair
        | Kind::SwappedAtTheFarEnd
        | Kind::SwappedWithADeadCable
        | Kind::SwappedWithAMuteOne => 2,
        _ => 1,
    }
}

/// Ports as each system prints them, and as a plan may write them.
fn port_names(platform: &str, number: usize) -> (String, String) {
    match platform {
        "cisco_ios" => (format!("Gi1/0/{number}"), format!("GigabitEthernet1/0/{number}")),
        "cisco_nxos" => (format!("Eth1/49/{number}"), format!("Ethernet1/49/{number}")),
        "arista_eos" => (format!("Ethernet{number}/1"), format!("Et{number}/1")),
        "juniper_junos" => (format!("xe-0/0/{number}:1"), format!("xe-0/0/{number}:1")),
        _ => (format!("swp{number}"), format!("swp{number}")),
    }
}

const PLATFORMS: [&str; 5] = ["cisco_ios", "cisco_nxos", "arista_eos", "juniper_junos", "frr"];
const SPARE: usize = 3;

fn scene(uplinks: usize, kinds: Vec<Kind>, dice: &Dice) -> Scene {
    let ours = PLATFORMS[dice.below(PLATFORMS.len())];
    let mut world = World { lingers: dice.percent(30), ages: true, ..World::default() };
    if dice.percent(30) {
        world.ages = false;
    }
    world.near = (1..=uplinks + SPARE).map(|port| port_names(ours, port).0).collect();
    let count = 2 + dice.below(3);
    let systems: Vec<&str> = (0..=count).map(|_| PLATFORMS[dice.below(PLATFORMS.len())]).collect();
    for (number, platform) in systems.iter().enumerate() {
        let stranger = number == count;
        let voice = if stranger { VOICES[0] } else { VOICES[dice.below(VOICES.len())] };
        let name = if stranger { "visitor".into() } else { format!("dist-{}", number + 1) };
        let speaks = [Speaks::Lldp, Speaks::Lldp, Speaks::Cdp, Speaks::Both][dice.below(4)];
        world.devices.push(Far { name, voice, speaks });
        for port in 1..=uplinks + SPARE {
            let (printed, other) = port_names(platform, port);
            let planned = if dice.percent(50) { printed.clone() } else { other };
            let socket =
                FarSocket { device: number, planned, printed, mute: false, nameless: false };
            world.far.push(socket);
        }
    }
    let each = uplinks + SPARE;
    let strange = (count * each..(count + 1) * each).collect();
    let sockets = dice.shuffled((0..count * each).collect());
    world.plan = sockets[..uplinks].to_vec();
    for (near, far) in world.plan.clone().into_iter().enumerate() {
        let hello = dice.seconds(1, 30);
        let (near, far) = (Some(near), Some(far));
        world.cables.push(Cable { near, far, dead: false, since: 0, hello });
    }
    let inventory = inventory(&world, ours, &systems);
    let room = Room {
        ports: (0..uplinks).collect(),
        share: uplinks / kinds.len(),
        free_near: (uplinks..uplinks + SPARE).collect(),
        free_far: sockets[uplinks..].to_vec(),
        strange,
    };
    Scene { world, inventory, room, kinds }
}

fn inventory(world: &World, ours: &str, systems: &[&str]) -> Inventory {
    let mut inventory = Inventory::default();
    let mut access = device("acc-1", ours);
    let cables = world.plan.iter().enumerate().map(|(near, far)| PlannedNeighbour {
        local_port: world.near[near].clone(),
        device: world.devices[world.far[*far].device].name.clone(),
        port: world.far[*far].planned.clone(),
    });
    access.neighbours = cables.collect();
    access.serial = Some("FDO1234".to_owned());
    access.software = Some(Software::version("17.9.5"));
    access.expects = Arc::new(expected());
    inventory.by_name.insert("acc-1".to_owned(), 0);
    inventory.devices.push(Arc::new(access));
    let planned = world.devices.iter().enumerate().take(world.devices.len() - 1);
    for (number, far) in planned {
        let index = inventory.devices.len();
        inventory.by_name.insert(far.name.clone(), index);
        inventory.by_mac.insert(mac_of(number).parse().unwrap(), index);
        inventory.by_address.insert(address_of(number).parse().unwrap(), index);
        inventory.devices.push(Arc::new(device(&far.name, systems[number])));
    }
    inventory
}

/// A stack of two, an address to be reached, and a check of the operator's own.
fn expected() -> Expectations {
    let member = |number, serial: &str| Member { number: Some(number), serial: serial.to_owned() };
    let check = CustomCheck {
        name: "clock".to_owned(),
        command: CLOCK.to_owned(),
        says: "the clock is not in step".to_owned(),
        optional: false,
        may_be_empty: false,
        conditions: vec![Condition::Contains("in step".to_owned())],
    };
    Expectations {
        members: vec![member(1, "FDO1234"), member(2, "FDO5678")],
        reaches: vec!["192.0.2.1".parse().expect("an address")],
        checks: vec![Arc::new(check)],
        ..Expectations::default()
    }
}

fn device(name: &str, platform: &str) -> Device {
    Device {
        expects: Default::default(),
        name: name.to_owned(),
        site: "harbour".to_owned(),
        platform: platform.to_owned(),
        serial: None,
        macs: Vec::new(),
        position: None,
        address: None,
        address6: None,
        ssh_port: 22,
        managed: true,
        template: None,
        configuration: None,
        variables: Variables::default(),
        software: None,
        neighbours: Vec::new(),
        unplanned_neighbours: Unplanned::Remark,
        credentials: Vec::new(),
        location: format!("the rack of {name}"),
        place: Place::default(),
    }
}

/// One line per kind alone, one for all pairs, one for everything.
fn table(outcomes: &[(u64, Outcome)]) -> String {
    let mut rows: BTreeMap<(u8, String), Vec<&Outcome>> = BTreeMap::new();
    for (_, outcome) in outcomes {
        let row = match outcome.kinds.as_slice() {
            [kind] => {
                let place = KINDS.iter().position(|known| known == kind).unwrap();
                (u8::try_from(place).unwrap(), format!("{kind:?}"))
            }
            _ => (100, "two at a time".to_owned()),
        };
        rows.entry(row).or_default().push(outcome);
        rows.entry((101, "all".to_owned())).or_default().push(outcome);
    }
    let mut table = format!(
        "{:<27}{:>6}{:>7}{:>10}{:>12}{:>7}{:>9}{:>7}{:>14}{:>14}\n",
        "fault",
        "seeds",
        "wrong",
        "detected",
        "said right",
        "moves",
        "minimal",
        "green",
        "false greens",
        "false alarms"
    );
    for ((_, name), outcomes) in rows {
        let count = |of: fn(&Outcome) -> usize| outcomes.iter().map(|outcome| of(outcome)).sum();
        let columns: [usize; 8] = [
            count(|o| usize::from(o.inflicted)),
            count(|o| usize::from(o.detected)),
            count(|o| usize::from(o.said_right)),
            count(|o| o.moves),
            count(|o| o.minimal),
            count(|o| usize::from(o.green)),
            count(|o| o.false_greens.len()),
            count(|o| o.false_alarms.len()),
        ];
        let [wrong, detected, right, moves, minimal, green, greens, alarms] = columns;
        table.push_str(&format!(
            "{name:<27}{:>6}{wrong:>7}{detected:>10}{right:>12}{moves:>7}{minimal:>9}{green:>7}{greens:>14}\
             {alarms:>14}\n",
            outcomes.len()
        ));
    }
    table
}

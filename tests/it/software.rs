//! Upgrades from end to end: the whole daemon, and simulated devices that copy an image from it,
//! verify it, boot it and come back; and those with which that goes wrong.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use greenlight::address::Mac;
use greenlight::clock::Clock;
use greenlight::daemon::{self, Running};
use greenlight::domain::fault::Fault;
use greenlight::domain::notice::Kind as Told;
use greenlight::domain::run::{Phase, Run};
use greenlight::entropy::Entropy;
use greenlight::files;
use greenlight::platform::software::Hasher;
use greenlight::service::memory::Query;
use greenlight::sim::cabling::{LldpTiming, Plant};
use greenlight::sim::chassis::{Chassis, Kind, Login};
use greenlight::sim::device::{Behaviour, Device, Fitting, Images, Pace, Surroundings};
use greenlight::sim::diary::{Diary, Doing, Entry};
use greenlight::sim::flash::image;
use greenlight::sim::inside::Inside;
use tokio::sync::broadcast;

use crate::crash::{corner, free_tcp, free_udp};

const PASSWORD: &str = "correct horse";
const NEW_IOS: &str = "17.9.5";
const NEW_EOS: &str = "4.33.1F";

/// One device: its number, its system, and what goes wrong with its images.
type Cast = (u8, Kind, Images);

struct House {
    folder: tempfile::TempDir,
    devices: Vec<Device>,
    diary: broadcast::Receiver<Entry>,
}

fn name(number: u8) -> String {
    format!("sw{number}")
}

fn chassis(number: u8, kind: Kind) -> Chassis {
    let mac = Mac::new([2, 0x67, 0x6c, 0x55, 0, number]);
    let serial = format!("FOC0000A00{number}");
    match kind {
        Kind::CiscoIos => Chassis::cisco(&serial, mac),
        Kind::AristaEos => Chassis::arista(&serial, mac),
        Kind::Frr => Chassis::frr(&serial, mac),
    }
}

fn digest(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish().sha256
}

fn write(folder: &Path, (x, y): (u8, u8), [dhcp, tftp, http]: [SocketAddr; 3], cast: &[Cast]) {
    for sub in ["templates", "images/eos"] {
        std::fs::create_dir_all(folder.join(sub)).unwrap();
    }
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    let (ios, eos) = (image(NEW_IOS, 60_000), image(NEW_EOS, 400_000));
    put("images/ios.bin", &ios);
    put("images/eos/EOS-4.33.1F.swi", &eos);
    put("password", PASSWORD.as_bytes());
    let template = "hostname {{ device.name }}\n\
                    username netops privilege 15 secret {{ secrets.password }}\n";
    put("templates/a.j2", template.as_bytes());
    let config = format!(
        "inventory: inventory.yaml\ntemplates: templates\ndata: data\nimages: images\n\
         dhcp:\n  listen: [\"{dhcp}\"]\n  server_address: 127.0.0.1\n  pools:\n    \
         - subnet: 127.{x}.{y}.0/24\n\
         tftp:\n  listen: [\"{tftp}\"]\nhttp:\n  listen: [\"{http}\"]\n\
         runs:\n  settle: 300ms\n  back_deadline: 30s\n  recheck: 250ms\n  \
         neighbour_patience: 1s\nssh:\n  connect_timeout: 2s\n  visit_timeout: 20s\n"
    );
    put("greenlight.yaml", config.as_bytes());
    let mut inventory = format!(
        "sites: {{ lab: {{}} }}\ndefaults:\n  ssh_port: 2222\n  template: a.j2\n  \
         credentials:\n    - username: netops\n      password: {{ file: password }}\n  secrets:\n    \
         password: {{ file: password }}\ngroups:\n  ios:\n    platform: cisco_ios\n    \
         software: {{ version: {NEW_IOS}, image: ios.bin, sha256: {}, install: auto }}\n  \
         eos:\n    platform: arista_eos\n    software: {{ version: {NEW_EOS}, \
         image: eos/EOS-4.33.1F.swi, \
         sha256: {}, install: auto }}\ndevices:\n",
        digest(&ios),
        digest(&eos)
    );
    for (number, kind, _) in cast {
        let Chassis { serial, mac, .. } = chassis(*number, *kind);
        let group = if *kind == Kind::CiscoIos { "ios" } else { "eos" };
        inventory.push_str(&format!(
            "  - {{ name: {}, site: lab, group: {group}, serial: {serial}, mac: '{mac}', \
             address: 127.{x}.{y}.{} }}\n",
            name(*number),
            100 + number
        ));
    }
    put("inventory.yaml", inventory.as_bytes());
}

fn house(cast: &[Cast]) -> House {
    let folder = tempfile::tempdir().unwrap();
    let corner = corner();
    let ports = [free_udp(), free_udp(), free_tcp()];
    write(folder.path(), corner, ports, cast);
    let timing = LldpTiming { hello: Duration::from_millis(200), linger: Duration::from_secs(1) };
    let plant = Plant::new(Clock::System, timing);
    let diary = Diary::default();
    let around = Surroundings {
        dhcp: ports[0],
        tftp_port: ports[1].port(),
        ssh_port: 2222,
        clock: Clock::System,
        entropy: Entropy::System,
        pace: Pace(1.0),
        diary: diary.clone(),
    };
    let device = |(number, kind, images): &Cast| {
        let username = "netops".to_owned();
        let login = Login { username, password: PASSWORD.into(), enable: None };
        let inside =
            Inside::new(&name(*number), chassis(*number, *kind), vec![login], plant.clone());
        let (x, y) = corner;
        let fitting = Fitting {
            from: Ipv4Addr::new(127, x, y, 200 + number),
            position: None,
            behaviour: Behaviour {
                boot: Duration::from_millis(1500),
                apply: Duration::from_millis(100),
                images: *images,
                ..Behaviour::default()
            },
        };
        Device::new(inside, around.clone(), fitting)
    };
    let devices = cast.iter().map(device).collect();
    let diary = diary.read();
    House { folder, devices, diary }
}

impl House {
    async fn serve(&self) -> Running {
        let loaded = files::load(&self.folder.path().join("greenlight.yaml"));
        let loaded = loaded.unwrap_or_else(|list| panic!("{list:#?}"));
        daemon::start(&loaded, Clock::System, Entropy::System).await.unwrap()
    }

    /// How often each device was told to reload, and into what it did last.
    fn reloads(&mut self) -> BTreeMap<String, (u32, String)> {
        let mut reloads: BTreeMap<String, (u32, String)> = BTreeMap::new();
        while let Ok(Entry { place, doing }) = self.diary.try_recv() {
            if let Doing::Reloading { version } = doing {
                let count = reloads.get(&place).map_or(0, |(count, _)| *count);
                reloads.insert(place, (count + 1, version));
            }
        }
        reloads
    }
}

async fn run_of(running: &Running, device: &str) -> Option<Run> {
    let runs = running.memory.ask(Query::LatestRuns).await.unwrap();
    runs.into_iter().find(|run| run.device == device)
}

async fn until(running: &Running, device: &str, fits: impl Fn(&Run) -> bool) -> Run {
    for _ in 0..900 {
        if let Some(run) = run_of(running, device).await.filter(|run| fits(run)) {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{device} never came to fit: {:#?}", run_of(running, device).await);
}

fn ready(run: &Run) -> bool {
    matches!(run.phase, Phase::Ready { .. })
}

fn gave_up(run: &Run) -> bool {
    matches!(&run.phase, Phase::ActionNeeded { problem, .. }
        if problem.fault == Fault::OtherSoftware && problem.fill.contains_key("why"))
}

fn why(run: &Run) -> String {
    match &run.phase {
        Phase::ActionNeeded { problem, .. } => problem.fill["why"].clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_upgraded_and_green_and_whatever_goes_wrong_is_never_green() {
    let good = Images::default();
    let mut house = house(&[
        (1, Kind::CiscoIos, good),
        (2, Kind::AristaEos, good),
        (3, Kind::CiscoIos, Images { breaks_off: 1, ..good }),
        (4, Kind::CiscoIos, Images { corrupts: true, ..good }),
        (5, Kind::AristaEos, Images { keeps_old: true, ..good }),
    ]);
    let running = house.serve().await;
    let mut feed = running.feed();
    for device in &house.devices {
        device.power_on().await;
    }
    for number in [1, 2, 3] {
        let run = until(&running, &name(number), ready).await;
        let tries = run.upgrade.as_ref().map(|upgrade| upgrade.tries);
        assert_eq!(tries, Some(if number == 3 { 2 } else { 1 }), "{number}");
        let software = house.devices[usize::from(number) - 1].inside.chassis().software;
        assert_eq!(software, if number == 2 { NEW_EOS } else { NEW_IOS });
    }
    let corrupt = until(&running, "sw4", gave_up).await;
    assert!(why(&corrupt).starts_with("verify: "), "{}", why(&corrupt));
    let stubborn = until(&running, "sw5", gave_up).await;
    assert_eq!(why(&stubborn), "it came back with 4.32.2F");
    let mut said: BTreeMap<String, Vec<(Told, Option<Fault>)>> = BTreeMap::new();
    while let Ok(told) = feed.try_recv() {
        if let Some(notice) = told.notice
            && !matches!(notice.kind, Told::Progress | Told::Cleared)
        {
            said.entry(notice.device).or_default().push((notice.kind, notice.fault));
        }
    }
    let start = [(Told::Started, None), (Told::Upgrading, None)];
    for number in [1, 2, 3] {
        let green = [start[0], start[1], (Told::Done, None)];
        assert_eq!(said[&name(number)], green, "no fault while it was away: sw{number}");
    }
    for number in [4, 5] {
        let told = [start[0], start[1], (Told::ActionNeeded, Some(Fault::OtherSoftware))];
        assert_eq!(said[&name(number)], told, "sw{number}");
    }
    let reloads = house.reloads();
    assert_eq!(reloads.get("sw1"), Some(&(1, NEW_IOS.to_owned())));
    assert_eq!(reloads.get("sw2"), Some(&(1, NEW_EOS.to_owned())));
    assert_eq!(reloads.get("sw4"), None, "what does not verify is not booted");
    assert_eq!(reloads.get("sw5").map(|(count, _)| *count), Some(2));
    for device in &house.devices {
        device.power_off().await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_goes_on_after_a_restart_and_reloads_once() {
    let mut house = house(&[(1, Kind::CiscoIos, Images::default())]);
    let running = house.serve().await;
    house.devices[0].power_on().await;
    let upgrading = |run: &Run| matches!(run.phase, Phase::Upgrading { .. });
    let before = until(&running, "sw1", upgrading).await;
    running.stop().await;
    let running = house.serve().await;
    let after = until(&running, "sw1", ready).await;
    assert_eq!(after.id, before.id);
    let tries = after.upgrade.as_ref().map(|upgrade| upgrade.tries);
    assert_eq!(tries, Some(1), "the same try went on");
    assert_eq!(house.reloads().get("sw1"), Some(&(1, NEW_IOS.to_owned())));
    house.devices[0].power_off().await;
    running.stop().await;
}

//! A device that asks for no file: the operator's own platform file names no transport, the box
//! brings its configuration along, and all that it wants of us is an address.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use greenlight::address::Mac;
use greenlight::clock::Clock;
use greenlight::daemon::{self, Running};
use greenlight::domain::check::Verdict;
use greenlight::domain::fault::Fault;
use greenlight::domain::notice::{Kind, Notice};
use greenlight::domain::run::{Milestone, Phase, Run};
use greenlight::entropy::Entropy;
use greenlight::files;
use greenlight::service::memory::Query;
use greenlight::service::runner::Told;
use greenlight::sim::cabling::{LldpTiming, Plant, Socket};
use greenlight::sim::chassis::{Chassis, Login};
use greenlight::sim::device::{Behaviour, Device, Fitting, Pace, Surroundings};
use greenlight::sim::diary::Diary;
use greenlight::sim::inside::Inside;
use tokio::sync::broadcast::Receiver;

use crate::crash::{corner, free_tcp, free_udp};

const PASSWORD: &str = "correct horse";
/// Where the box answers.
const DOOR: u16 = 2222;

struct House {
    folder: tempfile::TempDir,
    edge: Device,
    address: Ipv4Addr,
}

/// The platform of FRR without its transport and its DHCP options.
fn acme() -> String {
    let frr = include_str!("../../configs/platforms/frr.yaml").replace("transports: [tftp]\n", "");
    let (before, rest) = frr.split_once("\ndhcp:").unwrap();
    let (_, after) = rest.split_once("\ncli:").unwrap();
    format!("{before}\ncli:{after}").replace("title: Linux with FRR", "title: Acme OS")
}

fn write(folder: &Path, (x, y): (u8, u8), ports: [SocketAddr; 3], door: u16) {
    let [dhcp, tftp, http] = ports;
    for directory in ["templates", "platforms"] {
        std::fs::create_dir_all(folder.join(directory)).unwrap();
    }
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    put("password", PASSWORD);
    put("templates/a.j2", "hostname {{ device.name }}\n");
    put("platforms/acme_os.yaml", &acme());
    put(
        "greenlight.yaml",
        &format!(
            "inventory: inventory.yaml\ntemplates: templates\nplatforms: platforms\ndata: data\n\
             dhcp:\n  listen: [\"{dhcp}\"]\n  server_address: 127.0.0.1\n  pools:\n    \
             - subnet: 127.{x}.{y}.0/24\n\
             tftp:\n  listen: [\"{tftp}\"]\nhttp:\n  listen: [\"{http}\"]\n\
             runs:\n  file_patience: 1s\n  settle: 500ms\n  back_deadline: 3s\n  recheck: 500ms\n  \
             neighbour_patience: 2s\nssh:\n  connect_timeout: 2s\n  visit_timeout: 20s\n"
        ),
    );
    put(
        "inventory.yaml",
        &format!(
            "sites: {{ lab: {{}} }}\ndefaults:\n  platform: acme_os\n  ssh_port: {door}\n  \
             template: a.j2\n  credentials:\n    \
             - {{ username: netops, password: {{ file: password }} }}\ndevices:\n  \
             - {{ name: dist-1, site: lab, platform: cisco_ios, managed: false }}\n  \
             - name: edge-1\n    site: lab\n    serial: ACM0000A001\n    \
             mac: '02:67:6c:66:00:01'\n    address: 127.{x}.{y}.101\n    neighbours:\n      \
             - swp1 -> dist-1, GigabitEthernet1/0/1\n"
        ),
    );
}

/// The box was configured by hand, which the plan expects to answer at the port `door`.
async fn house(door: u16) -> House {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = corner();
    let ports = [free_udp(), free_udp(), free_tcp()];
    write(folder.path(), (x, y), ports, door);
    let timing = LldpTiming { hello: Duration::from_millis(200), linger: Duration::from_secs(1) };
    let plant = Plant::new(Clock::System, timing);
    let login =
        || vec![Login { username: "netops".into(), password: PASSWORD.into(), enable: None }];
    let chassis = Chassis::cisco("FOC2000D001", Mac::new([2, 0x67, 0x6c, 0x66, 1, 1]));
    let distribution = Inside::new("dist-1", chassis, login(), plant.clone());
    distribution.power_on();
    distribution.apply("hostname dist-1\n", None);
    distribution.speak();
    let chassis = Chassis::frr("ACM0000A001", Mac::new([2, 0x67, 0x6c, 0x66, 0, 1]));
    let inside = Inside::new("edge-1", chassis, login(), plant.clone());
    inside.apply("hostname edge-1\n", None);
    inside.save();
    {
        let (mut cabling, now) = plant.look();
        let far = Socket::new("dist-1", "GigabitEthernet1/0/1");
        cabling.connect(Socket::new("edge-1", "swp1"), far, now).unwrap();
    }
    let around = Surroundings {
        dhcp: ports[0],
        tftp_port: ports[1].port(),
        ssh_port: DOOR,
        clock: Clock::System,
        entropy: Entropy::System,
        pace: Pace(4.0),
        diary: Diary::default(),
    };
    let from = Ipv4Addr::new(127, x, y, 201);
    let fitting = Fitting { from, position: None, behaviour: Behaviour::default() };
    let edge = Device::new(inside, around, fitting);
    House { folder, edge, address: Ipv4Addr::new(127, x, y, 101) }
}

impl House {
    async fn serve(&self) -> (Running, Receiver<Told>) {
        let loaded = files::load(&self.folder.path().join("greenlight.yaml"));
        let loaded = loaded.unwrap_or_else(|list| panic!("{list:#?}"));
        let running = daemon::start(&loaded, Clock::System, Entropy::System).await.unwrap();
        let feed = running.feed();
        self.edge.power_on().await;
        (running, feed)
    }
}

async fn until(running: &Running, fits: impl Fn(&Phase) -> bool) -> Run {
    let mut last = Vec::new();
    for _ in 0..300 {
        last = running.memory.ask(Query::LatestRuns).await.unwrap();
        if let Some(run) = last.iter().find(|run| fits(&run.phase)) {
            return run.clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lines = |reply| Query::Journal { device: "edge-1".into(), last: 60, reply };
    panic!("it never came to fit: {last:#?}\n{:#?}", running.memory.ask(lines).await.unwrap());
}

/// What made the phone ring.
fn pushed(feed: &mut Receiver<Told>) -> Vec<Notice> {
    let mut pushed = Vec::new();
    while let Ok(told) = feed.try_recv() {
        let loud = |notice: &Notice| !matches!(notice.kind, Kind::Progress | Kind::Cleared);
        pushed.extend(told.notice.filter(loud));
    }
    pushed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_asks_for_no_file_turns_green_and_nobody_is_called_for_it() {
    let house = house(DOOR).await;
    let (running, mut feed) = house.serve().await;
    let run = until(&running, |phase| matches!(phase, Phase::Ready { .. })).await;
    assert_eq!((run.transfers, run.served_sha256), Default::default());
    assert!(!run.milestones.contains_key(&Milestone::Downloaded));
    let findings = run.findings.expect("it is proven");
    let proven = |verdict: &Verdict| matches!(verdict, Verdict::Pass | Verdict::NotPlanned);
    assert!(findings.verdicts.iter().all(|(_, verdict)| proven(verdict)), "{findings:?}");
    let passed = findings.verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Pass);
    assert!(passed.count() >= 4, "serial, name, configuration and cable: {findings:?}");
    let pushed = pushed(&mut feed);
    let kinds: Vec<Kind> = pushed.iter().map(|notice| notice.kind).collect();
    assert_eq!(kinds, [Kind::Started, Kind::Done]);
    let steps = &pushed.last().unwrap().checklist;
    assert!(steps.iter().all(|line| !line.text.contains("download")), "{steps:?}");
    house.edge.power_off().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_asks_for_no_file_and_never_answers_is_told_with_its_address() {
    let house = house(DOOR + 1).await;
    let (running, mut feed) = house.serve().await;
    until(&running, |phase| matches!(phase, Phase::ActionNeeded { .. })).await;
    let pushed = pushed(&mut feed);
    let faults: Vec<Option<Fault>> = pushed.iter().map(|notice| notice.fault).collect();
    assert_eq!(faults, [None, Some(Fault::NotBack)]);
    let told = &pushed.last().unwrap().headline;
    assert!(told.contains(&format!("has {} but does not answer", house.address)), "{told}");
    house.edge.power_off().await;
    running.stop().await;
}

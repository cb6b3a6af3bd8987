//! The devices at the other ends of the cables, asked over SSH: simulated boxes that do not hear,
//! or do not answer, and what their distribution switch knows of them; and that nobody asks it more
//! often than needed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenlight::address::Mac;
use greenlight::clock::Clock;
use greenlight::daemon::{self, Running};
use greenlight::domain::check::Verdict;
use greenlight::domain::fault::Fault;
use greenlight::domain::inventory::meant::{
    CredentialReference, Device as Planned, Inventory, PlannedNeighbour, SecretSource,
};
use greenlight::domain::run::{Event, Phase, Run};
use greenlight::entropy::Entropy;
use greenlight::files;
use greenlight::platform::Platforms;
use greenlight::platform::observation::{Facts, Interface, Neighbour, Observation, Reading};
use greenlight::secret::Secret;
use greenlight::service::memory::Query;
use greenlight::service::performer::Performer;
use greenlight::service::plan::InForce;
use greenlight::service::probe::{Order, Outcome, Purpose, Report};
use greenlight::service::upstream::{AskOrder, Upstreams};
use greenlight::sim::cabling::{LldpTiming, Plant, Socket};
use greenlight::sim::chassis::{Chassis, Login};
use greenlight::sim::cli::server::SshServer;
use greenlight::sim::device::{Behaviour, Device, Fitting, Images, Pace, Surroundings};
use greenlight::sim::diary::Diary;
use greenlight::sim::inside::Inside;
use tokio::sync::Semaphore;

use crate::crash::{corner, free_tcp, free_udp};
use crate::store::device;

const PASSWORD: &str = "correct horse";
const P49: &str = "GigabitEthernet1/0/49";
const P50: &str = "GigabitEthernet1/0/50";

/// An access switch with two uplinks, and the distribution switch that can be asked.
struct House {
    folder: tempfile::TempDir,
    access: Device,
    distribution: Inside,
    plant: Plant,
    _door: SshServer,
}

fn write(folder: &Path, (x, y): (u8, u8), [dhcp, tftp, http]: [SocketAddr; 3]) {
    std::fs::create_dir_all(folder.join("templates")).unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    put("password", PASSWORD);
    put(
        "templates/a.j2",
        "hostname {{ device.name }}\nusername netops privilege 15 secret {{ secrets.password }}\n",
    );
    put(
        "greenlight.yaml",
        &format!(
            "inventory: inventory.yaml\ntemplates: templates\ndata: data\n\
             dhcp:\n  listen: [\"{dhcp}\"]\n  server_address: 127.0.0.1\n  pools:\n    \
             - subnet: 127.{x}.{y}.0/24\n\
             tftp:\n  listen: [\"{tftp}\"]\nhttp:\n  listen: [\"{http}\"]\n\
             runs:\n  settle: 300ms\n  back_deadline: 8s\n  recheck: 500ms\n  \
             neighbour_patience: 2s\nssh:\n  connect_timeout: 2s\n  visit_timeout: 20s\n"
        ),
    );
    put(
        "inventory.yaml",
        &format!(
            "sites: {{ lab: {{}} }}\ndefaults:\n  platform: cisco_ios\n  ssh_port: 2222\n  \
             template: a.j2\n  credentials:\n    \
             - {{ username: netops, password: {{ file: password }} }}\n  \
             secrets: {{ password: {{ file: password }} }}\ndevices:\n  \
             - {{ name: dist-1, site: lab, managed: false, address: 127.{x}.{y}.11 }}\n  \
             - name: acc-1\n    site: lab\n    serial: FOC0000A001\n    \
             mac: '02:67:6c:66:00:01'\n    address: 127.{x}.{y}.101\n    neighbours:\n      \
             - {P49} -> dist-1, GigabitEthernet1/0/1\n      \
             - {P50} -> dist-1, GigabitEthernet1/0/2\n"
        ),
    );
}

/// The first uplink is in port 3 of the distribution switch instead of port 1.
async fn house(behaviour: Behaviour) -> House {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = corner();
    let ports = [free_udp(), free_udp(), free_tcp()];
    write(folder.path(), (x, y), ports);
    let timing = LldpTiming { hello: Duration::from_millis(200), linger: Duration::from_secs(1) };
    let plant = Plant::new(Clock::System, timing);
    let login =
        || vec![Login { username: "netops".into(), password: PASSWORD.into(), enable: None }];
    let chassis = Chassis::cisco("FOC2000D001", Mac::new([2, 0x67, 0x6c, 0x66, 1, 1]));
    let distribution = Inside::new("dist-1", chassis, login(), plant.clone());
    distribution.power_on();
    distribution.apply("hostname dist-1\nusername netops privilege 15 secret x\n", None);
    distribution.speak();
    let at = SocketAddr::from(([127, x, y, 11], 2222));
    let door = SshServer::start(distribution.clone(), at, &Entropy::System).await.unwrap();
    let chassis = Chassis::cisco("FOC0000A001", Mac::new([2, 0x67, 0x6c, 0x66, 0, 1]));
    let inside = Inside::new("acc-1", chassis, login(), plant.clone());
    {
        let (mut cabling, now) = plant.look();
        for (ours, theirs) in [(P49, 3), (P50, 2)] {
            let far = Socket::new("dist-1", format!("GigabitEthernet1/0/{theirs}"));
            cabling.connect(Socket::new("acc-1", ours), far, now).unwrap();
        }
    }
    let around = Surroundings {
        dhcp: ports[0],
        tftp_port: ports[1].port(),
        ssh_port: 2222,
        clock: Clock::System,
        entropy: Entropy::System,
        pace: Pace(1.0),
        diary: Diary::default(),
    };
    let from = Ipv4Addr::new(127, x, y, 201);
    let access = Device::new(inside, around, Fitting { from, position: None, behaviour });
    House { folder, access, distribution, plant, _door: door }
}

impl House {
    async fn serve(&self) -> Running {
        let loaded = files::load(&self.folder.path().join("greenlight.yaml"));
        let loaded = loaded.unwrap_or_else(|list| panic!("{list:#?}"));
        daemon::start(&loaded, Clock::System, Entropy::System).await.unwrap()
    }

    /// Somebody does what was told.
    fn move_plug(&self) {
        let (mut cabling, now) = self.plant.look();
        let port = |number: u8| Socket::new("dist-1", format!("GigabitEthernet1/0/{number}"));
        cabling.move_plug(&port(3), &port(1), now).unwrap();
    }
}

async fn until(running: &Running, fits: impl Fn(&Run) -> bool) -> Run {
    let mut last = Vec::new();
    for _ in 0..600 {
        last = running.memory.ask(Query::LatestRuns).await.unwrap();
        if let Some(run) = last.iter().find(|run| fits(run)) {
            return run.clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lines = |reply| Query::Journal { device: "acc-1".into(), last: 60, reply };
    panic!("it never came to fit: {last:#?}\n{:#?}", running.memory.ask(lines).await.unwrap());
}

fn told(run: &Run) -> bool {
    matches!(run.phase, Phase::ActionNeeded { .. })
}

fn is_ready(run: &Run) -> bool {
    matches!(run.phase, Phase::Ready { .. })
}

#[track_caller]
fn is_the_right_move(run: &Run) {
    let Phase::ActionNeeded { problem, .. } = &run.phase else { panic!("{run:#?}") };
    assert_eq!(problem.fault, Fault::WrongPort, "{problem:?}");
    let filled = ["far_device", "found_port", "far_port", "port"].map(|key| &*problem.fill[key]);
    let [first, third] = ["GigabitEthernet1/0/1", "Gi1/0/3"];
    assert!(filled == ["dist-1", third, first, P49], "{problem:?}");
}

/// All faults that were pushed, in their order.
fn pushed(
    feed: &mut tokio::sync::broadcast::Receiver<greenlight::service::runner::Told>,
) -> Vec<Fault> {
    let mut pushed = Vec::new();
    while let Ok(told) = feed.try_recv() {
        let loud = told
            .notice
            .filter(|notice| notice.kind == greenlight::domain::notice::Kind::ActionNeeded);
        pushed.extend(loud.and_then(|notice| notice.fault));
    }
    pushed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_whose_lldp_is_off_is_judged_by_its_upstream_device() {
    let house = house(Behaviour::default()).await;
    house.access.inside.deafen(true);
    let running = house.serve().await;
    let mut feed = running.feed();
    house.access.power_on().await;
    let run = until(&running, told).await;
    is_the_right_move(&run);
    house.move_plug();
    let run = until(&running, is_ready).await;
    let findings = run.findings.expect("it is proven");
    assert!(
        findings.verdicts.iter().all(|(_, v)| matches!(v, Verdict::Pass | Verdict::NotPlanned))
    );
    assert_eq!(pushed(&mut feed), [Fault::WrongPort]);
    assert!(house.distribution.view().saved.is_none(), "nobody saves what is in service");
    house.access.power_off().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_does_not_answer_is_told_by_its_upstream_device() {
    // It takes its configuration and then hangs: it speaks LLDP under the name of the factory.
    let house =
        house(Behaviour { hangs_once: true, images: Images::default(), ..Behaviour::default() })
            .await;
    let running = house.serve().await;
    let mut feed = running.feed();
    house.access.power_on().await;
    let run = until(&running, told).await;
    is_the_right_move(&run);
    // The plug alone does not bring it back: it is called away after all.
    house.move_plug();
    let away = |run: &Run| {
        matches!(&run.phase, Phase::ActionNeeded { problem, .. }
            if problem.fault == Fault::NotBack)
    };
    until(&running, away).await;
    house.access.power_cycle().await;
    until(&running, is_ready).await;
    assert_eq!(pushed(&mut feed), [Fault::WrongPort, Fault::NotBack]);
    house.access.power_off().await;
    running.stop().await;
}

/// Two access switches at one distribution switch.
fn closet() -> InForce {
    let login = |name: &str| CredentialReference {
        username: name.to_owned(),
        password: Some(SecretSource::Environment("P".to_owned())),
        key: None,
        enable: None,
    };
    let cable = |local: &str, device: &str, port: &str| PlannedNeighbour {
        local_port: local.to_owned(),
        device: device.to_owned(),
        port: port.to_owned(),
    };
    let mut dist: Planned = device("dist-1");
    dist.managed = false;
    dist.address = Some([192, 0, 2, 1].into());
    dist.credentials = vec![login("reader")];
    dist.neighbours = vec![cable("swp1", "sw1", "swp49"), cable("swp2", "sw2", "swp49")];
    let access = |name: &str, far: &str| {
        let mut access = device(name);
        access.credentials = vec![login("netops")];
        access.neighbours = vec![cable("swp49", "dist-1", far)];
        access
    };
    let devices = [access("sw1", "swp1"), access("sw2", "swp2"), dist];
    let plan = crate::service::plan();
    let old = plan.get();
    let rules = greenlight::service::plan::Rules {
        recheck: Duration::from_millis(400),
        ..old.rules.clone()
    };
    InForce::new(greenlight::service::plan::Plan {
        inventory: Arc::new(Inventory::of(devices)),
        platforms: Arc::new(Platforms::built_in()),
        render: Arc::clone(&old.render),
        secrets: Arc::clone(&old.secrets),
        rules,
        generation: 1,
    })
}

/// What the distribution switch lists: sw1 on its own port, sw2 on a wrong one.
fn listed() -> Observation {
    let row = |port: &str, name: &str| Neighbour {
        local_port: port.to_owned(),
        system_name: name.to_owned(),
        chassis_id: None,
        port_id: "swp49".to_owned(),
        port_description: None,
        first_seen_seconds_ago: Some(100),
        last_heard_seconds_ago: None,
    };
    let facts = Facts { hostname: Some("dist-1".to_owned()), ..Facts::default() };
    let ports = ["swp1", "swp2", "swp3"];
    Observation {
        facts: Reading::Seen(facts),
        lldp: Reading::Seen(vec![row("swp1", "sw1"), row("swp3", "sw2")]),
        interfaces: Reading::Seen(ports.map(|port| Interface::new(port, true)).to_vec()),
        ..Observation::empty()
    }
}

struct Calls {
    orders: Mutex<Vec<Order>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// A performer whose visits bring this, after a moment.
fn performer(outcome: impl Fn() -> Outcome + Send + Sync + 'static) -> (Performer, Arc<Calls>) {
    let calls = Arc::new(Calls {
        orders: Mutex::default(),
        at_once: AtomicUsize::new(0),
        most_at_once: AtomicUsize::new(0),
    });
    let (kept, outcome) = (Arc::clone(&calls), Arc::new(outcome));
    let performer = Performer {
        prober: Arc::new(move |order| {
            let (calls, outcome) = (Arc::clone(&kept), Arc::clone(&outcome));
            Box::pin(async move {
                calls.orders.lock().unwrap().push(order);
                let now = calls.at_once.fetch_add(1, Ordering::SeqCst) + 1;
                calls.most_at_once.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(30)).await;
                calls.at_once.fetch_sub(1, Ordering::SeqCst);
                Report { host_key: Some("SHA256:a".to_owned()), outcome: outcome() }
            })
        }),
        secrets: Arc::new(|_| Ok(Secret::new("x"))),
        plan: closet(),
        clock: Clock::System,
        visits: Arc::new(Semaphore::new(4)),
        images: greenlight::service::upgrade::no_images(),
        upstreams: Upstreams::default(),
    };
    (performer, calls)
}

fn away(device: &str, attempt: u64) -> AskOrder {
    let (run, device) = (format!("run of {device}"), device.to_owned());
    AskOrder { run, device, attempt, away: true, first_visit: None }
}

async fn asked(performer: &Performer, order: AskOrder) -> (u64, Verdict) {
    let input = performer.ask_upstreams(order).await.expect("there is somebody to ask");
    match input.event.expect("it is an answer").1 {
        Event::UpstreamsTold { attempt, told } => (attempt, told.verdict.expect("it is judged")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_closet_shares_one_visit_of_its_upstream_device_that_only_reads() {
    let (performer, calls) = performer(|| Outcome::Observed(Box::new(listed())));
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..20u64 {
        let performer = performer.clone();
        let name = if number % 2 == 0 { "sw1" } else { "sw2" };
        waiting.spawn(async move { (name, number, asked(&performer, away(name, number)).await) });
    }
    while let Some(done) = waiting.join_next().await {
        let (name, number, (attempt, verdict)) = done.unwrap();
        assert_eq!(attempt, number, "each answer names its own attempt");
        match name {
            "sw1" => assert_eq!(verdict, Verdict::Pass),
            _ => assert!(
                matches!(verdict, Verdict::Fail(problem) if problem.fill["far_port"] == "swp2")
            ),
        }
    }
    {
        let orders = calls.orders.lock().unwrap();
        assert_eq!(orders.len(), 1);
        assert!(matches!(orders[0].purpose, Purpose::Neighbours), "{:?}", orders[0].purpose);
        assert_eq!(orders[0].target.to_string(), "192.0.2.1:22");
        assert_eq!(orders[0].credentials[0].username, "reader");
        assert!(orders[0].further.is_empty() && orders[0].pinned_host_key.is_none());
    }
    // After a round it is asked again, and must be who it was.
    tokio::time::sleep(Duration::from_millis(450)).await;
    asked(&performer, away("sw1", 20)).await;
    let orders = calls.orders.lock().unwrap();
    assert_eq!(orders.len(), 2);
    assert_eq!(orders[1].pinned_host_key.as_deref(), Some("SHA256:a"));
    assert_eq!(calls.most_at_once.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_upstream_device_that_refuses_is_left_alone_until_the_plan_is_another() {
    let (performer, calls) = performer(|| Outcome::LoginRefused { why: "denied".to_owned() });
    for attempt in 0..3 {
        let (_, verdict) = asked(&performer, away("sw1", attempt)).await;
        let why = "it does not answer; dist-1: it refuses our login: denied";
        assert_eq!(verdict, Verdict::Unknown { why: why.to_owned() });
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    assert_eq!(calls.orders.lock().unwrap().len(), 1);
    let plan = closet().get();
    performer.plan.replace(greenlight::service::plan::Plan {
        inventory: Arc::clone(&plan.inventory),
        platforms: Arc::clone(&plan.platforms),
        render: Arc::clone(&plan.render),
        secrets: Arc::clone(&plan.secrets),
        rules: plan.rules.clone(),
        generation: 2,
    });
    asked(&performer, away("sw2", 9)).await;
    assert_eq!(calls.orders.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn where_nobody_can_be_asked_nothing_is_told_and_nobody_waits_in_vain() {
    let (performer, calls) = performer(|| Outcome::Observed(Box::new(listed())));
    assert!(performer.ask_upstreams(away("dist-1", 1)).await.is_none(), "its cables are unmanaged");
    // A run whose device was let in waits: it is answered even if what it told is gone.
    let order = AskOrder { away: false, ..away("sw1", 7) };
    let input = performer.ask_upstreams(order).await.expect("somebody waits");
    let Some((_, Event::UpstreamsTold { attempt, told })) = input.event else {
        panic!("no answer")
    };
    assert_eq!((attempt, told), (7, Default::default()));
    assert!(calls.orders.lock().unwrap().is_empty());
}

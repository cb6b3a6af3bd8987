//! Several devices that are provisioned at the same time, with their far plugs in one another's
//! sockets: what one person is told to do undoes nothing that another one was told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenlight::domain::check::Problem;
use greenlight::domain::fault::Fault;
use greenlight::domain::inventory::meant::{Inventory, PlannedNeighbour};
use greenlight::domain::notice::Kind;
use greenlight::domain::run::{Event, Phase, Run};
use greenlight::platform::Platforms;
use greenlight::platform::observation::{Facts, Neighbour, Observation, Reading};
use greenlight::service::plan::{InForce, Plan, Rules};
use greenlight::service::probe::{Outcome, Prober, Report};
use greenlight::service::runner::{Input, Opening, Told};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::service::{House, house_with};
use crate::store::device;

/// One cable: which device, which port of it, which port of `dist-1`.
type Cable = (u8, &'static str, u8);

const P49: &str = "Gi1/0/49";
const P50: &str = "Gi1/0/50";

/// Long enough for a second message to come: twenty visits.
const QUIET: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(300);

fn name(number: u8) -> String {
    format!("acc-{number}")
}

/// What stands at the racks: each cable's plug at `dist-1`, by device and port.
#[derive(Clone)]
struct Racks(Arc<Mutex<BTreeMap<(u8, &'static str), u8>>>);

impl Racks {
    fn plugged(cables: &[Cable]) -> Self {
        let cables = cables.iter().map(|(number, near, far)| ((*number, *near), *far));
        Self(Arc::new(Mutex::new(cables.collect())))
    }

    /// Does what it says: one plug at `dist-1` from one port to another, and if a plug is there,
    /// the two change places.
    fn follow(&self, problem: &Problem) {
        assert_eq!(problem.fault, Fault::WrongPort, "{problem:?}");
        assert_eq!(problem.fill["far_device"], "dist-1", "{problem:?}");
        let port = |key: &str| {
            let port = problem.fill[key].rsplit('/').next().unwrap();
            port.parse::<u8>().unwrap()
        };
        let (from, to) = (port("found_port"), port("far_port"));
        for far in self.0.lock().unwrap().values_mut() {
            *far = match *far {
                at if at == from => to,
                at if at == to => from,
                at => at,
            };
        }
    }

    fn prober(&self) -> Prober {
        let racks = self.clone();
        Arc::new(move |order| {
            let IpAddr::V4(address) = order.target.ip() else { panic!("IPv4 alone is here") };
            let outcome = Outcome::Observed(Box::new(racks.seen(address.octets()[3])));
            Box::pin(async { Report { host_key: None, outcome } })
        })
    }

    fn seen(&self, number: u8) -> Observation {
        let racks = self.0.lock().unwrap();
        let own = racks.iter().filter(|((device, _), _)| *device == number);
        let rows = own.map(|((_, near), far)| Neighbour {
            local_port: (*near).to_owned(),
            system_name: "dist-1".to_owned(),
            chassis_id: None,
            // Long where the plan is short: they are the same socket.
            port_id: format!("GigabitEthernet1/0/{far}"),
            port_description: None,
            first_seen_seconds_ago: None,
            last_heard_seconds_ago: None,
        });
        let rendered = rendered(&name(number));
        Observation {
            facts: Reading::Seen(Facts {
                hostname: Some(name(number)),
                serials: vec![format!("FOC-{}", name(number))],
                model: None,
                software: None,
            }),
            lldp: Reading::Seen(rows.collect()),
            running: Reading::Seen(rendered.clone()),
            saved: Reading::Seen(rendered),
            ..Observation::empty()
        }
    }
}

fn rendered(name: &str) -> String {
    format!("hostname {name}\n")
}

/// A plan in which these cables are right.
fn planned(cables: &[Cable]) -> InForce {
    let mut dist = device("dist-1");
    dist.platform = "cisco_ios".to_owned();
    dist.managed = false;
    let numbers: std::collections::BTreeSet<u8> = cables.iter().map(|cable| cable.0).collect();
    let access = numbers.into_iter().map(|number| {
        let mut device = device(&name(number));
        device.platform = "cisco_ios".to_owned();
        device.address = Some(Ipv4Addr::new(127, 7, 0, number));
        let own = cables.iter().filter(|cable| cable.0 == number);
        device.neighbours = own
            .map(|(_, near, far)| PlannedNeighbour {
                local_port: (*near).to_owned(),
                device: "dist-1".to_owned(),
                port: format!("Gi1/0/{far}"),
            })
            .collect();
        device
    });
    let seconds = Duration::from_secs;
    InForce::new(Plan {
        inventory: Arc::new(Inventory::of(access.chain([dist]))),
        platforms: Arc::new(Platforms::built_in()),
        render: Arc::new(|device, _| Ok(rendered(&device.name))),
        secrets: Arc::new(|_| Vec::new()),
        rules: Rules {
            window: seconds(600),
            ask_patience: None,
            file_patience: seconds(180),
            settle: Some(Duration::from_millis(10)),
            // So that whoever is left Unknown for longer than the two would be told of.
            back_deadline: Some(PATIENCE),
            recheck: Duration::from_millis(50),
            neighbour_patience: PATIENCE,
            login_patience: seconds(1),
            still_waiting: seconds(600),
            visit_timeout: seconds(5),
            hooks_required: Vec::new(),
            hooks_optional: Vec::new(),
        },
        generation: 1,
    })
}

/// The house, its feed, and the racks; every device has just taken its configuration.
struct Story {
    folder: tempfile::TempDir,
    plan: InForce,
    racks: Racks,
    house: House,
    feed: Receiver<Told>,
}

impl Story {
    async fn begin(planned_cables: &[Cable], cables: &[Cable]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (plan, racks) = (planned(planned_cables), Racks::plugged(cables));
        let house = house_with(folder.path(), plan.clone(), racks.prober()).await;
        let feed = house.runs.feed();
        for device in plan.get().inventory.devices.iter().filter(|device| device.managed) {
            for input in takes_its_configuration(&device.name, device.address.unwrap()) {
                house.runs.stored(input).await.unwrap();
            }
        }
        Self { folder, plan, racks, house, feed }
    }

    /// The next message that asks somebody to act.
    async fn next_act(&mut self) -> (String, Problem) {
        loop {
            let told = timeout(Duration::from_secs(10), self.feed.recv()).await;
            let told = told.expect("a message comes").unwrap();
            if let Some(act) = act(&told) {
                return act;
            }
        }
    }

    /// Nobody is asked to act for a while.
    async fn nothing_is_told(&mut self) {
        let listen = async {
            loop {
                let told = self.feed.recv().await.unwrap();
                if let Some(act) = act(&told) {
                    return act;
                }
            }
        };
        let told = timeout(QUIET, listen).await;
        assert!(told.is_err(), "{told:?}");
    }

    async fn until_green(&mut self, number: u8) -> Run {
        let name = name(number);
        let green = |run: &Run| run.device == name && matches!(run.phase, Phase::Ready { .. });
        self.house.until(green).await
    }

    async fn restart(self) -> Self {
        let Self { folder, plan, racks, house, .. } = self;
        house.end().await;
        let house = house_with(folder.path(), plan.clone(), racks.prober()).await;
        let feed = house.runs.feed();
        Self { folder, plan, racks, house, feed }
    }

    async fn end(self) {
        self.house.end().await;
        self.folder.close().unwrap();
    }
}

fn act(told: &Told) -> Option<(String, Problem)> {
    let kind = told.notice.as_ref()?.kind;
    match &told.run.phase {
        Phase::ActionNeeded { problem, .. } if kind == Kind::ActionNeeded => {
            Some((told.run.device.clone(), problem.clone()))
        }
        _ => None,
    }
}

fn takes_its_configuration(device: &str, address: Ipv4Addr) -> [Input; 2] {
    let asked = Event::FileAsked {
        transport: "tftp".into(),
        name: "network-confg".into(),
        address: IpAddr::V4(address),
    };
    let ended = Event::TransferEnded {
        complete: true,
        bytes: 382,
        sha256: "ab".into(),
        repeats: 0,
        why: String::new(),
    };
    [Input::event(device, asked, Opening::AfterWindow), Input::event(device, ended, Opening::Never)]
}

const TWO: [Cable; 2] = [(1, P49, 1), (2, P49, 2)];
const TWO_CROSSED: [Cable; 2] = [(1, P49, 2), (2, P49, 1)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_crossed_at_the_far_end_are_one_message_and_one_exchange() {
    let mut story = Story::begin(&TWO, &TWO_CROSSED).await;
    let (first, problem) = story.next_act().await;
    story.nothing_is_told().await;
    let other = if first == name(1) { name(2) } else { name(1) };
    let waits = story.house.until(|run| run.device == other && run.gave_way.is_some()).await;
    assert_eq!(waits.phase.name(), "verifying");
    let why = format!("is being worked on for {first}");
    assert!(format!("{:?}", waits.findings).contains(&why), "{waits:?}");
    story.racks.follow(&problem);
    story.until_green(1).await;
    story.until_green(2).await;
    story.nothing_is_told().await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_devices_rotated_at_the_far_end_take_two_exchanges() {
    let planned = [(1, P49, 1), (2, P49, 2), (3, P49, 3)];
    let mut story = Story::begin(&planned, &[(1, P49, 2), (2, P49, 3), (3, P49, 1)]).await;
    for _ in 0..2 {
        let (_, problem) = story.next_act().await;
        story.nothing_is_told().await;
        story.racks.follow(&problem);
    }
    for number in [1, 2, 3] {
        story.until_green(number).await;
    }
    story.nothing_is_told().await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_acts_of_one_device_follow_each_other_at_the_same_socket() {
    let mut story = Story::begin(&[(1, P49, 1), (1, P50, 2)], &[(1, P49, 2), (1, P50, 3)]).await;
    for _ in 0..2 {
        let (_, problem) = story.next_act().await;
        story.racks.follow(&problem);
    }
    let run = story.until_green(1).await;
    assert_eq!(run.gave_way, None);
    story.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_cancelled_frees_its_sockets() {
    let mut story = Story::begin(&TWO, &TWO_CROSSED).await;
    let (first, _) = story.next_act().await;
    story.nothing_is_told().await;
    let cancel = Event::Cancel { by: "unix:0".into() };
    story.house.runs.stored(Input::event(&first, cancel, Opening::Never)).await.unwrap();
    let (second, problem) = story.next_act().await;
    assert_ne!(second, first);
    story.racks.follow(&problem);
    story.until_green(if second == name(1) { 1 } else { 2 }).await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_the_sockets_are_still_worked_on() {
    let mut story = Story::begin(&TWO, &TWO_CROSSED).await;
    let (_, problem) = story.next_act().await;
    let mut story = story.restart().await;
    story.nothing_is_told().await;
    story.racks.follow(&problem);
    story.until_green(1).await;
    story.until_green(2).await;
    story.end().await;
}

//! The service over a real store: de-duplication, resumption, and that nothing is said before it is
//! stored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenlight::clock::{Clock, Timestamp};
use greenlight::domain::check::{Check, Findings, Verdict};
use greenlight::domain::inventory::meant::{Device, Inventory};
use greenlight::domain::notice::{Kind, Notice};
use greenlight::domain::run::{Event, Phase, Run, Visit};
use greenlight::entropy::Entropy;
use greenlight::error::Code;
use greenlight::platform::Platforms;
use greenlight::secret::Secret;
use greenlight::service::intake::{Clues, Identity, Intake, Moved};
use greenlight::service::leases::Ended;
use greenlight::service::leases6::EndedAddress;
use greenlight::service::memory::{Change, Lease, Lease6, Memory, NewDelivery, Query};
use greenlight::service::operations::{Context, Operations};
use greenlight::service::outbox::Outbox;
use greenlight::service::performer::Performer;
use greenlight::service::plan::{InForce, Plan, Rules};
use greenlight::service::probe::{Outcome, Prober, Report};
use greenlight::service::runner::{self, Input, Opening, Parts, Runs, Saying, Spoken, Told, Voice};
use greenlight::store;
use tokio::sync::{Semaphore, watch};

use crate::store::device;

pub struct House {
    pub runs: Runs,
    pub memory: Memory,
    pub intake: Intake,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<()>,
    said: Arc<Mutex<Vec<Kind>>>,
}

pub fn plan() -> InForce {
    let devices = [(1, "sw1"), (2, "sw2")].map(|(number, name)| Device {
        address: Some(Ipv4Addr::new(127, 7, 0, number)),
        macs: vec![greenlight::address::Mac::new([2, 0, 0, 0, 0, number - 1])],
        ..device(name)
    });
    InForce::new(Plan {
        inventory: Arc::new(Inventory::of(devices)),
        platforms: Arc::new(Platforms::default()),
        render: Arc::new(|device, _| Ok(format!("hostname {}\n", device.name))),
        secrets: Arc::new(|_| Vec::new()),
        rules: Rules {
            window: Duration::from_secs(600),
            ask_patience: None,
            file_patience: Duration::from_secs(180),
            settle: Some(Duration::from_millis(10)),
            back_deadline: Some(Duration::from_secs(5)),
            recheck: Duration::from_millis(50),
            neighbour_patience: Duration::from_secs(1),
            login_patience: Duration::from_secs(1),
            still_waiting: Duration::from_secs(600),
            visit_timeout: Duration::from_secs(5),
            hooks_required: vec!["next".into()],
            hooks_optional: Vec::new(),
        },
        generation: 1,
    })
}

fn voice(said: Arc<Mutex<Vec<Kind>>>) -> Voice {
    Voice {
        speak: Box::new(move |Saying { run, kind, now, .. }| {
            said.lock().unwrap().push(kind);
            let notice = Notice {
                run: run.id.clone(),
                seq: run.seq,
                at: now,
                device: run.device.clone(),
                site: run.site.clone(),
                location: run.location.clone(),
                kind,
                headline: format!("{kind:?}"),
                body: String::new(),
                fault: None,
                act: String::new(),
                checklist: Vec::new(),
            };
            Some(Spoken { notice, rows: Vec::new() })
        }),
        hand_off: Box::new(|run, hook, at| {
            Some(Change::Outbox(NewDelivery {
                outlet: format!("hook:{hook}"),
                subject: run.id.clone(),
                key: format!("{}/{hook}", run.id),
                kind: "event".into(),
                payload: serde_json::json!({}),
                at,
            }))
        }),
    }
}

pub async fn house(folder: &std::path::Path) -> House {
    house_of(folder, plan()).await
}

pub async fn house_of(folder: &std::path::Path, plan: InForce) -> House {
    // Nobody is at home: the story decides what a visit brings by sending the event itself.
    let prober: Prober = Arc::new(|_| {
        Box::pin(async {
            let why = "nobody at home".into();
            Report { host_key: None, outcome: Outcome::Unreachable { why } }
        })
    });
    house_with(folder, plan, prober).await
}

pub async fn house_with(folder: &std::path::Path, plan: InForce, prober: Prober) -> House {
    let memory = store::open(&folder.join("greenlight.db")).await.unwrap();
    let performer = Performer {
        prober,
        secrets: Arc::new(|_| Ok(Secret::new("x"))),
        plan: plan.clone(),
        clock: Clock::System,
        visits: Arc::new(Semaphore::new(4)),
        images: greenlight::service::upgrade::no_images(),
        upstreams: greenlight::service::upstream::Upstreams::default(),
    };
    let (runs, waiting) = runner::channel();
    let leases = memory.ask(Query::Leases).await.unwrap();
    let intake = Intake::new(
        plan.clone(),
        runs.clone(),
        Clock::System,
        &leases,
        Arc::new(|_, _| Vec::new()),
    );
    let said = Arc::new(Mutex::new(Vec::new()));
    let (outbox_bell, bell) = watch::channel(0);
    let parts = Parts {
        memory: memory.clone(),
        plan,
        clock: Clock::System,
        entropy: Entropy::System,
        voice: voice(said.clone()),
        outbox: Outbox::new(memory.clone(), Clock::System, bell),
        outbox_bell,
    };
    let (stop, shutdown) = watch::channel(false);
    let both = (runs.clone(), waiting);
    let ended = tokio::spawn(async move {
        runner::run(parts, performer, both, shutdown).await.unwrap();
    });
    House { runs, memory, intake, stop, ended, said }
}

/// A lease that was granted ten seconds ago.
fn lease(device: &str, address: &str, expires: Timestamp) -> Lease {
    Lease {
        address: address.parse().unwrap(),
        mac: greenlight::address::Mac::new([2, 0, 0, 0, 0, 0]),
        client_id: String::new(),
        device: Some(device.into()),
        relay_information: String::new(),
        granted: Clock::System.now().minus(Duration::from_secs(10)),
        expires,
    }
}

impl House {
    /// This device has this address, for an hour.
    pub async fn bind(&self, device: &str, address: &str) {
        let expires = Clock::System.now().plus(Duration::from_secs(3600));
        self.intake.lease_bound(lease(device, address, expires)).await.unwrap();
    }

    pub async fn end(self) {
        self.stop.send(true).unwrap();
        self.ended.await.unwrap();
    }

    pub async fn until(&self, mut fits: impl FnMut(&Run) -> bool) -> Run {
        for _ in 0..400 {
            let runs = self.memory.ask(Query::LatestRuns).await.unwrap();
            if let Some(run) = runs.into_iter().find(|run| fits(run)) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the run never came to fit");
    }
}

pub fn asked(device: &str) -> Input {
    let event = Event::FileAsked {
        transport: "tftp".into(),
        name: "network-confg".into(),
        address: std::net::IpAddr::from([127, 7, 0, 1]),
    };
    Input::event(device, event, Opening::AfterWindow)
}

pub fn ended(device: &str) -> Input {
    let event = Event::TransferEnded {
        complete: true,
        bytes: 382,
        sha256: "ab".into(),
        repeats: 0,
        why: String::new(),
    };
    Input::event(device, event, Opening::Never)
}

fn proven(run: &Run) -> Input {
    let findings = Findings {
        verdicts: vec![(Check::Serial, Verdict::Pass), (Check::Running, Verdict::Pass)],
        ..Findings::default()
    };
    let visit = Visit::Judged { host_key: None, findings };
    let event = Event::Visited { attempt: run.attempt, visit };
    Input::answer(run.id.clone(), event)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_askers_at_once_are_one_run_of_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let runs = house.runs.clone();
            tokio::spawn(async move { runs.stored(asked("sw1")).await.unwrap() })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
    let all = house.memory.ask(Query::LatestRuns).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].repeats, 99);
    assert_eq!(*house.said.lock().unwrap(), [Kind::Started]);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_after_a_restart_and_is_handed_over_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = house(folder.path()).await;
    first.runs.stored(asked("sw1")).await.unwrap();
    first.runs.stored(ended("sw1")).await.unwrap();
    let before = first.until(|run| matches!(run.phase, Phase::Connecting { .. })).await;
    first.end().await;
    let second = house(folder.path()).await;
    let run = second.until(|run| run.attempt > before.attempt).await;
    assert_eq!(run.id, before.id);
    // The attempt may move on between reading it and answering: answer until it fits.
    for _ in 0..50 {
        let run = second.until(|_| true).await;
        if matches!(run.phase, Phase::HandingOff { .. }) {
            break;
        }
        second.runs.stored(proven(&run)).await.unwrap();
    }
    let accepts =
        Event::HookAnswered { hook: "next".into(), accepted: true, answer: "job 1".into() };
    second.runs.stored(Input::event("sw1", accepts.clone(), Opening::Never)).await.unwrap();
    second.runs.stored(Input::event("sw1", accepts, Opening::Never)).await.unwrap();
    let run = second.until(|run| matches!(run.phase, Phase::Ready { .. })).await;
    let rows = second
        .memory
        .ask(|reply| Query::OutboxOf { subject: run.id.clone(), reply })
        .await
        .unwrap();
    assert_eq!(rows.len(), 1, "one hand-off: {rows:?}");
    let done = second.said.lock().unwrap().iter().filter(|kind| **kind == Kind::Done).count();
    assert_eq!(done, 1);
    // Asking again within the window is counted and opens nothing.
    second.runs.stored(asked("sw1")).await.unwrap();
    let again = second.until(|_| true).await;
    assert_eq!((again.id, again.repeats), (run.id, run.repeats + 1));
    second.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_brought_before_the_end_is_stored_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let first = house(folder.path()).await;
    first.runs.stored(asked("sw1")).await.unwrap();
    for _ in 0..3000 {
        first.runs.send(asked("sw1")).await;
    }
    first.runs.send(ended("sw1")).await;
    first.end().await;
    let memory = store::open(&folder.path().join("greenlight.db")).await.unwrap();
    let run = memory.ask(Query::LatestRuns).await.unwrap().remove(0);
    assert_eq!((run.repeats, run.transfers.complete), (3000, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clues_that_disagree_are_a_conflict_and_laptops_are_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let mac = |last| Some(greenlight::address::Mac::new([2, 0, 0, 0, 0, last]));
    let clues = Clues { serial: Some("foc-SW1".into()), mac: mac(0), ..Clues::default() };
    assert!(matches!(house.intake.identify(&clues), Identity::Device(d) if d.name == "sw1"));
    let clues = Clues { serial: Some("FOC-sw1".into()), mac: mac(1), ..Clues::default() };
    assert!(matches!(house.intake.identify(&clues), Identity::Conflict { .. }));
    let clues = Clues { mac: mac(9), platform: Some("cisco_ios".into()), ..Clues::default() };
    assert!(matches!(house.intake.identify(&clues), Identity::Stranger { .. }));
    let clues = Clues { mac: mac(9), ..Clues::default() };
    assert!(matches!(house.intake.identify(&clues), Identity::Nobody));
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_tells_only_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let mut feed = house.runs.feed();
    house.runs.stored(asked("sw2")).await.unwrap();
    let told: Told = feed.recv().await.unwrap();
    let stored = house.until(|run| run.device == "sw2").await;
    assert_eq!(*told.run, stored);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_and_getting_an_address_are_one_step_and_asking_alone_is_told_later() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let mac = greenlight::address::Mac::new([2, 0, 0, 0, 0, 0]);
    let clues = Clues { mac: Some(mac), ..Clues::default() };
    let Identity::Device(device) = house.intake.identify(&clues) else {
        panic!("sw1 is not known by its MAC")
    };
    house.intake.asked(&device);
    house.bind("sw1", "127.7.0.51").await;
    let run = house.until(|_| true).await;
    assert!(matches!(run.phase, Phase::Addressed { .. }), "{run:?}");
    assert_eq!((run.rev, run.repeats), (1, 0));
    assert_eq!(*house.said.lock().unwrap(), [Kind::Started, Kind::Progress]);
    // It asks again and takes nothing.
    house.intake.asked(&device);
    house.intake.asked_alone(false);
    assert!(house.intake.somebody_asks(), "it may still take an address");
    house.intake.asked_alone(true);
    let run = house.until(|run| run.rev == 2).await;
    assert_eq!((run.repeats, house.intake.somebody_asks()), (1, false));
    // It gives its address back: that is written down and moves nothing.
    let before = run.phase;
    let address = "127.7.0.51".parse().unwrap();
    let ended = Ended { address, mac, until: Timestamp::from_seconds(9), quarantined_until: None };
    house.intake.leases_moved(vec![Moved::Ended(ended, Some(device))]).await.unwrap();
    let run = house.until(|run| run.rev == 3).await;
    assert_eq!(run.phase, before);
    let journal = |reply| Query::Journal { device: "sw1".into(), last: 1, reply };
    let line = house.memory.ask(journal).await.unwrap().remove(0);
    assert_eq!(
        (line.topic.as_str(), line.text.as_str()),
        ("dhcp", "released its address 127.7.0.51")
    );
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_lease_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let now = Clock::System.now();
    let over = lease("sw1", "127.7.0.50", now.minus(Duration::from_secs(1)));
    house.intake.lease_bound(over).await.unwrap();
    house.bind("sw1", "127.7.0.51").await;
    let holder = |address: &str| house.intake.holder(address.parse().unwrap());
    assert!(holder("127.7.0.50").is_none());
    assert_eq!(holder("127.7.0.51").map(|device| device.name.clone()).as_deref(), Some("sw1"));
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_local_peer_is_known_by_the_lease_it_asked_for_and_on_that_link_alone() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let now = Clock::System.now();
    let leased: Ipv6Addr = "fd00::9".parse().unwrap();
    let near: Ipv6Addr = "fe80::7".parse().unwrap();
    let lease = |expires| Lease6 {
        address: leased,
        duid: "0004aa".into(),
        iaid: 1,
        mac: None,
        device: Some("sw1".into()),
        granted: now,
        expires,
    };
    let at = |ip, scope| {
        let peer = SocketAddr::V6(SocketAddrV6::new(ip, 40_000, 0, scope));
        house.intake.heard_at(peer).map(|(device, address)| (device.name.clone(), address))
    };
    let known = Some(("sw1".to_owned(), IpAddr::V6(leased)));
    let hour = Duration::from_secs(3600);
    house.intake.leases6_bound(vec![lease(now.plus(hour))], Some((near, 3))).await.unwrap();
    assert_eq!((at(near, 3), at(leased, 0)), (known.clone(), known));
    assert_eq!((at(near, 4), at("fe80::8".parse().unwrap(), 3)), (None, None));
    let run = house.until(|run| run.device == "sw1").await;
    assert_eq!(run.address, Some(IpAddr::V6(leased)));
    let ended = |lease: Lease6| EndedAddress {
        address: leased,
        binding: lease.binding(),
        quarantined_until: None,
    };
    let end = ended(lease(now.plus(hour)));
    house.intake.leases6_ended(vec![end], None).await.unwrap();
    assert_eq!((at(near, 3), at(leased, 0)), (None, None));
    house.intake.leases6_bound(vec![lease(now.minus(hour))], Some((near, 3))).await.unwrap();
    assert_eq!((at(near, 3), at(leased, 0)), (None, None), "it is over");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_can_be_expected_before_it_is_heard_and_only_while_it_has_no_open_run() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let operations = Operations::new(house.memory.clone(), plan(), house.runs.clone());
    let cx = Context { actor: "unix:7".into() };
    operations.expect(&cx, "sw1").await.unwrap();
    let run = house.until(|run| run.device == "sw1").await;
    assert_eq!((run.phase.name(), run.actor.as_deref()), ("expected", Some("unix:7")));
    let timers = house.memory.ask(Query::Timers).await.unwrap();
    let (_, name, at) = timers.iter().find(|(id, ..)| *id == run.id).expect("its clock runs");
    assert_eq!((name.as_str(), at.since(run.opened)), ("deadline", Duration::from_secs(480)));
    let refused = |result: Result<(), greenlight::error::Error>| result.unwrap_err().code;
    assert_eq!(refused(operations.expect(&cx, "sw1").await), Code::NotNow);
    assert_eq!(refused(operations.expect(&cx, "nobody").await), Code::UnknownDevice);
    operations.cancel(&cx, "sw1").await.unwrap();
    operations.expect(&cx, "sw1").await.unwrap();
    let again = house.until(|run| run.device == "sw1" && run.phase.name() == "expected").await;
    assert_ne!(again.id, run.id);
    house.end().await;
}

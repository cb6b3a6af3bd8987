//! One seed: a device with its uplinks, something wrong, people who do what they are told, and
//! time that jumps from one happening to the next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use greenlight::clock::Timestamp;
use greenlight::domain::check::{Circumstances, Plan, Problem, judge_visit};
use greenlight::domain::fault::Fault;
use greenlight::domain::inventory::meant::Inventory;
use greenlight::domain::notice::Kind as Notice;
use greenlight::domain::run::{Effect, Event, Phase, Run, Timer, Timing, Visit, open, step};
use greenlight::platform::Platforms;

use greenlight::sim::hands::read_round;

use crate::faults::{Dice, Kind, Room, inflict};
use crate::hands::{Grip, near};
use crate::world::{Seconds, World};

/// What became of one seed.
#[derive(Debug, Default)]
pub struct Outcome {
    pub kinds: Vec<Kind>,
    /// Something was wrong that is to be told, while somebody could see it.
    pub inflicted: bool,
    pub detected: bool,
    pub said_right: bool,
    pub moves: usize,
    pub minimal: usize,
    pub green: bool,
    pub false_greens: Vec<String>,
    pub false_alarms: Vec<String>,
    pub panicked: bool,
}

/// Everything that is given with the seed.
pub struct Scene {
    pub world: World,
    pub inventory: Inventory,
    pub room: Room,
    pub kinds: Vec<Kind>,
}

/// How the world was when the last visit looked: a message can know no more.
#[derive(Debug, Default)]
struct Looked {
    well: bool,
    /// By planned port.
    right: Vec<bool>,
    wrong: BTreeSet<Kind>,
    /// It was off, or booting.
    away: bool,
    /// It has come up since the look before, and this one was lost: nobody can tell.
    came_up: bool,
}

pub(crate) enum Happening {
    Event(Box<Event>),
    Timer(Timer),
    Look { attempt: u64, answered: Seconds },
    Inflict(Kind),
    Begin(Problem),
    Grip(Grip),
    Mend(Kind),
    Reboot { down: Seconds },
}

pub struct Play<'a> {
    pub(crate) scene: Scene,
    pub(crate) platforms: &'a Platforms,
    pub(crate) dice: Dice,
    run: Run,
    pub(crate) now: Seconds,
    order: u64,
    queue: BinaryHeap<Reverse<(Seconds, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    timers: BTreeMap<Timer, Seconds>,
    /// What is wrong with the device.
    pub(crate) wrong: BTreeSet<Kind>,
    /// It answers from then on.
    up: Seconds,
    told: Vec<Fault>,
    looked: Looked,
    /// What was inflicted since, and when: plugs that nobody can know of.
    unseen: Vec<(Seconds, usize)>,
    pub(crate) busy_until: Seconds,
    /// What the installer was told to do with plugs, and when that is done.
    pub(crate) asked_for: Vec<(Problem, Seconds)>,
    /// Its diary is printed, line by line.
    told_aloud: bool,
    outcome: Outcome,
}

pub const RENDERED: &str = "hostname acc-1\nntp server 192.0.2.1\nlldp run\n";
const ADDRESS: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 50));
/// Nobody waits longer in front of a rack.
const PATIENCE: Seconds = 8 * 3600;
const NEVER: Seconds = i64::MAX / 2;

fn timing() -> Timing {
    let seconds = Duration::from_secs;
    Timing {
        ask_patience: seconds(480),
        file_patience: seconds(180),
        settle: seconds(10),
        back_deadline: seconds(150),
        recheck: seconds(5),
        neighbour_patience: seconds(90),
        login_patience: seconds(60),
        still_waiting: seconds(600),
        save: false,
        hooks_required: Vec::new(),
        hooks_optional: Vec::new(),
    }
}

impl<'a> Play<'a> {
    pub fn new(scene: Scene, platforms: &'a Platforms, dice: Dice, told_aloud: bool) -> Self {
        let device = &scene.inventory.devices[0];
        let run = open("01SWEEP".to_owned(), device, timing(), Timestamp::from_seconds(0));
        let mut play = Self {
            platforms,
            dice,
            run,
            now: 0,
            order: 0,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            timers: BTreeMap::new(),
            wrong: BTreeSet::new(),
            up: NEVER,
            told: Vec::new(),
            looked: Looked::default(),
            unseen: Vec::new(),
            busy_until: 0,
            asked_for: Vec::new(),
            told_aloud,
            outcome: Outcome { kinds: scene.kinds.clone(), ..Outcome::default() },
            scene,
        };
        play.prepare();
        play
    }

    fn prepare(&mut self) {
        for kind in self.scene.kinds.clone() {
            let late = kind.is_of_cables() && self.dice.percent(40);
            if late {
                let at = self.dice.seconds(1, 300);
                self.at(at, Happening::Inflict(kind));
            } else {
                self.inflict(kind);
            }
        }
        if self.dice.percent(20) {
            let (at, down) = (self.dice.seconds(60, 600), self.dice.seconds(20, 100));
            self.at(at, Happening::Reboot { down });
        }
        let by = "the sweep".to_owned();
        self.step(&Event::Expect { by });
        self.boots();
    }

    pub(crate) fn at(&mut self, at: Seconds, happening: Happening) {
        self.order += 1;
        self.queue.push(Reverse((at.max(self.now), self.order)));
        self.happenings.insert(self.order, happening);
    }

    fn wake(&mut self, timer: Timer, at: Seconds) {
        self.timers.insert(timer, at);
        self.at(at, Happening::Timer(timer));
    }

    fn inflict(&mut self, kind: Kind) {
        if kind.is_of_cables() {
            let Scene { world, room, .. } = &mut self.scene;
            let mended = inflict(kind, world, room, &self.dice, self.now);
            let mended = mended.expect("the scene has room for its faults");
            self.outcome.minimal += mended;
            self.unseen.push((self.now, mended));
        } else {
            self.wrong.insert(kind);
            self.outcome.inflicted |= kind != Kind::FlappingPort;
        }
        self.note(format!("inflicted: {kind:?}"));
    }

    fn note(&mut self, line: String) {
        if self.told_aloud {
            println!("{:>6} s {line}", self.now);
        }
    }

    /// The device starts and goes as far as it can.
    fn boots(&mut self) {
        let wrong = |kind| self.wrong.contains(&kind);
        let address = ADDRESS;
        let ended = |complete| Event::TransferEnded {
            complete,
            bytes: 382,
            sha256: "00".to_owned(),
            repeats: 0,
            why: String::new(),
        };
        let asks = || Event::FileAsked {
            transport: "tftp".to_owned(),
            name: "network-confg".to_owned(),
            address,
        };
        let mut events = Vec::new();
        let mut arrives = false;
        if wrong(Kind::Silent) {
        } else if wrong(Kind::NoLease) {
            let why = "no free address".to_owned();
            events.extend([Event::Asked, Event::LeaseImpossible { why }]);
        } else if wrong(Kind::TwoClaimIt) {
            let detail = "serial and MAC differ".to_owned();
            events.extend([Event::Asked, Event::Conflict { detail }]);
        } else {
            events.extend([Event::Asked, Event::LeaseBound { address }]);
            if wrong(Kind::OurSide) {
                events.push(Event::OurSideFailed { why: "template".to_owned() });
            } else if wrong(Kind::StrangeFile) {
                events.push(Event::StrangeFileAsked { name: "other".to_owned() });
            } else if wrong(Kind::BrokenTransfers) {
                events.extend([asks(), ended(false), asks(), ended(false)]);
            } else if !wrong(Kind::NoFileAsked) {
                events.extend([asks(), ended(true)]);
                arrives = true;
            }
        }
        let mut at = self.now;
        for event in events {
            at += self.dice.seconds(1, 4);
            let twice = self.dice.percent(25) && !matches!(event, Event::TransferEnded { .. });
            if twice {
                self.at(at + 1, Happening::Event(Box::new(event.clone())));
            }
            self.at(at, Happening::Event(Box::new(event)));
        }
        if arrives {
            let boot = self.dice.seconds(5, 90);
            self.up = if self.wrong.contains(&Kind::NotBack) { NEVER } else { at + boot };
            self.scene.world.boot(at + boot);
        }
    }

    /// Until it is green, or nobody has anything to do any more.
    pub fn play(mut self) -> Outcome {
        while let Some(Reverse((at, order))) = self.queue.pop() {
            let happening = self.happenings.remove(&order).expect("queued once");
            // Hands go on with what they have begun, even if it is green already.
            if at > PATIENCE || !(self.run.is_open() || matches!(happening, Happening::Grip(_))) {
                continue;
            }
            self.now = at;
            self.happens(happening);
        }
        self.outcome.green = matches!(self.run.phase, Phase::Ready { .. });
        self.outcome.moves = self.scene.world.plugs;
        let expected: BTreeSet<Fault> =
            self.outcome.kinds.iter().flat_map(|kind| kind.expected()).copied().collect();
        self.outcome.detected = self.told.iter().any(|fault| expected.contains(fault));
        // A device that boots for too long is told as not back, whatever else is wrong.
        let right = |fault: &Fault| expected.contains(fault) || *fault == Fault::NotBack;
        self.outcome.said_right = self.told.iter().all(right);
        self.outcome
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Event(event) => self.step(&event),
            Happening::Timer(timer) => {
                if self.timers.get(&timer) == Some(&self.now) {
                    self.timers.remove(&timer);
                    self.step(&Event::Due { timer });
                }
            }
            Happening::Look { attempt, answered } => {
                let visit = self.look();
                let visited = Event::Visited { attempt, visit };
                self.at(answered, Happening::Event(Box::new(visited)));
            }
            Happening::Inflict(kind) => self.inflict(kind),
            Happening::Begin(problem) => self.begins(problem),
            Happening::Grip(grip) => {
                self.note(format!("the installer: {grip:?}"));
                grip.perform(&mut self.scene.world, self.now);
            }
            Happening::Mend(kind) => self.mend(kind),
            Happening::Reboot { down } => {
                if self.now >= self.up {
                    self.note(format!("reboots for {down} s"));
                    self.up = self.now + down;
                    self.scene.world.boot(self.now + down);
                }
            }
        }
    }

    fn step(&mut self, event: &Event) {
        let was_open = self.run.is_open();
        let stepped = step(&self.run, event, Timestamp::from_seconds(self.now));
        self.run = stepped.run;
        for effect in stepped.effects {
            match effect {
                Effect::Wake { timer, at } => self.wake(timer, at.seconds()),
                Effect::Sleep { timer } => drop(self.timers.remove(&timer)),
                Effect::Visit { attempt, .. } => {
                    let slow = if self.dice.percent(10) { 40 } else { 4 };
                    let at = self.now + self.dice.seconds(0, slow);
                    let answered = at + self.dice.seconds(1, 4);
                    self.at(at, Happening::Look { attempt, answered });
                }
                Effect::Tell { kind: Notice::ActionNeeded, problem: Some(problem) } => {
                    self.told(problem);
                }
                Effect::Upgrade { .. } => {
                    self.outcome.false_alarms.push("an upgrade without an image".to_owned());
                }
                // The sweep's world has no upstream devices that could be asked.
                Effect::AskUpstreams { .. } | Effect::Tell { .. } | Effect::HandOff { .. } => {}
            }
        }
        if was_open && matches!(self.run.phase, Phase::Ready { .. }) {
            self.note("green".to_owned());
            self.outcome.minimal -= self.unseen.iter().map(|(_, plugs)| plugs).sum::<usize>();
            if !self.looked.well {
                let line = format!("green at {} s while it was wrong when looked at", self.now);
                self.outcome.false_greens.push(line);
            }
        }
    }

    /// A message: is it true? And who acts upon it?
    fn told(&mut self, problem: Problem) {
        self.note(format!("told: {} {:?}", problem.fault.code(), problem.fill));
        self.told.push(problem.fault);
        if let Some(why) = self.lie(&problem) {
            self.outcome.false_alarms.push(format!("at {} s {why}: {problem:?}", self.now));
        }
        let at = self.now.max(self.busy_until) + self.dice.seconds(10, 120);
        for kind in self.wrong.clone() {
            if kind.expected().contains(&problem.fault) {
                self.at(at + 60, Happening::Mend(kind));
            }
        }
        match problem.fault {
            Fault::NeighbourMute => self.at(at + 60, Happening::Mend(Kind::MuteNeighbour)),
            Fault::Unreadable => self.at(at + 60, Happening::Mend(Kind::NamelessNeighbour)),
            fault if fault.is_of_cables() && !self.is_asked_for(&problem) => {
                self.asked_for.retain(|(_, done)| self.now <= *done);
                self.asked_for.push((problem.clone(), NEVER));
                self.at(at, Happening::Begin(problem));
            }
            _ => {}
        }
    }

    /// Why this message names something that is right.
    fn lie(&self, problem: &Problem) -> Option<String> {
        let world = &self.scene.world;
        let right = |key: &str| {
            let port = near(world, &problem.fill, key);
            let right = self.looked.right.get(port) == Some(&true);
            right.then(|| format!("{} is right", world.near[port]))
        };
        let unless = |true_: bool| (!true_).then(|| "nothing of the kind is wrong".to_owned());
        match problem.fault {
            Fault::SwappedPair => right("port").or_else(|| right("port_b")),
            Fault::RotatedPlugs if problem.fill.contains_key("port") => right("port"),
            Fault::RotatedPlugs => {
                let pairs = read_round(&problem.fill["round"]).expect("a list that can be read");
                let port = |name: &str| world.near.iter().position(|port| port == name);
                let right = |name: &str| port(name).and_then(|port| self.looked.right.get(port));
                let lie = pairs.iter().find(|(from, _)| right(from) == Some(&true));
                lie.map(|(from, _)| format!("{from} is right"))
            }
            Fault::WrongPort if problem.fill["far_device"] == "acc-1" => right("found_port"),
            Fault::WrongPort | Fault::WrongDevice | Fault::NeighbourDown => right("port"),
            Fault::NeighbourMute => {
                let port = near(world, &problem.fill, "port");
                right("port").filter(|_| !world.far[world.plan[port]].mute)
            }
            Fault::UnplannedNeighbour => unless(false),
            Fault::Unreadable => {
                let nameless = world.far.iter().any(|far| far.nameless);
                unless(nameless || self.wrong.contains(&Kind::UnreadableAnswer))
            }
            Fault::NotBack => unless(self.looked.away || self.looked.came_up),
            fault => unless(
                self.looked
                    .wrong
                    .iter()
                    .chain(&self.wrong)
                    .any(|kind| kind.expected().contains(&fault)),
            ),
        }
    }

    fn mend(&mut self, kind: Kind) {
        self.note(format!("mended: {kind:?}"));
        for far in &mut self.scene.world.far {
            far.mute &= kind != Kind::MuteNeighbour;
            far.nameless &= kind != Kind::NamelessNeighbour;
        }
        if !self.wrong.remove(&kind) {
            return;
        }
        match kind {
            Kind::NotBack => {
                self.up = self.now + 30;
                self.scene.world.boot(self.up);
            }
            Kind::LoginRefused
            | Kind::KeyChanged
            | Kind::LineMissing
            | Kind::OtherSoftware
            | Kind::UnreadableAnswer
            | Kind::MemberMissing
            | Kind::PoorCable
            | Kind::FlappingPort
            | Kind::PowerSupply
            | Kind::FanOrHeat
            | Kind::CannotReach
            | Kind::CheckUnmet => {}
            _ => self.boots(),
        }
    }

    /// One visit, as it goes out.
    fn look(&mut self) -> Visit {
        let lost = || Visit::Unreachable { why: "no answer".to_owned() };
        self.looked.came_up = self.looked.away && self.now >= self.up;
        self.looked.away = self.now < self.up;
        if self.looked.away || self.dice.percent(6) {
            self.note(format!("nobody is found{}", if self.looked.away { "" } else { ": lost" }));
            return lost();
        }
        let wrong = |kind| self.wrong.contains(&kind);
        if wrong(Kind::KeyChanged) {
            return Visit::HostKeyChanged { found: "SHA256:other".to_owned() };
        }
        if wrong(Kind::LoginRefused) {
            return Visit::LoginRefused { why: "denied".to_owned() };
        }
        if self.dice.percent(4) {
            return Visit::Broken { why: "no prompt".to_owned() };
        }
        let seen = self.observed();
        // A link that comes and goes takes several looks: whoever is green by then is left alone.
        let of_boxes = [
            Kind::OtherBox,
            Kind::LineMissing,
            Kind::OtherSoftware,
            Kind::MemberMissing,
            Kind::PoorCable,
            Kind::PowerSupply,
            Kind::FanOrHeat,
            Kind::CannotReach,
            Kind::CheckUnmet,
        ];
        let world = &self.scene.world;
        let remembered: Vec<Seconds> =
            (0..world.plan.len()).filter_map(|port| world.remembered(port, self.now)).collect();
        let well = world.seems_planned(self.now)
            && !of_boxes.iter().any(|kind| self.wrong.contains(kind))
            && !self.wrong.contains(&Kind::UnreadableAnswer);
        let right = (0..world.plan.len()).map(|port| world.is_right(port)).collect();
        self.looked = Looked { well, right, wrong: self.wrong.clone(), ..Looked::default() };
        let hidden = remembered.into_iter().min().unwrap_or(NEVER);
        self.unseen.retain(|(at, _)| *at >= hidden);
        self.outcome.inflicted |= !well;
        let now = Timestamp::from_seconds(self.now);
        let patience = self.run.timing.neighbour_patience;
        let plan = Plan {
            device: &self.scene.inventory.devices[0],
            inventory: &self.scene.inventory,
            platforms: self.platforms,
            rendered: RENDERED,
            neighbours_due: self.run.first_visit.is_some_and(|t| now.since(t) >= patience),
        };
        let earlier = self.run.findings.as_ref().map(|found| found.counted.clone());
        let circumstances = Circumstances {
            now: Some(now),
            earlier: earlier.unwrap_or_default(),
            ..Circumstances::default()
        };
        let findings = judge_visit(&plan, &seen, &circumstances);
        Visit::Judged { host_key: Some("SHA256:ours".to_owned()), findings }
    }
}

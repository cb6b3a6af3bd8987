//! Deciding what a group of events changes, before anything is stored.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::clock::Timestamp;
use crate::domain::check;
use crate::domain::inventory::meant::Device;
use crate::domain::notice::{Kind, Notice};
use crate::domain::run::{self, Effect, Event, Phase, Run, Stepped, Timer};
use crate::service::memory::{Change, JournalLine};
use crate::service::performer::{Errand, VisitOrder};
use crate::service::plan::Plan;
use crate::service::runner::{About, Bundle, Input, Opening, Runner, Saying, Told};
use crate::service::upstream::AskOrder;

/// Changes that mostly come of one input: a run, its lines and timers, and what came with it.
const CHANGES: usize = 6;

/// A group's outcome: what to store, and what to do once it is.
#[derive(Default)]
pub(super) struct Staged {
    pub changes: Vec<Change>,
    /// By device, as they will be.
    pub runs: HashMap<String, Arc<Run>, RandomState>,
    pub timers: Vec<(String, Timer, Option<Timestamp>)>,
    pub visits: Vec<VisitOrder>,
    pub asks: Vec<AskOrder>,
    pub told: Vec<Told>,
    /// Rows for the outlets among the changes.
    pub rows: usize,
    /// Somebody follows the feed.
    watched: bool,
}

impl Staged {
    fn with_room_for(inputs: usize, watched: bool) -> Self {
        Self {
            changes: Vec::with_capacity(CHANGES * inputs),
            runs: HashMap::with_capacity_and_hasher(inputs, RandomState::default()),
            timers: Vec::with_capacity(2 * inputs),
            told: Vec::with_capacity(inputs),
            watched,
            ..Self::default()
        }
    }
}

pub(super) fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::Deadline => "deadline",
        Timer::Visit => "visit",
        Timer::StillWaiting => "still_waiting",
    }
}

pub(super) fn timer_named(name: &str) -> Option<Timer> {
    [Timer::Deadline, Timer::Visit, Timer::StillWaiting]
        .into_iter()
        .find(|timer| timer_name(*timer) == name)
}

pub(super) fn timer_change(run: &str, timer: Timer, at: Option<Timestamp>) -> Change {
    Change::Timer { run: run.to_owned(), name: timer_name(timer).to_owned(), at }
}

/// Where an event goes.
enum Way {
    Join(Arc<Run>),
    Open { replacing: Option<Arc<Run>>, forced: Option<String> },
    Nowhere,
}

impl Runner {
    pub(super) fn stage(&self, group: &[Bundle]) -> Staged {
        let now = self.parts.clock.now();
        let plan = self.parts.plan.get();
        let watched = self.runs.feed.receiver_count() > 0;
        let inputs = group.iter().map(|bundle| bundle.inputs.len()).sum();
        let mut staged = Staged::with_room_for(inputs, watched);
        for input in group.iter().flat_map(|bundle| &bundle.inputs) {
            staged.rows += input.changes.iter().filter(|c| matches!(c, Change::Outbox(_))).count();
            staged.changes.extend(input.changes.iter().cloned());
            let Some((about, event)) = &input.event else { continue };
            let device = match about {
                About::Device(device) => Some(device),
                About::Run(run) => self.devices.get(run),
            };
            if let Some(device) = device {
                self.stage_one(&mut staged, &plan, (input, device, event), now);
            }
        }
        staged
    }

    fn stage_one(
        &self,
        staged: &mut Staged,
        plan: &Plan,
        (input, name, event): (&Input, &str, &Event),
        now: Timestamp,
    ) {
        match self.way(staged, plan, (input, name, event), now) {
            Way::Nowhere => staged.changes.extend(alone(name, event, now)),
            Way::Join(run) => {
                let event = self.considerate(staged, &run, event);
                let stepped = run::step(&run, &event, now);
                self.record(staged, Before::Moved(run.rev), stepped, now);
            }
            Way::Open { replacing, forced } => {
                let Some(device) = plan.inventory.device(name) else { return };
                if let Some(old) = replacing {
                    let by = forced.clone().unwrap_or_default();
                    let stepped = run::step(&old, &Event::Cancel { by }, now);
                    self.record(staged, Before::Moved(old.rev), stepped, now);
                }
                self.open(staged, plan, (device, event, forced), now);
            }
        }
    }

    fn open(
        &self,
        staged: &mut Staged,
        plan: &Plan,
        (device, event, forced): (&Arc<Device>, &Event, Option<String>),
        now: Timestamp,
    ) {
        let id = self.parts.entropy.ulid(now);
        let mut run = run::open(id, device, plan.timing(device), now);
        run.actor.clone_from(&forced);
        let window = i64::try_from(plan.rules.window.as_micros()).unwrap_or(i64::MAX);
        let stepped = run::begin(run, event, now);
        self.record(staged, Before::Opened { window, forced: forced.is_some() }, stepped, now);
    }

    fn way(
        &self,
        staged: &Staged,
        plan: &Plan,
        (input, device, event): (&Input, &str, &Event),
        now: Timestamp,
    ) -> Way {
        let latest = staged.runs.get(device).or_else(|| self.latest.get(device));
        if let Some((About::Run(wanted), _)) = &input.event {
            return match latest {
                Some(run) if run.id == *wanted => Way::Join(Arc::clone(run)),
                Some(_) | None => Way::Nowhere,
            };
        }
        let Some(latest) = latest else {
            return match &input.opening {
                Opening::Never => Way::Nowhere,
                Opening::Unproven | Opening::AfterWindow => {
                    Way::Open { replacing: None, forced: None }
                }
                Opening::Forced { actor } | Opening::Expected { actor } => {
                    Way::Open { replacing: None, forced: Some(actor.clone()) }
                }
            };
        };
        let over = now.since(latest.last_heard) >= plan.rules.window;
        let green = matches!(latest.phase, Phase::Ready { .. });
        match (&input.opening, latest.is_open()) {
            (Opening::Forced { actor }, open) => Way::Open {
                replacing: open.then(|| Arc::clone(latest)),
                forced: Some(actor.clone()),
            },
            (Opening::Expected { actor }, false) => {
                Way::Open { replacing: None, forced: Some(actor.clone()) }
            }
            (Opening::Unproven, false) if over && !green => {
                Way::Open { replacing: None, forced: None }
            }
            (Opening::AfterWindow, false) if over => Way::Open { replacing: None, forced: None },
            (Opening::Unproven, false) if renews(event, latest) => Way::Nowhere,
            (Opening::Expected { .. }, true)
            | (Opening::Never | Opening::Unproven | Opening::AfterWindow, _) => {
                Way::Join(Arc::clone(latest))
            }
        }
    }

    fn record(&self, staged: &mut Staged, before: Before, stepped: Stepped, now: Timestamp) {
        let Stepped { mut run, notes, effects } = stepped;
        for (topic, text) in &notes {
            run.seq += 1;
            staged.changes.push(Change::Journal(JournalLine {
                run: run.id.clone(),
                seq: run.seq,
                device: run.device.clone(),
                at: now,
                topic: topic.clone(),
                text: text.clone(),
            }));
        }
        let mut notices = Vec::new();
        for effect in effects {
            self.follow(staged, &mut run, effect, &mut notices);
        }
        let run = Arc::new(run);
        staged.changes.push(match before {
            Before::Opened { window, forced } => {
                Change::RunOpened { run: Arc::clone(&run), window_micros: window, forced }
            }
            Before::Moved(from_rev) => Change::RunMoved { run: Arc::clone(&run), from_rev },
        });
        let mut notices = notices.into_iter();
        staged.told.push(Told { run: Arc::clone(&run), notes, notice: notices.next() });
        staged.told.extend(notices.map(|notice| Told {
            run: Arc::clone(&run),
            notes: Vec::new(),
            notice: Some(notice),
        }));
        staged.runs.insert(run.device.clone(), run);
    }

    /// Whether this timer is set, or may be since a step of this group.
    fn may_wake(&self, staged: &Staged, run: &Run, timer: Timer) -> bool {
        let mut this_step = staged.timers.iter().rev().take_while(|(id, ..)| *id == run.id);
        self.alarms.has(&run.id, timer)
            || staged.runs.contains_key(&run.device)
            || this_step.any(|(_, set, _)| *set == timer)
    }

    fn follow(
        &self,
        staged: &mut Staged,
        run: &mut Run,
        effect: Effect,
        notices: &mut Vec<Notice>,
    ) {
        let now = self.parts.clock.now();
        match effect {
            Effect::Wake { timer, at } => {
                staged.changes.push(timer_change(&run.id, timer, Some(at)));
                staged.timers.push((run.id.clone(), timer, Some(at)));
            }
            Effect::Sleep { timer } if !self.may_wake(staged, run, timer) => {}
            Effect::Sleep { timer } => {
                staged.changes.push(timer_change(&run.id, timer, None));
                staged.timers.push((run.id.clone(), timer, None));
            }
            Effect::Visit { attempt, address, save } => {
                staged.visits.push(order(run, (attempt, address), Errand::Look { save }));
            }
            Effect::Upgrade { attempt, address, index } => {
                staged.visits.push(order(run, (attempt, address), Errand::Step { index }));
            }
            Effect::AskUpstreams { attempt, away } => staged.asks.push(AskOrder {
                run: run.id.clone(),
                device: run.device.clone(),
                attempt,
                away,
                first_visit: run.first_visit,
            }),
            Effect::Tell { kind, problem } => {
                run.seq += 1;
                let saying =
                    Saying { run, kind, problem: problem.as_ref(), now, watched: staged.watched };
                let Some(spoken) = (self.parts.voice.speak)(saying) else { return };
                staged.rows += spoken.rows.len();
                staged.changes.extend(spoken.rows);
                if kind != Kind::Progress || !spoken.notice.headline.is_empty() {
                    notices.push(spoken.notice);
                }
            }
            Effect::HandOff { hook } => {
                run.seq += 1;
                if let Some(row) = (self.parts.voice.hand_off)(run, &hook, now) {
                    staged.rows += 1;
                    staged.changes.push(row);
                }
            }
        }
    }
}

fn order(run: &Run, (attempt, address): (u64, IpAddr), errand: Errand) -> VisitOrder {
    VisitOrder {
        run: run.id.clone(),
        device: run.device.clone(),
        attempt,
        address,
        errand,
        pinned_host_key: run.host_key.clone(),
        first_visit: run.first_visit,
        saved_before: run.findings.as_ref().is_some_and(check::runs_and_is_saved),
        counted: run.findings.as_ref().map(|seen| seen.counted.clone()).unwrap_or_default(),
    }
}

/// What is written down of a device that never had a run: its backups. Such a line has no run, and
/// the time as its number.
fn alone(device: &str, event: &Event, now: Timestamp) -> Option<Change> {
    let Event::Uploaded(upload) = event else { return None };
    Some(Change::Journal(JournalLine {
        run: String::new(),
        seq: u64::try_from(now.micros()).unwrap_or_default(),
        device: device.to_owned(),
        at: now,
        topic: "backup".to_owned(),
        text: upload.told(),
    }))
}

/// A renewal of a device that is done moves nothing.
fn renews(event: &Event, run: &Run) -> bool {
    matches!(event, Event::LeaseBound { address } if run.address == Some(*address))
}

enum Before {
    Opened { window: i64, forced: bool },
    Moved(u64),
}

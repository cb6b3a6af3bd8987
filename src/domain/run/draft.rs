//! A step being made: the run as it will be, what to write down and what follows. The moves that
//! several phases share live here; which phase makes which move stands in `phases`.

use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::check::{Check, Problem, Verdict};
use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::{
    Anew, Effect, Milestone, ODDITIES_MAX, Phase, Run, Stepped, TOLD_MAX, Timer, Visit,
};

/// A problem said within this time is not pushed again: `facts` call for one push when a fault
/// flickers.
const QUIET: Duration = Duration::from_secs(60);

/// Repeats that are written down one by one: more than any device needs to boot.
const REPEATS_WRITTEN: u32 = 32;

/// Marks the problem that the way to the device is closed.
pub(super) const WAY: &str = "way";

/// An open fault that nobody mends is given up after a day; the device stays as it is.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// So many visits in a row find nobody because the device booted; fewer may be chance.
pub(super) const MISSED_BY_BOOTING: u32 = 2;

/// So many visits in a row find nobody before it is said that the device is not back, two of them
/// after its time: one may have been lost on its way while it came up.
const MISSED_BY_BEING_AWAY: u32 = MISSED_BY_BOOTING + 2;

pub(super) struct Draft {
    pub run: Run,
    pub now: Timestamp,
    notes: Vec<(String, String)>,
    effects: Vec<Effect>,
}

impl Draft {
    pub fn of(run: &Run, now: Timestamp) -> Self {
        Self::made_of(run.clone(), now)
    }

    pub fn made_of(mut run: Run, now: Timestamp) -> Self {
        run.rev += 1;
        Self { run, now, notes: Vec::new(), effects: Vec::new() }
    }

    pub fn finish(self) -> Stepped {
        Stepped { run: self.run, notes: self.notes, effects: self.effects }
    }

    pub fn note(&mut self, topic: &str, text: impl Into<String>) {
        self.notes.push((topic.to_owned(), text.into()));
    }

    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub fn tell(&mut self, kind: Kind) {
        self.effect(Effect::Tell { kind, problem: None });
    }

    pub fn wake(&mut self, timer: Timer, at: Timestamp) {
        self.effect(Effect::Wake { timer, at });
    }

    pub fn sleep(&mut self, timer: Timer) {
        self.effect(Effect::Sleep { timer });
    }

    /// The device spoke, or a person did: the window counts from here.
    pub fn heard(&mut self) {
        self.run.last_heard = self.now;
    }

    /// One more request that joined this run.
    pub fn repeat(&mut self, what: &str) {
        self.heard();
        self.count(what);
    }

    /// Counts a repeat. The first ones are written down each, then every hundredth: a device that
    /// asks for hours fills no disk.
    pub fn count(&mut self, what: &str) {
        self.run.repeats += 1;
        let repeats = self.run.repeats;
        if repeats <= REPEATS_WRITTEN || repeats.is_multiple_of(100) {
            self.note("repeat", format!("{what} again, {repeats} so far"));
        }
    }

    /// Writes down what is odd about the way it asks, once in the run.
    pub fn oddity(&mut self, what: &str) {
        let what = shown(what);
        if self.run.oddities.len() < ODDITIES_MAX && !self.run.oddities.contains(&what) {
            self.note("dhcp", what.clone());
            self.run.oddities.push(what);
        }
    }

    /// It asks for its configuration after everything was proven: nothing of that holds any more.
    pub fn doubt_what_was_proven(&mut self) {
        self.run.repeats += 1;
        self.note("again", "asks for its configuration after it was ready");
        self.run.findings = None;
        let gone =
            [Milestone::Downloaded, Milestone::Back, Milestone::Checked, Milestone::HandedOver];
        for milestone in gone {
            self.run.milestones.remove(&milestone);
        }
    }

    /// Sets a milestone once; true if it is new.
    pub fn reach(&mut self, milestone: Milestone) -> bool {
        let now = self.now;
        let mut new = false;
        self.run.milestones.entry(milestone).or_insert_with(|| {
            new = true;
            now
        });
        new
    }

    /// The first sign of life starts the thread in chat.
    pub fn begin(&mut self) {
        self.heard();
        if self.reach(Milestone::Asked) {
            self.tell(Kind::Started);
        }
    }

    pub fn enter(&mut self, phase: Phase, why: impl Into<String>) {
        self.note(phase.name(), why);
        self.run.phase = phase;
    }

    pub fn address(&mut self, address: IpAddr) {
        self.heard();
        self.moved_to(address);
    }

    /// It asked for an address and has one, while it is busy with something else.
    pub fn exchanged(&mut self, address: IpAddr) {
        self.repeat("asked for an address");
        self.moved_to(address);
    }

    pub fn moved_to(&mut self, address: IpAddr) {
        if self.run.address != Some(address) {
            self.note("address", format!("has {address}"));
            self.run.address = Some(address);
        }
    }

    /// A lease while nothing later has begun.
    pub fn addressed(&mut self, address: IpAddr) {
        self.begin();
        self.address(address);
        let fetch_by = self.now.plus(self.run.timing.file_patience);
        self.enter(Phase::Addressed { fetch_by }, format!("leased {address}"));
        self.wake(Timer::Deadline, fetch_by);
        if self.reach(Milestone::Addressed) {
            self.tell(Kind::Progress);
        }
    }

    /// It asked for something, and its configuration is still to be asked for.
    pub fn waits_for_a_file(&mut self, why: &str) {
        let fetch_by = self.now.plus(self.run.timing.file_patience);
        self.enter(Phase::Addressed { fetch_by }, why);
        self.wake(Timer::Deadline, fetch_by);
    }

    /// It reads its file, for the first time or anew.
    pub fn fetching(&mut self, transport: &str, name: &str, address: IpAddr) {
        self.begin();
        self.address(address);
        self.reach(Milestone::Addressed);
        let end_by = self.now.plus(self.run.timing.file_patience);
        self.run.strange_file = None;
        self.enter(
            Phase::Fetching { since: self.now, end_by },
            format!("asks for {} by {transport}", shown(name)),
        );
        self.sleep(Timer::Visit);
        self.wake(Timer::Deadline, end_by);
    }

    pub fn transfer_ended(&mut self, complete: bool, bytes: u64, why: &str) {
        self.heard();
        self.transfer_noted(complete, bytes, why);
    }

    pub fn transfer_noted(&mut self, complete: bool, bytes: u64, why: &str) {
        if complete {
            self.run.transfers.complete += 1;
            self.run.transfers.aborted_in_a_row = 0;
            self.note("transfer", format!("{bytes} bytes complete"));
        } else {
            self.run.transfers.aborted += 1;
            // A probe of the size (OACK, then ERROR) is no broken download.
            if bytes > 0 {
                self.run.transfers.aborted_in_a_row += 1;
            }
            self.note("transfer", format!("broke after {bytes} bytes: {}", shown(why)));
        }
    }

    /// The file arrived: leave it time to take effect.
    pub fn settling(&mut self, sha256: &str) {
        self.run.served_sha256 = Some(sha256.to_owned());
        let visit_at = self.now.plus(self.run.timing.settle);
        let back_by = self.now.plus(self.run.timing.back_deadline.max(self.run.timing.settle));
        self.enter(Phase::Settling { visit_at, back_by }, "has its configuration");
        self.run.findings = None;
        self.run.suspected = None;
        self.run.gave_way = None;
        self.run.first_visit = None;
        self.wake(Timer::Visit, visit_at);
        self.wake(Timer::Deadline, back_by);
        if self.reach(Milestone::Downloaded) {
            self.tell(Kind::Progress);
        }
    }

    pub fn connecting(&mut self, back_by: Timestamp, why: &str) {
        self.connects(back_by, why);
        self.visit();
    }

    /// It should let us in by `back_by`.
    pub fn connects(&mut self, back_by: Timestamp, why: &str) {
        let phase = Phase::Connecting { back_by, refused_since: None, broken_since: None };
        self.enter(phase, why);
        self.wake(Timer::Deadline, back_by);
    }

    /// Nobody was found where somebody should be by now. Only visits tell: one that is under way
    /// when the time is over may be let in.
    pub fn not_found(&mut self, back_by: Timestamp) {
        if self.now < back_by {
            // It may boot until then: more of them prove nothing.
            self.run.missed = self.run.missed.min(MISSED_BY_BOOTING);
        } else if self.run.missed >= MISSED_BY_BEING_AWAY {
            self.not_back();
        }
    }

    /// Goes and looks now. Without an address there is nowhere to go: the timer tries again.
    pub fn visit(&mut self) {
        let Some(address) = self.run.address else {
            self.visit_later();
            return;
        };
        self.run.attempt += 1;
        self.run.upstream.held = None;
        self.run.saving = self.wants_saving();
        let (attempt, save) = (self.run.attempt, self.run.saving);
        self.effect(Effect::Visit { attempt, address, save });
        // Should the answer never come (a restart in between), the next visit comes by itself.
        let at = self.now.plus(self.run.timing.recheck * 2 + Duration::from_secs(60));
        self.wake(Timer::Visit, at);
    }

    pub fn visit_later(&mut self) {
        self.wake(Timer::Visit, self.now.plus(self.run.timing.recheck));
    }

    /// Saving is due once the running configuration is proven and the saved one is not.
    pub fn wants_saving(&self) -> bool {
        self.run.timing.save
            && verdict_of(&self.run, Check::Running) == Some(&Verdict::Pass)
            && !matches!(
                verdict_of(&self.run, Check::Saved),
                Some(Verdict::Pass | Verdict::NotPlanned) | None
            )
    }

    /// Says what is wrong, once, and goes on looking.
    pub fn action_needed(&mut self, problem: Problem) {
        self.run.suspected = None;
        self.run.gave_way = None;
        self.run.told.retain(|(_, at)| self.now.since(*at) < QUIET);
        let lately = self.run.told.iter().any(|(told, _)| told.same_act(&problem));
        let kind = if lately { Kind::Progress } else { Kind::ActionNeeded };
        if !lately {
            self.run.told.push((problem.clone(), self.now));
            let surplus = self.run.told.len().saturating_sub(TOLD_MAX);
            self.run.told.drain(..surplus);
        }
        self.note("fault", format!("{} {}", problem.fault.code(), fill_text(&problem)));
        self.effect(Effect::Tell { kind, problem: Some(problem.clone()) });
        self.enter(
            Phase::ActionNeeded {
                problem,
                since: self.now,
                still_waiting_said: false,
                anew: Anew::No,
            },
            "waits for the fault to be mended",
        );
        self.visit_later();
        self.wake(Timer::Deadline, self.now.plus(GIVE_UP));
        self.wake(Timer::StillWaiting, self.now.plus(self.run.timing.still_waiting));
    }

    pub fn trouble(&mut self, fault: Fault, fill: &[(&str, &str)]) {
        self.action_needed(problem(fault, fill));
    }

    /// True while the fault is that the way to the device is closed on our side: then looking again
    /// tells when it is open.
    pub fn way_is_closed(&self) -> bool {
        matches!(&self.run.phase, Phase::ActionNeeded { problem, .. }
            if problem.fill.contains_key(WAY))
    }

    /// What a device does anew while a fault is open. It is given up a day after the fault began,
    /// whatever it does.
    pub fn begins_anew(&mut self, now: Anew) {
        let Phase::ActionNeeded { anew, since, .. } = &mut self.run.phase else { return };
        let (before, since) = (std::mem::replace(anew, now), *since);
        match (before, now) {
            (_, Anew::Leased { fetch_by }) => self.wake(Timer::Deadline, fetch_by),
            (Anew::Leased { .. }, Anew::No | Anew::Asked) => {
                self.wake(Timer::Deadline, since.plus(GIVE_UP));
            }
            (Anew::No | Anew::Asked, Anew::No | Anew::Asked) => {}
        }
    }

    /// The fault that was said is gone.
    pub fn cleared(&mut self) {
        if let Phase::ActionNeeded { problem, .. } = &self.run.phase {
            let problem = problem.clone();
            self.note("cleared", problem.fault.code());
            self.effect(Effect::Tell { kind: Kind::Cleared, problem: Some(problem) });
            self.sleep(Timer::StillWaiting);
        }
    }

    pub fn ready(&mut self) {
        self.reach(Milestone::HandedOver);
        self.enter(Phase::Ready { at: self.now }, "green");
        self.tell(Kind::Done);
        self.rest();
    }

    /// No timer outlives the run.
    pub fn rest(&mut self) {
        self.sleep(Timer::Visit);
        self.sleep(Timer::Deadline);
        self.sleep(Timer::StillWaiting);
    }

    /// An answer that belongs to an earlier attempt.
    pub fn late(&self, attempt: u64) -> bool {
        attempt != self.run.attempt
    }

    /// A visit found nobody. Once may be chance; twice in a row it may have booted, and neighbours
    /// get their patience anew.
    pub fn away(&mut self) {
        self.run.missed = self.run.missed.saturating_add(1);
        if self.run.missed == MISSED_BY_BOOTING {
            self.run.first_visit = None;
            self.run.suspected = None;
            if let Phase::Connecting { broken_since, .. } = &mut self.run.phase {
                *broken_since = None;
            }
        }
    }

    /// What a visit that did not get in leads to, wherever the run is.
    pub fn no_entry(&mut self, visit: &Visit) {
        match visit {
            Visit::HostKeyChanged { found } => {
                self.cleared();
                self.trouble(Fault::HostKeyChanged, &[("found", found)]);
            }
            Visit::Unreachable { why }
            | Visit::LoginRefused { why }
            | Visit::Broken { why }
            | Visit::OurSide { why } => {
                match visit {
                    Visit::Unreachable { .. } => self.away(),
                    Visit::LoginRefused { .. } | Visit::Broken { .. } => self.run.missed = 0,
                    Visit::HostKeyChanged { .. }
                    | Visit::OurSide { .. }
                    | Visit::Judged { .. }
                    | Visit::Outdated { .. }
                    | Visit::Stepped { .. } => {}
                }
                self.note("visit", shown(why));
                self.visit_later();
            }
            Visit::Judged { .. } | Visit::Outdated { .. } | Visit::Stepped { .. } => {}
        }
    }
}

fn verdict_of(run: &Run, wanted: Check) -> Option<&Verdict> {
    let findings = run.findings.as_ref()?;
    findings.verdicts.iter().find(|(check, _)| *check == wanted).map(|(_, verdict)| verdict)
}

pub(super) fn problem(fault: Fault, fill: &[(&str, &str)]) -> Problem {
    let fill = fill.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Problem { fault, fill, sockets: Vec::new() }
}

pub(super) fn fill_text(problem: &Problem) -> String {
    let parts: Vec<String> =
        problem.fill.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect();
    parts.join(" ")
}

/// Text from outside, fit for a journal line: no control characters, at most 200 characters.
pub(super) fn shown(text: &str) -> String {
    // The usual, at once.
    if text.len() <= 200 && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

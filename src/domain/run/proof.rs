//! A visit got in: what do its findings lead to? Green, a fault that is said once it lasts, or
//! another look.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::check::{self, Check, Findings, Problem, Verdict};
use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::draft::{Draft, fill_text, problem, shown};
use crate::domain::run::{Effect, Milestone, Phase, Timer};

/// What a person needs to take one of several plugs out and to put it into its new port.
const PER_PLUG: Duration = Duration::from_secs(40);

/// A link that came up later than this may still be finding its speed.
const LINK_SETTLES: Duration = Duration::from_secs(10);

/// What is told longer than this is remembered by no table: the TTL of LLDP (IEEE 802.1AB, 9.2.5.6,
/// four messages and a second).
const REMEMBERED: Duration = Duration::from_secs(121);

/// And CDP's hold time (`cdp holdtime`), for which it lists a neighbour whose plug has gone.
const REMEMBERED_BY_CDP: Duration = Duration::from_secs(180);

/// For so long after a phase began, neighbours that cannot be told apart may be plugs that are
/// being moved: the largest set that one message moves takes ten minutes. A hub on which somebody
/// comes and goes all the time is told after it as well.
const PLUGS_MOVE: Duration = Duration::from_secs(900);

impl Draft {
    /// A visit got in and its answers were compared with the plan.
    pub fn judged(&mut self, host_key: Option<&String>, findings: &Findings) {
        if self.run.host_key.is_none() {
            self.run.host_key = host_key.cloned();
        }
        self.run.first_visit.get_or_insert(self.now);
        self.run.missed = 0;
        let findings = self.with_reason(findings.clone());
        let back = self.reach(Milestone::Back);
        if self.asks_upstreams_first(&findings) {
            self.verifying("its far ends are asked whom they hear");
        } else {
            self.conclude(findings);
        }
        if back {
            self.tell(Kind::Progress);
        }
    }

    /// Everything that can be known of it was gathered.
    pub fn conclude(&mut self, findings: Findings) {
        let findings = &findings;
        let before = self.run.findings.replace(findings.clone());
        if !before.is_some_and(|before| before.says_the_same(findings)) {
            self.write_down(findings);
        }
        if check::all_proven(findings) {
            if self.is_no_memory(findings) {
                self.cleared();
                self.proven();
            }
        } else if self.wants_saving() && !self.run.saving {
            self.verifying("the configuration runs; saving it");
            self.visit();
        } else {
            self.doubted(findings);
        }
    }

    /// Everything is proven; but where CDP contradicts LLDP, the proof may be of a plug that is
    /// gone. What lasts longer than any table remembers is there.
    fn is_no_memory(&mut self, findings: &Findings) -> bool {
        if findings.contradictions.is_empty() {
            return true;
        }
        // Each contradiction has a memory of its own: another one begins anew.
        let ports = findings.contradictions.iter().map(String::as_str).collect::<Vec<_>>();
        let doubt = problem(Fault::Unreadable, &[("contradicted_proof", &ports.join("; "))]);
        let since = self.suspected_since(&doubt).unwrap_or(self.now);
        let lasts = self.now.since(since) >= REMEMBERED;
        if !lasts {
            self.verifying(
                "LLDP and CDP tell different stories; one may be of a plug that is gone",
            );
            self.run.suspected = Some((doubt, since));
            self.visit_later();
        }
        lasts
    }

    fn suspected_since(&self, found: &Problem) -> Option<Timestamp> {
        let (suspected, since) = self.run.suspected.as_ref()?;
        suspected.same_act(found).then_some(*since)
    }

    fn write_down(&mut self, findings: &Findings) {
        for (check, verdict) in &findings.verdicts {
            let text = match verdict {
                Verdict::Pass => "pass".to_owned(),
                Verdict::NotPlanned => "not planned".to_owned(),
                Verdict::Unknown { why } => format!("unknown: {}", shown(why)),
                Verdict::Fail(problem) => {
                    format!("fail: {} {}", problem.fault.code(), fill_text(problem))
                }
            };
            self.note("check", format!("{check:?}: {text}"));
        }
        for remark in &findings.remarks {
            self.note("remark", shown(remark));
        }
    }

    fn verifying(&mut self, why: &str) {
        if !matches!(self.run.phase, Phase::Verifying { .. } | Phase::ActionNeeded { .. }) {
            self.enter(Phase::Verifying { since: self.now }, why);
            self.sleep(Timer::Deadline);
        }
    }

    /// Not everything is proven. What is wrong is said when it lasts; what is unknown, when it
    /// stays so.
    fn doubted(&mut self, findings: &Findings) {
        self.verifying("comparing with the plan");
        if let Some(problem) = &findings.gives_way {
            self.give_way(problem);
            return;
        }
        let unknown = check::first_unknown(findings);
        // The software is looked at last: not while an earlier check is open.
        let urgent = check::most_urgent(findings)
            .filter(|problem| problem.fault != Fault::OtherSoftware || unknown.is_none());
        let found = urgent.cloned().or_else(|| {
            let (check, why) = unknown?;
            Some(problem(Fault::Unreadable, &[("found", &format!("{check:?}: {why}"))]))
        });
        let Some(found) = found else {
            self.run.suspected = None;
            self.visit_later();
            return;
        };
        self.weigh(found);
    }

    /// Says what was found once it was seen for long enough.
    pub(super) fn weigh(&mut self, found: Problem) {
        if let Phase::ActionNeeded { problem, .. } = &self.run.phase
            && problem.same_act(&found)
        {
            self.run.suspected = None;
            self.visit_later();
            return;
        }
        let since = self.suspected_since(&found).filter(|_| !self.is_another_story(&found));
        let since = since.map(|since| self.run.gave_way.map_or(since, |last| since.max(last)));
        let lasts = since.is_some_and(|since| self.now.since(since) >= self.patience(&found));
        if lasts || self.patience(&found).is_zero() {
            self.cleared();
            self.action_needed(found);
        } else {
            self.run.suspected = Some((found, since.unwrap_or(self.now)));
            self.visit_later();
        }
    }

    /// True if it is other neighbours now that cannot be told apart: somebody moves plugs, and each
    /// plug is remembered for its own time.
    fn is_another_story(&self, found: &Problem) -> bool {
        let (Phase::Verifying { since } | Phase::ActionNeeded { since, .. }) = &self.run.phase
        else {
            return false;
        };
        let text = |problem: &Problem| problem.fill.get("found").cloned();
        let suspected = self.run.suspected.as_ref().map(|(suspected, _)| text(suspected));
        is_of_neighbours(found)
            && suspected != Some(text(found))
            && self.now.since(*since) < PLUGS_MOVE
    }

    /// Somebody works on these sockets for another device, who may mend both: nothing is said, and
    /// what was said of other plugs is over once this lasts, so that nobody waits for it in turn.
    fn give_way(&mut self, found: &Problem) {
        self.run.gave_way = Some(self.now);
        let since = match &self.run.suspected {
            Some((suspected, since)) if suspected.same_act(found) => *since,
            Some(_) | None => self.now,
        };
        if let Phase::ActionNeeded { problem, .. } = &self.run.phase {
            let patience = match problem.fault.is_of_cables() {
                true => self.patience(found),
                false => Duration::ZERO,
            };
            if self.now.since(since) >= patience {
                self.cleared();
                self.enter(Phase::Verifying { since: self.now }, "gives way to another device");
                self.sleep(Timer::Deadline);
            }
        }
        self.run.suspected = Some((found.clone(), since));
        self.visit_later();
    }

    /// How long a fault must be seen before it is said. Zero: at once.
    pub(super) fn patience(&self, problem: &Problem) -> Duration {
        let patience = self.patience_by_fault(problem);
        match problem.fill.contains_key("contradicted") {
            true => patience.max(REMEMBERED),
            false => patience,
        }
    }

    fn patience_by_fault(&self, problem: &Problem) -> Duration {
        let timing = &self.run.timing;
        match problem.fault {
            // While plugs are being moved, half of what was asked for reads as something else.
            fault if fault.is_of_cables() && self.half_moved(problem) => {
                timing.neighbour_patience + self.plugs_in_hand() * PER_PLUG
            }
            // Others had plugs in hand here: what was moved is heard one after the other.
            fault if fault.is_of_cables() && self.run.gave_way.is_some() => {
                timing.neighbour_patience
            }
            // Somebody with light is not heard: the next message may tell another story.
            fault if fault.is_of_cables() && problem.fill.contains_key("unheard") => {
                timing.neighbour_patience
            }
            // The set must be seen twice: neighbours are heard one after the other.
            Fault::NeighbourDown
            | Fault::NeighbourMute
            | Fault::NeighbourUnheard
            | Fault::WrongPort
            | Fault::WrongDevice
            | Fault::SwappedPair
            | Fault::RotatedPlugs
            | Fault::UnplannedNeighbour
            | Fault::ConfigurationDiffers => Duration::from_millis(1),
            // What a link does in its first seconds says nothing.
            Fault::PoorCable | Fault::FlappingPort | Fault::PowerSupply | Fault::FanOrHeat => {
                LINK_SETTLES
            }
            // Protocols need their time after a boot, as neighbours do.
            Fault::CannotReach | Fault::CheckUnmet => timing.neighbour_patience,
            // Of a plug that is moved twice, two are remembered, one after the other.
            Fault::Unreadable if is_of_neighbours(problem) && self.cables_are_mended() => {
                let moved = REMEMBERED_BY_CDP + self.plugs_in_hand() * PER_PLUG;
                timing.neighbour_patience + timing.back_deadline + moved
            }
            Fault::Unreadable => timing.neighbour_patience + timing.back_deadline,
            Fault::Silent
            | Fault::DhcpSide
            | Fault::NoFileAsked
            | Fault::UnexpectedFile
            | Fault::UnknownDevice
            | Fault::TransferBroken
            | Fault::NotBack
            | Fault::LoginRefused
            | Fault::HostKeyChanged
            | Fault::OtherBox
            | Fault::MemberMissing
            | Fault::OtherSoftware
            | Fault::Duplicate
            | Fault::OurSide => Duration::ZERO,
        }
    }

    /// True while somebody was told to move plugs.
    fn cables_are_mended(&self) -> bool {
        matches!(&self.run.phase, Phase::ActionNeeded { problem, .. }
            if problem.fault.is_of_cables())
    }

    /// How many plugs the open fault takes out at once.
    fn plugs_in_hand(&self) -> u32 {
        let Phase::ActionNeeded { problem, .. } = &self.run.phase else { return 0 };
        if !problem.fill.contains_key("round") {
            return 0;
        }
        problem.fill.get("count").and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// True while a fault of cables is being mended and this is not what was to come next: after
    /// the move that was asked for, one fewer is left.
    fn half_moved(&self, found: &Problem) -> bool {
        let Phase::ActionNeeded { problem, .. } = &self.run.phase else { return false };
        if !problem.fault.is_of_cables() {
            return matches!(found.fault, Fault::NeighbourDown | Fault::NeighbourMute);
        }
        let one_taken_out =
            problem.fault == Fault::RotatedPlugs && !problem.fill.contains_key("round");
        found.follow() + 1 != problem.follow() && !one_taken_out
    }

    /// Every check passed: hand over, or be green at once where nobody takes over.
    fn proven(&mut self) {
        self.run.suspected = None;
        if self.reach(Milestone::Checked) {
            self.tell(Kind::Progress);
        }
        let open = |hooks: &[String], handed: &std::collections::BTreeMap<String, String>| {
            hooks.iter().filter(|hook| !handed.contains_key(*hook)).cloned().collect::<Vec<_>>()
        };
        let required = open(&self.run.timing.hooks_required, &self.run.handed);
        let optional = open(&self.run.timing.hooks_optional, &self.run.handed);
        for hook in required.iter().chain(&optional) {
            self.effect(Effect::HandOff { hook: hook.clone() });
        }
        self.sleep(Timer::Visit);
        self.sleep(Timer::Deadline);
        if required.is_empty() {
            self.ready();
        } else {
            let why = format!("everything is proven; waits for {}", required.join(", "));
            let since = self.now;
            self.enter(Phase::HandingOff { since, waiting_for: required }, why);
            self.wake(Timer::StillWaiting, self.now.plus(self.run.timing.still_waiting));
        }
    }
}

/// True if what cannot be read is who is heard on which port.
fn is_of_neighbours(problem: &Problem) -> bool {
    let check = format!("{:?}: ", Check::Neighbours);
    problem.fault == Fault::Unreadable
        && problem.fill.get("found").is_some_and(|found| found.starts_with(&check))
}

//! Moves that several phases make on the same event, and those that a person asks for.

use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::domain::check::Verdict;
use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::draft::{Draft, WAY, shown};
use crate::domain::run::upgrade::OwnImage;
use crate::domain::run::{Anew, Event, Milestone, Phase, Timer, Uploaded, Visit};

pub(super) fn again_addressed(d: &mut Draft, address: IpAddr) {
    if d.run.address == Some(address) {
        d.repeat("took its address");
    } else {
        d.addressed(address);
    }
}

/// It asks for an address while a fault is open. If it never had its configuration it starts anew,
/// and should ask for a file next, whatever it asked for before.
pub(super) fn anew_in_trouble(d: &mut Draft, fault: Fault) {
    d.repeat("asked for an address");
    let had_it = [Milestone::Downloaded, Milestone::Back];
    let first_steps = fault.layer() <= Fault::TransferBroken.layer()
        && fault != Fault::NoFileAsked
        && !had_it.iter().any(|milestone| d.run.milestones.contains_key(milestone));
    if let Phase::ActionNeeded { anew: Anew::No, .. } = &d.run.phase
        && first_steps
        && !d.is_visited_anyway()
    {
        d.begins_anew(Anew::Asked);
    }
}

/// A lease while a fault is open: it mends those of DHCP.
pub(super) fn leased_in_trouble(d: &mut Draft, address: IpAddr, fault: Fault) {
    if fault.layer() <= Fault::DhcpSide.layer() && fault != Fault::OurSide {
        d.cleared();
        d.addressed(address);
        return;
    }
    d.address(address);
    if let Phase::ActionNeeded { anew: Anew::Asked, .. } = &d.run.phase {
        let fetch_by = d.shows_by();
        d.begins_anew(Anew::Leased { fetch_by });
    }
}

/// The time of an open fault is over: the device started anew and asked for no file, which is told
/// instead unless it never asks for one; or a day has passed.
pub(super) fn overdue_in_trouble(d: &mut Draft, fault: Fault) {
    if let Phase::ActionNeeded { anew: Anew::Leased { fetch_by }, .. } = &d.run.phase
        && d.now >= *fetch_by
    {
        d.cleared();
        d.run.strange_file = None;
        if d.run.timing.fetches {
            d.trouble(Fault::NoFileAsked, &[]);
        } else {
            d.waits_for_a_visit("it started anew");
        }
    } else {
        give_up(d, fault);
    }
}

/// It asks for its file while a fault is open: the fault is over, unless it is the transfer's own.
pub(super) fn asked_in_trouble(
    d: &mut Draft,
    (transport, name): (&str, &str),
    address: IpAddr,
    fault: Fault,
) {
    if fault == Fault::TransferBroken {
        d.address(address);
        d.repeat(&format!("asked for {}", shown(name)));
        return;
    }
    d.cleared();
    d.fetching(transport, name, address);
}

/// It took its whole configuration after another box was seen in its place: the planned one may be
/// there now, and brings its own key. A mere request says less, for its sender may have made up the
/// address that it came from; whoever took the file to its end receives at that address.
pub(super) fn may_be_exchanged(d: &mut Draft) {
    let other = |verdict: &Verdict| match verdict {
        Verdict::Fail(problem) => problem.fault == Fault::OtherBox,
        Verdict::Pass | Verdict::NotPlanned | Verdict::Unknown { .. } => false,
    };
    let found = d.run.findings.as_ref();
    if found.is_some_and(|found| found.verdicts.iter().any(|(_, verdict)| other(verdict))) {
        d.note("host_key", "another box may answer now: its key is pinned anew");
        d.run.host_key = None;
    }
}

pub(super) fn asked_oddly(d: &mut Draft, what: &str) {
    d.heard();
    d.oddity(what);
}

/// A second address is as good as a first one while none is known.
pub(super) fn odd_in_trouble(d: &mut Draft, what: &str, address: Option<IpAddr>, fault: Fault) {
    asked_oddly(d, what);
    if let Some(address) = address.filter(|_| d.run.address.is_none()) {
        leased_in_trouble(d, address, fault);
    }
}

/// It may do so on its way down, or to ask anew: that says nothing of the way to green.
pub(super) fn released(d: &mut Draft, address: IpAddr) {
    d.note("dhcp", format!("released its address {address}"));
}

pub(super) fn transfer_ended(
    d: &mut Draft,
    (complete, bytes): (bool, u64),
    sha256: &str,
    why: &str,
) {
    d.begin();
    d.transfer_ended(complete, bytes, why);
    if complete {
        d.settling(sha256);
    } else if d.run.transfers.aborted_in_a_row >= 2 {
        d.trouble(Fault::TransferBroken, &[("found", why)]);
    }
}

pub(super) fn lease_impossible(d: &mut Draft, why: &str) {
    d.begin();
    d.trouble(Fault::DhcpSide, &[("found", why)]);
}

pub(super) fn strange_file(d: &mut Draft, name: &str) {
    d.heard();
    d.note("file", format!("asked for {}, which its platform does not know", shown(name)));
    d.run.strange_file = Some(shown(name));
}

pub(super) fn image_asked(d: &mut Draft, name: &str) {
    d.heard();
    d.note("image", format!("fetches {}", shown(name)));
}

/// It fetches an image before its configuration is proven: its planned one means that it installs
/// it, which takes its time and is no fault.
pub(super) fn image_fetched(d: &mut Draft, name: &str, own: Option<&OwnImage>) {
    match own {
        Some(own) => d.upgrades_itself(name, own),
        None => image_asked(d, name),
    }
}

pub(super) fn unexpected_hook(d: &mut Draft, hook: &str) {
    d.note("handoff", format!("an answer of {hook} that nobody waits for"));
}

pub(super) fn conflict(d: &mut Draft, detail: &str) {
    d.begin();
    d.trouble(Fault::Duplicate, &[("found", detail)]);
}

pub(super) fn our_side(d: &mut Draft, why: &str) {
    d.begin();
    d.trouble(Fault::OurSide, &[("found", why)]);
}

/// A visit did not get as far as the device. It may be back for long, behind a way that is closed:
/// nothing was learned of it, and after some patience the fault is ours.
pub(super) fn way_closed(
    d: &mut Draft,
    why: &str,
    back_by: Timestamp,
    refused_since: Option<Timestamp>,
) {
    d.note("visit", shown(why));
    d.visit_later();
    let since = refused_since.unwrap_or(d.now);
    if d.now.since(since) >= d.run.timing.login_patience {
        d.trouble(Fault::OurSide, &[("found", why), (WAY, "closed")]);
    } else {
        let refused_since = Some(since);
        d.run.phase = Phase::Connecting { back_by, refused_since, broken_since: None };
    }
}

/// A dialogue broke off: somebody is there, and what he says is not understood. Once may be chance.
pub(super) fn broke_off(
    d: &mut Draft,
    why: &str,
    back_by: Timestamp,
    broken_since: Option<Timestamp>,
) {
    let since = broken_since.unwrap_or(d.now);
    if d.now >= back_by && d.now.since(since) >= d.run.timing.login_patience {
        d.trouble(Fault::Unreadable, &[("found", why)]);
    } else {
        let broken_since = Some(since);
        d.run.phase = Phase::Connecting { back_by, refused_since: None, broken_since };
    }
}

/// A visit got as far as the device again, so what is wrong now is the device's own.
fn way_open(d: &mut Draft, why: &str) {
    d.note("visit", shown(why));
    d.cleared();
    let back_by = d.now.plus(d.run.timing.back_deadline);
    d.connects(back_by, "the way to it is open");
    d.visit_later();
}

pub(super) fn recheck(d: &mut Draft, by: &str) {
    d.heard();
    d.reach(Milestone::Asked);
    d.allow_upgrade();
    d.note("recheck", format!("by {}", shown(by)));
    if d.run.address.is_none() {
        d.note("refused", "it has no address to visit yet");
        return;
    }
    if matches!(d.run.phase, Phase::ActionNeeded { .. } | Phase::Verifying { .. }) {
        d.visit();
    } else {
        let back_by = d.now.plus(d.run.timing.back_deadline);
        d.sleep(Timer::StillWaiting);
        d.connecting(back_by, "asked for by a person");
    }
}

/// A person is about to power it on: from now on it has its time.
pub(super) fn expect(d: &mut Draft, by: &str) {
    d.heard();
    d.note("expected", format!("by {}", shown(by)));
}

/// A device whose run is under way, or over, is not waited for.
pub(super) fn here_already(d: &mut Draft, by: &str) {
    d.note("refused", format!("{} expects it, and it was heard already", shown(by)));
}

/// Waits for its next word. The clock starts with the run, and anew with each of its words.
pub(super) fn listens(d: &mut Draft, event: &Event) {
    let first = d.run.rev == 1;
    let anew = first || event.is_of_the_device() || matches!(event, Event::Expect { .. });
    if let Phase::Expected { ask_by } = &mut d.run.phase
        && anew
    {
        *ask_by = d.now.plus(d.run.timing.ask_patience);
        let ask_by = *ask_by;
        d.wake(Timer::Deadline, ask_by);
    }
}

/// Any word of a device that was told as silent ends that.
pub(super) fn breaks_its_silence(d: &mut Draft, event: &Event) {
    let Phase::ActionNeeded { problem, .. } = &d.run.phase else { return };
    if problem.fault != Fault::Silent || !event.is_of_the_device() {
        return;
    }
    d.cleared();
    d.sleep(Timer::Visit);
    d.enter(Phase::Expected { ask_by: d.now }, "it is heard");
    listens(d, event);
}

/// A backup says nothing of the way to green: it is written down, in every phase alike.
pub(super) fn uploaded(d: &mut Draft, upload: &Uploaded) {
    d.note("backup", upload.told());
}

impl Uploaded {
    /// For the journal.
    pub fn told(&self) -> String {
        let Self { name, bytes, sha256, complete, why } = self;
        let name = shown(name);
        if *complete {
            format!("received {name}, {bytes} bytes, SHA-256 {sha256}")
        } else {
            format!("{name} broke after {bytes} bytes: {}", shown(why))
        }
    }
}

pub(super) fn cancel(d: &mut Draft, by: &str) {
    d.heard();
    let by = shown(by);
    d.enter(Phase::Cancelled { at: d.now, by: by.clone() }, format!("by {by}"));
    d.tell(Kind::Ended);
    d.rest();
}

pub(super) fn give_up(d: &mut Draft, fault: Fault) {
    let why = format!("{} stayed open for a day", fault.code());
    d.enter(Phase::Failed { at: d.now, why: why.clone() }, why);
    d.tell(Kind::Ended);
    d.rest();
}

pub(super) fn still_waiting(d: &mut Draft) {
    if let Phase::ActionNeeded { still_waiting_said, .. } = &mut d.run.phase
        && !*still_waiting_said
    {
        *still_waiting_said = true;
        d.tell(Kind::StillWaiting);
    }
}

/// What a visit means while a fault is open.
pub(super) fn repaired(d: &mut Draft, visit: &Visit, fault: Fault) {
    match visit {
        Visit::Judged { host_key, findings } => {
            lets_us_in(d, fault);
            d.judged(host_key.as_ref(), findings);
        }
        Visit::Outdated { host_key, findings, offer } => {
            lets_us_in(d, fault);
            d.outdated(host_key.as_ref(), findings, offer);
        }
        Visit::HostKeyChanged { .. } if fault != Fault::HostKeyChanged => d.no_entry(visit),
        Visit::LoginRefused { .. }
            if matches!(fault, Fault::NotBack | Fault::HostKeyChanged)
                || d.is_told_by_far_ends() =>
        {
            d.cleared();
            let back_by = d.now.plus(d.run.timing.back_deadline);
            refuses(d, back_by, "back, refuses the login");
        }
        Visit::Unreachable { why } | Visit::LoginRefused { why } | Visit::Broken { why }
            if fault == Fault::OurSide =>
        {
            way_open(d, why);
        }
        Visit::Unreachable { .. } => {
            d.away();
            d.ask_upstreams_while_away();
            d.visit_later();
        }
        Visit::LoginRefused { .. }
        | Visit::Broken { .. }
        | Visit::OurSide { .. }
        | Visit::HostKeyChanged { .. }
        | Visit::Stepped { .. } => d.visit_later(),
    }
}

/// It refuses the login, since now.
pub(super) fn refuses(d: &mut Draft, back_by: Timestamp, why: &str) {
    d.run.missed = 0;
    let refused_since = Some(d.now);
    d.enter(Phase::Connecting { back_by, refused_since, broken_since: None }, why);
    d.visit_later();
}

/// A fault of reaching it is over once it lets us in.
fn lets_us_in(d: &mut Draft, fault: Fault) {
    let connectivity = fault.layer() < Fault::OtherBox.layer();
    if connectivity && fault != Fault::HostKeyChanged {
        d.cleared();
        d.enter(Phase::Verifying { since: d.now }, "it lets us in");
    }
}

//! Moves that several phases make on the same event, and those that a person asks for.

use std::net::IpAddr;

use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::draft::{Draft, shown};
use crate::domain::run::upgrade::OwnImage;
use crate::domain::run::{Milestone, Phase, Timer, Uploaded};

pub(super) fn again_addressed(d: &mut Draft, address: IpAddr) {
    if d.run.address == Some(address) {
        d.repeat("took its address");
    } else {
        d.addressed(address);
    }
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

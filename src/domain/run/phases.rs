//! The phases, one function each, every event named.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::domain::fault::Fault;
use crate::domain::inventory::meant::Device;
use crate::domain::run::draft::{Draft, shown};
use crate::domain::run::endings::{ended, handing_off, hook_answered, ready};
use crate::domain::run::moves::{
    again_addressed, anew_in_trouble, asked_in_trouble, asked_oddly, breaks_its_silence, broke_off,
    cancel, conflict, expect, here_already, image_asked, image_fetched, lease_impossible,
    leased_in_trouble, listens, odd_in_trouble, our_side, overdue_in_trouble, recheck, refuses,
    released, repaired, still_waiting, strange_file, transfer_ended, unexpected_hook, uploaded,
    way_closed,
};
use crate::domain::run::upgrade::upgrading;
use crate::domain::run::upstream::{Upstream, upstreams_told};
use crate::domain::run::{Anew, Event, Phase, Run, Stepped, Timer, Timing, Transfers, Visit};

/// A new run of `device`, before its first event. `id` is unique; nothing follows from this alone.
pub fn open(id: String, device: &Device, timing: Timing, now: Timestamp) -> Run {
    Run {
        id,
        device: device.name.clone(),
        site: device.site.clone(),
        platform: device.platform.clone(),
        location: device.location.clone(),
        opened: now,
        last_heard: now,
        rev: 0,
        seq: 0,
        phase: Phase::Expected { ask_by: now.plus(timing.ask_patience) },
        timing: Arc::new(timing),
        actor: None,
        address: device.address.map(std::net::IpAddr::V4),
        repeats: 0,
        transfers: Transfers::default(),
        served_sha256: None,
        host_key: None,
        attempt: 0,
        first_visit: None,
        milestones: BTreeMap::new(),
        handed: BTreeMap::new(),
        findings: None,
        suspected: None,
        told: Vec::new(),
        saving: false,
        strange_file: None,
        oddities: Vec::new(),
        missed: 0,
        gave_way: None,
        upgrade: None,
        upstream: Upstream::default(),
    }
}

/// Moves a run. Pure and total: the same run, event and time give the same step, and every event is
/// met in every phase, if only with a note.
pub fn step(run: &Run, event: &Event, now: Timestamp) -> Stepped {
    let mut draft = Draft::of(run, now);
    match &run.phase {
        Phase::Expected { .. } => expected(&mut draft, event),
        Phase::Addressed { .. } => addressed(&mut draft, event),
        Phase::Fetching { .. } => fetching(&mut draft, event),
        Phase::Settling { back_by, .. } => settling(&mut draft, event, *back_by),
        Phase::Connecting { back_by, refused_since, broken_since } => {
            let since = Since { back_by: *back_by, refused: *refused_since, broken: *broken_since };
            connecting(&mut draft, event, since);
        }
        Phase::Verifying { .. } => verifying(&mut draft, event),
        Phase::Upgrading { stage, .. } => upgrading(&mut draft, event, *stage),
        Phase::HandingOff { waiting_for, .. } => handing_off(&mut draft, event, waiting_for),
        Phase::ActionNeeded { problem, .. } => {
            if event.tells_of_files() {
                draft.begins_anew(Anew::No);
            }
            action_needed(&mut draft, event, problem.fault);
        }
        Phase::Ready { .. } => ready(&mut draft, event),
        Phase::Failed { .. } | Phase::Cancelled { .. } => ended(&mut draft, event),
    }
    draft.finish()
}

/// The first step of a run that was just [`open`]ed: as [`step`], without a copy of it.
pub fn begin(run: Run, event: &Event, now: Timestamp) -> Stepped {
    if !matches!(run.phase, Phase::Expected { .. }) {
        return step(&run, event, now);
    }
    let mut draft = Draft::made_of(run, now);
    expected(&mut draft, event);
    draft.finish()
}

fn expected(d: &mut Draft, event: &Event) {
    match event {
        Event::Asked => d.begin(),
        Event::LeaseBound { address } | Event::Exchanged { address } => d.addressed(*address),
        Event::LeaseImpossible { why } => lease_impossible(d, why),
        Event::FileAsked { transport, name, address } => d.fetching(transport, name, *address),
        Event::StrangeFileAsked { name } => strange_file(d, name),
        Event::ImageAsked { name, own } => image_fetched(d, name, own.as_ref()),
        Event::TransferEnded { complete, bytes, sha256, why, .. } => {
            transfer_ended(d, (*complete, *bytes), sha256, why);
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, address } => {
            asked_oddly(d, what);
            if let Some(address) = address {
                d.addressed(*address);
            }
        }
        Event::Released { address } => released(d, *address),
        Event::Due { timer: Timer::Deadline } => match d.run.strange_file.clone() {
            Some(name) => d.trouble(Fault::UnexpectedFile, &[("found", &name)]),
            None => d.trouble(Fault::Silent, &[]),
        },
        Event::Due { timer: Timer::Visit | Timer::StillWaiting } => {}
        Event::Visited { .. } => d.note("late", "a visit of an earlier attempt"),
        Event::UpstreamsTold { .. } => d.note("late", "the far ends, and nobody waits for them"),
        Event::HookAnswered { hook, .. } => unexpected_hook(d, hook),
        Event::Conflict { detail } => conflict(d, detail),
        Event::OurSideFailed { why } => our_side(d, why),
        Event::Recheck { by } => recheck(d, by),
        Event::Expect { by } => expect(d, by),
        Event::Cancel { by } => cancel(d, by),
    }
    listens(d, event);
}

fn addressed(d: &mut Draft, event: &Event) {
    match event {
        Event::Asked => d.repeat("asked for an address"),
        Event::LeaseBound { address } | Event::Exchanged { address } => {
            again_addressed(d, *address);
        }
        Event::LeaseImpossible { why } => lease_impossible(d, why),
        Event::FileAsked { transport, name, address } => d.fetching(transport, name, *address),
        Event::StrangeFileAsked { name } => strange_file(d, name),
        Event::ImageAsked { name, own } => image_fetched(d, name, own.as_ref()),
        Event::TransferEnded { complete, bytes, sha256, why, .. } => {
            transfer_ended(d, (*complete, *bytes), sha256, why);
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, .. } => asked_oddly(d, what),
        Event::Released { address } => released(d, *address),
        Event::Due { timer: Timer::Deadline } => match d.run.strange_file.clone() {
            Some(name) => d.trouble(Fault::UnexpectedFile, &[("found", &name)]),
            None => d.trouble(Fault::NoFileAsked, &[]),
        },
        Event::Due { timer: Timer::Visit | Timer::StillWaiting } => {}
        Event::Visited { .. } => d.note("late", "a visit of an earlier attempt"),
        Event::UpstreamsTold { .. } => d.note("late", "the far ends, and nobody waits for them"),
        Event::HookAnswered { hook, .. } => unexpected_hook(d, hook),
        Event::Conflict { detail } => conflict(d, detail),
        Event::OurSideFailed { why } => our_side(d, why),
        Event::Recheck { by } => recheck(d, by),
        Event::Expect { by } => here_already(d, by),
        Event::Cancel { by } => cancel(d, by),
    }
}

fn fetching(d: &mut Draft, event: &Event) {
    match event {
        Event::Asked => d.repeat("asked for an address"),
        Event::LeaseBound { address } => d.address(*address),
        Event::Exchanged { address } => d.exchanged(*address),
        Event::LeaseImpossible { why } => d.note("dhcp", shown(why)),
        Event::FileAsked { name, address, .. } => {
            d.address(*address);
            d.repeat(&format!("asked for {}", shown(name)));
        }
        Event::StrangeFileAsked { name } => strange_file(d, name),
        Event::ImageAsked { name, own } => image_fetched(d, name, own.as_ref()),
        Event::TransferEnded { complete, bytes, sha256, why, .. } => {
            transfer_ended(d, (*complete, *bytes), sha256, why);
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, .. } => asked_oddly(d, what),
        Event::Released { address } => released(d, *address),
        Event::Due { timer: Timer::Deadline } => {
            d.waits_for_a_file("the end of its transfer was not seen");
        }
        Event::Due { timer: Timer::Visit | Timer::StillWaiting } => {}
        Event::Visited { .. } => d.note("late", "a visit of an earlier attempt"),
        Event::UpstreamsTold { .. } => d.note("late", "the far ends, and nobody waits for them"),
        Event::HookAnswered { hook, .. } => unexpected_hook(d, hook),
        Event::Conflict { detail } => conflict(d, detail),
        Event::OurSideFailed { why } => our_side(d, why),
        Event::Recheck { by } => recheck(d, by),
        Event::Expect { by } => here_already(d, by),
        Event::Cancel { by } => cancel(d, by),
    }
}

fn settling(d: &mut Draft, event: &Event, back_by: Timestamp) {
    match event {
        Event::Asked => d.repeat("asked for an address"),
        Event::LeaseBound { address } => d.address(*address),
        Event::Exchanged { address } => d.exchanged(*address),
        Event::LeaseImpossible { why } => d.note("dhcp", shown(why)),
        Event::FileAsked { name, address, .. } => {
            d.address(*address);
            d.repeat(&format!("asked for {}", shown(name)));
        }
        Event::StrangeFileAsked { name } => strange_file(d, name),
        Event::ImageAsked { name, own } => image_fetched(d, name, own.as_ref()),
        Event::TransferEnded { complete, bytes, sha256, why, .. } => {
            d.transfer_ended(*complete, *bytes, why);
            if *complete {
                d.settling(sha256);
            }
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, .. } => asked_oddly(d, what),
        Event::Released { address } => released(d, *address),
        Event::Due { timer: Timer::Visit } => d.connecting(back_by, "first visit"),
        Event::Due { timer: Timer::Deadline } => d.connecting(back_by, "deadline of settling"),
        Event::Due { timer: Timer::StillWaiting } => {}
        Event::Visited { .. } => d.note("late", "a visit of an earlier attempt"),
        Event::UpstreamsTold { .. } => d.note("late", "the far ends, and nobody waits for them"),
        Event::HookAnswered { hook, .. } => unexpected_hook(d, hook),
        Event::Conflict { detail } => conflict(d, detail),
        Event::OurSideFailed { why } => d.note("ours", shown(why)),
        Event::Recheck { by } => {
            d.note("recheck", format!("by {}", shown(by)));
            d.connecting(back_by, "asked for by a person");
        }
        Event::Expect { by } => here_already(d, by),
        Event::Cancel { by } => cancel(d, by),
    }
}

/// How long we try to log in already.
#[derive(Clone, Copy)]
struct Since {
    back_by: Timestamp,
    refused: Option<Timestamp>,
    broken: Option<Timestamp>,
}

fn connecting(d: &mut Draft, event: &Event, since: Since) {
    match event {
        Event::Asked => d.repeat("asked for an address"),
        Event::LeaseBound { address } => d.address(*address),
        Event::Exchanged { address } => d.exchanged(*address),
        Event::LeaseImpossible { why } => d.note("dhcp", shown(why)),
        Event::FileAsked { transport, name, address } => d.fetching(transport, name, *address),
        Event::StrangeFileAsked { name } => strange_file(d, name),
        Event::ImageAsked { name, own } => image_fetched(d, name, own.as_ref()),
        Event::TransferEnded { complete, bytes, sha256, why, .. } => {
            d.transfer_ended(*complete, *bytes, why);
            if *complete {
                d.settling(sha256);
            }
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, .. } => asked_oddly(d, what),
        Event::Released { address } => released(d, *address),
        Event::Due { timer: Timer::Visit } => d.visit(),
        // Whether it is back is told by the next visit. Without an address there is none.
        Event::Due { timer: Timer::Deadline } => {
            d.note("connecting", "it should be back by now");
            if d.run.address.is_none() {
                d.not_back();
            }
        }
        Event::Due { timer: Timer::StillWaiting } => {}
        Event::Visited { attempt, visit } => {
            if d.late(*attempt) {
                d.note("late", "a visit of an earlier attempt");
            } else {
                first_entry(d, visit, since);
            }
        }
        Event::UpstreamsTold { attempt, told } => upstreams_told(d, *attempt, told),
        Event::HookAnswered { hook, .. } => unexpected_hook(d, hook),
        Event::Conflict { detail } => conflict(d, detail),
        Event::OurSideFailed { why } => d.note("ours", shown(why)),
        Event::Recheck { by } => recheck(d, by),
        Event::Expect { by } => here_already(d, by),
        Event::Cancel { by } => cancel(d, by),
    }
}

/// What a visit means while nobody was let in yet.
fn first_entry(d: &mut Draft, visit: &Visit, since: Since) {
    let Since { back_by, refused, broken } = since;
    match visit {
        Visit::Unreachable { .. } => {
            d.no_entry(visit);
            d.ask_upstreams_while_away();
            d.not_found(back_by);
        }
        Visit::LoginRefused { .. } => {
            d.no_entry(visit);
            let since = refused.unwrap_or(d.now);
            if d.now.since(since) >= d.run.timing.login_patience {
                d.trouble(Fault::LoginRefused, &[]);
            } else {
                // It is back: should it go away again, it has its time again.
                let back_by = d.now.plus(d.run.timing.back_deadline);
                let refused_since = Some(since);
                d.run.phase = Phase::Connecting { back_by, refused_since, broken_since: None };
            }
        }
        Visit::Broken { why } => {
            d.no_entry(visit);
            broke_off(d, why, back_by, broken);
        }
        Visit::OurSide { why } => way_closed(d, why, back_by, refused),
        Visit::HostKeyChanged { .. } => d.no_entry(visit),
        Visit::Judged { host_key, findings } => d.judged(host_key.as_ref(), findings),
        Visit::Outdated { host_key, findings, offer } => {
            d.outdated(host_key.as_ref(), findings, offer);
        }
        Visit::Stepped { .. } => d.note("late", "a step of an update that is over"),
    }
}

fn verifying(d: &mut Draft, event: &Event) {
    match event {
        Event::Asked => d.repeat("asked for an address"),
        Event::LeaseBound { address } => d.address(*address),
        Event::Exchanged { address } => d.exchanged(*address),
        Event::LeaseImpossible { why } => d.note("dhcp", shown(why)),
        Event::FileAsked { transport, name, address } => d.fetching(transport, name, *address),
        Event::StrangeFileAsked { name } => strange_file(d, name),
        Event::ImageAsked { name, .. } => image_asked(d, name),
        Event::TransferEnded { complete, bytes, sha256, why, .. } => {
            d.transfer_ended(*complete, *bytes, why);
            if *complete {
                d.settling(sha256);
            }
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, .. } => asked_oddly(d, what),
        Event::Released { address } => released(d, *address),
        Event::Due { timer: Timer::Visit } => d.visit(),
        Event::Due { timer: Timer::Deadline | Timer::StillWaiting } => {}
        Event::Visited { attempt, visit } => {
            if d.late(*attempt) {
                d.note("late", "a visit of an earlier attempt");
            } else {
                later_entry(d, visit);
            }
        }
        Event::UpstreamsTold { attempt, told } => upstreams_told(d, *attempt, told),
        Event::HookAnswered { hook, .. } => unexpected_hook(d, hook),
        Event::Conflict { detail } => conflict(d, detail),
        Event::OurSideFailed { why } => d.note("ours", shown(why)),
        Event::Recheck { by } => recheck(d, by),
        Event::Expect { by } => here_already(d, by),
        Event::Cancel { by } => cancel(d, by),
    }
}

/// What a visit means after somebody was let in once.
fn later_entry(d: &mut Draft, visit: &Visit) {
    match visit {
        Visit::Unreachable { why } => {
            d.away();
            d.note("visit", shown(why));
            let back_by = d.now.plus(d.run.timing.back_deadline);
            d.connects(back_by, "it is away again");
            d.visit_later();
        }
        Visit::LoginRefused { why } => {
            d.note("visit", shown(why));
            let back_by = d.now.plus(d.run.timing.back_deadline);
            refuses(d, back_by, "refuses the login");
        }
        Visit::OurSide { why } => {
            let back_by = d.now.plus(d.run.timing.back_deadline);
            d.connects(back_by, "the way to it is closed");
            way_closed(d, why, back_by, None);
        }
        Visit::Broken { why } => {
            d.no_entry(visit);
            let back_by = d.now.plus(d.run.timing.back_deadline);
            d.connects(back_by, "it breaks off");
            broke_off(d, why, back_by, None);
        }
        Visit::HostKeyChanged { .. } => d.no_entry(visit),
        Visit::Judged { host_key, findings } => d.judged(host_key.as_ref(), findings),
        Visit::Outdated { host_key, findings, offer } => {
            d.outdated(host_key.as_ref(), findings, offer);
        }
        Visit::Stepped { .. } => d.note("late", "a step of an update that is over"),
    }
}

/// Faults that end when the device is served, and those that end when it is seen right.
fn action_needed(d: &mut Draft, event: &Event, fault: Fault) {
    match event {
        Event::Asked if fault == Fault::Silent => {
            d.begin();
            d.repeat("asked for an address");
        }
        Event::Asked => anew_in_trouble(d, fault),
        Event::LeaseBound { address } => leased_in_trouble(d, *address, fault),
        Event::Exchanged { address } => {
            anew_in_trouble(d, fault);
            leased_in_trouble(d, *address, fault);
        }
        Event::LeaseImpossible { why } if fault == Fault::Silent => {
            d.cleared();
            lease_impossible(d, why);
        }
        Event::LeaseImpossible { why } => d.note("dhcp", shown(why)),
        Event::FileAsked { transport, name, address } => {
            asked_in_trouble(d, (transport, name), *address, fault);
        }
        Event::StrangeFileAsked { name } => {
            strange_file(d, name);
            if fault.is_before_the_file() {
                d.cleared();
                d.waits_for_a_file("it asks, for another file");
            }
        }
        Event::ImageAsked { name, own } => {
            let away = fault.layer() <= Fault::NotBack.layer();
            let ours = matches!(fault, Fault::OurSide | Fault::Duplicate);
            image_fetched(d, name, own.as_ref().filter(|_| away && !ours));
        }
        Event::TransferEnded { complete, bytes, sha256, why, .. } => {
            d.transfer_ended(*complete, *bytes, why);
            if *complete {
                d.cleared();
                d.settling(sha256);
            }
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, address } => odd_in_trouble(d, what, *address, fault),
        Event::Released { address } => released(d, *address),
        Event::Due { timer: Timer::Visit } => {
            // What is ours to mend waits for a person: looking at the device changes nothing.
            if fault.layer() >= Fault::NotBack.layer() || d.way_is_closed() {
                d.visit();
            }
        }
        Event::Due { timer: Timer::Deadline } => overdue_in_trouble(d, fault),
        Event::Due { timer: Timer::StillWaiting } => still_waiting(d),
        Event::Visited { attempt, .. } if d.late(*attempt) => {
            d.note("late", "a visit of an earlier attempt");
        }
        Event::Visited { visit, .. } => repaired(d, visit, fault),
        Event::UpstreamsTold { attempt, told } => upstreams_told(d, *attempt, told),
        Event::HookAnswered { hook, accepted, answer } => {
            hook_answered(d, (hook, *accepted), answer, &[]);
        }
        Event::Conflict { detail } => conflict_in_trouble(d, detail, fault),
        Event::OurSideFailed { why } => our_side_in_trouble(d, why, fault),
        Event::Recheck { by } => recheck(d, by),
        Event::Expect { by } => here_already(d, by),
        Event::Cancel { by } => cancel(d, by),
    }
    if fault == Fault::Silent {
        breaks_its_silence(d, event);
    }
}

/// Two claim what a silent device is planned to be; any other fault is the nearer one.
fn conflict_in_trouble(d: &mut Draft, detail: &str, fault: Fault) {
    if matches!(fault, Fault::Silent | Fault::DhcpSide) {
        d.cleared();
        conflict(d, detail);
    } else {
        d.note("conflict", shown(detail));
    }
}

/// What of ours fails keeps the device from its file; behind that it is no news.
fn our_side_in_trouble(d: &mut Draft, why: &str, fault: Fault) {
    if fault.is_before_the_file() && fault != Fault::OurSide {
        d.cleared();
        our_side(d, why);
    } else {
        d.note("ours", shown(why));
    }
}

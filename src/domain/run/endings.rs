//! The phases from "everything is proven" on: handing over, ready, ended.

use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::draft::{Draft, shown};
use crate::domain::run::moves::{
    asked_oddly, cancel, conflict, here_already, image_asked, recheck, released, strange_file,
    uploaded,
};
use crate::domain::run::{Event, Phase, Timer};

pub(super) fn handing_off(d: &mut Draft, event: &Event, waiting_for: &[String]) {
    match event {
        Event::Asked => d.repeat("asked for an address"),
        Event::LeaseBound { address } => d.address(*address),
        Event::Exchanged { address } => d.exchanged(*address),
        Event::LeaseImpossible { why } => d.note("dhcp", shown(why)),
        Event::FileAsked { name, .. } => d.repeat(&format!("asked for {}", shown(name))),
        Event::StrangeFileAsked { name } => strange_file(d, name),
        Event::ImageAsked { name, .. } => image_asked(d, name),
        Event::TransferEnded { complete, bytes, why, .. } => {
            d.transfer_ended(*complete, *bytes, why);
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, .. } => asked_oddly(d, what),
        Event::Released { address } => released(d, *address),
        Event::Due { timer: Timer::Visit | Timer::Deadline } => {}
        Event::Due { timer: Timer::StillWaiting } => d.tell(Kind::StillWaiting),
        Event::Visited { .. } => d.note("late", "a visit of an earlier attempt"),
        Event::UpstreamsTold { .. } => d.note("late", "the far ends, and nobody waits for them"),
        Event::HookAnswered { hook, accepted, answer } => {
            hook_answered(d, (hook, *accepted), answer, waiting_for);
        }
        Event::Conflict { detail } => conflict(d, detail),
        Event::OurSideFailed { why } => d.note("ours", shown(why)),
        Event::Recheck { by } => recheck(d, by),
        Event::Expect { by } => here_already(d, by),
        Event::Cancel { by } => cancel(d, by),
    }
}

pub(super) fn hook_answered(
    d: &mut Draft,
    (hook, accepted): (&str, bool),
    answer: &str,
    waiting_for: &[String],
) {
    d.note(
        "handoff",
        format!("{hook} {}: {}", if accepted { "accepted" } else { "refused" }, shown(answer)),
    );
    if accepted {
        d.run.handed.insert(hook.to_owned(), shown(answer));
    }
    if !waiting_for.iter().any(|waiting| waiting == hook) {
        return;
    }
    if accepted {
        let rest: Vec<String> = waiting_for.iter().filter(|w| *w != hook).cloned().collect();
        if rest.is_empty() {
            d.ready();
        } else if let Phase::HandingOff { waiting_for, .. } = &mut d.run.phase {
            *waiting_for = rest;
        }
    } else {
        d.trouble(Fault::OurSide, &[("found", hook)]);
    }
}

/// Green, until the device asks for its configuration anew: then it has lost what was proven, and
/// is looked at again in the same run.
pub(super) fn ready(d: &mut Draft, event: &Event) {
    match event {
        Event::FileAsked { transport, name, address } => {
            d.doubt_what_was_proven();
            d.fetching(transport, name, *address);
            d.tell(Kind::Progress);
        }
        Event::Asked
        | Event::LeaseBound { .. }
        | Event::Exchanged { .. }
        | Event::AskedOddly { .. }
        | Event::Released { .. }
        | Event::LeaseImpossible { .. }
        | Event::StrangeFileAsked { .. }
        | Event::ImageAsked { .. }
        | Event::TransferEnded { .. }
        | Event::Uploaded(_)
        | Event::Due { .. }
        | Event::Visited { .. }
        | Event::UpstreamsTold { .. }
        | Event::HookAnswered { .. }
        | Event::Conflict { .. }
        | Event::OurSideFailed { .. }
        | Event::Recheck { .. }
        | Event::Expect { .. }
        | Event::Cancel { .. } => ended(d, event),
    }
}

/// Failed and Cancelled move no more: what still comes is written down. The window is not prolonged
/// by it, so that a device that goes on asking gets a new run when the window is over.
pub(super) fn ended(d: &mut Draft, event: &Event) {
    match event {
        Event::Asked => d.count("asked for an address"),
        Event::FileAsked { name, .. } => d.count(&format!("asked for {}", shown(name))),
        Event::TransferEnded { complete, bytes, why, .. } => {
            d.transfer_noted(*complete, *bytes, why);
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, .. } => d.oddity(what),
        Event::Released { address } => released(d, *address),
        Event::LeaseBound { address } => d.moved_to(*address),
        Event::Exchanged { address } => {
            d.count("asked for an address");
            d.moved_to(*address);
        }
        Event::HookAnswered { hook, accepted, answer } => {
            hook_answered(d, (hook, *accepted), answer, &[]);
        }
        Event::LeaseImpossible { why } | Event::OurSideFailed { why } => {
            d.note("ours", shown(why));
        }
        Event::ImageAsked { name, .. } => image_asked(d, name),
        Event::StrangeFileAsked { name } => d.note("file", format!("asked for {}", shown(name))),
        Event::Conflict { detail } => d.note("conflict", shown(detail)),
        Event::Due { .. } | Event::Visited { .. } | Event::UpstreamsTold { .. } => {
            d.note("late", "the run has ended");
        }
        Event::Recheck { by } | Event::Expect { by } | Event::Cancel { by } => {
            d.note("refused", format!("{} asked, and the run has ended", shown(by)));
        }
    }
}

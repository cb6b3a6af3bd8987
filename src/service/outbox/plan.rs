//! Which rows follow from a notice, and from a hand-off? Pure; stored in the commit of the step.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::Timestamp;
use crate::domain::check::Verdict;
use crate::domain::inventory::meant::Device;
use crate::domain::notice::{Kind, Notice};
use crate::domain::run::Run;
use crate::service::memory::{Change, NewDelivery};

/// The outlet of a bot token.
pub const SLACK: &str = "slack";
/// The outlet of an incoming webhook.
pub const SLACK_WEBHOOK: &str = "slack-webhook";
pub(super) const HOOK_PREFIX: &str = "hook:";

/// The outlet of a hook.
pub fn hook_outlet(hook: &str) -> String {
    format!("{HOOK_PREFIX}{hook}")
}

/// Where the reference to a run's newest action message is kept.
pub fn action_subject(run: &str) -> String {
    format!("{run}/action")
}

/// A chat that is told of this run's notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatOutlet {
    /// A parent per device, edited in place, and replies in its thread.
    SlackBot { channel: String },
    /// At most three messages a device: started, the first action needed, the end.
    SlackWebhook,
}

/// What a row is, and so what may supersede it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryKind {
    /// The run's first message. Never superseded: everything else hangs on it.
    Post,
    /// An edit of the parent. A newer one makes it pointless.
    Parent,
    /// A reply: something has to be done. Pointless once that is not true any more.
    Action,
    /// A reply: still waiting.
    Still,
    /// An edit of the action's reply: fixed.
    Cleared,
    /// A reply: ready, or ended otherwise. Never superseded.
    Last,
    /// A hand-off.
    Event,
}

impl DeliveryKind {
    pub fn name(self) -> &'static str {
        match self {
            DeliveryKind::Post => "post",
            DeliveryKind::Parent => "parent",
            DeliveryKind::Action => "action",
            DeliveryKind::Still => "still",
            DeliveryKind::Cleared => "cleared",
            DeliveryKind::Last => "last",
            DeliveryKind::Event => "event",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [
            DeliveryKind::Post,
            DeliveryKind::Parent,
            DeliveryKind::Action,
            DeliveryKind::Still,
            DeliveryKind::Cleared,
            DeliveryKind::Last,
            DeliveryKind::Event,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

/// What a chat row carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatPayload {
    /// Empty for a webhook, which knows its own.
    pub channel: String,
    pub notice: Notice,
}

/// What a hook row carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffPayload {
    /// The event's id, the same for every hook and every attempt.
    pub id: String,
    /// The device's serial, else its name: stays the same from run to run.
    pub subject: String,
    pub run: String,
    pub at: Timestamp,
    pub data: serde_json::Value,
}

/// The rows of one notice.
pub fn rows_for_notice(notice: &Notice, outlets: &[ChatOutlet]) -> Vec<Change> {
    outlets
        .iter()
        .flat_map(|outlet| match outlet {
            ChatOutlet::SlackBot { channel } => thread_rows(notice, channel),
            ChatOutlet::SlackWebhook => webhook_rows(notice),
        })
        .collect()
}

fn thread_rows(notice: &Notice, channel: &str) -> Vec<Change> {
    use DeliveryKind::{Action, Cleared, Last, Parent, Post, Still};
    let row = |kind: DeliveryKind| {
        let key = match kind {
            // One parent a run, however often it is said to have started.
            Post => format!("{}/post", notice.run),
            Parent | Action | Still | Cleared | Last | DeliveryKind::Event => {
                format!("{}/{}/{}", notice.run, notice.seq, kind.name())
            }
        };
        chat_row(notice, SLACK, kind, key, channel)
    };
    let gone = |kinds: &[DeliveryKind]| superseded(notice, SLACK, kinds);
    // A reply goes before the edit: it is what somebody waits for.
    match notice.kind {
        Kind::Started => vec![row(Post)],
        Kind::Progress => vec![gone(&[Parent]), row(Parent)],
        Kind::ActionNeeded => vec![gone(&[Parent, Action, Still]), row(Action), row(Parent)],
        Kind::Cleared => vec![gone(&[Parent, Action, Still]), row(Cleared), row(Parent)],
        Kind::Upgrading | Kind::StillWaiting => {
            vec![gone(&[Parent, Still]), row(Still), row(Parent)]
        }
        Kind::Done | Kind::Ended => {
            vec![gone(&[Parent, Action, Still]), row(Last), row(Parent)]
        }
    }
}

fn webhook_rows(notice: &Notice) -> Vec<Change> {
    use DeliveryKind::{Action, Last, Post};
    let row = |kind: DeliveryKind, key: String| {
        chat_row(notice, SLACK_WEBHOOK, kind, format!("{}/{key}", notice.run), "")
    };
    let gone = || superseded(notice, SLACK_WEBHOOK, &[Action]);
    match notice.kind {
        Kind::Started => vec![row(Post, "post".into())],
        Kind::Progress | Kind::Upgrading | Kind::StillWaiting => vec![],
        // Which one is the first to be said is known when it is sent: an earlier one may have been
        // superseded unsent.
        Kind::ActionNeeded => vec![gone(), row(Action, format!("{}/action", notice.seq))],
        Kind::Cleared => vec![gone()],
        Kind::Done | Kind::Ended => vec![gone(), row(Last, "last".into())],
    }
}

fn chat_row(
    notice: &Notice,
    outlet: &str,
    kind: DeliveryKind,
    key: String,
    channel: &str,
) -> Change {
    let payload = ChatPayload { channel: channel.to_owned(), notice: notice.clone() };
    Change::Outbox(NewDelivery {
        outlet: outlet.to_owned(),
        subject: notice.run.clone(),
        key,
        kind: kind.name().to_owned(),
        payload: serde_json::to_value(payload).expect("a notice has string keys only"),
        at: notice.at,
    })
}

fn superseded(notice: &Notice, outlet: &str, kinds: &[DeliveryKind]) -> Change {
    Change::OutboxSuperseded {
        outlet: outlet.to_owned(),
        subject: notice.run.clone(),
        kinds: kinds.iter().map(|kind| kind.name().to_owned()).collect(),
    }
}

/// The row of one hand-off. Its key is run and hook, so that it goes out once a run.
/// Variables and credentials of the device are not in it.
pub fn rows_for_handoff(run: &Run, device: &Device, hook: &str, at: Timestamp) -> Change {
    let checks: Vec<serde_json::Value> = run
        .findings
        .iter()
        .flat_map(|findings| &findings.verdicts)
        .map(|(check, verdict)| {
            let verdict = match verdict {
                Verdict::Pass => "pass",
                Verdict::Fail(_) => "fail",
                Verdict::Unknown { .. } => "unknown",
                Verdict::NotPlanned => "not_planned",
            };
            json!({"check": check, "verdict": verdict})
        })
        .collect();
    let payload = HandoffPayload {
        id: format!("{}-ready", run.id),
        subject: device.serial.clone().unwrap_or_else(|| device.name.clone()),
        run: run.id.clone(),
        at,
        data: json!({
            "run": run.id,
            "site": run.site,
            "device": {
                "name": device.name,
                "hostname": device.name,
                "serial": device.serial,
                "macs": device.macs,
                "address": run.address.or(device.planned_address()),
                "platform": device.platform,
                "software": device.software.as_ref().map(|software| &software.version),
                "location": device.location,
            },
            "checks": checks,
            "config": {"sha256": run.served_sha256},
            "actor": run.actor,
        }),
    };
    Change::Outbox(NewDelivery {
        outlet: hook_outlet(hook),
        subject: run.id.clone(),
        key: format!("{}/{hook}", run.id),
        kind: DeliveryKind::Event.name().to_owned(),
        payload: serde_json::to_value(payload).expect("an event has string keys only"),
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: Kind, seq: u64) -> Notice {
        Notice {
            run: "R".into(),
            seq,
            at: Timestamp::from_seconds(1),
            device: "acc-sw-17".into(),
            site: "bma".into(),
            location: String::new(),
            kind,
            headline: "x".into(),
            body: String::new(),
            fault: None,
            act: String::new(),
            checklist: vec![],
        }
    }

    /// `+key` for a new row, `-kinds` for those superseded.
    fn shown(kind: Kind, outlet: ChatOutlet) -> Vec<String> {
        rows_for_notice(&notice(kind, 7), &[outlet])
            .into_iter()
            .map(|change| match change {
                Change::Outbox(row) => format!("+{}", row.key),
                Change::OutboxSuperseded { kinds, .. } => format!("-{}", kinds.join(",")),
                other => panic!("unexpected {other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_bot_edits_one_parent_and_replies_when_somebody_is_needed() {
        let bot = || ChatOutlet::SlackBot { channel: "C1".into() };
        assert_eq!(shown(Kind::Started, bot()), ["+R/post"]);
        assert_eq!(shown(Kind::Progress, bot()), ["-parent", "+R/7/parent"]);
        let action = ["-parent,action,still", "+R/7/action", "+R/7/parent"];
        assert_eq!(shown(Kind::ActionNeeded, bot()), action);
        let cleared = ["-parent,action,still", "+R/7/cleared", "+R/7/parent"];
        assert_eq!(shown(Kind::Cleared, bot()), cleared);
        assert_eq!(
            shown(Kind::StillWaiting, bot()),
            ["-parent,still", "+R/7/still", "+R/7/parent"]
        );
        let last = ["-parent,action,still", "+R/7/last", "+R/7/parent"];
        assert_eq!(shown(Kind::Done, bot()), last);
        assert_eq!(shown(Kind::Ended, bot()), last);
    }

    #[test]
    fn a_webhook_hears_of_start_action_and_end() {
        let webhook = || ChatOutlet::SlackWebhook;
        assert_eq!(shown(Kind::Started, webhook()), ["+R/post"]);
        assert_eq!(shown(Kind::Progress, webhook()), Vec::<String>::new());
        assert_eq!(shown(Kind::ActionNeeded, webhook()), ["-action", "+R/7/action"]);
        assert_eq!(shown(Kind::Cleared, webhook()), ["-action"]);
        assert_eq!(shown(Kind::Done, webhook()), ["-action", "+R/last"]);
    }

    #[test]
    fn kinds_are_read_back_by_their_names() {
        for name in ["post", "parent", "action", "still", "cleared", "last", "event"] {
            assert_eq!(DeliveryKind::named(name).unwrap().name(), name);
        }
        assert_eq!(DeliveryKind::named("other"), None);
    }
}

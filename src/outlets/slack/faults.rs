//! The sender against a Slack that fails: under any schedule no reply comes twice, the thread
//! keeps the order of events, and the parent ends right.

use std::time::Duration;

use super::double::{CHANNEL, Fault, Slack};
use super::story::{QUICK, Story, UNPACED, notice, settings};
use super::{Delays, Settings, Trouble};
use crate::clock::Clock;
use crate::domain::fault::Fault as Wrong;
use crate::domain::notice::{Kind, Notice};
use crate::entropy::Entropy;
use crate::proto::slack::pacing::Limits;
use crate::secret::Secret;
use crate::service::memory::DeliveryState;

const GOOD: [Kind; 4] = [Kind::Started, Kind::Progress, Kind::Progress, Kind::Done];

#[tokio::test]
async fn a_good_run_is_one_parent_and_one_reply() {
    let slack = Slack::default();
    let story = Story::new(CHANNEL);
    let _worker = story.start(settings(slack.start().await));
    for (seq, kind) in GOOD.into_iter().enumerate() {
        story.tell(kind, seq as u64 + 1).await;
        story.settled().await;
    }
    let parents = slack.parents();
    assert_eq!(parents.len(), 1);
    assert_eq!((parents[0].text.as_str(), parents[0].edits), ("Done 4", 3));
    let replies = slack.replies();
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].text, "Done 4");
    let section = replies[0].body["blocks"][0]["text"]["text"].as_str().unwrap();
    assert_eq!(section, "<!here> *Done 4*\nbody");
    assert_eq!(story.troubles.current(), Trouble::None);
}

#[tokio::test]
async fn a_fault_is_a_reply_that_becomes_fixed() {
    let slack = Slack::default();
    let story = Story::new("#bma");
    let _worker = story.start(settings(slack.start().await));
    let story_line = [Kind::Started, Kind::ActionNeeded, Kind::Cleared, Kind::ActionNeeded];
    for (seq, kind) in story_line.into_iter().enumerate() {
        story.tell(kind, seq as u64 + 1).await;
        story.settled().await;
        let replies = slack.replies();
        match seq {
            1 => {
                assert_eq!(replies[0].text, "ActionNeeded 2");
                let small = replies[0].body["blocks"][1]["elements"][0]["text"].as_str();
                assert_eq!(small, Some("G12"));
            }
            2 => assert_eq!(replies[0].text, "Cleared 3"),
            // Back within a minute: the same message, no second push.
            3 => assert_eq!(replies[0].text, "ActionNeeded 4"),
            _ => {}
        }
    }
    assert_eq!((slack.parents().len(), slack.replies().len()), (1, 1));
    assert_eq!(slack.parents()[0].text, "ActionNeeded 4");
}

#[tokio::test]
async fn the_next_plug_to_move_is_another_push_however_soon() {
    let slack = Slack::default();
    let story = Story::new("#bma");
    let _worker = story.start(settings(slack.start().await));
    story.tell(Kind::Started, 1).await;
    story.tell(Kind::ActionNeeded, 2).await;
    story.settled().await;
    let next = Notice { act: "G12 port=47".into(), ..notice(Kind::ActionNeeded, 3) };
    story.say(&next).await;
    story.settled().await;
    let texts: Vec<String> = slack.replies().into_iter().map(|reply| reply.text).collect();
    assert_eq!(texts, ["ActionNeeded 2", "ActionNeeded 3"]);
}

/// A schedule of faults from a seed.
fn schedule(entropy: &Entropy) -> Vec<Fault> {
    (0..12)
        .map(|_| match entropy.next_u64() % 12 {
            0 => Fault::TooFast,
            1 | 2 => Fault::ErrorBefore,
            3 | 4 => Fault::ErrorAfter,
            5 => Fault::HangUpBefore,
            6 | 7 => Fault::HangUpAfter,
            8 => Fault::Refused("internal_error"),
            _ => Fault::Nothing,
        })
        .collect()
}

async fn endure(seed: u64) {
    let entropy = Entropy::seeded(seed);
    let slack = Slack::default();
    slack.state().faults = schedule(&entropy).into();
    let story = Story::new(CHANNEL);
    let address = slack.start().await;
    let mut worker = story.start(settings(address));
    let line = [
        Kind::Started,
        Kind::Progress,
        Kind::ActionNeeded,
        Kind::Cleared,
        Kind::Progress,
        Kind::StillWaiting,
        Kind::ActionNeeded,
        Kind::Cleared,
        Kind::Done,
    ];
    for (seq, kind) in line.into_iter().enumerate() {
        let mut notice = notice(kind, seq as u64 + 1);
        if seq == 6 {
            // Another fault than before, so it is a reply of its own.
            notice.fault = Some(Wrong::NeighbourDown);
        }
        story.say(&notice).await;
        tokio::time::sleep(Duration::from_millis(entropy.next_u64() % 30)).await;
        if entropy.next_u64().is_multiple_of(4) {
            // The process dies wherever it is, and starts again.
            worker.abort();
            let _ = worker.await;
            worker = story.start(settings(address));
        }
    }
    story.settled().await;
    let parents = slack.parents();
    assert_eq!(parents.len(), 1, "seed {seed}: {parents:?}");
    assert_eq!(parents[0].text, "Done 9", "seed {seed}");
    let keys: Vec<String> = slack.replies().into_iter().map(|reply| reply.body_key()).collect();
    let mut ordered = keys.clone();
    ordered.sort();
    ordered.dedup();
    assert_eq!(keys, ordered, "seed {seed}: twice or out of order");
    assert_eq!(keys.last().map(String::as_str), Some("R/9/last"), "seed {seed}");
    for row in story.paper.rows() {
        let fine = matches!(row.state, DeliveryState::Done | DeliveryState::Superseded);
        assert!(fine, "seed {seed}: {row:?}");
    }
}

impl super::double::Message {
    /// The key it was posted with; edits carry the key of their own row.
    fn body_key(&self) -> String {
        self.key.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_schedule_of_faults_and_restarts_makes_a_reply_come_twice() {
    let stories: Vec<_> = (0..60).map(|seed| tokio::spawn(endure(seed))).collect();
    for story in stories {
        story.await.unwrap();
    }
}

#[tokio::test]
async fn a_post_that_was_accepted_before_a_crash_is_adopted() {
    let slack = Slack::default();
    slack.state().faults = [Fault::HangUpAfter].into();
    let story = Story::new(CHANNEL);
    let address = slack.start().await;
    let slow = Delays { look_after: Duration::from_secs(60), ..QUICK };
    let worker = story.start(Settings { delays: slow, ..settings(address) });
    story.tell(Kind::Started, 1).await;
    story.until(|| story.paper.states() == [("R/post", "unclear")]).await;
    worker.abort();
    // What was being waited for does not matter to a new life: it starts from the row.
    let rows = story.paper.rows();
    story.outbox().unclear(&rows[0], Clock::System.now(), "").await;
    let _worker = story.start(settings(address));
    story.settled().await;
    assert_eq!(slack.parents().len(), 1);
    assert_eq!(
        story.outbox().reference("slack", "R").await.unwrap(),
        Some(format!("{CHANNEL}/{}", slack.parents()[0].ts))
    );
}

#[tokio::test]
async fn a_lost_post_is_found_in_a_channel_known_by_name_after_a_restart() {
    let slack = Slack::default();
    let story = Story::new("#bma");
    let address = slack.start().await;
    let worker = story.start(settings(address));
    story.tell(Kind::Started, 1).await;
    story.settled().await;
    worker.abort();
    let _ = worker.await;
    slack.state().faults = [Fault::HangUpAfter].into();
    story.say(&Notice { run: "B".into(), ..notice(Kind::Started, 1) }).await;
    let _worker = story.start(settings(address));
    story.settled().await;
    assert_eq!(slack.parents().len(), 2);
}

#[tokio::test]
async fn without_the_history_scope_what_matters_is_repeated_and_says_so() {
    let slack = Slack::default();
    slack.state().blind = true;
    let story = Story::new(CHANNEL);
    let _worker = story.start(settings(slack.start().await));
    story.tell(Kind::Started, 1).await;
    story.settled().await;
    slack.state().faults = [Fault::ErrorAfter].into();
    story.tell(Kind::StillWaiting, 2).await;
    story.settled().await;
    slack.state().faults = [Fault::ErrorAfter].into();
    story.tell(Kind::Done, 3).await;
    story.settled().await;
    let texts: Vec<String> = slack.replies().into_iter().map(|reply| reply.text).collect();
    assert_eq!(texts, ["StillWaiting 2", "Done 3", "(repeat) Done 3"]);
    assert!(story.paper.states().contains(&("R/2/still", "dead")));
}

#[tokio::test]
async fn blind_repeats_end() {
    let slack = Slack::default();
    slack.state().blind = true;
    slack.state().faults = vec![Fault::ErrorAfter; 50].into();
    let story = Story::new(CHANNEL);
    let _worker = story.start(settings(slack.start().await));
    story.tell(Kind::Started, 1).await;
    story.settled().await;
    assert_eq!(slack.parents().len(), 4);
}

#[tokio::test]
async fn what_was_overtaken_during_an_outage_is_not_sent() {
    // A port that nobody listens on: reserved, then released.
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let slack = Slack::default();
    let story = Story::new(CHANNEL);
    let _worker = story.start(settings(address));
    let line = [Kind::Started, Kind::Progress, Kind::ActionNeeded, Kind::Cleared, Kind::Done];
    for (seq, kind) in line.into_iter().enumerate() {
        story.tell(kind, seq as u64 + 1).await;
    }
    story.until(|| matches!(story.troubles.current(), Trouble::Away(_))).await;
    slack.start_at(address).await;
    story.settled().await;
    let replies: Vec<String> = slack.replies().into_iter().map(|reply| reply.text).collect();
    assert_eq!(replies, ["Done 5"]);
    let parents = slack.parents();
    assert_eq!((parents.len(), parents[0].text.as_str()), (1, "Done 5"));
    assert_eq!(story.troubles.current(), Trouble::None);
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let slack = Slack::default();
    slack.state().faults = [Fault::TooFast].into();
    let story = Story::new(CHANNEL);
    let begun = Clock::System.instant();
    let _worker = story.start(settings(slack.start().await));
    story.tell(Kind::Started, 1).await;
    story.settled().await;
    assert!(Clock::System.instant() - begun >= Duration::from_secs(1));
    assert_eq!(slack.state().calls.len(), 2);
}

#[tokio::test]
async fn posts_into_one_channel_keep_their_distance() {
    let slack = Slack::default();
    let story = Story::new(CHANNEL);
    let limits = Limits { between_posts: Duration::from_millis(150), ..UNPACED };
    let begun = Clock::System.instant();
    let _worker = story.start(Settings { limits, ..settings(slack.start().await) });
    for run in ["A", "B", "C"] {
        story.say(&Notice { run: run.into(), ..notice(Kind::Started, 1) }).await;
    }
    story.settled().await;
    assert!(Clock::System.instant() - begun >= Duration::from_millis(300));
    assert_eq!(slack.parents().len(), 3);
}

#[tokio::test]
async fn the_end_is_shown_even_when_progress_has_used_up_its_edits() {
    let slack = Slack::default();
    let story = Story::new(CHANNEL);
    let limits = Limits { edits_for_progress: 2, edits_for_all: 3, ..UNPACED };
    let _worker = story.start(Settings { limits, ..settings(slack.start().await) });
    for (seq, kind) in [Kind::Started, Kind::Progress, Kind::Progress].into_iter().enumerate() {
        story.tell(kind, seq as u64 + 1).await;
        story.settled().await;
    }
    story.tell(Kind::Progress, 4).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!story.paper.idle(), "a third edit for progress was made");
    story.tell(Kind::Done, 5).await;
    story.settled().await;
    assert_eq!(slack.parents()[0].text, "Done 5");
    assert!(story.paper.states().contains(&("R/4/parent", "superseded")));
}

#[tokio::test]
async fn a_deleted_parent_is_replaced_with_the_state_of_now() {
    let slack = Slack::default();
    let story = Story::new(CHANNEL);
    let _worker = story.start(settings(slack.start().await));
    story.tell(Kind::Started, 1).await;
    story.settled().await;
    slack.state().messages.clear();
    story.tell(Kind::Done, 2).await;
    story.settled().await;
    assert_eq!(slack.parents().len(), 1);
    assert_eq!(slack.parents()[0].text, "Done 2");
    assert_eq!(slack.replies().len(), 1);
}

#[tokio::test]
async fn blocks_that_slack_refuses_are_sent_once_more_as_text() {
    let slack = Slack::default();
    slack.state().faults = [Fault::Refused("invalid_blocks")].into();
    let story = Story::new(CHANNEL);
    let _worker = story.start(settings(slack.start().await));
    story.tell(Kind::Started, 1).await;
    story.settled().await;
    assert_eq!(slack.parents()[0].text, "Started 1");
    assert_eq!(slack.parents()[0].body["blocks"], serde_json::json!([]));
}

#[tokio::test]
async fn a_bad_token_or_channel_keeps_the_queue_and_says_what_to_do() {
    let slack = Slack::default();
    let story = Story::new("#nowhere");
    let _worker = story.start(settings(slack.start().await));
    story.tell(Kind::Started, 1).await;
    story.until(|| story.troubles.current() != Trouble::None).await;
    let Trouble::SetUp { channel, why } = story.troubles.current() else { panic!("no set-up") };
    assert_eq!(channel, "#nowhere");
    assert!(why.starts_with("#nowhere: channel_not_found; invite the Greenlight app"), "{why}");
    assert!(!story.paper.idle());
    // Another channel that works does not hide it.
    story.troubles.answered(Some(CHANNEL));
    assert!(matches!(story.troubles.current(), Trouble::SetUp { .. }));

    let story = Story::new(CHANNEL);
    let bad = Settings { token: Secret::new("xoxb-old"), ..settings(slack.start().await) };
    let worker = story.start(bad);
    story.tell(Kind::Started, 1).await;
    story.until(|| story.troubles.current() == Trouble::Off("invalid_auth".into())).await;
    worker.abort();
    let _worker = story.start(settings(slack.start().await));
    story.settled().await;
    assert_eq!(slack.parents().len(), 1);
}

#[tokio::test]
async fn action_needed_goes_before_older_edits_of_others() {
    let slack = Slack::default();
    let story = Story::new(CHANNEL);
    let address = slack.start().await;
    let worker = story.start(settings(address));
    let of = |run: &str, kind, seq| Notice { run: run.into(), ..notice(kind, seq) };
    for run in ["A", "B"] {
        story.say(&of(run, Kind::Started, 1)).await;
    }
    story.settled().await;
    worker.abort();
    let _ = worker.await;
    slack.state().calls.clear();
    story.say(&of("B", Kind::Progress, 2)).await;
    story.say(&of("A", Kind::ActionNeeded, 2)).await;
    let _worker = story.start(settings(address));
    story.settled().await;
    let calls = slack.state().calls.clone();
    assert_eq!(calls, ["chat.postMessage", "chat.update", "chat.update"]);
}

#[tokio::test]
async fn names_from_devices_ping_nobody() {
    let slack = Slack::default();
    let story = Story::new(CHANNEL);
    let _worker = story.start(settings(slack.start().await));
    let evil = "<!channel> @here <@U1> `x` <https://x|y>";
    for (seq, kind) in [Kind::Started, Kind::ActionNeeded].into_iter().enumerate() {
        let mut notice = notice(kind, seq as u64 + 1);
        notice.checklist[0].text = evil.into();
        notice.device = evil.into();
        notice.location = evil.into();
        notice.headline = evil.into();
        notice.body = evil.into();
        story.say(&notice).await;
    }
    story.settled().await;
    let (parents, replies) = (slack.parents(), slack.replies());
    for message in parents.iter().chain(&replies) {
        let all = message.body.to_string().replace("<!here> *", "").replace("<!date^", "");
        assert!(!all.contains(['<', '`']) && !all.contains("@here"), "{all}");
    }
    assert_eq!((parents.len(), replies.len()), (1, 1));
}

#[tokio::test]
async fn the_worker_ends_when_told() {
    let slack = Slack::default();
    let story = Story::new(CHANNEL);
    let worker = story.start(settings(slack.start().await));
    story.end.send_replace(true);
    tokio::time::timeout(Duration::from_secs(5), worker).await.unwrap().unwrap();
}

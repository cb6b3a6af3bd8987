//! May this call go now? Slack's speed limits, as a machine that is told the time.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::answer::Anchor;

/// What the numbers of edits are counted over.
const EDIT_WINDOW: Duration = Duration::from_secs(60);

/// A call that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Into this channel, by the name we use for it.
    Post { channel: String },
    /// Progress may wait; what somebody waits for has a reserve.
    Edit { anchor: Anchor, progress: bool },
    /// Looking for a post of ours.
    Look,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Method {
    Post,
    Edit,
    Look,
}

impl Call {
    fn method(&self) -> Method {
        match self {
            Call::Post { .. } => Method::Post,
            Call::Edit { .. } => Method::Edit,
            Call::Look => Method::Look,
        }
    }

    /// Slack limits posts per channel, the others over all channels.
    fn scope(&self) -> (Method, String) {
        let channel = match self {
            Call::Post { channel } => channel.clone(),
            Call::Edit { .. } | Call::Look => String::new(),
        };
        (self.method(), channel)
    }
}

/// How fast we may be. The defaults are Slack's own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Between two posts into one channel.
    pub between_posts: Duration,
    /// Between two edits of one message.
    pub between_edits_of_one: Duration,
    /// Edits in a minute, over all channels, that progress may take.
    pub edits_for_progress: usize,
    /// Edits in a minute that may be made at all.
    pub edits_for_all: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // One post a second and channel (`chat.postMessage`, special tier).
            between_posts: Duration::from_secs(1),
            // Nobody reads faster.
            between_edits_of_one: Duration::from_secs(3),
            // `chat.update` is tier 3: 50 a minute. Ten are kept for what somebody waits for.
            edits_for_progress: 40,
            edits_for_all: 50,
        }
    }
}

/// What was done lately, and what Slack told us to wait for.
#[derive(Debug, Default)]
pub struct Pacing {
    limits: Limits,
    posted: HashMap<String, Instant>,
    edited: HashMap<Anchor, Instant>,
    /// Ascending; those of the last minute.
    edits: VecDeque<Instant>,
    paused: HashMap<(Method, String), Instant>,
}

impl Pacing {
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// `None`: go. Otherwise the moment before which this call must not go.
    pub fn wait(&self, call: &Call, now: Instant) -> Option<Instant> {
        let pause = self.paused.get(&call.scope()).copied();
        let pace = match call {
            Call::Post { channel } => {
                self.posted.get(channel).map(|last| *last + self.limits.between_posts)
            }
            Call::Edit { anchor, progress } => {
                let own =
                    self.edited.get(anchor).map(|last| *last + self.limits.between_edits_of_one);
                own.max(self.budget(*progress, now))
            }
            Call::Look => None,
        };
        pause.max(pace).filter(|at| *at > now)
    }

    /// When the budget of the last minute has room again.
    fn budget(&self, progress: bool, now: Instant) -> Option<Instant> {
        let Limits { edits_for_progress, edits_for_all, .. } = self.limits;
        let allowed = if progress { edits_for_progress } else { edits_for_all };
        let recent = self.edits.iter().filter(|at| **at + EDIT_WINDOW > now).count();
        let over = (recent + 1).checked_sub(allowed).filter(|over| *over > 0)?;
        let first = self.edits.len() - recent;
        // The `over` oldest of them have to leave the window.
        self.edits.get(first + over - 1).map(|at| *at + EDIT_WINDOW)
    }

    /// The call was made, whatever came of it.
    pub fn made(&mut self, call: &Call, now: Instant) {
        match call {
            Call::Post { channel } => {
                self.posted.insert(channel.clone(), now);
            }
            Call::Edit { anchor, .. } => {
                self.edited.insert(anchor.clone(), now);
                self.edits.push_back(now);
            }
            Call::Look => {}
        }
        // What is older than a minute decides nothing any more.
        self.edits.retain(|at| *at + EDIT_WINDOW > now);
        self.edited.retain(|_, at| *at + self.limits.between_edits_of_one > now);
        self.posted.retain(|_, at| *at + self.limits.between_posts > now);
        self.paused.retain(|_, until| *until > now);
    }

    /// Slack refused the call and named the time to wait.
    pub fn refused(&mut self, call: &Call, wait: Duration, now: Instant) {
        self.paused.insert(call.scope(), now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const BETWEEN_POSTS: Duration = Duration::from_secs(1);

    fn post(channel: &str) -> Call {
        Call::Post { channel: channel.into() }
    }

    fn edit(ts: usize, progress: bool) -> Call {
        Call::Edit { anchor: Anchor { channel: "C".into(), ts: ts.to_string() }, progress }
    }

    #[test]
    fn one_post_a_second_and_channel() {
        let t = Clock::System.instant();
        let mut pacing = Pacing::default();
        assert_eq!(pacing.wait(&post("a"), t), None);
        pacing.made(&post("a"), t);
        assert_eq!(pacing.wait(&post("a"), t), Some(t + BETWEEN_POSTS));
        assert_eq!(pacing.wait(&post("b"), t), None);
        assert_eq!(pacing.wait(&post("a"), t + BETWEEN_POSTS), None);
    }

    #[test]
    fn one_parent_is_edited_every_three_seconds() {
        let t = Clock::System.instant();
        let mut pacing = Pacing::default();
        pacing.made(&edit(1, true), t);
        assert_eq!(pacing.wait(&edit(1, false), t), Some(t + Duration::from_secs(3)));
        assert_eq!(pacing.wait(&edit(2, true), t), None);
    }

    #[test]
    fn progress_leaves_ten_edits_a_minute_for_actions() {
        let t = Clock::System.instant();
        let mut pacing = Pacing::default();
        for n in 0..40 {
            let at = t + Duration::from_millis(n);
            assert_eq!(pacing.wait(&edit(n as usize, true), at), None, "{n}");
            pacing.made(&edit(n as usize, true), at);
        }
        let now = t + Duration::from_secs(5);
        assert_eq!(pacing.wait(&edit(99, true), now), Some(t + EDIT_WINDOW));
        for n in 100..110 {
            assert_eq!(pacing.wait(&edit(n, false), now), None, "{n}");
            pacing.made(&edit(n, false), now);
        }
        assert_eq!(pacing.wait(&edit(200, false), now), Some(t + EDIT_WINDOW));
        // Progress waits until it is again one of forty.
        assert_eq!(
            pacing.wait(&edit(200, true), now),
            Some(t + Duration::from_millis(10) + EDIT_WINDOW)
        );
        assert_eq!(pacing.wait(&edit(200, true), t + EDIT_WINDOW + Duration::from_secs(6)), None);
    }

    #[test]
    fn a_refusal_stops_its_method_in_its_channel_only() {
        let t = Clock::System.instant();
        let mut pacing = Pacing::default();
        pacing.refused(&post("a"), Duration::from_secs(7), t);
        assert_eq!(pacing.wait(&post("a"), t), Some(t + Duration::from_secs(7)));
        assert_eq!(pacing.wait(&post("b"), t), None);
        assert_eq!(pacing.wait(&edit(1, true), t), None);
        pacing.refused(&edit(1, true), Duration::from_secs(2), t);
        assert_eq!(pacing.wait(&edit(2, false), t), Some(t + Duration::from_secs(2)));
    }
}

//! How a notice looks in Slack: the parent with its checklist, and the replies.

use crate::clock::Timestamp;
use crate::domain::notice::{ChecklistLine, LineState, Notice};
use crate::proto::slack::message::{Content, Line, Mark, Parent, Reply};

/// The parent as it stands with this notice.
pub fn parent(notice: &Notice) -> Content {
    Parent {
        device: &notice.device,
        location: &notice.location,
        headline: &notice.headline,
        lines: notice.checklist.iter().map(line).collect(),
        small: small(notice),
    }
    .content()
}

/// A reply, or the edit of one.
pub fn reply(notice: &Notice, mention: &str, prefix: &str) -> Content {
    Reply { headline: &notice.headline, body: &notice.body, mention, prefix, small: small(notice) }
        .content()
}

/// The message of a webhook: it stands alone, so it says where the device is.
pub fn alone(notice: &Notice, mention: &str, prefix: &str) -> Content {
    let mut small = small(notice);
    small.insert(0, notice.location.clone());
    Reply { headline: &notice.headline, body: &notice.body, mention, prefix, small }.content()
}

fn small(notice: &Notice) -> Vec<String> {
    let mut small = Vec::new();
    small.extend(notice.fault.map(|fault| fault.code().to_owned()));
    small.extend([format!("site {}", notice.site), format!("run {}", notice.run)]);
    small
}

fn line(line: &ChecklistLine) -> Line<'_> {
    let mark = match line.state {
        LineState::Done => Mark::Done,
        LineState::Working => Mark::Working,
        LineState::Waiting => Mark::Waiting,
        LineState::Attention => Mark::Attention,
    };
    Line { mark, word: &line.mark, text: &line.text, at: line.at.map(shown) }
}

fn shown(at: Timestamp) -> (i64, String) {
    let clock = at.time_of_day();
    let minutes = clock.rsplit_once(':').map_or(clock.as_str(), |(minutes, _)| minutes);
    (at.seconds(), format!("{minutes} UTC"))
}

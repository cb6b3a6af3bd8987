//! What a message looks like: the parent with its checklist, a reply, and their sizes.
//!
//! `text` is what a lock screen shows. Blocks are what the open app shows. Every update carries
//! both and empty attachments, since the documents do not agree on what an omitted field keeps.

use serde::{Deserialize, Serialize};

use super::text::{device_text, escape_within};

/// Characters of one section's text (Block Kit reference, section block).
pub const SECTION_CHARS_MAX: usize = 3000;
/// Characters of all blocks together. Slack refuses at about 13,200, which it does not document.
pub const BLOCKS_CHARS_MAX: usize = 8000;
/// Characters of `text`: `chat.update` refuses more than 4,000.
pub const TEXT_CHARS_MAX: usize = 4000;
/// Blocks in one message.
pub const BLOCKS_MAX: usize = 50;
/// Elements of one context block.
pub const CONTEXT_ELEMENTS_MAX: usize = 10;
/// Lines of the parent: more needs scrolling on a phone.
pub const PARENT_LINES_MAX: usize = 8;

/// The body of `chat.postMessage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    pub channel: String,
    #[serde(flatten)]
    pub content: Content,
    /// The parent's `ts`; absent for a parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_ts: Option<String>,
    pub metadata: Metadata,
    pub unfurl_links: bool,
    pub unfurl_media: bool,
}

/// The body of `chat.update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The channel's id: a name is refused here.
    pub channel: String,
    pub ts: String,
    #[serde(flatten)]
    pub content: Content,
    pub metadata: Metadata,
}

/// What is shown. An incoming webhook takes this alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub text: String,
    pub blocks: Vec<Block>,
    /// Always empty, and always sent.
    pub attachments: Vec<serde_json::Value>,
}

/// How a post is found again when its answer was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    pub event_type: String,
    pub event_payload: MetadataKey,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataKey {
    pub key: String,
}

impl Metadata {
    pub const EVENT_TYPE: &'static str = "greenlight";

    pub fn of(key: &str) -> Self {
        Self {
            event_type: Self::EVENT_TYPE.to_owned(),
            event_payload: MetadataKey { key: key.to_owned() },
        }
    }
}

/// The blocks we use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    Section { text: Text },
    Context { elements: Vec<Text> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    #[serde(rename = "type")]
    pub kind: TextKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    Mrkdwn,
}

impl Text {
    fn mrkdwn(text: String) -> Self {
        Self { kind: TextKind::Mrkdwn, text }
    }
}

/// The state of a checklist line. A word stands beside each sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Done,
    Working,
    Waiting,
    Attention,
}

impl Mark {
    fn shown(self) -> &'static str {
        match self {
            Mark::Done => "✅",
            Mark::Working => "⏳",
            Mark::Waiting => "▫️",
            Mark::Attention => "🔧",
        }
    }
}

/// One line of the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    pub mark: Mark,
    /// The mark in the reader's language.
    pub word: &'a str,
    pub text: &'a str,
    /// Seconds since 1970, and the same as `11:41 UTC` for readers without a zone.
    pub at: Option<(i64, String)>,
}

/// What a parent is made of. All texts are raw; they are escaped here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent<'a> {
    pub device: &'a str,
    pub location: &'a str,
    /// The lock-screen line.
    pub headline: &'a str,
    pub lines: Vec<Line<'a>>,
    /// Code, site, run: small print for the network team.
    pub small: Vec<String>,
}

/// What a reply is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<'a> {
    pub headline: &'a str,
    pub body: &'a str,
    /// `<!here>`, `<@U..>`: ours, not escaped. Empty for none.
    pub mention: &'a str,
    /// Before the headline: `(repeat) `, or nothing.
    pub prefix: &'a str,
    pub small: Vec<String>,
}

impl Parent<'_> {
    pub fn content(&self) -> Content {
        let mut shown = format!("*{}*", device_text(self.device));
        if !self.location.is_empty() {
            shown.push_str(" - ");
            shown.push_str(&device_text(self.location));
        }
        shown.push('\n');
        let own = format!("{}: ", self.device);
        // The device stands in the line above already.
        shown.push_str(&escape_within(
            self.headline.strip_prefix(&own).unwrap_or(self.headline),
            700,
        ));
        for line in self.lines.iter().take(PARENT_LINES_MAX - 2) {
            shown.push('\n');
            let word = escape_within(line.word, 20);
            shown.push_str(&format!("{} [{word}] ", line.mark.shown()));
            shown.push_str(&escape_within(line.text, 200));
            if let Some((seconds, fallback)) = &line.at {
                let fallback = escape_within(fallback, 20);
                shown.push_str(&format!("  <!date^{seconds}^{{time}}|{fallback}>"));
            }
        }
        content(self.headline, shown, &self.small)
    }
}

impl Reply<'_> {
    pub fn content(&self) -> Content {
        let mut shown = String::new();
        if !self.mention.is_empty() {
            shown.push_str(self.mention);
            shown.push(' ');
        }
        shown.push_str(self.prefix);
        // A `*` in the text would end the bold there, which harms nobody.
        shown.push_str(&format!("*{}*", escape_within(self.headline, 700)));
        if !self.body.is_empty() {
            shown.push('\n');
            shown.push_str(&escape_within(self.body, 2000));
        }
        content(&format!("{}{}", self.prefix, self.headline), shown, &self.small)
    }
}

/// Text alone, cut short: what is sent once more when Slack does not like our blocks. A headline
/// is shorter than the cut, so no escape is parted by it.
pub fn plain(content: &Content) -> Content {
    let text: String = content.text.chars().take(TEXT_CHARS_MAX / 4).collect();
    Content { text, blocks: Vec::new(), attachments: Vec::new() }
}

fn content(headline: &str, shown: String, small: &[String]) -> Content {
    let mut blocks = vec![Block::Section { text: Text::mrkdwn(shown) }];
    let elements: Vec<Text> = small
        .iter()
        .filter(|text| !text.is_empty())
        .take(CONTEXT_ELEMENTS_MAX)
        .map(|text| Text::mrkdwn(device_text(text)))
        .collect();
    if !elements.is_empty() {
        blocks.push(Block::Context { elements });
    }
    Content { text: escape_within(headline, TEXT_CHARS_MAX), blocks, attachments: Vec::new() }
}

/// What of a message is larger than Slack takes; empty if nothing is.
pub fn oversizes(content: &Content) -> Vec<String> {
    let mut found = Vec::new();
    let mut judge = |what: &str, is: usize, max: usize| {
        if is > max {
            found.push(format!("{what}: expected at most {max}, found {is}"));
        }
    };
    judge("text", content.text.chars().count(), TEXT_CHARS_MAX);
    judge("blocks", content.blocks.len(), BLOCKS_MAX);
    let mut all = 0;
    for block in &content.blocks {
        match block {
            Block::Section { text } => {
                let size = text.text.chars().count();
                judge("section", size, SECTION_CHARS_MAX);
                all += size;
            }
            Block::Context { elements } => {
                judge("context", elements.len(), CONTEXT_ELEMENTS_MAX);
                all += elements.iter().map(|text| text.text.chars().count()).sum::<usize>();
            }
        }
    }
    judge("all blocks", all, BLOCKS_CHARS_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(mark: Mark, text: &str, at: Option<i64>) -> Line<'_> {
        let word = match mark {
            Mark::Done => "done",
            Mark::Working => "WORK",
            Mark::Waiting => " .. ",
            Mark::Attention => "LOOK",
        };
        Line { mark, word, text, at: at.map(|seconds| (seconds, "11:41 UTC".to_owned())) }
    }

    #[test]
    fn the_parent_shows_place_state_and_steps() {
        let parent = Parent {
            device: "acc-sw-17",
            location: "Building 2, rack 4",
            headline: "acc-sw-17: 1 of 3, checking cables.",
            lines: vec![
                line(Mark::Done, "got 172.29.50.18", Some(1_795_261_276)),
                line(Mark::Working, "checking cables", None),
                line(Mark::Waiting, "hand over", None),
            ],
            small: vec!["site bma".into(), "run 01J".into()],
        };
        let post = Post {
            channel: "C1".into(),
            content: parent.content(),
            thread_ts: None,
            metadata: Metadata::of("01J/1"),
            unfurl_links: false,
            unfurl_media: false,
        };
        let shown = "*acc-sw-17* - Building 2, rack 4\n1 of 3, checking cables.\n\
                     ✅ [done] got 172.29.50.18  <!date^1795261276^{time}|11:41 UTC>\n\
                     ⏳ [WORK] checking cables\n▫️ [ .. ] hand over";
        assert_eq!(
            serde_json::to_value(&post).unwrap(),
            serde_json::json!({
                "channel": "C1",
                "text": "acc-sw-17: 1 of 3, checking cables.",
                "blocks": [
                    {"type": "section", "text": {"type": "mrkdwn", "text": shown}},
                    {"type": "context", "elements": [
                        {"type": "mrkdwn", "text": "site bma"},
                        {"type": "mrkdwn", "text": "run 01J"},
                    ]},
                ],
                "attachments": [],
                "metadata": {"event_type": "greenlight", "event_payload": {"key": "01J/1"}},
                "unfurl_links": false,
                "unfurl_media": false,
            })
        );
    }

    #[test]
    fn a_reply_mentions_in_the_block_and_keeps_the_lock_screen_for_the_act() {
        let reply = Reply {
            headline: "Move one plug: at <dist>, from port 49 to port 47.",
            body: "It is the uplink.",
            mention: "<!here>",
            prefix: "(repeat) ",
            small: vec!["G10".into()],
        };
        let content = reply.content();
        assert_eq!(
            content.text,
            "(repeat) Move one plug: at &lt;dist&gt;, from port 49 to port 47."
        );
        let Block::Section { text } = &content.blocks[0] else { panic!("no section") };
        assert!(text.text.starts_with("<!here> (repeat) *Move one plug: at &lt;dist&gt;"));
        assert!(text.text.ends_with("*\nIt is the uplink."));
    }

    #[test]
    fn an_update_always_sends_text_blocks_and_no_attachments() {
        let content = Reply { headline: "x", body: "", mention: "", prefix: "", small: vec![] };
        let update = Update {
            channel: "C1".into(),
            ts: "1.2".into(),
            content: plain(&content.content()),
            metadata: Metadata::of("k"),
        };
        let json = serde_json::to_value(&update).unwrap();
        assert_eq!(json["blocks"], serde_json::json!([]));
        assert_eq!(json["attachments"], serde_json::json!([]));
        assert_eq!(json["text"], "x");
    }

    #[test]
    fn too_large_a_message_is_seen() {
        let huge = Content {
            text: "x".repeat(4001),
            blocks: vec![Block::Section { text: Text::mrkdwn("x".repeat(3001)) }; 51],
            attachments: vec![],
        };
        let found = oversizes(&huge);
        assert!(found.iter().any(|what| what.starts_with("text: expected at most 4000")));
        assert!(found.iter().any(|what| what.starts_with("blocks: expected at most 50, found 51")));
        assert!(found.iter().any(|what| what.starts_with("section: expected at most 3000")));
        assert!(found.iter().any(|what| what.starts_with("all blocks: expected at most 8000")));
    }

    proptest! {
        #[test]
        fn no_words_make_a_message_too_large(
            name in "[a&<>`@]{0,90}",
            headline in "[a&<>`@]{0,900}",
            body in "[a&<>`@]{0,5000}",
            steps in 0usize..20,
        ) {
            let lines = (0..steps).map(|_| line(Mark::Attention, &body, Some(1))).collect();
            let small = vec![body.clone(); 12];
            let parent = Parent {
                device: &name, location: &name, headline: &headline, lines, small: small.clone(),
            };
            prop_assert_eq!(oversizes(&parent.content()), Vec::<String>::new());
            let reply = Reply {
                headline: &headline, body: &body, mention: "<!here>", prefix: "", small,
            };
            let content = reply.content();
            prop_assert_eq!(oversizes(&content), Vec::<String>::new());
            let Block::Section { text } = &content.blocks[0] else { panic!("no section") };
            prop_assert_eq!(text.text.matches('<').count(), 1);
        }
    }
}

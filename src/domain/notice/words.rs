//! Which sentence is said? The first variant whose placeholders are known and which fits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::complaint::Place;
use crate::domain::fault::Fault;
use crate::domain::notice::clean::{TEXT_CHARS_MAX, clean, cut};
use crate::domain::notice::written::{self, Checklist, Entry, Marks, Rules};
use crate::domain::notice::{HEADLINE_CHARS_MAX, WHOLE_CHARS_MAX};

/// The words of one language.
#[derive(Debug, Clone)]
pub struct Words {
    /// Its own name for itself.
    pub language: String,
    pub(super) rules: Rules,
    pub(super) ready: String,
    pub(super) this_switch: String,
    pub(super) marks: Marks,
    pub(super) started: Entry,
    pub(super) progress: Entry,
    pub(super) cleared: Entry,
    pub(super) upgrading: Entry,
    pub(super) still_waiting: Entry,
    pub(super) still_open: Entry,
    pub(super) done: Entry,
    pub(super) done_with_remarks: Entry,
    pub(super) cancelled: Entry,
    pub(super) failed: Entry,
    pub(super) checklist: Checklist,
    pub(super) address_unknown: String,
    faults: BTreeMap<Fault, Entry>,
}

/// Why a words file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WordsError {
    /// Where, and what is wrong there.
    Unreadable(Place, String),
    /// A fault without words would leave the installer without a sentence.
    NoWordsFor(Fault),
    /// A message needs at least one headline.
    NoHeadline(String),
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WordsError::Unreadable(_, why) => write!(f, "the words file cannot be read: {why}"),
            WordsError::NoWordsFor(fault) => {
                write!(f, "expected words for {} ({fault:?}), found none", fault.code())
            }
            WordsError::NoHeadline(entry) => {
                write!(f, "expected a headline under `{entry}`, found none")
            }
        }
    }
}

impl std::error::Error for WordsError {}

impl WordsError {
    /// Where in the file; zero where no line can be named.
    pub fn place(&self) -> Place {
        match self {
            WordsError::Unreadable(place, _) => *place,
            WordsError::NoWordsFor(_) | WordsError::NoHeadline(_) => Place::default(),
        }
    }
}

impl Words {
    /// The usual words, for tests.
    #[cfg(test)]
    pub fn english() -> Self {
        Self::parse(include_str!("../../../configs/words/en.yaml"))
            .expect("the built-in words are read by a test")
    }

    /// Reads a words file. Every fault must have words.
    pub fn parse(text: &str) -> Result<Self, WordsError> {
        let file =
            written::read(text).map_err(|(place, why)| WordsError::Unreadable(place, why))?;
        let words = Self {
            language: file.language,
            rules: file.rules,
            ready: file.ready,
            this_switch: file.this_switch,
            marks: file.marks,
            started: file.started,
            progress: file.progress,
            cleared: file.cleared,
            upgrading: file.upgrading,
            still_waiting: file.still_waiting,
            still_open: file.still_open,
            done: file.done,
            done_with_remarks: file.done_with_remarks,
            cancelled: file.cancelled,
            failed: file.failed,
            checklist: file.checklist,
            address_unknown: file.address_unknown,
            faults: file.faults,
        };
        for fault in Fault::ALL {
            if !words.faults.contains_key(&fault) {
                return Err(WordsError::NoWordsFor(fault));
            }
        }
        match words.entries().into_iter().find(|(_, entry)| entry.headline.is_empty()) {
            Some((name, _)) => Err(WordsError::NoHeadline(name)),
            None => Ok(words),
        }
    }

    pub(super) fn of(&self, fault: Fault) -> &Entry {
        self.faults.get(&fault).expect("`parse` saw words for every fault")
    }

    /// Every message by its name in the file.
    pub(super) fn entries(&self) -> Vec<(String, &Entry)> {
        let kinds = [
            ("started", &self.started),
            ("progress", &self.progress),
            ("cleared", &self.cleared),
            ("upgrading", &self.upgrading),
            ("still_waiting", &self.still_waiting),
            ("still_open", &self.still_open),
            ("done", &self.done),
            ("done_with_remarks", &self.done_with_remarks),
            ("cancelled", &self.cancelled),
            ("failed", &self.failed),
        ];
        let kinds = kinds.into_iter().map(|(name, entry)| (name.to_owned(), entry));
        let faults = self.faults.iter().map(|(fault, entry)| (format!("faults.{fault:?}"), entry));
        kinds.chain(faults).collect()
    }
}

/// What stands in for the placeholders.
#[derive(Debug, Clone, Default)]
pub(super) struct Fill {
    texts: BTreeMap<String, String>,
    /// Those that are never cut: half a list would be followed to the wrong end.
    whole: BTreeSet<String>,
}

impl Fill {
    /// Text from outside: cleaned and cut. Empty text counts as not known.
    pub fn set(&mut self, name: &str, raw: &str) -> &mut Self {
        self.set_up_to(name, raw, TEXT_CHARS_MAX)
    }

    /// The same for a sentence of ours that may be longer.
    pub fn set_up_to(&mut self, name: &str, raw: &str, chars_max: usize) -> &mut Self {
        let shown = clean(raw, chars_max);
        if !shown.is_empty() {
            self.texts.insert(name.to_owned(), shown);
        }
        self
    }

    /// A list of ours that is told whole or not at all. It is bounded where it is made.
    pub fn set_whole(&mut self, name: &str, raw: &str) -> &mut Self {
        self.whole.insert(name.to_owned());
        self.set_up_to(name, raw, WHOLE_CHARS_MAX)
    }

    /// Makes a text unknown again.
    pub fn forget(&mut self, name: &str) -> &mut Self {
        self.texts.remove(name);
        self
    }

    /// Fills one template in one pass, so that braces inside a filling stay what they are.
    /// `None` if a placeholder is not known. Each filling is cut to `chars_max`.
    pub fn apply(&self, template: &str, chars_max: usize) -> Option<String> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}')?;
            filled.push_str(before);
            let text = self.texts.get(name)?;
            match self.whole.contains(name) {
                true => filled.push_str(text),
                false => filled.push_str(&cut(text, chars_max)),
            }
            rest = tail;
        }
        filled.push_str(rest);
        Some(filled)
    }

    /// Headline and body of a message. The best variant that fits with whole names is taken; only
    /// if none fits are names shortened.
    pub fn message(&self, entry: &Entry) -> (String, String) {
        let headline = self.headline(entry);
        let room = WHOLE_CHARS_MAX.saturating_sub(headline.chars().count() + 1);
        let mut body = String::new();
        for sentence in &entry.body {
            let Some(text) = self.apply(sentence, TEXT_CHARS_MAX) else { continue };
            // What the headline says already is not said again.
            if headline.contains(text.trim_end_matches('.')) {
                continue;
            }
            let longer = if body.is_empty() { text } else { format!("{body} {text}") };
            if longer.chars().count() > room {
                break;
            }
            body = longer;
        }
        (headline, body)
    }

    fn headline(&self, entry: &Entry) -> String {
        // Whole names first; a host name is still told apart at 32 characters, at 16 mostly.
        for names_max in [HEADLINE_CHARS_MAX, TEXT_CHARS_MAX, 32, 24, 16, 12] {
            let fitting = entry
                .headline
                .iter()
                .filter_map(|variant| self.apply(variant, names_max))
                .find(|text| text.chars().count() <= HEADLINE_CHARS_MAX);
            if let Some(text) = fitting {
                return text;
            }
        }
        let known = entry.headline.iter().rev().find_map(|variant| self.apply(variant, 12));
        cut(&known.unwrap_or_default(), HEADLINE_CHARS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_words_are_complete() {
        let words = Words::english();
        for fault in Fault::ALL {
            assert!(!words.of(fault).headline.is_empty(), "{fault:?}");
        }
    }

    #[test]
    fn a_file_with_a_misspelt_or_missing_fault_is_refused() {
        let english = include_str!("../../../configs/words/en.yaml");
        let misspelt = english.replace("  silent:", "  sillent:");
        assert!(matches!(Words::parse(&misspelt), Err(WordsError::Unreadable(..))));
        let start = english.find("  unreadable:").unwrap();
        assert_eq!(
            Words::parse(&english[..start]).unwrap_err(),
            WordsError::NoWordsFor(Fault::Unreadable)
        );
    }

    #[test]
    fn a_name_with_braces_fills_nothing_else() {
        let mut fill = Fill::default();
        fill.set("device", "{port}").set("port", "49");
        assert_eq!(fill.apply("{device} {port}", 64).unwrap(), "{port} 49");
        assert_eq!(fill.apply("{device} {far_port}", 64), None);
    }
}

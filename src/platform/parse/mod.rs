//! What did the device say? Outputs of commands become an [`Observation`], or stay visibly
//! unreadable: an empty list is a statement of the device, never our failure to read one.

use std::collections::BTreeMap;

use regex::Regex;

use crate::platform::observation::{Observation, PartKind, Reading};
use crate::platform::{Asked, Output, Question};

pub mod answer;
pub mod details;
pub mod field;
pub mod json;
pub mod ntc;
mod parts;
pub mod rows;
pub mod table;
pub mod text;

use field::Field;

/// Most characters of a device's text that go into one explanation.
const QUOTE_CHARACTERS_MAX: usize = 160;

/// How the output of one command is read.
#[derive(Debug)]
pub struct Reader {
    /// Lines with which the device says that it has no answer, and what they mean.
    pub no_answer: Vec<(Regex, String)>,
    pub method: Method,
    /// What every row must tell, or the facts as a whole.
    pub must: Vec<Field>,
    /// The time after which this platform forgets a neighbour, in seconds; gives
    /// `remaining_seconds` its meaning.
    pub hold_seconds: Option<u64>,
    /// What a `link` that is up looks like, and one that is not. Anything else is unreadable.
    pub link: Option<(Regex, Regex)>,
    /// What the states of parts look like.
    pub states: Option<States>,
    /// What kind of part each row is; without it rows tell it themselves.
    pub kind: Option<PartKind>,
    /// It only says how the links run that the other commands of the question list. If it cannot be
    /// read, what they told still holds.
    pub details: bool,
}

/// What a part's state looks like. Anything else is unreadable.
#[derive(Debug)]
pub struct States {
    pub good: Regex,
    pub bad: Regex,
    /// Its place is empty.
    pub absent: Option<Regex>,
}

/// The ways to read, a closed list.
#[derive(Debug)]
pub enum Method {
    /// A TextFSM template whose values are named like fields.
    Table(table::Table),
    /// A TextFSM template of ntc-templates, whose values are given our names.
    Borrowed(ntc::Borrowed),
    /// JSON, one row for each place a path leads to.
    JsonRows(json::Rows),
    /// JSON, one row in all.
    JsonFields(Vec<(Field, Vec<json::Path>)>),
    /// Regular expressions over the whole text whose groups are named like fields. Each one is
    /// tried; all its matches count for serials, the first match of the first pattern for the rest.
    Patterns(Vec<Regex>),
    /// The text itself is the answer.
    Text(text::Rule),
    /// The text confirms what was done.
    Accepted(Vec<Regex>),
}

/// One row: fields with their text, in the order found.
pub type Row = Vec<(Field, String)>;

/// Turns the outputs of one visit into what the device said.
pub fn read(
    questions: &BTreeMap<Question, Asked>,
    outputs: &BTreeMap<Question, Vec<Output>>,
) -> Observation {
    let rows = |question| match questions.get(&question) {
        None => Reading::NotAsked,
        Some(asked) => match outputs.get(&question) {
            None if question == Question::Cdp => Reading::NotAsked,
            None => Reading::unreadable("it was not asked during this visit"),
            Some(outputs) => gather(asked, outputs),
        },
    };
    Observation {
        facts: and_then(rows(Question::Facts), |gathered| rows::facts(&gathered)),
        lldp: and_then(rows(Question::Lldp), |gathered| rows::neighbours(&gathered)),
        cdp: and_then(rows(Question::Cdp), |gathered| rows::neighbours(&gathered)),
        interfaces: and_then(rows(Question::Interfaces), |gathered| rows::interfaces(&gathered)),
        environment: match questions.get(&Question::Environment) {
            None => Reading::NotAsked,
            Some(asked) => match outputs.get(&Question::Environment) {
                None => Reading::unreadable("it was not asked during this visit"),
                Some(outputs) => parts::read(asked, outputs),
            },
        },
        running: and_then(rows(Question::Running), |gathered| Ok(rows::text(&gathered))),
        saved: and_then(rows(Question::Saved), |gathered| Ok(rows::text(&gathered))),
        save: match (questions.get(&Question::Save), outputs.get(&Question::Save)) {
            (Some(asked), Some(outputs)) => read_save(asked, outputs),
            (Some(_) | None, _) => Reading::NotAsked,
        },
        further: BTreeMap::new(),
    }
}

/// Whether the device confirmed that it saved.
pub fn read_save(asked: &Asked, outputs: &[Output]) -> Reading<()> {
    and_then(gather(asked, outputs), |_| Ok(()))
}

/// What one command brought, beside the reader that knows what it means.
pub struct Gathered<'a> {
    pub reader: &'a Reader,
    pub rows: Vec<Row>,
}

fn gather<'a>(asked: &'a Asked, outputs: &[Output]) -> Reading<Vec<Gathered<'a>>> {
    let mut gathered = Vec::new();
    for (index, (command, reader)) in asked.commands.iter().zip(&asked.readers).enumerate() {
        if reader.details {
            continue;
        }
        match answer(reader, outputs.get(index)) {
            Ok(rows) => gathered.push(Gathered { reader, rows }),
            Err(why) => return Reading::unreadable(format!("`{command}`: {why}")),
        }
    }
    Reading::Seen(gathered)
}

/// What one command brought, or why it brought nothing.
fn answer(reader: &Reader, output: Option<&Output>) -> Result<Vec<Row>, String> {
    match output {
        None => Err("no answer".to_owned()),
        Some(Output::Refused { why }) => Err(quote(why)),
        Some(Output::Text(text)) => reader.rows(text),
    }
}

/// True for the words with which a device says that it has no such command, as for a part that its
/// model does not have. That we may not use it is another thing.
pub fn is_unknown_command(refusal: &str) -> bool {
    let said = refusal.to_lowercase();
    let forbidden = ["authoriz", "permission", "denied", "privilege"];
    let unknown = [
        "invalid input",
        "invalid command",
        "incomplete command",
        "unrecognized",
        "unknown command",
        "unknown token",
        "unavailable command",
        "not supported",
        "not valid",
        "syntax error",
        "parse error",
        "bad command",
        "no such command",
        "command not found",
        "unknown action",
        "wrong parameter",
        "expected end of command",
    ];
    !forbidden.iter().any(|words| said.contains(words))
        && unknown.iter().any(|words| said.contains(words))
}

/// True if this is why a reading is unreadable: the device does not know the command.
pub fn tells_unknown_command(why: &str) -> bool {
    // As `answer` and those who name the command before it write it: nothing else quotes there.
    let refusal = why.strip_prefix('`').and_then(|rest| rest.split_once('`'));
    refusal.and_then(|(_, rest)| rest.strip_prefix(": `")).is_some_and(is_unknown_command)
}

fn and_then<A, B>(reading: Reading<A>, next: impl FnOnce(A) -> Result<B, String>) -> Reading<B> {
    match reading {
        Reading::Seen(value) => next(value).map_or_else(Reading::unreadable, Reading::Seen),
        Reading::Unreadable { why } => Reading::Unreadable { why },
        Reading::NotAsked => Reading::NotAsked,
    }
}

impl Reader {
    pub(super) fn rows(&self, text: &str) -> Result<Vec<Row>, String> {
        let rows = self.unchecked_rows(text)?;
        for row in &rows {
            for must in &self.must {
                if !row.iter().any(|(field, value)| field == must && !value.is_empty()) {
                    return Err(format!("no {} in {}", must.name(), describe(row, text)));
                }
            }
        }
        Ok(rows)
    }

    /// The rows up to the line that has no place, and why there are no more of them. What a row
    /// must tell is not looked at.
    fn rows_so_far(&self, text: &str) -> (Vec<Row>, Option<String>) {
        match (self.unchecked_rows(text), &self.method) {
            (Ok(rows), _) => (rows, None),
            (Err(why), Method::Table(table)) => (table.rows_so_far(text), Some(why)),
            (
                Err(why),
                Method::Borrowed(_)
                | Method::JsonRows(_)
                | Method::JsonFields(_)
                | Method::Patterns(_)
                | Method::Text(_)
                | Method::Accepted(_),
            ) => (Vec::new(), Some(why)),
        }
    }

    fn unchecked_rows(&self, text: &str) -> Result<Vec<Row>, String> {
        for (pattern, meaning) in &self.no_answer {
            if text.lines().take(NO_ANSWER_LINES).any(|line| pattern.is_match(line)) {
                return Err(meaning.clone());
            }
        }
        let rows = match &self.method {
            Method::Table(table) => table.rows(text)?,
            Method::Borrowed(borrowed) => borrowed.rows(text)?,
            Method::JsonRows(rows) => rows.read(text)?,
            Method::JsonFields(fields) => vec![json::fields(text, fields)?],
            Method::Patterns(patterns) => vec![patterns_row(patterns, text)],
            Method::Text(rule) => vec![vec![(Field::Text, rule.read(text)?)]],
            Method::Accepted(patterns) => {
                if !patterns.iter().any(|pattern| pattern.is_match(text)) {
                    return Err(format!("not confirmed: {}", quote(text.trim())));
                }
                Vec::new()
            }
        };
        Ok(rows)
    }
}

/// A refusal stands at the beginning; deep inside, the same words are somebody's description.
const NO_ANSWER_LINES: usize = 4;

fn patterns_row(patterns: &[Regex], text: &str) -> Row {
    let mut row: Row = Vec::new();
    for pattern in patterns {
        for captures in pattern.captures_iter(text) {
            for field in pattern.capture_names().flatten().filter_map(Field::named) {
                let Some(found) = captures.name(field.name()) else { continue };
                let pair = (field, found.as_str().trim().to_owned());
                let known = row.iter().any(|(other, _)| *other == field);
                if (field == Field::Serial || !known) && !row.contains(&pair) {
                    row.push(pair);
                }
            }
        }
    }
    row
}

/// The row if it says anything, else the beginning of the text.
fn describe(row: &Row, text: &str) -> String {
    if row.is_empty() {
        return quote(text.trim());
    }
    let pairs: Vec<String> =
        row.iter().map(|(field, value)| format!("{} {value}", field.name())).collect();
    quote(&pairs.join(", "))
}

/// The beginning of a device's text in backquotes, on one line.
pub fn quote(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTE_CHARACTERS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{}`", short.replace(['\n', '\r'], " "))
}

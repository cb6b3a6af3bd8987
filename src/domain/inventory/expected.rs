//! What a device must show besides its cables, as meant.

use std::net::IpAddr;
use std::sync::Arc;

use regex::Regex;

use crate::platform::Question;
use crate::platform::observation::Duplex;
use crate::platform::parse::answer::Sheet;

/// Everything that is checked only where the inventory asks for it.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// Compared without case.
    pub model: Option<String>,
    /// The chassis of a stack.
    pub members: Vec<Member>,
    pub interfaces: Vec<PlannedInterface>,
    /// Addresses that the device must reach.
    pub reaches: Vec<IpAddr>,
    pub checks: Vec<Arc<CustomCheck>>,
    /// Power supplies, fans and temperatures must be well, as far as the device tells.
    pub environment: bool,
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            model: None,
            members: Vec::new(),
            interfaces: Vec::new(),
            reaches: Vec::new(),
            checks: Vec::new(),
            environment: true,
        }
    }
}

/// One chassis of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number in the stack, for the words.
    pub number: Option<u32>,
    /// Compared without case.
    pub serial: String,
}

/// How one port must run. What is `None` is not asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedInterface {
    /// As printed on the box.
    pub port: String,
    /// In megabits per second.
    pub speed_mbps: Option<u64>,
    pub duplex: Option<Duplex>,
    pub up: Option<bool>,
}

/// A command of the operator's, and what its answer must say.
#[derive(Debug)]
pub struct CustomCheck {
    pub name: String,
    pub command: String,
    /// What is wrong when it is not met, for the network team.
    pub says: String,
    /// Not met, it does not keep the device from turning green: it is a remark.
    pub optional: bool,
    /// An empty answer is an answer.
    pub may_be_empty: bool,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
}

/// One thing that an answer must say.
#[derive(Debug)]
pub enum Condition {
    Contains(String),
    Absent(String),
    Matches(Regex),
    /// What stands in the JSON answer at this pointer (RFC 6901).
    Json {
        pointer: String,
        comparison: Comparison,
    },
    Rows {
        source: RowSource,
        demand: Demand,
    },
}

/// How an answer becomes rows.
#[derive(Debug)]
pub enum RowSource {
    /// A TextFSM template.
    Template(Sheet),
    /// A path into JSON, its steps between slashes; `*` is every element.
    Json(Vec<String>),
    /// What the platform makes of the answer to this question of its own.
    Reader(Question),
}

/// What the rows must say. The tests of one row must all hold.
#[derive(Debug)]
pub enum Demand {
    /// There are rows, and each passes.
    All(Vec<RowTest>),
    /// At least one passes.
    Any(Vec<RowTest>),
    /// So many pass.
    Count { tests: Vec<RowTest>, at_least: Option<usize>, at_most: Option<usize> },
}

/// `state = Established`.
#[derive(Debug)]
pub struct RowTest {
    /// A name in lower case; of JSON rows a pointer without its first slash.
    pub field: String,
    pub comparison: Comparison,
}

/// What a value must be.
#[derive(Debug)]
pub struct Comparison {
    pub operator: Operator,
    pub value: String,
    /// The value of [`Operator::Matches`] and [`Operator::MatchesNot`].
    pub pattern: Option<Regex>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equals,
    Differs,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Matches,
    MatchesNot,
}

impl Operator {
    pub const ALL: [Operator; 8] = [
        Operator::Equals,
        Operator::Differs,
        Operator::Less,
        Operator::AtMost,
        Operator::Greater,
        Operator::AtLeast,
        Operator::Matches,
        Operator::MatchesNot,
    ];

    pub fn sign(self) -> &'static str {
        match self {
            Operator::Equals => "=",
            Operator::Differs => "!=",
            Operator::Less => "<",
            Operator::AtMost => "<=",
            Operator::Greater => ">",
            Operator::AtLeast => ">=",
            Operator::Matches => "~",
            Operator::MatchesNot => "!~",
        }
    }
}

/// The largest automaton of one pattern: a pattern of a hundred words stays far below.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A pattern of the operator's, in time linear in the answer and bounded in size. It meets the
/// answer line by line: `^` and `$` are the ends of a line.
pub fn pattern(text: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(text)
        .multi_line(true)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| crate::written::last_line(&error.to_string()))
}

/// `state = Established`: what stands left of the operator, and the comparison.
pub fn comparison(text: &str) -> Result<(String, Comparison), String> {
    let expected = || {
        let signs: Vec<&str> = Operator::ALL.iter().map(|operator| operator.sign()).collect();
        format!("expected `field operator value` with one of {}", signs.join(" "))
    };
    let mut words = text.trim().splitn(2, char::is_whitespace);
    let (field, rest) = (words.next().unwrap_or(""), words.next().unwrap_or("").trim_start());
    let (sign, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let operator = Operator::ALL.into_iter().find(|operator| operator.sign() == sign);
    let operator = operator.filter(|_| !field.is_empty()).ok_or_else(expected)?;
    let value = value.trim().to_owned();
    let pattern = match operator {
        Operator::Matches | Operator::MatchesNot => Some(pattern(&value)?),
        Operator::Less | Operator::AtMost | Operator::Greater | Operator::AtLeast => {
            let number: f64 =
                value.parse().map_err(|_| format!("expected a number, found `{value}`"))?;
            if !number.is_finite() {
                return Err(format!("expected a number, found `{value}`"));
            }
            None
        }
        Operator::Equals | Operator::Differs => None,
    };
    Ok((field.to_owned(), Comparison { operator, value, pattern }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_a_field_an_operator_and_a_value() {
        let (field, read) = comparison("/a/b  =  two words ").unwrap();
        assert_eq!((&*field, read.operator, &*read.value), ("/a/b", Operator::Equals, "two words"));
        let (_, read) = comparison("state !~ ^(Idle|Active)$").unwrap();
        assert!(read.pattern.unwrap().is_match("Idle"));
        assert_eq!(comparison("x =").unwrap().1.value, "");
        for wrong in ["", "state", "state is up", "= up", "n > many", "n < NaN", "s ~ (", "a=b"] {
            assert!(comparison(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pattern_has_a_bounded_size() {
        assert!(pattern(r"(?:\w{100}){100}").is_err());
        assert!(pattern("^up$").unwrap().is_match("x\nup\ny"));
    }
}

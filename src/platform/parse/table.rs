//! Text answers, read by TextFSM templates of our own.
//!
//! A template of ours places every line: each state ends in a rule that turns whatever is left into
//! an error. The engine takes a pattern that runs into its backtrack limit for one that does not
//! match, so such a line ends there too, and the answer is unreadable instead of short.

use regex::Regex;
use textfsm_core::{LineOp, Template, ValueOption};

use crate::platform::parse::{Row, field::Field, quote};

/// A template and how it is known that the answer was whole.
#[derive(Debug)]
pub struct Table {
    pub template: Template,
    /// The fields of the template's values, in their order.
    pub fields: Vec<Field>,
    /// A line whose group `count` says how many rows there are.
    pub count: Option<Regex>,
    /// That line must be there. Without it, only an empty answer needs it.
    pub count_required: bool,
    /// A line with which the device says that there are no rows, where it counts none.
    pub none: Option<Regex>,
}

/// Longest line that is looked at. Legitimate ones stay far below; longer ones are somebody's
/// flood.
const LINE_BYTES_MAX: usize = 4096;

impl Table {
    /// Checks a template for what would let a line or a row vanish. The error names it.
    pub fn check(template: &Template) -> Result<Vec<Field>, String> {
        let mut fields = Vec::new();
        for value in template.values() {
            let field =
                Field::named(&value.name).ok_or_else(|| format!("`{}` is no field", value.name))?;
            for (option, harm) in [
                (ValueOption::Required, "would drop rows silently"),
                (ValueOption::Fillup, "would change rows already read"),
                (ValueOption::List, "is not supported"),
            ] {
                if value.options.contains(&option) {
                    return Err(format!("`{option:?}` at {} {harm}", value.name));
                }
            }
            fields.push(field);
        }
        sealed(template)?;
        Ok(fields)
    }

    pub fn rows(&self, text: &str) -> Result<Vec<Row>, String> {
        let rows = self.named(records(&self.template, text)?);
        self.whole(text, &rows)?;
        Ok(rows)
    }

    /// The rows above the first line without a place, be they all or not.
    pub(super) fn rows_so_far(&self, text: &str) -> Vec<Row> {
        self.named(records_so_far(&self.template, text).0)
    }

    fn named(&self, records: Vec<Vec<String>>) -> Vec<Row> {
        let named = |record: Vec<String>| -> Row {
            let texts = self.fields.iter().copied().zip(record);
            texts.filter(|(_, text)| !text.is_empty()).collect()
        };
        records.into_iter().map(named).collect()
    }

    fn whole(&self, text: &str, rows: &[Row]) -> Result<(), String> {
        let stated = self.count.as_ref().and_then(|pattern| {
            let captures = text.lines().rev().find_map(|line| pattern.captures(line.trim()))?;
            captures.name("count")?.as_str().parse::<usize>().ok()
        });
        match stated {
            Some(count) if count != rows.len() => {
                Err(format!("the device counts {count} rows, {} were read", rows.len()))
            }
            Some(_) => Ok(()),
            None if rows.is_empty() && self.count.is_some() => {
                Err("neither rows nor the statement that there are none".to_owned())
            }
            None if self.count_required => {
                Err("cut short: the line with the count is missing".into())
            }
            None if rows.is_empty() => match &self.none {
                Some(none) if text.lines().any(|line| none.is_match(line.trim_end())) => Ok(()),
                Some(_) => Err("neither rows nor the statement that there are none".to_owned()),
                None => Err("no rows".to_owned()),
            },
            None => Ok(()),
        }
    }
}

/// Every state must end in a rule that turns whatever is left into an error.
pub(super) fn sealed(template: &Template) -> Result<(), String> {
    for name in template.state_order() {
        let last = template.get_state(name).and_then(|state| state.rules.last());
        let sealed =
            last.is_none_or(|rule| rule.match_pattern == "^." && rule.line_op == LineOp::Error);
        if !sealed {
            return Err(format!("state {name} must end in `^. -> Error`, or lines get lost"));
        }
    }
    Ok(())
}

/// The records of a text, each with the texts of the template's values in their order.
pub fn records(template: &Template, text: &str) -> Result<Vec<Vec<String>>, String> {
    match records_so_far(template, text) {
        (records, None) => Ok(records),
        (_, Some(why)) => Err(why),
    }
}

/// The records up to the line that has no place, and why there are no more of them.
fn records_so_far(template: &Template, text: &str) -> (Vec<Vec<String>>, Option<String>) {
    let mut parser = template.parser();
    let mut records = Vec::new();
    let mut why = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.len() > LINE_BYTES_MAX {
            why = Some(format!("line {} is longer than {LINE_BYTES_MAX} bytes", number + 1));
            break;
        }
        // One line at a time, so that an error can name the line it met.
        let Ok(found) = parser.parse_text_with_eof(line, false) else {
            why = Some(format!("line {} has no place: {}", number + 1, quote(line)));
            break;
        };
        records.extend(found);
    }
    if why.is_none() {
        match parser.parse_text_with_eof("", true) {
            Ok(last) => records.extend(last),
            Err(error) => why = Some(error.to_string()),
        }
    }
    let texts = |record: Vec<textfsm_core::Value>| {
        record.into_iter().map(|value| value.as_string()).collect()
    };
    (records.into_iter().map(texts).collect(), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "Value NAME (\\S+)\nValue LINK (up|down)\n\nStart\n  \
        ^${NAME} is ${LINK}$$ -> Record\n  ^Total \\d+$$\n  ^. -> Error\n\nEOF\n";

    fn table(count_required: bool) -> Table {
        let template = Template::parse_str(TEMPLATE).unwrap();
        let fields = Table::check(&template).unwrap();
        let count = Some(Regex::new("^Total (?P<count>\\d+)$").unwrap());
        Table { template, fields, count, count_required, none: None }
    }

    #[test]
    fn a_line_without_a_place_is_named() {
        let why = table(false).rows("a is up\nb is sideways\n").unwrap_err();
        assert_eq!(why, "line 2 has no place: `b is sideways`");
    }

    #[test]
    fn nothing_is_only_believed_when_it_is_said() {
        assert_eq!(table(false).rows("Total 0\n").unwrap(), Vec::<Row>::new());
        assert!(table(false).rows("").is_err());
        assert!(table(false).rows("Total 1\n").is_err());
        assert!(table(true).rows("a is up\n").is_err());
        assert_eq!(table(true).rows("a is up\nTotal 1\n").unwrap().len(), 1);
    }

    #[test]
    fn a_statement_stands_for_a_count() {
        let none = Some(Regex::new("^Total 0$").unwrap());
        let table = Table { count: None, none, ..table(false) };
        assert_eq!(table.rows("Total 0\n").unwrap(), Vec::<Row>::new());
        assert_eq!(table.rows("a is up\n").unwrap().len(), 1);
        assert!(table.rows("").is_err());
        assert!(table.rows("Total 1\n").is_err());
    }

    #[test]
    fn a_template_that_could_lose_something_is_refused() {
        let check = |template: &str| Table::check(&Template::parse_str(template).unwrap());
        assert!(check(&TEMPLATE.replace("  ^. -> Error\n", "")).unwrap_err().contains("Start"));
        assert!(check(&TEMPLATE.replace("Value NAME", "Value Required NAME")).is_err());
        assert!(check(&TEMPLATE.replace("NAME", "NOM")).unwrap_err().contains("NOM"));
    }

    #[test]
    fn a_pattern_that_backtracks_without_end_is_unreadable() {
        let template = "Value NAME (\\S+)\n\nStart\n  \
            ^(?:(?:a+)+)+(?=b)${NAME} -> Record\n  ^. -> Error\n\nEOF\n";
        let template = Template::parse_str(template).unwrap();
        let fields = Table::check(&template).unwrap();
        let table = Table { template, fields, count: None, count_required: false, none: None };
        assert!(table.rows(&"a".repeat(3000)).is_err());
    }
}

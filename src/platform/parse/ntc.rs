//! Text answers, read by a template of somebody else's collection: ntc-templates names its values
//! by its own words, and lets lines pass.
//!
//! Such a template is sealed before it is used: in each state a line that none of its rules knows
//! is an error, so that an answer in another form than the template's author saw is unreadable
//! instead of short.

use regex::Regex;
use textfsm_core::{Template, ValueOption};

use crate::platform::parse::{Row, field::Field, table};

/// A template, and what its values are called here.
#[derive(Debug)]
pub struct Borrowed {
    pub template: Template,
    /// Each field with the places of the values that may tell it, the first that is not empty
    /// counts.
    pub fields: Vec<(Field, Vec<usize>)>,
    /// Only rows whose value there matches; others are knowingly left out.
    pub only: Option<(usize, Regex)>,
    /// A line with which the device says that there are no rows.
    pub none: Option<Regex>,
    /// Lines that the template does not know and that may pass.
    pub passing: Vec<Regex>,
}

/// The text of a template with `^. -> Error` at the end of each state. A state ends at an empty
/// line or at the end of the text; `EOF` and `End` are no states of lines.
pub fn sealed(text: &str) -> String {
    let mut sealed = String::new();
    let mut state: Option<&str> = None;
    let close = |sealed: &mut String, state: Option<&str>| {
        if state.is_some_and(|name| name != "EOF" && name != "End") {
            sealed.push_str("  ^. -> Error\n");
        }
    };
    for line in text.lines() {
        let is_name = line.starts_with(|c: char| c.is_ascii_alphabetic()) && !line.contains(' ');
        if line.trim().is_empty() {
            close(&mut sealed, state.take());
        } else if is_name {
            close(&mut sealed, state.replace(line.trim_end()));
        }
        sealed.push_str(line);
        sealed.push('\n');
    }
    close(&mut sealed, state);
    sealed
}

/// What would change rows that were read already. The error names it.
pub fn check(template: &Template) -> Result<(), String> {
    let mut values = template.values().iter();
    match values.find(|value| value.options.contains(&ValueOption::Fillup)) {
        Some(value) => Err(format!("`Fillup` at {} would change rows already read", value.name)),
        None => Ok(()),
    }
}

/// Where a value of this name stands in each record.
pub fn place(template: &Template, name: &str) -> Option<usize> {
    template.values().iter().position(|value| value.name == name)
}

impl Borrowed {
    pub fn rows(&self, text: &str) -> Result<Vec<Row>, String> {
        // An empty line in their place: the numbers of the others stay.
        let passes = |line: &str| self.passing.iter().any(|pattern| pattern.is_match(line));
        let line =
            |line: &str| if passes(line.trim_end()) { "\n".into() } else { format!("{line}\n") };
        let known: String = text.lines().map(line).collect();
        let records = table::records(&self.template, &known)?;
        if records.is_empty() {
            let said = |none: &Regex| text.lines().any(|line| none.is_match(line.trim_end()));
            return match &self.none {
                Some(none) if said(none) => Ok(Vec::new()),
                Some(_) => Err("neither rows nor the statement that there are none".to_owned()),
                None => Err("no rows".to_owned()),
            };
        }
        let counts = |record: &&Vec<String>| match &self.only {
            Some((place, pattern)) => pattern.is_match(&record[*place]),
            None => true,
        };
        Ok(records.iter().filter(counts).map(|record| self.row(record)).collect())
    }

    fn row(&self, record: &[String]) -> Row {
        let filled = |(field, places): &(Field, Vec<usize>)| {
            let mut texts = places.iter().map(|place| record[*place].trim());
            texts.find(|text| !text.is_empty()).map(|text| (*field, text.to_owned()))
        };
        self.fields.iter().filter_map(filled).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
Value Filldown SLOT (\\d+)
Value Required NAME (\\S+)
Value SERIAL (\\S*)

Start
  ^Slot ${SLOT}$$
  # one a line
  ^\\s+${NAME} sn\\s*${SERIAL}$$ -> Record
  ^-- -> Foot


Foot
  ^sum

EOF
";

    fn borrowed(only: Option<&str>, none: Option<&str>) -> Borrowed {
        let template = Template::parse_str(&sealed(TEMPLATE)).unwrap();
        check(&template).unwrap();
        let (name, serial) =
            (place(&template, "NAME").unwrap(), place(&template, "SERIAL").unwrap());
        Borrowed {
            template,
            fields: vec![(Field::Serial, vec![serial, name])],
            only: only.map(|only| (name, Regex::new(only).unwrap())),
            none: none.map(|none| Regex::new(none).unwrap()),
            passing: vec![Regex::new("^\\*\\*\\*").unwrap()],
        }
    }

    #[test]
    fn its_values_become_fields_and_other_rows_are_left_out() {
        let text = "Slot 1\n  fan sn F1\n  chassis sn C1\n  bare sn \n";
        let serials = |rows: Vec<Row>| -> Vec<String> {
            rows.into_iter().flatten().map(|(_, text)| text).collect()
        };
        assert_eq!(serials(borrowed(None, None).rows(text).unwrap()), ["F1", "C1", "bare"]);
        let chassis = borrowed(Some("^chassis$"), None).rows("Slot 1\n  chassis sn C1\n").unwrap();
        assert_eq!(serials(chassis), ["C1"]);
    }

    #[test]
    fn a_line_that_the_template_lets_pass_is_an_error_once_it_is_sealed() {
        let why = borrowed(None, None).rows("Slot 1\nsomething new\n").unwrap_err();
        assert_eq!(why, "line 2 has no place: `something new`");
        let why = borrowed(None, None).rows("*** a banner\nSlot 1\nsomething new\n").unwrap_err();
        assert_eq!(why, "line 3 has no place: `something new`");
        let why = borrowed(None, None).rows("-- \nsum\nmore\n").unwrap_err();
        assert_eq!(why, "line 3 has no place: `more`");
        let open = Template::parse_str(TEMPLATE).unwrap();
        assert!(table::records(&open, "Slot 1\nsomething new\n").is_ok(), "as it was published");
    }

    #[test]
    fn nothing_is_only_believed_when_it_is_said() {
        assert!(borrowed(None, None).rows("Slot 1\n").is_err());
        assert!(borrowed(None, Some("^sum 0$")).rows("Slot 1\n").is_err());
        assert_eq!(borrowed(None, Some("^sum 0$")).rows("--\nsum 0\n").unwrap(), Vec::<Row>::new());
    }
}

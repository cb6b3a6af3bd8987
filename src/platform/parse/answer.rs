//! What does the answer to an operator's own command say? A TextFSM template of the operator's, or
//! a reader of the platform, makes rows of it.

use std::collections::BTreeMap;

use textfsm_core::Template;

use crate::platform::parse::table;
use crate::platform::{Platform, Question};

/// A row: the text of each field by its name, in lower case. A field of which the row says nothing
/// is not there.
pub type Named = BTreeMap<String, String>;

/// Most rows that one answer may give: the bound of structured answers, too.
pub const ROWS_MAX: usize = 20_000;

/// An operator's template.
#[derive(Debug)]
pub struct Sheet {
    template: Template,
    names: Vec<String>,
}

impl Sheet {
    /// Reads a template. As in platform files, each state must place every line.
    pub fn new(text: &str) -> Result<Self, String> {
        let template = Template::parse_str(text).map_err(|error| error.to_string())?;
        table::sealed(&template)?;
        let names = template.values().iter().map(|value| value.name.to_lowercase()).collect();
        Ok(Self { template, names })
    }

    /// The names of its values, in lower case.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn rows(&self, text: &str) -> Result<Vec<Named>, String> {
        let records = table::records(&self.template, text)?;
        if records.len() > ROWS_MAX {
            return Err(format!("more than {ROWS_MAX} rows"));
        }
        let named = |record: Vec<String>| {
            let texts = self.names.iter().cloned().zip(record);
            texts.filter(|(_, text)| !text.trim().is_empty()).collect()
        };
        Ok(records.into_iter().map(named).collect())
    }
}

impl Platform {
    /// The rows that this platform's first reader of a question makes of a text. `None` if it has
    /// no such question.
    pub fn rows_of(&self, question: Question, text: &str) -> Option<Result<Vec<Named>, String>> {
        let reader = self.questions.get(&question)?.readers.first()?;
        Some(reader.rows(text).map(|rows| {
            rows.into_iter()
                .map(|row| {
                    row.into_iter().map(|(field, text)| (field.name().to_owned(), text)).collect()
                })
                .collect()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platforms;

    const TEMPLATE: &str = "Value PEER (\\S+)\nValue STATE (\\w+)\n\nStart\n  \
        ^${PEER} is ${STATE}$$ -> Record\n  ^. -> Error\n\nEOF\n";

    #[test]
    fn an_operators_template_gives_rows_by_name() {
        let sheet = Sheet::new(TEMPLATE).unwrap();
        let rows = sheet.rows("10.0.0.1 is up\n10.0.0.2 is down\n").unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!((&*rows[1]["peer"], &*rows[1]["state"]), ("10.0.0.2", "down"));
        assert!(sheet.rows("what?\n").unwrap_err().contains("what?"));
    }

    #[test]
    fn a_value_that_a_row_does_not_tell_is_not_there() {
        let template =
            TEMPLATE.replace("  ^. -> Error\n", "  ^${PEER} idle$$ -> Record\n  ^. -> Error\n");
        let rows = Sheet::new(&template).unwrap().rows("10.0.0.1 idle\n").unwrap();
        assert_eq!(rows, [Named::from([("peer".to_owned(), "10.0.0.1".to_owned())])]);
    }

    #[test]
    fn a_template_that_could_lose_a_line_is_refused() {
        assert!(Sheet::new(&TEMPLATE.replace("  ^. -> Error\n", "")).is_err());
        assert!(Sheet::new("no template").is_err());
    }

    #[test]
    fn a_reader_of_the_platform_gives_rows_by_the_names_of_its_fields() {
        let platforms = Platforms::built_in();
        let frr = &platforms.by_id["frr"];
        let text = r#"[{"ifname": "eth1", "flags": ["UP", "LOWER_UP"]}]"#;
        let rows = frr.rows_of(Question::Interfaces, text).unwrap().unwrap();
        assert_eq!(
            rows,
            [Named::from([
                ("name".to_owned(), "eth1".to_owned()),
                ("link".to_owned(), "UP LOWER_UP".to_owned()),
            ])]
        );
        assert!(frr.rows_of(Question::Interfaces, "?").unwrap().is_err());
        assert!(frr.rows_of(Question::Cdp, "").is_none());
    }
}

//! What can each platform do? Rows for a table; drawing it is the caller's business.

use serde::Serialize;

use crate::platform::checksum::Checksum;
use crate::platform::parse::Reader;
use crate::platform::{Platform, Platforms, Question};

/// One platform by its capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableRow {
    pub id: String,
    pub title: String,
    /// One entry for each way its request may look: `60 vendor class + 61 client id`. Empty if no
    /// request can tell it.
    pub recognised_by: Vec<String>,
    /// `tftp`, `http` and the like.
    pub transports: Vec<&'static str>,
    /// What can be asked of it.
    pub questions: Vec<Question>,
    /// It also tells speed, duplex, errors and link changes.
    pub details: bool,
    /// It can be told to reach an address.
    pub ping: bool,
    /// How it comes to other software: `by steps`, `by ztp`.
    pub software: Option<&'static str>,
    /// The line of the file that holds its digest, and the file beside it that does.
    pub checksum: Option<String>,
    /// It must be told to save.
    pub must_save: bool,
    /// What cannot be done, one sentence each.
    pub limits: Vec<String>,
}

impl Platforms {
    /// One row for each platform, by id.
    pub fn table(&self) -> Vec<TableRow> {
        self.by_id.values().map(|platform| platform.table_row()).collect()
    }
}

impl Platform {
    fn tells_details(&self) -> bool {
        let asked = self.questions.get(&Question::Interfaces);
        asked.is_some_and(|asked| asked.readers.iter().any(Reader::tells_details))
    }

    pub fn table_row(&self) -> TableRow {
        let way = |rule: &super::recognition::Rule| {
            let fields: Vec<String> = rule.conditions.iter().map(|c| c.field.title()).collect();
            fields.join(" + ")
        };
        let mut recognised_by: Vec<String> = Vec::new();
        for way in self.recognition.iter().map(way) {
            if !recognised_by.contains(&way) {
                recognised_by.push(way);
            }
        }
        TableRow {
            id: self.id.clone(),
            title: self.title.clone(),
            recognised_by,
            transports: self.transports.iter().map(|transport| transport.name()).collect(),
            questions: self.questions.keys().copied().collect(),
            details: self.tells_details(),
            ping: self.ping.is_some(),
            software: self.software.as_ref().map(|software| match software.steps.is_empty() {
                false => "by steps",
                true => "by ztp",
            }),
            checksum: self.checksum.as_ref().map(Checksum::title),
            must_save: self.must_save,
            limits: self.limits.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_has_one_row_that_tells_what_its_file_says() {
        let platforms = Platforms::built_in();
        let table = platforms.table();
        assert_eq!(table.len(), platforms.by_id.len());
        let frr = table.iter().find(|row| row.id == "frr").expect("it is built in");
        assert_eq!(frr.recognised_by, ["60 vendor class", "60 vendor class + 61 client id"]);
        assert_eq!(frr.questions.first(), Some(&Question::Facts));
        assert!(!frr.questions.contains(&Question::Cdp));
        assert!(frr.must_save && frr.details && frr.ping);
        assert_eq!(frr.software, None);
        let told = |id: &str| table.iter().find(|row| row.id == id).and_then(|row| row.software);
        assert_eq!((told("cisco_iosxe"), told("onie")), (Some("by steps"), Some("by ztp")));
        let nxos = table.iter().find(|row| row.id == "cisco_nxos").expect("it is built in");
        assert_eq!(nxos.checksum.as_deref(), Some("md5 on line 2, and in a second file `*.md5`"));
    }

    #[test]
    fn every_platform_can_fetch_a_file_or_says_what_it_cannot() {
        for row in Platforms::built_in().table() {
            assert!(!row.transports.is_empty() || !row.limits.is_empty(), "{}", row.id);
            assert!(!row.recognised_by.is_empty() || !row.limits.is_empty(), "{}", row.id);
        }
    }
}

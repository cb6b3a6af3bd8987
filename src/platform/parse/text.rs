//! A configuration as text: whole, or unreadable.

use regex::Regex;

/// When a text is a whole answer.
#[derive(Debug)]
pub struct Rule {
    /// A line with which the device says that there is nothing: the answer is then empty, and seen.
    pub absent: Option<Regex>,
    /// The last line that is not blank must match, or the text was cut.
    pub last_line: Option<Regex>,
    /// An empty text is an answer.
    pub may_be_empty: bool,
}

impl Rule {
    pub fn read(&self, text: &str) -> Result<String, String> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let first = lines.next();
        let Some(last) = lines.next_back().or(first) else {
            return if self.may_be_empty {
                Ok(String::new())
            } else {
                Err("expected a configuration, found nothing".to_owned())
            };
        };
        if let (Some(absent), Some(first)) = (&self.absent, first)
            && absent.is_match(first.trim())
        {
            return Ok(String::new());
        }
        match &self.last_line {
            Some(pattern) if !pattern.is_match(last.trim()) => {
                // The line itself may hold a secret, so it is not quoted.
                Err(format!("cut short: the last line is not {pattern}"))
            }
            Some(_) | None => Ok(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_is_not_a_configuration() {
        let rule = Rule {
            absent: Some(Regex::new("is not present$").unwrap()),
            last_line: Some(Regex::new("^end$").unwrap()),
            may_be_empty: false,
        };
        assert_eq!(rule.read("hostname x\nend\n\n").unwrap(), "hostname x\nend\n\n");
        assert_eq!(rule.read("startup-config is not present\n").unwrap(), "");
        let why = rule.read("enable secret 0 hunter2\n").unwrap_err();
        assert!(why.contains("cut short") && !why.contains("hunter2"), "{why}");
        assert!(rule.read(" \n").is_err());
    }
}

//! Which line tells the device that its file arrived whole? Some platforms refuse a file without
//! its own digest, so it is computed after every rendering.

use md5::Md5;
use sha2::{Digest, Sha256};

/// A digest of the file without the line that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    pub kind: Kind,
    /// The line it becomes, from 1.
    pub line: usize,
    /// What stands before the digest in that line: `#md5sum="`.
    pub before: String,
    /// What stands behind it.
    pub after: String,
    /// The ending of a second file that the platform asks for and that holds the digest alone:
    /// `.md5`.
    pub beside: Option<String>,
}

/// Which digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Md5,
    Sha256,
}

impl Kind {
    /// As platform files write it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Md5 => "md5",
            Kind::Sha256 => "sha256",
        }
    }

    /// In lower-case hexadecimal digits.
    pub fn digest(self, text: &str) -> String {
        let bytes = match self {
            Kind::Md5 => Md5::digest(text.as_bytes()).to_vec(),
            Kind::Sha256 => Sha256::digest(text.as_bytes()).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Checksum {
    /// In words: `md5 on line 2`.
    pub fn title(&self) -> String {
        let beside = self.beside.as_ref();
        let beside = beside.map(|end| format!(", and in a second file `*{end}`"));
        format!("{} on line {}{}", self.kind.name(), self.line, beside.unwrap_or_default())
    }

    /// The name of the file whose digest `asked` holds, if it is the name of such a second file.
    pub fn digest_of<'n>(&self, asked: &'n str) -> Option<&'n str> {
        let end = self.beside.as_deref()?;
        let at = asked.len().checked_sub(end.len()).filter(|at| asked.is_char_boundary(*at))?;
        let (name, ending) = asked.split_at(at);
        let is_one = ending.eq_ignore_ascii_case(end) && !name.is_empty() && !name.ends_with('/');
        is_one.then_some(name)
    }

    /// The second file of `served`, which is called `name`: the digest and the name, as `md5sum`
    /// and its like print them. The script that Cisco publishes for POAP looks for the line that has
    /// the name.
    pub fn beside(&self, name: &str, served: &str) -> String {
        let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
        format!("{}  {last}\n", self.kind.digest(served))
    }

    /// The text with its checksum line. An older one in that place is replaced, so that finishing
    /// twice changes nothing.
    pub fn finish(&self, rendered: &str) -> String {
        let mut lines: Vec<&str> = rendered.split_inclusive('\n').collect();
        let at = (self.line - 1).min(lines.len());
        if lines.get(at).is_some_and(|line| self.is_checksum(line)) {
            lines.remove(at);
        }
        let digest = self.kind.digest(&lines.concat());
        // Without its end the line before would swallow the checksum.
        let end = if at > 0 && !lines[at - 1].ends_with('\n') { "\n" } else { "" };
        let line = format!("{end}{}{digest}{}\n", self.before, self.after);
        lines.insert(at, &line);
        lines.concat()
    }

    fn is_checksum(&self, line: &str) -> bool {
        let digest = line.trim_end().strip_prefix(self.before.as_str());
        let digest = digest.and_then(|rest| rest.strip_suffix(self.after.as_str()));
        digest.is_some_and(|digest| digest.bytes().all(|b| b.is_ascii_hexdigit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn md5_on_line_two() -> Checksum {
        Checksum {
            kind: Kind::Md5,
            line: 2,
            before: "#md5sum=\"".into(),
            after: "\"".into(),
            beside: Some(".md5".into()),
        }
    }

    #[test]
    fn the_digest_is_that_of_the_file_without_its_line() {
        let script = "#!/bin/env python\nprint(1)\n";
        let finished = md5_on_line_two().finish(script);
        let mut lines: Vec<&str> = finished.split_inclusive('\n').collect();
        let line = lines.remove(1);
        assert_eq!(lines.concat(), script);
        assert_eq!(line, format!("#md5sum=\"{}\"\n", Kind::Md5.digest(script)));
    }

    #[test]
    fn an_older_checksum_is_replaced() {
        let once = md5_on_line_two().finish("#!/bin/env python\nprint(1)\n");
        assert_eq!(md5_on_line_two().finish(&once), once);
        let changed = md5_on_line_two().finish(&once.replace("print(1)", "print(2)"));
        assert_eq!(changed, md5_on_line_two().finish("#!/bin/env python\nprint(2)\n"));
    }

    #[test]
    fn short_files_get_their_line_too() {
        assert_eq!(md5_on_line_two().finish(""), "#md5sum=\"d41d8cd98f00b204e9800998ecf8427e\"\n");
        let finished = md5_on_line_two().finish("#!x");
        assert!(finished.starts_with("#!x\n#md5sum=\""), "{finished}");
    }

    #[test]
    fn the_second_file_names_the_first_and_its_digest() {
        let checksum = md5_on_line_two();
        assert_eq!(checksum.digest_of("a/sw1.py.md5"), Some("a/sw1.py"));
        assert_eq!(checksum.digest_of("SW1.CFG.MD5"), Some("SW1.CFG"));
        for name in [".md5", "a/.md5", "sw1.py", "md5", "", "\u{e9}md5"] {
            assert_eq!(checksum.digest_of(name), None, "{name}");
        }
        let line = "900150983cd24fb0d6963f7d28e17f72  sw1.py\n";
        assert_eq!(checksum.beside("a/sw1.py", "abc"), line);
        let alone = Checksum { beside: None, ..md5_on_line_two() };
        assert_eq!(alone.digest_of("sw1.py.md5"), None);
    }

    #[test]
    fn digests_are_those_of_their_standards() {
        // The standards of both give these for "abc".
        assert_eq!(Kind::Md5.digest("abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert!(Kind::Sha256.digest("abc").starts_with("ba7816bf8f01cfea414140de5dae2223"));
    }
}

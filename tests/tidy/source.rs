//! What stands in a Rust file, once comments and texts are taken out of it?

use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// Below `src/`, such as `servers/tftp/mod.rs`.
    pub path: String,
    pub raw: String,
    /// The same length in lines, with comments, strings and characters blanked.
    pub code: String,
    /// Another file says `#[cfg(test)] mod` of it.
    pub for_tests: bool,
}

impl Source {
    pub fn new(path: &str, raw: &str) -> Self {
        let (path, raw, code) = (path.to_owned(), raw.to_owned(), blank(raw));
        Self { path, raw, code, for_tests: false }
    }

    /// `servers` of `servers/tftp/mod.rs`, `clock` of `clock.rs`.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().expect("a path has a first part");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The names of the module this file is: none for `lib.rs` and `main.rs`.
    pub fn modules(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = self.path.split('/').collect();
        let last = parts.pop().expect("a path has a last part");
        let stem = last.strip_suffix(".rs").unwrap_or(last);
        if !matches!(stem, "mod" | "lib" | "main") {
            parts.push(stem);
        }
        parts
    }

    /// The code without the test module at the foot of the file.
    pub fn work(&self) -> &str {
        if self.for_tests {
            return "";
        }
        &self.code[..tests_begin(&self.code).unwrap_or(self.code.len())]
    }

    /// How many lines stand above the test module.
    pub fn lines(&self) -> usize {
        self.work().lines().count()
    }
}

/// Every Rust file below a directory, in order, with its path relative to that directory.
pub fn below(directory: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(here) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&here) else { continue };
        for entry in entries {
            let path = entry.expect("the tree can be read").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    let mut sources: Vec<Source> = found.iter().map(|path| read(directory, path)).collect();
    mark_tests(&mut sources);
    sources
}

/// Marks the files, and the folders behind them, that are modules of tests as a whole.
fn mark_tests(sources: &mut [Source]) {
    let mut folders: Vec<String> = Vec::new();
    for source in &*sources {
        let modules = source.modules().join("/");
        folders.extend(test_files(&source.code).map(|name| {
            if modules.is_empty() { name.to_owned() } else { format!("{modules}/{name}") }
        }));
    }
    for source in sources {
        let modules = source.modules().join("/");
        source.for_tests = folders.iter().any(|folder| {
            modules
                .strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
    }
}

/// The names in `#[cfg(test)] mod name;`.
fn test_files(code: &str) -> impl Iterator<Item = &str> {
    code.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let statement = &after[..after.find([';', '{'])?];
        let ends = after[statement.len()..].starts_with(';');
        let (before, name) = statement.rsplit_once("mod ")?;
        let visible = before.trim().is_empty() || before.trim().starts_with("pub");
        (ends && visible).then(|| name.trim())
    })
}

fn read(directory: &Path, path: &PathBuf) -> Source {
    let raw = std::fs::read_to_string(path).expect("a source file is text");
    let short = path.strip_prefix(directory).expect("the path was found below it");
    Source::new(&short.to_string_lossy(), &raw)
}

/// Where `#[cfg(test)] mod` begins.
fn tests_begin(code: &str) -> Option<usize> {
    code.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|at| {
        let after = code[at + "#[cfg(test)]".len()..].trim_start();
        after.starts_with("mod ") && !after.lines().next().is_some_and(|line| line.ends_with(';'))
    })
}

/// Blanks comments, strings and characters; line ends stay where they are.
pub fn blank(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = skip(raw, at);
        if end > at {
            out.extend(raw[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            let c = raw[at..].chars().next().expect("not at the end");
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// Where the comment, string or character that begins at `at` ends; `at` itself for code.
fn skip(raw: &str, at: usize) -> usize {
    let rest = &raw[at..];
    let before = raw[..at].chars().next_back().unwrap_or(' ');
    let in_word = before.is_alphanumeric() || before == '_';
    if rest.starts_with("//") {
        return at + rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return at + block_comment(rest);
    }
    if let Some(text) = rest.strip_prefix('"') {
        return at + 1 + quoted(text, '"');
    }
    if !in_word && let Some(length) = raw_string(rest) {
        return at + length;
    }
    if let Some(character) = rest.strip_prefix('\'').filter(|_| is_character(rest)) {
        return at + 1 + quoted(character, '\'');
    }
    at
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == mark {
            return at + 1;
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let start = ["br", "cr", "r"].iter().find(|start| rest.starts_with(**start))?;
    let after = &rest[start.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    if !after[hashes..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = start.len() + hashes + 1;
    Some(rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()))
}

/// A character, and not a lifetime: `'a'` and `'\n'` against `'a`.
fn is_character(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Every place where `word` stands alone, not inside a longer name.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !code[..*at].chars().next_back().is_some_and(part)
            && !code[at + word.len()..].chars().next().is_some_and(part)
    })
}

/// The line of a byte, from 1.
pub fn line(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_blanked_and_code_stays() {
        let raw = "use a; // crate::store\nlet s = \"crate::x\"; /* a /* b */ c */ let c = '\"';";
        let code = blank(raw);
        assert_eq!(code.len(), raw.len());
        assert!(!code.contains("crate"), "{code}");
        assert!(code.contains("let c ="), "{code}");
        assert!(!code.contains('"'), "{code}");
    }

    #[test]
    fn a_raw_string_ends_at_its_own_mark_and_a_lifetime_is_code() {
        assert_eq!(blank("r#\"a \" b\"# + x"), "           + x");
        assert_eq!(blank("fn f<'a>(x: &'a str)"), "fn f<'a>(x: &'a str)");
        assert_eq!(blank("let r = b;"), "let r = b;");
    }

    #[test]
    fn the_test_module_is_not_counted() {
        let source =
            Source::new("a.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n");
        assert_eq!(source.lines(), 2);
        assert!(!source.work().contains("fn g"));
    }

    #[test]
    fn a_file_of_tests_is_not_work() {
        let mut sources = vec![
            Source::new("proto/mod.rs", "#[cfg(test)]\nmod timetable;\nmod packet;"),
            Source::new("proto/timetable.rs", "fn f() {}"),
            Source::new("proto/timetable/more.rs", "fn f() {}"),
            Source::new("proto/timetables.rs", "fn f() {}"),
            Source::new("proto/packet.rs", "#[cfg(test)]\nmod tests { mod deep; }\n"),
        ];
        mark_tests(&mut sources);
        let marked: Vec<bool> = sources.iter().map(|source| source.for_tests).collect();
        assert_eq!(marked, [false, true, true, false, false]);
        assert_eq!(sources[1].lines(), 0);
    }

    #[test]
    fn a_word_is_not_found_inside_a_longer_one() {
        assert_eq!(words("nix unix nix_x nix::y", "nix").count(), 2);
    }
}

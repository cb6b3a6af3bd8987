//! How long, how wide, and by which names?

use crate::source::{Source, line, words};

pub const LINES: usize = 500;
pub const COLUMNS: usize = 100;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "base", "misc", "manager", "helpers"];

/// Complaints about length, width and name of one file. A row of a table cannot be broken, and a
/// text in quotes need not be.
pub fn excesses(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = source.lines();
    if lines > LINES {
        complaints.push(format!(
            "{}: {lines} lines without its tests, {LINES} are allowed; split it by what it \
             answers, into a folder of its own name",
            source.path
        ));
    }
    for (at, (text, code)) in source.raw.lines().zip(source.code.lines()).enumerate() {
        let wide = text.chars().count();
        let comment = text.trim_start().starts_with("//");
        let table = text.trim_start_matches(['/', '!', ' ']).starts_with('|');
        let whole = if comment { table } else { text != code };
        if wide > COLUMNS && !whole {
            complaints.push(format!(
                "{}:{}: {wide} columns, {COLUMNS} are allowed; break the line",
                source.path,
                at + 1
            ));
        }
    }
    for part in source.path.split('/') {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        if EMPTY_NAMES.contains(&stem) {
            complaints.push(format!(
                "{}: `{stem}` names no content; code without a name has not found its place",
                source.path
            ));
        }
    }
    complaints
}

/// Complaints about receipts that the store did not write.
pub fn forged_receipts(source: &Source) -> Vec<String> {
    if source.room() == "store" || source.room() == "receipt" {
        return Vec::new();
    }
    let work = source.work();
    words(work, "by_the_store")
        .map(|at| {
            format!(
                "src/{}:{}: only store/ may say that something is stored; take a `Committed` as \
                 an argument",
                source.path,
                line(work, at)
            )
        })
        .collect()
}

/// Complaints about clocks read outside `clock.rs`.
pub fn stolen_time(source: &Source) -> Vec<String> {
    if source.path == "clock.rs" {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for clock in ["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"] {
        for at in words(&source.code, clock) {
            complaints.push(format!(
                "src/{}:{}: `{clock}` here; ask the `Clock` you were given",
                source.path,
                line(&source.code, at)
            ));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_refused_and_its_tests_are_not_counted() {
        let long = "fn f() {}\n".repeat(LINES + 1);
        assert_eq!(excesses(&Source::new("a.rs", &long)).len(), 1);
        let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(excesses(&Source::new("a.rs", &tests)).len(), 0);
    }

    #[test]
    fn a_wide_line_and_an_empty_name_are_refused() {
        let wide = format!("// {}\n", "ä".repeat(COLUMNS));
        assert_eq!(excesses(&Source::new("a.rs", &wide)).len(), 1);
        let table = format!("//! | {} |\n", "a".repeat(COLUMNS));
        assert_eq!(excesses(&Source::new("a.rs", &table)).len(), 0);
        let quoted = format!("    \"{}\",\n", "a".repeat(COLUMNS));
        assert_eq!(excesses(&Source::new("a.rs", &quoted)).len(), 0);
        let code = format!("let {} = 1;\n", "a".repeat(COLUMNS));
        assert_eq!(excesses(&Source::new("a.rs", &code)).len(), 1);
        assert_eq!(excesses(&Source::new("service/utils.rs", "")).len(), 1);
        assert_eq!(excesses(&Source::new("service/common/mod.rs", "")).len(), 1);
    }

    #[test]
    fn nobody_but_the_store_signs_receipts() {
        let code = "let c = Committed::by_the_store(1);";
        assert_eq!(forged_receipts(&Source::new("servers/dhcp/mod.rs", code)).len(), 1);
        assert_eq!(forged_receipts(&Source::new("store/writer.rs", code)).len(), 0);
        let test = format!("#[cfg(test)]\nmod tests {{ {code} }}");
        assert_eq!(forged_receipts(&Source::new("servers/dhcp/mod.rs", &test)).len(), 0);
    }

    #[test]
    fn time_is_read_in_one_place() {
        let code = "let t = std::time::Instant::now();";
        assert_eq!(stolen_time(&Source::new("probes/ssh/mod.rs", code)).len(), 1);
        assert_eq!(stolen_time(&Source::new("clock.rs", code)).len(), 0);
    }
}

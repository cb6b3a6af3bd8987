//! File names a platform asks for.

/// Names of configurations that scripts of any platform fetch: POAP's `conf.SERIAL` and its like.
pub const CONFIGURATIONS: [&str; 2] = ["conf.*", "*.cfg"];

/// True if the last part of the name matches one of the globs, without regard to case.
/// The globs are in lower case; `*` stands for any run of characters.
pub fn known(globs: &[String], name: &str) -> bool {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name).to_lowercase();
    !last.is_empty() && globs.iter().any(|glob| matches(glob, &last))
}

/// Linear in the name for each `*`: the earliest place for every middle part is the best one.
fn matches(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_without_case_and_directory() {
        let globs = ["network-confg".to_owned(), "*-confg".to_owned(), "conf*.cfg".to_owned()];
        for name in ["network-confg", "/NETWORK-CONFG", "a\\b/sw1-confg", "conf_x.cfg", "conf.cfg"]
        {
            assert!(known(&globs, name), "{name}");
        }
        for name in ["", "/", "confg", "conf.cfg.bak", "xconf.cfg", "network-confg/", "conf.cf"] {
            assert!(!known(&globs, name), "{name}");
        }
    }

    #[test]
    fn beginning_and_end_do_not_share_characters() {
        assert!(!known(&["ab*ba".to_owned()], "aba"));
        assert!(known(&["ab*ba".to_owned()], "abba"));
        assert!(known(&["*".to_owned()], "x"));
    }
}

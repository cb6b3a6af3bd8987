//! Where each foreign crate may be named.

use crate::source::{Source, line, words};

/// One line per dependency: its name in code, its homes below `src/`, and why it is here.
/// A home is a folder (`store/`), a file (`entropy.rs`), or the end of a path (`*written.rs`).
pub const HOMES: &[(&str, &[&str], &str)] = &[
    ("axum", &["faces/", "servers/http/"], "HTTP servers"),
    (
        "base64",
        &["outlets/", "probes/", "proto/", "servers/", "sim/", "demo/", "domain/inventory/access/"],
        "fingerprints, signatures",
    ),
    ("clap", &["faces/", "main.rs"], "the command line"),
    ("comfy_table", &["faces/", "demo/", "demo.rs"], "tables for people"),
    ("dashmap", &["service/"], "hot maps; no guard over an await"),
    ("dhcproto", &["proto/dhcp4/", "proto/dhcp6/"], "DHCP options, behind our own walker"),
    ("foldhash", &["service/", "store/"], "the keys of maps that are asked for each packet"),
    ("getrandom", &["entropy.rs"], "chance"),
    ("granit_parser", &["written.rs", "written/"], "YAML with the place of each value"),
    ("hmac", &["outlets/hook/", "proto/"], "signatures"),
    ("http_body_util", &["faces/", "outlets/", "servers/http/"], "bodies of HTTP"),
    ("hyper", &["faces/", "servers/http/", "demo/", "sim/"], "HTTP over local sockets"),
    ("hyper_util", &["faces/", "servers/http/", "demo/", "sim/"], "HTTP over local sockets"),
    ("ipnet", &["everywhere"], "subnets: a value"),
    ("jiff", &["clock.rs"], "time"),
    ("md5", &["platform/", "domain/"], "first-line checksums of some platforms"),
    ("minijinja", &["domain/template"], "templates: *.j2"),
    ("minijinja_contrib", &["domain/template"], "templates: *.j2"),
    ("moka", &["service/"], "the common case of de-duplication"),
    (
        "nix",
        &[
            "servers/socket/",
            "servers/images.rs",
            "servers/tftp/area.rs",
            "outlets/hook/",
            "probes/",
            "faces/",
            "daemon/",
            "files/command.rs",
        ],
        "what std does not say",
    ),
    ("ratatui", &["faces/", "demo/", "demo.rs"], "the live view"),
    ("regex", &["platform/", "domain/", "config/", "sim/"], "patterns"),
    ("reqwest", &["outlets/"], "HTTP towards other systems"),
    ("rmp_serde", &["store/"], "the store's log: MessagePack"),
    ("rusqlite", &["store/"], "SQL"),
    ("russh", &["probes/ssh/", "sim/"], "SSH, and the simulated devices' side of it"),
    ("rustls", &["main.rs", "daemon.rs", "daemon/"], "the one TLS backend, installed once"),
    ("schemars", &["*written.rs", "faces/", "*schema.rs"], "schemas for editors"),
    ("serde", &["everywhere"], "data: derives"),
    ("serde_saphyr", &["*written.rs", "*written/"], "YAML, only where files become values"),
    ("serde_json", &["everywhere"], "JSON: a value"),
    ("sha2", &["everywhere"], "digests: a pure function"),
    ("socket2", &["servers/socket/", "sim/"], "socket options"),
    ("tera", &["domain/template"], "templates: *.tera"),
    ("textfsm_core", &["platform/"], "answers of command lines"),
    ("tokio", &["everywhere"], "floors 0 and 1 are kept from it by floors.rs"),
    ("tracing", &["everywhere"], "the log"),
    ("tracing_subscriber", &["main.rs", "daemon.rs", "daemon/", "faces/cli"], "the log's end"),
    ("zeroize", &["secret.rs"], "secrets leave no trace"),
];

/// Crates of tests and benches; the sources do not name them outside a test module.
pub const OF_TESTS: &[&str] = &["cargo_metadata", "criterion", "proptest", "tempfile"];

fn at_home(path: &str, homes: &[&str]) -> bool {
    homes.iter().any(|home| match home.strip_prefix('*') {
        Some(end) => path.ends_with(end) || path.contains(end),
        None => *home == "everywhere" || path.starts_with(home),
    })
}

/// Complaints about crates named away from their home.
pub fn strays(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, homes, _) in HOMES {
        if at_home(&source.path, homes) {
            continue;
        }
        for place in named(source.work(), name) {
            complaints.push(format!(
                "src/{}:{place}: `{name}` lives in {}; move the work there, or give it a second \
                 home with its reason in tests/tidy/homes.rs",
                source.path,
                homes.join(", ")
            ));
        }
    }
    for name in OF_TESTS {
        for place in named(source.work(), name) {
            complaints.push(format!(
                "src/{}:{place}: `{name}` is for tests; keep it in the test module",
                source.path
            ));
        }
    }
    complaints
}

/// The lines on which this crate is named as a path or imported whole.
fn named(code: &str, name: &str) -> Vec<usize> {
    words(code, name)
        .filter(|at| {
            let before = code[..*at].trim_end();
            let after = &code[at + name.len()..];
            let imported = before.ends_with("use") && after.starts_with([';', ' ']);
            let path = after.starts_with("::") && !before.ends_with("::");
            path || imported
        })
        .map(|at| line(code, at))
        .collect()
}

/// Complaints about dependencies without a line here, and lines without a dependency.
pub fn homeless(manifest: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let (work, tests) = dependencies(manifest);
    for name in &work {
        let name = in_code(name);
        if !HOMES.iter().any(|(known, ..)| *known == name) {
            complaints.push(format!(
                "Cargo.toml: `{name}` has no home; add its line to tests/tidy/homes.rs"
            ));
        }
    }
    for name in &tests {
        let name = in_code(name);
        let known = HOMES.iter().any(|(home, ..)| *home == name);
        if !known && !OF_TESTS.contains(&name.as_str()) {
            complaints.push(format!(
                "Cargo.toml: `{name}` is not in OF_TESTS of tests/tidy/homes.rs; add it there"
            ));
        }
    }
    for (name, ..) in HOMES {
        if !work.iter().any(|dependency| in_code(dependency) == *name) {
            complaints.push(format!(
                "tests/tidy/homes.rs: `{name}` is no dependency any more; take its line out"
            ));
        }
    }
    complaints
}

/// The name by which code calls a package.
fn in_code(package: &str) -> String {
    match package {
        "md-5" => "md5".to_owned(),
        other => other.replace('-', "_"),
    }
}

/// The names under `[dependencies]` and under `[dev-dependencies]`.
fn dependencies(manifest: &str) -> (Vec<String>, Vec<String>) {
    let mut work = Vec::new();
    let mut tests = Vec::new();
    let mut table = "";
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name;
            continue;
        }
        let Some((name, _)) = line.split_once('=') else { continue };
        if name.starts_with('#') {
            continue;
        }
        match table {
            "dependencies" | "build-dependencies" => work.push(name.trim().to_owned()),
            "dev-dependencies" => tests.push(name.trim().to_owned()),
            _ => {}
        }
    }
    (work, tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, code: &str) -> usize {
        strays(&Source::new(path, code)).len()
    }

    #[test]
    fn a_crate_away_from_home_is_seen() {
        assert_eq!(count("faces/api.rs", "use rusqlite::Row;"), 1);
        assert_eq!(count("store/mod.rs", "use rusqlite::Row;"), 0);
        assert_eq!(count("domain/check.rs", "let x = serde_saphyr::from_str(t);"), 1);
        assert_eq!(count("domain/inventory/written.rs", "use serde_saphyr::Spanned;"), 0);
        assert_eq!(count("faces/api.rs", "use reqwest;"), 1);
    }

    #[test]
    fn a_module_of_the_same_name_is_no_crate() {
        assert_eq!(count("faces/api.rs", "use crate::domain::regex::X; // rusqlite::Row"), 0);
    }

    #[test]
    fn a_test_crate_stays_in_the_test_module() {
        assert_eq!(count("store/mod.rs", "use tempfile::tempdir;"), 1);
        assert_eq!(count("store/mod.rs", "#[cfg(test)]\nmod tests { use tempfile::tempdir; }"), 0);
    }

    #[test]
    fn a_dependency_without_a_home_is_refused() {
        let complaints = homeless("[dependencies]\nleft-pad = \"1\"\n");
        assert!(complaints[0].contains("left_pad"), "{complaints:?}");
        assert!(complaints.iter().any(|text| text.contains("rusqlite")), "stale lines are seen");
    }
}

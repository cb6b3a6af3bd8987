//! Which room may name which, and what a pure room may not hold.

use crate::source::{Source, line, words};

/// Each room with its floor. `docs/architecture.md` says why.
const FLOORS: &[(&str, u8)] = &[
    ("address", 0),
    ("clock", 0),
    ("complaint", 0),
    ("entropy", 0),
    ("error", 0),
    ("receipt", 0),
    ("secret", 0),
    ("written", 0),
    ("proto", 1),
    ("platform", 1),
    ("domain", 1),
    ("config", 1),
    ("service", 2),
    ("servers", 3),
    ("probes", 3),
    ("faces", 3),
    ("files", 3),
    ("outlets", 3),
    ("store", 3),
    ("sim", 3),
    ("daemon", 4),
    ("demo", 4),
    ("offline", 4),
    ("main", 4),
    ("lib", 4),
];

/// What floors 0 and 1 may not hold, each with the cure. Files of [`HEARERS`] are let off.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "take what happens as an argument; drive it from the ring"),
    ("async", "make it a plain function; the caller on floor 2 or 3 awaits"),
    (".await", "make it a plain function; the caller on floor 2 or 3 awaits"),
    ("std::fs", "take the text as an argument; the room `files` reads it"),
    ("std::env", "take the value as an argument; the room `files` reads it"),
    ("std::process", "processes are started by the ring"),
    ("std::thread", "threads are started by the ring"),
    ("UdpSocket", "take bytes and peer as arguments; `servers/` owns sockets"),
    ("TcpStream", "take bytes and peer as arguments; `servers/` owns sockets"),
    ("TcpListener", "take bytes and peer as arguments; `servers/` owns sockets"),
    ("SystemTime", "take `now: Timestamp` as an argument"),
    ("println", "return the text; faces print"),
    ("eprintln", "return the text; faces print"),
];

/// What the door may not hold.
const NOT_AT_THE_DOOR: &[(&str, &str)] = &[
    ("tokio::net", "sockets belong to the ring; hand in a channel or a function"),
    ("tokio::fs", "files belong to the ring; hand in the text"),
    ("std::fs", "files belong to the ring; hand in the text"),
    ("UdpSocket", "sockets belong to the ring"),
    ("TcpStream", "sockets belong to the ring"),
    ("TcpListener", "sockets belong to the ring"),
    ("println", "return the text; faces print"),
];

/// Time and chance are asked for in these two files.
const HEARERS: [&str; 2] = ["clock.rs", "entropy.rs"];

pub fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// Complaints about the rooms this file names.
pub fn trespasses(source: &Source) -> Vec<String> {
    let room = source.room();
    let Some(own) = floor(room) else {
        return vec![format!(
            "src/{}: room `{room}` has no floor; name it in FLOORS of tests/tidy/floors.rs, in \
             src/lib.rs and in docs/architecture.md",
            source.path
        )];
    };
    let mut complaints = Vec::new();
    for (at, named) in rooms_named(source) {
        let Some(theirs) = floor(&named) else { continue };
        let neighbours = own == 3 && theirs == 3 && named != room;
        if theirs <= own && !neighbours {
            continue;
        }
        let cure = if neighbours {
            "rooms of the ring do not know each other: let the service carry it, or let the \
             daemon hand it in as a function"
        } else {
            "a floor knows only itself and those below: move the type down, or take it as an \
             argument"
        };
        let place = line(&source.code, at);
        complaints.push(format!(
            "src/{}:{place}: `{room}` (floor {own}) names `{named}` (floor {theirs}); {cure}",
            source.path
        ));
    }
    complaints
}

/// Every `crate::room`, `crate::{room, ...}` and `super::...` that reaches the root.
fn rooms_named(source: &Source) -> Vec<(usize, String)> {
    let code = &source.code;
    let mut named = Vec::new();
    for root in ["crate", "greenlight"] {
        for at in words(code, root) {
            let Some(rest) = after_colons(&code[at + root.len()..]) else { continue };
            named.extend(heads(rest).into_iter().map(|head| (at, head)));
        }
    }
    for at in words(code, "super") {
        if before_is_path(code, at) {
            continue;
        }
        let mut rest = &code[at + "super".len()..];
        let mut climbs = 1;
        while let Some(next) = after_colons(rest) {
            rest = next;
            let Some(up) = next.strip_prefix("super") else { break };
            climbs += 1;
            rest = up;
        }
        if climbs >= source.modules().len() + inline_depth(code, at) {
            named.extend(heads(rest).into_iter().map(|head| (at, head)));
        }
    }
    named
}

fn before_is_path(code: &str, at: usize) -> bool {
    code[..at].trim_end().ends_with("::")
}

fn after_colons(rest: &str) -> Option<&str> {
    rest.trim_start().strip_prefix("::").map(str::trim_start)
}

/// The first names of a path or of a group of paths.
fn heads(rest: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let mut found = Vec::new();
    let mut depth = 0;
    let mut fresh = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                found.push(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    found
}

/// How many `mod name { ... }` of this file are open at this place.
fn inline_depth(code: &str, place: usize) -> usize {
    let mut open = Vec::new();
    let mut depth = 0;
    let mut pending = false;
    for (at, c) in code[..place].char_indices() {
        match c {
            '{' => {
                depth += 1;
                if pending {
                    open.push(depth);
                    pending = false;
                }
            }
            '}' => {
                if open.last() == Some(&depth) {
                    open.pop();
                }
                depth -= 1;
            }
            ';' => pending = false,
            'm' if code[at..].starts_with("mod ")
                && !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') =>
            {
                pending = true;
            }
            _ => {}
        }
    }
    open.len()
}

/// Complaints about sockets, files, clocks and waiting where they may not be.
pub fn impurities(source: &Source) -> Vec<String> {
    let banned = match floor(source.room()) {
        Some(0 | 1) if !HEARERS.contains(&source.path.as_str()) => IMPURE,
        Some(2) => NOT_AT_THE_DOOR,
        _ => return Vec::new(),
    };
    let work = source.work();
    let mut complaints = Vec::new();
    for (word, cure) in banned {
        for at in words_or_ends(work, word) {
            let place = line(work, at);
            complaints.push(format!("src/{}:{place}: `{word}` here; {cure}", source.path));
        }
    }
    complaints
}

fn words_or_ends(code: &str, word: &str) -> Vec<usize> {
    match word.strip_prefix('.') {
        Some(name) => words(code, name).filter(|at| code[..*at].ends_with('.')).collect(),
        None => words(code, word).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, code: &str) -> usize {
        trespasses(&Source::new(path, code)).len()
    }

    #[test]
    fn a_room_may_name_its_own_floor_and_those_below() {
        assert_eq!(complaints("service/runner.rs", "use crate::{domain::run, clock};"), 0);
        assert_eq!(complaints("domain/check.rs", "use crate::platform::Platform;"), 0);
        assert_eq!(complaints("daemon.rs", "use crate::store; use crate::faces;"), 0);
    }

    #[test]
    fn rooms_of_the_ring_are_kept_apart() {
        assert_eq!(complaints("faces/api.rs", "let x = crate::store::open();"), 1);
        assert_eq!(complaints("faces/api.rs", "use crate::{clock, store::Store, sim::*};"), 2);
        assert_eq!(complaints("faces/api.rs", "use crate::faces::cli;"), 0);
    }

    #[test]
    fn a_lower_floor_never_names_a_higher_one() {
        assert_eq!(complaints("proto/tftp/mod.rs", "use crate::service::serving;"), 1);
        assert_eq!(complaints("address.rs", "use crate::domain;"), 1);
        assert_eq!(complaints("main.rs", "use greenlight::daemon;"), 0);
    }

    #[test]
    fn climbing_by_super_is_seen() {
        assert_eq!(complaints("faces/api.rs", "use super::super::store::Store;"), 1);
        assert_eq!(complaints("faces/api.rs", "use super::cli;"), 0);
        assert_eq!(complaints("address.rs", "use super::store;"), 1);
        assert_eq!(complaints("address.rs", "mod tests { use super::store; }"), 0);
    }

    #[test]
    fn a_room_without_a_floor_is_refused() {
        assert_eq!(complaints("cellar/mod.rs", ""), 1);
    }

    #[test]
    fn a_pure_room_neither_waits_nor_reads() {
        let count = |path, code| impurities(&Source::new(path, code)).len();
        assert_eq!(count("proto/a.rs", "async fn f() { g().await }"), 2);
        assert_eq!(count("domain/a.rs", "use std::fs; use tokio::sync::mpsc;"), 2);
        assert_eq!(count("domain/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }"), 0);
        assert_eq!(count("service/a.rs", "use tokio::sync::mpsc;"), 0);
        assert_eq!(count("service/a.rs", "use tokio::net::UdpSocket;"), 2);
        assert_eq!(count("clock.rs", "use std::time::SystemTime;"), 0);
    }
}

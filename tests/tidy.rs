//! Does the house keep its own rules? Each test here guards one numbered invariant of
//! `docs/architecture.md`; its message names the place and the cure.

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/homes.rs"]
mod homes;
#[path = "tidy/limits.rs"]
mod limits;
#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use greenlight::domain::fault::Fault;
use greenlight::error::Code;

use source::Source;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn sources() -> Vec<Source> {
    let found = source::below(&root().join("src"));
    assert!(found.len() > 20, "the sources were not found: only {} files", found.len());
    found
}

/// Everything git publishes.
fn published() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let listed = listed.expect("git is installed");
    assert!(
        listed.status.success(),
        "tests/tidy.rs needs a git checkout to know what is published"
    );
    let names = String::from_utf8(listed.stdout).expect("file names are text");
    let found: Vec<PathBuf> = names.split_terminator('\0').map(PathBuf::from).collect();
    assert!(found.len() > 20, "git lists only {} files", found.len());
    found
}

#[track_caller]
fn none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn rooms_name_only_their_own_floor_and_those_below() {
    none(sources().iter().flat_map(floors::trespasses));
}

#[test]
fn the_pure_floors_are_pure_and_the_door_opens_no_socket() {
    none(sources().iter().flat_map(floors::impurities));
}

#[test]
fn every_foreign_crate_stays_at_home() {
    none(sources().iter().flat_map(homes::strays));
}

#[test]
fn every_dependency_has_a_home_and_a_reason() {
    none(homes::homeless(&text("Cargo.toml")));
    none(
        homes::HOMES
            .iter()
            .filter(|(_, homes, why)| homes.is_empty() || why.is_empty())
            .map(|(name, ..)| format!("tests/tidy/homes.rs: `{name}` has no home or no reason")),
    );
}

#[test]
fn files_stay_within_their_limits_and_have_telling_names() {
    let mut all = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for mut source in source::below(&root().join(folder)) {
            source.path = format!("{folder}/{}", source.path);
            all.push(source);
        }
    }
    none(all.iter().flat_map(limits::excesses));
}

#[test]
fn only_the_store_says_that_something_is_stored() {
    none(sources().iter().flat_map(limits::forged_receipts));
}

#[test]
fn time_is_read_in_the_clock_alone() {
    none(sources().iter().flat_map(limits::stolen_time));
}

#[test]
fn every_code_has_its_page_and_every_page_answers() {
    let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    codes.extend(Fault::ALL.iter().map(|fault| fault.code()));
    let folder = root().join("docs/errors");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("docs/errors is there") {
        files.push(entry.expect("it can be read").file_name().to_string_lossy().into_owned());
    }
    none(papers::pages(&codes, &files));
    none(
        files
            .iter()
            .filter(|file| *file != "README.md")
            .flat_map(|file| papers::unanswered(file, &text(&format!("docs/errors/{file}")))),
    );
}

#[test]
fn every_standard_the_code_cites_is_listed() {
    let listed = papers::standards(&text("docs/standards.md"));
    let cited: BTreeSet<u32> =
        sources().iter().flat_map(|source| papers::standards(&source.raw)).collect();
    assert!(!cited.is_empty(), "no standard is cited any more: this test reads nothing");
    none(cited.difference(&listed).map(|number| {
        format!("RFC {number} is cited in src/ and missing in docs/standards.md; say there where")
    }));
}

#[test]
fn every_licence_is_allowed() {
    let allowed = papers::list(&text("deny.toml"), "allow");
    assert!(!allowed.is_empty(), "deny.toml allows no licence");
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata answers");
    assert!(metadata.packages.len() > 100, "the packages were not found");
    none(metadata.packages.iter().filter_map(|package| {
        let licence = package.license.as_deref().unwrap_or("");
        (!papers::licensed(licence, &allowed)).then(|| {
            format!(
                "{} {} is under `{licence}`, which `allow` in deny.toml does not hold; read it, \
                 then add it with a reason or take another crate",
                package.name, package.version
            )
        })
    }));
}

#[test]
fn what_is_published_speaks_of_the_project_alone() {
    none(published().iter().flat_map(|path| {
        let bytes = std::fs::read(root().join(path)).unwrap_or_default();
        papers::traces(&path.to_string_lossy(), &String::from_utf8_lossy(&bytes))
    }));
}

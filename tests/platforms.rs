//! Every question of every platform, proven by raw answers:
//! `tests/platforms/<os>/<question>/<story>.raw` holds what the device said, `<story>.yaml` what we
//! read. A question without a sample fails.
//!
//! A question of several commands holds their answers one after the other, each below a line `$
//! command`; a first line `% refused: why` in an answer stands for one that the device refused.
//! Where the whole answer is the reading, the expectation is `seen: (the answer)`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use greenlight::domain::compare;
use greenlight::platform::samples::{self, Expected, Verdict};
use greenlight::platform::{Output, Platform, Platforms, Question};

fn stories(platform: &str, question: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/platforms");
    let Ok(entries) = std::fs::read_dir(folder.join(platform).join(question)) else {
        return Vec::new();
    };
    let mut stories: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "raw"))
        .collect();
    stories.sort();
    stories
}

fn outputs(platform: &Platform, question: Question, raw: &str) -> Vec<Output> {
    samples::outputs(platform, question, raw).unwrap_or_else(|why| panic!("{}: {why}", platform.id))
}

fn check(platform: &Platform, question: Question, story: &Path, wrong: &mut Vec<String>) {
    let raw = std::fs::read_to_string(story).unwrap();
    let written = story.with_extension("yaml");
    let file = written.display().to_string();
    let text = std::fs::read_to_string(&written).ok();
    let expected = text.as_deref().map(|text| Expected { file: &file, text });
    match samples::judge(platform, question, &raw, expected) {
        Verdict::AsExpected => {}
        other => wrong.push(format!("{file}: {other:#?}")),
    }
}

#[test]
fn every_question_is_read_as_its_samples_say() {
    let platforms = Platforms::built_in();
    let mut wrong = Vec::new();
    let mut number = 0;
    for (id, platform) in &platforms.by_id {
        for question in Question::ALL {
            let name = question.name();
            let stories = stories(id, name);
            let asked = platform.questions.contains_key(&question);
            assert_eq!(!stories.is_empty(), asked, "{id}: samples of `{name}`");
            for story in stories {
                check(platform, question, &story, &mut wrong);
                number += 1;
            }
        }
    }
    assert!(number > 300, "{number} stories");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The text of a story that is read as a configuration.
fn configuration(platform: &Platform, question: Question, story: &Path) -> Option<String> {
    let raw = std::fs::read_to_string(story).ok()?;
    let asked = BTreeMap::from([(question, outputs(platform, question, &raw))]);
    let seen = platform.read(&asked);
    let reading = if question == Question::Running { seen.running } else { seen.saved };
    reading.seen().filter(|text| !text.trim().is_empty()).cloned()
}

/// The rules of a comparison fit how its platform prints: a configuration is found in itself, what
/// is saved under the same story is the same, and a line less is missed.
#[test]
fn a_running_configuration_is_found_in_itself_and_in_what_was_saved() {
    let platforms = Platforms::built_in();
    let (mut found, mut saved_too) = (0, 0);
    for (id, platform) in &platforms.by_id {
        let rules = &platform.comparison;
        for story in stories(id, "running") {
            let Some(running) = configuration(platform, Question::Running, &story) else {
                continue;
            };
            let itself = compare::configuration(&running, &running, rules);
            assert!(itself.is_satisfied() && itself.planned_lines > 2, "{id} {itself:?}");
            found += 1;
            let line = running.lines().find(|line| {
                line.contains("spine1") || line.trim_start().starts_with("description ")
            });
            if let Some(line) = line {
                let less = running.replacen(&format!("{line}\n"), "", 1);
                let difference = compare::configuration(&running, &less, rules);
                assert!(!difference.is_satisfied(), "{id} without {line}");
            }
            let name = story.file_name().unwrap();
            let saved = story.parent().unwrap().with_file_name("saved").join(name);
            if let Some(saved) = configuration(platform, Question::Saved, &saved) {
                let difference = compare::same(&running, &saved, rules);
                assert!(difference.is_empty(), "{id} {difference:?}");
                saved_too += 1;
            }
        }
    }
    assert!(found >= 15 && saved_too >= 10, "{found} {saved_too}");
}

/// What a reader is never shown: the value of a secret in a difference.
#[test]
fn a_secret_is_never_part_of_a_difference() {
    let platforms = Platforms::built_in();
    for (id, secret) in [
        ("cisco_iosxe", "$9$abcdefghij"),
        ("cisco_iosxr", "$6$abcdefghij"),
        ("cisco_nxos", "$5$abcdef"),
        ("juniper_junos", "$6$abcdefgh"),
        ("aruba_aoscx", "AQBabcdef"),
        ("aruba_aosswitch", "\"public\""),
        ("hpe_comware", "$h$6$abcdef"),
        ("huawei_vrp", "$1a$abcdef"),
        ("dell_os10", "$6$q9abcdef"),
        ("fortinet_fortios", "SH2abcdef="),
    ] {
        let platform = &platforms.by_id[id];
        let running = stories(id, "running").into_iter();
        let running = running.filter_map(|at| configuration(platform, Question::Running, &at));
        let running = running.into_iter().next().unwrap();
        assert!(running.contains(secret), "{id}");
        let gone = compare::configuration(&running, "hostname x\n", &platform.comparison);
        assert!(!gone.is_satisfied() && !format!("{gone:?}").contains(secret), "{id} {gone:?}");
    }
}

/// An answer cut short anywhere is never read as a shorter list, except where a whole row ends.
#[test]
fn a_cut_list_is_never_a_shorter_list() {
    let platforms = Platforms::built_in();
    for (id, question, name) in [
        ("cisco_ios", Question::Lldp, "lldp/two_neighbours"),
        ("arista_eos", Question::Lldp, "lldp/two_neighbours"),
        ("frr", Question::Lldp, "lldp/two_neighbours_on_one_port"),
        ("cisco_iosxe", Question::Lldp, "lldp/two_neighbours"),
        ("cisco_iosxr", Question::Lldp, "lldp/two_neighbours"),
        ("cisco_nxos", Question::Lldp, "lldp/two_neighbours"),
        ("cumulus_linux", Question::Lldp, "lldp/many_neighbours"),
        ("juniper_junos", Question::Lldp, "lldp/two_neighbours"),
        ("mikrotik_routeros", Question::Lldp, "lldp/two_neighbours"),
        ("nokia_srlinux", Question::Lldp, "lldp/two_neighbours"),
        ("nokia_sros", Question::Lldp, "lldp/many_neighbours"),
        ("sonic", Question::Lldp, "lldp/many_neighbours"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/platforms").join(id);
        let raw = std::fs::read_to_string(path.join(name).with_extension("raw")).unwrap();
        let read = |text: &str| {
            let outputs = vec![Output::Text(text.to_owned())];
            platforms.by_id[id].read(&BTreeMap::from([(question, outputs)])).lldp
        };
        let whole = read(&raw);
        assert!(whole.seen().is_some(), "{id}: {whole:?}");
        for cut in (0..raw.trim_end().len()).filter(|cut| raw.is_char_boundary(*cut)) {
            assert_eq!(read(&raw[..cut]).seen(), None, "{id} cut at {cut}");
        }
    }
}

#[test]
fn every_folder_of_samples_belongs_to_a_question() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/platforms");
    let known: BTreeSet<&str> = Question::ALL.iter().map(|question| question.name()).collect();
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let platforms = Platforms::built_in();
    for platform in names(&root) {
        assert!(platforms.get(&platform).is_some(), "{platform}");
        for question in names(&root.join(&platform)) {
            assert!(known.contains(question.as_str()), "{platform}/{question}");
            for file in names(&root.join(&platform).join(&question)) {
                let path = root.join(&platform).join(&question).join(&file);
                assert!(path.with_extension("raw").exists(), "{file} has no raw answer");
                assert!(path.with_extension("yaml").exists(), "{file} has no expectation");
            }
        }
    }
}

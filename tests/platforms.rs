//! Every question of every platform, proven by raw answers:
//! `tests/platforms/<os>/<question>/<story>.raw` holds what the device said, `<story>.yaml` what we
//! read. A question without a sample fails.
//!
//! A question of several commands holds their answers one after the other, each below a line `$
//! command`; a first line `% refused: why` in an answer stands for one that the device refused.
//! Where the whole answer is the reading, the expectation is `seen: (the answer)`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use greenlight::platform::observation::{Facts, Interface, Neighbour, Reading};
use greenlight::platform::{Output, Platform, Platforms, Question};
use serde::Serialize;
use serde::de::DeserializeOwned;

const QUESTIONS: [(Question, &str); 7] = [
    (Question::Facts, "facts"),
    (Question::Lldp, "lldp"),
    (Question::Cdp, "cdp"),
    (Question::Interfaces, "interfaces"),
    (Question::Running, "running"),
    (Question::Saved, "saved"),
    (Question::Save, "save"),
];

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
    let commands = &platform.questions[&question].commands;
    let mut answers: Vec<String> = Vec::new();
    if commands.len() == 1 {
        answers.push(raw.to_owned());
    }
    for line in raw.split_inclusive('\n') {
        let asked = line.trim_end().strip_prefix("$ ");
        if asked.is_some_and(|asked| commands.get(answers.len()).is_some_and(|c| c == asked)) {
            answers.push(String::new());
        } else if commands.len() > 1 {
            answers.last_mut().expect("an answer stands below its command").push_str(line);
        }
    }
    assert_eq!(answers.len(), commands.len(), "one answer for each command");
    let output = |answer: String| match answer.trim_end().strip_prefix("% refused: ") {
        Some(why) => Output::Refused { why: why.to_owned() },
        None => Output::Text(answer),
    };
    answers.into_iter().map(output).collect()
}

/// The reading as it was and as it should be, both as YAML.
fn compare<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    read: &Reading<T>,
    story: &Path,
    wrong: &mut Vec<String>,
) {
    let written = story.with_extension("yaml");
    let text = std::fs::read_to_string(&written).unwrap_or_default();
    let expected: Result<Reading<T>, _> = serde_saphyr::from_str(&text);
    if !expected.as_ref().is_ok_and(|expected| expected == read) {
        let found = serde_saphyr::to_string(read).unwrap();
        let complaint = expected.err().map(|error| error.to_string()).unwrap_or_default();
        wrong.push(format!("{}\n{complaint}\nread was:\n{found}", written.display()));
    }
}

fn whole(reading: Reading<String>, raw: &str) -> Reading<String> {
    match reading {
        Reading::Seen(text) if !raw.is_empty() && text == raw => {
            Reading::Seen("(the answer)".into())
        }
        other => other,
    }
}

fn check(platform: &Platform, question: Question, story: &Path, wrong: &mut Vec<String>) {
    let raw = std::fs::read_to_string(story).unwrap();
    let outputs = outputs(platform, question, &raw);
    let seen = platform.read(&BTreeMap::from([(question, outputs.clone())]));
    match question {
        Question::Facts => compare::<Facts>(&seen.facts, story, wrong),
        Question::Lldp => compare::<Vec<Neighbour>>(&seen.lldp, story, wrong),
        Question::Cdp => compare::<Vec<Neighbour>>(&seen.cdp, story, wrong),
        Question::Interfaces => compare::<Vec<Interface>>(&seen.interfaces, story, wrong),
        Question::Running => compare::<String>(&whole(seen.running, &raw), story, wrong),
        Question::Saved => compare::<String>(&whole(seen.saved, &raw), story, wrong),
        Question::Save => compare::<()>(&platform.read_save(&outputs), story, wrong),
    }
}

#[test]
fn every_question_is_read_as_its_samples_say() {
    let platforms = Platforms::built_in();
    let mut wrong = Vec::new();
    let mut number = 0;
    for (id, platform) in &platforms.by_id {
        for (question, name) in QUESTIONS {
            let stories = stories(id, name);
            let asked = platform.questions.contains_key(&question);
            assert_eq!(!stories.is_empty(), asked, "{id}: samples of `{name}`");
            for story in stories {
                check(platform, question, &story, &mut wrong);
                number += 1;
            }
        }
    }
    assert!(number > 40, "{number} stories");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An answer cut short anywhere is never read as a shorter list, except where a whole row ends.
#[test]
fn a_cut_list_is_never_a_shorter_list() {
    let platforms = Platforms::built_in();
    for (id, question, name) in [
        ("cisco_ios", Question::Lldp, "lldp/two_neighbours"),
        ("arista_eos", Question::Lldp, "lldp/two_neighbours"),
        ("frr", Question::Lldp, "lldp/two_neighbours_on_one_port"),
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
    let known: BTreeSet<&str> = QUESTIONS.iter().map(|(_, name)| *name).collect();
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

//! `platform list`, `platform show` and `platform test`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use super::print;
use crate::complaint::{Complaint, did_you_mean};
use crate::error::{Code, Error};
use crate::faces::cli::trial::{self, End, Trial};
use crate::faces::cli::{self, platform, report};
use crate::files;
use crate::files::platforms::{self, Sample, Shelf};
use crate::platform::samples::{self, Expected, Verdict};
use crate::platform::{Platform, Platforms, Question};

/// `greenlight platform ...`.
pub fn run(config: Option<&Path>, what: &cli::Platform) -> Result<ExitCode, Error> {
    match what {
        cli::Platform::List(output) => {
            let table = known(config)?.table();
            print(&if output.json { json(&table) } else { platform::list(&table) });
            Ok(ExitCode::SUCCESS)
        }
        cli::Platform::Show(show) => {
            let known = known(config)?;
            let Some(found) = known.get(&show.id) else { return Err(unknown(&known, &show.id)) };
            let card = found.card();
            print(&if show.json { json(&card) } else { platform::show(&card) });
            Ok(ExitCode::SUCCESS)
        }
        cli::Platform::Test(test) => try_all(config, test),
    }
}

fn unknown(known: &Platforms, id: &str) -> Error {
    let names = known.by_id.keys().map(String::as_str);
    let hint = did_you_mean(id, names, || "`greenlight platform list` shows all".to_owned());
    Error::new(Code::Configuration, format!("no platform is called `{id}`")).hint(hint)
}

/// The built-in platforms, and those of the configuration over them.
fn known(config: Option<&Path>) -> Result<Platforms, Error> {
    let Some(config) = config else { return Ok(Platforms::built_in()) };
    let read = files::configuration(config).and_then(|config| files::platforms_of(&config));
    read.map_err(|complaints| super::complained(&complaints))
}

/// `greenlight platform test DIR`.
fn try_all(config: Option<&Path>, test: &cli::Test) -> Result<ExitCode, Error> {
    // For its templates alone: the platforms are those of the directory.
    let settings = match config {
        Some(config) => Some(files::configuration(config).map_err(|all| super::complained(&all))?),
        None => None,
    };
    let ntc = settings.as_ref().and_then(|settings| settings.ntc_templates.as_deref());
    let mut complaints = Vec::new();
    let shelf = platforms::shelf(&test.directory, &mut complaints);
    let known = platforms::over_built_in(&shelf.texts, ntc).unwrap_or_else(|found| {
        complaints.extend(found);
        Platforms::default()
    });
    if complaints.is_empty() {
        complaints.extend(strays(&shelf, &known, &test.directory));
    }
    if !complaints.is_empty() {
        print(&report::text(&complaints));
        return Ok(ExitCode::FAILURE);
    }
    let mut trials: Vec<Trial> = Vec::new();
    for sample in &shelf.samples {
        let platform = &known.by_id[&sample.platform];
        trials.push(try_one(platform, sample, test.write));
    }
    trials.extend(unproven(&shelf, &known));
    print(&trial::text(&trials));
    Ok(if trial::passed(&trials) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Samples of platforms that nobody knows.
fn strays(shelf: &Shelf, known: &Platforms, directory: &Path) -> Vec<Complaint> {
    let ids: BTreeSet<&str> = shelf.samples.iter().map(|sample| sample.platform.as_str()).collect();
    let strange = ids.into_iter().filter(|id| known.get(id).is_none());
    let complaint = |id: &str| {
        let names = known.by_id.keys().map(String::as_str);
        let hint = did_you_mean(id, names, || format!("write `{id}.yaml` beside it"));
        let message = format!("no platform is called `{id}`");
        files::platforms::complaint(&directory.join(id), &message, &hint)
    };
    strange.map(complaint).collect()
}

/// Questions of the directory's own platforms that have no sample.
fn unproven(shelf: &Shelf, known: &Platforms) -> Vec<Trial> {
    let proven: BTreeSet<(&str, Question)> =
        shelf.samples.iter().map(|sample| (sample.platform.as_str(), sample.question)).collect();
    let own = known
        .by_id
        .values()
        .filter(|platform| shelf.texts.iter().any(|(name, _)| *name == platform.file));
    let missing = own.flat_map(|platform| {
        let id = platform.id.as_str();
        let questions = platform.questions.keys().copied();
        questions
            .filter(|question| !proven.contains(&(id, *question)))
            .map(move |question| (id, question))
    });
    missing
        .map(|(id, question)| Trial {
            name: format!("{id} {}", question.name()),
            file: String::new(),
            end: End::NoSample,
        })
        .collect()
}

fn try_one(platform: &Platform, sample: &Sample, write: bool) -> Trial {
    let Sample { question, story, raw, rows_file, rows, .. } = sample;
    let file = rows_file.display().to_string();
    let expected = rows.as_ref().map(|text| Expected { file: &file, text });
    let verdict = samples::judge(platform, *question, raw, expected);
    let end = match verdict {
        Verdict::Unexpected { rows } if write => {
            match platforms::write_rows(rows_file, &format!("{}{rows}", samples::MARK)) {
                Ok(()) => End::Written,
                Err(error) => End::NotWritten { why: error.to_string() },
            }
        }
        verdict => End::Judged(verdict),
    };
    Trial { name: format!("{} {}/{story}", platform.id, question.name()), file, end }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).expect("what we know is plain data");
    format!("{text}\n")
}

//! Nothing that arrives knocks Greenlight over: each sample of the corpus, each beginning of it,
//! and some thousand mutations, always the same ones, go through the checks that the fuzzer runs as
//! well.

use std::path::{Path, PathBuf};

use greenlight::entropy::Entropy;
use greenlight::proto::dhcp6::Datagram;

use crate::fuzz::{TARGETS, run};

/// Longer samples are cut at some of their bytes only.
const CUTS_MAX: usize = 2000;

/// Longer mutants find nothing that shorter ones do not.
const MUTANT_BYTES_MAX: usize = 8192;

/// What breaks numbers: the ends of their ranges, and a little beyond.
const EDGES: [u16; 10] = [0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff];

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// The samples of a target, in the order of their names.
fn samples(target: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for folder in [folder("fuzz/corpus").join(target), folder("captures").join(target)] {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        found.extend(entries.map(|entry| entry.unwrap().path()));
    }
    found.sort();
    found.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// What devices said, as the checks of `parse` take it.
fn told_by_devices() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for platform in std::fs::read_dir(folder("platforms")).unwrap() {
        let platform = platform.unwrap().path();
        let Ok(questions) = std::fs::read_dir(&platform) else { continue };
        for question in questions {
            let question = question.unwrap().path();
            let Ok(stories) = std::fs::read_dir(&question) else { continue };
            found.extend(stories.map(|story| story.unwrap().path()));
        }
    }
    found.retain(|path| path.extension().is_some_and(|ending| ending == "raw"));
    found.sort();
    let name = |path: Option<&Path>| path.unwrap().file_name().unwrap().to_owned();
    let seed = |path: &PathBuf| {
        let (question, platform) = (path.parent(), path.parent().and_then(Path::parent));
        let mut seed = name(platform).into_encoded_bytes();
        seed.push(b' ');
        seed.extend(name(question).into_encoded_bytes());
        seed.push(b'\n');
        seed.extend(std::fs::read(path).unwrap());
        seed
    };
    found.iter().map(seed).collect()
}

/// Keeps the input that broke a promise.
struct Kept<'a> {
    target: &'a str,
    input: &'a [u8],
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path =
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.knock", self.target));
            let _ = std::fs::write(&path, self.input);
            eprintln!("the input is in {}", path.display());
        }
    }
}

fn knock(target: &str, input: &[u8]) {
    let kept = Kept { target, input };
    run(target, input);
    drop(kept);
}

/// Chance, and what can be done to a sample with it.
struct Mutator(Entropy);

impl Mutator {
    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.0.next_u64() % bound.max(1) as u64).unwrap()
    }

    fn bytes(&self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.0.next_u64() as u8).collect()
    }

    /// A part of a sample, of the lengths that options, packets and lines have.
    fn part<'a>(&self, sample: &'a [u8]) -> &'a [u8] {
        let begin = self.below(sample.len());
        let most = if self.below(4) == 0 { 1000 } else { 40 };
        &sample[begin..(begin + self.below(most)).min(sample.len())]
    }

    fn mutate(&self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len());
        match self.below(9) {
            0 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            1 if !input.is_empty() => input[at] = self.0.next_u64() as u8,
            // A length, or a length of two bytes.
            2 if !input.is_empty() => input[at] = EDGES[self.below(EDGES.len())] as u8,
            3 if input.len() > at + 1 => {
                input[at..at + 2].copy_from_slice(&EDGES[self.below(EDGES.len())].to_be_bytes());
            }
            4 => input.truncate(at),
            5 => {
                let end = at + self.part(&input[at..]).len();
                input.drain(at..end);
            }
            // The same again: an option, a packet of a session, a line.
            6 => {
                let part = self.part(input).to_vec();
                let times = 1 + self.below(5);
                (0..times).for_each(|_| drop(input.splice(at..at, part.iter().copied())));
            }
            7 => drop(input.splice(at..at, self.part(other).to_vec())),
            _ => drop(input.splice(at..at, self.bytes(24))),
        }
        input.truncate(MUTANT_BYTES_MAX);
    }
}

/// Gives the samples, their beginnings, and so many mutants of them to a target.
fn check(target: &str, more: Vec<Vec<u8>>, cuts_max: usize, mutants: usize) {
    let mut samples = samples(target);
    assert!(!samples.is_empty(), "tests/fuzz/corpus/{target} is empty");
    samples.extend(more);
    for sample in &samples {
        let step = sample.len() / cuts_max + 1;
        for end in (0..sample.len()).step_by(step).chain([sample.len()]) {
            knock(target, &sample[..end]);
        }
    }
    let mutator = Mutator(Entropy::seeded(1));
    for _ in 0..mutants {
        let mut mutant = samples[mutator.below(samples.len())].clone();
        let other = &samples[mutator.below(samples.len())];
        for _ in 0..1 + mutator.below(6) {
            mutator.mutate(&mut mutant, other);
        }
        knock(target, &mutant);
    }
}

#[test]
fn every_target_is_knocked_at_here() {
    let names = TARGETS.map(|target| target.name);
    let mut programs: Vec<String> = std::fs::read_dir(folder("fuzz/fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    programs.sort();
    assert_eq!(programs, names);
    let here = include_str!("knocks.rs");
    for name in names {
        assert!(here.contains(&format!("check(\"{name}\"")), "{name} is not knocked at");
    }
}

#[test]
fn what_real_dhcpv6_clients_and_servers_said_is_read_and_written_again() {
    let mut kinds = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(folder("captures/dhcp6")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let read = Datagram::decode(&bytes).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert_eq!(Datagram::decode(&read.encode()).unwrap(), read, "{path:?}");
        kinds.insert(format!("{:?}", read.message.kind));
    }
    let expected =
        ["Confirm", "InformationRequest", "Advertise", "Release", "Reply", "Request", "Solicit"];
    for kind in expected {
        assert!(kinds.contains(kind), "no {kind} was captured, but {kinds:?}");
    }
}

#[test]
fn every_server_s_target_begins_with_what_real_clients_sent() {
    for target in ["dhcp4", "dhcp6", "tftp"] {
        let captured = std::fs::read_dir(folder("captures").join(target)).unwrap().count();
        assert!(captured > 20, "{captured} captures for {target}");
    }
}

#[test]
fn a_capture_of_anybody_s_does_no_harm() {
    check("capture", Vec::new(), CUTS_MAX, 3000);
}

#[test]
fn a_dhcpv4_datagram_does_no_harm() {
    check("dhcp4", Vec::new(), CUTS_MAX, 1500);
}

#[test]
fn dhcpv4_clients_cannot_talk_an_address_out_of_each_other() {
    check("dhcp4_session", Vec::new(), CUTS_MAX, 1000);
}

#[test]
fn a_dhcpv6_datagram_does_no_harm() {
    check("dhcp6", Vec::new(), CUTS_MAX, 3000);
}

#[test]
fn a_tftp_datagram_does_no_harm() {
    check("tftp", Vec::new(), CUTS_MAX, 20_000);
}

#[test]
fn a_tftp_transfer_ends_and_is_whole_or_not_complete() {
    check("tftp_session", Vec::new(), CUTS_MAX, 500);
}

#[test]
fn a_device_that_types_anything_is_left_in_time() {
    check("dialogue", Vec::new(), CUTS_MAX, 500);
}

#[test]
fn a_device_that_answers_anything_is_read_or_visibly_not() {
    check("parse", told_by_devices(), 10, 1500);
}

#[test]
fn a_plan_of_any_text_is_read_or_complained_about() {
    check("written", Vec::new(), 200, 1000);
}

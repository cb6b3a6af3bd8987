//! How does a run stand in the log and in its table? What every run has, by position; what only
//! some have, by name, and only where it says something.
//!
//! What stands by position is fixed: a field that is added to a run later goes to [`Seldom`], where
//! older rows lack it and serde's `default` fills it. Earlier versions wrote the whole run with
//! named fields into the log and as JSON into the table; both are read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::domain::check::{Findings, Problem};
use crate::domain::run::upgrade::Upgrade;
use crate::domain::run::upstream::Upstream;
use crate::domain::run::{Milestone, Phase, Run, Timing, Transfers};

#[derive(Serialize, Deserialize)]
struct Short<'a>(Names<'a>, Course<'a>, Spans<'a>, Seldom<'a>);

/// Id, device, site, platform, location.
#[derive(Serialize, Deserialize)]
struct Names<'a>(Cow<'a, str>, Cow<'a, str>, Cow<'a, str>, Cow<'a, str>, Cow<'a, str>);

/// Opened, last heard, revision, sequence, phase, address.
#[derive(Serialize, Deserialize)]
struct Course<'a>(Timestamp, Timestamp, u64, u64, Cow<'a, Phase>, Option<IpAddr>);

/// The spans of [`Timing`] in its order, whether it saves, required and optional hooks.
#[derive(Serialize, Deserialize)]
struct Spans<'a>([Span; 8], bool, Cow<'a, [String]>, Cow<'a, [String]>);

/// Seconds and nanoseconds.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Span(u64, u32);

#[derive(Serialize, Deserialize)]
struct Seldom<'a> {
    #[serde(default, skip_serializing_if = "usual")]
    actor: Cow<'a, Option<String>>,
    #[serde(default, skip_serializing_if = "usual")]
    repeats: u32,
    #[serde(default, skip_serializing_if = "usual")]
    transfers: Transfers,
    #[serde(default, skip_serializing_if = "usual")]
    served_sha256: Cow<'a, Option<String>>,
    #[serde(default, skip_serializing_if = "usual")]
    host_key: Cow<'a, Option<String>>,
    #[serde(default, skip_serializing_if = "usual")]
    attempt: u64,
    #[serde(default, skip_serializing_if = "usual")]
    first_visit: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "usual")]
    milestones: Cow<'a, BTreeMap<Milestone, Timestamp>>,
    #[serde(default, skip_serializing_if = "usual")]
    handed: Cow<'a, BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "usual")]
    findings: Cow<'a, Option<Findings>>,
    #[serde(default, skip_serializing_if = "usual")]
    suspected: Cow<'a, Option<(Problem, Timestamp)>>,
    #[serde(default, skip_serializing_if = "usual")]
    told: Cow<'a, [(Problem, Timestamp)]>,
    #[serde(default, skip_serializing_if = "usual")]
    saving: bool,
    #[serde(default, skip_serializing_if = "usual")]
    strange_file: Cow<'a, Option<String>>,
    #[serde(default, skip_serializing_if = "usual")]
    oddities: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "usual")]
    missed: u32,
    #[serde(default, skip_serializing_if = "usual")]
    gave_way: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "usual")]
    upgrade: Cow<'a, Option<Upgrade>>,
    #[serde(default, skip_serializing_if = "usual")]
    upstream: Cow<'a, Upstream>,
    /// Of its [`Timing`]: the unusual.
    #[serde(default, skip_serializing_if = "usual")]
    asks_for_no_file: bool,
}

fn usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl From<Duration> for Span {
    fn from(span: Duration) -> Self {
        Self(span.as_secs(), span.subsec_nanos())
    }
}

impl From<Span> for Duration {
    fn from(Span(seconds, nanos): Span) -> Self {
        Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
    }
}

impl<'a> Short<'a> {
    fn of(run: &'a Run) -> Self {
        let names = Names(
            Cow::Borrowed(&run.id),
            Cow::Borrowed(&run.device),
            Cow::Borrowed(&run.site),
            Cow::Borrowed(&run.platform),
            Cow::Borrowed(&run.location),
        );
        let phase = Cow::Borrowed(&run.phase);
        let course = Course(run.opened, run.last_heard, run.rev, run.seq, phase, run.address);
        Self(names, course, Spans::of(&run.timing), Seldom::of(run))
    }

    fn whole(self) -> Run {
        let Self(names, course, spans, seldom) = self;
        let Names(id, device, site, platform, location) = names;
        let Course(opened, last_heard, rev, seq, phase, address) = course;
        Run {
            id: id.into_owned(),
            device: device.into_owned(),
            site: site.into_owned(),
            platform: platform.into_owned(),
            location: location.into_owned(),
            opened,
            last_heard,
            rev,
            seq,
            phase: phase.into_owned(),
            timing: Arc::new(spans.timing(!seldom.asks_for_no_file)),
            actor: seldom.actor.into_owned(),
            address,
            repeats: seldom.repeats,
            transfers: seldom.transfers,
            served_sha256: seldom.served_sha256.into_owned(),
            host_key: seldom.host_key.into_owned(),
            attempt: seldom.attempt,
            first_visit: seldom.first_visit,
            milestones: seldom.milestones.into_owned(),
            handed: seldom.handed.into_owned(),
            findings: seldom.findings.into_owned(),
            suspected: seldom.suspected.into_owned(),
            told: seldom.told.into_owned(),
            saving: seldom.saving,
            strange_file: seldom.strange_file.into_owned(),
            oddities: seldom.oddities.into_owned(),
            missed: seldom.missed,
            gave_way: seldom.gave_way,
            upgrade: seldom.upgrade.into_owned(),
            upstream: seldom.upstream.into_owned(),
        }
    }
}

impl<'a> Spans<'a> {
    fn of(timing: &'a Timing) -> Self {
        // Named one by one, so that a new one is not forgotten.
        let Timing {
            ask_patience,
            file_patience,
            settle,
            back_deadline,
            recheck,
            neighbour_patience,
            login_patience,
            still_waiting,
            fetches: _,
            save,
            hooks_required,
            hooks_optional,
        } = timing;
        let spans = [
            ask_patience,
            file_patience,
            settle,
            back_deadline,
            recheck,
            neighbour_patience,
            login_patience,
            still_waiting,
        ];
        let (required, optional) =
            (Cow::Borrowed(&**hooks_required), Cow::Borrowed(&**hooks_optional));
        Self(spans.map(|span| Span::from(*span)), *save, required, optional)
    }

    fn timing(self, fetches: bool) -> Timing {
        let Self(spans, save, required, optional) = self;
        let [ask_patience, file_patience, settle, back_deadline, recheck, rest @ ..] =
            spans.map(Duration::from);
        let [neighbours, login, still_waiting] = rest;
        Timing {
            ask_patience,
            file_patience,
            settle,
            back_deadline,
            recheck,
            neighbour_patience: neighbours,
            login_patience: login,
            still_waiting,
            fetches,
            save,
            hooks_required: required.into_owned(),
            hooks_optional: optional.into_owned(),
        }
    }
}

impl<'a> Seldom<'a> {
    fn of(run: &'a Run) -> Self {
        // Named one by one, so that a new one is not forgotten.
        let Run {
            id: _,
            device: _,
            site: _,
            platform: _,
            location: _,
            opened: _,
            last_heard: _,
            rev: _,
            seq: _,
            phase: _,
            timing,
            actor,
            address: _,
            repeats,
            transfers,
            served_sha256,
            host_key,
            attempt,
            first_visit,
            milestones,
            handed,
            findings,
            suspected,
            told,
            saving,
            strange_file,
            oddities,
            missed,
            gave_way,
            upgrade,
            upstream,
        } = run;
        Self {
            actor: Cow::Borrowed(actor),
            repeats: *repeats,
            transfers: *transfers,
            served_sha256: Cow::Borrowed(served_sha256),
            host_key: Cow::Borrowed(host_key),
            attempt: *attempt,
            first_visit: *first_visit,
            milestones: Cow::Borrowed(milestones),
            handed: Cow::Borrowed(handed),
            findings: Cow::Borrowed(findings),
            suspected: Cow::Borrowed(suspected),
            told: Cow::Borrowed(told),
            saving: *saving,
            strange_file: Cow::Borrowed(strange_file),
            oddities: Cow::Borrowed(oddities),
            missed: *missed,
            gave_way: *gave_way,
            upgrade: Cow::Borrowed(upgrade),
            upstream: Cow::Borrowed(upstream),
            asks_for_no_file: !timing.fetches,
        }
    }
}

/// For `#[serde(with)]`.
pub fn serialize<S: Serializer>(run: &Arc<Run>, serializer: S) -> Result<S::Ok, S::Error> {
    Short::of(run).serialize(serializer)
}

/// For `#[serde(with)]`: a run by position, or one of an earlier version.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Run>, D::Error> {
    deserializer.deserialize_any(Either).map(Arc::new)
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Run;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Run, A::Error> {
        Short::deserialize(SeqAccessDeserializer::new(seq)).map(Short::whole)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Run, A::Error> {
        Run::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Writes a run behind what stands in `body`: what its table holds.
pub fn write(body: &mut Vec<u8>, run: &Run) -> Result<(), String> {
    rmp_serde::encode::write_named(body, &Short::of(run)).map_err(|why| why.to_string())
}

/// Reads what [`write`] wrote.
pub fn read(body: &[u8]) -> Result<Run, String> {
    let read: Result<Short, _> = rmp_serde::from_slice(body);
    read.map(Short::whole).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::a_run;

    fn fresh() -> Run {
        a_run("01A", "sw1", Timestamp::from_seconds(1_700_000_000))
    }

    #[test]
    fn a_fresh_run_takes_a_third_of_what_it_takes_with_all_its_names() {
        let mut short = Vec::new();
        write(&mut short, &fresh()).unwrap();
        let named = rmp_serde::to_vec_named(&fresh()).unwrap();
        assert!(short.len() * 3 < named.len(), "{} of {}", short.len(), named.len());
        assert_eq!(read(&short).unwrap(), fresh());
    }

    #[test]
    fn a_run_of_an_earlier_version_is_read_as_it_was() {
        let named = rmp_serde::to_vec_named(&fresh()).unwrap();
        let mut reading = rmp_serde::Deserializer::from_read_ref(&named);
        assert_eq!(*deserialize(&mut reading).unwrap(), fresh());
    }

    #[test]
    fn a_field_of_a_later_version_does_not_hinder_and_one_that_is_missing_is_usual() {
        #[derive(Serialize)]
        struct Later {
            missed: u32,
            mood: &'static str,
        }
        let run = fresh();
        let Short(names, course, spans, _) = Short::of(&run);
        let later = Later { missed: 3, mood: "good" };
        let body = rmp_serde::to_vec_named(&(names, course, spans, later)).unwrap();
        assert_eq!(read(&body).unwrap(), Run { missed: 3, milestones: BTreeMap::new(), ..run });
    }

    #[test]
    fn a_run_of_before_fetches_and_one_that_asks_for_no_file_is_read_as_such() {
        let unserved = Timing { fetches: false, ..(*fresh().timing).clone() };
        let unserved = Run { timing: Arc::new(unserved), ..fresh() };
        let mut body = Vec::new();
        write(&mut body, &unserved).unwrap();
        assert_eq!(read(&body).unwrap(), unserved);
        // An earlier version wrote neither the short field nor the long one.
        let mut named = serde_json::to_value(fresh()).unwrap();
        assert!(named["timing"].as_object_mut().unwrap().remove("fetches").is_some());
        assert_eq!(serde_json::from_value::<Run>(named).unwrap(), fresh());
        let mut usual = Vec::new();
        write(&mut usual, &fresh()).unwrap();
        assert!(!usual.windows(7).any(|seven| seven == b"no_file"));
    }

    #[test]
    fn spans_keep_their_nanoseconds() {
        let span = Duration::new(u64::MAX, 999_999_999);
        assert_eq!(Duration::from(Span::from(span)), span);
    }
}

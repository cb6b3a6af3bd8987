//! Which parts keep the device alive, and how are they? A row that nobody understands hides no
//! other: what was read before it counts, and it stays there itself, unclear.

use crate::platform::observation::{Part, PartKind, PartState, Reading};
use crate::platform::parse::rows::owned;
use crate::platform::parse::{Reader, Row, field::Field, is_unknown_command, quote};
use crate::platform::{Asked, Output};

/// The parts that all commands list. A command that the device does not know lists none.
pub(super) fn read(asked: &Asked, outputs: &[Output]) -> Reading<Vec<Part>> {
    let mut parts = Vec::new();
    let mut first_why = None;
    for (index, (command, reader)) in asked.commands.iter().zip(&asked.readers).enumerate() {
        let (rows, why) = match outputs.get(index) {
            None => (Vec::new(), Some("no answer".to_owned())),
            Some(Output::Refused { why }) if is_unknown_command(why) => continue,
            Some(Output::Refused { why }) => (Vec::new(), Some(quote(why))),
            Some(Output::Text(text)) => reader.rows_so_far(text),
        };
        // Junos names a class only at its first item, in some releases.
        let mut kind_above = None;
        for row in &rows {
            kind_above = owned(row, Field::Kind).or(kind_above);
            parts.extend(part(reader, row, kind_above.as_deref()));
        }
        if let Some(why) = why.map(|why| format!("`{command}`: {why}")) {
            let state = PartState::Unclear { why: why.clone() };
            parts.push(Part { name: command.clone(), kind: PartKind::Other, state });
            first_why = first_why.or(Some(why));
        }
    }
    match first_why {
        Some(why) if parts.iter().all(|part| part.kind == PartKind::Other) => {
            Reading::unreadable(why)
        }
        Some(_) | None => Reading::Seen(parts),
    }
}

/// One part. `None` for one of a kind that is none of ours and does what it should.
fn part(reader: &Reader, row: &Row, said_kind: Option<&str>) -> Option<Part> {
    let unclear = |name: String, kind, why| Part { name, kind, state: PartState::Unclear { why } };
    let kind = reader.kind.or_else(|| kind(said_kind?)).unwrap_or(PartKind::Other);
    let Some(name) = owned(row, Field::Part) else {
        return Some(unclear(String::new(), kind, "a part without a name".to_owned()));
    };
    let said = owned(row, Field::State).unwrap_or_default();
    let is = |pattern: &regex::Regex| pattern.is_match(&said);
    let state = match &reader.states {
        Some(states) if is(&states.good) => PartState::Good,
        Some(states) if states.absent.as_ref().is_some_and(is) => PartState::Absent,
        Some(states) if is(&states.bad) => PartState::Bad,
        Some(_) | None => {
            let why = format!("{}: neither good nor bad: {}", quote(&name), quote(&said));
            return Some(unclear(name, kind, why));
        }
    };
    match (kind, state) {
        (PartKind::Other, PartState::Good | PartState::Absent) => None,
        (PartKind::Other, PartState::Bad | PartState::Unclear { .. }) => {
            let kind_said = quote(said_kind.unwrap_or_default());
            let why = format!("{} of unknown kind {kind_said}: {}", quote(&name), quote(&said));
            Some(unclear(name, kind, why))
        }
        (PartKind::Power | PartKind::Fan | PartKind::Temperature, state) => {
            Some(Part { name, kind, state })
        }
    }
}

fn kind(said: &str) -> Option<PartKind> {
    let said = said.trim().to_lowercase();
    let kinds = [
        ("power", PartKind::Power),
        ("psu", PartKind::Power),
        ("fan", PartKind::Fan),
        ("temp", PartKind::Temperature),
    ];
    kinds.into_iter().find(|(word, _)| said.starts_with(word)).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::platform::{Platforms, Question};

    fn told(platform: &str, output: Output) -> Reading<Vec<Part>> {
        let outputs = BTreeMap::from([(Question::Environment, vec![output])]);
        Platforms::built_in().by_id[platform].read(&outputs).environment
    }

    /// `environment-item`s of Junos: name, class, status.
    fn junos(items: &[(&str, &str, &str)]) -> Reading<Vec<Part>> {
        let leaf = |key: &str, text: &str| match text {
            "" => String::new(),
            text => format!(r#","{key}":[{{"data":"{text}"}}]"#),
        };
        let items = items.iter().map(|(name, class, status)| {
            let rest = leaf("class", class) + &leaf("status", status);
            format!(r#"{{"name":[{{"data":"{name}"}}]{rest}}}"#)
        });
        let items = items.collect::<Vec<_>>().join(",");
        let text = format!(r#"{{"environment-information":[{{"environment-item":[{items}]}}]}}"#);
        told("juniper_junos", Output::Text(text))
    }

    /// Each part in short: its name, kind and state or why.
    fn short(reading: &Reading<Vec<Part>>) -> Vec<String> {
        let parts = reading.seen().expect("parts were read");
        let state = |part: &Part| match &part.state {
            PartState::Unclear { why } => why.clone(),
            state => format!("{} {:?} {state:?}", part.name, part.kind),
        };
        parts.iter().map(state).collect()
    }

    #[test]
    fn a_failed_part_of_a_kind_nobody_knows_is_unclear_and_a_good_one_claims_nothing() {
        let read = junos(&[("A", "PSM", "Failed"), ("B", "PSM", "OK"), ("C", "PSU", "Failed")]);
        assert_eq!(short(&read), ["`A` of unknown kind `PSM`: `Failed`", "C Power Bad"]);
    }

    #[test]
    fn an_item_without_a_class_is_of_the_class_above_it() {
        let read = junos(&[("PEM 0", "Power", "OK"), ("PEM 1", "", "Failed"), ("X", "Fans", "OK")]);
        assert_eq!(short(&read), ["PEM 0 Power Good", "PEM 1 Power Bad", "X Fan Good"]);
        assert_eq!(
            short(&junos(&[("PEM 0", "", "Check")])),
            ["`PEM 0` of unknown kind ``: `Check`"]
        );
    }

    #[test]
    fn a_row_that_nobody_understands_hides_no_other() {
        let read = junos(&[("PEM 0", "Power", ""), ("PEM 1", "Power", "Failed")]);
        assert_eq!(short(&read), ["`PEM 0`: neither good nor bad: ``", "PEM 1 Power Bad"]);
        let table = "SW  PID            Serial#     Status          Sys Pwr  PoE Pwr  Watts\n\
                     1A  PWR-C1-715WAC  LIT1234ABCD No Input Power  Bad      Bad      715\n\
                     1B  out of this world\n";
        let read = told("cisco_iosxe", Output::Text(table.to_owned()));
        let last = "`show environment power`: line 3 has no place: `1B  out of this world`";
        assert_eq!(short(&read), ["1A Power Bad", last]);
    }

    #[test]
    fn a_command_the_device_does_not_know_lists_nothing_and_another_refusal_is_unreadable() {
        let refused = |why: &str| told("cisco_iosxe", Output::Refused { why: why.to_owned() });
        assert_eq!(refused("% Invalid input detected at '^' marker."), Reading::Seen(Vec::new()));
        for why in ["% Authorization failed", "expected at most 9 bytes, found 10"] {
            assert!(matches!(refused(why), Reading::Unreadable { .. }), "{why}");
        }
    }
}

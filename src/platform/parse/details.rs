//! How does each link run? The commands that list interfaces may tell it beside the link; what the
//! commands marked `details` tell is added, and if one of them cannot be read, only this is
//! unknown.

use std::collections::BTreeMap;

use crate::platform::observation::{Duplex, Interface, LinkDetails, Reading};
use crate::platform::parse::{Method, Reader, Row, answer, field::Field, quote, rows};
use crate::platform::{Asked, Output, Platform, Question};

/// Adds to the interfaces what the detail commands say about them.
pub fn add(
    platform: &Platform,
    outputs: &BTreeMap<Question, Vec<Output>>,
    interfaces: &mut Reading<Vec<Interface>>,
) {
    let Some(asked) = platform.questions.get(&Question::Interfaces) else { return };
    let (Reading::Seen(interfaces), Some(outputs)) =
        (interfaces, outputs.get(&Question::Interfaces))
    else {
        return;
    };
    if !asked.readers.iter().any(Reader::tells_details) {
        return;
    }
    let told = told(platform, asked, outputs);
    for interface in interfaces {
        interface.details = match &told {
            Ok(told) => {
                let name = platform.canonical_port(&interface.name);
                Reading::Seen(told.get(&name).cloned().unwrap_or_default())
            }
            Err(why) => Reading::unreadable(why),
        };
    }
}

impl Reader {
    /// Whether its rows tell how links run.
    pub fn tells_details(&self) -> bool {
        let fields = match &self.method {
            Method::Table(table) => table.fields.clone(),
            Method::Borrowed(borrowed) => borrowed.fields.iter().map(|(field, _)| *field).collect(),
            Method::JsonRows(rows) => rows.fields.iter().map(|(field, _)| *field).collect(),
            Method::JsonFields(_) | Method::Patterns(_) | Method::Text(_) | Method::Accepted(_) => {
                Vec::new()
            }
        };
        self.details || fields.into_iter().any(Field::is_detail)
    }
}

/// What all detail commands tell, by the interface's one spelling. Of two answers to one thing the
/// first counts.
fn told(
    platform: &Platform,
    asked: &Asked,
    outputs: &[Output],
) -> Result<BTreeMap<String, LinkDetails>, String> {
    let mut all: BTreeMap<String, LinkDetails> = BTreeMap::new();
    for (index, (command, reader)) in asked.commands.iter().zip(&asked.readers).enumerate() {
        if !reader.tells_details() {
            continue;
        }
        let rows = answer(reader, outputs.get(index));
        for row in rows.map_err(|why| format!("`{command}`: {why}"))? {
            let name = rows::owned(&row, Field::Name);
            let name = name.ok_or_else(|| format!("`{command}`: an interface without a name"))?;
            let new = details(&row).map_err(|why| format!("`{command}`: {why}"))?;
            let known = all.entry(platform.canonical_port(&name)).or_default();
            known.speed_mbps = known.speed_mbps.or(new.speed_mbps);
            known.duplex = known.duplex.or(new.duplex);
            known.input_errors = known.input_errors.or(new.input_errors);
            known.link_changes = known.link_changes.or(new.link_changes);
        }
    }
    Ok(all)
}

fn details(row: &Row) -> Result<LinkDetails, String> {
    let bits = count(row, Field::BitsPerSecond)?.filter(|bits| *bits > 0);
    let speed = rows::get(row, Field::Speed).and_then(megabits);
    Ok(LinkDetails {
        speed_mbps: speed.or(bits.map(|bits| bits / 1_000_000)),
        duplex: rows::get(row, Field::Duplex).and_then(duplex),
        input_errors: count(row, Field::InputErrors)?,
        link_changes: count(row, Field::LinkChanges)?,
    })
}

fn count(row: &Row, field: Field) -> Result<Option<u64>, String> {
    let Some(text) = rows::owned(row, field) else { return Ok(None) };
    let wrong = || format!("expected a number for {}, found {}", field.name(), quote(&text));
    text.parse().map(Some).map_err(|_| wrong())
}

/// `1000`, `1000Mb/s`, `10Gbps`, `2.5Gb/s`. Words such as `Auto-speed` tell no speed, as a port
/// without link does not.
pub fn megabits(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let thousandths = thousandths(number)?;
    let kilobits = match unit.trim() {
        "" | "m" | "mb" | "mbps" | "mb/s" | "mbit" | "mbit/s" | "mbits/sec" => thousandths,
        "g" | "gb" | "gig" | "gbps" | "gb/s" | "gbit/s" | "gbits/sec" => {
            thousandths.checked_mul(1000)?
        }
        _ => return None,
    };
    Some(kilobits / 1000).filter(|speed| *speed > 0)
}

/// `2.5` as 2500.
fn thousandths(number: &str) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

/// `Full`, `duplexFull`, `Half-duplex`, `FDx`, `F`. `Auto` tells nothing.
fn duplex(text: &str) -> Option<Duplex> {
    let text = text.trim().to_ascii_lowercase();
    let full = text.contains("full") || ["f", "fd", "fdx"].contains(&text.as_str());
    let half = text.contains("half") || ["h", "hd", "hdx"].contains(&text.as_str());
    match (full, half) {
        (true, false) => Some(Duplex::Full),
        (false, true) => Some(Duplex::Half),
        (true, true) | (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platforms;

    #[test]
    fn a_speed_is_a_number_with_its_unit() {
        for (text, expected) in [
            ("1000", Some(1000)),
            ("1000Mb/s", Some(1000)),
            ("100mbps", Some(100)),
            ("10Gb/s", Some(10_000)),
            ("10Gbps", Some(10_000)),
            ("2.5Gb/s", Some(2500)),
            ("10Gig", Some(10_000)),
            ("-1", None),
            ("0", None),
            ("Auto-speed", None),
            ("Unlimited", None),
            ("10 parsecs", None),
            ("", None),
            (".", None),
            ("99999999999999999999Gb/s", None),
        ] {
            assert_eq!(megabits(text), expected, "{text}");
        }
    }

    #[test]
    fn duplex_is_half_or_full_or_not_told() {
        assert_eq!(duplex("duplexFull"), Some(Duplex::Full));
        assert_eq!(duplex("Half-duplex"), Some(Duplex::Half));
        assert_eq!(duplex("Auto"), None);
        assert_eq!((duplex("10GigFD"), duplex("A")), (None, None));
        assert_eq!((duplex("FDx"), duplex("H")), (Some(Duplex::Full), Some(Duplex::Half)));
        assert_eq!(duplex("half or full"), None);
    }

    /// The links of a switch whose second command says this.
    fn links(second: Output) -> Vec<Interface> {
        let brief = "Interface              IP-Address      OK? Method Status    Protocol\n\
                     GigabitEthernet1/0/1   unassigned      YES unset  up        up\n";
        let platforms = Platforms::built_in();
        let outputs = vec![Output::Text(brief.to_owned()), second];
        let seen =
            platforms.by_id["cisco_ios"].read(&BTreeMap::from([(Question::Interfaces, outputs)]));
        seen.interfaces.seen().expect("the links are known").clone()
    }

    #[test]
    fn details_that_cannot_be_read_leave_the_links_known() {
        let refused = links(Output::Refused { why: "% Invalid input".to_owned() });
        assert!(refused[0].link_up);
        let why = "`show interfaces`: `% Invalid input`";
        assert_eq!(refused[0].details, Reading::unreadable(why));
        let strange = links(Output::Text("What?\n".to_owned()));
        assert!(matches!(&strange[0].details, Reading::Unreadable { why } if why.contains("What")));
        let other = "Vlan1 is up, line protocol is up\n";
        let silent = links(Output::Text(other.to_owned()));
        assert_eq!(silent[0].details, Reading::Seen(LinkDetails::default()));
    }
}

//! Rows become facts, neighbours and interfaces.

use crate::platform::observation::{Facts, Interface, Neighbour};
use crate::platform::parse::{Gathered, Row, field::Field, quote};

pub(super) fn get(row: &Row, field: Field) -> Option<&str> {
    row.iter().find(|(other, _)| *other == field).map(|(_, text)| text.as_str())
}

pub(super) fn owned(row: &Row, field: Field) -> Option<String> {
    get(row, field).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The facts of all commands; of two answers to one field the first counts, serials are collected.
pub fn facts(gathered: &[Gathered]) -> Result<Facts, String> {
    let mut facts = Facts::default();
    for (field, text) in gathered.iter().flat_map(|g| g.rows.iter().flatten()) {
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let slot = match field {
            Field::Hostname => &mut facts.hostname,
            Field::Model => &mut facts.model,
            Field::Software => &mut facts.software,
            Field::Serial => {
                if !facts.serials.iter().any(|known| known == text) {
                    facts.serials.push(text.to_owned());
                }
                continue;
            }
            Field::LocalPort
            | Field::SystemName
            | Field::ChassisId
            | Field::PortId
            | Field::PortDescription
            | Field::FirstSeenClock
            | Field::RemainingSeconds
            | Field::Name
            | Field::Link
            | Field::Speed
            | Field::BitsPerSecond
            | Field::Duplex
            | Field::InputErrors
            | Field::LinkChanges
            | Field::Part
            | Field::Kind
            | Field::State
            | Field::Text => return Err(format!("{} is no fact", field.name())),
        };
        slot.get_or_insert_with(|| text.to_owned());
    }
    Ok(facts)
}

/// One neighbour per row. A row without our port or the far port is unreadable.
pub fn neighbours(gathered: &[Gathered]) -> Result<Vec<Neighbour>, String> {
    let rows = gathered.iter().flat_map(|g| g.rows.iter().map(|row| (g.reader.hold_seconds, row)));
    rows.map(|(hold_seconds, row)| neighbour(row, hold_seconds)).collect()
}

fn neighbour(row: &Row, hold_seconds: Option<u64>) -> Result<Neighbour, String> {
    let must = |field: Field| {
        owned(row, field).ok_or_else(|| format!("a neighbour without {}", field.name()))
    };
    let port_id = must(Field::PortId)?;
    Ok(Neighbour {
        local_port: must(Field::LocalPort)?,
        system_name: owned(row, Field::SystemName).unwrap_or_default(),
        chassis_id: owned(row, Field::ChassisId),
        // EOS prints some port ids with quotation marks around them.
        port_id: port_id.trim_matches('"').to_owned(),
        port_description: owned(row, Field::PortDescription),
        first_seen_seconds_ago: get(row, Field::FirstSeenClock).map(clock_seconds).transpose()?,
        last_heard_seconds_ago: last_heard(row, hold_seconds)?,
    })
}

/// A neighbour heard just now has its whole hold time left. If more than the usual is left, the far
/// end announced a longer one, and nothing can be said.
fn last_heard(row: &Row, hold_seconds: Option<u64>) -> Result<Option<u64>, String> {
    let (Some(text), Some(hold)) = (get(row, Field::RemainingSeconds), hold_seconds) else {
        return Ok(None);
    };
    let remaining: u64 =
        text.trim().parse().map_err(|_| format!("expected seconds, found {}", quote(text)))?;
    Ok(hold.checked_sub(remaining))
}

/// `0 day, 00:00:12` or `3 days, 04:05:06`.
fn clock_seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected days and a clock, found {}", quote(text));
    let (days, clock) = text.split_once(", ").ok_or_else(wrong)?;
    let days: u64 =
        days.split_whitespace().next().and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    let parts: Option<Vec<u64>> = clock.split(':').map(|part| part.trim().parse().ok()).collect();
    match parts.as_deref() {
        Some([hours, minutes, seconds]) if *hours < 24 && *minutes < 60 && *seconds < 60 => days
            .checked_mul(86_400)
            .and_then(|whole| whole.checked_add(hours * 3600 + minutes * 60 + seconds))
            .ok_or_else(wrong),
        Some(_) | None => Err(wrong()),
    }
}

/// One interface per row. A link state in unknown words is unreadable.
pub fn interfaces(gathered: &[Gathered]) -> Result<Vec<Interface>, String> {
    let mut interfaces = Vec::new();
    for (reader, row) in gathered.iter().flat_map(|g| g.rows.iter().map(|row| (g.reader, row))) {
        let name = owned(row, Field::Name).ok_or("an interface without a name")?;
        let link = get(row, Field::Link).unwrap_or_default().trim();
        let link_up = match &reader.link {
            Some((up, _)) if up.is_match(link) => true,
            Some((_, down)) if down.is_match(link) => false,
            Some(_) | None => {
                return Err(format!("{}: neither up nor down: {}", quote(&name), quote(link)));
            }
        };
        interfaces.push(Interface::new(name, link_up));
    }
    if interfaces.is_empty() {
        return Err("a device without interfaces".to_owned());
    }
    Ok(interfaces)
}

/// The texts, one after the other.
pub fn text(gathered: &[Gathered]) -> String {
    gathered.iter().flat_map(|g| g.rows.iter().flatten()).map(|(_, text)| text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_days_and_a_clock() {
        assert_eq!(clock_seconds("0 day, 00:00:12").unwrap(), 12);
        assert_eq!(clock_seconds("3 days, 04:05:06").unwrap(), 3 * 86_400 + 4 * 3600 + 5 * 60 + 6);
        for text in ["", "00:00:12", "x day, 00:00:12", "0 day, 00:12", "0 day, 00:60:00"] {
            assert!(clock_seconds(text).is_err(), "{text}");
        }
        assert!(clock_seconds("18446744073709551615 days, 00:00:00").is_err());
    }

    #[test]
    fn more_time_left_than_usual_says_nothing() {
        let row = |text: &str| vec![(Field::RemainingSeconds, text.to_owned())];
        assert_eq!(last_heard(&row("95"), Some(120)), Ok(Some(25)));
        assert_eq!(last_heard(&row("121"), Some(120)), Ok(None));
        assert_eq!(last_heard(&row("95"), None), Ok(None));
        assert!(last_heard(&row("soon"), Some(120)).is_err());
    }
}

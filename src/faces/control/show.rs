//! What `status`, `log` and `watch` look like on a terminal. Words beside every sign; no colour is
//! needed.

use comfy_table::{ContentArrangement, Table, presets};

use crate::clock::Timestamp;
use crate::service::operations::{DeviceStatus, Log, Status};

/// The sign before a phase.
pub fn sign(phase: &str) -> &'static str {
    match phase {
        "ready" => "[done]",
        "action_needed" => "[NEED]",
        "failed" | "cancelled" => "[ends]",
        "planned" | "expected" => "[ .. ]",
        _ => "[work]",
    }
}

/// `status` as a table.
pub fn status(status: &Status) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["", "device", "phase", "fault", "proven", "address", "repeats", "where"]);
    for device in &status.devices {
        table.add_row(row(device));
    }
    let mut text = table.to_string();
    if status.silent > 0 {
        text.push_str(&format!("\n{} more planned devices were not heard of yet", status.silent));
    }
    for stranger in &status.strangers {
        text.push_str(&format!(
            "\nnot planned: {}, seen {} times, last {}",
            clean(&stranger.description),
            stranger.count,
            stranger.last
        ));
    }
    text
}

fn row(device: &DeviceStatus) -> Vec<String> {
    let proven = if device.planned == 0 {
        "-".to_owned()
    } else {
        format!("{} of {}", device.proven, device.planned)
    };
    vec![
        sign(&device.phase).to_owned(),
        clean(&device.device),
        device.phase.replace('_', " "),
        device.fault.clone().unwrap_or_default(),
        proven,
        device.address.map(|address| address.to_string()).unwrap_or_default(),
        device.repeats.to_string(),
        clean(&format!("{} {}", device.site, device.location)),
    ]
}

/// `log` as lines, in the order of time: what happened, what was served, what was told.
pub fn log(log: &Log) -> String {
    let mut lines: Vec<(Timestamp, String)> = log
        .lines
        .iter()
        .map(|line| (line.at, format!("{:<13} {}", clean(&line.topic), clean(&line.text))))
        .collect();
    lines.extend(log.served.iter().map(|file| {
        let digest: String = file.sha256.chars().take(12).collect();
        let text = format!(
            "served        {} by {}: {} bytes, sha256 {digest}{}",
            clean(&file.name_asked),
            clean(&file.transport),
            file.bytes,
            if file.complete { "" } else { ", incomplete" },
        );
        (file.at, text)
    }));
    lines.extend(log.deliveries.iter().map(|row| {
        let state = format!("{:?}", row.state).to_lowercase();
        let text = format!("{:<13} {} {state}", clean(&row.outlet), clean(&row.kind));
        (row.created, format!("{text} {}", clean(&row.note)))
    }));
    lines.sort_by_key(|(at, _)| *at);
    let lines: Vec<String> =
        lines.iter().map(|(at, text)| format!("{at}  {}", text.trim_end())).collect();
    lines.join("\n")
}

/// One line of `watch`, from one line of the event stream.
pub fn event(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let text = |pointer: &str| {
        clean(event.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default())
    };
    if let Some(missed) = event.get("missed") {
        return format!("({missed} events were missed)");
    }
    let phase = text("/phase/is");
    let headline = text("/notice/headline");
    let said = if headline.is_empty() {
        let notes = event.get("notes").and_then(|notes| notes.as_array());
        let last = notes.and_then(|notes| notes.last());
        let note = last.and_then(|note| note.get("text")).and_then(|text| text.as_str());
        clean(note.unwrap_or_default())
    } else {
        headline
    };
    format!("{}  {} {:<20} {:<13} {said}", text("/at"), sign(&phase), text("/device"), phase)
}

/// A terminal obeys control characters: none gets through.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_do_not_reach_the_terminal() {
        let line =
            r#"{"device":"sw\u001b[2J","phase":{"is":"ready"},"notes":[{"text":"a\u0007b"}]}"#;
        let shown = event(line);
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(shown.contains("[done] sw [2J"), "{shown}");
    }
}

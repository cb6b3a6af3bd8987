//! `platform list` and `platform show` on a terminal.

use std::fmt::Write;

use comfy_table::{ContentArrangement, Table, presets};

use crate::platform::Question;
use crate::platform::card::{AskedCard, Card, Carried, CliCard, SoftwareCard, StepCard};
use crate::platform::table::TableRow;

/// All platforms by what they can do.
pub fn list(rows: &[TableRow]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "platform",
            "recognised by",
            "fetches by",
            "asked",
            "checksum",
            "save",
            "software",
            "limits",
        ]);
    for row in rows {
        table.add_row(cells(row));
    }
    let mut out = trimmed(&table.to_string());
    let _ =
        writeln!(out, "{} platforms; `greenlight platform show ID` tells all of one", rows.len());
    out
}

fn cells(row: &TableRow) -> Vec<String> {
    let question = |question: &Question| match question {
        Question::Interfaces if row.details => "interfaces with details",
        Question::Facts
        | Question::Lldp
        | Question::Cdp
        | Question::Interfaces
        | Question::Environment
        | Question::Running
        | Question::Saved
        | Question::Save => question.name(),
    };
    let ping = row.ping.then_some("ping");
    let asked: Vec<&str> = row.questions.iter().map(question).chain(ping).collect();
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    vec![
        row.id.clone(),
        or_dash(row.recognised_by.join("\n")),
        or_dash(row.transports.join(", ")),
        or_dash(asked.join(", ")),
        row.checksum.as_ref().map_or("-", |_| "yes").to_owned(),
        if row.must_save { "must be told" } else { "by itself" }.to_owned(),
        row.software.unwrap_or("-").to_owned(),
        row.limits.len().to_string(),
    ]
}

/// Everything about one platform.
pub fn show(card: &Card) -> String {
    let mut out = String::new();
    let row = &card.row;
    let _ = writeln!(out, "{}: {} (from {})", row.id, row.title, card.file);
    section(
        &mut out,
        "Recognised by",
        recognised(card),
        "nothing: name its MAC, serial or relay port in the inventory",
    );
    let answers = card.answers.iter().map(carried).collect();
    section(&mut out, "OFFER and ACK carry", answers, "nothing of its own");
    section(
        &mut out,
        "Fetches its file by",
        row.transports.iter().map(|t| (*t).to_owned()).collect(),
        "nothing",
    );
    section(&mut out, "May ask for the names", card.files.clone(), "only the one it was told");
    section(&mut out, "The file carries", row.checksum.iter().cloned().collect(), "no checksum");
    let headers = card.identity_headers.iter();
    let headers =
        headers.map(|headers| format!("{:<22} {}", headers.clue, headers.names.join(", ")));
    section(&mut out, "Tells who it is in the HTTP headers", headers.collect(), "none");
    section(&mut out, "Times", times(card), "");
    section(&mut out, "Its command line", cli(&card.cli), "");
    section(&mut out, "Is asked", asked(card), "nothing");
    let software = card.software.as_ref().map(software).unwrap_or_default();
    section(&mut out, "Comes to other software by", software, "nothing that is known here");
    section(&mut out, "Limits", row.limits.clone(), "none known");
    trimmed(&out)
}

fn carried(answer: &Carried) -> String {
    let name = format!("{} {}", answer.option, answer.name);
    format!("{:<22} {}", name.trim_end(), answer.value)
}

fn section(out: &mut String, title: &str, lines: Vec<String>, none: &str) {
    let _ = writeln!(out, "\n{title}");
    if lines.is_empty() {
        let _ = writeln!(out, "  {none}");
    }
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
}

fn recognised(card: &Card) -> Vec<String> {
    let mut lines = Vec::new();
    for rule in &card.recognise {
        for (number, looked) in rule.iter().enumerate() {
            let sign = if number == 0 { "either" } else { "   and" };
            lines.push(format!("{sign} {:<15} {}", looked.at, looked.pattern));
        }
    }
    lines
}

fn times(card: &Card) -> Vec<String> {
    let mut lines = vec![
        format!("first visit            {} s after the transfer", card.settle_seconds),
        format!("back at the latest     {} s after the transfer", card.back_deadline_seconds),
    ];
    let lease = card.lease_at_least_seconds;
    lines.extend(lease.map(|seconds| format!("lease                  at least {seconds} s")));
    lines
}

fn cli(cli: &CliCard) -> Vec<String> {
    let mut lines = vec![format!("{:<22} {}", "channel", cli.channel)];
    let mut add = |name: &str, values: &[String]| {
        lines.extend(values.iter().map(|value| format!("{name:<22} {value}")));
    };
    add("prompt", &cli.prompts);
    add("becomes privileged by", cli.enable.as_slice());
    add("first", &cli.preparation);
    add("pager", &cli.pagers);
    add("an error", &cli.errors);
    add("says unasked", &cli.chatter);
    lines.push(format!("{:<22} {} s", "silent at most", cli.command_timeout_seconds));
    if !cli.logout.is_empty() {
        lines.push(format!("{:<22} {}", "last", cli.logout));
    }
    lines.push(format!("{:<22} {}", "old SSH algorithms", cli.legacy));
    lines
}

fn asked(card: &Card) -> Vec<String> {
    let mut lines = Vec::new();
    for AskedCard { question, commands } in &card.asked {
        for command in commands {
            let must = match command.must.is_empty() {
                true => String::new(),
                false => format!(", needs {}", command.must.join(", ")),
            };
            let more = if command.details { ", only adds to the others" } else { "" };
            lines.push(format!("{:<12} {}", question.name(), command.command));
            lines.push(format!("{:<12}   read as {}{must}{more}", "", command.read));
        }
    }
    lines.extend(card.ping.iter().map(|command| format!("{:<12} {command}", "ping")));
    lines
}

fn software(software: &SoftwareCard) -> Vec<String> {
    let mut lines = vec![format!("{:<12} {} s", "takes", software.takes_seconds)];
    lines.extend(software.steps.iter().flat_map(step));
    if !software.ztp.is_empty() {
        lines.push("its own provisioning, to which OFFER and ACK say instead".to_owned());
        lines.extend(software.ztp.iter().map(|answer| format!("  {}", carried(answer))));
    }
    lines
}

fn step(step: &StepCard) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, command) in step.commands.iter().enumerate() {
        let name = if number == 0 { step.step } else { "" };
        lines.push(format!("{name:<12} {command}"));
    }
    let mut add = |what: &str, text: &str| lines.push(format!("{:<12}   {what} {text}", ""));
    if let Some((command, shows)) = &step.look {
        add("not if", &format!("`{command}` shows {shows}"));
    }
    for (line, keys) in &step.answers {
        add("asked", &format!("{line} it answers {keys:?}"));
    }
    step.success.iter().for_each(|pattern| add("done by", pattern));
    step.failure.iter().for_each(|pattern| add("an error", pattern));
    add("at most", &format!("{} s", step.timeout_seconds));
    lines
}

/// A line's end has no spaces.
fn trimmed(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platforms;

    #[test]
    fn list_and_show_look_as_in_the_golden_file() {
        let platforms = Platforms::built_in();
        let mut shown = list(&platforms.table());
        for id in ["cisco_nxos", "fortinet_fortios", "juniper_junos"] {
            shown.push('\n');
            shown.push_str(&show(&platforms.by_id[id].card()));
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/platforms.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &shown).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), shown);
    }
}

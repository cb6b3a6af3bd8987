//! The table and its data.

use serde_json::{Value, json};

use super::outcome::{Against, Bar, Demand, Line, Outcome, Role, Unit};

const HEADING: &str = "| row | peer | theirs | CPU each | ours | CPU each | ours / theirs | CPU \
                       ours / theirs | bar | met |\n|---|---|---|---|---|---|---|---|---|---|\n";

/// One table for all rows, and below it what else must be said.
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = HEADING.to_owned();
    let mut remarks = String::new();
    for outcome in outcomes {
        rows(outcome, &mut text);
        for line in &outcome.lines {
            for note in &line.notes {
                remarks.push_str(&format!("* {}, {}: {note}\n", outcome.id, line.name));
            }
        }
        for (name, why) in &outcome.skipped {
            remarks.push_str(&format!("* {}, {name}: not measured: {why}\n", outcome.id));
        }
    }
    if !remarks.is_empty() {
        text.push('\n');
        text.push_str(&remarks);
    }
    text
}

fn rows(outcome: &Outcome, text: &mut String) {
    let unit = outcome.unit;
    let Some(ours) = outcome.ours() else {
        text.push_str(&format!(
            "| {} | - | - | - | not measured | - | - | - | - | - |\n",
            outcome.title
        ));
        return;
    };
    let (our_rate, our_cpu) = (rate(ours, unit), cpu(ours, unit));
    for bar in outcome.bars.iter().filter(|bar| bar.against == Against::Nobody) {
        let (title, (asked, met)) = (&outcome.title, judged(bar, ours, None));
        text.push_str(&format!(
            "| {title} | - | - | - | {our_rate} | {our_cpu} | - | - | {asked} | {met} |\n"
        ));
    }
    for line in outcome.lines.iter().filter(|line| line.role != Role::Ours) {
        let mut asked = Vec::new();
        let mut met = Vec::new();
        for bar in outcome.bars_of(line) {
            let (demand, word) = judged(bar, ours, Some(line));
            asked.push(demand);
            met.push(word);
        }
        text.push_str(&format!(
            "| {} | {} | {} | {} | {our_rate} | {our_cpu} | {} | {} | {} | {} |\n",
            outcome.title,
            line.name,
            rate(line, unit),
            cpu(line, unit),
            ratio(ours.rate(), line.rate()),
            ratio(ours.cpu_idle(), line.cpu_idle()),
            joined(&asked),
            joined(&met),
        ));
    }
}

fn joined(words: &[String]) -> String {
    if words.is_empty() { "-".to_owned() } else { words.join("; ") }
}

/// What is asked, and whether it is met.
fn judged(bar: &Bar, ours: &Line, theirs: Option<&Line>) -> (String, String) {
    let by = |our: f64, their: Option<f64>| our / their.unwrap_or(f64::NAN);
    let (asked, met) = match bar.demand {
        Demand::RateAtLeast(least) => {
            let met = by(ours.rate(), theirs.map(Line::rate)) >= least;
            (format!("rate at least {least}x"), met)
        }
        Demand::CpuAtMost(most) => {
            let met = by(ours.cpu_idle(), theirs.map(Line::cpu_idle)) <= most;
            (format!("CPU at most {most:.2}x"), met)
        }
        Demand::AtMost(most) => (format!("at most {most}"), ours.rate() <= most),
    };
    (asked, if met { "yes" } else { "no" }.to_owned())
}

fn ratio(ours: f64, theirs: f64) -> String {
    if theirs > 0.0 { format!("{:.2}x", ours / theirs) } else { "-".to_owned() }
}

/// The median, and the spread if there were more rounds than one.
fn rate(line: &Line, unit: Unit) -> String {
    let (low, high) = line.spread();
    let middle = format!("{}{}", number(line.rate()), unit.rate);
    if line.samples.len() < 2 {
        return middle;
    }
    format!("{middle} ({} to {})", number(low), number(high))
}

/// Until the last answer, and until idle where that is more.
fn cpu(line: &Line, unit: Unit) -> String {
    if unit.cpu.is_empty() {
        return "-".to_owned();
    }
    let (last, idle) = (number(line.cpu_last()), number(line.cpu_idle()));
    // Nearer than that is the noise of waiting.
    if line.cpu_idle() < 1.02 * line.cpu_last() {
        return format!("{last} {}", unit.cpu);
    }
    format!("{last}, idle {idle} {}", unit.cpu)
}

/// Three digits that count, with the thousands set apart.
fn number(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Everything, round by round.
pub fn data(machine: &str, rounds: usize, quick: bool, outcomes: &[Outcome]) -> Value {
    let rows: Vec<Value> = outcomes.iter().map(row).collect();
    json!({ "machine": machine, "rounds": rounds, "quick": quick, "rows": rows })
}

fn row(outcome: &Outcome) -> Value {
    let lines: Vec<Value> = outcome.lines.iter().map(|line| self::line(line, outcome)).collect();
    let skipped: Vec<Value> =
        outcome.skipped.iter().map(|(name, why)| json!({ "server": name, "why": why })).collect();
    json!({
        "row": outcome.id,
        "title": outcome.title,
        "rate_unit": outcome.unit.rate.trim(),
        "cpu_unit": outcome.unit.cpu,
        "servers": lines,
        "skipped": skipped,
    })
}

fn line(line: &Line, outcome: &Outcome) -> Value {
    let samples: Vec<Value> = line
        .samples
        .iter()
        .map(|sample| {
            json!({
                "rate": sample.rate,
                "cpu_until_last": sample.cpu_last,
                "cpu_until_idle": sample.cpu_idle,
            })
        })
        .collect();
    let ours = outcome.ours().filter(|ours| ours.name != line.name);
    let bars: Vec<Value> = ours
        .into_iter()
        .flat_map(|ours| outcome.bars_of(line).map(move |bar| judged(bar, ours, Some(line))))
        .map(|(asked, met)| json!({ "asked": asked, "met": met == "yes" }))
        .collect();
    json!({
        "server": line.name,
        "rate": line.rate(),
        "cpu_until_last": line.cpu_last(),
        "cpu_until_idle": line.cpu_idle(),
        "ours_by_theirs": ours.map(|ours| ours.rate() / line.rate()),
        "bars": bars,
        "rounds": samples,
        "notes": line.notes,
    })
}

//! The last page: the chat as it was posted, and how each story ended.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::demo::doubles::{Heard, Message};
use crate::demo::show::shown;
use crate::demo::watch::Verdict;
use crate::domain::fault::Fault;

/// Columns of the table where no terminal says how many there are.
const WIDTH_WITHOUT_TERMINAL: u16 = 140;

/// Every thread in its newest form.
pub fn chat(heard: &Heard) -> String {
    let mut out = String::from("\n#rollout, as the phones show it\n");
    for (parent, answers) in heard.threads() {
        out.push('\n');
        message(&mut out, parent, "");
        for answer in answers {
            message(&mut out, answer, "    | ");
        }
    }
    if heard.messages.is_empty() {
        out.push_str("(nothing was posted)\n");
    }
    out
}

fn message(out: &mut String, message: &Message, indent: &str) {
    for line in &message.lines {
        out.push_str(indent);
        out.push_str(&shown(line));
        out.push('\n');
    }
    if message.edits > 0 {
        out.push_str(&format!("{indent}(edited {} times)\n", message.edits));
    }
}

/// The verdicts as a table.
pub fn table(verdicts: &[Verdict], seconds: f64) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["device", "platform", "story", "said", "repeats", "handed over", "verdict"]);
    if !table.is_tty() {
        table.set_width(WIDTH_WITHOUT_TERMINAL);
    }
    for verdict in verdicts {
        let seen = &verdict.seen;
        table.add_row([
            verdict.story.device.clone(),
            verdict.story.kind.id().to_owned(),
            verdict.story.title.to_owned(),
            codes(&seen.said),
            seen.repeats.to_string(),
            seen.hand_offs.to_string(),
            words(verdict),
        ]);
    }
    let right = verdicts.iter().filter(|verdict| verdict.result.is_ok()).count();
    format!("{table}\n{right} of {} stories ended as they must, in {seconds:.0} s", verdicts.len())
}

fn words(verdict: &Verdict) -> String {
    match &verdict.result {
        Ok(()) => "green".to_owned(),
        Err(wrong) => format!("WRONG: {}", wrong.join("; ")),
    }
}

fn codes(said: &[Fault]) -> String {
    let codes: Vec<&str> = said.iter().map(|fault| fault.code()).collect();
    if codes.is_empty() { "-".to_owned() } else { codes.join(", ") }
}

/// The verdicts as one line of JSON.
pub fn as_json(verdicts: &[Verdict], seconds: f64) -> Value {
    let each: Vec<Value> = verdicts
        .iter()
        .map(|verdict| {
            let seen = &verdict.seen;
            let wrong = verdict.result.as_ref().err().cloned().unwrap_or_default();
            json!({
                "device": verdict.story.device,
                "platform": verdict.story.kind.id(),
                "story": verdict.story.title,
                "said": seen.said.iter().map(|fault| fault.code()).collect::<Vec<_>>(),
                "runs": seen.runs.len(),
                "started": seen.started,
                "done": seen.done,
                "threads": seen.parents,
                "repeats": seen.repeats,
                "complete_transfers": seen.complete_transfers,
                "hand_offs": seen.hand_offs,
                "phase": seen.phase,
                "wrong": wrong,
            })
        })
        .collect();
    json!({ "is": "verdicts", "seconds": seconds, "stories": each })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::stories::{Observed, all, verdict};

    #[test]
    fn the_table_says_what_was_missing_in_words() {
        let verdicts: Vec<Verdict> = all()
            .into_iter()
            .take(2)
            .map(|story| {
                let seen = Observed { hand_offs: 2, ..Observed::default() };
                let result = verdict(&story, &seen);
                Verdict { story, seen, result }
            })
            .collect();
        let table = table(&verdicts, 61.2);
        assert!(table.contains("its uplinks are swapped"), "{table}");
        assert!(table.ends_with("0 of 2 stories ended as they must, in 61 s"), "{table}");
        let json = as_json(&verdicts, 61.2);
        let wrong = json["stories"][1]["wrong"].to_string();
        assert!(wrong.contains("said nothing instead of G12"), "{wrong}");
        assert!(wrong.contains("handed over 2 times instead of once"), "{wrong}");
    }

    #[test]
    fn what_was_posted_cannot_steer_the_terminal() {
        let line = "a\u{1b}[2Jb".to_owned();
        let message = Message {
            ts: "1".into(),
            thread: None,
            text: String::new(),
            lines: vec![line],
            edits: 0,
        };
        let heard = Heard { messages: vec![message], ..Heard::default() };
        assert!(!chat(&heard).contains('\u{1b}'));
    }
}

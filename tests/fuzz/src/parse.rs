//! What a device answers to our questions: read, or visibly not readable.

use std::collections::BTreeMap;

use greenlight::platform::observation::Reading;
use greenlight::platform::{Output, Question};

use super::dialogue::platform;

/// A reason is read by people.
const WHY_BYTES_MAX: usize = 2000;

/// Stands between the answers of a question that takes several commands.
const BETWEEN: &str = "\n$\n";

/// The first line names platform and question; the rest is what the device says.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (head, answers) = text.split_once('\n').unwrap_or((&text, ""));
    let (name, question) = head.split_once(' ').unwrap_or((head, "lldp"));
    let platform = platform(name.as_bytes());
    let sum: usize = question.bytes().map(usize::from).sum();
    let named = Question::ALL.into_iter().find(|known| known.name() == question);
    let question = named.unwrap_or(Question::ALL[sum % Question::ALL.len()]);
    let outputs: Vec<Output> =
        answers.split(BETWEEN).map(|answer| Output::Text(answer.to_owned())).collect();
    if let Some(asked) = platform.questions.get(&question) {
        assert_eq!(asked.commands.len(), asked.readers.len());
        short(&platform.read_save(&outputs), |()| 0);
    }
    let seen = platform.read(&BTreeMap::from([(question, outputs)]));
    let long = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let facts = short(&seen.facts, |facts| {
        let serials: usize = facts.serials.iter().map(String::len).sum();
        serials + [&facts.hostname, &facts.model, &facts.software].map(long).iter().sum::<usize>()
    });
    let rows = |reading| {
        short(reading, |rows: &Vec<greenlight::platform::observation::Neighbour>| {
            let told = rows.iter().map(|row| {
                let texts =
                    [&row.chassis_id, &row.port_description].map(long).iter().sum::<usize>();
                row.local_port.len() + row.system_name.len() + row.port_id.len() + texts
            });
            told.sum::<usize>() / rows.len().max(1)
        })
    };
    let (lldp, cdp) = (rows(&seen.lldp), rows(&seen.cdp));
    let interfaces =
        short(&seen.interfaces, |all| all.iter().map(|one| one.name.len()).sum::<usize>());
    let texts = [short(&seen.running, String::len), short(&seen.saved, String::len)];
    // Nothing is read that was not said: no row is longer than the whole answer.
    for told in [facts, lldp, cdp, interfaces].into_iter().chain(texts) {
        assert!(told <= 3 * text.len(), "{told} bytes read from {}", text.len());
    }
}

/// The size of what was seen; a reason must be short.
fn short<T>(reading: &Reading<T>, size: impl FnOnce(&T) -> usize) -> usize {
    match reading {
        Reading::Seen(value) => size(value),
        Reading::NotAsked => 0,
        Reading::Unreadable { why } => {
            assert!(why.len() <= WHY_BYTES_MAX, "{} bytes: {why:.300}", why.len());
            0
        }
    }
}

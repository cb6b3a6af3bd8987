//! What a scalar may mean: text, number, boolean, time, or something that readers of YAML disagree
//! about.

use std::time::Duration;

use crate::complaint::Complaints;
use crate::written::{Node, Value, shown};

/// A free-form value. What different readers of YAML take differently is refused with a hint.
pub fn json(node: &Node<'_>, complaints: &mut Complaints) -> serde_json::Value {
    match &node.value {
        Value::Scalar { text, plain: false } => serde_json::Value::from(text.as_ref()),
        Value::Scalar { text, plain: true } => match plain(text) {
            Ok(value) => value,
            Err(surprise) => {
                complaints.at(node.place, surprise.message, surprise.hint);
                serde_json::Value::from(text.as_ref())
            }
        },
        Value::List(list) => list.iter().map(|node| json(node, complaints)).collect(),
        Value::Map(entries) => {
            let pairs = entries
                .iter()
                .map(|entry| (entry.key.to_string(), json(&entry.node, complaints)))
                .collect();
            serde_json::Value::Object(pairs)
        }
    }
}

struct Surprise {
    message: String,
    hint: String,
}

fn plain(text: &str) -> Result<serde_json::Value, Surprise> {
    match text {
        "" | "~" | "null" => return Ok(serde_json::Value::Null),
        "true" => return Ok(true.into()),
        "false" => return Ok(false.into()),
        _ => {}
    }
    if let Some(meaning) = boolean_word(text) {
        return Err(Surprise {
            message: format!("some readers of YAML take `{text}` for {meaning}, others for text"),
            hint: format!("write {meaning}, or \"{text}\" if it is text"),
        });
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(text.into());
    }
    number(text, unsigned)
}

/// The words that YAML 1.1 took for booleans, or other spellings of `true` and `null`.
fn boolean_word(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some("true"),
        "false" | "no" | "off" | "n" => Some("false"),
        "null" => Some("null"),
        _ => None,
    }
}

fn number(text: &str, unsigned: &str) -> Result<serde_json::Value, Surprise> {
    let surprise = |why: String| {
        Err(Surprise { message: why, hint: format!("quote it if it is text: \"{}\"", shown(text)) })
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if digits(unsigned) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            let decimal = unsigned.trim_start_matches('0');
            let decimal = if decimal.is_empty() { "0" } else { decimal };
            return surprise(format!(
                "`{}` begins with a zero: some readers of YAML would make it {decimal}, \
                 others an octal number",
                shown(text)
            ));
        }
        return match text.strip_prefix('+').unwrap_or(text).parse::<i64>() {
            Ok(number) => Ok(number.into()),
            Err(_) => surprise(format!("`{}` is too large for a number", shown(text))),
        };
    }
    let radix = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0o"));
    if radix.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit())) {
        return surprise(format!("`{}` is a number to some readers of YAML only", shown(text)));
    }
    if unsigned.contains('_') && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return surprise(format!("`{}` is a number to some readers of YAML only", shown(text)));
    }
    if unsigned.contains(':') && unsigned.split(':').all(digits) {
        return surprise(format!(
            "`{}` is a count of seconds to some readers of YAML",
            shown(text)
        ));
    }
    if [".inf", ".nan"].contains(&unsigned.to_ascii_lowercase().as_str()) {
        return surprise(format!("`{text}` is no number a template can use"));
    }
    if unsigned.split('.').count() > 2 {
        return Ok(text.into());
    }
    match text.parse::<f64>() {
        Ok(number) if number.to_string() == text => Ok(number.into()),
        Ok(number) => surprise(format!("`{}` would become the number {number}", shown(text))),
        Err(_) => Ok(text.into()),
    }
}

/// A time with its unit: `10m`, `1h30m`, `500ms`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..]
            .find(|c: char| !c.is_ascii_alphabetic())
            .map_or(rest.len(), |n| digits + n);
        let milliseconds: u64 = match &rest[digits..unit_end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(milliseconds)?))?;
        rest = &rest[unit_end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_unit() {
        for (text, milliseconds) in [
            ("10m", Some(600_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("0s", Some(0)),
            ("2d", Some(172_800_000)),
            ("10", None),
            ("", None),
            ("m", None),
            ("1 h", None),
            ("1w", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(duration(text).map(|time| time.as_millis()), milliseconds, "{text}");
        }
    }

    #[test]
    fn what_readers_of_yaml_agree_about_is_taken() {
        for (text, expected) in [
            ("12", "12"),
            ("-3", "-3"),
            ("0", "0"),
            ("1.5", "1.5"),
            ("true", "true"),
            ("~", "null"),
            ("10.0.0.1", "\"10.0.0.1\""),
            ("10.0.0.0/24", "\"10.0.0.0/24\""),
            ("00:1b:21:aa:bb:cc", "\"00:1b:21:aa:bb:cc\""),
            ("2026-11-21", "\"2026-11-21\""),
            ("1h", "\"1h\""),
            ("GigabitEthernet1/0/1", "\"GigabitEthernet1/0/1\""),
            ("-", "\"-\""),
        ] {
            assert_eq!(
                plain(text).ok().map(|v| v.to_string()),
                Some(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_they_take_differently_is_refused() {
        for text in [
            "no",
            "Yes",
            "ON",
            "off",
            "y",
            "N",
            "True",
            "NULL",
            "010",
            "007",
            "00",
            "0x1f",
            "0o17",
            "1_000",
            "20:30",
            "17.10",
            "1e3",
            ".inf",
            ".NaN",
            "-010",
            "99999999999999999999",
        ] {
            let surprise = plain(text).err().unwrap_or_else(|| panic!("{text} was taken"));
            assert!(surprise.hint.contains(&format!("\"{text}\"")), "{}", surprise.hint);
        }
    }
}

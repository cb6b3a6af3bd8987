//! What does a list of plugs that change places mean for the hands? Read as a person reads it, from
//! the words alone.

/// Which plug goes where, from `Gi1/0/49 → 50, 50 → 51, 51 → 49` or
/// `Gi1/0/1..23 → 2..24, 24 → 1`: bare numbers take the place of as many at the end of the first
/// name. `None` if it makes no sense.
pub fn read_round(text: &str) -> Option<Vec<(String, String)>> {
    let first = text.split([',', ' ']).next()?;
    let first = first.split("..").next()?;
    let mut plugs = Vec::new();
    for part in text.split(", ") {
        let (from, to) = part.split_once(" → ")?;
        let (from, to) = (ports(first, from)?, ports(first, to)?);
        if from.len() != to.len() {
            return None;
        }
        plugs.extend(from.into_iter().zip(to));
    }
    Some(plugs)
}

/// The longest run of ports that anybody would follow by hand.
const RUN_MAX: u64 = 512;

fn ports(first: &str, text: &str) -> Option<Vec<String>> {
    let bare = text.starts_with(|c: char| c.is_ascii_digit());
    let begin = if bare { before_numbers(first, text) } else { "" };
    let Some((first, last)) = text.split_once("..") else {
        return Some(vec![format!("{begin}{text}")]);
    };
    let name = first.trim_end_matches(|c: char| c.is_ascii_digit());
    let (first, last): (u64, u64) = (first[name.len()..].parse().ok()?, last.parse().ok()?);
    let run = last.checked_sub(first).filter(|run| *run < RUN_MAX)?;
    Some((first..=first + run).map(|number| format!("{begin}{name}{number}")).collect())
}

/// What stands in `name` before as many numbers as `text` has.
fn before_numbers<'a>(name: &'a str, text: &str) -> &'a str {
    let number = |c: char| c.is_ascii_digit();
    let separators = |c: char| "/:".contains(c);
    let more = text.split("..").next().unwrap_or(text).matches(separators).count();
    let mut begin = name.trim_end_matches(number);
    for _ in 0..more {
        begin = begin.trim_end_matches(separators).trim_end_matches(number);
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let plugs = read_round(text).unwrap_or_default();
        plugs.iter().map(|(from, to)| format!("{from}>{to} ")).collect()
    }

    #[test]
    fn a_list_is_read_as_it_is_meant() {
        for (text, plugs) in [
            ("Gi1/0/49 → 50, 50 → 49", "Gi1/0/49>Gi1/0/50 Gi1/0/50>Gi1/0/49 "),
            ("e1..3 → 2..4, 4 → 1", "e1>e2 e2>e3 e3>e4 e4>e1 "),
            ("49 → 51, 51 → 49", "49>51 51>49 "),
            ("Te1/1/1 → swp2, swp2 → Te1/1/1", "Te1/1/1>swp2 swp2>Te1/1/1 "),
            ("xe-0/0/0:1 → 2, 2 → 1", "xe-0/0/0:1>xe-0/0/0:2 xe-0/0/0:2>xe-0/0/0:1 "),
            ("Ethernet1/1 → 3/1, 3/1 → 1/1", "Ethernet1/1>Ethernet3/1 Ethernet3/1>Ethernet1/1 "),
            ("1..3 → 2..3", ""),
            ("9..1 → 1..9", ""),
            ("nonsense", ""),
            ("", ""),
        ] {
            assert_eq!(read(text), plugs, "{text}");
        }
    }
}

//! How a box keeps its configuration: as a tree of lines that later lines merge into, and that is
//! printed back in the box's own manner. What was served is therefore never what is shown, byte for
//! byte.

use crate::sim::chassis::Kind;

/// The lines a box obeys. The top level is kept in the order in which its system prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    kind: Kind,
    top: Vec<Line>,
}

/// One line and the lines that belong under it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    text: String,
    under: Vec<Line>,
}

/// Lines of which there is one at most: a later one with the same beginning takes its place.
const SINGLE: [&str; 14] = [
    "hostname ",
    "version ",
    "frr version ",
    "enable secret ",
    "ip address ",
    "description ",
    "switchport mode ",
    "switchport access vlan ",
    "ip default-gateway ",
    "login",
    "ip domain name ",
    "ip domain-name ",
    "spanning-tree mode ",
    "service integrated-vtysh-config",
];

/// Lines that are acts and leave nothing behind in the configuration.
const ACTS: [&str; 7] = ["end", "exit", "exit-address-family", "crypto key ", "write", "wr", "!!"];

/// The order of IOS and EOS at the top level, by how a line begins. What is not listed comes before
/// `interface`, in the order in which it arrived.
const ORDER: [&str; 9] = [
    "version ",
    "frr version ",
    "frr defaults ",
    "service ",
    "hostname ",
    "enable ",
    "username ",
    "aaa ",
    "vlan ",
];
const ORDER_LATE: [&str; 8] = [
    "interface ",
    "router ",
    "ip route ",
    "snmp-server ",
    "banner ",
    "ntp ",
    "line ",
    "management ",
];

impl Lines {
    /// The factory settings, as lines.
    pub fn new(kind: Kind, text: &str) -> Self {
        let mut lines = Self { kind, top: Vec::new() };
        lines.merge(text, None);
        lines
    }

    /// Merges a configuration text into what is there. `losing` drops the first line that begins
    /// with it, as a box does that refuses a command and goes on.
    pub fn merge(&mut self, text: &str, losing: Option<&str>) {
        let mut path: Vec<(usize, String)> = Vec::new();
        let mut still_losing = losing;
        for raw in text.lines() {
            let trimmed = raw.trim();
            if trimmed.is_empty() || trimmed.starts_with(['!', '#']) {
                continue;
            }
            if ACTS.iter().any(|act| {
                trimmed == act.trim_end() || act.ends_with(' ') && trimmed.starts_with(act)
            }) {
                continue;
            }
            if still_losing.is_some_and(|prefix| trimmed.starts_with(prefix)) {
                still_losing = None;
                continue;
            }
            let indent = raw.len() - raw.trim_start().len();
            while path.last().is_some_and(|(deep, _)| *deep >= indent) {
                path.pop();
            }
            let text = hide_secrets(self.kind, trimmed);
            let parents: Vec<&str> = path.iter().map(|(_, text)| text.as_str()).collect();
            put(level(&mut self.top, &parents), &text);
            path.push((indent, text));
        }
        self.top.sort_by_key(|line| rank(&line.text));
    }

    /// The host name the configuration gives, or the factory's.
    pub fn hostname(&self) -> &str {
        self.value_of("hostname ").unwrap_or(self.kind.factory_name())
    }

    /// True if the configuration has an account of this name.
    pub fn names_user(&self, user: &str) -> bool {
        self.top
            .iter()
            .filter_map(|line| line.text.strip_prefix("username "))
            .any(|rest| rest.split_whitespace().next() == Some(user))
    }

    /// The lines alone, in the system's own layout.
    pub fn body(&self) -> String {
        let mut out = String::new();
        let mut last_had_children = false;
        let mut last_group = "";
        for line in &self.top {
            let group = line.text.split_whitespace().next().unwrap_or_default();
            let opens = !line.under.is_empty() || group == "interface";
            if opens || last_had_children || group != last_group {
                out.push_str("!\n");
            }
            print(line, 0, self.kind, &mut out);
            if opens && self.kind == Kind::Frr {
                out.push_str("exit\n");
            }
            last_had_children = opens;
            last_group = group;
        }
        out.push_str("!\nend\n");
        out
    }

    fn value_of(&self, key: &str) -> Option<&str> {
        self.top.iter().find_map(|line| line.text.strip_prefix(key))
    }
}

/// The children of the line at `parents`. Every parent was put there by the line before.
fn level<'a>(top: &'a mut Vec<Line>, parents: &[&str]) -> &'a mut Vec<Line> {
    let mut here = top;
    for parent in parents {
        let at = match here.iter().position(|line| line.text == *parent) {
            Some(at) => at,
            None => {
                here.push(Line { text: (*parent).to_owned(), under: Vec::new() });
                here.len() - 1
            }
        };
        here = &mut here[at].under;
    }
    here
}

/// Adds one line among its siblings, or replaces or removes what it contradicts.
fn put(siblings: &mut Vec<Line>, text: &str) {
    if siblings.iter().any(|line| line.text == text) {
        return;
    }
    if let Some(positive) = text.strip_prefix("no ") {
        siblings.retain(|line| {
            line.text != positive && !line.text.starts_with(&format!("{positive} "))
        });
    } else {
        let negative = format!("no {text}");
        siblings.retain(|line| line.text != negative);
        // `ip address` has its negative without an argument.
        siblings.retain(|line| {
            !line.text.strip_prefix("no ").is_some_and(|key| text.starts_with(&format!("{key} ")))
        });
    }
    let line = Line { text: text.to_owned(), under: Vec::new() };
    let key = SINGLE.iter().find(|key| text.starts_with(**key));
    match key.and_then(|key| siblings.iter().position(|line| line.text.starts_with(*key))) {
        Some(at) => siblings[at] = line,
        None => siblings.push(line),
    }
}

fn rank(text: &str) -> usize {
    let bare = text.strip_prefix("no ").unwrap_or(text);
    let among = |list: &[&str]| list.iter().position(|begin| bare.starts_with(begin));
    match (among(&ORDER), among(&ORDER_LATE)) {
        (Some(early), _) => early,
        (None, Some(late)) => ORDER.len() + 1 + late,
        (None, None) => ORDER.len(),
    }
}

fn print(line: &Line, depth: usize, kind: Kind, out: &mut String) {
    let step = match kind {
        Kind::AristaEos => 3,
        Kind::CiscoIos | Kind::Frr => 1,
    };
    out.push_str(&" ".repeat(depth * step));
    out.push_str(&line.text);
    out.push('\n');
    for child in &line.under {
        print(child, depth + 1, kind, out);
    }
}

/// A clear password in a `secret` clause is replaced by what the system stores instead.
fn hide_secrets(kind: Kind, text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some(at) = words.iter().position(|word| *word == "secret") else {
        return text.to_owned();
    };
    let (clear, stored_form) = match words.get(at + 1..).unwrap_or_default() {
        [only] => (*only, None),
        ["0", clear] => (*clear, None),
        [form, rest @ ..] => ("", Some((*form, rest))),
        [] => return text.to_owned(),
    };
    let before = words[..=at].join(" ");
    match (stored_form, kind) {
        (Some((form, rest)), _) => format!("{before} {form} {}", rest.join(" ")),
        (None, Kind::CiscoIos | Kind::Frr) => format!("{before} 9 $9${}", scramble(clear, 57)),
        (None, Kind::AristaEos) => format!("{before} sha512 $6${}", scramble(clear, 103)),
    }
}

/// Text that looks like a password hash and gives nothing away: FNV-1a drives the letters. It
/// protects nothing and need not, for no real password ever comes here.
fn scramble(clear: &str, length: usize) -> String {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in clear.bytes() {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (0..length)
        .map(|place| {
            state = (state ^ place as u64).wrapping_mul(0x0000_0100_0000_01b3);
            char::from(LETTERS[(state >> 58) as usize])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: &str = "\
! written by hand
hostname acc-sw-17
!
username admin privilege 15 secret Wonder!Land
ntp server 10.0.0.9
interface GigabitEthernet1/0/49
 description uplink
 switchport mode trunk
no ip http server
line vty 0 4
 login local
 transport input ssh
crypto key generate rsa modulus 2048
end
";

    fn ios() -> Lines {
        Lines::new(
            Kind::CiscoIos,
            "version 17.9\nhostname Switch\ninterface GigabitEthernet1/0/49\nip http server\n\
             line vty 0 4\n login\n",
        )
    }

    #[test]
    fn what_is_merged_is_printed_in_the_order_of_the_box_with_its_secrets_hidden() {
        let mut lines = ios();
        assert_eq!(lines.hostname(), "Switch");
        lines.merge(SERVED, None);
        assert_eq!(lines.hostname(), "acc-sw-17");
        assert!(lines.names_user("admin") && !lines.names_user("adm"));
        let body = lines.body();
        assert!(!body.contains("Wonder") && !body.contains("crypto key"), "{body}");
        let secret = body.lines().find(|line| line.starts_with("username")).unwrap();
        let shown = body.replace(secret, "username admin privilege 15 secret 9 HASH");
        assert_eq!(
            shown,
            "!\nversion 17.9\n!\nhostname acc-sw-17\n!\nusername admin privilege 15 secret 9 HASH\n\
             !\nno ip http server\n!\ninterface GigabitEthernet1/0/49\n description uplink\n \
             switchport mode trunk\n!\nntp server 10.0.0.9\n!\nline vty 0 4\n login local\n \
             transport input ssh\n!\nend\n"
        );
    }

    #[test]
    fn a_lost_line_is_one_line_and_comes_back_when_served_again() {
        let mut lines = ios();
        lines.merge(SERVED, Some("ntp server"));
        assert!(!lines.body().contains("ntp server"));
        assert!(lines.body().contains("description uplink"));
        lines.merge("ntp server 10.0.0.9\n", None);
        assert!(lines.body().contains("ntp server 10.0.0.9"));
    }

    #[test]
    fn stored_secrets_stay_as_they_are_and_clear_ones_take_the_form_of_the_system() {
        let check = |kind: Kind, text: &str, begin: &str| {
            let hidden = hide_secrets(kind, text);
            assert!(hidden.starts_with(begin), "{hidden}");
        };
        check(Kind::CiscoIos, "enable secret 0 abc", "enable secret 9 $9$");
        check(Kind::CiscoIos, "enable secret 5 $1$abc", "enable secret 5 $1$abc");
        check(Kind::AristaEos, "username a secret abc", "username a secret sha512 $6$");
        check(Kind::AristaEos, "username a secret sha512 $6$x", "username a secret sha512 $6$x");
    }

    #[test]
    fn frr_closes_its_blocks() {
        let mut lines = Lines::new(Kind::Frr, "frr version 10.2.1\nhostname debian\n");
        lines.merge("hostname edge-1\ninterface eth1\n description up\nexit\n!\n", None);
        assert_eq!(
            lines.body(),
            "!\nfrr version 10.2.1\n!\nhostname edge-1\n!\ninterface eth1\n description up\nexit\n\
             !\nend\n"
        );
    }
}

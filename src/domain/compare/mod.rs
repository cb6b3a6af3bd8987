//! The running configuration against the rendered one, and the saved one against the running one.
//!
//! Both texts become trees, by indentation or in the style that the platform's rules name (braces,
//! `set` lines, edits, JSON, XML); the platform's rules say what is noise, where order
//! counts and which values are secrets. Lines are compared as written: abbreviations are not
//! expanded, so a template says what the device will print. A [`Difference`] never holds a secret.

use std::collections::{HashMap, HashSet};

use crate::platform::comparison::Comparison;

mod secrets;
mod shape;
mod stored;
mod tree;
mod xml;

pub use secrets::MASK;
use stored::Stored;
use tree::{Node, Secrets, Tree};

/// Most characters of one line in a remark.
const REMARK_CHARACTERS_MAX: usize = 200;

/// Most lines of each kind that a difference keeps: more than anybody reads, less than a device
/// could send.
pub const LINES_MAX: usize = 1000;

/// What one configuration has and the other has not, at most [`LINES_MAX`] of each kind. All texts
/// are masked: `<secret>` stands for values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Lines that should be there and are not. A line in the wrong place of an ordered block is one
    /// of them.
    pub missing: Vec<Line>,
    /// Lines of the other side inside a block where nothing else may stand, such as an access list,
    /// and those that the platform's rules call unwanted inside a planned block.
    pub intruders: Vec<Line>,
    /// All other lines of the other side: defaults, usually.
    pub extra: Vec<Line>,
    /// How many these are, the ones not kept included.
    pub extra_lines: usize,
    /// Secrets of which no more could be proven than that one is there.
    pub unproven_secrets: usize,
    /// How many lines had to be found.
    pub planned_lines: usize,
}

/// One line and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The headers above it, outermost first.
    pub parents: Vec<String>,
    pub text: String,
}

impl Difference {
    /// True if every planned line was found and no block was intruded upon. Extra lines are
    /// allowed: a device has defaults.
    pub fn is_satisfied(&self) -> bool {
        self.missing.is_empty() && self.intruders.is_empty()
    }

    /// True if nothing is on one side alone.
    pub fn is_empty(&self) -> bool {
        self.is_satisfied() && self.extra.is_empty()
    }

    /// At most `limit` sentences for the journal, the missing lines first.
    pub fn remarks(&self, limit: usize) -> Vec<String> {
        let missing = self.missing.iter().map(|line| format!("missing: {line}"));
        let intruders = self.intruders.iter().map(|line| format!("not planned: {line}"));
        let total = self.missing.len() + self.intruders.len();
        remarks(missing.chain(intruders), total, limit)
    }

    /// At most `limit` sentences, and one that counts the rest, about lines that nobody planned and
    /// that are no difference.
    pub fn extra_remarks(&self, limit: usize) -> Vec<String> {
        let lines = self.extra.iter().take(limit);
        let mut remarks: Vec<String> =
            lines.map(|line| format!("on the device, not in the plan: {line}")).collect();
        let more = self.extra_lines - remarks.len();
        if more > 0 {
            remarks.push(format!("on the device, not in the plan: {more} more lines"));
        }
        remarks
    }

    /// The same for [`same`], where an extra line is a difference too.
    pub fn saved_remarks(&self, limit: usize) -> Vec<String> {
        let missing = self.missing.iter().map(|line| format!("running, not saved: {line}"));
        let others = self.intruders.iter().chain(&self.extra);
        let others = others.map(|line| format!("saved, not running: {line}"));
        let total = self.missing.len() + self.intruders.len() + self.extra.len();
        remarks(missing.chain(others), total, limit)
    }
}

fn remarks(all: impl Iterator<Item = String>, total: usize, limit: usize) -> Vec<String> {
    let mut remarks: Vec<String> = all.take(limit).collect();
    if total > limit {
        remarks.pop();
        remarks.push(format!("and {} more", total - remarks.len()));
        remarks.truncate(limit);
    }
    remarks
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path: Vec<&str> =
            self.parents.iter().map(String::as_str).chain([self.text.as_str()]).collect();
        let path = path.join(" > ").replace('\n', " ");
        let short: String = path.chars().take(REMARK_CHARACTERS_MAX).collect();
        let ellipsis = if short.len() < path.len() { "…" } else { "" };
        write!(f, "{short}{ellipsis}")
    }
}

/// Looks for every line of the rendered configuration in the running one.
pub fn configuration(rendered: &str, running: &str, rules: &Comparison) -> Difference {
    compare(rendered, running, Secrets::ByMeaning, rules)
}

/// Whether the saved configuration is the running one: `missing` runs and is not saved, `extra` and
/// `intruders` are saved and do not run. Here secrets are compared by value, as the device stored
/// both.
pub fn same(running: &str, saved: &str, rules: &Comparison) -> Difference {
    compare(running, saved, Secrets::ByValue, rules)
}

/// Whether a text is what its platform's configurations are, as far as that can be told. The error
/// says what was found, and nothing of the text.
pub fn readable(text: &str, rules: &Comparison) -> Result<(), String> {
    shape::readable(text, rules.style)
}

fn compare(planned: &str, found: &str, secrets: Secrets, rules: &Comparison) -> Difference {
    let [planned, found] = shape::shaped(planned, found, rules);
    let planned = Tree::read(&planned, secrets, rules);
    let found = Tree::read(&found, secrets, rules);
    let mut search = Search {
        planned: &planned,
        found: &found,
        secrets,
        rules,
        matched: vec![false; found.nodes.len()],
        difference: Difference::default(),
    };
    search.blocks(Tree::ROOT, Tree::ROOT);
    search.unmatched();
    search.difference
}

/// Notes a line, unless enough are noted.
fn keep(lines: &mut Vec<Line>, line: impl FnOnce() -> Line) {
    if lines.len() < LINES_MAX {
        lines.push(line());
    }
}

struct Search<'a> {
    planned: &'a Tree,
    found: &'a Tree,
    secrets: Secrets,
    rules: &'a Comparison,
    /// Nodes of `found` that a planned line or an intruder accounts for.
    matched: Vec<bool>,
    difference: Difference,
}

impl Search<'_> {
    /// Compares the lines below two headers. The depth is bounded by [`tree::DEPTH_MAX`].
    fn blocks(&mut self, planned: usize, found: usize) {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, child) in self.found.nodes[found].children.iter().enumerate() {
            places.entry(&self.found.nodes[*child].key).or_default().push(place);
        }
        let ordered = self.planned.nodes[planned].ordered;
        let children = self.planned.nodes[planned].children.iter();
        let planned_secrets: HashSet<(&str, &Stored)> =
            children.filter_map(|child| self.planned.nodes[*child].with_secret()).collect();
        let mut next = 0;
        let mut pairs = Vec::new();
        for child in &self.planned.nodes[planned].children {
            let node = &self.planned.nodes[*child];
            let all = places.get(node.key.as_str()).map_or(&[][..], Vec::as_slice);
            // In an ordered block only what follows the last line found will do.
            let first = if ordered { all.partition_point(|place| *place < next) } else { 0 };
            let Some(place) = self.agreeing(*child, found, &all[first..], &planned_secrets) else {
                if !self.left_no_trace(*child, found) {
                    self.all_missing(*child);
                }
                continue;
            };
            next = place + 1;
            let found_child = self.found.nodes[found].children[place];
            self.matched[found_child] = true;
            self.difference.planned_lines += usize::from(node.is_proof());
            let same = self.found.nodes[found_child].secret == node.secret;
            self.difference.unproven_secrets += usize::from(!same);
            pairs.push((*child, found_child));
        }
        if ordered {
            self.intruders(found);
        }
        for (planned, found) in pairs {
            self.blocks(planned, found);
        }
    }

    /// The place among `places` of the line that does for a planned one. A secret of clear text is
    /// met by itself, or by a hash of whatever it may be; a hash by itself, or by any that is not
    /// itself planned.
    fn agreeing(
        &self,
        planned: usize,
        found: usize,
        places: &[usize],
        planned_secrets: &HashSet<(&str, &Stored)>,
    ) -> Option<usize> {
        let Some(secret) = &self.planned.nodes[planned].secret else {
            return places.first().copied();
        };
        let child = |place: usize| self.found.nodes[found].children[place];
        let told = |place: usize| self.found.nodes[child(place)].secret.as_ref();
        let free = || places.iter().copied().filter(|place| !self.matched[child(*place)]);
        let itself = free().find(|place| told(*place) == Some(secret));
        let others = || {
            let nobodys = |place: &usize| {
                let with_secret = self.found.nodes[child(*place)].with_secret();
                !with_secret.is_some_and(|known| planned_secrets.contains(&known))
            };
            free().filter(nobodys)
        };
        let hash = || others().find(|place| matches!(told(*place), Some(Stored::Hidden(_))));
        itself.or_else(hash).or_else(|| match secret {
            Stored::Hidden(_) => others().next(),
            Stored::Clear(_) => None,
        })
    }

    /// A line that leaves no trace, with everything below it, is missed only if its opposite is
    /// there, which is then accounted for.
    fn left_no_trace(&mut self, planned: usize, found: usize) -> bool {
        let node = &self.planned.nodes[planned];
        let all_traceless =
            self.planned.below(planned).iter().all(|node| self.planned.nodes[*node].traceless);
        if self.secrets == Secrets::ByValue || !all_traceless {
            return false;
        }
        let opposite = match node.key.strip_prefix("no ") {
            Some(rest) => rest.to_owned(),
            None => format!("no {}", node.key),
        };
        let there = self.found.nodes[found].children.iter().copied().find(|child| {
            let key = &self.found.nodes[*child].key;
            key.strip_prefix(&opposite).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        there.into_iter().for_each(|child| self.matched[child] = true);
        there.is_none()
    }

    fn all_missing(&mut self, planned: usize) {
        for node in self.planned.below(planned) {
            let only_assumed = self.planned.nodes[node].traceless
                && self.secrets == Secrets::ByMeaning
                && node != planned;
            if !only_assumed && !self.planned.nodes[node].synthetic {
                self.difference.planned_lines += 1;
                keep(&mut self.difference.missing, || self.planned.line(node, self.rules));
            }
        }
    }

    fn intruders(&mut self, found: usize) {
        for child in &self.found.nodes[found].children {
            if !self.matched[*child] {
                for node in self.found.below(*child) {
                    self.matched[node] = true;
                    keep(&mut self.difference.intruders, || self.found.line(node, self.rules));
                }
            }
        }
    }

    fn unmatched(&mut self) {
        let planned = self.planned;
        let top = planned.nodes[Tree::ROOT].children.iter();
        let mut top: Vec<&str> = top.map(|child| planned.nodes[*child].key.as_str()).collect();
        top.sort_unstable();
        for node in 1..self.found.nodes.len() {
            if self.matched[node] || self.found.nodes[node].synthetic {
                continue;
            }
            if self.is_unwanted(node, &top) {
                keep(&mut self.difference.intruders, || self.found.line(node, self.rules));
                continue;
            }
            self.difference.extra_lines += 1;
            keep(&mut self.difference.extra, || self.found.line(node, self.rules));
        }
    }

    /// Whether a line that nobody planned makes a planned block another one. `top` holds what is
    /// planned outside of all blocks, sorted.
    fn is_unwanted(&self, node: usize, top: &[&str]) -> bool {
        let Node { key, parent, .. } = &self.found.nodes[node];
        if self.secrets == Secrets::ByValue || !self.rules.unwanted.any(key) {
            return false;
        }
        match self.rules.unwanted.group(key, "block") {
            Some(block) => {
                let block = &key[..block.end];
                let first = top.partition_point(|line| *line < block);
                top.get(first).is_some_and(|line| line.starts_with(block))
            }
            None => *parent != Tree::ROOT && self.matched[*parent],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::platform::Platforms;

    /// Read once: the property tests ask for it a thousand times.
    static PLATFORMS: LazyLock<Platforms> = LazyLock::new(Platforms::built_in);

    const IOS: &str = "\
hostname acc-sw1
enable secret planned-enable
username admin privilege 15 secret planned-login
snmp-server community a-community RO
!
interface Gi1/0/47
 description to dist1
 switchport mode trunk
 no shutdown
!
interface Vlan10
 ip address 10.77.0.12 255.255.255.0
!
ip access-list extended MGMT
 permit tcp 10.77.0.0 0.0.0.255 any eq 22
 deny ip any any
!
router bgp 65001
 neighbor 10.1.0.0 remote-as 65000
 address-family ipv4
  neighbor 10.1.0.0 activate
 exit-address-family
!
banner motd #
Authorised use only
#
line vty 0 4
 login local
end
";

    const IOS_RUNNING: &str = "\
Building configuration...

Current configuration : 1462 bytes
! Last configuration change at 10:03:11 UTC Sat Nov 21 2026
version 15.2
service timestamps debug datetime msec
hostname acc-sw1
enable secret 5 $1$abcd$stored-enable
username admin privilege 15 secret 5 $1$efgh$stored-login
crypto pki certificate chain TP-self-signed-1
 certificate self-signed 01
  3082022B 30820194
  \tquit
interface GigabitEthernet1/0/46
 shutdown
interface GigabitEthernet1/0/47
 description to dist1
 switchport mode trunk
interface Vlan10
 ip address 10.77.0.12 255.255.255.0
router bgp 65001
 bgp log-neighbor-changes
 neighbor 10.1.0.0 remote-as 65000
 !
 address-family ipv4
  neighbor 10.1.0.0 activate
 exit-address-family
ip access-list extended MGMT
 10 permit tcp 10.77.0.0 0.0.0.255 any eq 22
 20 deny   ip any any
snmp-server community a-community RO
banner motd ^C
Authorised use only
^C
ntp clock-period 36028797
line vty 0 4
 login local
end
";

    const FRR: &str = include_str!("../../../tests/platforms/frr/running/bgp_with_lists.raw");
    const FRR_SAVED: &str = include_str!("../../../tests/platforms/frr/saved/bgp_with_lists.raw");

    /// What FRR was given before it said [`FRR`].
    const FRR_RENDERED: &str = "\
frr defaults datacenter
hostname sw1
password hunter2
log syslog informational
service integrated-vtysh-config
!
interface swp49
 description to distA Ethernet1/49
 ip address 10.1.0.1/31
 no shutdown
exit
!
ip prefix-list LOCAL permit 10.0.0.0/8 le 24
ip prefix-list LOCAL seq 20 deny any
access-list 10 permit 10.0.0.0/8
!
router bgp 65001
 bgp router-id 10.255.0.1
 neighbor 10.1.0.0 remote-as 65000
 neighbor 10.1.0.0 password s3cr3t
 !
 address-family ipv4 unicast
  network 10.2.0.0/24
  neighbor 10.1.0.0 route-map OUT out
 exit-address-family
exit
!
route-map OUT permit 10
 match ip address prefix-list LOCAL
exit
!
ip route 0.0.0.0/0 10.1.0.0
!
line vty
!
";

    fn check(platform: &str, rendered: &str, running: &str) -> Difference {
        configuration(rendered, running, &PLATFORMS.by_id[platform].comparison)
    }

    fn ios(change: impl Fn(&str) -> String) -> Vec<String> {
        check("cisco_ios", IOS, &change(IOS_RUNNING)).remarks(100)
    }

    #[test]
    fn a_device_that_took_its_configuration_misses_nothing() {
        assert_eq!(ios(str::to_owned), Vec::<String>::new());
        let difference = check("frr", FRR_RENDERED, FRR);
        assert_eq!(difference.remarks(100), Vec::<String>::new());
        assert_eq!(difference.planned_lines, 20);
        let running = include_str!("../../../tests/platforms/arista_eos/running/a_leaf.raw");
        assert!(check("arista_eos", running, running).is_empty());
    }

    #[test]
    fn a_missing_line_is_named_with_its_block() {
        assert_eq!(
            ios(|running| running.replace("  neighbor 10.1.0.0 activate\n", "")),
            ["missing: router bgp 65001 > address-family ipv4 > neighbor 10.1.0.0 activate"]
        );
        assert_eq!(
            ios(|running| running.replace("10.77.0.12", "10.77.0.13")),
            ["missing: interface Vlan10 > ip address 10.77.0.12 255.255.255.0"]
        );
    }

    #[test]
    fn a_line_in_another_block_is_missing() {
        let moved = |running: &str| {
            let without = running.replace(" switchport mode trunk\n", "");
            without.replace(" shutdown\n", " shutdown\n switchport mode trunk\n")
        };
        assert_eq!(ios(moved), ["missing: interface Gi1/0/47 > switchport mode trunk"]);
    }

    #[test]
    fn a_shut_port_is_missed_though_no_shutdown_leaves_no_trace() {
        let shut = |running: &str| {
            running.replace(" description to dist1\n", " description to dist1\n shutdown\n")
        };
        assert_eq!(ios(shut), ["missing: interface Gi1/0/47 > no shutdown"]);
    }

    #[test]
    fn an_interface_that_frr_does_not_print_is_only_missed_for_its_lines() {
        let bare = "interface swp1\n no shutdown\nexit\n";
        assert!(check("frr", bare, FRR).is_satisfied());
        let lines = "interface swp1\n no shutdown\n ip address 10.0.0.1/31\nexit\n";
        assert_eq!(
            check("frr", lines, FRR).remarks(9),
            ["missing: interface swp1", "missing: interface swp1 > ip address 10.0.0.1/31"]
        );
    }

    #[test]
    fn order_and_strangers_count_in_an_access_list() {
        let first = |running: &str| {
            running.replace(" 10 permit tcp", " 5 permit ip any any\n 10 permit tcp")
        };
        let intruder = "not planned: ip access-list extended MGMT > permit ip any any";
        assert_eq!(ios(first), [intruder]);
        let turned = |running: &str| {
            running
                .replace(" 20 deny   ip any any\n", "")
                .replace(" 10 permit", " deny ip any any\n permit")
        };
        assert_eq!(ios(turned).len(), 2);
        let lists = FRR.replace("seq 20 deny any", "seq 1 deny any");
        let lines: Vec<&str> = lines_sorted(&lists, "ip prefix-list");
        let turned = lists.replace(&lines.join("\n"), &[lines[1], lines[0]].join("\n"));
        assert!(!check("frr", FRR_RENDERED, &turned).is_satisfied());
    }

    #[test]
    fn a_stranger_in_a_standard_list_counts_and_its_order_does_not() {
        let planned = "ip access-list standard VTY\n deny   10.0.0.9\n permit 10.0.0.0 0.0.0.255\n\
            access-list 10 permit 10.0.0.1\naccess-list 1300 permit 10.0.0.0 0.0.0.255\n";
        for id in ["cisco_ios", "cisco_iosxe"] {
            let intruders = |running: &str| check(id, planned, running).remarks(9);
            let numbered =
                planned.replace(" deny ", " 20 deny ").replace("\n permit", "\n 10 permit");
            assert!(check(id, planned, &numbered).is_satisfied(), "{id}");
            let open = planned.replace(" deny   10.0.0.9", " 10 deny 10.0.0.9\n 5 permit any");
            let stranger = "not planned: ip access-list standard VTY > permit any";
            assert_eq!(intruders(&open), [stranger], "{id}");
            for line in ["access-list 10 permit any", "access-list 1300 permit any log"] {
                let open = format!("{planned}{line}\n");
                assert_eq!(intruders(&open), [format!("not planned: {line}")], "{id}");
            }
            let other = format!("{planned}access-list 11 permit any\n");
            assert!(check(id, planned, &other).is_satisfied(), "{id}: a list of no plan");
        }
    }

    fn lines_sorted<'t>(text: &'t str, prefix: &str) -> Vec<&'t str> {
        text.lines().filter(|line| line.starts_with(prefix)).collect()
    }

    #[test]
    fn a_missing_secret_is_found_and_never_shown() {
        let remarks = ios(|running| {
            let kept = |line: &&str| {
                !["enable", "username", "snmp-server"].iter().any(|word| line.starts_with(word))
            };
            running.lines().filter(kept).collect::<Vec<_>>().join("\n")
        });
        assert_eq!(
            remarks,
            [
                "missing: enable secret <secret>",
                "missing: username admin privilege 15 secret <secret>",
                "missing: snmp-server community <secret> RO",
            ]
        );
    }

    #[test]
    fn a_secret_in_clear_text_is_compared_by_its_value_and_never_shown() {
        let planned = "snmp-server community planned-one RO\ntacacs-server key good\n\
            username x password right\nline vty 0 4\n password cisco\n";
        let good = "snmp-server community planned-one RO\ntacacs-server key 0 good\n\
            username x password 0 right\nline vty 0 4\n password 7 094F471A1A0A\n";
        let took = check("cisco_ios", planned, good);
        assert!(took.is_empty() && took.unproven_secrets == 0, "{took:?}");
        let evil = "snmp-server community public RO\ntacacs-server key evil\n\
            username x password 0 wrong\nline vty 0 4\n password 0 nothing\n";
        let differs = check("cisco_ios", planned, evil);
        assert_eq!(
            differs.remarks(9),
            [
                "missing: snmp-server community <secret> RO",
                "missing: tacacs-server key <secret>",
                "missing: username x password <secret>",
                "missing: line vty 0 4 > password <secret>",
            ]
        );
        let told = format!("{:?} {:?}", differs.remarks(9), differs.extra_remarks(9));
        for secret in ["planned-one", "public", "good", "evil", "right", "wrong", "nothing"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }

    #[test]
    fn a_hashed_secret_is_proven_by_its_presence_and_counted() {
        let difference = check("cisco_ios", IOS, IOS_RUNNING);
        assert_eq!(difference.unproven_secrets, 2, "enable and login, not the community");
        let stored = "enable secret 5 $1$abcd$stored\n";
        assert_eq!(check("cisco_ios", stored, stored).unproven_secrets, 0, "the same hash");
        let comware =
            ("local-user a\n password simple abc\n", "local-user a\n password hash $h$6$x\n");
        let difference = check("hpe_comware", comware.0, comware.1);
        assert!(difference.is_satisfied() && difference.unproven_secrets == 1, "{difference:?}");
        let planned = "snmp-server community one RO\nsnmp-server community two RO\n";
        let one_hash = "snmp-server community two RO\nsnmp-server community $8$x RO\n";
        let difference = check("cisco_ios", planned, one_hash);
        assert!(difference.is_satisfied() && difference.unproven_secrets == 1, "{difference:?}");
    }

    #[test]
    fn an_unplanned_shutdown_of_a_planned_block_is_a_difference() {
        let planned = "interface Ethernet1\n description up\n";
        let shut =
            "interface Ethernet1\n description up\n shutdown\ninterface Ethernet2\n shutdown\n";
        for platform in [
            "cisco_ios",
            "cisco_iosxe",
            "cisco_nxos",
            "cisco_iosxr",
            "arista_eos",
            "aruba_aoscx",
            "hpe_comware",
            "huawei_vrp",
            "dell_os10",
            "dell_os9",
            "frr",
        ] {
            let remarks = check(platform, planned, shut).remarks(9);
            assert_eq!(remarks, ["not planned: interface Ethernet1 > shutdown"], "{platform}");
            let planned = format!("{planned} shutdown\n");
            assert!(check(platform, &planned, shut).is_satisfied(), "{platform}: as planned");
        }
        let braces = "interfaces {\n    xe-0/0/0 {\n        description up;\n    }\n}\n";
        let set = "set interfaces xe-0/0/0 description up\n";
        let disabled = braces.replace("up;\n", "up;\n        disable;\n")
            + "interfaces {\n    xe-0/0/1 {\n        disable;\n    }\n}\n";
        for planned in [braces, set] {
            let remarks = check("juniper_junos", planned, &disabled).remarks(9);
            assert_eq!(remarks.len(), 1, "{remarks:?}");
            assert!(remarks[0].contains("xe-0/0/0") && remarks[0].contains("disable"));
            assert!(check("juniper_junos", planned, braces).is_satisfied());
        }
    }

    #[test]
    fn lines_that_nobody_planned_are_told_within_bounds() {
        let running: String =
            (0..15).map(|n| format!("username u{n} password 0 pw{n}x\n")).collect();
        let difference = check("cisco_ios", "", &running);
        let remarks = difference.extra_remarks(10);
        assert_eq!(remarks.len(), 11);
        assert_eq!(remarks[0], "on the device, not in the plan: username u0 password <secret>");
        assert_eq!(remarks[10], "on the device, not in the plan: 5 more lines");
        assert_eq!(check("cisco_ios", "", "").extra_remarks(10), Vec::<String>::new());
    }

    #[test]
    fn two_secrets_of_one_shape_need_two() {
        let rendered = "snmp-server community one RO\nsnmp-server community two RO\n";
        let difference = check("cisco_ios", rendered, "snmp-server community one RO\n");
        assert_eq!(difference.remarks(9), ["missing: snmp-server community <secret> RO"]);
        assert!(check("cisco_ios", rendered, rendered).is_satisfied());
    }

    #[test]
    fn nothing_that_looks_like_a_secret_is_shown_without_a_rule() {
        let rules = Comparison::default();
        for line in [
            "wpa-psk ascii 0 hunter2",
            "set community hunter2",
            "tunnel key hunter2",
            "some new-password hunter2 extra",
            "snmp-server user bob grp v3 auth sha hunter2 priv aes 128 hunter2",
        ] {
            let remarks = configuration(line, "", &rules).remarks(9).concat();
            assert!(remarks.contains(secrets::MASK) && !remarks.contains("hunter2"), "{remarks}");
        }
    }

    #[test]
    fn saved_equals_running_but_for_noise() {
        let rules = &PLATFORMS.by_id["frr"].comparison;
        assert!(same(FRR, FRR_SAVED, rules).is_empty());
        let other = FRR_SAVED.replace("hunter2", "hunter3");
        let difference = same(FRR, &other, rules);
        assert_eq!(
            difference.saved_remarks(9),
            ["running, not saved: password <secret>", "saved, not running: password <secret>"]
        );
        assert!(!same(FRR, "", rules).is_empty());
        let longer =
            FRR_SAVED.replace(" ip address 10.1.0.3/31", " ip address 10.1.0.3/31\n shutdown");
        assert_eq!(
            same(FRR, &longer, rules).saved_remarks(9),
            ["saved, not running: interface swp50 > shutdown"]
        );
    }

    #[test]
    fn remarks_are_short_and_few() {
        let rendered: String = (0..50).map(|n| format!("line {n} {}\n", "x".repeat(500))).collect();
        let remarks = check("frr", &rendered, "").remarks(5);
        assert_eq!(remarks.len(), 5);
        assert_eq!(remarks[4], "and 46 more");
        assert!(remarks.iter().all(|remark| remark.chars().count() < 220));
        assert_eq!(check("frr", &rendered, "").remarks(0), Vec::<String>::new());
    }

    #[test]
    fn a_text_of_ever_deeper_lines_is_read_to_the_end() {
        let deep: String = (0..3000).map(|n| format!("{}x{n}\n", " ".repeat(n))).collect();
        let difference = check("frr", &deep, &deep);
        assert!(difference.is_empty());
        assert_eq!(difference.planned_lines, 3000);
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let flood: String = (0..3000).map(|n| format!("line {n}\n")).collect();
        let difference = check("frr", &flood, "");
        assert_eq!((difference.missing.len(), difference.planned_lines), (LINES_MAX, 3000));
        assert_eq!(check("frr", "", &flood).extra.len(), LINES_MAX);
    }

    /// Blocks of a made-up configuration: a header and its lines.
    fn blocks() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
        let lines = prop::collection::btree_set("[a-f]{1,3} [0-9]{1,2}", 0..5);
        prop::collection::btree_map(
            "(router bgp |route-map X permit |vlan )[0-9]{1,2}",
            lines,
            1..8,
        )
        .prop_map(|blocks| {
            blocks
                .into_iter()
                .map(|(header, lines)| (header, lines.into_iter().collect()))
                .collect()
        })
    }

    fn text(blocks: &[(String, Vec<String>)]) -> String {
        let block = |(header, lines): &(String, Vec<String>)| {
            let lines: String = lines.iter().map(|line| format!(" {line}\n")).collect();
            format!("{header}\n{lines}exit\n!\n")
        };
        blocks.iter().map(block).collect()
    }

    proptest! {
        #[test]
        fn shuffling_and_noise_lose_nothing(
            (planned, shuffled) in
                blocks().prop_flat_map(|b| (Just(b.clone()), Just(b).prop_shuffle())),
            noise in blocks(),
        ) {
            let mut running = text(&shuffled);
            running.push_str(&text(&noise));
            let difference = check("frr", &text(&planned), &running);
            prop_assert!(difference.is_satisfied(), "{:?}", difference);
            let itself = check("frr", &text(&planned), &text(&shuffled));
            prop_assert!(itself.is_empty(), "{:?}", itself);
        }

        #[test]
        fn one_line_taken_away_is_always_found(
            blocks in blocks(),
            block: prop::sample::Index,
            line: prop::sample::Index,
        ) {
            let mut running = blocks.clone();
            let lines = &mut running[block.index(blocks.len())].1;
            let expected = if lines.is_empty() {
                let at = block.index(blocks.len());
                Line { parents: vec![], text: running.remove(at).0 }
            } else {
                let gone = lines.remove(line.index(lines.len()));
                Line { parents: vec![blocks[block.index(blocks.len())].0.clone()], text: gone }
            };
            let difference = check("frr", &text(&blocks), &text(&running));
            prop_assert_eq!(difference.missing, vec![expected]);
        }

        #[test]
        fn any_two_texts_are_compared_without_panic(
            one in "(?s).{0,400}",
            other in "(?s).{0,400}",
        ) {
            for platform in PLATFORMS.by_id.values() {
                let rules = &platform.comparison;
                prop_assert!(same(&one, &one, rules).is_empty());
                let _ = configuration(&one, &other, rules);
                let _ = configuration(IOS, &other, rules);
            }
        }
    }

    #[test]
    fn every_single_line_of_the_switch_is_proven() {
        for (platform, rendered, running) in
            [("cisco_ios", IOS, IOS_RUNNING), ("frr", FRR_RENDERED, FRR)]
        {
            let rules = &PLATFORMS.by_id[platform].comparison;
            let lines: Vec<&str> = running.lines().collect();
            let mut found = 0;
            for gone in 0..lines.len() {
                let without: Vec<&str> =
                    lines.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, l)| *l).collect();
                let difference = configuration(rendered, &without.join("\n"), rules);
                found += usize::from(!difference.is_satisfied());
            }
            let planned = configuration(rendered, running, rules).planned_lines;
            assert!(found >= planned, "{platform}: {found} of {planned}");
        }
    }
}

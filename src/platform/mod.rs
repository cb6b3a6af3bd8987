//! How each network operating system speaks, as data. Pure: a platform is a file under
//! `configs/platforms/`, never code; what cannot be said in the file is a named case of a closed
//! enum here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use crate::address::Mac;

pub mod answers;
mod built_in;
pub mod comparison;
pub mod dialogue;
mod names;
pub mod observation;
pub mod parse;
pub mod ports;
pub mod recognition;
mod resolve;
mod written;

use comparison::Comparison;

/// All platforms of this server: the built-in ones, and those of the operator's directory over
/// them.
#[derive(Debug, Default)]
pub struct Platforms {
    pub by_id: BTreeMap<String, Arc<Platform>>,
}

/// One network operating system, as meant.
#[derive(Debug)]
pub struct Platform {
    /// The file's name without its ending: `cisco_ios`.
    pub id: String,
    /// `Cisco IOS`.
    pub title: String,
    /// From the end of the transfer to the first visit.
    pub settle: Duration,
    /// From the end of the transfer to "it does not come back" (G5).
    pub back_deadline: Duration,
    /// It merges what it is served and must be told to save.
    pub must_save: bool,
    /// Names it may ask for besides the one it was told, as globs (`*`), in lower case.
    pub file_names: Vec<String>,
    pub cli: Cli,
    pub questions: BTreeMap<Question, Asked>,
    /// The ways its DHCP requests look.
    pub recognition: Vec<recognition::Rule>,
    /// What OFFER and ACK hold for it.
    pub answers: Vec<answers::Answer>,
    /// How it writes its ports.
    pub ports: ports::Ports,
    /// What counts when two of its configurations are compared.
    pub comparison: Comparison,
}

/// Something wrong with a platform file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub file: String,
    /// From 1; 0 where no line can be named.
    pub line: u64,
    /// From 1; 0 where no column can be named.
    pub column: u64,
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, column, message, hint } = self;
        write!(f, "{file}:{line}:{column}: {message} ({hint})")
    }
}

/// How its command line behaves.
#[derive(Debug)]
pub struct Cli {
    pub channel: Channel,
    /// The output ends in one of these when the device waits for a command.
    pub prompts: Vec<Regex>,
    /// How to become privileged, where a login does not suffice.
    pub enable: Option<Enable>,
    /// Sent after login, to turn paging off and the like.
    pub preparation: Vec<String>,
    /// A pager's line, and the keys that go on.
    pub pagers: Vec<(Regex, String)>,
    /// An answer with such a line is an error, not data.
    pub errors: Vec<Regex>,
    /// Silence of this length within one answer ends the visit.
    pub command_timeout: Duration,
    pub logout: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// One interactive shell with a terminal, commands typed one after the other.
    Shell,
    /// One SSH exec request per command; no prompts, no paging.
    Exec,
}

#[derive(Debug)]
pub struct Enable {
    /// `enable`.
    pub command: String,
    /// The prompt of an unprivileged session, which makes `command` necessary.
    pub unprivileged: Regex,
    /// Where the enable password is asked for.
    pub password_prompt: Regex,
}

/// What can be asked of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    Facts,
    Lldp,
    Cdp,
    Interfaces,
    Running,
    Saved,
    /// Not a question: makes the running configuration the saved one.
    Save,
}

/// The commands that answer one question, in order. How the output is read is this room's own
/// business.
#[derive(Debug)]
pub struct Asked {
    pub commands: Vec<String>,
    /// One for each command.
    pub readers: Vec<parse::Reader>,
}

/// What came back for one command of one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The text between the command's echo and the prompt, line ends normalised to `\n`.
    Text(String),
    /// The device called it an error, or the answer did not come to its end.
    Refused { why: String },
}

/// What a DHCP answer is made from.
#[derive(Debug, Clone)]
pub struct AnswerFacts {
    /// Our address as the client sees it.
    pub server: Ipv4Addr,
    /// The device's name in the inventory.
    pub device: String,
    /// Our HTTP port, where HTTP is served.
    pub http_port: Option<u16>,
}

/// Whose request it looks like.
#[derive(Debug, Clone)]
pub struct Recognised {
    pub platform: Arc<Platform>,
    pub serial: Option<String>,
    pub model: Option<String>,
}

impl Platforms {
    pub fn get(&self, id: &str) -> Option<&Arc<Platform>> {
        self.by_id.get(id)
    }

    /// The platforms that Greenlight brings along.
    pub fn built_in() -> Self {
        Self::with_overlay(&[]).expect("the built-in platform files are read by a test")
    }

    /// The built-in platforms with the operator's files over them: a file named `x.yaml` replaces
    /// the platform `x` or adds it. Each file is a name and its text; all complaints come together.
    pub fn with_overlay(files: &[(String, String)]) -> Result<Self, Vec<Complaint>> {
        let mut texts: BTreeMap<String, (&str, &str)> = BTreeMap::new();
        let built_in = built_in::FILES.iter().map(|(name, text)| (*name, *text));
        let overlay = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in built_in.chain(overlay) {
            let last = name.rsplit('/').next().unwrap_or(name);
            let id = last.trim_end_matches(".yml").trim_end_matches(".yaml");
            texts.insert(id.to_owned(), (name, text));
        }
        let mut platforms = Self::default();
        let mut complaints = Vec::new();
        for (id, (name, text)) in texts {
            match resolve::platform(&id, name, text) {
                Ok(platform) => {
                    platforms.by_id.insert(id, Arc::new(platform));
                }
                Err(more) => complaints.extend(more),
            }
        }
        if complaints.is_empty() { Ok(platforms) } else { Err(complaints) }
    }

    /// Tells the platform from the joined options of a DHCPv4 request (RFC 3396), keyed by code.
    /// Of several that match, the rule with the most conditions counts, then the platform's id.
    pub fn recognise(&self, options: &BTreeMap<u8, Vec<u8>>, mac: Mac) -> Option<Recognised> {
        let mut best: Option<(usize, Recognised)> = None;
        for platform in self.by_id.values() {
            for rule in &platform.recognition {
                let conditions = rule.conditions.len();
                if conditions == 0 || best.as_ref().is_some_and(|(most, _)| *most >= conditions) {
                    continue;
                }
                let Some(clues) = rule.matches(options, mac) else { continue };
                let recognition::Clues { serial, model } = clues;
                let platform = Arc::clone(platform);
                best = Some((conditions, Recognised { platform, serial, model }));
            }
        }
        best.map(|(_, recognised)| recognised)
    }
}

impl Platform {
    /// The DHCPv4 options this platform must find in OFFER and ACK, whether it asked for them or
    /// not: 66, 67, 150, 43 as its file says. Code and value, ready to be written.
    pub fn dhcp_options(&self, facts: &AnswerFacts) -> Vec<(u8, Vec<u8>)> {
        answers::options(&self.answers, facts)
    }

    /// True if a device of this platform may be asking for its configuration by this name.
    /// Case and a leading directory do not matter.
    pub fn knows_file(&self, name: &str) -> bool {
        names::known(&self.file_names, name)
    }

    /// One spelling for one port: `Gi1/0/47`, `GigabitEthernet1/0/47` and `gigabitethernet 1/0/47`
    /// become equal.
    pub fn canonical_port(&self, name: &str) -> String {
        self.ports.canonical(name)
    }

    /// Turns the outputs of one visit into what the device said; a line that finds no place makes
    /// that reading unreadable, with the line.
    pub fn read(&self, outputs: &BTreeMap<Question, Vec<Output>>) -> observation::Observation {
        parse::read(&self.questions, outputs)
    }

    /// Whether the device confirmed that it saved its configuration. `NotAsked` if it has no such
    /// command.
    pub fn read_save(&self, outputs: &[Output]) -> observation::Reading<()> {
        match self.questions.get(&Question::Save) {
            Some(asked) => parse::read_save(asked, outputs),
            None => observation::Reading::NotAsked,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static PLATFORMS: LazyLock<Platforms> = LazyLock::new(Platforms::built_in);

    const MAC: Mac = Mac::new([0x00, 0x1b, 0x21, 0xaa, 0xbb, 0xcc]);

    /// Platform, serial and model of a request with these options.
    fn recognise(options: &[(u8, &[u8])]) -> Option<(String, Option<String>, Option<String>)> {
        let options = options.iter().map(|(code, value)| (*code, value.to_vec())).collect();
        let found = PLATFORMS.recognise(&options, MAC)?;
        Some((found.platform.id.clone(), found.serial, found.model))
    }

    fn some(
        id: &str,
        serial: &str,
        model: &str,
    ) -> Option<(String, Option<String>, Option<String>)> {
        let clue = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Some((id.to_owned(), clue(serial), clue(model)))
    }

    #[test]
    fn arista_tells_model_and_serial_in_four_fields() {
        assert_eq!(
            recognise(&[(60, b"Arista;DCS-7050S-64;01.23;JPE12345678")]),
            some("arista_eos", "JPE12345678", "DCS-7050S-64")
        );
        assert_eq!(
            recognise(&[(60, b"Arista;vEOS-lab;;")]),
            some("arista_eos", "", "vEOS-lab"),
            "a virtual switch has no serial"
        );
    }

    #[test]
    fn what_only_resembles_a_platform_is_nobody() {
        for class in [
            b"Arista;1234".as_slice(),
            b"Arista;a;b;c;d",
            b"Arista;;01.23;JPE12345678",
            b"arista;DCS-7050S-64;01.23;JPE12345678",
            b"xArista;DCS-7050S-64;01.23;JPE12345678",
            b"Cisco-POAP",
            b"CiscoPnP",
            b"xciscopnp",
            b"frrouting",
            b"MSFT 5.0",
            b"Juniper-ptx1000-DD123",
            b"Juniper-qfx10008",
            b"Juniper:1",
            b"ZPESystems:NSC:001234567",
            b"1271-00011E00-032",
            b"FPR4100",
            b"PXEClient",
            b"",
        ] {
            assert_eq!(recognise(&[(60, class)]), None, "{}", String::from_utf8_lossy(class));
        }
        assert_eq!(recognise(&[]), None);
        assert_eq!(recognise(&[(61, b"\x01\x00\x1b\x21\xaa\xbb\xcc")]), None);
        assert_eq!(recognise(&[(61, b"cisco-b414.896c.12c0-Vl1")]), None, "no zero byte in front");
        assert_eq!(recognise(&[(61, b"\x00JUSTASN")]), None, "a serial alone is no platform");
    }

    #[test]
    fn ios_is_known_by_its_client_id_or_its_agent() {
        let ios = some("cisco_ios", "", "");
        assert_eq!(recognise(&[(61, b"\x00cisco-b414.896c.12c0-Vl1")]), ios);
        assert_eq!(recognise(&[(60, b"ciscopnp")]), ios);
    }

    #[test]
    fn a_white_box_tells_its_serial_in_one_of_two_places() {
        let class = b"greenlight-frr:AS7326:WB0001".as_slice();
        assert_eq!(recognise(&[(60, class)]), some("frr", "WB0001", "AS7326"));
        assert_eq!(recognise(&[(60, b"frr"), (61, b"\x00WB0001")]), some("frr", "WB0001", ""));
        let mac = b"\x01\x00\x1b\x21\xaa\xbb\xcc".as_slice();
        assert_eq!(recognise(&[(60, b"frr"), (61, mac)]), some("frr", "", ""));
        assert_eq!(recognise(&[(60, b"frr-AS7326")]), some("frr", "", "AS7326"));
    }

    #[test]
    fn a_vendor_class_cut_anywhere_tells_no_serial() {
        let class = b"Arista;DCS-7050S-64;01.23;".as_slice();
        for cut in 0..class.len() {
            assert_eq!(recognise(&[(60, &class[..cut])]), None, "{cut}");
        }
    }

    #[test]
    fn the_answer_holds_what_the_platform_reads() {
        let facts = |http_port| AnswerFacts {
            server: Ipv4Addr::new(10, 77, 0, 1),
            device: "sw1".to_owned(),
            http_port,
        };
        let address = (66, b"10.77.0.1".to_vec());
        for id in ["cisco_ios", "frr"] {
            assert_eq!(
                PLATFORMS.by_id[id].dhcp_options(&facts(Some(80))),
                [address.clone(), (67, b"sw1.cfg".to_vec()), (150, vec![10, 77, 0, 1])]
            );
        }
        let eos = &PLATFORMS.by_id["arista_eos"];
        let url = |url: &[u8]| [(67, url.to_vec()), address.clone()];
        assert_eq!(eos.dhcp_options(&facts(Some(8080))), url(b"http://10.77.0.1:8080/sw1.cfg"));
        assert_eq!(eos.dhcp_options(&facts(None)), url(b"tftp://10.77.0.1/sw1.cfg"));
    }

    #[test]
    fn every_platform_knows_the_file_it_was_told_and_its_generic_names() {
        for platform in PLATFORMS.by_id.values() {
            assert!(platform.knows_file("sw1.cfg"), "{}", platform.id);
            assert!(!platform.knows_file("../../etc/passwd"), "{}", platform.id);
            assert!(!platform.knows_file("pxelinux.0"), "{}", platform.id);
        }
        let ios = &PLATFORMS.by_id["cisco_ios"];
        for name in
            ["network-confg", "cisconet.cfg", "Switch-confg", "router-confg", "ciscortr.cfg"]
        {
            assert!(ios.knows_file(name), "{name}");
        }
        assert!(!ios.knows_file("c2960x-universalk9-mz.152-4.E10.bin"));
    }

    #[test]
    fn a_port_has_one_spelling_on_its_platform() {
        let same = |id: &str, one: &str, other: &str| {
            let platform = &PLATFORMS.by_id[id];
            platform.canonical_port(one) == platform.canonical_port(other)
        };
        assert!(same("cisco_ios", "Gi1/0/47", "gigabitethernet 1/0/47"));
        assert!(same("cisco_ios", "Te1/1/4", "TenGigabitEthernet1/1/4"));
        assert!(same("cisco_ios", "Fo1/1/1", "FortyGigabitEthernet1/1/1"));
        assert!(same("cisco_ios", "FourHundredGigE1/0/1", "Fou1/0/1"));
        assert!(same("arista_eos", "Et49/1", "Ethernet49/1"));
        assert!(same("arista_eos", "Ma1", "Management1"));
        assert!(same("frr", "swp49", "swp49"));
        assert!(!same("cisco_ios", "Te1/0/47", "Gi1/0/47"));
        assert!(!same("cisco_ios", "Tw1/0/1", "Twe1/0/1"));
        assert!(!same("arista_eos", "Et4/91", "Et49/1"));
        assert!(!same("frr", "swp4", "swp49"));
    }

    #[test]
    fn prompts_are_told_from_output() {
        for id in ["cisco_ios", "arista_eos"] {
            let cli = &PLATFORMS.by_id[id].cli;
            let waits = |text: &str| cli.prompts.iter().any(|prompt| prompt.is_match(text));
            for text in ["sw1#", "line\r\nacc-sw1.net> ", "\nsw1(config-if-Et1)#", "Switch>"] {
                assert!(waits(text), "{id} {text:?}");
            }
            for text in ["", "sw1# show version", "sw1#\r\nmore", " description a b#c d", "-- # "] {
                assert!(!waits(text), "{id} {text:?}");
            }
            assert!(
                cli.errors.iter().any(|e| e.is_match("% Invalid input detected at '^' marker."))
            );
            assert!(!cli.errors.iter().any(|e| e.is_match("% LLDP is not enabled")), "{id}");
        }
    }

    #[test]
    fn an_overlay_replaces_a_platform_and_adds_one() {
        let text = include_str!("../../configs/platforms/frr.yaml");
        let title = text.replace("title: Linux with FRR", "title: Ours");
        let files = [("a/frr.yaml".to_owned(), title), ("sonic.yml".to_owned(), text.to_owned())];
        let platforms = Platforms::with_overlay(&files).unwrap();
        assert_eq!(platforms.get("frr").unwrap().title, "Ours");
        assert_eq!(platforms.get("sonic").unwrap().title, "Linux with FRR");
        assert_eq!(platforms.by_id.len(), 4);
    }

    /// The complaints about the FRR file after a change, as people read them.
    fn complaints(from: &str, to: &str) -> String {
        let text = include_str!("../../configs/platforms/frr.yaml");
        assert!(text.contains(from), "{from}");
        let files = [("frr.yaml".to_owned(), text.replacen(from, to, 1))];
        let complaints = Platforms::with_overlay(&files).unwrap_err();
        complaints.iter().map(|complaint| format!("{complaint}\n")).collect()
    }

    fn line_of(text: &str) -> usize {
        let file = include_str!("../../configs/platforms/frr.yaml");
        file.lines().position(|line| line.contains(text)).unwrap() + 1
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (from, to, at, says) in [
            ("settle: 2s", "setle: 2s", "settle: 2s", "setle"),
            ("settle: 2s", "settle: 2", "settle: 2s", "time with its unit"),
            ("'^frr version '", "'^frr ( '", "'^frr version '", "unclosed group"),
            ("'{server}'", "'{sever}'", "'{server}'", "{sever}"),
            ("system_name: [", "system_nom: [", "system_name: [", "system_nom"),
            ("/lldp/*/interface?/*", "lldp/*", "/lldp/*/interface?/*", "begins with `/`"),
            ("(?P<model>[^:]+)", "(?P<modell>[^:]+)", "(?P<model>[^:]+)", "modell"),
            ("(?P<drop>seq", "(?P<dropp>seq", "(?P<drop>seq", "`drop` is missing"),
            ("must: [hostname", "must: [hostnam", "must: [hostname", "hostnam"),
            ("text: '{server}'", "bytes: '0g'", "text: '{server}'", "hexadecimal"),
            ("    server_address: true\n", "", "option: 150", "needs one value"),
            (
                "recognise:\n",
                "recognise:\n  - {}\n",
                "vendor_class: '^greenlight",
                "without a condition",
            ),
        ] {
            let told = complaints(from, to);
            assert!(told.contains(says), "{told}");
            assert!(told.starts_with(&format!("frr.yaml:{}:", line_of(at))), "{told}");
        }
    }

    #[test]
    fn all_mistakes_of_all_files_come_together() {
        let text = include_str!("../../configs/platforms/cisco_ios.yaml");
        let broken = text.replace("settle: 15s", "settle: soon").replace("-> Error", "-> Eror");
        let files = [
            ("cisco_ios.yaml".to_owned(), broken),
            ("other.yaml".to_owned(), "title: [".to_owned()),
        ];
        let complaints = Platforms::with_overlay(&files).unwrap_err();
        let files: Vec<&str> = complaints.iter().map(|c| c.file.as_str()).collect();
        assert!(files.contains(&"other.yaml"), "{complaints:?}");
        assert!(files.iter().filter(|file| **file == "cisco_ios.yaml").count() >= 4, "{files:?}");
        assert!(complaints.iter().all(|complaint| complaint.line > 0), "{complaints:?}");
    }

    #[test]
    fn what_was_not_answered_is_never_an_empty_list() {
        use observation::Reading;
        let ios = &PLATFORMS.by_id["cisco_ios"];
        let nothing = ios.read(&BTreeMap::new());
        assert!(matches!(nothing.lldp, Reading::Unreadable { .. }));
        assert!(matches!(nothing.running, Reading::Unreadable { .. }));
        assert_eq!(nothing.cdp, Reading::NotAsked);
        let empty = ios.read(&BTreeMap::from([(Question::Lldp, vec![])]));
        assert!(matches!(empty.lldp, Reading::Unreadable { .. }));
        assert_eq!(PLATFORMS.by_id["frr"].read(&BTreeMap::new()).cdp, Reading::NotAsked);
    }
}

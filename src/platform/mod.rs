//! How each network operating system speaks, as data. Pure: a platform is a file under
//! `configs/platforms/`, never code; what cannot be said in the file is a named case of a closed
//! enum here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use serde::Serialize;

use crate::address::Mac;

pub mod answers;
mod built_in;
pub mod card;
pub mod checksum;
pub mod comparison;
pub mod dhcp6;
pub mod dialogue;
pub mod explain;
mod names;
pub mod observation;
pub mod parse;
pub mod ping;
pub mod ports;
pub mod recognition;
mod resolve;
pub mod samples;
pub mod software;
pub mod table;
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
    /// The file it was read from; a bare name is part of the program.
    pub file: String,
    /// `Cisco IOS`.
    pub title: String,
    /// From the end of the transfer to the first visit.
    pub settle: Duration,
    /// From the end of the transfer to "it does not come back" (G5).
    pub back_deadline: Duration,
    /// It merges what it is served and must be told to save.
    pub must_save: bool,
    /// How it can fetch its file.
    pub transports: Vec<Transport>,
    /// What cannot be done with it, one sentence each: for `platform list` and `check`.
    pub limits: Vec<String>,
    /// It refuses an offer with a shorter lease.
    pub lease_at_least: Option<Duration>,
    /// The line that a rendered file must carry.
    pub checksum: Option<checksum::Checksum>,
    /// Where it tells who it is when it asks over HTTP.
    pub identity_headers: recognition::IdentityHeaders,
    /// Names it may ask for besides the one it was told, as globs (`*`), in lower case.
    pub file_names: Vec<String>,
    /// Names by which its script asks for the configuration, besides [`names::CONFIGURATIONS`], as
    /// globs in lower case.
    pub configuration_names: Vec<String>,
    pub cli: Cli,
    pub questions: BTreeMap<Question, Asked>,
    /// How it is told to reach an address.
    pub ping: Option<ping::Ping>,
    /// The ways its DHCP requests look.
    pub recognition: Vec<recognition::Rule>,
    /// What OFFER and ACK hold for it.
    pub answers: Vec<answers::Answer>,
    /// How it writes its ports.
    pub ports: ports::Ports,
    /// What counts when two of its configurations are compared.
    pub comparison: Comparison,
    /// How it comes to other software, where that is known.
    pub software: Option<software::Software>,
}

/// A way to fetch a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tftp,
    Http,
    Https,
    Ftp,
    Sftp,
    Scp,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tftp => "tftp",
            Transport::Http => "http",
            Transport::Https => "https",
            Transport::Ftp => "ftp",
            Transport::Sftp => "sftp",
            Transport::Scp => "scp",
        }
    }
}

/// Gives the text of a template of ntc-templates by its file's name, or why there is none.
pub type Templates<'a> = &'a dyn Fn(&str) -> Result<String, String>;

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
#[derive(Debug, Clone)]
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
    /// Messages that the device shows unasked on any terminal: such a line is no part of an answer,
    /// unless the command asks for the log.
    pub chatter: Vec<Regex>,
    /// Silence of this length within one answer ends the visit.
    pub command_timeout: Duration,
    pub logout: String,
    pub legacy: Legacy,
}

/// When SSH offers the algorithms of old switches: SHA-1 key exchange, CBC ciphers, ssh-rsa with
/// SHA-1, ssh-dss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Legacy {
    /// They are preferred, for devices whose modern ones are known to be broken.
    First,
    /// Offered behind all others.
    #[default]
    Last,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// One interactive shell with a terminal, commands typed one after the other.
    Shell,
    /// One SSH exec request per command; no prompts, no paging.
    Exec,
}

#[derive(Debug, Clone)]
pub struct Enable {
    /// `enable`.
    pub command: String,
    /// The prompt of an unprivileged session, which makes `command` necessary.
    pub unprivileged: Regex,
    /// Where the enable password is asked for.
    pub password_prompt: Regex,
}

/// What can be asked of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    Facts,
    Lldp,
    Cdp,
    Interfaces,
    Environment,
    Running,
    Saved,
    /// Not a question: makes the running configuration the saved one.
    Save,
}

impl Question {
    pub const ALL: [Question; 8] = [
        Question::Facts,
        Question::Lldp,
        Question::Cdp,
        Question::Interfaces,
        Question::Environment,
        Question::Running,
        Question::Saved,
        Question::Save,
    ];

    /// As platform files write it.
    pub fn name(self) -> &'static str {
        match self {
            Question::Facts => "facts",
            Question::Lldp => "lldp",
            Question::Cdp => "cdp",
            Question::Interfaces => "interfaces",
            Question::Environment => "environment",
            Question::Running => "running",
            Question::Saved => "saved",
            Question::Save => "save",
        }
    }
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
        let none = |_: &str| Err("no directory of ntc-templates is named".to_owned());
        Self::with_templates(files, &none)
    }

    /// The same with a collection of TextFSM templates that files may name.
    pub fn with_templates(
        files: &[(String, String)],
        templates: Templates<'_>,
    ) -> Result<Self, Vec<Complaint>> {
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
            match resolve::platform(&id, (name, text), templates) {
                Ok(platform) => {
                    platforms.by_id.insert(id, Arc::new(platform));
                }
                Err(more) => complaints.extend(more),
            }
        }
        if complaints.is_empty() { Ok(platforms) } else { Err(complaints) }
    }

    /// The headers of all platforms, of which a device sends its own: who it is of is not known
    /// before they are read.
    pub fn identity_headers(&self) -> recognition::IdentityHeaders {
        let mut all = recognition::IdentityHeaders::default();
        for platform in self.by_id.values() {
            let recognition::IdentityHeaders { serial, model, mac } = &platform.identity_headers;
            all.serial.extend(serial.iter().cloned());
            all.model.extend(model.iter().cloned());
            all.mac.extend(mac.iter().cloned());
        }
        all
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

    /// Whether the device of this name may ask for its configuration by this file name: by the one
    /// that it was told, or by one that its platform is known to ask for; and, where the platform
    /// wants it, for the file with the digest beside either.
    pub fn may_ask(&self, device: &str, name: &str) -> bool {
        let digest = self.digest_of(name);
        self.knows_file(name)
            || self.was_told(device, name)
            || digest.is_some_and(|of| self.knows_file(of) || self.was_told(device, of))
    }

    /// Whether this name, or that of its digest, is one by which the script of the device asks for
    /// the configuration: never the one that the device was told, nor one without a `*` of those
    /// that its platform asks for first.
    pub fn asks_configuration(&self, device: &str, name: &str) -> bool {
        let name = self.digest_of(name).unwrap_or(name);
        let own = names::known(&self.configuration_names, name);
        let usual = names::CONFIGURATIONS.map(str::to_owned);
        let firsts = self.file_names.iter().filter(|glob| !glob.contains('*')).cloned();
        let of_others = names::known(&firsts.collect::<Vec<_>>(), name);
        (own || (names::known(&usual, name) && !of_others)) && !self.was_told(device, name)
    }

    /// The name of the file whose digest is asked for by this name, if it is one of those.
    pub fn digest_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        self.checksum.as_ref()?.digest_of(name)
    }

    /// Whether OFFER and ACK named this file to the device.
    fn was_told(&self, device: &str, name: &str) -> bool {
        let facts = AnswerFacts {
            server: Ipv4Addr::UNSPECIFIED,
            device: device.to_owned(),
            http_port: Some(80),
        };
        let asked = name.trim_start_matches('/');
        self.dhcp_options(&facts).iter().filter(|(code, _)| *code == 67).any(|(_, value)| {
            let told = String::from_utf8_lossy(value);
            let path = told.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
            let told = path.map_or(told.as_ref(), |(_, path)| path);
            told.trim_start_matches('/') == asked
        })
    }

    /// The rendered file as this platform accepts it: with its checksum line, where it wants one.
    pub fn finish(&self, rendered: String) -> String {
        match &self.checksum {
            Some(checksum) => checksum.finish(&rendered),
            None => rendered,
        }
    }

    /// One spelling for one port: `Gi1/0/47`, `GigabitEthernet1/0/47` and `gigabitethernet 1/0/47`
    /// become equal.
    pub fn canonical_port(&self, name: &str) -> String {
        self.ports.canonical(name)
    }

    /// Turns the outputs of one visit into what the device said; a line that finds no place makes
    /// that reading unreadable, with the line.
    pub fn read(&self, outputs: &BTreeMap<Question, Vec<Output>>) -> observation::Observation {
        let mut seen = parse::read(&self.questions, outputs);
        parse::details::add(self, outputs, &mut seen.interfaces);
        seen
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
    fn ios_is_known_by_its_client_id_and_ios_xe_by_its_agent() {
        let by_port = b"\x00cisco-b414.896c.12c0-Vl1".as_slice();
        assert_eq!(recognise(&[(61, by_port)]), some("cisco_ios", "", ""));
        let xe = some("cisco_iosxe", "", "");
        assert_eq!(recognise(&[(60, b"ciscopnp")]), xe);
        assert_eq!(recognise(&[(60, b"ciscopnp"), (61, by_port)]), xe, "the same box asks twice");
        let by_serial = b"\x00FCW2233A5ZV".as_slice();
        let known = some("cisco_iosxe", "FCW2233A5ZV", "");
        assert_eq!(recognise(&[(60, b"ciscopnp"), (61, by_serial)]), known);
    }

    #[test]
    fn a_nexus_is_known_by_its_maker_and_its_serial_together() {
        let class = b"Cisco N9K-C93180YC-EX".as_slice();
        let serial = b"\x00FDO21120U8N".as_slice();
        let nexus = some("cisco_nxos", "FDO21120U8N", "");
        assert_eq!(recognise(&[(60, class), (61, serial)]), nexus);
        assert_eq!(recognise(&[(60, b"Cisco"), (61, b"FDO21120U8N")]), nexus);
        assert_eq!(recognise(&[(60, class)]), None);
        assert_eq!(recognise(&[(61, serial)]), None);
        assert_eq!(recognise(&[(60, b"FPR4100"), (61, b"JMX2525X0BW")]), None, "a Firepower");
    }

    #[test]
    fn junos_puts_its_serial_where_its_family_does() {
        let class = |class: &[u8]| recognise(&[(60, class)]);
        let junos = |serial, model| some("juniper_junos", serial, model);
        assert_eq!(class(b"Juniper-ptx1000-DD123"), junos("DD123", "ptx1000"));
        assert_eq!(class(b"Juniper-qfx10002-36q-DN817"), junos("DN817", "qfx10002-36q"));
        assert_eq!(class(b"Juniper:ttttt-ttt:D12345"), junos("D12345", "ttttt-ttt"));
        assert_eq!(class(b"Juniper-ex2200-48t-4g"), junos("", "ex2200-48t-4g"));
        assert_eq!(class(b"Juniper-mx10003"), junos("", "mx10003"));
        let with_name = recognise(&[(60, b"Juniper-qfx10008"), (12, b"DE123")]);
        assert_eq!(with_name, junos("DE123", "qfx10008"));
        for not in [b"Juniper-".as_slice(), b"Juniper:", b"Juniper::D1", b"juniper-mx10003"] {
            assert_eq!(class(not), None, "{}", String::from_utf8_lossy(not));
        }
    }

    #[test]
    fn ios_xr_is_known_by_its_class_and_its_serial() {
        let xr = |serial, model| some("cisco_iosxr", serial, model);
        let of_cisco =
            |data: &[u8]| [&[0, 0, 0, 9, u8::try_from(data.len()).unwrap()], data].concat();
        let class = of_cisco(b"SN:0;PID:R-IOSXRV9000-CC");
        assert_eq!(recognise(&[(124, &class)]), xr("0", "R-IOSXRV9000-CC"));
        let class = of_cisco(b"SN:0:123;PID:R-IOSXRV9000-CC:456");
        assert_eq!(recognise(&[(124, &class)]), None);
        let loader = b"PXEClient:Arch:00009:UNDI:003010:PID:NCS-5508".as_slice();
        let serial = b"FOC2107R0ZB".as_slice();
        assert_eq!(recognise(&[(60, loader), (61, serial)]), xr("FOC2107R0ZB", "NCS-5508"));
        assert_eq!(recognise(&[(77, b"exr-config"), (61, serial)]), xr("FOC2107R0ZB", ""));
        assert_eq!(recognise(&[(77, b"\x0aexr-config")]), xr("", ""));
        assert_eq!(recognise(&[(60, b"PXEClient"), (77, b"iPXE")]), None, "any network card");
    }

    #[test]
    fn white_boxes_are_known_by_what_they_run() {
        let class = b"onie_vendor:x86_64-mlnx_msn2700-r0".as_slice();
        let onie = |serial| some("onie", serial, "x86_64-mlnx_msn2700-r0");
        assert_eq!(recognise(&[(60, class)]), onie(""));
        let whole =
            [(60, class), (77, b"onie_dhcp_user_class".as_slice()), (61, b"\x00MT1622X09259")];
        assert_eq!(recognise(&whole), onie("MT1622X09259"));
        assert_eq!(recognise(&[(77, b"SONiC-ZTP")]), some("sonic", "", ""));
        let named = [(77, b"SONiC-ZTP".as_slice()), (61, b"SONiC##Z9332F-ON##CN0Z9332F001")];
        assert_eq!(recognise(&named), some("sonic", "CN0Z9332F001", "Z9332F-ON"));
        assert_eq!(recognise(&[(12, b"sonic")]), some("sonic", "", ""));
        assert_eq!(recognise(&[(12, b"cumulus")]), some("cumulus_linux", "", ""));
        for class in [b"onie_vendor:".as_slice(), b"cumulus-linux", b"Nokia-SRLinux", b"Dell-OS10"]
        {
            assert_eq!(recognise(&[(60, class)]), None, "{}", String::from_utf8_lossy(class));
        }
        assert_eq!(recognise(&[(12, b"cumulus-leaf1")]), None);
        assert_eq!(recognise(&[(61, b"SONiC####x")]), None);
    }

    #[test]
    fn others_are_known_by_their_vendor_class() {
        let class = |class: &[u8]| recognise(&[(60, class)]);
        let hpe = b"Aruba JL253A 2930F-24G-4SFP+ Switch dslforum.org";
        assert_eq!(class(hpe), some("aruba_aosswitch", "", "JL253A"));
        let dell = b"TY=DELLNTW-S4810 ;HW=3.0;SN=HADL134J20193;ST=C3J3XP1;OS=9.14;MD=;US=";
        assert_eq!(class(dell), some("dell_os9", "HADL134J20193", "S4810"));
        let dell = b"TY=DELLNTW-S4810 ;HW=;SN=;ST=;OS=;MD=;US=";
        assert_eq!(class(dell), some("dell_os9", "", "S4810"));
        assert_eq!(class(b"NOKIA: 7750 SR-1"), some("nokia_sros", "", "7750 SR-1"));
        let nokia = [(60, b"NOKIA:7750 SR-1".as_slice()), (61, b"NS1929T0123")];
        assert_eq!(recognise(&nokia), some("nokia_sros", "NS1929T0123", "7750 SR-1"));
        let user_class = b"7750 SR-1;TiMOS-B-21.7.R1;ztp";
        assert_eq!(recognise(&[(77, user_class)]), some("nokia_sros", "", "7750 SR-1"));
        assert_eq!(recognise(&[(12, b"MikroTik")]), some("mikrotik_routeros", "", ""));
        for not in [
            b"ArubaInstantAP".as_slice(),
            b"Aruba JL253A",
            b"dslforum.org",
            b"NOKIA",
            b"NOKIA:",
            b"TY=DELLNTW-S4810",
            b"TY=OTHER ;HW=;SN=;ST=;OS=;MD=;US=",
            b"Mellanox",
            b"NVOS##SN2201##MT1622X09259",
        ] {
            assert_eq!(class(not), None, "{}", String::from_utf8_lossy(not));
        }
    }

    #[test]
    fn each_vendor_gets_its_own_sub_options() {
        let server = [10, 0, 0, 1].into();
        let facts = AnswerFacts { server, device: "acc3".to_owned(), http_port: None };
        for (id, value) in [
            ("aruba_aoscx", b"\x90\x08acc3.cfg".as_slice()),
            ("aruba_aosswitch", b"\x90\x08acc3.cfg"),
            ("extreme_exos", b"\x64\x04\x0a\x00\x00\x01\x65\x08acc3.xsf"),
        ] {
            let options = PLATFORMS.by_id[id].dhcp_options(&facts);
            let found = options.iter().find(|(code, _)| *code == 43);
            assert_eq!(found, Some(&(43, value.to_vec())), "{id}");
        }
    }

    #[test]
    fn each_prompt_is_told_from_output() {
        for (id, prompt, output) in [
            ("nokia_sros", "*A:sr1>config>port# ", "A:sr1# show version"),
            ("nokia_sros", "A:admin@sr1# ", "NB: neighbour # "),
            ("extreme_exos", "* acc8.12 # ", "acc8 # "),
            ("extreme_exos", "acc8.1 > ", "a.b # c"),
            ("fortinet_fortios", "fw1 # ", "# "),
            ("fortinet_fortios", "fw1 (global) # ", "set a # b"),
            ("cisco_iosxr", "RP/0/RP0/CPU0:r1#", "RP/0/RP0/CPU0:r1#show"),
            ("aruba_aoscx", "acc3# ", "acc3# show system"),
        ] {
            let cli = &PLATFORMS.by_id[id].cli;
            let waits = |text: &str| cli.prompts.iter().any(|p| p.is_match(text));
            assert!(waits(prompt) && waits(&format!("text\r\n{prompt}")), "{id} {prompt:?}");
            assert!(!waits(output), "{id} {output:?}");
        }
    }

    #[test]
    fn prompts_in_brackets_are_told_from_output() {
        for id in ["huawei_vrp", "hpe_comware"] {
            let cli = &PLATFORMS.by_id[id].cli;
            let waits = |text: &str| cli.prompts.iter().any(|prompt| prompt.is_match(text));
            for text in ["<HUAWEI>", "line\r\n<acc-sw1>", "\n[~acc1-GigabitEthernet0/0/1]"] {
                assert!(waits(text), "{id} {text:?}");
            }
            for text in ["", "<HUAWEI> display version", "a <b>", "<a b>", "acc1#"] {
                assert!(!waits(text), "{id} {text:?}");
            }
        }
    }

    #[test]
    fn a_vrp_file_begins_with_its_digest() {
        let finished = PLATFORMS.by_id["huawei_vrp"].finish("[GLOBAL CONFIG]\n".to_owned());
        let digest = checksum::Kind::Sha256.digest("[GLOBAL CONFIG]\n");
        assert_eq!(finished, format!("#sha256sum=\"{digest}\"\n[GLOBAL CONFIG]\n"));
    }

    #[test]
    fn junos_finds_its_file_in_sub_options() {
        let junos = &PLATFORMS.by_id["juniper_junos"];
        let server = [10, 0, 0, 1].into();
        let facts = |http_port| AnswerFacts { server, device: "leaf7".to_owned(), http_port };
        let sub_options = |http_port| {
            let options = junos.dhcp_options(&facts(http_port));
            options.into_iter().find(|(code, _)| *code == 43).map(|(_, value)| value)
        };
        let by_http = b"\x01\x09leaf7.cfg\x03\x04http\x05\x0280".to_vec();
        assert_eq!(sub_options(Some(80)), Some(by_http));
        assert_eq!(sub_options(None), Some(b"\x01\x09leaf7.cfg\x03\x04tftp".to_vec()));
    }

    #[test]
    fn a_poap_script_carries_its_own_digest() {
        let finished = PLATFORMS.by_id["cisco_nxos"].finish("#!/bin/env python\n".to_owned());
        let digest = checksum::Kind::Md5.digest("#!/bin/env python\n");
        assert_eq!(finished, format!("#!/bin/env python\n#md5sum=\"{digest}\"\n"));
        assert_eq!(PLATFORMS.by_id["frr"].finish("x".to_owned()), "x");
    }

    #[test]
    fn a_pnp_server_is_named_in_an_overlay() {
        let text = include_str!("../../configs/platforms/cisco_iosxe.yaml");
        let pnp = "dhcp:\n  - option: 43\n    text: '5A1N;B2;K4;I{server};J80'\n";
        let file = ("cisco_iosxe.yaml".to_owned(), text.replacen("dhcp:\n", pnp, 1));
        let platforms = Platforms::with_overlay(&[file]).unwrap();
        let facts =
            AnswerFacts { server: [10, 0, 0, 1].into(), device: "r1".into(), http_port: None };
        let options = platforms.by_id["cisco_iosxe"].dhcp_options(&facts);
        assert_eq!(options[0], (43, b"5A1N;B2;K4;I10.0.0.1;J80".to_vec()));
        assert!(options.contains(&(67, b"r1.cfg".to_vec())));
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
        let server = [10, 0, 0, 1].into();
        let facts = AnswerFacts { server, device: "sw1".to_owned(), http_port: Some(80) };
        let mut told = 0;
        for platform in PLATFORMS.by_id.values() {
            for (code, value) in platform.dhcp_options(&facts) {
                if [67, 114, 209, 239, 240].contains(&code) {
                    let name = String::from_utf8(value).unwrap();
                    assert!(platform.knows_file(&name), "{} {name}", platform.id);
                    told += 1;
                }
            }
            assert!(!platform.knows_file("../../etc/passwd"), "{}", platform.id);
            assert!(!platform.knows_file("pxelinux.0"), "{}", platform.id);
        }
        assert!(told > 10, "{told}");
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
        let files = [("a/frr.yaml".to_owned(), title), ("ours.yml".to_owned(), text.to_owned())];
        let platforms = Platforms::with_overlay(&files).unwrap();
        assert_eq!(platforms.get("frr").unwrap().title, "Ours");
        assert_eq!(platforms.get("ours").unwrap().title, "Linux with FRR");
        assert_eq!(platforms.by_id.len(), built_in::FILES.len() + 1);
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

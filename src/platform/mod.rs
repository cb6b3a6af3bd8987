//! How each network operating system speaks, as data. Pure: a platform is a file under `configs/platforms/`,
//! never code; what cannot be said in the file is a named case of a closed enum here.

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

/// All platforms of this server: the built-in ones, and those of the operator's directory over them.
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

/// The commands that answer one question, in order. How the output is read is this room's own business.
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

    /// The built-in platforms with the operator's files over them: a file named `x.yaml` replaces the
    /// platform `x` or adds it. Each file is a name and its text; all complaints come together.
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
    /// The DHCPv4 options this platform must find in OFFER and ACK, whether it asked for them or not:
    /// 66, 67, 150, 43 as its file says. Code and value, ready to be written.
    pub fn dhcp_options(&self, facts: &AnswerFacts) -> Vec<(u8, Vec<u8>)> {
        answers::options(&self.answers, facts)
    }

    /// True if a device of this platform may be asking for its configuration by this name.
    /// Case and a leading directory do not matter.
    pub fn knows_file(&self, name: &str) -> bool {
        names::known(&self.file_names, name)
    }

    /// One spelling for one port: `Gi1/0/47`, `GigabitEthernet1/0/47` and `gigabitethernet 1/0/47` become equal.
    pub fn canonical_port(&self, name: &str) -> String {
        self.ports.canonical(name)
    }

    /// Turns the outputs of one visit into what the device said; a line that finds no place makes
    /// that reading unreadable, with the line.
    pub fn read(&self, outputs: &BTreeMap<Question, Vec<Output>>) -> observation::Observation {
        parse::read(&self.questions, outputs)
    }

    /// Whether the device confirmed that it saved its configuration. `NotAsked` if it has no such command.
    pub fn read_save(&self, outputs: &[Output]) -> observation::Reading<()> {
        match self.questions.get(&Question::Save) {
            Some(asked) => parse::read_save(asked, outputs),
            None => observation::Reading::NotAsked,
        }
    }
}

//! A platform file as written. Only this file knows YAML; `resolve` turns what it yields into what
//! is meant.

use std::collections::BTreeMap;

use serde::Deserialize;
pub use serde_saphyr::Spanned;

use crate::platform::Complaint;

/// A text whose place in the file is known.
pub type Text = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    pub title: String,
    pub settle: Text,
    pub back_deadline: Option<Text>,
    pub must_save: bool,
    /// How it can fetch its file.
    #[serde(default)]
    pub transports: Vec<Transport>,
    /// What it cannot do, one sentence each.
    #[serde(default)]
    pub limits: Vec<String>,
    /// Shortest lease it accepts.
    pub lease_at_least: Option<Text>,
    pub checksum: Option<Checksum>,
    #[serde(default)]
    pub identity_headers: IdentityHeaders,
    #[serde(default)]
    pub recognise: Vec<Spanned<Rule>>,
    #[serde(default)]
    pub dhcp: Vec<Answer>,
    #[serde(default)]
    pub files: Vec<Text>,
    #[serde(default)]
    pub configuration_names: Vec<Text>,
    pub cli: Cli,
    pub questions: Questions,
    pub ping: Option<Ping>,
    #[serde(default)]
    pub ports: Ports,
    #[serde(default)]
    pub comparison: Comparison,
    pub software: Option<crate::platform::resolve::WrittenSoftware>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    Tftp,
    Http,
    Https,
    Ftp,
    Sftp,
    Scp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checksum {
    pub kind: ChecksumKind,
    pub line: Spanned<usize>,
    pub format: Text,
    pub beside: Option<Text>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumKind {
    Md5,
    Sha256,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityHeaders {
    pub serial: Vec<String>,
    pub model: Vec<String>,
    pub mac: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub host_name: Option<Text>,
    pub vendor_class: Option<Text>,
    pub client_id: Option<Text>,
    pub user_class: Option<Text>,
    pub vendor_identifying: Option<VendorIdentifying>,
    pub mac: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorIdentifying {
    pub enterprise: u32,
    pub class: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub option: Spanned<u8>,
    pub text: Option<Text>,
    pub bytes: Option<Text>,
    #[serde(default)]
    pub server_address: bool,
    pub sub_options: Option<Vec<SubOption>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubOption {
    pub code: Spanned<u8>,
    pub text: Option<Text>,
    pub bytes: Option<Text>,
    #[serde(default)]
    pub server_address: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cli {
    pub channel: Channel,
    #[serde(default)]
    pub prompts: Vec<Text>,
    pub enable: Option<Enable>,
    #[serde(default)]
    pub preparation: Vec<String>,
    #[serde(default)]
    pub pagers: Vec<Pager>,
    #[serde(default)]
    pub errors: Vec<Text>,
    #[serde(default)]
    pub chatter: Vec<Text>,
    pub command_timeout: Text,
    #[serde(default)]
    pub logout: String,
    #[serde(default)]
    pub ssh: Ssh,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    #[serde(default)]
    pub legacy: Legacy,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Legacy {
    First,
    #[default]
    Last,
    Never,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Shell,
    Exec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enable {
    pub command: String,
    pub unprivileged: Text,
    pub password_prompt: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pager {
    pub line: Text,
    pub keys: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questions {
    pub facts: Option<Vec<Command>>,
    pub lldp: Option<Vec<Command>>,
    pub cdp: Option<Vec<Command>>,
    pub interfaces: Option<Vec<Command>>,
    pub environment: Option<Vec<Command>>,
    pub running: Option<Vec<Command>>,
    pub saved: Option<Vec<Command>>,
    pub save: Option<Vec<Command>>,
}

/// How the device is told to reach an address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    /// Holds `{target}`.
    pub command: Text,
    /// The group `received` is the number of answers.
    pub received: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub command: Text,
    #[serde(default)]
    pub no_answer: Vec<NoAnswer>,
    pub read: Read,
    #[serde(default)]
    pub must: Vec<Text>,
    pub hold_seconds: Option<u64>,
    pub link_up: Option<Text>,
    pub link_down: Option<Text>,
    /// What the state of a part looks like that works, that does not, and that is not there.
    pub good: Option<Text>,
    pub bad: Option<Text>,
    pub absent: Option<Text>,
    /// `power`, `fan` or `temperature`, where the rows do not tell.
    pub kind: Option<Kind>,
    /// It only adds to what the other commands of the question list.
    #[serde(default)]
    pub details: bool,
}

/// What a part is there for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Power,
    Fan,
    Temperature,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoAnswer {
    pub line: Text,
    pub means: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    Textfsm(Table),
    Ntc(Ntc),
    JsonRows(JsonRows),
    JsonFields(BTreeMap<String, Paths>),
    Patterns(Vec<Text>),
    Text(TextRule),
    Accepted(Vec<Text>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub template: Text,
    pub count: Option<Text>,
    #[serde(default)]
    pub count_required: bool,
    pub none: Option<Text>,
}

/// A template of ntc-templates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ntc {
    /// Its file's name.
    pub template: Text,
    /// The names of its values, of which the first that is not empty counts.
    pub fields: BTreeMap<String, Vec<Text>>,
    pub only: Option<NtcOnly>,
    pub none: Option<Text>,
    #[serde(default)]
    pub passing: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NtcOnly {
    pub value: Text,
    pub is: Text,
}

/// One path, or several of which the first that leads somewhere counts.
pub type Paths = Vec<Text>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonRows {
    pub at: Text,
    pub count: Option<Text>,
    pub only: Option<Only>,
    #[serde(default)]
    pub fields: BTreeMap<String, Paths>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Only {
    pub path: Text,
    pub is: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRule {
    pub absent: Option<Text>,
    pub last_line: Option<Text>,
    #[serde(default)]
    pub may_be_empty: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    #[serde(default)]
    pub fold_case: bool,
    /// Full name to shortest form.
    #[serde(default)]
    pub types: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Comparison {
    pub style: Style,
    pub ignored: Vec<Text>,
    pub ignored_blocks: Vec<Text>,
    pub closers: Vec<Text>,
    pub secrets: Vec<Text>,
    pub traceless: Vec<Text>,
    pub ordered: Vec<Text>,
    pub ordered_lines: Vec<Text>,
    pub unwanted: Vec<Text>,
    pub dropped: Vec<Text>,
    pub port_headers: Vec<Text>,
    pub host_names: Vec<Text>,
    pub delimited: Vec<Delimited>,
}

/// How a configuration says what belongs to what.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    #[default]
    Indentation,
    Braces,
    Edits,
    Json,
    Xml,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delimited {
    pub start: Text,
    pub end: Option<String>,
}

/// Reads one file's text. The complaint names the place.
pub fn read(file: &str, text: &str) -> Result<Platform, Complaint> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location();
        Complaint {
            file: file.to_owned(),
            line: place.map_or(0, |place| place.line()),
            column: place.map_or(0, |place| place.column()),
            message: error.without_snippet().to_string(),
            hint: "the built-in platform files show every key".to_owned(),
        }
    })
}

/// Line and column of what was written, both from 1.
pub fn place<T>(written: &Spanned<T>) -> (u64, u64) {
    (written.referenced.line(), written.referenced.column())
}

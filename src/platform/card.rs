//! What does a platform file say, for a person who asks? Everything that decides how such a device
//! is known, answered and visited, as plain texts.

use std::time::Duration;

use serde::Serialize;

use crate::platform::answers::{Answer, Value};
use crate::platform::parse::Method;
use crate::platform::software::{Software, Step, Text};
use crate::platform::table::TableRow;
use crate::platform::{Asked, Channel, Legacy, Platform, Question};

/// One platform, told in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Card {
    /// What the table says of it.
    #[serde(flatten)]
    pub row: TableRow,
    /// The file it was read from; a bare name is part of the program.
    pub file: String,
    /// Each way its request may look.
    pub recognise: Vec<Vec<Looked>>,
    /// What OFFER and ACK hold for it, asked for or not.
    pub answers: Vec<Carried>,
    /// Names it may ask for besides the one it was told.
    pub files: Vec<String>,
    /// In which HTTP headers it tells who it is.
    pub identity_headers: Vec<Headers>,
    pub settle_seconds: u64,
    pub back_deadline_seconds: u64,
    pub lease_at_least_seconds: Option<u64>,
    pub cli: CliCard,
    pub asked: Vec<AskedCard>,
    /// The command that reaches an address, with `{target}`.
    pub ping: Option<String>,
    pub software: Option<SoftwareCard>,
}

/// One condition on a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// `60 vendor class`.
    pub at: String,
    /// The regular expression, over bytes.
    pub pattern: String,
}

/// One option of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Carried {
    pub option: u8,
    /// What it is called, where the number has one meaning for all.
    pub name: &'static str,
    pub value: String,
}

/// The headers of one clue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Headers {
    /// `serial`, `model` or `mac`.
    pub clue: &'static str,
    pub names: Vec<String>,
}

/// The command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CliCard {
    pub channel: &'static str,
    pub prompts: Vec<String>,
    /// The command that makes a session privileged.
    pub enable: Option<String>,
    pub preparation: Vec<String>,
    pub pagers: Vec<String>,
    pub errors: Vec<String>,
    /// Messages that it shows unasked.
    pub chatter: Vec<String>,
    /// When SSH offers the algorithms of old switches.
    pub legacy: &'static str,
    pub command_timeout_seconds: u64,
    pub logout: String,
}

/// One question and its commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskedCard {
    pub question: Question,
    pub commands: Vec<CommandCard>,
}

/// One command and how its answer is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandCard {
    pub command: String,
    /// `textfsm`, `json_rows` and the like.
    pub read: &'static str,
    /// Without these an answer is unreadable.
    pub must: Vec<&'static str>,
    /// It only adds to what the question's other commands list, and may fail alone.
    pub details: bool,
}

/// How it comes to other software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SoftwareCard {
    /// What people are told.
    pub takes_seconds: u64,
    pub steps: Vec<StepCard>,
    /// What OFFER and ACK hold instead while an image is to be installed.
    pub ztp: Vec<Carried>,
}

/// One step on its command line. Gaps stand as `{image}` and the like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepCard {
    /// `copy`, `verify`, `set_boot`, `save` or `reload`.
    pub step: &'static str,
    pub commands: Vec<String>,
    /// The command that shows that nothing is left to do, and the pattern that it shows then.
    pub look: Option<(String, String)>,
    /// Questions in between, as patterns, and the keys that answer them.
    pub answers: Vec<(String, String)>,
    /// One of these shows that it is done.
    pub success: Vec<String>,
    pub failure: Vec<String>,
    pub timeout_seconds: u64,
}

impl Platform {
    /// Everything about it.
    pub fn card(&self) -> Card {
        let looked = |condition: &super::recognition::Condition| Looked {
            at: condition.field.title(),
            pattern: condition.pattern.as_str().to_owned(),
        };
        let headers = [
            ("serial", &self.identity_headers.serial),
            ("model", &self.identity_headers.model),
            ("mac", &self.identity_headers.mac),
        ];
        Card {
            row: self.table_row(),
            file: self.file.clone(),
            recognise: self
                .recognition
                .iter()
                .map(|rule| rule.conditions.iter().map(looked).collect())
                .collect(),
            answers: self.answers.iter().map(option).collect(),
            files: self.file_names.clone(),
            identity_headers: headers
                .into_iter()
                .filter(|(_, names)| !names.is_empty())
                .map(|(clue, names)| Headers { clue, names: names.clone() })
                .collect(),
            settle_seconds: self.settle.as_secs(),
            back_deadline_seconds: self.back_deadline.as_secs(),
            lease_at_least_seconds: self.lease_at_least.as_ref().map(Duration::as_secs),
            cli: self.cli_card(),
            asked: self
                .questions
                .iter()
                .map(|(question, asked)| asked_card(*question, asked))
                .collect(),
            ping: self.ping.as_ref().map(|ping| ping.template().to_owned()),
            software: self.software.as_ref().map(software_card),
        }
    }

    fn cli_card(&self) -> CliCard {
        let cli = &self.cli;
        let patterns = |list: &[regex::Regex]| list.iter().map(|p| p.as_str().to_owned()).collect();
        CliCard {
            channel: match cli.channel {
                Channel::Shell => "one shell with prompts",
                Channel::Exec => "one exec request for each command",
            },
            prompts: patterns(&cli.prompts),
            enable: cli.enable.as_ref().map(|enable| enable.command.clone()),
            preparation: cli.preparation.clone(),
            pagers: cli.pagers.iter().map(|(line, _)| line.as_str().to_owned()).collect(),
            errors: patterns(&cli.errors),
            chatter: patterns(&cli.chatter),
            legacy: match cli.legacy {
                Legacy::First => "first",
                Legacy::Last => "last",
                Legacy::Never => "never",
            },
            command_timeout_seconds: cli.command_timeout.as_secs(),
            logout: cli.logout.clone(),
        }
    }
}

fn asked_card(question: Question, asked: &Asked) -> AskedCard {
    let commands = asked.commands.iter().zip(&asked.readers);
    let commands = commands.map(|(command, reader)| CommandCard {
        command: command.clone(),
        read: way(&reader.method),
        must: reader.must.iter().map(|field| field.name()).collect(),
        details: reader.details,
    });
    AskedCard { question, commands: commands.collect() }
}

fn software_card(software: &Software) -> SoftwareCard {
    SoftwareCard {
        takes_seconds: software.takes.as_secs(),
        steps: software.steps.iter().map(step_card).collect(),
        ztp: software.ztp.iter().map(option).collect(),
    }
}

fn step_card(step: &Step) -> StepCard {
    let texts = |list: &[Text]| -> Vec<String> { list.iter().map(Text::to_string).collect() };
    StepCard {
        step: step.kind.name(),
        commands: texts(&step.commands),
        look: step.look.as_ref().map(|(command, shows)| (command.to_string(), shows.to_string())),
        answers: step
            .answers
            .iter()
            .map(|(line, keys)| (line.as_str().to_owned(), keys.clone()))
            .collect(),
        success: texts(&step.success),
        failure: step.failure.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        timeout_seconds: step.timeout.as_secs(),
    }
}

/// As platform files write it.
fn way(method: &Method) -> &'static str {
    match method {
        Method::Table(_) => "textfsm",
        Method::Borrowed(_) => "ntc",
        Method::JsonRows(_) => "json_rows",
        Method::JsonFields(_) => "json_fields",
        Method::Patterns(_) => "patterns",
        Method::Text(_) => "text",
        Method::Accepted(_) => "accepted",
    }
}

fn option(answer: &Answer) -> Carried {
    Carried { option: answer.option, name: option_name(answer.option), value: value(&answer.value) }
}

/// The options of DHCPv4 that provisioning is about. Empty where vendors mean different things by
/// one number.
pub fn option_name(code: u8) -> &'static str {
    match code {
        1 => "subnet mask",
        3 => "router",
        6 => "name servers",
        12 => "host name",
        15 => "domain name",
        43 => "vendor specific",
        50 => "requested address",
        51 => "lease time",
        53 => "message type",
        54 => "server",
        55 => "asks for",
        57 => "longest message",
        60 => "vendor class",
        61 => "client id",
        66 => "TFTP server",
        67 => "boot file",
        77 => "user class",
        82 => "relay information",
        114 => "URL",
        124 => "vendor-identifying class",
        125 => "vendor-identifying options",
        150 => "TFTP servers",
        _ => "",
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Text(template) => template.to_string(),
        Value::ServerAddress => "this server's address".to_owned(),
        Value::Bytes(bytes) => {
            bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        }
        Value::SubOptions(subs) => {
            let of = |sub: &Answer| format!("{} {}", sub.option, self::value(&sub.value));
            subs.iter().map(of).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::platform::Platforms;

    #[test]
    fn a_card_tells_what_the_file_says() {
        let platforms = Platforms::built_in();
        let card = platforms.by_id["cisco_nxos"].card();
        assert_eq!(card.file, "cisco_nxos.yaml");
        assert_eq!(card.recognise.len(), 1);
        assert_eq!(card.recognise[0][1].at, "61 client id");
        let told = |code: u8| card.answers.iter().find(|answer| answer.option == code).unwrap();
        assert_eq!(told(67).value, "{device}.py");
        assert_eq!(told(150).value, "this server's address");
        assert_eq!(card.lease_at_least_seconds, Some(3600));
        let lldp = card.asked.iter().find(|asked| asked.question.name() == "lldp").unwrap();
        assert_eq!(lldp.commands[0].command, "show lldp neighbors detail | json");
        assert_eq!(
            (lldp.commands[0].read, &lldp.commands[0].must[..]),
            ("json_rows", &["local_port", "port_id"][..])
        );
    }

    #[test]
    fn every_question_and_every_answer_of_every_platform_is_on_its_card() {
        for platform in Platforms::built_in().by_id.values() {
            let card = platform.card();
            assert_eq!(card.answers.len(), platform.answers.len(), "{}", platform.id);
            assert_eq!(card.asked.len(), platform.questions.len(), "{}", platform.id);
            assert!(card.asked.iter().all(|asked| !asked.commands.is_empty()), "{}", platform.id);
            assert!(card.answers.iter().all(|answer| !answer.value.is_empty()), "{}", platform.id);
            assert_eq!(card.cli.chatter.len(), platform.cli.chatter.len(), "{}", platform.id);
            assert_eq!(card.ping.is_some(), platform.ping.is_some(), "{}", platform.id);
            let steps = card.software.as_ref().map(|software| software.steps.len());
            let meant = platform.software.as_ref().map(|software| software.steps.len());
            assert_eq!(steps, meant, "{}", platform.id);
        }
    }

    #[test]
    fn a_step_is_told_with_its_gaps_as_the_file_writes_them() {
        let platforms = Platforms::built_in();
        let card = platforms.by_id["arista_eos"].card();
        let software = card.software.expect("it can be upgraded");
        let copy = &software.steps[0];
        assert_eq!(
            (copy.step, &copy.commands[..]),
            ("copy", &["copy {image_url} flash:{image}".to_owned()][..])
        );
        let look = ("verify /md5 flash:{image}".to_owned(), "{md5}".to_owned());
        assert_eq!(copy.look, Some(look));
        let junos = platforms.by_id["juniper_junos"].card();
        assert!(junos.software.is_some_and(|software| !software.ztp.is_empty()));
    }
}

//! From a platform file as written to a platform as meant. All complaints about a file come
//! together.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use crate::platform::checksum::{self, Checksum};
use crate::platform::comparison::{Comparison, Delimited, Patterns, Style};
use crate::platform::ping::{self, Ping};
use crate::platform::ports::{PortType, Ports};
use crate::platform::recognition::{Condition, Field as Sighting, IdentityHeaders, Rule};
use crate::platform::written::{self, Spanned, Text};
use crate::platform::{Channel, Cli, Complaint, Enable, Legacy, Platform, Templates, Transport};

mod answers;
mod questions;
mod software;

pub(super) use software::WrittenSoftware;

/// How long a device may take to come back where its file says nothing.
const BACK_DEADLINE: Duration = Duration::from_secs(120);

/// The names of groups that tell something in recognition patterns.
const CLUE_GROUPS: [&str; 2] = ["serial", "model"];

/// The platform of one file, or everything that is wrong with it.
pub fn platform(
    id: &str,
    (file, text): (&str, &str),
    templates: Templates<'_>,
) -> Result<Platform, Vec<Complaint>> {
    let written = written::read(file, text).map_err(|complaint| vec![complaint])?;
    let mut desk = Desk { file, templates, complaints: Vec::new() };
    let platform = desk.platform(id, written);
    if desk.complaints.is_empty() { Ok(platform) } else { Err(desk.complaints) }
}

/// Where complaints about one file are gathered.
struct Desk<'a> {
    file: &'a str,
    templates: Templates<'a>,
    complaints: Vec<Complaint>,
}

impl Desk<'_> {
    fn complain<T>(&mut self, at: &Spanned<T>, message: impl Into<String>, hint: &str) {
        let (line, column) = written::place(at);
        self.complaints.push(Complaint {
            file: self.file.to_owned(),
            line,
            column,
            message: message.into(),
            hint: hint.to_owned(),
        });
    }

    fn platform(&mut self, id: &str, written: written::Platform) -> Platform {
        if written.must_save && written.questions.save.is_none() {
            let hint = "write how it is told to save, as `save` below `questions`";
            self.complain(&written.settle, "it must be told to save, and nobody says how", hint);
        }
        let ports = Ports {
            fold_case: written.ports.fold_case,
            types: written
                .ports
                .types
                .into_iter()
                .map(|(name, shortest)| PortType { name, shortest })
                .collect(),
        };
        Platform {
            id: id.to_owned(),
            file: self.file.to_owned(),
            title: written.title,
            settle: self.duration(&written.settle).unwrap_or_default(),
            back_deadline: written
                .back_deadline
                .and_then(|text| self.duration(&text))
                .unwrap_or(BACK_DEADLINE),
            must_save: written.must_save,
            transports: written.transports.into_iter().map(transport).collect(),
            limits: written.limits,
            lease_at_least: written.lease_at_least.and_then(|text| self.duration(&text)),
            checksum: written.checksum.and_then(|checksum| self.checksum(checksum)),
            identity_headers: IdentityHeaders {
                serial: written.identity_headers.serial,
                model: written.identity_headers.model,
                mac: written.identity_headers.mac,
            },
            file_names: lower_case(written.files),
            configuration_names: lower_case(written.configuration_names),
            cli: self.cli(written.cli),
            questions: self.questions(written.questions),
            ping: written.ping.and_then(|ping| self.ping(ping)),
            recognition: written.recognise.into_iter().map(|rule| self.rule(rule)).collect(),
            answers: written.dhcp.into_iter().filter_map(|answer| self.answer(&answer)).collect(),
            comparison: self.comparison(written.comparison, ports.clone()),
            software: written.software.and_then(|written| self.software(written)),
            ports,
        }
    }

    fn checksum(&mut self, written: written::Checksum) -> Option<Checksum> {
        if written.line.value == 0 {
            self.complain(&written.line, "lines count from 1", "write the line of the checksum");
            return None;
        }
        let Some((before, after)) = written.format.value.split_once("{digest}") else {
            let hint = "write it as `#md5sum=\"{digest}\"`";
            self.complain(&written.format, "the line has no place for the digest", hint);
            return None;
        };
        Some(Checksum {
            kind: match written.kind {
                written::ChecksumKind::Md5 => checksum::Kind::Md5,
                written::ChecksumKind::Sha256 => checksum::Kind::Sha256,
            },
            line: written.line.value,
            before: before.to_owned(),
            after: after.to_owned(),
            beside: written.beside.map(|text| text.value),
        })
    }

    fn cli(&mut self, written: written::Cli) -> Cli {
        Cli {
            channel: match written.channel {
                written::Channel::Shell => Channel::Shell,
                written::Channel::Exec => Channel::Exec,
            },
            prompts: self.regexes(&written.prompts),
            enable: written.enable.and_then(|enable| {
                Some(Enable {
                    command: enable.command,
                    unprivileged: self.regex(&enable.unprivileged)?,
                    password_prompt: self.regex(&enable.password_prompt)?,
                })
            }),
            preparation: written.preparation,
            pagers: written
                .pagers
                .into_iter()
                .filter_map(|pager| Some((self.regex(&pager.line)?, pager.keys)))
                .collect(),
            errors: self.regexes(&written.errors),
            chatter: self.regexes(&written.chatter),
            command_timeout: self.duration(&written.command_timeout).unwrap_or_default(),
            logout: written.logout,
            legacy: match written.ssh.legacy {
                written::Legacy::First => Legacy::First,
                written::Legacy::Last => Legacy::Last,
                written::Legacy::Never => Legacy::Never,
            },
        }
    }

    fn ping(&mut self, written: written::Ping) -> Option<Ping> {
        if !written.command.value.contains(ping::TARGET) {
            let hint = "write `{target}` where the address stands";
            self.complain(&written.command, "the command has no place for the address", hint);
        }
        if !written.received.value.contains("(?P<received>") {
            let hint = "write it as `(?P<received>\\d+) received`";
            self.complain(&written.received, "the group `received` is missing", hint);
        }
        Some(Ping::new(written.command.value.clone(), self.regex(&written.received)?))
    }

    fn rule(&mut self, written: Spanned<written::Rule>) -> Rule {
        let Spanned { value: rule, referenced, defined } = written;
        let at = Spanned { value: (), referenced, defined };
        let vendor = rule.vendor_identifying.map(|vendor| {
            (Sighting::VendorIdentifying { enterprise: vendor.enterprise }, vendor.class)
        });
        let fields = [
            (Sighting::HostName, rule.host_name),
            (Sighting::VendorClass, rule.vendor_class),
            (Sighting::ClientId, rule.client_id),
            (Sighting::UserClass, rule.user_class),
            (Sighting::Mac, rule.mac),
        ];
        let fields = fields.into_iter().filter_map(|(field, text)| Some((field, text?)));
        let fields: Vec<(Sighting, Text)> = fields.chain(vendor).collect();
        if fields.is_empty() {
            self.complain(&at, "a rule without a condition", "it would match nobody: remove it");
        }
        let conditions =
            fields.iter().filter_map(|(field, text)| self.condition(*field, text)).collect();
        Rule { conditions }
    }

    fn condition(&mut self, field: Sighting, text: &Text) -> Option<Condition> {
        match regex::bytes::Regex::new(&text.value) {
            Ok(pattern) => {
                let groups: Vec<&str> = pattern.capture_names().flatten().collect();
                for group in groups.iter().filter(|group| !CLUE_GROUPS.contains(group)) {
                    let message = format!("the group `{group}` tells nothing");
                    self.complain(text, message, "groups here are `serial` and `model`");
                }
                Some(Condition { field, pattern })
            }
            Err(error) => {
                self.complain(
                    text,
                    crate::written::last_line(&error.to_string()),
                    "a regular expression is wanted",
                );
                None
            }
        }
    }

    fn comparison(&mut self, written: written::Comparison, ports: Ports) -> Comparison {
        for (texts, group) in [
            (&written.secrets, "secret"),
            (&written.ordered_lines, "list"),
            (&written.dropped, "drop"),
            (&written.port_headers, "port"),
            (&written.host_names, "host"),
        ] {
            for text in texts {
                if !text.value.contains(&format!("(?P<{group}>")) {
                    let message = format!("the group `{group}` is missing");
                    self.complain(text, message, "write it as `(?P<name>…)`");
                }
            }
        }
        Comparison {
            style: match written.style {
                written::Style::Indentation => Style::Indentation,
                written::Style::Braces => Style::Braces,
                written::Style::Edits => Style::Edits,
                written::Style::Json => Style::Json,
                written::Style::Xml => Style::Xml,
            },
            ignored: self.patterns(&written.ignored),
            ignored_blocks: self.patterns(&written.ignored_blocks),
            closers: self.patterns(&written.closers),
            secrets: self.patterns(&written.secrets),
            traceless: self.patterns(&written.traceless),
            ordered: self.patterns(&written.ordered),
            ordered_lines: self.patterns(&written.ordered_lines),
            unwanted: self.patterns(&written.unwanted),
            dropped: self.patterns(&written.dropped),
            port_headers: self.patterns(&written.port_headers),
            host_names: self.patterns(&written.host_names),
            delimited: written
                .delimited
                .into_iter()
                .filter_map(|text| {
                    Some(Delimited { start: self.regex(&text.start)?, end: text.end })
                })
                .collect(),
            ports,
        }
    }

    fn patterns(&mut self, texts: &[Text]) -> Patterns {
        Patterns::new(self.regexes(texts))
    }

    fn regexes(&mut self, texts: &[Text]) -> Vec<Regex> {
        texts.iter().filter_map(|text| self.regex(text)).collect()
    }

    fn regex(&mut self, text: &Text) -> Option<Regex> {
        Regex::new(&text.value)
            .map_err(|error| {
                self.complain(
                    text,
                    crate::written::last_line(&error.to_string()),
                    "a regular expression is wanted",
                );
            })
            .ok()
    }

    /// `90s`, `2m`, `1h`.
    fn duration(&mut self, text: &Text) -> Option<Duration> {
        let units = BTreeMap::from([("s", 1), ("m", 60), ("h", 3600)]);
        let digits = text.value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = units.get(&text.value[digits.len()..]);
        let seconds = digits.trim().parse::<u64>().ok().zip(unit);
        match seconds.and_then(|(number, unit)| number.checked_mul(*unit)) {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => {
                let message = format!("expected a time with its unit, found `{}`", text.value);
                self.complain(text, message, "such as `90s`, `2m` or `1h`");
                None
            }
        }
    }
}

fn lower_case(globs: Vec<Text>) -> Vec<String> {
    globs.into_iter().map(|glob| glob.value.to_lowercase()).collect()
}

fn transport(written: written::Transport) -> Transport {
    match written {
        written::Transport::Tftp => Transport::Tftp,
        written::Transport::Http => Transport::Http,
        written::Transport::Https => Transport::Https,
        written::Transport::Ftp => Transport::Ftp,
        written::Transport::Sftp => Transport::Sftp,
        written::Transport::Scp => Transport::Scp,
    }
}

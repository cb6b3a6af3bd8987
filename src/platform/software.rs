//! How does a platform come to other software? By steps on its command line, or by what its own
//! zero-touch provisioning is told; both are data.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use md5::Md5;
use regex::Regex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::platform::answers::{self, Answer};
use crate::platform::{AnswerFacts, Platform, Platforms};

/// The `software` section of a platform file.
#[derive(Debug)]
pub struct Software {
    /// What people are told: from the first step until it is back.
    pub takes: Duration,
    /// One after the other; the last one is a reload. Empty where the platform is upgraded by its
    /// own provisioning alone.
    pub steps: Vec<Step>,
    /// Options that take the place of those of the platform's `dhcp` section while an image is to
    /// be installed, so that the device fetches and installs it by itself.
    pub ztp: Vec<Answer>,
}

impl Platforms {
    /// The platform whose answers a request gets: that of the plan, unless the request is that of
    /// an installer (ONIE), which takes any file that it is told for the software to be installed.
    pub fn answering<'a>(
        &'a self,
        planned: &str,
        seen: Option<&'a Arc<Platform>>,
    ) -> Option<&'a Arc<Platform>> {
        seen.filter(|seen| seen.id != planned && seen.takes_images_alone())
            .or_else(|| self.get(planned))
    }

    /// Says that a device planned as one platform asks like another, if so.
    pub fn mismatch(&self, planned: &str, seen: Option<&Arc<Platform>>) -> Option<String> {
        let seen = seen.filter(|seen| seen.id != planned)?;
        Some(match seen.takes_images_alone() {
            true => {
                let title = &seen.title;
                format!("planned as {planned}, and {title} asks: it is told where its software is")
            }
            false => format!("planned as {planned}, and asks like {}", seen.id),
        })
    }
}

impl Platform {
    /// True for an installer: what it is told names its planned image, and never a configuration.
    pub fn takes_images_alone(&self) -> bool {
        const DEVICE: &str = "a-device-of-this-name";
        const IMAGE: &str = "an-image-of-this-name";
        let facts = AnswerFacts {
            server: Ipv4Addr::UNSPECIFIED,
            device: DEVICE.to_owned(),
            http_port: Some(80),
        };
        let told = self.dhcp_options_with(&facts, Some(IMAGE));
        let names = |name: &str| {
            told.iter().any(|(_, value)| value.windows(name.len()).any(|at| at == name.as_bytes()))
        };
        names(IMAGE) && !names(DEVICE)
    }

    /// [`Platform::dhcp_options`] for a device on which this image is to be installed: where the
    /// platform installs by its own provisioning, it is told of the image.
    pub fn dhcp_options_with(
        &self,
        facts: &AnswerFacts,
        image: Option<&str>,
    ) -> Vec<(u8, Vec<u8>)> {
        let mut options = self.dhcp_options(facts);
        let ztp = self.software.as_ref().map_or(&[][..], |software| &software.ztp);
        for (code, value) in answers::options_with(ztp, facts, image) {
            options.retain(|(known, _)| *known != code);
            options.push((code, value));
        }
        options
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Fetches the image from us.
    Copy,
    /// Compares the image on the device with its digest.
    Verify,
    /// Makes the image the one of the next boot.
    SetBoot,
    /// Saves the configuration.
    Save,
    /// Boots the new software; the session may end.
    Reload,
}

impl StepKind {
    /// As platform files write it.
    pub fn name(self) -> &'static str {
        match self {
            StepKind::Copy => "copy",
            StepKind::Verify => "verify",
            StepKind::SetBoot => "set_boot",
            StepKind::Save => "save",
            StepKind::Reload => "reload",
        }
    }
}

/// One step, with gaps.
#[derive(Debug)]
pub struct Step {
    pub kind: StepKind,
    /// A command whose answer shows that nothing is left to do, and the pattern that shows it.
    pub look: Option<(Text, Text)>,
    /// Typed one after the other.
    pub commands: Vec<Text>,
    /// Questions in between, as the unfinished line they stand in, and the keys that answer them.
    pub answers: Vec<(Regex, String)>,
    /// One of these stands in the answers. Empty: an answer without an error will do.
    pub success: Vec<Text>,
    /// A line with one of these is an error.
    pub failure: Vec<Regex>,
    /// For the whole step; for a reload until the device is back.
    pub timeout: Duration,
    /// The session is over when the device is silent for so long during a command.
    pub silence: Duration,
}

/// What is to be installed, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub version: String,
    /// What the file is called on the device.
    pub file: String,
    /// By HTTP where we serve it, otherwise by TFTP.
    pub image_url: String,
    pub tftp_url: String,
    /// Lower-case hex.
    pub sha256: String,
    /// Lower-case hex.
    pub md5: String,
}

/// A step with its gaps filled in.
#[derive(Debug, Clone)]
pub struct Filled {
    pub kind: StepKind,
    /// The version that the whole is about: a device that runs it has nothing left to do.
    pub version: String,
    pub look: Option<(String, Regex)>,
    pub commands: Vec<String>,
    pub answers: Vec<(Regex, String)>,
    pub success: Vec<Regex>,
    pub failure: Vec<Regex>,
    pub timeout: Duration,
    pub silence: Duration,
}

impl Filled {
    /// Whether these answers show that the step was done.
    pub fn succeeded(&self, said: &str) -> bool {
        self.success.is_empty() || self.success.iter().any(|pattern| pattern.is_match(said))
    }
}

impl Step {
    /// The step for this image. The reason says which text cannot be used.
    pub fn fill(&self, facts: &Facts) -> Result<Filled, String> {
        let look = self
            .look
            .as_ref()
            .map(|(command, shows)| Ok::<_, String>((command.fill(facts)?, shows.pattern(facts)?)));
        Ok(Filled {
            kind: self.kind,
            version: facts.version.clone(),
            look: look.transpose()?,
            commands: self
                .commands
                .iter()
                .map(|text| text.fill(facts))
                .collect::<Result<_, _>>()?,
            answers: self.answers.clone(),
            success: self
                .success
                .iter()
                .map(|text| text.pattern(facts))
                .collect::<Result<_, _>>()?,
            failure: self.failure.clone(),
            timeout: self.timeout,
            silence: self.silence,
        })
    }
}

/// A command or a pattern with gaps for what is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Gap(Gap),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    Version,
    Image,
    ImageUrl,
    TftpUrl,
    Sha256,
    Md5,
}

impl Gap {
    const ALL: [(&'static str, Gap); 6] = [
        ("{image_url}", Gap::ImageUrl),
        ("{tftp_url}", Gap::TftpUrl),
        ("{image}", Gap::Image),
        ("{version}", Gap::Version),
        ("{sha256}", Gap::Sha256),
        ("{md5}", Gap::Md5),
    ];

    fn name(self) -> &'static str {
        let found = Self::ALL.into_iter().find(|(_, gap)| *gap == self);
        found.map_or("", |(name, _)| name)
    }

    fn of(self, facts: &Facts) -> &str {
        match self {
            Gap::Version => &facts.version,
            Gap::Image => &facts.file,
            Gap::ImageUrl => &facts.image_url,
            Gap::TftpUrl => &facts.tftp_url,
            Gap::Sha256 => &facts.sha256,
            Gap::Md5 => &facts.md5,
        }
    }
}

impl Text {
    /// Reads the gaps. Other braces stay as they are, for patterns have them too.
    pub fn read(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((at, name, gap)) = first_gap(rest) {
            pieces.push(Piece::Literal(rest[..at].to_owned()));
            pieces.push(Piece::Gap(gap));
            rest = &rest[at + name.len()..];
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Self(pieces)
    }

    fn fill(&self, facts: &Facts) -> Result<String, String> {
        let text = self.joined(facts, str::to_owned);
        // A line end in a version would be a command of its own.
        match text.chars().any(char::is_control) {
            true => Err(format!("the plan makes a command of several lines: {text:?}")),
            false => Ok(text),
        }
    }

    fn pattern(&self, facts: &Facts) -> Result<Regex, String> {
        Regex::new(&self.joined(facts, regex::escape)).map_err(|error| error.to_string())
    }

    fn joined(&self, facts: &Facts, filling: impl Fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Gap(gap) => filling(gap.of(facts)),
        };
        self.0.iter().map(piece).collect()
    }
}

/// As the platform file writes it.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => f.write_str(text)?,
                Piece::Gap(gap) => f.write_str(gap.name())?,
            }
        }
        Ok(())
    }
}

fn first_gap(text: &str) -> Option<(usize, &'static str, Gap)> {
    let found = Gap::ALL.into_iter().filter_map(|(name, gap)| Some((text.find(name)?, name, gap)));
    found.min_by_key(|(at, ..)| *at)
}

/// Both digests of an image, piece by piece.
#[derive(Debug, Default)]
pub struct Hasher {
    sha256: Sha256,
    md5: Md5,
}

/// What an image is known by. Lower-case hex.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests {
    pub sha256: String,
    pub md5: String,
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.md5.update(bytes);
    }

    pub fn finish(self) -> Digests {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Digests { sha256: hex(&self.sha256.finalize()), md5: hex(&self.md5.finalize()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            version: "17.9.5".into(),
            file: "cat9k.17.bin".into(),
            image_url: "http://10.0.0.1:8080/x/cat9k.17.bin".into(),
            tftp_url: "tftp://10.0.0.1/x/cat9k.17.bin".into(),
            sha256: "aa".into(),
            md5: "bb".into(),
        }
    }

    #[test]
    fn an_installer_that_asks_is_told_of_its_image_whatever_is_planned_and_nobody_else_is() {
        let platforms = Platforms::built_in();
        let alone = platforms.by_id.values().filter(|it| it.takes_images_alone());
        assert_eq!(alone.map(|it| it.id.as_str()).collect::<Vec<_>>(), ["onie"]);
        let facts = AnswerFacts {
            server: [10, 0, 0, 1].into(),
            device: "leaf1".into(),
            http_port: Some(80),
        };
        let onie = &platforms.by_id["onie"];
        for planned in ["sonic", "cumulus_linux"] {
            let answers = platforms.answering(planned, Some(onie)).unwrap();
            let told = answers.dhcp_options_with(&facts, Some("nos/installer.bin"));
            let url = b"http://10.0.0.1:80/nos/installer.bin".to_vec();
            let shorter = b"http://10.0.0.1/nos/installer.bin".to_vec();
            assert!(told.contains(&(114, url)) || told.contains(&(114, shorter)), "{told:?}");
            assert!(told.iter().all(|(code, _)| *code != 67), "{told:?}");
            let itself = platforms.answering(planned, None).unwrap();
            assert_eq!(itself.id, planned);
            assert!(platforms.mismatch(planned, Some(onie)).unwrap().contains("ONIE asks"));
        }
        let (eos, ios) = (&platforms.by_id["arista_eos"], "cisco_ios");
        assert_eq!(platforms.answering(ios, Some(eos)).unwrap().id, ios);
        let mismatch = platforms.mismatch(ios, Some(eos));
        assert_eq!(mismatch.as_deref(), Some("planned as cisco_ios, and asks like arista_eos"));
        assert_eq!(
            (platforms.mismatch(ios, None), platforms.mismatch("onie", Some(onie))),
            (None, None)
        );
    }

    #[test]
    fn gaps_are_filled_as_they_are_in_commands_and_to_the_letter_in_patterns() {
        let text = Text::read("copy {image_url} flash:{image} # {md5} {other} a{2}");
        let filled = text.fill(&facts()).unwrap();
        assert_eq!(
            filled,
            "copy http://10.0.0.1:8080/x/cat9k.17.bin flash:cat9k.17.bin # bb {other} a{2}"
        );
        let pattern = Text::read("^{image} \\d{2}$").pattern(&facts()).unwrap();
        assert!(pattern.is_match("cat9k.17.bin 12") && !pattern.is_match("cat9kx17.bin 12"));
        assert_eq!(text.to_string(), "copy {image_url} flash:{image} # {md5} {other} a{2}");
        let evil = Facts { version: "1\nreload".into(), ..facts() };
        assert!(Text::read("x {version}").fill(&evil).is_err());
    }

    #[test]
    fn junos_and_onie_are_told_of_the_image_by_their_own_provisioning() {
        let platforms = Platforms::built_in();
        let of = |id: &str, http_port, image| {
            let server = [10, 0, 0, 1].into();
            let facts = AnswerFacts { server, device: "sw1".to_owned(), http_port };
            platforms.by_id[id].dhcp_options_with(&facts, image)
        };
        let of_43 = |options: &[(u8, Vec<u8>)]| -> Vec<Vec<u8>> {
            let found = options.iter().filter(|(code, _)| *code == 43);
            found.map(|(_, value)| value.clone()).collect()
        };
        let junos = of("juniper_junos", Some(80), Some("j.tgz"));
        let told = b"\x00\x05j.tgz\x01\x07sw1.cfg\x03\x04http\x05\x0280".to_vec();
        assert_eq!(of_43(&junos), [told]);
        let by_tftp = of("juniper_junos", None, Some("j.tgz"));
        assert_eq!(of_43(&by_tftp), [b"\x00\x05j.tgz\x01\x07sw1.cfg\x03\x04tftp".to_vec()]);
        let without = of("juniper_junos", Some(80), None);
        assert_eq!(of_43(&without), [b"\x01\x07sw1.cfg\x03\x04http\x05\x0280".to_vec()]);
        let onie = of("onie", Some(8080), Some("sonic/sonic.bin"));
        let url = b"http://10.0.0.1:8080/sonic/sonic.bin".to_vec();
        assert!(onie.contains(&(114, url)), "{onie:?}");
        assert_eq!(of("cisco_ios", None, Some("x")), of("cisco_ios", None, None));
    }

    #[test]
    fn every_platform_with_steps_ends_in_a_reload_and_begins_with_a_copy() {
        let platforms = Platforms::built_in();
        let mut count = 0;
        for (id, platform) in &platforms.by_id {
            let Some(software) = &platform.software else { continue };
            let kinds: Vec<StepKind> = software.steps.iter().map(|step| step.kind).collect();
            if kinds.is_empty() {
                assert!(!software.ztp.is_empty(), "{id}");
                continue;
            }
            count += 1;
            assert_eq!(kinds.first(), Some(&StepKind::Copy), "{id}");
            assert_eq!(kinds.last(), Some(&StepKind::Reload), "{id}");
            assert!(kinds.contains(&StepKind::Verify), "{id}: nobody looks what arrived");
            for step in &software.steps {
                step.fill(&facts()).unwrap_or_else(|why| panic!("{id}: {why}"));
            }
        }
        assert!(count >= 4);
    }

    #[test]
    fn digests_are_those_of_their_standards_however_the_bytes_come() {
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        let Digests { sha256, md5 } = hasher.finish();
        assert_eq!(md5, "900150983cd24fb0d6963f7d28e17f72");
        assert!(sha256.starts_with("ba7816bf8f01cfea414140de5dae2223"));
    }
}

//! What does the device wait for? Its unfinished line is looked at: a prompt, a pager, a question;
//! or nothing is there where a prompt was, and a line end is due to bring it back.

use std::time::{Duration, Instant};

use super::echo::Typed;
use super::interruptions::{self, Chatter, Request};
use super::{Action, Dialogue, PROMPT_CHARS_MAX, QUIET, Stage, UNSURE_QUIET};

/// A device that shows nothing more, or a message over its prompt, is sent a line end after this
/// long, which makes it show its prompt.
const NUDGE_AFTER: Duration = Duration::from_secs(3);
/// So often for one command: a device that does not react to the second does not wait for one.
const NUDGES_MAX: usize = 2;

/// What the unfinished line is, and how long the device must stay quiet before we believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waiting {
    Pager { keys: String, quiet: Duration },
    Password,
    NewPassword,
    Prompt { quiet: Duration },
}

impl Waiting {
    pub(super) fn quiet(&self) -> Duration {
        match self {
            Waiting::Password => QUIET,
            Waiting::NewPassword => UNSURE_QUIET,
            Waiting::Pager { quiet, .. } | Waiting::Prompt { quiet } => *quiet,
        }
    }
}

impl Dialogue<'_> {
    /// What the unfinished line asks of us, if anything.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        let (line, whole) = self.terminal.line_end(PROMPT_CHARS_MAX);
        if line.is_empty() {
            return None;
        }
        if let (Stage::Enabling { .. }, Some(enable)) = (&self.stage, &self.cli.enable)
            && enable.password_prompt.is_match(&line)
        {
            return Some(Waiting::Password);
        }
        if let Stage::Login | Stage::Enabling { .. } = &self.stage
            && let Some(request) =
                interruptions::before_first_prompt(&line, self.terminal.finished())
        {
            return Some(match request {
                Request::Key(key) => pager(key, 4 * QUIET),
                Request::NewPassword => Waiting::NewPassword,
            });
        }
        if let Some((_, keys)) = self.cli.pagers.iter().find(|(pager, _)| pager.is_match(&line)) {
            return Some(pager(keys, QUIET));
        }
        let known = whole && self.prompt.as_deref() == Some(line.as_str());
        let looks = known || whole && self.looks_like_prompt(&line);
        let behind_data = self.prompt.as_deref().is_some_and(|prompt| line.ends_with(prompt));
        if !looks && !behind_data {
            return interruptions::pager(&line).map(|keys| pager(keys, UNSURE_QUIET));
        }
        let sure = match &self.stage {
            Stage::Login => false,
            Stage::Enabling { .. } | Stage::Preparing(_) => looks && self.echo_end().is_some(),
            Stage::Answering(_) => known && self.echo_end().is_some(),
            Stage::Ended(_) => return None,
        };
        let quiet = match (sure, &self.stage) {
            (true, _) => QUIET,
            // Banners are drawn with `#`; a wrong guess here is mended by the missing echo.
            (false, Stage::Login) => 4 * QUIET,
            (false, _) => UNSURE_QUIET.min(self.cli.command_timeout / 2),
        };
        Some(Waiting::Prompt { quiet })
    }

    /// True if one of the platform's prompts reaches to the end of `line`.
    fn looks_like_prompt(&self, line: &str) -> bool {
        let spaced = format!("{line} ");
        self.cli.prompts.iter().any(|prompt| {
            [line, spaced.as_str()]
                .iter()
                .any(|text| prompt.find_iter(text).any(|found| found.end() >= line.len()))
        })
    }

    /// Where the answer begins in the finished lines: after the echo of what we typed.
    pub(super) fn echo_end(&self) -> Option<usize> {
        let typed = match &self.stage {
            Stage::Login => return None,
            Stage::Enabling { .. } => self.cli.enable.as_ref()?.command.as_str(),
            Stage::Preparing(index) => &self.cli.preparation[*index],
            Stage::Answering(index) => &self.commands[*index],
            Stage::Ended(_) => return None,
        };
        let typed = Typed { text: typed.trim(), prompt: self.prompt.as_deref() };
        typed.end(self.terminal.finished(), |line| self.looks_like_prompt(line))
    }

    /// When a line end is to be typed because the prompt may be hidden.
    pub(super) fn nudge_due(&self) -> Option<Instant> {
        if self.nudges >= NUDGES_MAX || !self.terminal.line().is_empty() {
            return None;
        }
        let finished = self.terminal.finished();
        match (&self.stage, &self.prompt) {
            (Stage::Ended(_), _) => None,
            (Stage::Login, _) => (!finished.trim().is_empty()).then(|| self.stirred + NUDGE_AFTER),
            (Stage::Enabling { .. } | Stage::Preparing(_) | Stage::Answering(_), Some(prompt)) => {
                // Messages may go on for ever, so that the quiet is short.
                let hidden = self.chatter(prompt).covers_prompt(finished);
                hidden.then(|| (self.typed + NUDGE_AFTER).max(self.stirred + QUIET))
            }
            (Stage::Enabling { .. } | Stage::Preparing(_) | Stage::Answering(_), None) => None,
        }
    }

    pub(super) fn nudge(&mut self, now: Instant) -> Vec<Action> {
        self.nudges += 1;
        self.stirred = now;
        self.typed = now;
        vec![Action::Type("\n".to_owned())]
    }

    pub(super) fn chatter<'b>(&'b self, prompt: &'b str) -> Chatter<'b> {
        Chatter { patterns: &self.cli.chatter, prompt }
    }
}

fn pager(keys: &str, quiet: Duration) -> Waiting {
    Waiting::Pager { keys: keys.to_owned(), quiet }
}

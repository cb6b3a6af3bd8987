//! The command-line dialogue with a device, as a machine: bytes and time in, keystrokes and answers
//! out.
//!
//! Nothing is decided while bytes arrive. Only when the device has been quiet for a moment is its
//! last, unfinished line looked at: is it a prompt, a pager, a question for a password? So how the
//! bytes were cut into packets does not matter, and a line of data that looks like a prompt ends no
//! answer, because more follows it.
//!
//! How sure we are decides how long the quiet must last: a moment ([`QUIET`]) for the very prompt
//! that was learned, after the command was echoed; longer ([`UNSURE_QUIET`]) for a prompt of
//! another name (the device may have taken its new host name meanwhile), for a prompt behind data
//! on one line, and where no echo was seen.

mod echo;
mod interruptions;
mod terminal;
mod waiting;

use std::time::{Duration, Instant};

use super::{Cli, Enable, Output};
use crate::secret::Secret;
pub use interruptions::wants_new_password;
use terminal::Terminal;
use waiting::Waiting;

/// A prompt is a prompt when nothing follows it for this long: longer than the gap between two
/// packets of one answer, short enough to be no burden with ten commands.
const QUIET: Duration = Duration::from_millis(30);
/// The same where the line alone does not prove it. A device that pauses longer inside a line is
/// slower than any we know of.
const UNSURE_QUIET: Duration = Duration::from_secs(1);
/// An answer that was too long is read to its end and thrown away, up to this many times the limit:
/// the other questions may still be answered. Past that the visit ends.
const THROWN_FACTOR: usize = 16;
/// No prompt, pager or question is longer: twice the width of the terminal we ask for. Of a longer
/// line only the end is looked at, or each packet of a line without end would cost the whole line.
const PROMPT_CHARS_MAX: usize = 1024;
/// How much of what was seen last stands in a reason.
const SEEN_CHARS_MAX: usize = 160;

/// What the dialogue may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For one answer, in bytes as they arrive and as a terminal shows them: eight bytes can move
    /// the cursor over five hundred columns.
    pub output_bytes_max: usize,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this.
    Type(String),
    /// Send this, and show it to nobody; a line end is to follow.
    TypeSecret(Secret),
    /// Close the session; [`Dialogue::into_end`] has the result.
    Close,
}

/// How a dialogue ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// One output per command, in order.
    Answered(Vec<Output>),
    /// The device did not let us become privileged.
    EnableRefused { why: String },
    /// It let us in, and does nothing before something else is done, such as a new password.
    LoginRefused { why: String },
    /// It did not get to its end.
    Broken { why: String },
}

/// One interactive session from the first byte after the login to the logout.
#[derive(Debug)]
pub struct Dialogue<'a> {
    cli: &'a Cli,
    enable_secret: Option<Secret>,
    commands: Vec<String>,
    limits: Limits,
    stage: Stage,
    terminal: Terminal,
    /// The device's own prompt, as last seen where one was certain.
    prompt: Option<String>,
    outputs: Vec<Output>,
    /// Bytes of the answer under way.
    received_bytes: usize,
    /// When the device was last heard, or we last typed.
    stirred: Instant,
    /// When we last typed.
    typed: Instant,
    /// Line ends typed since the last command, to see the prompt again.
    nudges: usize,
}

/// What the next prompt will be the answer to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Waiting for the first prompt, behind banners.
    Login,
    /// The enable command was typed.
    Enabling {
        password_sent: bool,
    },
    /// This line of the preparation was typed.
    Preparing(usize),
    /// This command was typed.
    Answering(usize),
    Ended(End),
}

impl<'a> Dialogue<'a> {
    /// A session whose shell was just opened at `now`.
    pub fn new(
        cli: &'a Cli,
        enable_secret: Option<Secret>,
        commands: Vec<String>,
        limits: Limits,
        now: Instant,
    ) -> Self {
        Self {
            cli,
            enable_secret,
            commands,
            limits,
            stage: Stage::Login,
            terminal: Terminal::default(),
            prompt: None,
            outputs: Vec::new(),
            received_bytes: 0,
            stirred: now,
            typed: now,
            nudges: 0,
        }
    }

    /// Bytes came from the device.
    pub fn on_bytes(&mut self, bytes: &[u8], now: Instant) -> Vec<Action> {
        if self.has_ended() {
            return Vec::new();
        }
        self.stirred = now;
        let before = self.received_bytes;
        self.received_bytes = before.saturating_add(bytes.len());
        if self.received_bytes > self.limits.output_bytes_max {
            // What still fits is not worth keeping: an answer that is cut is no answer.
            if before <= self.limits.output_bytes_max {
                self.terminal.throw_away();
            }
            if self.received_bytes / THROWN_FACTOR > self.limits.output_bytes_max {
                return self.broken(format!("{} does not end", self.what()));
            }
        }
        self.terminal.feed(bytes);
        let shown = self.terminal.finished().len();
        if shown > self.limits.output_bytes_max {
            self.received_bytes = self.received_bytes.max(shown);
            self.terminal.throw_away();
        }
        Vec::new()
    }

    /// The device closed the session.
    pub fn on_end(&mut self) -> Vec<Action> {
        if self.has_ended() {
            return Vec::new();
        }
        self.broken(format!("the device closed the session during {}", self.what()))
    }

    /// Time has come to `now`; needed no earlier than at [`Dialogue::deadline`].
    pub fn on_time(&mut self, now: Instant) -> Vec<Action> {
        if self.has_ended() {
            return Vec::new();
        }
        let silent = now.saturating_duration_since(self.stirred);
        match self.waiting() {
            Some(waiting) if silent >= waiting.quiet() => self.react(waiting, now),
            None if self.nudge_due().is_some_and(|due| now >= due) => self.nudge(now),
            Some(_) | None if silent >= self.cli.command_timeout => {
                let seconds = self.cli.command_timeout.as_secs_f32();
                self.broken(format!("no prompt during {}, silent for {seconds} s", self.what()))
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// When [`Dialogue::on_time`] is next due; `None` once it has ended.
    pub fn deadline(&self) -> Option<Instant> {
        if self.has_ended() {
            return None;
        }
        let last = self.stirred + self.cli.command_timeout;
        let due = match self.waiting() {
            Some(waiting) => self.stirred + waiting.quiet(),
            None => self.nudge_due().unwrap_or(last),
        };
        Some(due.min(last))
    }

    pub fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// The result; before the end it is a broken one that says where the dialogue stood.
    pub fn into_end(self) -> End {
        match self.stage {
            Stage::Ended(end) => end,
            Stage::Login | Stage::Enabling { .. } | Stage::Preparing(_) | Stage::Answering(_) => {
                End::Broken {
                    why: format!("stopped during {}; seen last: {}", self.what(), self.seen()),
                }
            }
        }
    }

    /// Where the dialogue stands, in words.
    fn what(&self) -> String {
        match &self.stage {
            Stage::Login => "the greeting after login".to_owned(),
            Stage::Enabling { .. } => "the change to privileged mode".to_owned(),
            Stage::Preparing(index) => format!("the answer to `{}`", self.cli.preparation[*index]),
            Stage::Answering(index) => format!("the answer to `{}`", self.commands[*index]),
            Stage::Ended(_) => "nothing: it has ended".to_owned(),
        }
    }

    fn react(&mut self, waiting: Waiting, now: Instant) -> Vec<Action> {
        match waiting {
            Waiting::Pager { keys, .. } => {
                self.terminal.clear_line();
                self.stirred = now;
                vec![Action::Type(keys)]
            }
            Waiting::Password => self.enter_password(now),
            Waiting::NewPassword => {
                let why = format!("the device wants a new password first: {}", self.seen());
                self.stage = Stage::Ended(End::LoginRefused { why });
                vec![Action::Close]
            }
            Waiting::Prompt { .. } => self.at_prompt(now),
        }
    }

    fn enter_password(&mut self, now: Instant) -> Vec<Action> {
        let asked_again = self.stage == Stage::Enabling { password_sent: true };
        if asked_again {
            return self.enable_refused("the device did not take the enable password");
        }
        let Some(secret) = self.enable_secret.clone() else {
            return self.enable_refused(
                "the device asks for an enable password and the credential has none",
            );
        };
        self.stage = Stage::Enabling { password_sent: true };
        self.terminal.clear_line();
        self.stirred = now;
        vec![Action::TypeSecret(secret)]
    }

    /// The device waits for the next command.
    fn at_prompt(&mut self, now: Instant) -> Vec<Action> {
        let line = self.terminal.line();
        match self.stage.clone() {
            Stage::Login => match &self.cli.enable {
                Some(enable) if unprivileged(enable, &line) => {
                    let command = enable.command.clone();
                    self.learn(line);
                    self.type_line(Stage::Enabling { password_sent: false }, &command, now)
                }
                Some(_) | None => {
                    self.learn(line);
                    self.prepare(0, now)
                }
            },
            Stage::Enabling { .. } => {
                let still = self.cli.enable.as_ref().is_some_and(|e| unprivileged(e, &line));
                if still {
                    return self.enable_refused("the device did not make us privileged");
                }
                self.learn(line);
                self.prepare(0, now)
            }
            Stage::Preparing(index) => {
                self.learn(line);
                self.prepare(index + 1, now)
            }
            Stage::Answering(index) => {
                let output = self.take_output(&line);
                self.outputs.push(output);
                self.ask(index + 1, now)
            }
            Stage::Ended(_) => Vec::new(),
        }
    }

    fn prepare(&mut self, index: usize, now: Instant) -> Vec<Action> {
        match self.cli.preparation.get(index).cloned() {
            Some(command) => self.type_line(Stage::Preparing(index), &command, now),
            None => self.ask(0, now),
        }
    }

    fn ask(&mut self, index: usize, now: Instant) -> Vec<Action> {
        if let Some(command) = self.commands.get(index).cloned() {
            return self.type_line(Stage::Answering(index), &command, now);
        }
        let outputs = std::mem::take(&mut self.outputs);
        self.stage = Stage::Ended(End::Answered(outputs));
        let mut actions = Vec::new();
        if !self.cli.logout.is_empty() {
            actions.push(Action::Type(format!("{}\n", self.cli.logout)));
        }
        actions.push(Action::Close);
        actions
    }

    fn type_line(&mut self, stage: Stage, command: &str, now: Instant) -> Vec<Action> {
        self.stage = stage;
        self.terminal.clear();
        self.received_bytes = 0;
        self.stirred = now;
        self.typed = now;
        self.nudges = 0;
        vec![Action::Type(format!("{command}\n"))]
    }

    fn learn(&mut self, line: String) {
        self.prompt = Some(line);
    }

    /// The answer under way, ended by the prompt in `line`.
    fn take_output(&mut self, line: &str) -> Output {
        let data_before_prompt = match self.prompt.as_deref() {
            Some(prompt) if line != prompt => line.strip_suffix(prompt).map(str::trim_end),
            Some(_) | None => None,
        };
        if data_before_prompt.is_none() {
            self.learn(line.to_owned());
        }
        if self.received_bytes > self.limits.output_bytes_max {
            return Output::Refused {
                why: format!(
                    "expected at most {} bytes, found {}",
                    self.limits.output_bytes_max, self.received_bytes
                ),
            };
        }
        let begin = self.echo_end().unwrap_or(0);
        let mut text = self.terminal.finished()[begin..].to_owned();
        if let Some(data) = data_before_prompt {
            text.push_str(data);
            text.push('\n');
        }
        judged(self.cli, self.without_chatter(text))
    }

    /// The answer without what the device said unasked. The log itself is such messages.
    fn without_chatter(&self, text: String) -> String {
        let Some(prompt) = self.prompt.as_deref() else { return text };
        let chatter = self.chatter(prompt);
        let text = chatter.without_tail(text, self.nudges > 0);
        let asked_for = match &self.stage {
            Stage::Answering(index) => self.commands[*index].to_lowercase().contains("log"),
            Stage::Login | Stage::Enabling { .. } | Stage::Preparing(_) | Stage::Ended(_) => false,
        };
        if asked_for { text } else { chatter.without_messages(text) }
    }

    fn enable_refused(&mut self, why: &str) -> Vec<Action> {
        self.stage = Stage::Ended(End::EnableRefused { why: why.to_owned() });
        vec![Action::Close]
    }

    fn broken(&mut self, why: String) -> Vec<Action> {
        let why = format!("{why}; seen last: {}", self.seen());
        self.stage = Stage::Ended(End::Broken { why });
        vec![Action::Close]
    }

    /// The end of what the device showed: one line, cut, without the secret we typed. Of an answer
    /// only its length is told: it may be a configuration, and that holds secrets.
    fn seen(&self) -> String {
        if matches!(self.stage, Stage::Answering(_)) {
            return format!("{} bytes of it", self.received_bytes);
        }
        // Twice what is shown, so that a secret cut at the front is cut away with it.
        let above = tail(self.terminal.finished(), 2 * SEEN_CHARS_MAX);
        let shown = format!("{above}{}", self.terminal.line());
        let shown = match &self.enable_secret {
            Some(secret) if !secret.is_empty() => shown.replace(secret.expose(), "[secret]"),
            Some(_) | None => shown,
        };
        let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() {
            "nothing".to_owned()
        } else {
            format!("`{}`", tail(&words, SEEN_CHARS_MAX))
        }
    }
}

/// An answer with an error line in it is refused; any other is text.
pub fn judged(cli: &Cli, text: String) -> Output {
    let error = text.lines().find(|line| cli.errors.iter().any(|error| error.is_match(line)));
    match error {
        Some(line) => Output::Refused { why: line.trim().chars().take(SEEN_CHARS_MAX).collect() },
        None => Output::Text(text),
    }
}

fn unprivileged(enable: &Enable, line: &str) -> bool {
    enable.unprivileged.is_match(line)
}

/// The last `chars` characters.
fn tail(text: &str, chars: usize) -> &str {
    match text.char_indices().rev().nth(chars.saturating_sub(1)) {
        Some((start, _)) => &text[start..],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::platform::{Channel, Legacy};
    use proptest::prelude::*;
    use regex::Regex;

    fn cli() -> Cli {
        let regex = |text: &str| Regex::new(text).unwrap();
        Cli {
            channel: Channel::Shell,
            prompts: vec![regex(r"^[A-Za-z0-9._-]+(\([a-z-]+\))?[>#]\s?$")],
            enable: Some(Enable {
                command: "enable".to_owned(),
                unprivileged: regex(r">\s?$"),
                password_prompt: regex(r"^Password:\s?$"),
            }),
            preparation: vec!["terminal length 0".to_owned()],
            pagers: vec![(regex(r"--More--\s?$"), " ".to_owned())],
            errors: vec![regex(r"^% ?(Invalid|Incomplete|Ambiguous|Unknown)")],
            chatter: vec![regex(r"^\*?[A-Z][a-z]{2} +\d+ [\d:.]+: %[A-Z0-9_]+-[0-7]-")],
            command_timeout: Duration::from_secs(10),
            logout: "exit".to_owned(),
            legacy: Legacy::Last,
        }
    }

    /// Drives one dialogue along a written time that only goes forward.
    struct Timetable<'a> {
        dialogue: Dialogue<'a>,
        start: Instant,
        at: u64,
    }

    impl<'a> Timetable<'a> {
        fn new(cli: &'a Cli, commands: &[&str]) -> Self {
            Self::with_limit(cli, commands, 10_000)
        }

        fn with_limit(cli: &'a Cli, commands: &[&str], output_bytes_max: usize) -> Self {
            let start = Clock::System.instant();
            let commands = commands.iter().map(|text| (*text).to_owned()).collect();
            let secret = Some(Secret::new("en-secret"));
            let limits = Limits { output_bytes_max };
            Self { dialogue: Dialogue::new(cli, secret, commands, limits, start), start, at: 0 }
        }

        /// At this millisecond the device sends; nothing is typed back at once.
        fn device(&mut self, at: u64, text: &str) -> &mut Self {
            let now = self.move_to(at);
            assert_eq!(self.dialogue.on_bytes(text.as_bytes(), now), [], "at {at}");
            self
        }

        /// At this millisecond these lines are typed, as `|`-joined text.
        fn typed(&mut self, at: u64, expected: &str) -> &mut Self {
            let now = self.move_to(at);
            let actions = self.dialogue.on_time(now);
            assert_eq!(written(&actions), expected, "at {at}");
            self
        }

        fn silence(&mut self, at: u64) -> &mut Self {
            self.typed(at, "")
        }

        fn move_to(&mut self, at: u64) -> Instant {
            assert!(at >= self.at, "time does not go back from {} to {at}", self.at);
            self.at = at;
            self.start + Duration::from_millis(at)
        }

        fn end(self) -> End {
            self.dialogue.into_end()
        }
    }

    fn written(actions: &[Action]) -> String {
        let each: Vec<String> = actions
            .iter()
            .map(|action| match action {
                Action::Type(text) => text.replace('\n', "~"),
                Action::TypeSecret(secret) => format!("secret {}", secret.expose()),
                Action::Close => "close".to_owned(),
            })
            .collect();
        each.join("|")
    }

    fn text(text: &str) -> Output {
        Output::Text(text.to_owned())
    }

    #[test]
    fn a_whole_visit_with_banner_enable_pager_and_logout() {
        let cli = cli();
        let mut table = Timetable::new(&cli, &["show lldp neighbors", "show running-config"]);
        table
            .device(0, "\r\n*** Authorised staff only ***\r\n\r\nacc-sw-17>")
            .silence(100)
            .typed(120, "enable~")
            .device(130, "enable\r\nPassword: ")
            .silence(150)
            .typed(160, "secret en-secret")
            .device(170, "\r\nacc-sw-17#")
            .typed(200, "terminal length 0~")
            .device(210, "terminal length 0\r\nacc-sw-17#")
            .typed(240, "show lldp neighbors~")
            .device(250, "show lldp neigh")
            .silence(290)
            .device(300, "bors\r\nGi1/0/49  dist-1\r\n --More-- ")
            .typed(330, " ")
            .device(340, "\x08\x08\x08\x08\x08\x08\x08\x08\x08          ")
            .device(341, "\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08Gi1/0/50  dist-2\r\nacc-sw-17#")
            .typed(371, "show running-config~")
            .device(380, "show running-config\r\nhostname acc-sw-17\r\nend\r\nacc-sw-17#")
            .typed(410, "exit~|close");
        let expected = End::Answered(vec![
            text("Gi1/0/49  dist-1\nGi1/0/50  dist-2\n"),
            text("hostname acc-sw-17\nend\n"),
        ]);
        assert_eq!(table.end(), expected);
    }

    /// A session that stands at the first command, `show x`, at millisecond 200.
    fn at_first_command(cli: &Cli) -> Timetable<'_> {
        at_first_command_with(cli, 10_000)
    }

    fn at_first_command_with(cli: &Cli, limit: usize) -> Timetable<'_> {
        let mut table = Timetable::with_limit(cli, &["show x"], limit);
        table
            .device(0, "sw1#")
            .typed(120, "terminal length 0~")
            .device(130, "terminal length 0\r\nsw1#")
            .typed(160, "show x~");
        table
    }

    #[test]
    fn a_line_of_data_that_is_the_prompt_ends_no_answer() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        table
            .device(200, "show x\r\nbanner motd\r\nsw1#")
            .silence(229)
            .device(229, "\r\nother>\r\nreal end\r\nsw1#")
            .typed(259, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("banner motd\nsw1#\nother>\nreal end\n")]));
    }

    #[test]
    fn a_prompt_of_another_name_ends_an_answer_after_a_longer_quiet() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        table.device(200, "show x\r\nrow\r\nacc-sw-17#").silence(1199).typed(1200, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("row\n")]));
    }

    #[test]
    fn a_prompt_behind_data_without_line_end_loses_no_data() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        table.device(200, "show x\r\n{\"a\": 1}sw1#").silence(300).typed(1200, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("{\"a\": 1}\n")]));
    }

    #[test]
    fn a_banner_taken_for_a_prompt_does_not_shift_the_answers() {
        let cli = cli();
        let mut table = Timetable::new(&cli, &["show x"]);
        table
            .device(0, "staff#")
            .typed(120, "terminal length 0~")
            .device(125, "###\r\nsw1#")
            .silence(200)
            .device(210, "terminal length 0\r\nsw1#")
            .typed(240, "show x~")
            .device(250, "show x\r\nrow\r\nsw1#")
            .typed(280, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("row\n")]));
    }

    #[test]
    fn an_error_line_makes_the_answer_refused_and_the_visit_goes_on() {
        let cli = cli();
        let mut table = Timetable::new(&cli, &["show cdp", "show y"]);
        table
            .device(0, "sw1#")
            .typed(120, "terminal length 0~")
            .device(130, "terminal length 0\r\nsw1#")
            .typed(160, "show cdp~")
            .device(170, "show cdp\r\n        ^\r\n% Invalid input detected\r\n\r\nsw1#")
            .typed(200, "show y~")
            .device(210, "show y\r\nfine\r\nsw1#")
            .typed(240, "exit~|close");
        let refused = Output::Refused { why: "% Invalid input detected".to_owned() };
        assert_eq!(table.end(), End::Answered(vec![refused, text("fine\n")]));
    }

    #[test]
    fn a_device_without_echo_is_understood_after_a_longer_quiet() {
        let cli = cli();
        let mut table = Timetable::new(&cli, &["show x"]);
        table
            .device(0, "sw1#")
            .typed(120, "terminal length 0~")
            .device(130, "\r\nsw1#")
            .typed(1130, "show x~")
            .device(1140, "row\r\nsw1#")
            .typed(2140, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("row\n")]));
    }

    #[test]
    fn an_echo_behind_a_redrawn_prompt_is_no_data() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        table
            .device(200, "\r\x1b[Ksw1#show x\r\n\x1b[1mrow\x1b[0m\r\n\rsw1#\x1b[K")
            .typed(230, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("row\n")]));
    }

    #[test]
    fn a_device_that_never_shows_a_prompt_is_broken_with_what_was_seen_last() {
        let cli = cli();
        let mut table = Timetable::new(&cli, &["show x"]);
        table
            .device(0, "\x1b[2JWelcome\r\nto the \x1b[31mmachine ...")
            .silence(9_999)
            .typed(10_000, "close");
        let why = "no prompt during the greeting after login, silent for 10 s; \
                   seen last: `Welcome to the machine ...`";
        assert_eq!(table.end(), End::Broken { why: why.to_owned() });
    }

    #[test]
    fn an_answer_that_stops_is_broken_and_tells_nothing_of_a_configuration() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        table.device(200, "show x\r\nsecret 5 abc").silence(10_199).typed(10_200, "close");
        let why = "no prompt during the answer to `show x`, silent for 10 s; \
                   seen last: 20 bytes of it";
        assert_eq!(table.end(), End::Broken { why: why.to_owned() });
    }

    #[test]
    fn an_answer_too_long_is_refused_and_the_visit_goes_on() {
        let cli = cli();
        let mut table = at_first_command_with(&cli, 1000);
        table.device(200, "show x\r\n");
        for at in 201..211 {
            table.device(at, &"0123456789abcdef\r\n".repeat(60));
        }
        table.device(220, "sw1#");
        let kept = table.dialogue.terminal.finished().len();
        assert_eq!(kept, 0, "what is thrown away takes no memory");
        table.typed(1220, "exit~|close");
        let why = "expected at most 1000 bytes, found 10812".to_owned();
        assert_eq!(table.end(), End::Answered(vec![Output::Refused { why }]));
    }

    #[test]
    fn an_answer_that_only_a_terminal_makes_long_is_refused_as_well() {
        let cli = cli();
        let mut table = at_first_command_with(&cli, 10_000);
        table.device(200, "show x\r\n");
        for at in 201..221 {
            table.device(at, &"\u{1b}[511Cx\r\n".repeat(10));
            assert!(table.dialogue.terminal.finished().len() <= 20_000, "at {at}");
        }
        table.device(230, "sw1#").typed(1230, "exit~|close");
        let End::Answered(outputs) = table.end() else { panic!("the visit goes on") };
        assert!(matches!(&outputs[..], [Output::Refused { why }] if why.contains("at most 10000")));
    }

    #[test]
    fn behind_a_very_long_line_only_the_prompt_that_we_know_ends_an_answer() {
        let cli = cli();
        let long = "x".repeat(PROMPT_CHARS_MAX);
        let mut table = at_first_command(&cli);
        table.device(200, &format!("show x\r\n{long}#")).silence(5000);
        table.device(5001, "sw1#").typed(6001, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text(&format!("{long}#\n"))]));
    }

    #[test]
    fn an_answer_without_end_ends_the_visit() {
        let cli = cli();
        let mut table = at_first_command_with(&cli, 1000);
        let now = table.move_to(200);
        let mut rounds = 0;
        let actions = loop {
            let actions = table.dialogue.on_bytes(&[b'x'; 500], now);
            rounds += 1;
            assert!(rounds < 100, "it must end");
            if !actions.is_empty() {
                break actions;
            }
        };
        assert_eq!(written(&actions), "close");
        assert_eq!(rounds, 33, "just past sixteen times the limit, in halves");
        assert!(matches!(table.end(), End::Broken { why } if why.contains("does not end")));
    }

    #[test]
    fn a_banner_that_waits_for_a_key_gets_one() {
        let cli = cli();
        let mut table = Timetable::new(&cli, &["show x"]);
        table
            .device(0, "Copyright\r\nPress any key to continue")
            .silence(119)
            .typed(120, " ")
            .device(130, "\x1b[2K\x1b[1G\r\nsw1#")
            .typed(250, "terminal length 0~");
        let mut console = Timetable::new(&cli, &["show x"]);
        console
            .device(0, "Press RETURN to get started.\r\n\r\n")
            .silence(2999)
            .typed(3000, "~")
            .device(3010, "\r\nsw1#")
            .typed(3130, "terminal length 0~");
    }

    #[test]
    fn a_device_that_wants_a_new_password_is_left_with_its_reason() {
        let mut cli = cli();
        cli.pagers.push((Regex::new(r"(?i)\[Y/N\][:?]? ?$").unwrap(), "y\r".to_owned()));
        for said in [
            "Welcome\r\nEnter new password:",
            "The password needs to be changed.\r\nChange now? [Y/N]:",
        ] {
            let mut table = Timetable::new(&cli, &["show x"]);
            table.device(0, said).silence(999).typed(1000, "close");
            let End::LoginRefused { why } = table.end() else { panic!("{said}") };
            assert!(why.starts_with("the device wants a new password first: `"), "{why}");
        }
    }

    const MESSAGE: &str = "*Nov 21 10:00:00.123: %LINK-3-UPDOWN: Interface Gi1/0/1, now up\r\n";

    #[test]
    fn a_prompt_under_a_message_is_asked_for_again() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        table
            .device(200, &format!("show x\r\nrow\r\nsw1#\r\n{MESSAGE}"))
            .device(1500, MESSAGE)
            .silence(3159)
            .typed(3160, "~")
            .device(3170, "\r\nsw1#")
            .typed(3200, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("row\n")]));
        let mut first = Timetable::new(&cli, &["show x"]);
        first
            .device(0, &format!("sw1#{MESSAGE}"))
            .silence(2999)
            .typed(3000, "~")
            .device(3010, "sw1#")
            .typed(3130, "terminal length 0~");
    }

    #[test]
    fn a_device_that_stays_silent_is_nudged_twice_and_no_more() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        table
            .device(200, &format!("show x\r\nrow\r\nsw1#\r\n{MESSAGE}"))
            .typed(3160, "~")
            .silence(6159)
            .typed(6160, "~")
            .silence(16_159)
            .typed(16_160, "close");
        assert!(matches!(table.end(), End::Broken { .. }));
    }

    #[test]
    fn messages_between_the_lines_of_an_answer_are_no_part_of_it() {
        let cli = cli();
        for (command, expected) in [
            ("show x", "row 1\nrow 2\n".to_owned()),
            ("show logging", format!("row 1\n{}row 2\n", MESSAGE.replace('\r', ""))),
        ] {
            let mut table = Timetable::new(&cli, &[command]);
            table
                .device(0, "sw1#")
                .typed(120, "terminal length 0~")
                .device(130, "terminal length 0\r\nsw1#")
                .typed(160, &format!("{command}~"))
                .device(200, &format!("{command}\r\nrow 1\r\n{MESSAGE}row 2\r\nsw1#"))
                .typed(230, "exit~|close");
            assert_eq!(table.end(), End::Answered(vec![text(&expected)]));
        }
    }

    #[test]
    fn a_pager_that_nobody_announced_goes_on_after_a_longer_quiet() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        table
            .device(200, "show x\r\nrow 1\r\n---(more 45%)---")
            .silence(1199)
            .typed(1200, " ")
            .device(1210, "\r                \rrow 2\r\nsw1#")
            .typed(1240, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("row 1\nrow 2\n")]));
    }

    #[test]
    fn a_folded_echo_is_no_part_of_the_answer() {
        let cli = cli();
        let command = "show interfaces status | include connected | exclude notconnect";
        let (front, back) = command.split_at(50);
        let mut table = Timetable::new(&cli, &[command]);
        table
            .device(0, "sw1#")
            .typed(120, "terminal length 0~")
            .device(130, "terminal length 0\r\nsw1#")
            .typed(160, &format!("{command}~"))
            .device(170, &format!("{front}\r\n{back}\r\nrow\r\nsw1#"))
            .typed(200, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("row\n")]));
    }

    #[test]
    fn a_terminal_that_shows_letter_by_letter_is_waited_for() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        let mut at = 200;
        for letter in "show x\r\r\nrow > 1\r\r\nsw1#".chars() {
            at += 200;
            table.device(at, &letter.to_string());
            if letter != '#' {
                table.silence(at + 199);
            }
        }
        table.typed(at + 30, "exit~|close");
        assert_eq!(table.end(), End::Answered(vec![text("row > 1\n")]));
    }

    #[test]
    fn a_banner_longer_than_a_page_is_read_to_its_end() {
        let cli = cli();
        let mut table = Timetable::new(&cli, &["show x"]);
        table
            .device(0, "######\r\n# line 1\r\n --More-- ")
            .typed(30, " ")
            .device(40, "\x08 \x08\x1b[K# line 2\r\n######\r\nsw1#")
            .typed(160, "terminal length 0~");
    }

    #[test]
    fn a_wrong_enable_password_is_told_apart_and_not_shown() {
        let cli = cli();
        for reply in ["\r\nPassword: ", "\r\n% Bad secrets\r\n\r\nsw1>"] {
            let mut table = Timetable::new(&cli, &["show x"]);
            table
                .device(0, "sw1>")
                .typed(120, "enable~")
                .device(130, "enable\r\nPassword: ")
                .typed(160, "secret en-secret")
                .device(170, reply)
                .typed(200, "close");
            assert!(matches!(table.end(), End::EnableRefused { .. }));
        }
        let mut table = Timetable::new(&cli, &["show x"]);
        table
            .device(0, "sw1>")
            .typed(120, "enable~")
            .device(130, "enable\r\nPassword: ")
            .typed(160, "secret en-secret")
            .device(170, "en-secret\r\nhm")
            .typed(10_170, "close");
        let End::Broken { why } = table.end() else { panic!("it hangs") };
        assert!(why.contains("[secret]") && !why.contains("en-secret"), "{why}");
    }

    #[test]
    fn without_an_enable_password_nothing_is_typed_at_its_prompt() {
        let cli = cli();
        let start = Clock::System.instant();
        let limits = Limits { output_bytes_max: 1000 };
        let mut dialogue = Dialogue::new(&cli, None, vec![], limits, start);
        dialogue.on_bytes(b"sw1>", start);
        let later = start + Duration::from_millis(120);
        assert_eq!(written(&dialogue.on_time(later)), "enable~");
        dialogue.on_bytes(b"enable\r\nPassword: ", later);
        assert_eq!(written(&dialogue.on_time(later + QUIET)), "close");
        assert!(matches!(dialogue.into_end(), End::EnableRefused { .. }));
    }

    #[test]
    fn a_device_that_hangs_up_is_broken_at_that_command() {
        let cli = cli();
        let mut table = at_first_command(&cli);
        table.device(200, "show x\r\nro");
        assert_eq!(written(&table.dialogue.on_end()), "close");
        let End::Broken { why } = table.end() else { panic!("it hung up") };
        let expected = "the device closed the session during the answer to `show x`";
        assert!(why.starts_with(expected), "{why}");
    }

    #[test]
    fn the_deadline_is_when_something_would_happen() {
        let cli = cli();
        let mut table = Timetable::new(&cli, &["show x"]);
        let start = table.start;
        assert_eq!(table.dialogue.deadline(), Some(start + Duration::from_secs(10)));
        table.device(5, "sw1#");
        assert_eq!(table.dialogue.deadline(), Some(start + Duration::from_millis(125)));
    }

    /// Plays a whole visit with every burst of the device cut at the given places.
    fn play(cuts: &[usize], answer: &str) -> End {
        let cli = cli();
        let start = Clock::System.instant();
        let limits = Limits { output_bytes_max: 5_000 };
        let commands = vec!["show x".to_owned(), "show y".to_owned()];
        let mut dialogue = Dialogue::new(&cli, Some(Secret::new("pw")), commands, limits, start);
        let bursts = [
            "\r\nWelcome #\r\nsw1>".to_owned(),
            "enable\r\nPassword: ".to_owned(),
            "\r\nsw1#".to_owned(),
            "terminal length 0\r\nsw1#".to_owned(),
            format!("show x\r\n{answer}\r\n --More-- "),
            "\r          \rlast\r\nsw1#".to_owned(),
            "show y\r\nsecond\r\nsw1#".to_owned(),
        ];
        let mut now = start;
        for burst in bursts {
            let mut rest = burst.as_bytes();
            for cut in cuts {
                let (now_sent, later) = rest.split_at((*cut).min(rest.len()));
                dialogue.on_bytes(now_sent, now);
                assert_eq!(dialogue.on_time(now), [], "nothing is decided without quiet");
                rest = later;
            }
            dialogue.on_bytes(rest, now);
            now = dialogue.deadline().expect("it has not ended");
            assert_ne!(dialogue.on_time(now), [], "after {burst:?}");
        }
        dialogue.into_end()
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_answers_are_the_same(
            cuts in proptest::collection::vec(0usize..12, 0..40),
            lines in proptest::collection::vec(
                prop_oneof![
                    "[ -~]{0,30}", Just("sw1#".to_owned()), Just("sw1>".to_owned()),
                    Just("\u{e4}\u{20ac}\x1b[31mred\x1b[0m".to_owned()),
                    Just("Password:".to_owned()),
                    Just(" --More-- ".to_owned()),
                ],
                0..8,
            ),
        ) {
            let answer = lines.join("\r\n");
            let whole = play(&[], &answer);
            prop_assert!(matches!(&whole, End::Answered(outputs) if outputs.len() == 2));
            prop_assert_eq!(play(&cuts, &answer), whole);
        }

        #[test]
        fn random_bytes_never_panic_and_never_grow(
            chunks in proptest::collection::vec(
                proptest::collection::vec(
                    prop_oneof![any::<u8>(), Just(0x1b), Just(b'\n'), Just(b'#')],
                    0..200,
                ),
                0..60,
            ),
        ) {
            let cli = cli();
            let mut now = Clock::System.instant();
            let limits = Limits { output_bytes_max: 500 };
            let commands = vec!["show x".to_owned()];
            let mut dialogue = Dialogue::new(&cli, Some(Secret::new("pw")), commands, limits, now);
            for chunk in &chunks {
                dialogue.on_bytes(chunk, now);
                prop_assert!(dialogue.terminal.finished().len() <= 3 * 500 + 4);
                if let Some(deadline) = dialogue.deadline() {
                    now = deadline;
                    dialogue.on_time(now);
                }
            }
            let _ = dialogue.into_end();
        }
    }
}

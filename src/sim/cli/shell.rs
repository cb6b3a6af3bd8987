//! The terminal around a command line: bytes typed in, bytes shown out. It echoes, prompts, shows
//! long output page by page and asks for the enable password. No socket is here.

use std::collections::VecDeque;

use crate::sim::chassis::{Kind, Login};
use crate::sim::cli::{Answer, answer, images};
use crate::sim::inside::Inside;

/// The terminal's height until `terminal length` changes it: that of IOS and EOS.
const PAGE_LINES: usize = 24;
/// A line that is longer than this is cut, as a real line editor stops taking letters (IOS: 254).
const LINE_BYTES_MAX: usize = 254;

/// One interactive session.
#[derive(Debug)]
pub struct Shell {
    inside: Inside,
    login: Login,
    privileged: bool,
    configuring: bool,
    page: usize,
    typed: Vec<u8>,
    expecting: Expecting,
}

/// What the next bytes mean.
#[derive(Debug)]
enum Expecting {
    Command,
    EnablePassword,
    /// The name of the file of a copy; Enter keeps it.
    Destination(Errand),
    /// Whether a file may be replaced; Enter agrees.
    Overwrite(Errand),
    /// Whether it may reload; Enter agrees.
    Reload,
    /// A key at `--More--`; the lines still to be shown.
    PagerKey(VecDeque<String>),
}

/// What the terminal shows, and whether the session is over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub bytes: Vec<u8>,
    pub closed: bool,
    /// To be fetched now; the session waits for [`Shell::fetched`].
    pub errand: Option<Errand>,
    /// It boots anew now.
    pub reload: bool,
}

/// An image to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    pub url: String,
    pub file: String,
}

impl Shell {
    pub fn new(inside: Inside, login: Login) -> Self {
        let kind = inside.chassis().kind;
        // EOS begins unprivileged for everybody; IOS puts privilege 15 straight at `#`.
        let privileged = match kind {
            Kind::CiscoIos => login.enable.is_none(),
            Kind::AristaEos => false,
            Kind::Frr => true,
        };
        let page = match kind {
            Kind::CiscoIos | Kind::AristaEos => PAGE_LINES,
            Kind::Frr => 0,
        };
        let (typed, expecting) = (Vec::new(), Expecting::Command);
        Self { inside, login, privileged, configuring: false, page, typed, expecting }
    }

    /// What a new terminal shows.
    pub fn greet(&self) -> Shown {
        let mut shown = Shown::default();
        shown.line("");
        self.prompt(&mut shown);
        shown
    }

    /// Takes what was typed.
    pub fn type_in(&mut self, bytes: &[u8]) -> Shown {
        let mut shown = Shown::default();
        for byte in bytes {
            if shown.closed {
                break;
            }
            self.key(*byte, &mut shown);
        }
        shown
    }

    fn key(&mut self, byte: u8, shown: &mut Shown) {
        match std::mem::replace(&mut self.expecting, Expecting::Command) {
            Expecting::PagerKey(rest) => self.pager_key(byte, rest, shown),
            Expecting::Command => self.letter(byte, true, shown),
            question
            @ (Expecting::Destination(_) | Expecting::Overwrite(_) | Expecting::Reload) => {
                self.expecting = question;
                self.letter(byte, true, shown);
            }
            Expecting::EnablePassword => {
                self.expecting = Expecting::EnablePassword;
                self.letter(byte, false, shown);
            }
        }
    }

    fn letter(&mut self, byte: u8, echo: bool, shown: &mut Shown) {
        match byte {
            b'\r' | b'\n' => {
                shown.text("\r\n");
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.typed)).into_owned();
                match std::mem::replace(&mut self.expecting, Expecting::Command) {
                    Expecting::EnablePassword => self.enable_password(&line, shown),
                    Expecting::Destination(errand) => self.overwrite(errand, shown),
                    Expecting::Overwrite(errand) => shown.errand = Some(errand),
                    Expecting::Reload if line.is_empty() => shown.reload = true,
                    Expecting::Reload => self.prompt(shown),
                    Expecting::Command | Expecting::PagerKey(_) => self.command(&line, shown),
                }
            }
            // Backspace and delete.
            8 | 127 => {
                if self.typed.pop().is_some() && echo {
                    shown.text("\x08 \x08");
                }
            }
            // Ctrl-C and Ctrl-U throw the line away.
            3 | 21 => {
                self.typed.clear();
                shown.text("\r\n");
                self.prompt(shown);
            }
            byte if byte < b' ' => {}
            byte if self.typed.len() < LINE_BYTES_MAX => {
                self.typed.push(byte);
                if echo {
                    shown.bytes.push(byte);
                }
            }
            _ => shown.bytes.push(7),
        }
    }

    fn command(&mut self, line: &str, shown: &mut Shown) {
        let view = self.inside.view();
        if self.configuring {
            return self.configure(line.trim(), shown);
        }
        match answer(&view, self.privileged, line) {
            Answer::Text(text) => return self.show(&text, shown),
            Answer::Save(text) => {
                self.inside.save();
                return self.show(&text, shown);
            }
            Answer::PageLength(lines) => {
                self.page = lines;
                if view.chassis.kind == Kind::AristaEos {
                    shown.line(if lines == 0 { "Pagination disabled." } else { "Pagination set." });
                }
            }
            Answer::Unknown { at } => self.error(at, shown),
            Answer::Enable => {
                if self.login.enable.is_some() && !self.privileged {
                    shown.text("Password: ");
                    self.expecting = Expecting::EnablePassword;
                    return;
                }
                self.privileged = true;
            }
            Answer::Disable => self.privileged = false,
            Answer::Configure(text) => {
                self.configuring = true;
                return self.show(&text, shown);
            }
            Answer::Copy { url, file } => {
                return self.copy(Errand { url, file }, shown);
            }
            Answer::Reload { asks: false } => {
                shown.reload = true;
                return;
            }
            Answer::Reload { asks: true } => {
                shown.text("Proceed with reload? [confirm]");
                self.expecting = Expecting::Reload;
                return;
            }
            Answer::Logout => {
                shown.closed = true;
                return;
            }
        }
        self.prompt(shown);
    }

    /// IOS asks for the name first; EOS goes on at once.
    fn copy(&mut self, errand: Errand, shown: &mut Shown) {
        match self.inside.chassis().kind {
            Kind::CiscoIos => {
                shown.text(&format!("Destination filename [{}]? ", errand.file));
                self.expecting = Expecting::Destination(errand);
            }
            Kind::AristaEos | Kind::Frr => shown.errand = Some(errand),
        }
    }

    fn overwrite(&mut self, errand: Errand, shown: &mut Shown) {
        if self.inside.flash.shelf().files.contains_key(&errand.file) {
            shown.line("%Warning:There is a file already existing with this name");
            shown.text("Do you want to over write? [confirm]");
            self.expecting = Expecting::Overwrite(errand);
        } else {
            shown.errand = Some(errand);
        }
    }

    /// The errand has come to its end.
    pub fn fetched(&mut self, errand: &Errand, result: &Result<usize, String>) -> Shown {
        let mut shown = Shown::default();
        let kind = self.inside.chassis().kind;
        let text = images::copied(kind, (&errand.url, &errand.file), result);
        self.show(&text, &mut shown);
        shown
    }

    /// A line of configuration mode: as much of it as an upgrade needs.
    fn configure(&mut self, line: &str, shown: &mut Shown) {
        if line == "end" || line == "exit" {
            self.configuring = false;
        } else if line == "no boot system" {
            self.inside.flash.boot_from(None);
        } else if let Some(file) = line.strip_prefix("boot system flash:") {
            self.inside.flash.boot_from(Some(file.trim_start_matches('/')));
            if self.inside.chassis().kind == Kind::CiscoIos {
                self.inside.apply(&format!("{line}\n"), None);
            }
        } else {
            self.error(0, shown);
        }
        self.prompt(shown);
    }

    fn error(&self, at: usize, shown: &mut Shown) {
        match self.inside.chassis().kind {
            Kind::CiscoIos => {
                let indent = " ".repeat(self.prompt_text().len() + at);
                shown.line(&format!("{indent}^"));
                shown.line("% Invalid input detected at '^' marker.");
                shown.line("");
            }
            Kind::AristaEos => shown.line("% Invalid input"),
            Kind::Frr => shown.line("bash: command not found"),
        }
    }

    fn enable_password(&mut self, typed: &str, shown: &mut Shown) {
        if self.login.enable.as_deref() == Some(typed) {
            self.privileged = true;
        } else {
            shown.line("% Access denied");
            shown.line("");
        }
        self.prompt(shown);
    }

    /// Shows output, page by page if it is longer than the terminal.
    fn show(&mut self, text: &str, shown: &mut Shown) {
        let lines: VecDeque<String> = text.lines().map(str::to_owned).collect();
        self.pages(lines, self.page.saturating_sub(1), shown);
    }

    fn pages(&mut self, mut lines: VecDeque<String>, room: usize, shown: &mut Shown) {
        let endless = self.page == 0;
        for _ in 0..if endless { lines.len() } else { room.min(lines.len()) } {
            if let Some(line) = lines.pop_front() {
                shown.line(&line);
            }
        }
        if lines.is_empty() {
            self.prompt(shown);
        } else {
            shown.text(" --More-- ");
            self.expecting = Expecting::PagerKey(lines);
        }
    }

    fn pager_key(&mut self, byte: u8, rest: VecDeque<String>, shown: &mut Shown) {
        // IOS rubs its question out with backspaces, EOS with a carriage return.
        match self.inside.chassis().kind {
            Kind::CiscoIos => shown.text(
                "\x08\x08\x08\x08\x08\x08\x08\x08\x08        \
                                          \x08\x08\x08\x08\x08\x08\x08\x08\x08",
            ),
            Kind::AristaEos | Kind::Frr => shown.text("\r\x1b[K"),
        }
        match byte {
            b' ' => self.pages(rest, self.page.saturating_sub(1), shown),
            b'\r' | b'\n' => self.pages(rest, 1, shown),
            _ => {
                shown.line("");
                self.prompt(shown);
            }
        }
    }

    fn prompt_text(&self) -> String {
        let view_name = self.inside.view().hostname;
        let kind = self.inside.chassis().kind;
        match (kind, self.privileged) {
            (Kind::Frr, _) => format!("root@{view_name}:~# "),
            (Kind::CiscoIos | Kind::AristaEos, true) if self.configuring => {
                format!("{view_name}(config)#")
            }
            (Kind::CiscoIos | Kind::AristaEos, true) => format!("{view_name}#"),
            (Kind::CiscoIos | Kind::AristaEos, false) => format!("{view_name}>"),
        }
    }

    fn prompt(&self, shown: &mut Shown) {
        shown.text(&self.prompt_text());
    }
}

impl Shown {
    fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn line(&mut self, line: &str) {
        self.text(line);
        self.text("\r\n");
    }
}

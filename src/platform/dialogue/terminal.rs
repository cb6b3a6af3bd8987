//! What a terminal would show: bytes in, clean lines out. Escape sequences, backspaces and carriage
//! returns act on the current line and leave nothing else behind.
//!
//! It works byte by byte, so how the bytes were cut into packets cannot matter.

/// A line longer than this (in characters) is cut while output is being thrown away.
const THROWN_LINE_CHARS: usize = 4096;
/// The widest column an escape sequence may move to: the width of the terminal we ask for.
const COLUMN_MAX: usize = 511;
/// Parameters of a control sequence beyond this many bytes are forgotten; real ones have under ten.
const PARAMETER_BYTES_MAX: usize = 32;

/// One screen line with its cursor, and the lines above it.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    /// Finished lines, each ended by `\n`.
    finished: String,
    line: Vec<char>,
    cursor: usize,
    escape: Escape,
    /// The beginning of a UTF-8 character whose rest has not come yet.
    pending: Vec<u8>,
    /// Finished lines are dropped from here on: the answer was too long.
    throwing: bool,
}

/// Where the reader stands in an escape sequence (ECMA-48).
#[derive(Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// After ESC.
    Begun,
    /// After ESC and an intermediate byte, such as `(`: one more byte follows.
    Intermediate,
    /// After ESC `[`: parameters until a final byte.
    Control(Vec<u8>),
    /// After ESC `]`, `P`, `X`, `^` or `_`: text until BEL or ESC.
    Text,
}

impl Terminal {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
    }

    /// The lines that are complete.
    pub(super) fn finished(&self) -> &str {
        &self.finished
    }

    /// The line the cursor stands on, without trailing blanks.
    pub(super) fn line(&self) -> String {
        let text: String = self.line.iter().collect();
        text.trim_end().to_owned()
    }

    /// The last `chars` characters of that line, and whether they are all of it.
    pub(super) fn line_end(&self, chars: usize) -> (String, bool) {
        let begin = self.line.len().saturating_sub(chars);
        let text: String = self.line[begin..].iter().collect();
        (text.trim_end().to_owned(), begin == 0)
    }

    /// Forgets what is on the current line, as after a key that makes a pager go on.
    pub(super) fn clear_line(&mut self) {
        self.line.clear();
        self.cursor = 0;
    }

    /// Forgets everything that was shown; an escape sequence under way stays under way.
    pub(super) fn clear(&mut self) {
        self.clear_line();
        self.finished = String::new();
        self.throwing = false;
    }

    /// From here on only the current line is kept.
    pub(super) fn throw_away(&mut self) {
        self.finished = String::new();
        self.throwing = true;
    }

    fn byte(&mut self, byte: u8) {
        match std::mem::take(&mut self.escape) {
            Escape::None => self.plain(byte),
            Escape::Begun => self.begun(byte),
            Escape::Intermediate => {}
            Escape::Control(parameters) => self.control(parameters, byte),
            Escape::Text => match byte {
                0x07 => {}
                0x1b => self.escape = Escape::Begun,
                _ => self.escape = Escape::Text,
            },
        }
    }

    fn begun(&mut self, byte: u8) {
        match byte {
            b'[' => self.escape = Escape::Control(Vec::new()),
            b']' | b'P' | b'X' | b'^' | b'_' => self.escape = Escape::Text,
            b'E' => self.end_line(),
            0x1b => self.escape = Escape::Begun,
            0x20..=0x2f => self.escape = Escape::Intermediate,
            _ => {}
        }
    }

    fn control(&mut self, mut parameters: Vec<u8>, byte: u8) {
        match byte {
            0x40..=0x7e => self.perform(&parameters, byte),
            0x20..=0x3f => {
                if parameters.len() < PARAMETER_BYTES_MAX {
                    parameters.push(byte);
                }
                self.escape = Escape::Control(parameters);
            }
            0x1b => self.escape = Escape::Begun,
            // A control character inside a sequence acts at once, the sequence goes on (ECMA-48,
            // 5.5).
            _ => {
                self.plain(byte);
                self.escape = Escape::Control(parameters);
            }
        }
    }

    /// The control sequences that change a line; colours, modes and vertical moves show nothing.
    fn perform(&mut self, parameters: &[u8], end: u8) {
        let number = std::str::from_utf8(parameters).ok().and_then(|text| text.parse().ok());
        let count = number.unwrap_or(1).max(1);
        match end {
            b'K' => self.erase(number.unwrap_or(0)),
            b'J' => self.erase(0),
            b'D' => self.cursor = self.cursor.saturating_sub(count),
            b'C' => self.cursor = self.cursor.saturating_add(count).min(COLUMN_MAX),
            b'G' => self.cursor = (count - 1).min(COLUMN_MAX),
            b'P' => {
                let from = self.cursor.min(self.line.len());
                let to = from.saturating_add(count).min(self.line.len());
                self.line.drain(from..to);
            }
            _ => {}
        }
    }

    /// Erase in line: 0 from the cursor on, 1 up to the cursor, 2 all of it.
    fn erase(&mut self, which: usize) {
        match which {
            0 => self.line.truncate(self.cursor),
            1 => {
                let end = self.cursor.saturating_add(1).min(self.line.len());
                self.line[..end].fill(' ');
            }
            _ => self.line.clear(),
        }
    }

    fn plain(&mut self, byte: u8) {
        match byte {
            0x1b => self.escape = Escape::Begun,
            b'\n' => self.end_line(),
            b'\r' => self.cursor = 0,
            0x08 => self.cursor = self.cursor.saturating_sub(1),
            b'\t' => self.show('\t'),
            0x00..=0x1f | 0x7f => {}
            0x20..=0x7e => {
                self.broken_character();
                self.show(char::from(byte));
            }
            0x80..=0xff => self.part_of_character(byte),
        }
    }

    fn part_of_character(&mut self, byte: u8) {
        if byte >= 0xc0 {
            self.broken_character();
        }
        self.pending.push(byte);
        match std::str::from_utf8(&self.pending) {
            Ok(text) => {
                let shown: Vec<char> = text.chars().collect();
                self.pending.clear();
                for letter in shown {
                    // C1 controls (U+0080 to U+009F) show nothing.
                    if !letter.is_control() {
                        self.show(letter);
                    }
                }
            }
            Err(error) if error.error_len().is_none() => {}
            Err(_) => self.broken_character(),
        }
    }

    /// Bytes that are no UTF-8 become one replacement character: visible, and never equal to a
    /// plan.
    fn broken_character(&mut self) {
        if !self.pending.is_empty() {
            self.pending.clear();
            self.show(char::REPLACEMENT_CHARACTER);
        }
    }

    fn show(&mut self, letter: char) {
        if self.throwing && self.line.len() >= THROWN_LINE_CHARS {
            self.clear_line();
        }
        while self.line.len() < self.cursor {
            self.line.push(' ');
        }
        match self.line.get_mut(self.cursor) {
            Some(place) => *place = letter,
            None => self.line.push(letter),
        }
        self.cursor += 1;
    }

    fn end_line(&mut self) {
        self.broken_character();
        if !self.throwing {
            let line = self.line();
            self.finished.push_str(&line);
            self.finished.push('\n');
        }
        self.clear_line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut terminal = Terminal::default();
        terminal.feed(bytes);
        format!("{}|{}", terminal.finished(), terminal.line())
    }

    #[test]
    fn a_line_reads_as_a_person_would_see_it() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain\r\nsw1#", "plain\n|sw1#"),
            (b"odd ends\r\r\nmore\n\rlast", "odd ends\nmore\n|last"),
            (b"\x1b[1;32mgreen\x1b[0m\r\n", "green\n|"),
            (b"\x1b[?2004hsw1# ", "|sw1#"),
            (b"\x1b]0;title\x07sw1#", "|sw1#"),
            (b"\x1b]0;title\x1b\\sw1#", "|sw1#"),
            (b"\x1b(Bsw1#", "|sw1#"),
            (b" --More-- \x08\x08\x08\x08\x08\x08\x08\x08\x08\x08          \x08\x08\x08\x08\x08\x08\x08\x08\x08\x08line 25\r\n", "line 25\n|"),
            (b"--More--\r        \rline 25\r\n", "line 25\n|"),
            (b"---- More ----\x1b[16D                \x1b[16Dline 25\r\n", "line 25\n|"),
            (b"--More--\r\x1b[Kline 25\r\n", "line 25\n|"),
            (b"wrogn\x08\x08ng\r\n", "wrong\n|"),
            (b"one\x1bEtwo", "one\n|two"),
            (b"caf\xc3\xa9 \xff\xfe!\n", "caf\u{e9} \u{fffd}\u{fffd}!\n|"),
            (b"a\x00\x07b\n", "ab\n|"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(shown(bytes), *expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_huge_column_costs_no_memory() {
        let mut terminal = Terminal::default();
        terminal.feed(b"\x1b[999999999Cx\x1b[18446744073709551615Cy\x1b[999999999Gz");
        assert!(terminal.line.len() <= COLUMN_MAX + 1, "{}", terminal.line.len());
    }

    #[test]
    fn while_throwing_away_an_endless_line_stays_short() {
        let mut terminal = Terminal::default();
        terminal.throw_away();
        for _ in 0..1000 {
            terminal.feed(&[b'x'; 1000]);
        }
        terminal.feed(b"\r\nsw1#");
        assert!(terminal.line.capacity() <= 4 * THROWN_LINE_CHARS);
        assert_eq!((terminal.finished(), terminal.line().as_str()), ("", "sw1#"));
    }
}
